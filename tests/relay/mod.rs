//! A way over loopback that sees all that passes, and may change it: whoever sits between two sides on their network.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Who wrote what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Caller,
    Listener,
}

/// What passes, as it was written: each datagram, or each piece of a stream.
pub(crate) type Seen = Vec<(Side, Vec<u8>)>;

type Change = dyn FnMut(Side, &mut Vec<u8>) + Send;

#[derive(Clone)]
struct Watch {
    seen: Arc<Mutex<Seen>>,
    change: Arc<Mutex<Box<Change>>>,
}

impl Watch {
    fn new(change: impl FnMut(Side, &mut Vec<u8>) + Send + 'static) -> Self {
        Self { seen: Arc::default(), change: Arc::new(Mutex::new(Box::new(change))) }
    }

    fn pass(&self, side: Side, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        self.seen.lock().unwrap().push((side, bytes.clone()));
        (self.change.lock().unwrap())(side, &mut bytes);
        bytes
    }
}

/// See the module. Nothing passes any more when it is dropped.
pub(crate) struct Relay {
    /// What the caller calls instead of the listener.
    pub(crate) addr: SocketAddr,
    watch: Watch,
    stop: Option<Box<dyn FnOnce() + Send>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// One socket for both directions, and whoever is not the listener is the caller.
    pub(crate) fn over_udp(listener: SocketAddr, change: impl FnMut(Side, &mut Vec<u8>) + Send + 'static) -> Self {
        let watch = Watch::new(change);
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let addr = socket.local_addr().unwrap();
        let (relaying, watching) = (Arc::clone(&socket), watch.clone());
        let thread = std::thread::spawn(move || {
            let (mut caller, mut buf) = (None, vec![0; 65_536]);
            while let Ok((len, from)) = relaying.recv_from(&mut buf) {
                if from == addr {
                    return;
                }
                let (side, to) = if from == listener {
                    (Side::Listener, caller)
                } else {
                    caller = Some(from);
                    (Side::Caller, Some(listener))
                };
                let bytes = watching.pass(side, &buf[..len]);
                // A datagram that does not get through is a lost one.
                let _ = to.map(|to| relaying.send_to(&bytes, to));
            }
        });
        let stop = move || {
            socket.send_to(&[], addr).unwrap();
        };
        Self { addr, watch, stop: Some(Box::new(stop)), thread: Some(thread) }
    }

    /// Any number of streams, each of which gets one to the listener.
    pub(crate) fn over_tcp(listener: SocketAddr, change: impl FnMut(Side, &mut Vec<u8>) + Send + 'static) -> Self {
        let watch = Watch::new(change);
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = socket.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let (watching, ending) = (watch.clone(), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut carriers = Vec::new();
            let mut streams = Vec::new();
            for near in socket.incoming().map_while(Result::ok) {
                if ending.load(Ordering::SeqCst) {
                    break;
                }
                let far = TcpStream::connect(listener).unwrap();
                for (side, from, to) in [(Side::Caller, &near, &far), (Side::Listener, &far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let watch = watching.clone();
                    carriers.push(std::thread::spawn(move || carry(side, from, to, &watch)));
                }
                streams.extend([near, far]);
            }
            for stream in &streams {
                let _ = stream.shutdown(Shutdown::Both);
            }
            carriers.into_iter().for_each(|carrier| carrier.join().unwrap());
        });
        let stop = move || {
            over.store(true, Ordering::SeqCst);
            let _ = TcpStream::connect(addr);
        };
        Self { addr, watch, stop: Some(Box::new(stop)), thread: Some(thread) }
    }

    /// All that has passed so far.
    pub(crate) fn seen(&self) -> Seen {
        self.watch.seen.lock().unwrap().clone()
    }
}

fn carry(side: Side, mut from: TcpStream, mut to: TcpStream, watch: &Watch) {
    let mut buf = vec![0; 65_536];
    while let Ok(len @ 1..) = from.read(&mut buf) {
        if to.write_all(&watch.pass(side, &buf[..len])).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
        let thread = self.thread.take().map(JoinHandle::join);
        if let Some(Err(panic)) = thread
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}
