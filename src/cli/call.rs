//! Calling a peer by a name that may stand for several addresses: each has its turn, and the first that answers is it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use udpair::transport::ConnectError;
use udpair::{Connection, Transport};

use super::exit::{Exit, Failure, in_full};
use super::peer::failure::exit_of_connect;

/// How long an address has to answer before the next one is called beside it; less where the timeout is short.
const STAGGER_MAX: Duration = Duration::from_millis(250);

/// The address to bind to for calls to `addrs`.
pub(crate) fn any_for(addrs: &[SocketAddr]) -> SocketAddr {
    if addrs.iter().all(SocketAddr::is_ipv4) {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        // This one calls both families.
        (Ipv6Addr::UNSPECIFIED, 0).into()
    }
}

/// What came of a call.
type Outcome = Result<Connection, ConnectError>;

/// Calls `addrs`, each a little after the one before, or at once where that has failed, until one answers or `timeout`
/// is over. Those that did not answer first are given up. Blocks.
pub(crate) fn call(
    transport: &Arc<dyn Transport>,
    addrs: &[SocketAddr],
    timeout: Duration,
) -> Result<Connection, Unreached> {
    if let [only] = addrs {
        return Connection::connect(transport, *only).map_err(|error| Unreached::default().and(&error));
    }
    let until = transport.now() + timeout;
    let stagger = STAGGER_MAX.min(timeout / u32::try_from(addrs.len() + 1).unwrap_or(u32::MAX));
    let (tell, told) = mpsc::channel();
    let mut unreached = Unreached::default();
    let mut under_way: Vec<SocketAddr> = Vec::new();
    let mut left = addrs.iter().copied();
    loop {
        let next = left.next();
        if let Some(remote) = next {
            match begin(transport, remote, tell.clone()) {
                Ok(()) => under_way.push(remote),
                Err(source) => unreached = unreached.and(&ConnectError::Io { remote, source }),
            }
        } else if under_way.is_empty() {
            return Err(unreached);
        }
        let remaining = until.saturating_since(transport.now());
        let wait = if next.is_some() { stagger.min(remaining) } else { remaining };
        match told.recv_timeout(wait) {
            Ok((_, Ok(connection))) => return Ok(connection),
            Ok((remote, Err(error))) => {
                under_way.retain(|other| *other != remote);
                unreached = unreached.and(&error);
            }
            // The next one's turn.
            Err(_) if next.is_some() && wait < remaining => {}
            Err(_) => {
                let silent = under_way.into_iter().chain(left).map(|remote| ConnectError::TimedOut { remote });
                return Err(silent.fold(unreached, |unreached, error| unreached.and(&error)));
            }
        }
    }
}

/// Calls on a thread of its own: that a call ends is what only a thread can wait for beside others.
fn begin(
    transport: &Arc<dyn Transport>,
    remote: SocketAddr,
    tell: mpsc::Sender<(SocketAddr, Outcome)>,
) -> io::Result<()> {
    let own = Arc::clone(transport);
    let thread = transport.spawn("udpair-call", move || {
        // Nobody listens any more where another one was first: the connection is dropped then.
        let _ = tell.send((remote, Connection::connect(&own, remote)));
    });
    thread.map(drop)
}

/// Nobody answered: why, for each address.
#[derive(Debug, Default)]
pub(crate) struct Unreached {
    failures: Vec<Failure>,
}

impl Unreached {
    fn and(mut self, error: &ConnectError) -> Self {
        let exit = exit_of_connect(error);
        self.failures.push(Failure::new(exit, in_full(error)));
        self
    }

    /// The same, and a bare socket that could not be connected to `remote`.
    pub(crate) fn and_io(mut self, remote: SocketAddr, error: &io::Error) -> Self {
        self.failures.push(Failure::new(exit_of(error), format!("{remote}: {error}")));
        self
    }

    /// Where they failed in several ways, what tells most of the peer.
    pub(crate) fn exit(&self) -> Exit {
        [Exit::Differs, Exit::SomebodyElse, Exit::Refused, Exit::Timeout, Exit::Permission, Exit::BadAddress]
            .into_iter()
            .find(|exit| self.failures.iter().any(|failure| failure.exit == *exit))
            .unwrap_or(Exit::Other)
    }
}

/// What a failed system call on the way to a peer means.
pub(crate) fn exit_of(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Exit::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::TimedOut => Exit::Timeout,
        // A firewall of this machine's.
        io::ErrorKind::PermissionDenied => Exit::Permission,
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::InvalidInput => Exit::BadAddress,
        _ => Exit::Other,
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, failure) in self.failures.iter().enumerate() {
            write!(f, "{}{}", if at > 0 { "; " } else { "" }, failure.message)?;
        }
        Ok(())
    }
}

impl From<Unreached> for Failure {
    fn from(unreached: Unreached) -> Self {
        Self::new(unreached.exit(), unreached.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};
    use udpair::{Config, Listener};

    /// Longer than anything takes.
    const STUCK: Duration = Duration::from_secs(30);

    type Bind = fn(SocketAddr, Config) -> Result<Arc<dyn Transport>, udpair::transport::BindError>;
    const BACK_ENDS: [Bind; 2] = [udpair::udp::bind, udpair::tcp::bind];

    fn config(connect_timeout: Duration) -> Config {
        let mut config = Config::insecure_plain();
        config.connect_timeout = connect_timeout;
        config
    }

    fn loopback() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    /// Bound, and silent, over both.
    fn silent() -> (UdpSocket, TcpListener, SocketAddr) {
        loop {
            let tcp = TcpListener::bind(loopback()).unwrap();
            let addr = tcp.local_addr().unwrap();
            if let Ok(udp) = UdpSocket::bind(addr) {
                return (udp, tcp, addr);
            }
        }
    }

    fn closed() -> SocketAddr {
        silent().2
    }

    #[test]
    fn a_name_whose_first_addresses_do_not_answer_is_reached_at_another() {
        for bind in BACK_ENDS {
            let listener = Listener::new(bind(loopback(), config(STUCK)).unwrap());
            let (_udp, _tcp, silent) = silent();
            let addrs = [closed(), silent, listener.local_addr(), closed()];
            let client = bind(any_for(&addrs), config(STUCK)).unwrap();
            let connection = call(&client, &addrs, STUCK).unwrap();
            assert_eq!(connection.peer_addr(), Some(listener.local_addr()));
        }
    }

    #[test]
    fn every_address_that_failed_is_named() {
        for bind in BACK_ENDS {
            let (_udp, _tcp, silent) = silent();
            let (one, other) = (closed(), closed());
            // Over UDP it takes half a second until a refusal is believed.
            let timeout = Duration::from_secs(1);
            let client = bind(loopback(), config(STUCK)).unwrap();
            let unreached = call(&client, &[one, silent, other], timeout).unwrap_err();
            let text = unreached.to_string();
            for addr in [one, silent, other] {
                assert_eq!(text.matches(&addr.to_string()).count(), 1, "{text}");
            }
            assert_eq!(unreached.exit(), Exit::Refused);
            assert!(text.contains(&format!("{silent} did not answer in time")), "{text}");
        }
    }

    #[test]
    fn calls_end_with_the_timeout_however_many_there_are() {
        for bind in BACK_ENDS {
            let (_udp, _tcp, silent) = silent();
            let client = bind(loopback(), config(STUCK)).unwrap();
            let unreached = call(&client, &[silent; 5], Duration::from_millis(200)).unwrap_err();
            assert_eq!((unreached.failures.len(), unreached.exit()), (5, Exit::Timeout));
        }
    }

    #[test]
    fn both_families_are_called_from_one_address() {
        let (v4, v6): (SocketAddr, SocketAddr) = ("127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap());
        assert!(any_for(&[v4]).is_ipv4() && any_for(&[v6]).is_ipv6() && any_for(&[v4, v6]).is_ipv6());
    }
}
