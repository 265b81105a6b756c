//! What users do who mistake one command for another, or mistype: both are told, in words, and nobody waits in vain.

use std::fs;

use tempfile::tempdir;

use super::TRANSPORTS;
use super::tool::Tool;

/// `invited` makes the code, `joining` takes it, as its last argument; each ends with an exit code and says something.
fn pair(invited: (&str, i32, &str), joining: (&str, i32, &str)) {
    for transport in TRANSPORTS {
        let dir = tempdir().unwrap();
        let mut one = Tool::piped(&format!("{} --interface lo --transport {transport}", invited.0));
        let code = if invited.0 == "invite" { one.first_on_stderr() } else { one.code() };
        let args = format!("{} {code} --interface lo", joining.0.replace("DIR", &dir.path().display().to_string()));
        let other = Tool::piped(&args).end();
        let one = one.end();
        other.failed(joining.1, joining.2);
        one.failed(invited.1, invited.2);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_pipe_and_files_do_not_go_together() {
    let is_a_file_protocol = "is it the other one of send and recv?";
    pair(("send Cargo.toml", 1, is_a_file_protocol), ("join", 1, "receive them with udpair recv"));
    pair(("invite", 1, "receive them with udpair recv"), ("send Cargo.toml --code", 1, is_a_file_protocol));
    pair(("invite", 1, "is it udpair recv?"), ("recv --timeout 2 --dir DIR", 4, "is it udpair send?"));
    pair(("recv --timeout 2", 4, "is it udpair send?"), ("join", 1, "is it udpair recv?"));
}

#[test]
fn what_leads_nowhere_is_said_before_there_is_a_code() {
    for (args, exit, text) in [
        ("send no-such-file", 8, "no-such-file: No such file"),
        ("send no-such-file /dev/null", 8, "there is nothing to send"),
        ("send - --interface lo", 8, "there is nothing to send"),
        ("send 42-maple-otter", 2, "goes behind --code"),
        ("send Cargo.toml 42-maple-otter@127.0.0.1:9", 2, "goes behind --code"),
        ("send Cargo.toml --to 42-maple-otter", 2, "is a code"),
        ("recv --dir Cargo.toml", 2, "Cargo.toml is no directory"),
        ("recv --dir Cargo.toml/below", 2, "is no directory"),
        ("recv --dir /proc/below", 1, "--dir /proc/below"),
        ("recv 42-maple-otter@127.0.0.1:9/tcp", 3, "a firewall may be in the way: udpair doctor"),
    ] {
        let ended = Tool::start(args, &[]).end();
        ended.failed(exit, text);
        assert_eq!(ended.stdout, "", "{args}");
        assert!(!ended.stderr.contains("maple"), "{ended:?}");
    }
}

#[test]
fn what_can_be_sent_is_sent_beside_what_cannot() {
    let dir = tempdir().unwrap();
    let mut sender = Tool::start("send Cargo.toml no-such-file --interface lo", &[]);
    let args = format!("recv {} --interface lo --dir {}", sender.code(), dir.path().display());
    Tool::start(&args, &[]).end().failed(8, "");
    sender.end().failed(8, "no-such-file: No such file");
    assert!(dir.path().join("Cargo.toml").exists());
}

#[test]
fn nobody_is_there_and_what_to_look_at_is_said() {
    // Of a device that nobody else has: a number might be somebody's.
    let dir = tempdir().unwrap();
    let key = dir.path().join("key");
    Tool::start("key", &[key.as_os_str()]).end().succeeded();
    let ended = Tool::start("join --interface lo --timeout 0.2 --psk-file", &[key.as_os_str()]).end();
    ended.failed(4, "udpair doctor");
}
