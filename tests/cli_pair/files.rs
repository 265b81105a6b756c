//! `udpair send` and `udpair recv` by a code.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use tempfile::{TempDir, tempdir};

use super::TRANSPORTS;
use super::tool::Tool;

const CONTENT: &[u8] = b"what is sent";

/// A file to send, and a place for it.
struct Places {
    from: TempDir,
    to: TempDir,
}

impl Places {
    fn new() -> Self {
        let places = Self { from: tempdir().unwrap(), to: tempdir().unwrap() };
        fs::write(places.file(), CONTENT).unwrap();
        places
    }

    fn file(&self) -> PathBuf {
        self.from.path().join("file")
    }

    fn send(&self, args: &str) -> Tool {
        Tool::start(&format!("send --interface lo {args}"), &[self.file().as_os_str()])
    }

    fn recv(&self, args: &str) -> Tool {
        Tool::start(&format!("recv --interface lo {args}"), &[OsStr::new("--dir"), self.to.path().as_os_str()])
    }

    #[track_caller]
    fn arrived(&self) {
        assert_eq!(fs::read(self.to.path().join("file")).unwrap(), CONTENT);
    }
}

#[test]
fn the_sender_makes_the_code() {
    for transport in TRANSPORTS {
        let places = Places::new();
        let mut sender = places.send(&format!("--transport {transport}"));
        let code = sender.code();
        let received = places.recv(&code).end();
        received.succeeded();
        let sent = sender.end();
        sent.succeeded();
        assert!(sent.stderr.contains("udpair recv CODE") && !sent.stderr.contains(&code), "{sent:?}");
        assert!(sent.stdout.starts_with("sent 1 file"), "{sent:?}");
        assert!(received.stdout.starts_with("received 1 file"), "{received:?}");
        places.arrived();
    }
}

#[test]
fn the_receiver_makes_the_code() {
    for transport in TRANSPORTS {
        let places = Places::new();
        let mut receiver = places.recv(&format!("--transport {transport}"));
        let code = receiver.code();
        places.send(&format!("--code {code}")).end().succeeded();
        let received = receiver.end();
        received.succeeded();
        assert!(received.stderr.contains("udpair send PATH... --code CODE"), "{received:?}");
        assert!(!received.stderr.contains(&code) && !received.stdout.contains(&code), "once: {received:?}");
        places.arrived();
    }
}

#[test]
fn a_code_is_read_as_people_type_it() {
    let places = Places::new();
    let mut sender = places.send("");
    places.recv(&sender.code().to_uppercase().replace('-', " ")).end().succeeded();
    sender.end().succeeded();
    places.arrived();
}

#[test]
fn the_code_with_the_address_needs_no_broadcast() {
    for transport in TRANSPORTS {
        let places = Places::new();
        let mut sender = places.send(&format!("--transport {transport}"));
        let code = sender.code();
        let with_address = sender.with_address(&code);
        let dir = [OsStr::new("--dir"), places.to.path().as_os_str()];
        Tool::start(&format!("recv {with_address}"), &dir).end().succeeded();
        sender.end().succeeded();
        places.arrived();
    }
}

#[test]
fn two_that_send_are_told_so() {
    let places = Places::new();
    let mut sender = places.send("");
    let code = sender.code();
    let joined = places.send(&format!("--code {code}")).end();
    let invited = sender.end();
    assert!([&joined, &invited].iter().any(|end| end.stderr.contains("the other side sends, too")), "{joined:?}");
    assert_eq!((joined.exit, invited.exit), (Some(1), Some(1)));
}
