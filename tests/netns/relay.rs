//! A relay before a listening port: it keeps what clients send, and mutates some of it on its way.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::job::{self, next};

/// The first byte of a plain packet of a handshake and of data; the second byte of HELLO and of HELLO2.
const HANDSHAKE: u8 = 0x10;
const DATA: u8 = 0x11;
const HELLO: u8 = 1;
const HELLO2: u8 = 3;

/// Datagrams of each kind that are kept, the newest.
const KEPT_MAX: usize = 64;
/// Longer ones are not kept: ten thousand of them a second would be a test of the memory bus.
const KEPT_LEN_MAX: usize = 1_500;
/// One in so many is mutated on its way.
const MUTATED_OF: u64 = 50;

/// What clients sent, by kind: HELLO, HELLO2, data.
#[derive(Debug, Default)]
pub(crate) struct Captured([VecDeque<Vec<u8>>; 3]);

impl Captured {
    fn keep(&mut self, datagram: &[u8]) {
        let kind = match *datagram {
            [HANDSHAKE, HELLO, ..] => 0,
            [HANDSHAKE, HELLO2, ..] => 1,
            [DATA, ..] => 2,
            _ => return,
        };
        if datagram.len() > KEPT_LEN_MAX {
            return;
        }
        if self.0[kind].len() == KEPT_MAX {
            self.0[kind].pop_front();
        }
        self.0[kind].push_back(datagram.to_vec());
    }

    /// True when there is one of each kind.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.iter().all(|kind| !kind.is_empty())
    }

    /// One of them, of each kind as often.
    pub(crate) fn any(&self, seed: &mut u64) -> Option<&[u8]> {
        let kind = &self.0[usize::try_from(next(seed) % 3).expect("small")];
        let at = usize::try_from(next(seed)).ok()?.checked_rem(kind.len())?;
        kind.get(at).map(Vec::as_slice)
    }
}

/// See the module. Ends when dropped.
pub(crate) struct Relay {
    /// Where clients call.
    pub(crate) address: SocketAddr,
    pub(crate) captured: Arc<Mutex<Captured>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    /// Relays one client after the other to `to`.
    pub(crate) fn start(to: &str, seed: u64) -> Self {
        let bind = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.set_read_timeout(Some(Duration::from_millis(50))).expect("an option");
            socket
        };
        let (front, back) = (bind(), bind());
        back.connect(to).expect("an address");
        let address = front.local_addr().expect("it is bound");
        let over = Arc::new(AtomicBool::new(false));
        let captured = Arc::<Mutex<Captured>>::default();
        let client = Arc::new(Mutex::new(None));
        let copies = (front.try_clone().expect("a descriptor"), back.try_clone().expect("a descriptor"));
        let there = {
            let (over, captured, client) = (Arc::clone(&over), Arc::clone(&captured), Arc::clone(&client));
            move || relay_there(&over, &front, &back, &client, &captured, seed)
        };
        let back_again = {
            let over = Arc::clone(&over);
            move || relay_back(&over, &copies.1, &copies.0, &client)
        };
        let threads = vec![std::thread::spawn(there), std::thread::spawn(back_again)];
        Self { address, captured, over, threads }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn relay_there(
    over: &AtomicBool,
    front: &UdpSocket,
    back: &UdpSocket,
    client: &Mutex<Option<SocketAddr>>,
    captured: &Mutex<Captured>,
    mut seed: u64,
) {
    let mut buffer = vec![0; 1 << 16];
    while !over.load(Ordering::Relaxed) {
        let Ok((len, from)) = front.recv_from(&mut buffer) else { continue };
        *client.lock().expect("nobody panics here") = Some(from);
        captured.lock().expect("nobody panics here").keep(&buffer[..len]);
        let len =
            if next(&mut seed).is_multiple_of(MUTATED_OF) { job::mutate(&mut seed, &mut buffer, len) } else { len };
        // What does not go is lost, as on any way.
        let _ = back.send(&buffer[..len]);
    }
}

fn relay_back(over: &AtomicBool, back: &UdpSocket, front: &UdpSocket, client: &Mutex<Option<SocketAddr>>) {
    let mut buffer = vec![0; 1 << 16];
    while !over.load(Ordering::Relaxed) {
        let Ok(len) = back.recv(&mut buffer) else { continue };
        if let Some(client) = *client.lock().expect("nobody panics here") {
            let _ = front.send_to(&buffer[..len], client);
        }
    }
}
