//! A connection as an application holds it.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;

use super::{
    ConnectError, FlushError, Interest, LINGER, Message, MessageWriter, Ready, RecvError, Stats, Transport, WaitError,
};
use crate::message::{ChannelConfig, CloseReport, ConfigureError, End, Limits, MessageId, Select, SendError, State};
use crate::slots::ConnectionId;
use crate::time::Timestamp;

/// A connection to one peer. Clones are handles of the same connection, for as many threads as wanted: one may send
/// while another receives.
///
/// [`close`](Self::close) or [`abort`](Self::abort) from any thread ends every blocked call on it with a typed error.
/// Dropping the last handle (readers and writers of its messages count) never blocks: it starts a close in the
/// background with a linger of 5 s, which dies with the process; so a program that ends calls `close`.
///
/// A call that blocks does the transport's I/O meanwhile. One that times out has taken nothing and lost nothing: it can
/// be made again. Channels are numbered from 0; those from 65,280 on belong to the library. What messages, channels
/// and receipts are, `spec/message.md` says.
#[derive(Clone)]
pub struct Connection {
    held: Arc<Held>,
}

/// What the clones share; the last one to go releases the connection.
struct Held {
    transport: Arc<dyn Transport>,
    id: ConnectionId,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.transport.release(self.id);
    }
}

impl Connection {
    /// Calls `remote` and waits until the connection is established, at most
    /// [`Config::connect_timeout`](super::Config::connect_timeout) (default 5 s). Blocks.
    ///
    /// The peer's application has not necessarily accepted it then: where it refuses, the next call on the connection
    /// ends with [`End::RefusedByPeer`].
    ///
    /// `spec/reliability.md`, section "Handshake"; `spec/tcp.md`, section "Handshake".
    ///
    /// # Errors
    /// [`ConnectError::TimedOut`], [`ConnectError::Unreachable`] where nobody listens, [`ConnectError::Refused`],
    /// [`ConnectError::RefusedByLibrary`] (busy, another version), [`ConnectError::Address`],
    /// [`ConnectError::TooMany`], [`ConnectError::Ended`], [`ConnectError::Io`].
    pub fn connect(transport: &Arc<dyn Transport>, remote: SocketAddr) -> Result<Self, ConnectError> {
        let conn = Self::new(Arc::clone(transport), transport.connect(remote)?);
        conn.wait(Interest::Connected(conn.id()), None)
            .map_err(|error| ConnectError::Io { remote, source: error.into() })?;
        match transport.state(conn.id()) {
            // What arrived before the peer closed can still be received.
            State::Ended(End::ClosedByPeer { .. }) => Ok(conn),
            State::Ended(end) => Err(ConnectError::from_end(remote, end)),
            _ => Ok(conn),
        }
    }

    /// Holds a connection of `transport`'s. There must be no other such holder: the last clone releases it.
    pub(crate) fn new(transport: Arc<dyn Transport>, id: ConnectionId) -> Self {
        Self { held: Arc::new(Held { transport, id }) }
    }

    /// Chooses how messages travel on an outgoing channel; before the first is sent there. Default: `Ordered`,
    /// priority 3 (0 goes first, 7 last). Does not block. `spec/message.md`, section "Delivery modes".
    ///
    /// # Errors
    /// [`ConfigureError`]: a message was sent there before, the values cannot be, or the connection has ended.
    pub fn configure(&self, channel: u16, config: ChannelConfig) -> Result<(), ConfigureError> {
        self.transport().configure(self.id(), channel, config)
    }

    /// Sends a message on channel 0 with tag 0. Returns when the library has it: whether the peer does,
    /// [`flush`](Self::flush) tells. Blocks while the channel's part of the send queue is full
    /// ([`Limits::send_queue`], default 16 MiB).
    ///
    /// # Errors
    /// As [`send_on`](Self::send_on).
    pub fn send(&self, body: impl Into<Bytes>) -> Result<MessageId, SendError> {
        self.send_on(0, 0, body)
    }

    /// As [`send`](Self::send), blocking for at most `timeout`.
    ///
    /// # Errors
    /// As [`send_on_timeout`](Self::send_on_timeout).
    pub fn send_timeout(&self, body: impl Into<Bytes>, timeout: Duration) -> Result<MessageId, SendError> {
        self.send_on_timeout(0, 0, body, timeout)
    }

    /// Sends a message on `channel` with a content tag, which the library hands on and does not look at. Returns when
    /// the library has it. Blocks while the channel's part of the send queue is full. Lengths are in bytes: without a
    /// limit on `Ordered` and `Unordered` channels; on `Latest` ones the peer's [`Limits::message_len_max`] or, if that
    /// is less, 7/16 of its [`Limits::credit_channel`] less 256, which is 9,174,784 by default, and never below 1,100;
    /// 1,100 on `Unreliable` ones.
    ///
    /// # Errors
    /// [`SendError::TooLarge`], [`SendError::Closing`], [`SendError::Ended`]; never `WouldBlock`. Nothing was sent
    /// then.
    pub fn send_on(&self, channel: u16, tag: u16, body: impl Into<Bytes>) -> Result<MessageId, SendError> {
        self.sent(channel, tag, body.into(), None)
    }

    /// As [`send_on`](Self::send_on), blocking for at most `timeout`.
    ///
    /// # Errors
    /// As [`send_on`](Self::send_on), and [`SendError::TimedOut`]. Nothing was sent then.
    pub fn send_on_timeout(
        &self,
        channel: u16,
        tag: u16,
        body: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<MessageId, SendError> {
        self.sent(channel, tag, body.into(), Some(self.transport().now() + timeout))
    }

    /// As [`send_on`](Self::send_on), without waiting. Does not block.
    ///
    /// # Errors
    /// As [`send_on`](Self::send_on), and [`SendError::WouldBlock`] while the queue is full
    /// ([`Interest::Writable`] tells when it is not).
    pub fn try_send_on(&self, channel: u16, tag: u16, body: impl Into<Bytes>) -> Result<MessageId, SendError> {
        self.transport().send(self.id(), channel, tag, body.into())
    }

    /// Begins a message that is written piece by piece; `len` is its length in bytes where that is known, and it can
    /// then not be finished with another. Blocks while the queue is full.
    ///
    /// # Errors
    /// As [`send_on`](Self::send_on), and [`SendError::NotStreamable`] on a `Latest` or `Unreliable` channel.
    pub fn begin(&self, channel: u16, tag: u16, len: Option<u64>) -> Result<MessageWriter, SendError> {
        loop {
            match self.transport().begin(self.id(), channel, tag, len) {
                Err(SendError::WouldBlock) => self.writable(channel, None)?,
                other => return other.map(|id| MessageWriter::new(self.clone(), channel, id)),
            }
        }
    }

    /// Waits for the next message, in the order in which they became complete, of any channel but the library's and
    /// those on which [`recv_on`](Self::recv_on) was ever called. One that is being put together for a call that asked
    /// for [content](Self::recv_as) is waited for until it is whole. Blocks.
    ///
    /// # Errors
    /// [`RecvError::Ended`], once everything that arrived was received; at once where it was this side that closed or
    /// aborted.
    pub fn recv(&self) -> Result<Message, RecvError> {
        self.next(Select::Any, None)
    }

    /// As [`recv`](Self::recv), for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`RecvError::TimedOut`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Message, RecvError> {
        self.next(Select::Any, Some(self.transport().now() + timeout))
    }

    /// As [`recv`](Self::recv), without waiting: `None` where no message is there. Does not block.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Option<Message>, RecvError> {
        self.take(Select::Any)
    }

    /// Waits for the next message of one channel. From the first call on the channel's messages come in this way alone.
    /// Blocks.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_on(&self, channel: u16) -> Result<Message, RecvError> {
        self.next(Select::One(channel), None)
    }

    /// As [`recv_on`](Self::recv_on), for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`RecvError::TimedOut`].
    pub fn recv_on_timeout(&self, channel: u16, timeout: Duration) -> Result<Message, RecvError> {
        self.next(Select::One(channel), Some(self.transport().now() + timeout))
    }

    /// As [`recv_on`](Self::recv_on), without waiting: `None` where no message is there. Does not block.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv_on(&self, channel: u16) -> Result<Option<Message>, RecvError> {
        self.take(Select::One(channel))
    }

    /// Waits until everything accepted so far, and meanwhile, has arrived: the peer's library has it, its application
    /// perhaps not. Superseded `Latest` and all `Unreliable` messages count as arrived; one that is still being written
    /// holds it up. Blocks. `spec/message.md`, section "Receipts".
    ///
    /// # Errors
    /// [`FlushError::Ended`], where not everything is known to have arrived before the end.
    pub fn flush(&self) -> Result<(), FlushError> {
        self.flushed(None)
    }

    /// As [`flush`](Self::flush), for at most `timeout`.
    ///
    /// # Errors
    /// [`FlushError::Ended`], [`FlushError::TimedOut`].
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), FlushError> {
        self.flushed(Some(self.transport().now() + timeout))
    }

    /// Closes: nothing more can be sent; waits until the peer's application has taken everything that was sent, at most
    /// 5 s ([`LINGER`]), and says what became of it. The peer's calls end with `code`. What arrived here and was not
    /// received is dropped. **Blocks.** `spec/message.md`, section "The end".
    ///
    /// A connection that had ended before, or ends meanwhile, is no error: the report's `cut_short` says why. Where it
    /// was closed or aborted before, that call's report is given, and `code` counts for nothing.
    pub fn close(&self, code: u32) -> CloseReport {
        self.close_within(code, LINGER)
    }

    /// As [`close`](Self::close), waiting at most `linger` for the peer's application, and then shortly until the peer
    /// knows. **Blocks.**
    pub fn close_within(&self, code: u32, linger: Duration) -> CloseReport {
        self.transport().close(self.id(), code, linger);
        if self.wait(Interest::Closed(self.id()), None).is_err() {
            self.abort(code);
        }
        self.transport().close_report(self.id()).unwrap_or_default()
    }

    /// Ends the connection now; what has not arrived is lost. The peer's calls end with `code`. Does not block.
    pub fn abort(&self, code: u32) {
        self.transport().abort(self.id(), code);
    }

    /// The peer's address; `None` where the transport has forgotten the connection. Does not block.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.transport().peer_addr(self.id())
    }

    /// The address of the transport. Does not block.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.transport().local_addr()
    }

    /// Where the connection stands in its life. Does not block.
    #[must_use]
    pub fn state(&self) -> State {
        self.transport().state(self.id())
    }

    /// What is known of the connection. Does not block, but makes some system calls: not for every message.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.transport().stats(self.id())
    }

    /// The limits that it has. Does not block.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.transport().limits()
    }

    /// Its name within the transport, for [`Interest`] and [`Ready`]. Does not block.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.held.id
    }

    /// The transport that it belongs to. Does not block.
    #[must_use]
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.held.transport
    }

    fn wait(&self, interest: Interest, until: Option<Timestamp>) -> Result<Ready, WaitError> {
        self.transport().wait(&[interest], until)
    }

    fn sent(&self, channel: u16, tag: u16, body: Bytes, until: Option<Timestamp>) -> Result<MessageId, SendError> {
        loop {
            match self.transport().send(self.id(), channel, tag, body.clone()) {
                Err(SendError::WouldBlock) => self.writable(channel, until)?,
                other => return other,
            }
        }
    }

    fn writable(&self, channel: u16, until: Option<Timestamp>) -> Result<(), SendError> {
        match self.wait(Interest::Writable(self.id(), channel), until) {
            Ok(_) => Ok(()),
            Err(WaitError::TimedOut) => Err(SendError::TimedOut),
            Err(WaitError::Broken(_)) => Err(SendError::Ended(End::Broken)),
        }
    }

    fn flushed(&self, until: Option<Timestamp>) -> Result<(), FlushError> {
        match self.wait(Interest::Flushed(self.id()), until) {
            Ok(_) => {}
            Err(WaitError::TimedOut) => return Err(FlushError::TimedOut),
            Err(WaitError::Broken(_)) => return Err(FlushError::Ended(End::Broken)),
        }
        let State::Ended(end) = self.state() else { return Ok(()) };
        // A peer that took everything and left is no failure. To close what is over only asks for the report.
        self.transport().close(self.id(), 0, Duration::ZERO);
        match self.transport().close_report(self.id()) {
            Some(report) if report.channels.iter().all(|channel| channel.not_arrived == 0) => Ok(()),
            _ => Err(FlushError::Ended(end)),
        }
    }

    fn next(&self, select: Select, until: Option<Timestamp>) -> Result<Message, RecvError> {
        loop {
            if let Some(message) = self.take(select)? {
                return Ok(message);
            }
            match self.wait(Interest::Readable(self.id(), select), until) {
                Ok(_) => {}
                Err(WaitError::TimedOut) => return Err(RecvError::TimedOut),
                Err(WaitError::Broken(_)) => return Err(RecvError::Ended(End::Broken)),
            }
        }
    }

    fn take(&self, select: Select) -> Result<Option<Message>, RecvError> {
        let arrival = self.transport().recv(self.id(), select).map_err(RecvError::Ended)?;
        Ok(arrival.map(|arrival| Message::new(self, arrival)))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("peer_addr", &self.peer_addr())
            .finish_non_exhaustive()
    }
}
