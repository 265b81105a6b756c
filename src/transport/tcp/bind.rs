//! From an address and a configuration to a transport.

use ::core::net::SocketAddr;
use std::io;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use super::core::TcpCore;
use super::io::{Rx, TcpIo, Tx};
use super::stream::set_options;
use crate::transport::buffers::Buffers;
use crate::transport::driven::{Driven, Joining, Verbs};
use crate::transport::{BindError, Config, Transport, random};

/// Connections that may wait in the kernel until the library has looked at them.
const LISTEN_MAX: i32 = 1024;

/// Binds a transport over TCP to `addr`; port 0 is any that is free. With a [`Config::backlog`] above 0 it listens
/// there; calls of its own go out from the same IP address, if it names one, and from other ports. Does not block.
///
/// # Errors
/// Where the address cannot be had, or a value of the configuration cannot be.
pub fn bind(addr: SocketAddr, config: Config) -> Result<Arc<dyn Transport>, BindError> {
    let joining: Arc<dyn Joining> = open(addr, &config)?;
    Ok(joining)
}

/// As [`bind`], for pairing.
pub(in crate::transport) fn open(addr: SocketAddr, config: &Config) -> Result<Arc<dyn Joining>, BindError> {
    config.check_key(addr)?;
    start(addr, config)
        .map(|driven| Arc::new(Verbs(driven)) as Arc<dyn Joining>)
        .map_err(|error| BindError::from_io(addr, error))
}

fn start(addr: SocketAddr, config: &Config) -> io::Result<Driven<TcpIo>> {
    let asked = Buffers { send: config.send_buffer, receive: config.receive_buffer };
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Connections of a program that ran here before may still be on their way out.
    socket.set_reuse_address(true)?;
    set_options(&socket, asked)?;
    socket.bind(&addr.into())?;
    let listens = config.backlog > 0;
    if listens {
        socket.listen(LISTEN_MAX)?;
    }
    let given = (socket.send_buffer_size().ok(), socket.recv_buffer_size().ok());
    let controller =
        socket.tcp_congestion().ok().map(|name| String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned());
    let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    // Without a listener the socket only finds out whether the address is this machine's, and which port it would be.
    let io = TcpIo::new(listens.then(|| socket.into()), local, asked, given)?;
    let seed = random::seed()?;
    let core = TcpCore::new(config, config.security.clone(), &seed, controller);
    Driven::start(io, core, (Rx::new(), Tx::default()), config.limits.mended(), config.busy_poll)
}
