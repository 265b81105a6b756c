//! The tool's exit codes: part of its interface, listed in its help and never renumbered.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// How a run of the tool ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything that was asked for was done.
    Ok = 0,
    /// Anything that has no code of its own.
    Other = 1,
    /// The arguments make no sense, or `--insecure-plain` is missing.
    Usage = 2,
    /// The peer does not listen, is busy, or refused.
    Refused = 3,
    /// The peer never answered, fell silent, was interrupted, or is gone.
    Timeout = 4,
    /// The receiving disk is full, or the one that standard output goes to.
    DiskFull = 5,
    /// No permission, here or at the peer; or others can get at a key file.
    Permission = 6,
    /// An address that cannot be understood, resolved or bound.
    BadAddress = 7,
    /// Some files did not arrive, for several reasons or for one without a code of its own.
    SomeFailed = 8,
    /// What arrived is not what was sent.
    Integrity = 9,
    /// Wrong words were tried, here or at the other side: the code is good for nothing any more.
    Burnt = 10,
    /// Somebody answered who does not have the secret.
    SomebodyElse = 11,
    /// The other side speaks another version, or over another transport than was asked for.
    Differs = 12,
    /// Interrupted from the keyboard or by a signal.
    Interrupted = 130,
}

/// The codes as the help shows them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
    0  all done
    1  anything that has no code of its own
    2  wrong arguments, no code, or --insecure-plain is missing
    3  refused: the peer does not listen, is busy, or said no; the code has been used
    4  timeout: the peer never came or answered, fell silent, was interrupted, or is gone
    5  the disk is full: the receiver's, or the one that standard output goes to
    6  no permission, or a key file that others can get at
    7  bad address: not understood, not resolved, or not to be bound
    8  some files failed, the others arrived
    9  integrity: what arrived is not what was sent
   10  burnt: wrong words were tried, so a new code has to be made
   11  somebody else answered, who does not have the words or the key
   12  the other side speaks another version, or not over what --transport asks for
  130  interrupted";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a run ended early: a code for scripts, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The code.
    pub(crate) exit: Exit,
    /// One sentence, lower case, without a full stop.
    pub(crate) message: String,
}

impl Failure {
    /// Ends with `exit` after printing `message`.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// The system did not let us do `what`.
    pub(crate) fn of_io(what: &str, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Exit::Permission,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Exit::DiskFull,
            _ => Exit::Other,
        };
        Self::new(exit, format!("{what}: {error}"))
    }
}

/// A line on stdout, at once.
pub(crate) fn say(line: &(impl fmt::Display + ?Sized)) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    let said = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    said.map_err(|error| Failure::of_io("cannot write to standard output", &error))
}

/// `error` and what was behind it, in one line.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// A line on stderr, under our name. Where nobody reads it nothing else goes wrong.
pub(crate) fn complain(message: &(impl fmt::Display + ?Sized)) {
    tell(&format_args!("udpair: {message}"));
}

/// The same without our name.
pub(crate) fn tell(line: &(impl fmt::Display + ?Sized)) {
    let _ = writeln!(io::stderr(), "{}", OneLine(&line.to_string()));
}

/// Text that may hold a peer's words, shown so that it is one line and a terminal obeys nothing in it.
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '\'' | '"' | '\\' => write!(f, "{char}"),
            _ => write!(f, "{}", char.escape_debug()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_that_a_peer_says() {
        let said = "it's \"busy\" \\ \u{1b}]0;mine\u{7}\nudpair: sent 1 file\u{202e}ä";
        assert_eq!(OneLine(said).to_string(), "it's \"busy\" \\ \\u{1b}]0;mine\\u{7}\\nudpair: sent 1 file\\u{202e}ä");
    }

    #[test]
    fn the_help_and_the_spec_list_every_code() {
        let all = [
            Exit::Ok,
            Exit::Other,
            Exit::Usage,
            Exit::Refused,
            Exit::Timeout,
            Exit::DiskFull,
            Exit::Permission,
            Exit::BadAddress,
            Exit::SomeFailed,
            Exit::Integrity,
            Exit::Burnt,
            Exit::SomebodyElse,
            Exit::Differs,
            Exit::Interrupted,
        ];
        let listed = |text: &str| -> Vec<u8> {
            text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
        };
        assert_eq!(listed(EXIT_CODES), all.map(|exit| exit as u8));
        let spec = include_str!("../../spec/files.md");
        let (_, section) = spec.split_once("## The tool's exit codes").unwrap();
        assert_eq!(listed(section.split("\n## ").next().unwrap()), listed(EXIT_CODES));
    }
}
