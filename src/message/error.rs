//! What can be wrong with a verb: one enum for each.

use super::end::End;

/// Why a channel cannot be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigureError {
    /// A message was sent on it already, so its mode is fixed.
    #[error("the channel has sent a message already: its mode is fixed")]
    ModeFixed,
    /// Priorities go from 0 to 7.
    #[error("priority {priority} is above {max}")]
    Priority {
        /// The priority asked for.
        priority: u8,
        /// The lowest priority.
        max: u8,
    },
    /// The connection is over.
    #[error(transparent)]
    Ended(#[from] End),
}

/// Why a message was not accepted for sending. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The queue is full, or the connection is not established yet.
    #[error("the send queue is full")]
    WouldBlock,
    /// The queue stayed full for the time given.
    #[error("the send queue stayed full for the time given")]
    TimedOut,
    /// The message is longer than its channel's mode carries.
    #[error("a message of {len} bytes is longer than the {max} that this channel carries")]
    TooLarge {
        /// Its length in bytes.
        len: u64,
        /// The most that goes, in bytes.
        max: u64,
    },
    /// A stream on a channel whose messages must be whole (latest, unreliable).
    #[error("this channel's mode carries whole messages only")]
    NotStreamable,
    /// The connection is being closed by us.
    #[error("the connection is being closed")]
    Closing,
    /// The connection is over.
    #[error(transparent)]
    Ended(#[from] End),
}

/// Why bytes of a streamed message were not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The queue is full.
    #[error("the send queue is full")]
    WouldBlock,
    /// The queue stayed full for the time given.
    #[error("the send queue stayed full for the time given")]
    TimedOut,
    /// The receiver does not want the message.
    #[error("the receiver stopped the message with code {code}")]
    Stopped {
        /// The receiver's reason.
        code: u32,
    },
    /// More bytes than announced, or fewer at the end.
    #[error("the message was announced with {len} bytes")]
    Length {
        /// The announced length.
        len: u64,
    },
    /// No such message is being written.
    #[error("no such message is being written")]
    Unknown,
    /// The connection is over.
    #[error(transparent)]
    Ended(#[from] End),
}

/// Why a streamed message gives no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// None are there yet.
    #[error("no bytes are there yet")]
    WouldBlock,
    /// None came within the time given.
    #[error("no bytes came in time")]
    TimedOut,
    /// The sender gave the message up.
    #[error("the sender gave the message up with code {code}")]
    Reset {
        /// The sender's reason.
        code: u32,
    },
    /// No such message is being read.
    #[error("no such message is being read")]
    Unknown,
    /// The connection is over before the message was whole.
    #[error(transparent)]
    Ended(#[from] End),
}
