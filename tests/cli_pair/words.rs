//! Codes that lead nowhere: who is told what, and the exit codes.

use super::TRANSPORTS;
use super::tool::Tool;

fn invite(transport: &str) -> (Tool, String) {
    let mut inviter = Tool::start(&format!("recv --interface lo --transport {transport}"), &[]);
    let code = inviter.code();
    (inviter, code)
}

fn join(code: &str, args: &str) -> Tool {
    Tool::start(&format!("send Cargo.toml --interface lo --code {code} {args}"), &[])
}

fn join_at(code: &str) -> Tool {
    Tool::start(&format!("send Cargo.toml --code {code}"), &[])
}

/// The same number, with other words of the list.
fn mistyped(code: &str) -> String {
    let (number, words) = code.split_once('-').unwrap();
    format!("{number}-{}", if words == "maple-otter" { "otter-maple" } else { "maple-otter" })
}

#[test]
fn wrong_words_burn_the_code_and_both_are_told_and_the_next_one_is_good_at_once() {
    for transport in TRANSPORTS {
        let (mut inviter, code) = invite(transport);
        // At the address: what refuses there is the inviter, and nobody whose number is the same by accident.
        let at = inviter.with_address(&mistyped(&code));
        join_at(&at).end().failed(10, "not the words of the invite");
        inviter.end().failed(10, "run the same command again");

        let dir = tempfile::tempdir().unwrap();
        let mut again =
            Tool::start(&format!("recv --interface lo --transport {transport} --dir"), &[dir.path().as_os_str()]);
        join(&again.code(), "").end().succeeded();
        again.end().succeeded();
        assert!(dir.path().join("Cargo.toml").exists());
    }
}

/// A key of its own: a number of a code might be somebody's, of another test or of another run.
#[test]
fn nobody_there_is_said_with_the_interfaces() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    Tool::start("key", &[key.as_os_str()]).end().succeeded();
    let args = "send Cargo.toml --interface lo --timeout 0.3 --psk-file";
    Tool::start(args, &[key.as_os_str()]).end().failed(4, "nobody answered on lo");
}

#[test]
fn a_code_that_has_been_used_leads_nowhere() {
    for transport in TRANSPORTS {
        let mut inviter = Tool::piped(&format!("invite --interface lo --transport {transport}"));
        let code = inviter.first_on_stderr();
        let with_address = inviter.with_address(&code);
        let mut guest = Tool::piped(&format!("join {code} --interface lo"));
        guest.write(b"x");
        assert_eq!(inviter.read(1), b"x");
        Tool::start(&format!("join {with_address}"), &[]).end().failed(3, "has been used");
        guest.write(b"y");
        assert_eq!(inviter.read(1), b"y", "the first guest stays");
    }
}

#[test]
fn a_joiner_that_insists_on_the_other_transport_is_told_which_it_is() {
    for (one, other) in [("udp", "tcp"), ("tcp", "udp")] {
        let (_inviter, code) = invite(one);
        let ended = join(&code, &format!("--transport {other}")).end();
        ended.failed(12, &format!("offers this number talks over {}", one.to_uppercase()));
    }
}

#[test]
fn what_is_no_code_is_refused_here() {
    for (code, text) in
        [("42", "two words"), ("42-mapel-otter", "is it \"maple\"?"), ("maple-otter-42", "begins with a number")]
    {
        let ended = join(code, "").end();
        assert_eq!(ended.exit, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(text), "{ended:?}");
    }
    join("42-maple-otter", "--to 127.0.0.1:9").end().failed(2, "not both");
    join("42-maple-otter", "--insecure-plain").end().failed(2, "goes with --to");
    Tool::start("recv --interface no-such-interface", &[]).end().failed(7, "no-such-interface");
}
