//! Two transports that can reach each other, and what every case needs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use udpair::message::End;
use udpair::sim::{Host, Sim};
use udpair::transport::{BindError, JoinHandle, RecvError};
use udpair::{Config, Connection, Listener, Message, Transport};

use crate::loopback::apart;
use crate::path::Path;
use crate::security::Security;

/// Longer than anything takes: only a bug waits for it.
pub(crate) const STUCK: Duration = Duration::from_secs(60);
/// A timeout that is meant to come.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

type Bind = Arc<dyn Fn(SocketAddr, Config) -> Result<Arc<dyn Transport>, BindError> + Send + Sync>;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Two transports of one kind, on one network.
pub(crate) struct Pair {
    pub(crate) server: Arc<dyn Transport>,
    pub(crate) client: Arc<dyn Transport>,
    pub(crate) kind: Kind,
    pub(crate) security: Security,
    bind: Bind,
}

/// What is below, for the few cases that need to go around it.
#[derive(Clone)]
pub(crate) enum Kind {
    Udp,
    Tcp,
    Sim(Host),
}

pub(crate) fn over_udp(case: fn(Pair), security: Security) {
    case(Pair::new(Kind::Udp, security, Arc::new(udpair::udp::bind)));
}

pub(crate) fn over_tcp(case: fn(Pair), security: Security) {
    case(Pair::new(Kind::Tcp, security, Arc::new(udpair::tcp::bind)));
}

pub(crate) fn over_sim(case: fn(Pair), security: Security) {
    let sim = Sim::new(1);
    let host = sim.host("host");
    sim.spawn(&host, move |host| {
        let kind = Kind::Sim(host.clone());
        let bind = move |addr: SocketAddr, config| {
            // A simulated host has no address that it shares with all others.
            let own = if addr.ip().is_loopback() { host.addr(addr.port()) } else { addr };
            host.bind(own, config)
        };
        case(Pair::new(kind, security, Arc::new(bind)));
        Ok(())
    });
    sim.run().unwrap_or_else(|error| panic!("{error}"));
}

impl Pair {
    fn new(kind: Kind, security: Security, bind: Bind) -> Self {
        let transport = || bind(ANY, security.config()).expect("any address of this host");
        Self { server: transport(), client: transport(), kind, security, bind }
    }

    /// Binds another transport of the same kind to an address.
    pub(crate) fn bind(&self, addr: SocketAddr) -> Result<Arc<dyn Transport>, BindError> {
        (self.bind)(addr, self.security.config())
    }

    /// Another transport of the same kind.
    pub(crate) fn another(&self, change: impl FnOnce(&mut Config)) -> Arc<dyn Transport> {
        let mut config = self.security.config();
        change(&mut config);
        (self.bind)(ANY, config).expect("any address of this host")
    }

    /// As [`another`](Self::another), at an address that is no other socket's: it stays free when this one is gone.
    pub(crate) fn another_apart(&self) -> Arc<dyn Transport> {
        self.bind(apart()).expect("an address of this host")
    }

    /// The same pair with other settings.
    pub(crate) fn with(self, change: impl Fn(&mut Config)) -> Self {
        Self { server: self.another(&change), client: self.another(&change), ..self }
    }

    /// A connection, from both ends: the client's, the server's.
    pub(crate) fn connect(&self) -> (Connection, Connection) {
        self.connect_at(self.server.local_addr())
    }

    /// As [`connect`](Self::connect), where the client calls `addr` to reach the server.
    pub(crate) fn connect_at(&self, addr: SocketAddr) -> (Connection, Connection) {
        let client = Connection::connect(&self.client, addr).expect("the server listens");
        let server = Listener::new(Arc::clone(&self.server)).accept_timeout(STUCK).expect("the client has called");
        (client, server)
    }

    /// A way to the server that can be cut.
    pub(crate) fn path(&self) -> Path {
        let server = self.server.local_addr();
        match &self.kind {
            Kind::Udp => Path::over_udp(server),
            Kind::Tcp => Path::over_tcp(server),
            Kind::Sim(host) => Path::over_sim(server, host.clone()),
        }
    }

    /// Runs `main` on a thread of the server's.
    pub(crate) fn beside<T: Send + 'static>(&self, main: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.server.spawn("beside", main).expect("a thread")
    }
}

/// Bytes that tell where they belong.
pub(crate) fn content(seed: usize, len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from((at * 31 + at / 256 * 7 + seed * 17) % 251).expect("below 256")).collect()
}

/// The next message, with its content read to the end.
pub(crate) fn receive(conn: &Connection) -> Bytes {
    bytes_of(conn.recv_timeout(STUCK).expect("a message"))
}

pub(crate) fn receive_on(conn: &Connection, channel: u16) -> Bytes {
    bytes_of(conn.recv_on_timeout(channel, STUCK).expect("a message"))
}

pub(crate) fn bytes_of(message: Message) -> Bytes {
    message.into_bytes(1 << 30).expect("the message's content")
}

/// The end that a connection comes to, everything that arrived before being received.
pub(crate) fn end_of(conn: &Connection) -> End {
    loop {
        match conn.recv_timeout(STUCK) {
            Ok(_) => {}
            Err(RecvError::Ended(end)) => return end,
            Err(error) => panic!("{error}"),
        }
    }
}
