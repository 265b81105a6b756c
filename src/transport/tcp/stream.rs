//! A socket and what of it is polled.

use core::net::SocketAddr;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::event::epoll::{self, EventData, EventFlags};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::transport::ConnectError;
use crate::transport::buffers::Buffers;

/// What is polled of a stream. Errors and the end of both directions are, wherever anything is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Watched {
    input: bool,
    output: bool,
}

impl Watched {
    const fn is_any(self) -> bool {
        self.input || self.output
    }

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN | EventFlags::RDHUP, self.input);
        flags.set(EventFlags::OUT, self.output);
        flags
    }
}

/// A TCP socket that never blocks.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) socket: TcpStream,
    pub(super) key: u64,
    connecting: AtomicBool,
    watched: Mutex<Watched>,
}

impl Stream {
    /// One that a listener gave.
    pub(super) fn accepted(socket: TcpStream, key: u64, buffers: Buffers) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        set_options(&SockRef::from(&socket), buffers)?;
        Ok(Self { socket, key, connecting: AtomicBool::new(false), watched: Mutex::default() })
    }

    /// Begins to connect from `local`, any port, to `remote`.
    pub(super) fn connect(
        local: SocketAddr,
        remote: SocketAddr,
        key: u64,
        buffers: Buffers,
    ) -> Result<Self, ConnectError> {
        let matches = local.is_ipv4() == remote.is_ipv4() || (local.ip().is_unspecified() && local.is_ipv6());
        let ip = remote.ip();
        if !matches || remote.port() == 0 || ip.is_unspecified() || ip.is_multicast() {
            return Err(ConnectError::Address { remote, local });
        }
        let io = |source| ConnectError::Io { remote, source };
        let socket = Socket::new(Domain::for_address(remote), Type::STREAM, Some(Protocol::TCP)).map_err(io)?;
        socket.set_nonblocking(true).map_err(io)?;
        set_options(&socket, buffers).map_err(io)?;
        if !local.ip().is_unspecified() {
            let mut from = local;
            from.set_port(0);
            socket.bind(&from.into()).map_err(io)?;
        }
        match socket.connect(&remote.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                return Err(ConnectError::Unreachable { remote });
            }
            Err(error) => return Err(io(error)),
        }
        Ok(Self { socket: socket.into(), key, connecting: AtomicBool::new(true), watched: Mutex::default() })
    }

    /// True until the attempt to connect is over.
    pub(super) fn is_connecting(&self) -> bool {
        self.connecting.load(Ordering::Relaxed)
    }

    /// The attempt to connect is over; this says how it went.
    pub(super) fn connected(&self) -> io::Result<()> {
        self.connecting.store(false, Ordering::Relaxed);
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        // A call to a port of this machine that nobody listens on may meet itself (TCP's simultaneous open).
        if self.socket.local_addr()? == self.socket.peer_addr()? {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        Ok(())
    }

    /// From now on input is polled, or not.
    pub(super) fn watch_input(&self, epoll: &OwnedFd, input: bool) -> io::Result<()> {
        self.watch(epoll, |watched| Watched { input, ..watched })
    }

    /// From now on room for output is polled, or not.
    pub(super) fn watch_output(&self, epoll: &OwnedFd, output: bool) -> io::Result<()> {
        self.watch(epoll, |watched| Watched { output, ..watched })
    }

    /// True while input is polled.
    pub(super) fn watches_input(&self) -> bool {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).input
    }

    /// Nothing is polled any more.
    pub(super) fn unwatch(&self, epoll: &OwnedFd) {
        // Fails only where it is not polled anyway.
        let _ = self.watch(epoll, |_| Watched::default());
    }

    fn watch(&self, epoll: &OwnedFd, change: impl FnOnce(Watched) -> Watched) -> io::Result<()> {
        // Held over the system call: the threads with the two tokens may both be here.
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let new = change(*watched);
        if new == *watched {
            return Ok(());
        }
        let data = EventData::new_u64(self.key);
        match (watched.is_any(), new.is_any()) {
            (false, _) => epoll::add(epoll, &self.socket, data, new.flags())?,
            (true, true) => epoll::modify(epoll, &self.socket, data, new.flags())?,
            (true, false) => epoll::delete(epoll, &self.socket)?,
        }
        *watched = new;
        Ok(())
    }
}

/// Sets what every socket has. To be done before a socket connects or listens, for the window's scale is settled then.
pub(super) fn set_options(socket: &Socket, buffers: Buffers) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    buffers.set(socket)
}
