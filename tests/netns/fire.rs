//! Ten thousand datagrams a second of noise and of mutants at a port, paced by the clock.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::job::{self, next};
use crate::relay::Captured;

/// How many datagrams fall due a second.
pub(crate) const RATE: u128 = 10_000;

/// What was fired.
#[derive(Debug)]
pub(crate) struct Fired {
    pub(crate) noise: u128,
    pub(crate) mutants: u128,
    pub(crate) elapsed: Duration,
}

impl Fired {
    /// Datagrams that the kernel took, a second.
    pub(crate) fn rate(&self) -> u128 {
        (self.noise + self.mutants) * 1_000 / self.elapsed.as_millis().max(1)
    }
}

/// Fires on a thread of its own until told to stop.
pub(crate) struct Fire {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Fired>,
}

impl Fire {
    pub(crate) fn at(to: &str, captured: Arc<Mutex<Captured>>, seed: u64) -> Self {
        let to = to.parse().expect("an address");
        let (stop, ticks) = mpsc::channel();
        Self { stop, thread: std::thread::spawn(move || fire(to, &captured, seed, &ticks)) }
    }

    pub(crate) fn stop(self) -> Fired {
        drop(self.stop);
        self.thread.join().expect("it does not panic")
    }
}

fn fire(to: SocketAddr, captured: &Mutex<Captured>, mut seed: u64, ticks: &mpsc::Receiver<()>) -> Fired {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut buffer = vec![0; 1_600];
    let start = Instant::now();
    let (mut noise, mut mutants, mut due_before) = (0, 0, 0);
    // One millisecond, or until it is over.
    while ticks.recv_timeout(Duration::from_millis(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
        let due = start.elapsed().as_micros() * RATE / 1_000_000;
        for _ in due_before..due {
            let mutant = next(&mut seed).is_multiple_of(2).then(|| mutant(captured, &mut seed, &mut buffer)).flatten();
            let len = mutant.unwrap_or_else(|| job::noise(&mut seed, &mut buffer));
            if socket.send_to(&buffer[..len], to).is_ok() {
                *(if mutant.is_some() { &mut mutants } else { &mut noise }) += 1;
            }
        }
        due_before = due;
    }
    Fired { noise, mutants, elapsed: start.elapsed() }
}

fn mutant(captured: &Mutex<Captured>, seed: &mut u64, buffer: &mut [u8]) -> Option<usize> {
    let captured = captured.lock().expect("nobody panics with it");
    let datagram = captured.any(seed)?;
    buffer[..datagram.len()].copy_from_slice(datagram);
    Some(job::mutate(seed, buffer, datagram.len()))
}
