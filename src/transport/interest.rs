//! What a caller waits for, and what it is told when that has come.

use core::fmt;

use super::BellId;
use crate::message::{MessageId, Select};
use crate::slots::ConnectionId;

/// One thing to wait for. [`Transport::wait`](super::Transport::wait) takes a slice of them and returns when one holds.
///
/// Every interest that names a connection also holds once that connection has ended (or is not known), so that
/// whoever waits for it is told why by the verb that it calls next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interest {
    /// A connection is established and not yet answered.
    Incoming,
    /// The handshake of this connection is over, one way or the other.
    Connected(ConnectionId),
    /// A message waits to be received on what is selected; not while the next is being
    /// [put together](super::Transport::recv_whole).
    Readable(ConnectionId, Select),
    /// This channel takes another message of any length; a `Latest` one takes a value of the length that was refused
    /// last.
    Writable(ConnectionId, u16),
    /// This incoming stream has bytes, its end, or an error to give.
    StreamReadable(ConnectionId, u16, MessageId),
    /// This outgoing stream takes bytes, or has an error to give.
    StreamWritable(ConnectionId, u16, MessageId),
    /// Everything accepted for sending has arrived.
    Flushed(ConnectionId),
    /// A close of ours is completely over.
    Closed(ConnectionId),
    /// Something is to be done for *any* of the transport's answered connections. They stand in a queue, each at most
    /// once: taken out when returned, put back when something new happens or when `recv` on it left more. What counts:
    /// a message came, the connection ended, or what a verb last refused with "would block" is possible now.
    AnyConnection,
    /// This bell's count is another than this one, or the bell is gone: what threads tell each other, where they wait
    /// for the network too. Whoever waits for bells alone leaves the socket to others.
    Rung(BellId, u64),
}

impl Interest {
    /// The connection that it names.
    #[must_use]
    pub const fn connection(&self) -> Option<ConnectionId> {
        match *self {
            Self::Incoming | Self::AnyConnection | Self::Rung(..) => None,
            Self::Connected(id)
            | Self::Readable(id, _)
            | Self::Writable(id, _)
            | Self::StreamReadable(id, ..)
            | Self::StreamWritable(id, ..)
            | Self::Flushed(id)
            | Self::Closed(id) => Some(id),
        }
    }
}

/// Which interest holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Its place in the slice that was waited for; the first that holds.
    pub index: usize,
    /// The connection that it concerns; `None` for [`Interest::Incoming`] and [`Interest::Rung`].
    pub connection: Option<ConnectionId>,
}

/// A task's place in the list of those who wait, between one `poll_wait` and the next. Dropping it gives the place up.
#[derive(Default)]
pub struct WaitSlot {
    place: Option<Box<dyn core::any::Any + Send + Sync>>,
}

impl WaitSlot {
    /// A slot that stands nowhere yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { place: None }
    }

    /// Keeps `place`, whose `Drop` takes the task off the list. For implementors of
    /// [`Transport`](super::Transport).
    pub fn hold<T: Send + Sync + 'static>(&mut self, place: T) {
        self.place = Some(Box::new(place));
    }

    /// What is kept, if it is a `T`. For implementors of [`Transport`](super::Transport).
    pub fn held<T: Send + Sync + 'static>(&mut self) -> Option<&mut T> {
        self.place.as_mut()?.downcast_mut()
    }

    /// Gives the place up.
    pub fn clear(&mut self) {
        self.place = None;
    }
}

impl fmt::Debug for WaitSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitSlot").field("waiting", &self.place.is_some()).finish()
    }
}
