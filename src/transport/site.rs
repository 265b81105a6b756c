//! The machine that pairing runs on: this one, or a simulated host.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;

use super::discovery::{Medium, Sockets, interfaces};
use super::driven::Joining;
use super::{BindError, Config, clock, random, tcp, udp};
use crate::pairing::{Carrier, Interface};
use crate::time::Timestamp;

/// The shortest time that a TCP connection is given: the standard library takes none at all for a mistake.
const TCP_CONNECT_MIN: Duration = Duration::from_millis(1);

/// What pairing needs of a machine.
pub(super) trait Site: fmt::Debug + Send + Sync {
    /// The clock of its transports, too.
    fn now(&self) -> Timestamp;

    /// Random bytes that nobody can predict; in a simulated world, who has the seed can.
    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()>;

    /// Whether keys that come from a simulation's seed are good for anything on it.
    fn takes_simulated_keys(&self) -> bool {
        false
    }

    /// Its network interfaces.
    fn interfaces(&self) -> io::Result<Vec<Interface>>;

    /// The sockets of one discovery, none open yet.
    fn medium(&self) -> io::Result<Box<dyn Medium>>;

    /// Binds a transport.
    fn open(&self, carrier: Carrier, addr: SocketAddr, config: &Config) -> Result<Arc<dyn Joining>, BindError>;

    /// The addresses of a host by its name. Blocks.
    fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;

    /// Tries whether `address` takes a TCP connection, for at most `timeout`, and calls `over`, from any thread, when
    /// that is known; never where this fails. Does not block.
    fn try_tcp(&self, address: SocketAddr, timeout: Duration, over: Over) -> io::Result<()>;
}

/// Called with what became of a TCP connection.
pub(super) type Over = Box<dyn FnOnce(io::Result<()>) + Send>;

/// This machine.
#[derive(Debug)]
pub(super) struct System;

impl Site for System {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        random::fill(bytes)
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        interfaces()
    }

    fn medium(&self) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(Sockets::closed()?))
    }

    fn open(&self, carrier: Carrier, addr: SocketAddr, config: &Config) -> Result<Arc<dyn Joining>, BindError> {
        match carrier {
            Carrier::Udp => udp::open(addr, config),
            Carrier::Tcp => tcp::open(addr, config),
        }
    }

    fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((name, port).to_socket_addrs()?.collect())
    }

    fn try_tcp(&self, address: SocketAddr, timeout: Duration, over: Over) -> io::Result<()> {
        let timeout = timeout.max(TCP_CONNECT_MIN);
        let call = move || over(TcpStream::connect_timeout(&address, timeout).map(drop));
        clock::spawn("udpair-race", Box::new(call)).map(drop)
    }
}
