//! What can go wrong in a bench.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::call::Unreached;
use crate::cli::exit::{Exit, Failure};

/// Why a bench ended without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// Arguments that do not go together.
    #[error("{0}")]
    Usage(String),
    /// The address to listen at could not be had.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody answered at any of the server's addresses.
    #[error("cannot connect: {0}")]
    Unreached(Unreached),
    /// A socket could not be set up for the messages.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A system call failed.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The result could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The other side speaks, but not the bench's protocol.
    #[error("the other side does not speak the bench's protocol: {0}")]
    Protocol(String),
    /// The other side will not do what is asked.
    #[error("the other side refuses: {0}")]
    Refused(String),
    /// The other side gave its reason for ending the run.
    #[error("the other side says: {0}")]
    Remote(String),
    /// The other side did not answer in time.
    #[error("no answer within {seconds} s: busy with another run, or no udpair bench")]
    Silent {
        /// How long we waited.
        seconds: u64,
    },
    /// The other side neither sent nor took anything.
    #[error("no progress for {patience:?}: the run is over")]
    Stalled {
        /// How long we waited for it.
        patience: Duration,
    },
    /// The other side went away before the run was over.
    #[error("the other side ended the run before it was over")]
    Ended,
    /// A message of the wrong length.
    #[error("a message of {len} bytes arrived where each has {size}")]
    Length {
        /// What arrived.
        len: usize,
        /// What was sent.
        size: usize,
    },
    /// A byte changed on the way.
    #[error("message {message} arrived changed at byte {at}")]
    Corrupt {
        /// Its number.
        message: u64,
        /// The first byte that differs.
        at: usize,
    },
}

impl Error {
    /// For `map_err`: the system call that does `what` failed.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// What went wrong and why, in one line.
    pub(crate) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(exit(&error), error.in_full())
    }
}

fn exit(error: &Error) -> Exit {
    match error {
        Error::Usage(_) => Exit::Usage,
        Error::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Exit::Permission,
        Error::Listen { .. } => Exit::BadAddress,
        Error::Unreached(unreached) => unreached.exit(),
        Error::Connect { source, .. } | Error::Io { source, .. } | Error::File { source, .. } => io_exit(source),
        Error::Silent { .. } | Error::Stalled { .. } => Exit::Timeout,
        Error::Refused(_) => Exit::Refused,
        Error::Length { .. } | Error::Corrupt { .. } => Exit::Integrity,
        Error::Protocol(_) | Error::Remote(_) | Error::Ended => Exit::Other,
    }
}

fn io_exit(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Exit::Refused,
        io::ErrorKind::TimedOut => Exit::Timeout,
        io::ErrorKind::PermissionDenied => Exit::Permission,
        io::ErrorKind::StorageFull => Exit::DiskFull,
        _ => Exit::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_and_why() {
        let source = io::Error::from(io::ErrorKind::ConnectionRefused);
        let why = source.to_string();
        let failure = Failure::from(Error::Connect { address: "[::1]:9".to_owned(), source });
        assert_eq!(failure, Failure::new(Exit::Refused, format!("cannot connect to [::1]:9: {why}")));
    }

    #[test]
    fn changed_bytes_have_their_own_exit_code() {
        assert_eq!(Failure::from(Error::Corrupt { message: 3, at: 9 }).exit, Exit::Integrity);
    }
}
