//! Codes that are not in the arguments: asked for, or read from standard input.

use std::fs;

use tempfile::tempdir;

use super::terminal::Terminal;
use super::tool::Tool;

/// Writes `text` into its standard input, and ends that.
fn type_all(tool: &mut Tool, text: &str) {
    tool.write(text.as_bytes());
    drop(tool.stdin.take());
}

#[test]
fn recv_and_send_read_the_code_from_standard_input() {
    let dir = tempdir().unwrap();
    let mut sender = Tool::start("send Cargo.toml --interface lo", &[]);
    let mut receiver = Tool::piped(&format!("recv - --interface lo --dir {}", dir.path().display()));
    type_all(&mut receiver, &format!("{}\n", sender.code()));
    receiver.end().succeeded();
    sender.end().succeeded();
    assert!(dir.path().join("Cargo.toml").exists());

    let mut receiver = Tool::start(&format!("recv --interface lo --overwrite --dir {}", dir.path().display()), &[]);
    let mut sender = Tool::piped("send Cargo.toml --interface lo --code -");
    // As it is pasted: from a message, and without an end.
    type_all(&mut sender, &format!("  {}", receiver.code().to_uppercase().replace('-', " ")));
    sender.end().succeeded();
    receiver.end().succeeded();
}

#[test]
fn what_follows_the_code_is_the_pipes_content() {
    let mut inviter = Tool::piped("invite --interface lo");
    let code = inviter.first_on_stderr();
    let mut joiner = Tool::piped("join - --interface lo");
    let content = "the first line\n\nand the rest\n".repeat(9_000);
    type_all(&mut joiner, &format!("{code}\r\n{content}"));
    drop(inviter.stdin.take());
    assert!(inviter.read_to_end() == content.as_bytes());
    inviter.end().succeeded();
    let ended = joiner.end();
    ended.succeeded();
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""), "nobody is asked");
}

#[test]
fn on_a_terminal_the_code_is_asked_for_until_it_is_one_and_then_they_chat() {
    for args in ["join --interface lo", "join - --interface lo"] {
        let mut one = Terminal::run("invite --interface lo");
        let code = one.said("\n").trim_end().to_owned();
        let mut other = Terminal::run(args);
        other.said("code: ");
        other.type_in("42-mapel-otter\n");
        other.said("code: udpair: the first word is none that a code can have; is it \"maple\"?\ncode: ");
        other.type_in(&format!("{code}\nhello\n"));
        assert_eq!(one.sees("\n"), "hello\r\n");
        one.type_in("\x04");
        other.type_in("\x04");
        for terminal in [&mut one, &mut other] {
            assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
        }
    }
}

#[test]
fn who_types_no_code_is_told_so() {
    let mut joining = Terminal::run("recv -");
    joining.said("code: ");
    joining.type_in("\x04");
    joining.said("ended before there was a code");
    assert_eq!(joining.child.wait().unwrap().code(), Some(2));

    let mut giving_up = Terminal::run("join");
    giving_up.said("code: ");
    giving_up.interrupt();
    assert_eq!(giving_up.child.wait().unwrap().code(), Some(130));

    for args in ["recv -", "join -", "send Cargo.toml --code -"] {
        Tool::start(args, &[]).end().failed(2, "ended before there was a code");
        let mut mistyped = Tool::piped(args);
        type_all(&mut mistyped, "42-mapel-otter\n42-maple-otter\n");
        mistyped.end().failed(2, "is it \"maple\"?");
    }
    Tool::start("join", &[]).end().failed(2, "or - to read it");
}

#[test]
fn where_the_code_cannot_be_told_nobody_waits() {
    for args in ["recv --interface lo", "send Cargo.toml --interface lo", "recv --listen 127.0.0.1:0 --insecure-plain"]
    {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = Tool::with_stdout(args, full).wait_with_output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(5), "{stderr}");
        assert!(stderr.contains("cannot write to standard output"), "{stderr}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = Tool::with_stdout(args, writer).wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(1));
    }
}
