//! Why a pairing came to nothing, with the reason that can be told.

use core::fmt;
use std::io::{Error, ErrorKind};

use thiserror::Error;

use crate::pairing::{Carrier, CodeError};
use crate::transport::discovery::{DiscoveryError, DiscoveryReport};
use crate::transport::{BindError, ConnectError};

/// Why there is no invite, or nobody came by it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InviteError {
    /// No socket for the conversation.
    #[error("the port for the conversation cannot be had")]
    Bind(#[from] BindError),
    /// No way to look for others.
    #[error("the other side cannot be looked for")]
    Discovery(#[from] DiscoveryError),
    /// The system gives no random bytes, no descriptors, or waiting failed.
    #[error("the system failed")]
    Io(#[from] Error),
    /// Somebody tried wrong words: the code is good for nothing any more, and a new one is to be made. Either it was
    /// mistyped, and the one who did was told; or somebody is guessing.
    #[error("somebody tried wrong words, so this code is burnt: make a new invite")]
    Burnt,
    /// Nobody came while the code was good.
    #[error("nobody came within the time that the code is good for")]
    Expired,
}

/// Why a code led to no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// It is no code. Nothing was sent, and no invite was burnt.
    #[error("{0}")]
    Code(#[from] CodeError),
    /// No socket for the conversation.
    #[error("the port for the conversation cannot be had")]
    Bind(#[from] BindError),
    /// No way to look for others.
    #[error("the other side cannot be looked for")]
    Discovery(#[from] DiscoveryError),
    /// Waiting failed.
    #[error("the system failed")]
    Io(#[from] Error),
    /// Nobody offered an invite of this number.
    #[error("{0}")]
    NobodyAnswered(NobodyAnswered),
    /// Somebody offers an invite of this number, and talks over the other one.
    #[error("whoever offers this number talks over {}, and only {} was asked for", name(*.offered), name(*.wanted))]
    OtherCarrier {
        /// What it talks over.
        offered: Carrier,
        /// What was asked for.
        wanted: Carrier,
    },
    /// Whoever has this number speaks another version of the protocol.
    #[error("whoever offers this number speaks another version of the protocol, {version}")]
    OtherVersion {
        /// That one.
        version: u8,
    },
    /// Whoever answered says that the words are not the invite's. Nothing proves who that was: where it was the
    /// inviter, the invite is burnt, and it says so ([`InviteError::Burnt`]): ask for a new code then. Where it does
    /// not, somebody else answered, and the same code may be typed again.
    #[error(
        "whoever answered says that these are not the words of the invite: if the other side says that its invite is \
         burnt, ask for a new code; else try the same again"
    )]
    WrongWords,
    /// Somebody else came by the invite first, or its time is over, says whoever answered.
    #[error("whoever answered says that the invite has been used, or its time is over: ask for a new code")]
    Used,
    /// Somebody tried wrong words before, says whoever answered.
    #[error("whoever answered says that the invite is burnt, for somebody tried wrong words: ask for a new code")]
    Burnt,
    /// Several offer this number, and one of them, who need not be the inviter, says that the words are wrong, or that
    /// the invite is burnt or used. Where the inviter says so, too, ask for a new code; else try the same again.
    #[error(
        "several offer this number, and one of them refused: if the other side says that its invite is burnt or used, \
         ask for a new code; else try the same again"
    )]
    Disputed,
    /// Whoever answered did not prove to know the words or the key: somebody else, or the inviter ended just then. The
    /// invite may be alive: the same code may be typed again. Where that happens again, ask for a new one.
    #[error(
        "whoever answered did not prove to know the secret: try the same code or key again; if that happens again, ask \
         for a new one"
    )]
    SomebodyElse,
    /// The conversation could not be begun.
    #[error("the invite could not be called")]
    Connect(#[source] ConnectError),
}

const fn name(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Udp => "UDP",
        Carrier::Tcp => "TCP",
    }
}

/// On which interfaces nobody answered, and what failed on them.
#[derive(Clone, Debug)]
pub struct NobodyAnswered(pub DiscoveryReport);

impl fmt::Display for NobodyAnswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody answered")?;
        let mut separator = " on ";
        for interface in &self.0.interfaces {
            write!(f, "{separator}{interface}")?;
            separator = ", ";
        }
        for failure in &self.0.failures {
            write!(f, "; {failure}")?;
        }
        Ok(())
    }
}

impl From<InviteError> for Error {
    fn from(error: InviteError) -> Self {
        let kind = match &error {
            InviteError::Bind(_) | InviteError::Discovery(_) => ErrorKind::AddrNotAvailable,
            InviteError::Io(source) => source.kind(),
            InviteError::Burnt => ErrorKind::PermissionDenied,
            InviteError::Expired => ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        let kind = match &error {
            JoinError::Code(_) | JoinError::OtherCarrier { .. } => ErrorKind::InvalidInput,
            JoinError::Bind(_) | JoinError::Discovery(_) => ErrorKind::AddrNotAvailable,
            JoinError::Io(source) => source.kind(),
            JoinError::NobodyAnswered(_) => ErrorKind::TimedOut,
            JoinError::OtherVersion { .. } => ErrorKind::Unsupported,
            JoinError::WrongWords | JoinError::Disputed | JoinError::SomebodyElse => ErrorKind::PermissionDenied,
            JoinError::Used | JoinError::Burnt | JoinError::Connect(_) => ErrorKind::ConnectionRefused,
        };
        Self::new(kind, error)
    }
}
