//! Why there is no peer, in the tool's terms.

use udpair::transport::discovery::DiscoveryError;
use udpair::transport::pairing::{InviteError, JoinError};
use udpair::transport::{AcceptError, BindError, ConnectError};
use udpair::wire::RefuseCode;

use crate::cli::call::exit_of as exit_of_io;
use crate::cli::exit::{Exit, Failure, in_full};

/// What a failed bind means.
pub(crate) fn bind(error: &BindError) -> Failure {
    Failure::new(exit_of_bind(error), in_full(error))
}

/// What a failed accept means.
pub(crate) fn accept(error: &AcceptError) -> Failure {
    Failure::new(Exit::Other, in_full(error))
}

/// Why an invite led to nobody.
pub(crate) fn invite(error: &InviteError) -> Failure {
    let exit = match error {
        InviteError::Bind(error) => exit_of_bind(error),
        InviteError::Discovery(error) => exit_of_discovery(error),
        InviteError::Io(error) => exit_of_io(error),
        InviteError::Burnt => Exit::Burnt,
        InviteError::Expired => Exit::Timeout,
        _ => Exit::Other,
    };
    let again = match error {
        InviteError::Burnt => " (run the same command again, and tell the other side the code that it prints)",
        InviteError::Expired => ": run the same command again for a new one",
        _ => "",
    };
    Failure::new(exit, format!("{}{again}", in_full(error)))
}

/// Why a code led to nobody.
pub(crate) fn join(error: &JoinError) -> Failure {
    let exit = match error {
        JoinError::Code(_) => Exit::Usage,
        JoinError::Bind(error) => exit_of_bind(error),
        JoinError::Discovery(error) => exit_of_discovery(error),
        JoinError::Io(error) => exit_of_io(error),
        JoinError::NobodyAnswered(_) => Exit::Timeout,
        JoinError::OtherCarrier { .. } | JoinError::OtherVersion { .. } => Exit::Differs,
        JoinError::WrongWords | JoinError::Burnt => Exit::Burnt,
        JoinError::Used => Exit::Refused,
        JoinError::SomebodyElse | JoinError::Disputed => Exit::SomebodyElse,
        JoinError::Connect(error) => exit_of_connect(error),
        _ => Exit::Other,
    };
    let hint = match error {
        JoinError::NobodyAnswered(_) => {
            ". Does the other side still wait, on the same network? A code is good once, and for ten minutes. udpair \
             doctor says what this machine can do"
        }
        JoinError::Connect(ConnectError::TimedOut { .. } | ConnectError::Unreachable { .. }) => {
            ". If the other side still waits, a firewall may be in the way: udpair doctor on both machines says what \
             it has to let through"
        }
        _ => "",
    };
    Failure::new(exit, format!("{}{hint}", in_full(error)))
}

/// What it means that a call did not lead to a connection.
pub(crate) fn exit_of_connect(error: &ConnectError) -> Exit {
    match error {
        ConnectError::RefusedByLibrary { reason: RefuseCode::Version, .. } => Exit::Differs,
        // Over TCP one that hangs up: it has another key, or none.
        ConnectError::Ended { .. } => Exit::Refused,
        ConnectError::Unreachable { .. } | ConnectError::Refused { .. } | ConnectError::RefusedByLibrary { .. } => {
            Exit::Refused
        }
        ConnectError::TimedOut { .. } => Exit::Timeout,
        ConnectError::Unconfirmed { .. } => Exit::SomebodyElse,
        ConnectError::Io { source, .. } => exit_of_io(source),
        ConnectError::Address { .. } => Exit::BadAddress,
        _ => Exit::Other,
    }
}

fn exit_of_bind(error: &BindError) -> Exit {
    match error {
        BindError::AddressInUse { .. } | BindError::AddressNotAvailable { .. } => Exit::BadAddress,
        BindError::PermissionDenied { .. } => Exit::Permission,
        _ => Exit::Other,
    }
}

fn exit_of_discovery(error: &DiscoveryError) -> Exit {
    match error {
        DiscoveryError::NoSuchInterface { .. } => Exit::BadAddress,
        DiscoveryError::Io { source } => exit_of_io(source),
        _ => Exit::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpair::pairing::Carrier;

    #[test]
    fn every_reason_has_its_code() {
        let carriers = JoinError::OtherCarrier { offered: Carrier::Udp, wanted: Carrier::Tcp };
        let nobody_there = ConnectError::Unreachable { remote: ([127, 0, 0, 1], 9).into() };
        let no_code = "42-maple".parse::<udpair::pairing::Code>().unwrap_err();
        for (error, exit, text) in [
            (no_code.into(), Exit::Usage, "two words"),
            (JoinError::WrongWords, Exit::Burnt, "ask for a new code"),
            (JoinError::Burnt, Exit::Burnt, "ask for a new code"),
            (JoinError::Used, Exit::Refused, "has been used"),
            (JoinError::SomebodyElse, Exit::SomebodyElse, "try the same code or key again"),
            (JoinError::OtherVersion { version: 2 }, Exit::Differs, "another version"),
            (carriers, Exit::Differs, "talks over UDP"),
            (JoinError::Connect(nobody_there), Exit::Refused, "nobody listens at 127.0.0.1:9"),
        ] {
            let failure = join(&error);
            assert_eq!(failure.exit, exit, "{error:?}");
            assert!(failure.message.contains(text), "{}", failure.message);
        }
        for (error, exit) in [(InviteError::Burnt, Exit::Burnt), (InviteError::Expired, Exit::Timeout)] {
            let failure = invite(&error);
            assert_eq!(failure.exit, exit);
            assert!(failure.message.contains("run the same command again"), "{}", failure.message);
        }
        let remote = ([127, 0, 0, 1], 9).into();
        let busy = ConnectError::RefusedByLibrary { remote, reason: RefuseCode::Busy };
        assert_eq!(exit_of_connect(&busy), Exit::Refused);
        assert_eq!(busy.to_string(), "127.0.0.1:9 refused the connection: it has no room for another connection now");
        let name = "eth7".to_owned();
        assert_eq!(join(&DiscoveryError::NoSuchInterface { name }.into()).exit, Exit::BadAddress);
    }
}
