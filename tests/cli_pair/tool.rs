//! A run of the tool.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::mem::take;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A running `udpair`, killed when dropped.
pub(crate) struct Tool {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    stderr_seen: String,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Option<i32>,
    /// What was not read before.
    pub(crate) stdout: String,
    /// All of it.
    pub(crate) stderr: String,
}

/// `udpair`, with `args`, split at blanks.
pub(crate) fn command(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpair"));
    command.args(args.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Tool {
    /// Runs `udpair` with `args`, split at blanks, and with `more`.
    pub(crate) fn start(args: &str, more: &[&OsStr]) -> Self {
        Self::run(command(args).args(more))
    }

    pub(crate) fn run(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stdout, stderr, stderr_seen: String::new() }
    }

    /// The next line on stdout.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The code that it prints, and that it is one.
    pub(crate) fn code(&mut self) -> String {
        let code = self.line();
        assert!(code.parse::<udpair::pairing::Code>().is_ok(), "{code:?}");
        code
    }

    /// The word that begins with `start`, as it stands on stderr sooner or later.
    pub(crate) fn said(&mut self, start: &str) -> String {
        loop {
            let from = self.stderr_seen.len();
            assert_ne!(self.stderr.read_line(&mut self.stderr_seen).unwrap(), 0, "it ended: {}", self.stderr_seen);
            if let Some(word) = self.stderr_seen[from..].split_whitespace().find(|word| word.starts_with(start)) {
                return word.to_owned();
            }
        }
    }

    /// As Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), take(&mut self.stderr_seen));
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        Ended { exit: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Ended {
    /// It came to its end as it should.
    #[track_caller]
    pub(crate) fn succeeded(&self) {
        assert_eq!(self.exit, Some(0), "{self:?}");
    }

    /// It ended with this code, and said this on stderr.
    #[track_caller]
    pub(crate) fn failed(&self, exit: i32, text: &str) {
        assert_eq!(self.exit, Some(exit), "{self:?}");
        assert!(self.stderr.contains(text), "{self:?}");
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
