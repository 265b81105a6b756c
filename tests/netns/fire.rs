//! Ten thousand datagrams a second of noise and of mutants at a port, paced by the clock.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::job::{self, next};
use crate::relay::Captured;

/// How many datagrams fall due a second. A busy machine fires fewer: whoever wants a number of them counts.
pub(crate) const RATE: u64 = 10_000;

/// What the kernel has taken so far.
#[derive(Debug, Default)]
pub(crate) struct Fired {
    pub(crate) noise: AtomicU64,
    pub(crate) mutants: AtomicU64,
}

/// Fires on a thread of its own until told to stop.
pub(crate) struct Fire {
    pub(crate) fired: Arc<Fired>,
    started: Instant,
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Fire {
    pub(crate) fn at(to: &str, captured: Arc<Mutex<Captured>>, seed: u64) -> Self {
        let to = to.parse().expect("an address");
        let (stop, ticks) = mpsc::channel();
        let fired = Arc::<Fired>::default();
        let counts = Arc::clone(&fired);
        let thread = std::thread::spawn(move || fire(to, &captured, seed, &ticks, &counts));
        Self { fired, started: Instant::now(), stop, thread }
    }

    /// Whether at least so many of each kind have been fired.
    pub(crate) fn has_fired(&self, of_each: u64) -> bool {
        [&self.fired.noise, &self.fired.mutants].iter().all(|count| count.load(Ordering::Relaxed) >= of_each)
    }

    /// Says what was fired.
    pub(crate) fn stop(self) -> String {
        let elapsed = self.started.elapsed();
        drop(self.stop);
        self.thread.join().expect("it does not panic");
        let [noise, mutants] = [&self.fired.noise, &self.fired.mutants].map(|count| count.load(Ordering::Relaxed));
        let rate = (noise + mutants) as f64 / elapsed.as_secs_f64();
        format!("{rate:.0} datagrams a second: {noise} of noise, {mutants} mutants")
    }
}

fn fire(to: SocketAddr, captured: &Mutex<Captured>, mut seed: u64, ticks: &mpsc::Receiver<()>, fired: &Fired) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut buffer = vec![0; 1_600];
    let start = Instant::now();
    let mut due_before = 0;
    // One millisecond, or until it is over.
    while ticks.recv_timeout(Duration::from_millis(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
        let due = start.elapsed().as_micros() * u128::from(RATE) / 1_000_000;
        for _ in due_before..due {
            let mutant = next(&mut seed).is_multiple_of(2).then(|| mutant(captured, &mut seed, &mut buffer)).flatten();
            let len = mutant.unwrap_or_else(|| job::noise(&mut seed, &mut buffer));
            if socket.send_to(&buffer[..len], to).is_ok() {
                let count = if mutant.is_some() { &fired.mutants } else { &fired.noise };
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        due_before = due;
    }
}

fn mutant(captured: &Mutex<Captured>, seed: &mut u64, buffer: &mut [u8]) -> Option<usize> {
    let captured = captured.lock().expect("nobody panics with it");
    let datagram = captured.any(seed)?;
    buffer[..datagram.len()].copy_from_slice(datagram);
    Some(job::mutate(seed, buffer, datagram.len()))
}
