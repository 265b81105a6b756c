//! Writing a message piece by piece.

use core::fmt;
use core::time::Duration;
use std::io;

use super::{Connection, Interest, WaitError};
use crate::message::{End, MessageId, WriteError};

/// Writes a message piece by piece. Also an [`io::Write`], whose errors have the typed one as their source. Dropping it
/// before [`finish`](Self::finish) gives the message up: the peer's reader fails with code 0. That never blocks.
/// `spec/message.md`, section "Giving up and refusing". It keeps its connection alive, and a message that is not
/// finished holds up [`Connection::flush`] and, on an `Ordered` channel, those behind it.
pub struct MessageWriter {
    conn: Connection,
    channel: u16,
    id: MessageId,
    timeout: Option<Duration>,
    over: bool,
}

impl MessageWriter {
    /// Writes message `id` of `channel`; there must be no other writer of it.
    pub(crate) const fn new(conn: Connection, channel: u16, id: MessageId) -> Self {
        Self { conn, channel, id, timeout: None, over: false }
    }

    /// The message's number on its channel. Does not block.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// From now on a call that writes waits at most so long, each anew, and then fails with [`WriteError::TimedOut`];
    /// as an [`io::Write`], with [`io::ErrorKind::TimedOut`]. Nothing is lost then: none of its bytes were taken, and
    /// the call can be made again (but `write_all` of the standard library does not tell how much went before).
    /// `None`: for ever, as at first. Does not block.
    pub const fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Hands over some of `bytes`, at least one unless there is none; returns how many. Blocks while the send queue is
    /// full, for at most the [time set](Self::set_timeout).
    ///
    /// # Errors
    /// [`WriteError::Stopped`] where the peer does not want the rest; [`WriteError::Length`] where it would be longer
    /// than was said at the start; [`WriteError::Ended`], [`WriteError::TimedOut`]; never `WouldBlock`. None of
    /// `bytes` was taken then.
    pub fn write_some(&mut self, bytes: &[u8]) -> Result<usize, WriteError> {
        let until = self.timeout.map(|timeout| self.conn.transport().now() + timeout);
        loop {
            match self.try_write(bytes) {
                Err(WriteError::WouldBlock) => {
                    let interest = Interest::StreamWritable(self.conn.id(), self.channel, self.id);
                    match self.conn.transport().wait(&[interest], until) {
                        Ok(_) => {}
                        Err(WaitError::TimedOut) => return Err(WriteError::TimedOut),
                        Err(WaitError::Broken(_)) => return Err(WriteError::Ended(End::Broken)),
                    }
                }
                other => return other,
            }
        }
    }

    /// As [`write_some`](Self::write_some), without waiting. Does not block.
    ///
    /// # Errors
    /// As [`write_some`](Self::write_some), and [`WriteError::WouldBlock`] while the queue is full
    /// ([`Interest::StreamWritable`] tells when it is not).
    pub fn try_write(&mut self, bytes: &[u8]) -> Result<usize, WriteError> {
        self.conn.transport().write(self.conn.id(), self.channel, self.id, bytes)
    }

    /// Ends the message. Does not block: whether it arrived, [`Connection::flush`] or the close report tells.
    ///
    /// # Errors
    /// [`WriteError::Stopped`], [`WriteError::Ended`], or where the length said at the start was not reached; the
    /// message is then given up.
    pub fn finish(mut self) -> Result<MessageId, WriteError> {
        self.conn.transport().finish(self.conn.id(), self.channel, self.id)?;
        self.over = true;
        Ok(self.id)
    }

    /// Gives the message up; the peer's reader fails with `code`. Does not block.
    pub fn reset(mut self, code: u32) {
        self.reset_once(code);
    }

    fn reset_once(&mut self, code: u32) {
        if !self.over {
            self.over = true;
            self.conn.transport().reset(self.conn.id(), self.channel, self.id, code);
        }
    }
}

impl io::Write for MessageWriter {
    /// As [`write_some`](MessageWriter::write_some): blocks while the queue is full, or for the time set.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        Ok(self.write_some(buf)?)
    }

    /// Does nothing: what was written is already the library's, and goes out as soon as it may.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        self.reset_once(0);
    }
}

impl fmt::Debug for MessageWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageWriter").field("channel", &self.channel).field("id", &self.id).finish_non_exhaustive()
    }
}
