//! What can be wrong: one enum for each operation, and how connections between nodes end.

use std::io::{Error, ErrorKind};

use thiserror::Error;

use super::{Kind, Name, NameError, StartError};
use crate::content::EncodeError;
use crate::message::End;
use crate::transport::ConnectError;

/// The code of [`Reason`] number 0. `spec/node.md`, section "Greeting".
const CODE_BASE: u32 = 0xffff_ff00;

/// Why a node ends a connection: it does not take the peer, or the peer broke the protocol. `spec/node.md`, section
/// "Greeting".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Reason {
    /// The peer's greeting is of another version.
    #[error("another version of the protocol of nodes")]
    Version,
    /// The two roles do not belong together.
    #[error("a node of another role")]
    Role,
    /// Another peer has the name.
    #[error("the name is taken")]
    NameTaken,
    /// Both call each other, and the other call stands.
    #[error("both nodes called each other")]
    Crossed,
    /// No place for another peer.
    #[error("as many peers as there may be")]
    Full,
    /// No greeting came in time.
    #[error("no greeting came in time")]
    Silent,
    /// The same node came again.
    #[error("the same node came again")]
    Replaced,
    /// A message that cannot be read.
    #[error("an unreadable message")]
    Malformed,
    /// Something before the greeting, or a second greeting.
    #[error("not the time for this message")]
    OutOfTurn,
    /// Too many names, a name twice, a number out of turn.
    #[error("a name that cannot be")]
    Names,
    /// A value without its time, or that never will be whole.
    #[error("a broken value")]
    Value,
}

impl Reason {
    const ALL: [(u32, Self); 11] = [
        (1, Self::Version),
        (2, Self::Role),
        (3, Self::NameTaken),
        (4, Self::Crossed),
        (5, Self::Full),
        (6, Self::Silent),
        (7, Self::Replaced),
        (16, Self::Malformed),
        (17, Self::OutOfTurn),
        (18, Self::Names),
        (19, Self::Value),
    ];

    /// The number with which the connection is aborted.
    #[must_use]
    pub fn code(self) -> u32 {
        CODE_BASE + Self::ALL.iter().find(|(_, reason)| *reason == self).map_or(0, |(code, _)| *code)
    }

    /// The reason that has this number.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.iter().find(|(own, _)| CODE_BASE + own == code).map(|(_, reason)| *reason)
    }
}

/// Why there is no connection to a peer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Gone {
    /// The connection ended, as connections do.
    #[error(transparent)]
    Ended(End),
    /// The peer did not take us, or says that we broke the protocol.
    #[error("the peer ended the connection: {0}")]
    ByPeer(Reason),
    /// We did not take the peer, or it broke the protocol.
    #[error("this side ended the connection: {0}")]
    ByUs(Reason),
    /// This node's own thread panicked, which is a mistake in the library: the node ended.
    #[error("this node failed")]
    Panicked,
}

impl From<End> for Gone {
    fn from(end: End) -> Self {
        let reason = match end {
            End::AbortedByPeer { code } | End::RefusedByPeer { code } => Reason::from_code(code).map(Self::ByPeer),
            End::Aborted { code } => Reason::from_code(code).map(Self::ByUs),
            _ => None,
        };
        reason.unwrap_or(Self::Ended(end))
    }
}

/// Why a value was not written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// It cannot be what it is to be.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The channel's name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// One connection has no more names than that.
    #[error("more than {max} channels on one connection")]
    TooManyNames {
        /// The most there may be.
        max: usize,
    },
    /// The channel was first used for the other kind of value.
    #[error("channel {name} is {is:?}")]
    Kind {
        /// The channel.
        name: Name,
        /// Of which kind it is.
        is: Kind,
    },
    /// The value is longer than goes.
    #[error("a value of {len} bytes is longer than the {max} that this channel carries")]
    TooLarge {
        /// Its length in bytes.
        len: u64,
        /// The most that goes, in bytes.
        max: u64,
    },
    /// The send queue is full.
    #[error("the send queue is full")]
    Full,
    /// There is no peer of this name.
    #[error("there is no peer {name}")]
    NoSuchPeer {
        /// The name asked for.
        name: String,
    },
    /// There is no connection any more.
    #[error("the connection ended")]
    Gone(#[from] Gone),
}

/// Why no value was read. Nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The channel's name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The peer writes values of the other kind to it.
    #[error("channel {name} is {is:?}")]
    Kind {
        /// The channel.
        name: Name,
        /// Of which kind it is.
        is: Kind,
    },
    /// The value of a queued channel was longer than [`value_len_max`](super::NodeConfig::value_len_max) allows. It was
    /// passed over; the next can be read.
    #[error("a queued value of {len:?} bytes is longer than the {max} allowed")]
    TooLarge {
        /// Its length in bytes, where that is known.
        len: Option<u64>,
        /// The most that is allowed, in bytes.
        max: u64,
    },
    /// With the value, more would be held of this peer's newest values, to be read again, than
    /// [`held_len_max`](super::NodeConfig::held_len_max) allows. It was passed over: what was read of its channel
    /// before can still be, and the other channels go on. Where the peer writes shorter ones there is room again.
    #[error("a value of {len} bytes does not fit beside {held} of the peer's other newest values: {max} may be held")]
    TooMuchHeld {
        /// Its length in bytes.
        len: u64,
        /// What is held of the peer's other channels, in bytes.
        held: u64,
        /// The most that may be held of all its channels, in bytes.
        max: u64,
    },
    /// No value came within the time given.
    #[error("no value came in time")]
    TimedOut,
    /// There is no peer of this name.
    #[error("there is no peer {name}")]
    NoSuchPeer {
        /// The name asked for.
        name: String,
    },
    /// Everything that came has been read, and there is no connection any more.
    #[error("the connection ended")]
    Gone(#[from] Gone),
}

/// Why a node is not connected to another. Nothing is left of the attempt.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// What it is to be called is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// This node has a peer of that name, or is called so itself.
    #[error("there is a peer {name} already")]
    NameTaken {
        /// The name.
        name: Name,
    },
    /// No connection was established.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// One was established and ended in the greeting: the peer does not take us, or we do not take it. Or it was this
    /// node that ended otherwise than by being closed.
    #[error("the greeting failed")]
    Gone(#[from] Gone),
    /// This node is being closed.
    #[error("this node is closed")]
    Closed,
    /// It was given up meanwhile, by `disconnect`.
    #[error("given up before it was connected")]
    Disconnected,
    /// This node could not begin.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        let kind = match &error {
            JoinError::Name(_) => ErrorKind::InvalidInput,
            JoinError::NameTaken { .. } => ErrorKind::AlreadyExists,
            JoinError::Gone(gone) => gone_kind(gone),
            JoinError::Closed => ErrorKind::NotConnected,
            JoinError::Disconnected => ErrorKind::ConnectionAborted,
            JoinError::Connect(_) | JoinError::Start(_) => ErrorKind::Other,
        };
        match error {
            JoinError::Connect(error) => error.into(),
            JoinError::Start(StartError::Io(error)) => error,
            error => Self::new(kind, error),
        }
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::new(reason_kind(reason), reason)
    }
}

impl From<Gone> for Error {
    fn from(gone: Gone) -> Self {
        Self::new(gone_kind(&gone), gone)
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        let kind = match &error {
            WriteError::Full => ErrorKind::WouldBlock,
            WriteError::Gone(gone) => gone_kind(gone),
            WriteError::NoSuchPeer { .. } => ErrorKind::NotFound,
            _ => ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::TimedOut => ErrorKind::TimedOut,
            ReadError::TooLarge { .. } => ErrorKind::InvalidData,
            ReadError::TooMuchHeld { .. } => ErrorKind::QuotaExceeded,
            ReadError::Gone(gone) => gone_kind(gone),
            ReadError::NoSuchPeer { .. } => ErrorKind::NotFound,
            _ => ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

fn gone_kind(gone: &Gone) -> ErrorKind {
    match gone {
        Gone::Ended(end) => Error::from(*end).kind(),
        Gone::ByPeer(reason) | Gone::ByUs(reason) => reason_kind(*reason),
        Gone::Panicked => ErrorKind::Other,
    }
}

const fn reason_kind(reason: Reason) -> ErrorKind {
    match reason {
        Reason::NameTaken | Reason::Crossed => ErrorKind::AlreadyExists,
        Reason::Full => ErrorKind::QuotaExceeded,
        Reason::Silent => ErrorKind::TimedOut,
        Reason::Replaced => ErrorKind::ConnectionReset,
        _ => ErrorKind::InvalidData,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_specification_and_lead_back() {
        assert_eq!(CODE_BASE, 4_294_967_040);
        for (_, reason) in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        assert_eq!((Reason::Version.code(), Reason::Value.code()), (0xffff_ff01, 0xffff_ff13));
        assert_eq!(Reason::from_code(0xffff_ff08), None);
        assert_eq!(Reason::from_code(1), None);
    }

    #[test]
    fn an_abort_with_a_code_of_the_protocol_says_why() {
        let code = Reason::NameTaken.code();
        assert_eq!(Gone::from(End::AbortedByPeer { code }), Gone::ByPeer(Reason::NameTaken));
        assert_eq!(Gone::from(End::Aborted { code }), Gone::ByUs(Reason::NameTaken));
        assert_eq!(Gone::from(End::ClosedByPeer { code }), Gone::Ended(End::ClosedByPeer { code }));
        assert_eq!(Gone::from(End::AbortedByPeer { code: 9 }), Gone::Ended(End::AbortedByPeer { code: 9 }));
    }
}
