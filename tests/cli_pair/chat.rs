//! `udpair invite` and `udpair join` on two terminals.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, ChildStderr, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::tool::command;

/// A terminal with `udpair` on it, killed when dropped.
struct Terminal {
    child: Child,
    /// Where the user sits.
    user: File,
    stderr: ChildStderr,
    seen: String,
}

impl Terminal {
    fn run(args: &str) -> Self {
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

    fn type_in(&mut self, text: &str) {
        self.user.write_all(text.as_bytes()).unwrap();
    }

    /// What the user sees up to `text`, what was typed among it.
    fn sees(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let mut byte = [0];
            assert_eq!(self.user.read(&mut byte).unwrap(), 1);
            seen.extend_from_slice(&byte);
        }
        String::from_utf8(seen).unwrap()
    }

    /// Reads on until `text` was said on stderr.
    fn said(&mut self, text: &str) -> String {
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

#[test]
fn two_terminals_chat_line_by_line_and_obey_nothing() {
    let mut one = Terminal::run("invite --interface lo");
    let code = one.said("\n").trim_end().to_owned();
    let mut other = Terminal::run(&format!("join {code} --interface lo"));
    one.said("connected");
    other.said("connected");
    one.type_in("hello\n");
    assert_eq!(other.sees("\n"), "hello\r\n");
    // The terminal of whoever types shows an escape as ^[, and hands it on as it is.
    other.type_in("\x1b[2Jwho is there?\n");
    one.sees("hello\r\n");
    assert_eq!(one.sees("?\r\n"), "\\u{1b}[2Jwho is there?\r\n");

    // Ctrl-D at the beginning of a line.
    one.type_in("\x04");
    other.said("the other side has ended");
    other.type_in("bye\n");
    assert_eq!(one.sees("\n"), "bye\r\n");
    other.type_in("\x04");
    for terminal in [&mut one, &mut other] {
        assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    }
}
