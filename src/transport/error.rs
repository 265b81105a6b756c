//! Why an operation of a transport or of one of its handles failed: one enum for each, and all of them into
//! [`std::io::Error`]. Those of the verbs on messages (`SendError`, `WriteError`, `ReadError`, `ConfigureError`) belong
//! to the `message` floor.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use thiserror::Error;

use crate::message::{ConfigureError, End, ReadError, SendError, WriteError};
use crate::wire::RefuseCode;

/// Why a transport could not be bound to an address.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket has this address.
    #[error("address {addr} is in use")]
    AddressInUse {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// This machine does not have this address.
    #[error("address {addr} is not one of this machine's")]
    AddressNotAvailable {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// The operating system does not let this process have it.
    #[error("no permission to bind {addr}")]
    PermissionDenied {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// The [key](super::Psk) comes from a simulation's seed, and so has whoever has that: good for nothing else.
    #[error("the key of {addr} is a simulation's")]
    SimulatedKey {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// Anything else that a system call answered.
    #[error("cannot bind {addr}")]
    Io {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: Error,
    },
}

impl BindError {
    /// Sorts what a system call answered while binding `addr`.
    pub(crate) fn from_io(addr: SocketAddr, source: Error) -> Self {
        match source.kind() {
            ErrorKind::AddrInUse => Self::AddressInUse { addr },
            ErrorKind::AddrNotAvailable => Self::AddressNotAvailable { addr },
            ErrorKind::PermissionDenied => Self::PermissionDenied { addr },
            _ => Self::Io { addr, source },
        }
    }
}

/// Why a connection was not established.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody answered within the connect timeout.
    #[error("{remote} did not answer in time")]
    TimedOut {
        /// The address that was called.
        remote: SocketAddr,
    },
    /// The address says that nobody listens there.
    #[error("nobody listens at {remote}")]
    Unreachable {
        /// The address that was called.
        remote: SocketAddr,
    },
    /// The peer's application does not want the connection.
    #[error("{remote} refused the connection with code {code}")]
    Refused {
        /// The address that was called.
        remote: SocketAddr,
        /// The application's own number.
        code: u32,
    },
    /// The peer's library does not want it: no listener, too many connections, another version.
    #[error("{remote} refused the connection: {}", in_words(*.reason))]
    RefusedByLibrary {
        /// The address that was called.
        remote: SocketAddr,
        /// Why.
        reason: RefuseCode,
    },
    /// Somebody answered, and did not prove to know the secret: theirs is another, or their answer came before the
    /// right one's.
    #[error("whoever answered for {remote} did not prove to know the secret")]
    Unconfirmed {
        /// The address that was called.
        remote: SocketAddr,
    },
    /// The transport cannot send to this address: another address family, port 0, an address without meaning.
    #[error("{remote} cannot be called from {local}")]
    Address {
        /// The address that was called.
        remote: SocketAddr,
        /// The transport's own.
        local: SocketAddr,
    },
    /// The transport has as many connections as it may.
    #[error("too many connections on one transport")]
    TooMany,
    /// It was established and ended at once, or while it was.
    #[error("the connection to {remote} ended before it began")]
    Ended {
        /// The address that was called.
        remote: SocketAddr,
        /// Why.
        #[source]
        end: End,
    },
    /// A system call failed.
    #[error("cannot call {remote}")]
    Io {
        /// The address that was called.
        remote: SocketAddr,
        /// What the system said.
        source: Error,
    },
}

const fn in_words(reason: RefuseCode) -> &'static str {
    match reason {
        RefuseCode::Version => "it does not speak this version of the protocol",
        RefuseCode::InviteUsed => "its invite has been used",
        RefuseCode::InviteBurnt => "its invite is burnt",
        RefuseCode::WrongTag => "it has another secret",
        RefuseCode::Busy => "it has no room for another one now",
    }
}

impl ConnectError {
    /// What the end of a connection that never was established means to whoever called.
    pub(crate) const fn from_end(remote: SocketAddr, end: End) -> Self {
        match end {
            End::ConnectTimedOut | End::TimedOut => Self::TimedOut { remote },
            End::Unreachable => Self::Unreachable { remote },
            End::Unconfirmed => Self::Unconfirmed { remote },
            End::RefusedByPeer { code } => Self::Refused { remote, code },
            End::Refused(reason) => Self::RefusedByLibrary { remote, reason },
            end => Self::Ended { remote, end },
        }
    }
}

/// Why no connection was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// None came within the time given.
    #[error("no connection came in time")]
    TimedOut,
    /// The transport was bound with a backlog of 0.
    #[error("this transport does not listen: its backlog is 0")]
    NotListening,
    /// Somebody tried wrong words: nobody can come by this invite any more. Make a new one.
    #[error("somebody tried wrong words, so the invite is burnt")]
    InviteBurnt,
    /// The transport's own descriptors failed.
    #[error("the transport failed: {0}")]
    Broken(ErrorKind),
}

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// No message came within the time given.
    #[error("no message came in time")]
    TimedOut,
    /// Everything that arrived has been received, and the connection is no more.
    #[error("the connection ended")]
    Ended(#[source] End),
}

/// Why [`Connection::flush`](super::Connection::flush) gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FlushError {
    /// Not everything had arrived within the time given.
    #[error("not everything arrived in time")]
    TimedOut,
    /// The connection is no more, and not everything had arrived.
    #[error("the connection ended")]
    Ended(#[source] End),
}

/// Why a message could not be had as one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IntoBytesError {
    /// It is longer than the caller allows.
    #[error("message of more than {max} bytes")]
    TooLong {
        /// What the caller allows, in bytes.
        max: usize,
    },
    /// It was a stream, and did not come to its end.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why [`Transport::wait`](super::Transport::wait) returned without anything being ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time given is over.
    #[error("timed out")]
    TimedOut,
    /// The transport's own descriptors failed: nothing will ever be ready again.
    #[error("the transport failed: {0}")]
    Broken(ErrorKind),
}

/// The kind of I/O error that is nearest to an end.
const fn end_kind(end: End) -> ErrorKind {
    match end {
        End::TimedOut | End::ConnectTimedOut => ErrorKind::TimedOut,
        End::ClosedByPeer { .. } => ErrorKind::UnexpectedEof,
        End::AbortedByPeer { .. } | End::Broken => ErrorKind::ConnectionReset,
        End::Refused(_) | End::RefusedByPeer { .. } | End::Unreachable => ErrorKind::ConnectionRefused,
        End::Unconfirmed => ErrorKind::PermissionDenied,
        End::Closed { .. } | End::Aborted { .. } => ErrorKind::NotConnected,
        _ => ErrorKind::InvalidData,
    }
}

/// `From` into `io::Error`, with the kind that `$kind` chooses and the error itself as the source.
macro_rules! into_io {
    ($($error:ty => $kind:expr;)*) => { $(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                let kind: fn(&$error) -> ErrorKind = $kind;
                Self::new(kind(&error), error)
            }
        }
    )* };
}

into_io! {
    End => |end| end_kind(*end);
    BindError => |error| match error {
        BindError::AddressInUse { .. } => ErrorKind::AddrInUse,
        BindError::AddressNotAvailable { .. } => ErrorKind::AddrNotAvailable,
        BindError::PermissionDenied { .. } => ErrorKind::PermissionDenied,
        BindError::SimulatedKey { .. } => ErrorKind::InvalidInput,
        BindError::Io { source, .. } => source.kind(),
    };
    ConnectError => |error| match error {
        ConnectError::Unconfirmed { .. } => ErrorKind::PermissionDenied,
        ConnectError::TimedOut { .. } => ErrorKind::TimedOut,
        ConnectError::Unreachable { .. }
        | ConnectError::Refused { .. }
        | ConnectError::RefusedByLibrary { .. } => ErrorKind::ConnectionRefused,
        ConnectError::Address { .. } => ErrorKind::InvalidInput,
        ConnectError::TooMany => ErrorKind::QuotaExceeded,
        ConnectError::Ended { end, .. } => end_kind(*end),
        ConnectError::Io { source, .. } => source.kind(),
    };
    AcceptError => |error| match error {
        AcceptError::TimedOut => ErrorKind::TimedOut,
        AcceptError::NotListening => ErrorKind::InvalidInput,
        AcceptError::InviteBurnt => ErrorKind::PermissionDenied,
        AcceptError::Broken(kind) => *kind,
    };
    RecvError => |error| match error {
        RecvError::TimedOut => ErrorKind::TimedOut,
        RecvError::Ended(end) => end_kind(*end),
    };
    FlushError => |error| match error {
        FlushError::TimedOut => ErrorKind::TimedOut,
        FlushError::Ended(end) => end_kind(*end),
    };
    IntoBytesError => |error| match error {
        IntoBytesError::TooLong { .. } => ErrorKind::InvalidData,
        IntoBytesError::Read(error) => read_kind(error),
    };
    WaitError => |error| match error {
        WaitError::TimedOut => ErrorKind::TimedOut,
        WaitError::Broken(kind) => *kind,
    };
    SendError => |error| match error {
        SendError::WouldBlock => ErrorKind::WouldBlock,
        SendError::TimedOut => ErrorKind::TimedOut,
        SendError::Closing => ErrorKind::NotConnected,
        SendError::Ended(end) => end_kind(*end),
        _ => ErrorKind::InvalidInput,
    };
    WriteError => |error| match error {
        WriteError::WouldBlock => ErrorKind::WouldBlock,
        WriteError::TimedOut => ErrorKind::TimedOut,
        WriteError::Stopped { .. } => ErrorKind::BrokenPipe,
        WriteError::Ended(end) => end_kind(*end),
        _ => ErrorKind::InvalidInput,
    };
    ReadError => read_kind;
    ConfigureError => |_| ErrorKind::InvalidInput;
}

const fn read_kind(error: &ReadError) -> ErrorKind {
    match error {
        ReadError::WouldBlock => ErrorKind::WouldBlock,
        ReadError::TimedOut => ErrorKind::TimedOut,
        ReadError::Reset { .. } => ErrorKind::ConnectionReset,
        ReadError::Ended(end) => end_kind(*end),
        _ => ErrorKind::InvalidInput,
    }
}
