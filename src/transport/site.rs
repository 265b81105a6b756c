//! The machine that pairing runs on: this one, or a simulated host.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, mpsc};

use rand::TryRng as _;
use rand::rngs::SysRng;

use super::discovery::{Medium, Sockets, interfaces};
use super::driven::Joining;
use super::{BindError, Config, clock, tcp, udp};
use crate::pairing::{Carrier, Interface};
use crate::time::Timestamp;

/// How long a TCP connection to a candidate may take.
const TCP_CONNECT_MAX: Duration = Duration::from_secs(2);

/// What pairing needs of a machine.
pub(super) trait Site: fmt::Debug + Send + Sync {
    /// The clock of its transports, too.
    fn now(&self) -> Timestamp;

    /// Random bytes that nobody can predict; in a simulated world, who has the seed can.
    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()>;

    /// Its network interfaces.
    fn interfaces(&self) -> io::Result<Vec<Interface>>;

    /// The sockets of one discovery, none open yet.
    fn medium(&self) -> io::Result<Box<dyn Medium>>;

    /// Binds a transport.
    fn open(&self, carrier: Carrier, addr: SocketAddr, config: &Config) -> Result<Arc<dyn Joining>, BindError>;

    /// The addresses of a host by its name. Blocks.
    fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;

    /// The place of the first of several addresses that takes a TCP connection; `None` where none does in
    /// 2 s. Blocks. The connection only showed the way; the conversation has its own.
    fn race(&self, addresses: &[SocketAddr]) -> Option<usize>;
}

/// This machine.
#[derive(Debug)]
pub(super) struct System;

impl Site for System {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        SysRng.try_fill_bytes(bytes).map_err(io::Error::other)
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

    fn race(&self, addresses: &[SocketAddr]) -> Option<usize> {
        let (tell, told) = mpsc::channel();
        let give_up = clock::now() + TCP_CONNECT_MAX;
        for (place, address) in addresses.iter().copied().enumerate() {
            let tell = tell.clone();
            let race = move || {
                if TcpStream::connect_timeout(&address, TCP_CONNECT_MAX).is_ok() {
                    // Nobody listens any more where another was faster.
                    let _late = tell.send(place);
                }
            };
            // Where there is no thread to be had there is one candidate less.
            let _fewer = clock::spawn("udpair-race", Box::new(race));
        }
        drop(tell);
        told.recv_timeout(give_up.saturating_since(clock::now())).ok()
    }
}
