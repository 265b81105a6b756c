//! Why content was not sent, or not received.

use core::str::Utf8Error;
use std::error::Error;
use std::io;

use super::{ArrayError, Content, ImageError, NpyError, tag};
use crate::message::{End, MessageId, Preview, ReadError, SendError};
use crate::transport::RecvError;

/// Why something cannot become content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The items make no array of that shape.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// Serde, or the type itself, cannot write the value.
    #[error("the value cannot be written")]
    Value(#[source] Box<dyn Error + Send + Sync>),
    /// Anything else, of a type of an application's own.
    #[error("this cannot be sent")]
    Other(#[source] Box<dyn Error + Send + Sync>),
}

/// What is wrong with content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is of another kind.
    #[error("this is {} (tag {tag})", tag::name(*tag))]
    Tag {
        /// Its tag.
        tag: u16,
    },
    /// It is no UTF-8.
    #[error("the text is not UTF-8")]
    Utf8(#[from] Utf8Error),
    /// It is no array.
    #[error(transparent)]
    Array(#[from] NpyError),
    /// Its items are no array of the type and the dimensions that were asked for.
    #[error("the array is another than was asked for")]
    Items(#[source] Box<dyn Error + Send + Sync>),
    /// It is no image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It is no value, or none of the type that was asked for.
    #[error("the value is malformed, or of another type")]
    Value(#[source] Box<dyn Error + Send + Sync>),
    /// Anything else, of a type of an application's own.
    #[error("this cannot be read")]
    Other(#[source] Box<dyn Error + Send + Sync>),
}

/// Why content was not sent. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendContentError {
    /// It cannot be what it is to be.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The message was not accepted; `TimedOut` and `WouldBlock` only where it was not to wait for ever.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why no content was received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvContentError {
    /// None is there, and nobody was to wait. Nothing was taken.
    #[error("no message is there")]
    WouldBlock,
    /// None came, or not all of it, within the time given. Nothing was taken, and nothing is lost: what has come of it
    /// is kept for the next call.
    #[error("no message came in time")]
    TimedOut,
    /// The next message is of another kind. **It stays the next.**
    #[error("the next message, on channel {}, is {} (tag {})", .next.channel, tag::name(.next.tag), .next.tag)]
    Kind {
        /// What is known of it.
        next: Preview,
    },
    /// The next message is longer than allowed ([`Contents::up_to`](super::Contents::up_to)). **It stays the next.**
    #[error("the next message, on channel {}, is longer than {max} bytes", .next.channel)]
    TooLong {
        /// What is known of it.
        next: Preview,
        /// What is allowed, in bytes.
        max: usize,
    },
    /// It is malformed. It was taken; its bytes are in here.
    #[error("message {} on channel {channel} is malformed", .id.0)]
    Malformed {
        /// Its channel.
        channel: u16,
        /// Its number there.
        id: MessageId,
        /// What is wrong with it, and all of it.
        source: Box<Malformed>,
    },
    /// The sender gave it up before it was whole, or the connection ended. What had come of it is gone.
    #[error("the message did not come to its end")]
    Cut(#[source] ReadError),
    /// Everything that arrived has been received, and the connection is no more.
    #[error("the connection ended")]
    Ended(#[source] End),
}

/// Content whose bytes are not what they claim to be.
#[derive(Debug, thiserror::Error)]
#[error("malformed content")]
pub struct Malformed {
    /// All of it.
    pub content: Content,
    /// What is wrong with it.
    pub source: DecodeError,
}

impl From<SendContentError> for io::Error {
    fn from(error: SendContentError) -> Self {
        let kind = match &error {
            SendContentError::Encode(_) => io::ErrorKind::InvalidInput,
            SendContentError::Send(error) => Self::from(*error).kind(),
        };
        Self::new(kind, error)
    }
}

impl From<RecvContentError> for io::Error {
    fn from(error: RecvContentError) -> Self {
        let kind = match &error {
            RecvContentError::WouldBlock => io::ErrorKind::WouldBlock,
            RecvContentError::TimedOut => io::ErrorKind::TimedOut,
            RecvContentError::Cut(error) => Self::from(*error).kind(),
            RecvContentError::Ended(end) => Self::from(RecvError::Ended(*end)).kind(),
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
