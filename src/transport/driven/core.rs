//! What a back end is made of: a [`Core`] that knows connections and no socket, and an [`Io`] that knows sockets and
//! no connection.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::event::Timespec;

use super::ground::Drainer;
use super::parker::{Signal, Slept};
use crate::message::Messages;
use crate::proto::{InviteId, InviteState, Security};
use crate::seal::Exports;
use crate::slots::ConnectionId;
use crate::time::Timestamp;
use crate::transport::{Answer, ConnectError, Stats, TransportStats};

/// Something that those who wait may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Something can be waited for on this connection that could not before: a message, room, the end.
    Changed(ConnectionId),
    /// [`Core::incoming`] has something.
    Incoming,
}

/// Fills in statistics by system calls.
pub(crate) type FillStats = Box<dyn FnOnce(&mut Stats)>;

/// What [`Core::poll`] leaves to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Polled {
    /// When [`Core::handle_timeout`] wants to be called. At or before `now` only where calling it changes that.
    pub(crate) deadline: Option<Timestamp>,
    /// The outbox has something for [`Io::take`].
    pub(crate) transmit: bool,
    /// The outbox is full, and when it was taken there is more.
    pub(crate) more: bool,
}

/// The connections of one transport, sans-IO: under the endpoint lock.
pub(crate) trait Core: Send + 'static {
    /// What a call needs and only system calls can give: limits of the path, a socket.
    type Call;

    /// Begins to call `remote`.
    fn connect(&mut self, now: Timestamp, remote: SocketAddr, call: Self::Call) -> Result<ConnectionId, ConnectError>;

    /// As [`connect`](Self::connect), with a secret of its own and the invite that it is for.
    fn join(
        &mut self,
        now: Timestamp,
        remote: SocketAddr,
        call: Self::Call,
        security: Security,
        invite: InviteId,
    ) -> Result<ConnectionId, ConnectError>;

    /// One more address at which whoever is being called may be. False where that is of no use.
    fn add_candidate(
        &mut self,
        now: Timestamp,
        id: ConnectionId,
        remote: SocketAddr,
        call: Self::Call,
        invite: InviteId,
    ) -> bool;

    /// There are others to be tried: the call is to end within `patience`, unless our proof goes out before.
    fn hurry(&mut self, now: Timestamp, id: ConnectionId, patience: Duration);

    /// What became of the invite that it listens for; `None` where there is none.
    fn invite(&self) -> Option<InviteState>;

    /// What both sides have from a sealed connection's handshake.
    fn exports(&self, id: ConnectionId) -> Option<&Exports>;

    /// Whether peers can establish connections to it.
    fn listens(&self) -> bool;

    /// The next connection that a peer established; each is given once.
    fn incoming(&mut self) -> Option<ConnectionId>;

    /// Takes or refuses a connection that [`incoming`](Self::incoming) gave.
    fn answer(&mut self, now: Timestamp, id: ConnectionId, answer: Answer);

    /// The messages of a connection.
    fn messages(&self, id: ConnectionId) -> Option<&Messages>;

    /// The messages of a connection, to do something with: the next [`poll`](Self::poll) looks at them.
    fn messages_mut(&mut self, id: ConnectionId) -> Option<&mut Messages>;

    /// The address of a connection's peer.
    fn remote(&self, id: ConnectionId) -> Option<SocketAddr>;

    /// True where somebody there has answered; false where it is the first of several that are called.
    fn answered(&self, id: ConnectionId) -> bool;

    /// Nobody holds the connection any more: it is being closed, and is to be forgotten when it is over.
    fn release(&mut self, now: Timestamp, id: ConnectionId);

    /// True when every connection was released and is closed as far as the peer's application can tell, and nothing
    /// waits to be sent: the sockets may go. Asked only once the transport's last handle is gone.
    fn is_idle(&self) -> bool;

    /// The application is about to wait: what is owed to peers and was held back is due.
    fn handle_wait(&mut self, now: Timestamp);

    /// Somebody begins to wait until what was sent on a connection has arrived, or was taken. True where it is to be
    /// [polled](Self::poll) for that.
    fn handle_awaited(&mut self, _now: Timestamp, _id: ConnectionId) -> bool {
        false
    }

    /// Time has passed.
    fn handle_timeout(&mut self, now: Timestamp);

    /// Works off what has happened since the last time: pushes *every* event, and fills the outbox, as far as it goes.
    fn poll(&mut self, now: Timestamp, events: &mut Vec<Event>) -> Polled;

    /// Fills in what it knows of a connection.
    fn stats(&self, id: ConnectionId, stats: &mut Stats);

    /// What fills in the rest, where only system calls can tell: it is called when the endpoint lock is released.
    fn system_stats(&self, _id: ConnectionId) -> Option<FillStats> {
        None
    }

    /// Fills in what it knows of the transport.
    fn transport_stats(&self, stats: &mut TransportStats);
}

/// What [`Io::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Nothing.
    Nothing,
    /// A batch, and that was all.
    Last,
    /// A batch, and perhaps there is more.
    More,
}

/// How far [`Io::transmit`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transmitted {
    /// Everything went, or waits for room that the source's *readability* will announce.
    Done,
    /// The kernel took no more: wait for room in the source.
    Blocked,
}

/// The sockets of one transport. System calls happen here, and never under the endpoint lock: `receive` and `transmit`
/// have only a token, `Rx` or `Tx`; `handle` and `take` have the core too and make no system call.
pub(crate) trait Io: Send + Sync + 'static {
    /// What it carries.
    type Core: Core;
    /// The receive token: the buffers that are filled with the token and handled before it is given back, so that
    /// everything enters the core in the kernel's order.
    type Rx: Send;
    /// The transmit token: what was taken from the core and has not gone yet.
    type Tx: Send;

    /// The descriptor to poll: readable when [`receive`](Self::receive) finds something (errors included).
    fn source(&self) -> BorrowedFd<'_>;

    /// How long after a thread that does not wait has drained the source the keeper leaves it alone: no longer than
    /// acknowledgements may be held back.
    const LEASE: Duration = super::LEASE;

    /// Sleeps until `signal` or the source has something, at most for `timeout`, where the source has a shorter way of
    /// doing that than a poll of both. One thread at a time.
    fn sleep(&self, _signal: &Arc<Signal>, _timeout: Option<&Timespec>) -> Option<Result<Slept, ErrorKind>> {
        None
    }

    /// The keeper is about to sleep on the source, and no thread does: a signal that was raised after its thread had
    /// gone must not keep the source readable. Called under the duty's mutex.
    fn forget_signal(&self) {}

    /// What the transport is bound to.
    fn local_addr(&self) -> SocketAddr;

    /// Asks the system for what a call to `remote` needs. Does not wait.
    fn call(&self, remote: SocketAddr) -> Result<<Self::Core as Core>::Call, ConnectError>;

    /// Takes one batch from the kernel, without waiting. Errors of single peers are part of the batch.
    fn receive(&self, rx: &mut Self::Rx) -> Received;

    /// Hands the batch to the core.
    fn handle(&self, rx: &mut Self::Rx, core: &mut Self::Core, now: Timestamp, by: Drainer);

    /// Moves the outbox into `tx`, unless that still has something; false where there was nothing to move.
    fn take(&self, core: &mut Self::Core, tx: &mut Self::Tx) -> bool;

    /// Gives `tx` to the kernel, without waiting; nothing happens where it is empty. What the kernel refuses for good
    /// counts as lost.
    fn transmit(&self, tx: &mut Self::Tx) -> Transmitted;

    /// Fills in what it knows.
    fn stats(&self, stats: &mut TransportStats);
}

/// Why a descriptor of our own failed.
pub(super) fn kind(errno: rustix::io::Errno) -> ErrorKind {
    std::io::Error::from(errno).kind()
}
