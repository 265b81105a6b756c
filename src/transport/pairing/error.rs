//! Why a pairing came to nothing, with the reason that can be told.

use core::fmt;
use std::io::{Error, ErrorKind};

use thiserror::Error;

use crate::pairing::{Carrier, CodeError};
use crate::transport::discovery::{DiscoveryError, DiscoveryReport, FailureReason};
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
    #[error("the invite could not be called{}", guess(.0))]
    Connect(#[source] ConnectError),
}

const fn name(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Udp => "UDP",
        Carrier::Tcp => "TCP",
    }
}

/// What may keep a call from leaving, where the system did not let it.
fn guess(error: &ConnectError) -> String {
    let ConnectError::Io { source, .. } = error else { return String::new() };
    FailureReason::of(source).guess().map(|cause| format!(" (perhaps {cause})")).unwrap_or_default()
}

/// On which interfaces nobody answered, and what failed on them, with a guess at the cause of each reason.
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
        let failures = &self.0.failures;
        for (at, failure) in failures.iter().enumerate() {
            write!(f, "; {failure}")?;
            // Of the same reason once: one cause closes most ways at once.
            let is_first = !failures[..at].iter().any(|before| before.reason == failure.reason);
            if let Some(cause) = failure.reason.guess().filter(|_| is_first) {
                write!(f, " (perhaps {cause})")?;
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::discovery::Failure;

    #[test]
    fn what_may_keep_beacons_from_leaving_is_said_once_and_as_a_guess() {
        use FailureReason::{AddressInUse, NoRoute, PermissionDenied};
        let failure = |(last, reason)| Failure {
            interface: Some("eth0".to_owned()),
            address: Some(([10, 0, 0, last], 29_517).into()),
            reason,
        };
        let failures = [(1, NoRoute), (2, PermissionDenied), (3, NoRoute), (4, AddressInUse)].map(failure).to_vec();
        let report = DiscoveryReport { failures, ..DiscoveryReport::default() };
        assert_eq!(
            JoinError::NobodyAnswered(NobodyAnswered(report)).to_string(),
            "nobody answered; \
             eth0: 10.0.0.1:29517: no route (perhaps a VPN that takes everything, or no permission for the local \
             network); \
             eth0: 10.0.0.2:29517: permission denied (perhaps a firewall, a sandbox, or no permission for the local \
             network); \
             eth0: 10.0.0.3:29517: no route; \
             eth0: 10.0.0.4:29517: the discovery port is in use by a program that does not share it"
        );
    }

    #[test]
    fn a_call_that_does_not_leave_says_what_may_keep_it() {
        let remote = ([203, 0, 113, 1], 7_000).into();
        let said = |kind: ErrorKind| JoinError::Connect(ConnectError::Io { remote, source: kind.into() }).to_string();
        for (kind, cause) in [
            (ErrorKind::NetworkUnreachable, "perhaps a VPN"),
            (ErrorKind::HostUnreachable, "perhaps a VPN"),
            (ErrorKind::PermissionDenied, "perhaps a firewall"),
        ] {
            assert!(said(kind).contains(cause), "{}", said(kind));
        }
        let silent = JoinError::Connect(ConnectError::TimedOut { remote }).to_string();
        for plain in [said(ErrorKind::ConnectionReset), silent] {
            assert_eq!(plain, "the invite could not be called");
        }
    }
}
