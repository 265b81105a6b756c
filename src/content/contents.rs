//! Sending and receiving content over a connection.

use core::time::Duration;

use bytes::Bytes;

use super::{Array, Content, Element, FromContent, Image, IntoContent, RecvContentError, SendContentError};
use crate::Connection;
use crate::message::{ArrivalBody, End, MessageId, Preview, ReadError, Select, Wanted, Whole};
use crate::transport::{Interest, WaitError};

/// Up to this length, in bytes, content is received unless [`Contents::up_to`] says otherwise: 256 MiB. It bounds what
/// a peer can make a connection keep in memory beside its credit: once for each channel that is asked for by itself,
/// and once for all others.
pub const CONTENT_LEN_MAX: usize = 256 << 20;

/// The contents of a connection: of one channel or, to receive, of any; for how long to wait, and how long they may be.
/// A handle to be made on the spot, from [`Connection::on`] or [`Connection::contents`]:
///
/// ```no_run
/// # fn example(peer: &udpair::Connection) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// peer.on(5).send_text("on channel 5")?;
/// let line = peer.on(5).within(Duration::from_millis(100)).recv_text()?;
/// let array = peer.on(6).up_to(2 << 30).recv_array()?; // up to 2 GiB
/// let whatever = peer.contents().at_once().recv_as::<udpair::content::Content>()?;
/// # Ok(())
/// # }
/// ```
///
/// # Waiting
/// A call waits for ever, unless [`within`](Self::within) or [`at_once`](Self::at_once) say otherwise. Where it did not
/// get what it waited for nothing was taken and nothing is lost, whatever had come already: the same call can be made
/// again, by any thread.
///
/// # Order
/// Messages come in the order in which they became complete. A message longer than
/// [`Limits::message_len_max`](crate::message::Limits::message_len_max), or one that its sender writes piece by piece,
/// has its place where it began: while it is on its way to a call that asked for it, what came behind it waits, and
/// nobody else is given it. Of one channel that is only that channel; receiving from any, it is all of them.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    conn: &'a Connection,
    /// `None`: received from any, sent on 0.
    channel: Option<u16>,
    wait: Wait,
    len_max: usize,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
enum Wait {
    Forever,
    For(Duration),
    Not,
}

impl<'a> Contents<'a> {
    pub(super) const fn new(conn: &'a Connection, channel: Option<u16>) -> Self {
        Self { conn, channel, wait: Wait::Forever, len_max: CONTENT_LEN_MAX }
    }

    /// Each call waits at most so long, and then says `TimedOut`.
    #[must_use]
    pub const fn within(self, timeout: Duration) -> Self {
        Self { wait: Wait::For(timeout), ..self }
    }

    /// No call waits: it says `WouldBlock` where it would have to.
    #[must_use]
    pub const fn at_once(self) -> Self {
        Self { wait: Wait::Not, ..self }
    }

    /// Receives content of up to `len_max` bytes. Default [`CONTENT_LEN_MAX`].
    #[must_use]
    pub const fn up_to(self, len_max: usize) -> Self {
        Self { len_max, ..self }
    }

    /// Sends whatever can become content, as a message. Returns when the library has it. Blocks while the send queue is
    /// full, as long as it was told to. How long content may be, [`Connection::send_on`] says.
    ///
    /// # Errors
    /// [`SendContentError`]; nothing was sent then.
    pub fn send_as(&self, content: impl IntoContent) -> Result<MessageId, SendContentError> {
        let Content { tag, body } = content.into_content()?;
        let channel = self.channel.unwrap_or(0);
        let sent = match self.wait {
            Wait::Forever => self.conn.send_on(channel, tag, body),
            Wait::For(timeout) => self.conn.send_on_timeout(channel, tag, body, timeout),
            Wait::Not => self.conn.try_send_on(channel, tag, body),
        };
        Ok(sent?)
    }

    /// Receives the next message, if it is a `T`, to its last byte. Blocks as long as it was told to.
    ///
    /// # Errors
    /// [`RecvContentError::Kind`] where the next message is of another kind, [`RecvContentError::TooLong`] where it is
    /// too long: **it stays the next.** [`RecvContentError::Malformed`] where it is taken and is no `T` all the same.
    /// [`RecvContentError::Cut`], [`RecvContentError::Ended`]; [`RecvContentError::TimedOut`] and
    /// [`RecvContentError::WouldBlock`] where it was told not to wait for ever.
    pub fn recv_as<T: FromContent>(&self) -> Result<T, RecvContentError> {
        let select = self.channel.map_or(Select::Any, Select::One);
        let wanted = Wanted { tags: T::TAGS, len_max: u64::try_from(self.len_max).unwrap_or(u64::MAX) };
        let until = match self.wait {
            Wait::For(timeout) => Some(self.conn.transport().now() + timeout),
            Wait::Forever | Wait::Not => None,
        };
        loop {
            let whole = self.conn.transport().recv_whole(self.conn.id(), select, &wanted);
            match whole.map_err(RecvContentError::Ended)? {
                Some(Whole::Taken(arrival)) => {
                    let (channel, id, tag) = (arrival.channel, arrival.id, arrival.tag);
                    let body = match arrival.body {
                        ArrivalBody::Whole(body) => body,
                        ArrivalBody::Stream { .. } => return Err(self.cut(channel, id)),
                    };
                    return T::from_content(Content { tag, body }).map_err(|malformed| RecvContentError::Malformed {
                        channel,
                        id,
                        source: Box::new(malformed),
                    });
                }
                Some(Whole::Kept(next)) => return Err(self.kept::<T>(next)),
                None => {}
            }
            if matches!(self.wait, Wait::Not) {
                return Err(RecvContentError::WouldBlock);
            }
            match self.conn.transport().wait(&[Interest::Readable(self.conn.id(), select)], until) {
                Ok(_) => {}
                Err(WaitError::TimedOut) => return Err(RecvContentError::TimedOut),
                Err(WaitError::Broken(_)) => return Err(RecvContentError::Ended(End::Broken)),
            }
        }
    }

    /// Sends text. As [`send_as`](Self::send_as).
    ///
    /// # Errors
    /// As [`send_as`](Self::send_as).
    pub fn send_text(&self, text: impl Into<String>) -> Result<MessageId, SendContentError> {
        self.send_as(text.into())
    }

    /// Receives text. As [`recv_as`](Self::recv_as).
    ///
    /// # Errors
    /// As [`recv_as`](Self::recv_as).
    pub fn recv_text(&self) -> Result<String, RecvContentError> {
        self.recv_as()
    }

    /// Sends bytes. As [`send_as`](Self::send_as), which also takes a slice and copies it.
    ///
    /// # Errors
    /// As [`send_as`](Self::send_as).
    pub fn send_bytes(&self, bytes: impl Into<Bytes>) -> Result<MessageId, SendContentError> {
        self.send_as(bytes.into())
    }

    /// Receives bytes. As [`recv_as`](Self::recv_as).
    ///
    /// # Errors
    /// As [`recv_as`](Self::recv_as).
    pub fn recv_bytes(&self) -> Result<Bytes, RecvContentError> {
        self.recv_as()
    }

    /// Sends `items` as an array of this shape, in C order, with one copy. As [`send_as`](Self::send_as), which takes
    /// an [`Array`] of any type and order.
    ///
    /// # Errors
    /// As [`send_as`](Self::send_as); [`ArrayError`](super::ArrayError) where the shape takes another number of items.
    pub fn send_array<T: Element>(&self, items: &[T], shape: &[usize]) -> Result<MessageId, SendContentError> {
        self.send_as(Array::from_slice(items, shape).map_err(super::EncodeError::from)?)
    }

    /// Receives an array, whatever its items. As [`recv_as`](Self::recv_as).
    ///
    /// # Errors
    /// As [`recv_as`](Self::recv_as).
    pub fn recv_array(&self) -> Result<Array, RecvContentError> {
        self.recv_as()
    }

    /// Sends an image. As [`send_as`](Self::send_as).
    ///
    /// # Errors
    /// As [`send_as`](Self::send_as).
    pub fn send_image(&self, image: impl Into<Image>) -> Result<MessageId, SendContentError> {
        self.send_as(image.into())
    }

    /// Receives an image, encoded or as pixels. As [`recv_as`](Self::recv_as).
    ///
    /// # Errors
    /// As [`recv_as`](Self::recv_as).
    pub fn recv_image(&self) -> Result<Image, RecvContentError> {
        self.recv_as()
    }

    /// Sends a value of any type that serde can write. As [`send_as`](Self::send_as).
    ///
    /// # Errors
    /// As [`send_as`](Self::send_as).
    #[cfg(feature = "serde")]
    pub fn send_value<T: serde::Serialize + ?Sized>(&self, value: &T) -> Result<MessageId, SendContentError> {
        self.send_as(super::Value(value))
    }

    /// Receives a value of a type that serde can read. As [`recv_as`](Self::recv_as).
    ///
    /// # Errors
    /// As [`recv_as`](Self::recv_as). A value of another type is malformed: its bytes are in the error.
    #[cfg(feature = "serde")]
    pub fn recv_value<T: serde::de::DeserializeOwned>(&self) -> Result<T, RecvContentError> {
        self.recv_as::<super::Value<T>>().map(|value| value.0)
    }

    fn kept<T: FromContent>(&self, next: Preview) -> RecvContentError {
        if T::TAGS.is_some_and(|tags| !tags.contains(&next.tag)) {
            RecvContentError::Kind { next }
        } else {
            RecvContentError::TooLong { next, max: self.len_max }
        }
    }

    /// Why a message will never be whole.
    fn cut(&self, channel: u16, id: MessageId) -> RecvContentError {
        let mut reader = crate::transport::MessageReader::new(self.conn.clone(), channel, id, None);
        let mut passed = [0; 4_096];
        loop {
            match reader.try_read(&mut passed) {
                Ok(1..) => {}
                Ok(0) => return RecvContentError::Cut(ReadError::Unknown),
                Err(error) => return RecvContentError::Cut(error),
            }
        }
    }
}

/// Content, with the channel 0 for what is sent, from any channel for what is received, and waiting for ever:
/// [`on`](Self::on) and [`contents`](Self::contents) give other ways. What the errors mean, [`Contents::send_as`] and
/// [`Contents::recv_as`] say.
impl Connection {
    /// The contents of one channel. From the first receiving call on the channel's messages come in this way alone, as
    /// with [`recv_on`](Self::recv_on).
    #[must_use]
    pub const fn on(&self, channel: u16) -> Contents<'_> {
        Contents::new(self, Some(channel))
    }

    /// The contents of any channel; what is sent goes on channel 0.
    #[must_use]
    pub const fn contents(&self) -> Contents<'_> {
        Contents::new(self, None)
    }

    /// Sends whatever can become content, on channel 0. Blocks while the send queue is full.
    ///
    /// # Errors
    /// As [`Contents::send_as`].
    pub fn send_as(&self, content: impl IntoContent) -> Result<MessageId, SendContentError> {
        self.contents().send_as(content)
    }

    /// Receives the next message, if it is a `T`; else it stays the next. Blocks.
    ///
    /// # Errors
    /// As [`Contents::recv_as`].
    pub fn recv_as<T: FromContent>(&self) -> Result<T, RecvContentError> {
        self.contents().recv_as()
    }

    /// Sends text on channel 0. Blocks while the send queue is full.
    ///
    /// # Errors
    /// As [`Contents::send_as`].
    pub fn send_text(&self, text: impl Into<String>) -> Result<MessageId, SendContentError> {
        self.contents().send_text(text)
    }

    /// Receives the next message, if it is text; else it stays the next. Blocks.
    ///
    /// # Errors
    /// As [`Contents::recv_as`].
    pub fn recv_text(&self) -> Result<String, RecvContentError> {
        self.contents().recv_text()
    }

    /// Sends bytes on channel 0, as [`send`](Self::send) does. Blocks while the send queue is full.
    ///
    /// # Errors
    /// As [`Contents::send_as`].
    pub fn send_bytes(&self, bytes: impl Into<Bytes>) -> Result<MessageId, SendContentError> {
        self.contents().send_bytes(bytes)
    }

    /// Receives the next message, if it is bytes; else it stays the next. Blocks.
    ///
    /// # Errors
    /// As [`Contents::recv_as`].
    pub fn recv_bytes(&self) -> Result<Bytes, RecvContentError> {
        self.contents().recv_bytes()
    }

    /// Sends `items` as an array of this shape, in C order, on channel 0. Blocks while the send queue is full.
    ///
    /// # Errors
    /// As [`Contents::send_array`].
    pub fn send_array<T: Element>(&self, items: &[T], shape: &[usize]) -> Result<MessageId, SendContentError> {
        self.contents().send_array(items, shape)
    }

    /// Receives the next message, if it is an array; else it stays the next. Blocks.
    ///
    /// # Errors
    /// As [`Contents::recv_as`].
    pub fn recv_array(&self) -> Result<Array, RecvContentError> {
        self.contents().recv_array()
    }

    /// Sends an image on channel 0. Blocks while the send queue is full.
    ///
    /// # Errors
    /// As [`Contents::send_as`].
    pub fn send_image(&self, image: impl Into<Image>) -> Result<MessageId, SendContentError> {
        self.contents().send_image(image)
    }

    /// Receives the next message, if it is an image; else it stays the next. Blocks.
    ///
    /// # Errors
    /// As [`Contents::recv_as`].
    pub fn recv_image(&self) -> Result<Image, RecvContentError> {
        self.contents().recv_image()
    }

    /// Sends a value on channel 0. Blocks while the send queue is full.
    ///
    /// # Errors
    /// As [`Contents::send_as`].
    #[cfg(feature = "serde")]
    pub fn send_value<T: serde::Serialize + ?Sized>(&self, value: &T) -> Result<MessageId, SendContentError> {
        self.contents().send_value(value)
    }

    /// Receives the next message, if it is a value; else it stays the next. Blocks.
    ///
    /// # Errors
    /// As [`Contents::recv_value`].
    #[cfg(feature = "serde")]
    pub fn recv_value<T: serde::de::DeserializeOwned>(&self) -> Result<T, RecvContentError> {
        self.contents().recv_value()
    }
}
