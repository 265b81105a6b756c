//! `udpair doctor` as a user runs it, on the loopback interface alone.
#![cfg(feature = "cli")]

use std::process::{Command, Output, Stdio};

fn doctor(interface: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpair"));
    command.args(["doctor", "--interface", interface]).stdin(Stdio::null());
    command.output().expect("the tool starts")
}

#[test]
fn everything_that_a_pairing_needs_has_a_line_and_the_verdict_is_the_exit_code() {
    let ended = doctor("lo");
    let text = String::from_utf8(ended.stdout).expect("text");
    let subjects = [
        "UDP port 29517",
        "lo",
        "  its beacons",
        "UDP ports",
        "TCP ports",
        "address families",
        "send buffer",
        "receive buffer",
        "GSO",
        "GRO",
        "ECN",
        "seal",
        "descriptors",
        "timers",
        "pairing",
    ];
    for subject in subjects {
        let is_line = |line: &str| line.get(6..).is_some_and(|rest| rest.starts_with(subject));
        assert!(text.lines().any(is_line), "nothing of {subject}:\n{text}");
    }
    for line in text.lines() {
        let grade = line.split_whitespace().next().expect("a grade");
        assert!(["ok", "note"].contains(&grade), "{line}");
        assert!(grade == "ok" || line.contains(" -> "), "no remedy: {line}");
    }
    assert_eq!(text.lines().last(), Some("ok    pairing          would work, by lo"), "{text}");
    assert_eq!(ended.status.code(), Some(0), "{text}");
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let ended = doctor("nowhere7");
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "udpair: there is no interface nowhere7\n");
    assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(2), &b""[..]));
}
