//! A way to the server that can be cut, so that each side falls silent for the other: nobody closes anything, nobody
//! is told. Real sockets get a relay, the simulated network a rule.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use udpair::sim::{Host, Verdict};

/// The way of one client; cut when it is dropped.
pub(crate) struct Path {
    /// What the client calls instead of the server.
    pub(crate) addr: SocketAddr,
    cut: Box<dyn Fn() + Send>,
    end: Option<Box<dyn FnOnce() + Send>>,
}

impl Path {
    /// Nothing passes from now on, in either direction.
    pub(crate) fn cut(&self) {
        (self.cut)();
    }

    /// One socket for both directions, and whoever is not the server is the client.
    pub(crate) fn over_udp(server: SocketAddr) -> Self {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let addr = socket.local_addr().unwrap();
        let relaying = Arc::clone(&socket);
        let relay = std::thread::spawn(move || {
            let (mut client, mut buf) = (None, vec![0; 65_536]);
            while let Ok((len, from)) = relaying.recv_from(&mut buf) {
                if from == addr {
                    return;
                }
                let to = if from == server {
                    client
                } else {
                    client = Some(from);
                    Some(server)
                };
                // A datagram that does not get through is a lost one.
                let _ = to.map(|to| relaying.send_to(&buf[..len], to));
            }
        });
        let relay = Mutex::new(Some(relay));
        // Its own datagram stops it. The socket stays: the port shall be silent, not unreachable.
        let cut = move || {
            if let Some(relay) = relay.lock().unwrap().take() {
                socket.send_to(&[], addr).unwrap();
                relay.join().unwrap();
            }
        };
        Self { addr, cut: Box::new(cut), end: None }
    }

    /// Both streams stay open when it is cut, and what comes is read and thrown away.
    pub(crate) fn over_tcp(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let is_cut = Arc::new(AtomicBool::new(false));
        let over = Arc::new(AtomicBool::new(false));
        let own = (Arc::clone(&is_cut), Arc::clone(&over));
        let relay = std::thread::spawn(move || {
            let (is_cut, over) = own;
            let near = listener.accept().unwrap().0;
            if over.load(Ordering::SeqCst) {
                return (near, None);
            }
            let far = TcpStream::connect(server).unwrap();
            for (from, to) in [(&near, &far), (&far, &near)] {
                carry(from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(&is_cut));
            }
            (near, Some(far))
        });
        let end = move || {
            over.store(true, Ordering::SeqCst);
            end_relay(relay, addr);
        };
        let cut = move || is_cut.store(true, Ordering::SeqCst);
        Self { addr, cut: Box::new(cut), end: Some(Box::new(end)) }
    }

    /// A rule that drops whatever is sent by anybody, until the path is dropped.
    pub(crate) fn over_sim(server: SocketAddr, host: Host) -> Self {
        let rules = Arc::new(Mutex::new(Vec::new()));
        let (cutting, ending) = ((Arc::clone(&rules), host.clone()), (rules, host));
        let cut = move || {
            let rule = cutting.1.network(|network| network.add_rule(|_| Verdict::Drop));
            cutting.0.lock().unwrap().push(rule);
        };
        let end = move || {
            for rule in ending.0.lock().unwrap().drain(..) {
                ending.1.network(|network| network.remove_rule(rule));
            }
        };
        Self { addr: server, cut: Box::new(cut), end: Some(Box::new(end)) }
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        self.cut();
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, is_cut: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut buf = vec![0; 65_536];
        while let Ok(len @ 1..) = from.read(&mut buf) {
            if !is_cut.load(Ordering::SeqCst) && to.write_all(&buf[..len]).is_err() {
                break;
            }
        }
        // Where the way is cut, not even this gets through.
        if !is_cut.load(Ordering::SeqCst) {
            let _ = to.shutdown(Shutdown::Write);
        }
    });
}

/// Where nobody has called, it waits for that still.
fn end_relay(relay: JoinHandle<(TcpStream, Option<TcpStream>)>, addr: SocketAddr) {
    let _ = TcpStream::connect(addr);
    // It has panicked where the server was gone: the case has said what it had to say.
    let Ok((near, far)) = relay.join() else { return };
    for stream in std::iter::once(near).chain(far) {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
