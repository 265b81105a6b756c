//! Reading a message that arrives as a stream.

use core::fmt;
use core::time::Duration;
use std::io;

use bytes::Bytes;

use super::{Connection, Interest, IntoBytesError, WaitError};
use crate::message::{End, MessageId, ReadError};

/// How much is read at once into a buffer of unknown final length.
const PIECE_LEN: usize = 64 << 10;

/// Reads a message piece by piece, in order, while it arrives. Also an [`io::Read`], whose errors have the typed one as
/// their source. Dropping it before the end tells the peer that the rest is not wanted (code 0), and never blocks:
/// `spec/message.md`, section "Giving up and refusing". It keeps its connection alive. Bytes that were read give their
/// credit back, so a reader that stops reading holds up its channel, and no other.
pub struct MessageReader {
    conn: Connection,
    channel: u16,
    id: MessageId,
    len: Option<u64>,
    timeout: Option<Duration>,
    over: bool,
}

impl MessageReader {
    /// Reads message `id` of `channel`; there must be no other reader of it.
    pub(crate) const fn new(conn: Connection, channel: u16, id: MessageId, len: Option<u64>) -> Self {
        Self { conn, channel, id, len, timeout: None, over: false }
    }

    /// The message's whole length in bytes, where the sender said it. Does not block.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "the length is the sender's claim, not what is there")]
    pub const fn len(&self) -> Option<u64> {
        self.len
    }

    /// The message's number on its channel. Does not block.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// From now on a call that reads waits at most so long, each anew, and then fails with [`ReadError::TimedOut`]; as
    /// an [`io::Read`], with [`io::ErrorKind::TimedOut`]. Nothing is lost then: the call can be made again. `None`: for
    /// ever, as at first. Does not block.
    pub const fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Waits for bytes and takes at most `buf.len()`; 0 is the end, or an empty `buf`. Blocks, for at
    /// most the [time set](Self::set_timeout).
    ///
    /// # Errors
    /// [`ReadError::Reset`] where the peer gave the message up; [`ReadError::Ended`] where the connection ended before
    /// the message did: after these, as after the end, it gives 0. [`ReadError::TimedOut`]; never `WouldBlock`.
    pub fn read_some(&mut self, buf: &mut [u8]) -> Result<usize, ReadError> {
        let until = self.timeout.map(|timeout| self.conn.transport().now() + timeout);
        loop {
            match self.try_read(buf) {
                Err(ReadError::WouldBlock) => {
                    let interest = Interest::StreamReadable(self.conn.id(), self.channel, self.id);
                    match self.conn.transport().wait(&[interest], until) {
                        Ok(_) => {}
                        Err(WaitError::TimedOut) => return Err(ReadError::TimedOut),
                        Err(WaitError::Broken(_)) => return Err(ReadError::Ended(End::Broken)),
                    }
                }
                other => return other,
            }
        }
    }

    /// As [`read_some`](Self::read_some), without waiting. Does not block.
    ///
    /// # Errors
    /// As [`read_some`](Self::read_some), and [`ReadError::WouldBlock`] while nothing is there
    /// ([`Interest::StreamReadable`] tells when).
    pub fn try_read(&mut self, buf: &mut [u8]) -> Result<usize, ReadError> {
        if self.over || buf.is_empty() {
            return Ok(0);
        }
        let result = self.conn.transport().read(self.conn.id(), self.channel, self.id, buf);
        self.over = !matches!(result, Ok(1..) | Err(ReadError::WouldBlock));
        result
    }

    /// Tells the peer that the rest is not wanted, and why. Does not block.
    pub fn stop(mut self, code: u32) {
        self.stop_once(code);
    }

    /// All that is left, if it is at most `max` bytes. Blocks.
    pub(crate) fn read_to_bytes(&mut self, max: usize) -> Result<Bytes, IntoBytesError> {
        let mut bytes = Vec::new();
        loop {
            let filled = bytes.len();
            // One byte beyond what is allowed tells "at the end" from "too long".
            bytes.resize(filled.saturating_add(PIECE_LEN).min(max.saturating_add(1)), 0);
            let n = self.read_some(&mut bytes[filled..])?;
            bytes.truncate(filled + n);
            if bytes.len() > max {
                return Err(IntoBytesError::TooLong { max });
            }
            if n == 0 {
                return Ok(bytes.into());
            }
        }
    }

    fn stop_once(&mut self, code: u32) {
        if !self.over {
            self.over = true;
            self.conn.transport().stop(self.conn.id(), self.channel, self.id, code);
        }
    }
}

impl io::Read for MessageReader {
    /// As [`read_some`](MessageReader::read_some): blocks until there is something, or for the time set.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_some(buf)?)
    }
}

impl Drop for MessageReader {
    fn drop(&mut self) {
        self.stop_once(0);
    }
}

impl fmt::Debug for MessageReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageReader")
            .field("channel", &self.channel)
            .field("id", &self.id)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
