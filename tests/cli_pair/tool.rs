//! A run of the tool.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::mem::take;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A running `udpair`, killed when dropped.
pub(crate) struct Tool {
    pub(crate) child: Child,
    /// Where it was asked for.
    pub(crate) stdin: Option<ChildStdin>,
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
        let stdin = child.stdin.take();
        Self { child, stdin, stdout, stderr, stderr_seen: String::new() }
    }

    /// As [`start`](Self::start), with standard input open.
    pub(crate) fn piped(args: &str) -> Self {
        Self::run(command(args).stdin(Stdio::piped()))
    }

    /// Runs it where standard output goes to `stdout`.
    pub(crate) fn with_stdout(args: &str, stdout: impl Into<Stdio>) -> Child {
        command(args).stdout(stdout).spawn().unwrap()
    }

    /// The first line on stderr.
    pub(crate) fn first_on_stderr(&mut self) -> String {
        assert_eq!(self.stderr_seen, "");
        assert_ne!(self.stderr.read_line(&mut self.stderr_seen).unwrap(), 0, "it ended");
        self.stderr_seen.trim_end().to_owned()
    }

    /// Writes all of `bytes` into its standard input, which stays open.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// So many bytes of its standard output.
    pub(crate) fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stdout.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// All that is left of its standard output, to its end.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stdout.read_to_end(&mut bytes).unwrap();
        bytes
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

    /// `code` with the address of this machine, as it is said where nobody is found by the code alone.
    pub(crate) fn with_address(&mut self, code: &str) -> String {
        self.said("CODE@127.0.0.1:").replacen("CODE", code, 1)
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
