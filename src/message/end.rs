//! How connections end, and how a peer may break the protocol.

use crate::wire::{CloseKind, DecodeError, RefuseCode};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The handshake is under way.
    Opening,
    /// Messages flow.
    Open,
    /// We are closing it: nothing new is sent, what was sent is waited for.
    Closing,
    /// It is over. What arrived before can still be received, unless it was us who closed it.
    Ended(End),
}

/// Why a connection is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum End {
    /// We closed it.
    #[error("closed with code {code}")]
    Closed {
        /// The application's reason.
        code: u32,
    },
    /// We gave it up without waiting.
    #[error("aborted with code {code}")]
    Aborted {
        /// The application's reason.
        code: u32,
    },
    /// The peer's application closed it.
    #[error("closed by the peer with code {code}")]
    ClosedByPeer {
        /// The peer's reason.
        code: u32,
    },
    /// The peer's application gave it up without waiting.
    #[error("aborted by the peer with code {code}")]
    AbortedByPeer {
        /// The peer's reason.
        code: u32,
    },
    /// The peer's application did not want it.
    #[error("refused by the peer with code {code}")]
    RefusedByPeer {
        /// The peer's reason.
        code: u32,
    },
    /// The peer's library did not grant it.
    #[error("refused by the peer's library: {0}")]
    Refused(RefuseCode),
    /// Nothing was heard from the peer for the idle timeout.
    #[error("the peer fell silent")]
    TimedOut,
    /// The handshake did not end within the connect timeout.
    #[error("no answer to the handshake")]
    ConnectTimedOut,
    /// Somebody answered, and did not prove to know our secret: it was another one, or somebody else's answer came
    /// first.
    #[error("whoever answered did not prove to know the secret")]
    Unconfirmed,
    /// Nobody listens at the address.
    #[error("nobody listens there")]
    Unreachable,
    /// The TCP connection below was reset, cut off or garbled.
    #[error("the connection below broke")]
    Broken,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Violation(Violation),
    /// The peer says that we broke the protocol.
    #[error("the peer reports a violation of the protocol, code {code}")]
    ViolationByPeer {
        /// [`Violation::code`] as the peer sees it.
        code: u32,
    },
}

impl End {
    /// What a CLOSE frame from the peer means to us.
    #[must_use]
    pub const fn by_peer(kind: CloseKind, code: u32) -> Self {
        match kind {
            CloseKind::Close => Self::ClosedByPeer { code },
            CloseKind::Abort => Self::AbortedByPeer { code },
            CloseKind::Refuse => Self::RefusedByPeer { code },
            CloseKind::Violation => Self::ViolationByPeer { code },
        }
    }
}

/// How a peer broke the protocol. Its number goes into the CLOSE frame: `spec/message.md`, section "Violations".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A frame that cannot be read, in a packet whose checksum is right.
    #[error("unreadable frame: {0}")]
    Frame(#[from] DecodeErrorKind),
    /// A frame that has no place where it stood.
    #[error("misplaced frame")]
    Misplaced,
    /// More sent than the credit allows.
    #[error("credit exceeded")]
    Credit,
    /// The delivery mode of a channel changed.
    #[error("delivery mode changed")]
    Mode,
    /// Chunks of a message contradict each other about its length or its start.
    #[error("contradictory message")]
    Contradiction,
    /// More gaps than we keep.
    #[error("too many gaps")]
    Gaps,
    /// A frame about a message or packet that was never sent.
    #[error("about something never sent")]
    NeverSent,
}

/// A [`DecodeError`], reduced to what can be compared and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{0}")]
pub struct DecodeErrorKind(&'static str);

impl From<DecodeError> for Violation {
    fn from(error: DecodeError) -> Self {
        Self::Frame(DecodeErrorKind(match error {
            DecodeError::Truncated => "truncated",
            DecodeError::Type(_) => "unknown type",
            DecodeError::Value(field) => field,
            _ => "malformed",
        }))
    }
}

impl Violation {
    /// The number in the CLOSE frame.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Frame(_) => 1,
            Self::Misplaced => 2,
            Self::Credit => 3,
            Self::Mode => 4,
            Self::Contradiction => 5,
            Self::Gaps => 6,
            Self::NeverSent => 7,
        }
    }
}
