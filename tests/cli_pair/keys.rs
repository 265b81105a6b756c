//! Keys in place of codes: key files, and devices that remember each other.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::{TempDir, tempdir};

use super::TRANSPORTS;
use super::tool::{Ended, Tool, command};

const CONTENT: &str = "what is sent";

/// A directory with a key file, something to send, and room for it.
struct Places(TempDir);

impl Places {
    fn new() -> Self {
        let places = Self(tempdir().unwrap());
        Tool::start("key", &[places.key().as_os_str()]).end().succeeded();
        fs::write(places.at("file"), CONTENT).unwrap();
        places
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn key(&self) -> PathBuf {
        self.at("key")
    }

    /// `udpair` with `args`, and its devices below `side`.
    fn command(&self, side: &str, args: &str) -> Command {
        let mut command = command(args);
        command.env("XDG_DATA_HOME", self.at(side)).current_dir(self.0.path());
        command
    }

    fn run(&self, side: &str, args: &str) -> Tool {
        Tool::run(&mut self.command(side, args))
    }

    #[track_caller]
    fn arrived(&self) {
        assert_eq!(fs::read_to_string(self.at("to/file")).unwrap(), CONTENT);
        fs::remove_file(self.at("to/file")).unwrap();
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_key_file_seals_what_has_an_address() {
    for transport in TRANSPORTS {
        let places = Places::new();
        let args = format!("recv --listen 127.0.0.1:0 --psk-file key --dir to --once --transport {transport}");
        let mut receiver = places.run("", &args);
        let address = receiver.line().strip_prefix("listening on ").unwrap().to_owned();
        // Another key, and none, get nowhere.
        places.run("", "key other").end().succeeded();
        let send = |seal: &str| {
            let args = format!("send file --to {address} --transport {transport} {seal}");
            places.run("", &args).end()
        };
        // Silence over UDP, and over TCP the other side hangs up.
        let exit = if transport == "udp" { 4 } else { 3 };
        send("--timeout 0.5 --psk-file other").failed(exit, "the same key");
        send("--timeout 0.5 --insecure-plain").failed(exit, &address);
        send("--psk-file key").succeeded();
        receiver.end().succeeded();
        places.arrived();
    }
}

#[test]
fn a_key_file_finds_the_other_side_too() {
    for transport in TRANSPORTS {
        let places = Places::new();
        // Either may be first: the sender looks for half a minute.
        let sender = places.run("", "send file --psk-file key --interface lo");
        let args = format!("recv --psk-file key --dir to --once --interface lo --transport {transport}");
        places.run("", &args).end().succeeded();
        sender.end().succeeded();
        places.arrived();
    }
}

#[test]
fn a_key_that_others_can_read_is_refused_with_what_mends_it() {
    let places = Places::new();
    assert_eq!(mode(&places.key()), 0o600);
    fs::set_permissions(places.key(), Permissions::from_mode(0o644)).unwrap();
    for args in ["send file --to 127.0.0.1:9", "recv --listen 127.0.0.1:0", "recv"] {
        let ended = places.run("", &format!("{args} --psk-file key")).end();
        ended.failed(6, "chmod 600 key");
        assert_eq!(ended.stdout, "");
    }
    fs::set_permissions(places.key(), Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(places.0.path(), Permissions::from_mode(0o777)).unwrap();
    places.run("", "join --psk-file key").end().failed(6, "chmod go-w");
    Tool::start("key", &[places.at("another").as_os_str()]).end().failed(6, "chmod go-w");
    fs::set_permissions(places.0.path(), Permissions::from_mode(0o700)).unwrap();
    let before = fs::read(places.key()).unwrap();
    Tool::start("key", &[places.key().as_os_str()]).end().failed(2, "is there already");
    assert_eq!(fs::read(places.key()).unwrap(), before);
}

#[test]
fn devices_that_remember_each_other_need_no_code_again() {
    let places = Places::new();
    let mut sender = places.run("here", "send file --interface lo --remember desk-top");
    let code = sender.code();
    let received = places.run("there", &format!("recv {code} --dir to --interface lo --remember laptop")).end();
    received.succeeded();
    assert!(received.stderr.contains("--device laptop"), "{received:?}");
    let sent = sender.end();
    sent.succeeded();
    assert!(sent.stderr.contains("udpair recv CODE --remember NAME"), "{sent:?}");
    places.arrived();
    let keys = ["here/udpair/devices/desk-top", "there/udpair/devices/laptop"].map(|path| places.at(path));
    for key in &keys {
        assert_eq!((mode(key), mode(key.parent().unwrap())), (0o600, 0o700));
    }
    assert_eq!(fs::read(&keys[0]).unwrap(), fs::read(&keys[1]).unwrap());

    // As often as they like, to whoever waits.
    let receiver = places.run("there", "recv --device laptop --dir to --interface lo --overwrite");
    for _ in 0..2 {
        places.run("here", "send file --device desk-top --interface lo").end().succeeded();
    }
    receiver.interrupt();
    let ended = receiver.end();
    assert_eq!((ended.exit, ended.stdout.lines().count()), (Some(130), 2), "{ended:?}");
    places.arrived();

    // Nothing is forgotten silently.
    let again = places.run("here", "send file --remember desk-top").end();
    again.failed(2, "remembered already");
    assert_eq!(again.stdout, "");
    places.run("here", "send file --device nobody").end().failed(2, "no device nobody is remembered");
    places.run("here", "send file --device ../desk-top").end().failed(2, "a device's name");

    // Where no key can be kept that is said before there is a code.
    fs::set_permissions(places.at("here/udpair/devices"), Permissions::from_mode(0o777)).unwrap();
    let open = places.run("here", "send file --remember other").end();
    open.failed(6, "chmod go-w");
    assert_eq!(open.stdout, "");
    places.run("here", "send file --device desk-top").end().failed(6, "chmod go-w");
}

#[test]
fn what_does_not_go_together_is_said_before_anything_is_sent() {
    let places = Places::new();
    for (args, text) in [
        ("send file --to 127.0.0.1:9 --insecure-plain --psk-file key", "cannot be used with"),
        ("send file --code 42-maple-otter --psk-file key", "not both"),
        ("send file --to 127.0.0.1:9 --psk-file key --remember other", "--remember goes with a code"),
        ("recv --psk-file key --remember other", "--remember goes with a code"),
    ] {
        places.run("", args).end().failed(2, text);
    }
    let ended: Ended = Tool::start("recv --psk-file", &[OsStr::new("/nonexistent")]).end();
    ended.failed(2, "/nonexistent");
}
