//! Accepting connections.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use super::{AcceptError, Answer, Connection, Interest, Transport, WaitError};
use crate::slots::ConnectionId;
use crate::time::Timestamp;

/// Takes the connections that peers establish to a transport. Any number of threads may accept at once.
///
/// So many may be established and not yet taken as [`Config::backlog`](super::Config::backlog) says (default 128);
/// whoever comes then is refused as busy. A call that times out has taken nothing. Dropping a listener closes nothing.
pub struct Listener {
    transport: Arc<dyn Transport>,
}

impl Listener {
    /// Listens on `transport`, which must have been bound with a backlog above 0; else every call says
    /// [`AcceptError::NotListening`]. Does not block.
    #[must_use]
    pub const fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// Waits for the next connection and takes it. Blocks.
    ///
    /// # Errors
    /// [`AcceptError::NotListening`]; [`AcceptError::Broken`] where the transport itself failed.
    pub fn accept(&self) -> Result<Connection, AcceptError> {
        Ok(self.incoming()?.accept())
    }

    /// As [`accept`](Self::accept), for at most `timeout`.
    ///
    /// # Errors
    /// As [`accept`](Self::accept), and [`AcceptError::TimedOut`].
    pub fn accept_timeout(&self, timeout: Duration) -> Result<Connection, AcceptError> {
        Ok(self.incoming_timeout(timeout)?.accept())
    }

    /// Takes the next connection if one is there, else `None`. Does not block.
    ///
    /// # Errors
    /// [`AcceptError::NotListening`].
    pub fn try_accept(&self) -> Result<Option<Connection>, AcceptError> {
        Ok(self.try_incoming()?.map(Incoming::accept))
    }

    /// Waits for the next connection, to be looked at before it is answered. Blocks.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn incoming(&self) -> Result<Incoming, AcceptError> {
        self.next(None)
    }

    /// As [`incoming`](Self::incoming), for at most `timeout`.
    ///
    /// # Errors
    /// As [`accept`](Self::accept), and [`AcceptError::TimedOut`].
    pub fn incoming_timeout(&self, timeout: Duration) -> Result<Incoming, AcceptError> {
        self.next(Some(self.transport.now() + timeout))
    }

    /// The next connection if one is there, else `None`. Does not block.
    ///
    /// # Errors
    /// [`AcceptError::NotListening`].
    pub fn try_incoming(&self) -> Result<Option<Incoming>, AcceptError> {
        let id = self.transport.incoming()?;
        Ok(id.map(|id| Incoming { transport: Arc::clone(&self.transport), id, answered: false }))
    }

    /// The address that peers call. Does not block.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.transport.local_addr()
    }

    /// The transport that it listens on. Does not block.
    #[must_use]
    pub const fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    fn next(&self, until: Option<Timestamp>) -> Result<Incoming, AcceptError> {
        loop {
            if let Some(incoming) = self.try_incoming()? {
                return Ok(incoming);
            }
            self.transport.wait(&[Interest::Incoming], until).map_err(|error| match error {
                WaitError::TimedOut => AcceptError::TimedOut,
                WaitError::Broken(kind) => AcceptError::Broken(kind),
            })?;
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("local_addr", &self.local_addr()).finish_non_exhaustive()
    }
}

/// A connection that a peer established and nobody has answered: it counts against the backlog until then. Dropping it
/// refuses it with code 0, and never blocks.
pub struct Incoming {
    transport: Arc<dyn Transport>,
    id: ConnectionId,
    answered: bool,
}

impl Incoming {
    /// Takes the connection. Does not block.
    #[must_use]
    pub fn accept(mut self) -> Connection {
        self.answered = true;
        self.transport.answer(self.id, Answer::Accept);
        Connection::new(Arc::clone(&self.transport), self.id)
    }

    /// Does not take it: the peer's `connect`, or whatever it calls next, ends with `code`. Does not block.
    /// `spec/message.md`, section "The end".
    pub fn refuse(mut self, code: u32) {
        self.answered = true;
        self.transport.answer(self.id, Answer::Refuse(code));
    }

    /// Who it is; `None` where it has ended meanwhile. Does not block.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.transport.peer_addr(self.id)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.answered {
            self.transport.answer(self.id, Answer::Refuse(0));
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("peer_addr", &self.peer_addr()).finish_non_exhaustive()
    }
}
