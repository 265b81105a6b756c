//! A terminal with the tool on it.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, ChildStderr, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::tool::command;

/// A terminal with `udpair` on it, killed when dropped.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    /// Where the user sits.
    user: File,
    stderr: ChildStderr,
    seen: String,
}

impl Terminal {
    pub(crate) fn run(args: &str) -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let name = ptsname(&user, Vec::new()).unwrap();
        let program =
            || Stdio::from(open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap());
        let mut child = command(args).stdin(program()).stdout(program()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        Self { child, user: user.into(), stderr, seen: String::new() }
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.user.write_all(text.as_bytes()).unwrap();
    }

    /// As Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// What the user sees up to `text`, what was typed among it.
    pub(crate) fn sees(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let mut byte = [0];
            assert_eq!(self.user.read(&mut byte).unwrap(), 1);
            seen.extend_from_slice(&byte);
        }
        String::from_utf8(seen).unwrap()
    }

    /// Reads on until `text` was said on stderr.
    pub(crate) fn said(&mut self, text: &str) -> String {
        while !self.seen.contains(text) {
            let mut byte = [0];
            assert_eq!(self.stderr.read(&mut byte).unwrap(), 1, "it ended: {}", self.seen);
            self.seen.push(char::from(byte[0]));
        }
        self.seen.clone()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
