//! What became of a transfer: reasons, their exit codes, and the totals that both sides report.

use std::fmt;
use std::io;
use std::time::Duration;

use udpair::wire::DecodeError;

use super::message::{Reason, Totals};
use super::name::Escaped;
use crate::cli::code;
use crate::cli::exit::Exit;

/// Something that the user should read: one line on stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The item, fit for a terminal.
    pub(crate) name: String,
    /// What became of it.
    pub(crate) what: What,
}

/// What became of an item that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The sender left it out: it is a link, or special.
    Skipped(&'static str),
    /// It should have arrived.
    Failed(Reason, String),
}

impl Notice {
    /// `name` failed.
    pub(crate) fn of(name: String, error: &io::Error) -> Self {
        Self { name, what: What::Failed(Reason::of(error), error.to_string()) }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Skipped(kind) => write!(f, "skipped {}: {kind}", self.name),
            What::Failed(_, text) => write!(f, "failed {}: {text}", self.name),
        }
    }
}

/// Why a transfer cannot go on, apart from its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// The peer did what the protocol forbids.
    #[error("the peer broke the file protocol: {0}")]
    Violation(&'static str),
    /// The peer's bytes are no message.
    #[error("the peer sent what is no message: {0}")]
    Garbled(#[from] DecodeError),
    /// The peer sends, as we do.
    #[error("the other side sends, too: one of the two has to receive")]
    BothSend,
    /// The peer speaks another version.
    #[error("the peer speaks version {0} of the file protocol, this is version 1")]
    Version(u16),
}

impl Broken {
    /// The code to abort the connection with.
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Violation(_) | Self::BothSend | Self::Garbled(_) => code::VIOLATION,
            Self::Version(_) => code::VERSION,
        }
    }
}

/// What the peer says about a failure, fit for a terminal.
pub(crate) fn peer_says(text: &str) -> String {
    format!("the peer says: {}", Escaped(text.as_bytes()))
}

impl Reason {
    /// What a program needs to know of `error`.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory | io::ErrorKind::DirectoryNotEmpty => {
                Self::Exists
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Permission,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::NotADirectory => Self::NotDirectory,
            io::ErrorKind::InvalidFilename => Self::Name,
            _ if rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP) => Self::NotDirectory,
            _ => Self::Other,
        }
    }

    /// The exit code where all failures have this reason.
    pub(crate) const fn exit(self) -> Exit {
        match self {
            Self::Permission => Exit::Permission,
            Self::DiskFull => Exit::DiskFull,
            Self::Integrity => Exit::Integrity,
            _ => Exit::SomeFailed,
        }
    }
}

impl Totals {
    /// Counts one more that did not arrive.
    pub(crate) fn fail(&mut self, reason: Reason) {
        self.failed += 1;
        self.reason = match self.reason {
            None => Some(reason),
            Some(old) if old == reason => Some(old),
            Some(_) => Some(Reason::Several),
        };
    }

    /// Counts one more file.
    pub(crate) const fn file(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    /// True where both sides count the same arrivals.
    pub(crate) fn arrivals_equal(&self, other: &Self) -> bool {
        (self.files, self.directories, self.bytes) == (other.files, other.directories, other.bytes)
    }

    /// The exit code of a transfer that came to its end.
    pub(crate) fn exit(&self) -> Exit {
        self.reason.map_or(Exit::Ok, Reason::exit)
    }

    /// One line for people: counts, and the rate where the time is long enough to have one.
    pub(crate) fn report(&self, verb: &str, took: Duration) -> String {
        let seconds = took.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let rate = 8.0 * self.bytes as f64 / seconds.max(1e-9);
        format!(
            "{verb} {}, {}, {} in {seconds:.2} s ({}); {} skipped, {} failed",
            plural(self.files, "file", "files"),
            plural(self.directories, "directory", "directories"),
            plural(self.bytes, "byte", "bytes"),
            bits_per_second(rate),
            self.skipped,
            self.failed,
        )
    }
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn bits_per_second(rate: f64) -> String {
    match rate {
        1e9.. => format!("{:.2} Gbit/s", rate / 1e9),
        1e6.. => format!("{:.1} Mbit/s", rate / 1e6),
        _ => format!("{:.1} kbit/s", rate / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn reasons_of_system_errors() {
        for (errno, reason) in [
            (Errno::NOSPC, Reason::DiskFull),
            (Errno::DQUOT, Reason::DiskFull),
            (Errno::ACCESS, Reason::Permission),
            (Errno::PERM, Reason::Permission),
            (Errno::ROFS, Reason::Permission),
            (Errno::EXIST, Reason::Exists),
            (Errno::ISDIR, Reason::Exists),
            (Errno::NOTDIR, Reason::NotDirectory),
            (Errno::LOOP, Reason::NotDirectory),
            (Errno::NAMETOOLONG, Reason::Name),
            (Errno::IO, Reason::Other),
        ] {
            assert_eq!(Reason::of(&errno.into()), reason, "{errno}");
        }
    }

    #[test]
    fn failures_that_share_a_reason_share_its_exit_code() {
        let mut totals = Totals::default();
        assert_eq!(totals.exit(), Exit::Ok);
        totals.fail(Reason::DiskFull);
        totals.fail(Reason::DiskFull);
        assert_eq!((totals.failed, totals.exit()), (2, Exit::DiskFull));
        totals.fail(Reason::Permission);
        assert_eq!((totals.failed, totals.exit()), (3, Exit::SomeFailed));
        totals.fail(Reason::Permission);
        assert_eq!(totals.reason, Some(Reason::Several));
    }

    #[test]
    fn the_report_is_one_line() {
        let mut totals = Totals { directories: 2, skipped: 3, ..Totals::default() };
        totals.file(125_000_000);
        assert_eq!(
            totals.report("sent", Duration::from_millis(500)),
            "sent 1 file, 2 directories, 125000000 bytes in 0.50 s (2.00 Gbit/s); 3 skipped, 0 failed"
        );
    }
}
