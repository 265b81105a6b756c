//! `udpair invite` and `udpair join`: bytes in both directions, and the end of each.

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;

use udpair::Pairing;

use super::TRANSPORTS;
use super::tool::{Tool, command};

/// No two pieces of it are alike.
fn content(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let word = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16).to_be_bytes()
    };
    std::iter::repeat_with(word).flatten().take(len).collect()
}

/// An inviter and a joiner, both with standard input open.
fn pair(transport: &str) -> (Tool, Tool) {
    let mut inviter = Tool::piped(&format!("invite --interface lo --transport {transport}"));
    let code = inviter.first_on_stderr();
    assert!(code.parse::<udpair::pairing::Code>().is_ok(), "{code:?}");
    (inviter, Tool::piped(&format!("join {code} --interface lo")))
}

/// Writes `content` into it on a thread of its own, and ends its input.
fn feed(tool: &mut Tool, content: Vec<u8>) -> std::thread::JoinHandle<()> {
    let mut stdin = tool.stdin.take().unwrap();
    std::thread::spawn(move || stdin.write_all(&content).unwrap())
}

fn succeeded(tools: impl IntoIterator<Item = Tool>) {
    for tool in tools {
        let ended = tool.end();
        ended.succeeded();
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn bytes_go_both_ways_at_once_and_arrive_as_they_were() {
    for transport in TRANSPORTS {
        let (mut inviter, mut joiner) = pair(transport);
        let (there, back) = (content(5_000_001, 1), content(5_000_000, 2));
        let feeding = [feed(&mut inviter, there.clone()), feed(&mut joiner, back.clone())];
        let reading = std::thread::spawn(move || {
            let read = inviter.read_to_end();
            (inviter, read)
        });
        assert!(joiner.read_to_end() == there, "{transport}");
        let (inviter, read) = reading.join().unwrap();
        assert!(read == back, "{transport}");
        feeding.into_iter().for_each(|thread| thread.join().unwrap());
        succeeded([inviter, joiner]);
    }
}

#[test]
fn each_direction_ends_by_itself_and_what_is_said_is_heard_at_once() {
    for transport in TRANSPORTS {
        let (mut inviter, mut joiner) = pair(transport);
        inviter.write(b"ping");
        assert_eq!(joiner.read(4), b"ping");
        joiner.write(b"pong");
        assert_eq!(inviter.read(4), b"pong");
        // The joiner says no more, and the inviter's reader knows, while its own direction goes on.
        drop(joiner.stdin.take());
        assert_eq!(inviter.read_to_end(), b"");
        for n in 0..3_u8 {
            inviter.write(&[n]);
            assert_eq!(joiner.read(1), [n]);
        }
        drop(inviter.stdin.take());
        assert_eq!(joiner.read_to_end(), b"");
        succeeded([inviter, joiner]);
    }
}

#[test]
fn nothing_at_all_goes_through_too() {
    for transport in TRANSPORTS {
        let (mut inviter, mut joiner) = pair(transport);
        drop((inviter.stdin.take(), joiner.stdin.take()));
        succeeded([inviter, joiner]);
    }
}

#[test]
fn memory_does_not_grow_with_what_goes_through() {
    const LEN: usize = 64 << 20;
    const MEMORY_MAX_KIB: u64 = 40 << 10;
    let peak = |tool: &Tool| -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", tool.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    for transport in TRANSPORTS {
        let (mut inviter, mut joiner) = pair(transport);
        let feeding = feed(&mut inviter, vec![7; LEN]);
        // Slower than it comes, so that whatever would pile up does.
        let mut left = LEN;
        while left > 0 {
            let piece = left.min(10_000);
            assert!(joiner.read(piece).iter().all(|byte| *byte == 7));
            left -= piece;
        }
        feeding.join().unwrap();
        // The joiner's input is still open, so both live.
        for (side, tool) in [("inviter", &inviter), ("joiner", &joiner)] {
            let kib = peak(tool);
            assert!(kib < MEMORY_MAX_KIB, "{transport}: the {side} took {kib} KiB for {LEN} bytes");
        }
        drop(joiner.stdin.take());
        succeeded([inviter, joiner]);
    }
}

/// The old way: the number of the host, the port, and the words, on the first line.
fn invite_on(port: u16, args: &str) -> (Tool, u16, String) {
    let mut inviter = Tool::piped(&format!("invite {port} {args}"));
    let line = inviter.first_on_stderr();
    let mut parts = line.splitn(3, ' ');
    let number: u8 = parts.next().unwrap().parse().unwrap();
    let port = parts.next().unwrap().parse().unwrap_or_else(|_| panic!("{line:?}: not after {number}"));
    (inviter, port, parts.next().unwrap().to_owned())
}

#[test]
fn a_port_and_words_do_without_broadcasts_and_the_port_is_free_again() {
    for transport in TRANSPORTS {
        let args = format!("--transport {transport}");
        let mut ports = Vec::new();
        for _ in 0..2 {
            let (mut inviter, port, words) = invite_on(ports.first().copied().unwrap_or(0), &args);
            assert!(words.parse::<udpair::pairing::Words>().is_ok(), "{words:?}");
            let mut joiner = Tool::piped(&format!("join 0 {port} {words} {args}"));
            inviter.write(b"hello");
            assert_eq!(joiner.read(5), b"hello");
            drop((inviter.stdin.take(), joiner.stdin.take()));
            succeeded([inviter, joiner]);
            ports.push(port);
        }
        assert_eq!(ports[0], ports[1]);
    }
}

#[test]
fn a_port_without_words_is_plain_on_both_sides_or_nothing() {
    for transport in TRANSPORTS {
        let args = format!("--transport {transport} --insecure-plain");
        let (mut inviter, port, rest) = invite_on(0, &args);
        assert_eq!(rest, "--insecure-plain");
        let words = format!("join 0 {port} maple-otter --transport {transport} --timeout 0.5");
        let ended = Tool::start(&words, &[]).end();
        assert!(matches!(ended.exit, Some(3 | 4)), "{transport}: {ended:?}");
        let mut joiner = Tool::piped(&format!("join 0 {port} {args}"));
        joiner.write(b"hello");
        assert_eq!(inviter.read(5), b"hello");
        drop((inviter.stdin.take(), joiner.stdin.take()));
        succeeded([inviter, joiner]);
    }
}

#[test]
fn arguments_that_do_not_go_together() {
    for (args, text) in [
        ("invite --insecure-plain", "goes with PORT"),
        ("join", "printed"),
        ("join 300 7000 maple-otter", "no host 300"),
        ("join 7 0 maple-otter", "1 to 65535"),
        ("join 42-maple-otter@127.0.0.1:9 --interface lo", "--interface"),
        ("invite 42-maple-otter", "goes with udpair join"),
        ("invite 65536", "up to 65535"),
        ("join 0 5000", "words are missing"),
        ("join 0 5000 maple-otter --insecure-plain", "either words"),
        ("join 0 5000 mapel-otter", "is it \"maple\"?"),
        ("join 42-maple", "two words"),
        ("invite 0 --interface lo", "not with a port"),
    ] {
        let ended = Tool::start(args, &[]).end();
        assert_eq!(ended.exit, Some(2), "{args}: {ended:?}");
        assert!(ended.stderr.contains(text), "{args}: {ended:?}");
    }
}

#[test]
fn wrong_words_are_said_beside_the_output() {
    let mut inviter = Tool::piped("invite --interface lo");
    let code = inviter.first_on_stderr();
    let number = code.split_once('-').unwrap().0;
    let at = inviter.with_address("");
    let ended = Tool::start(&format!("join {number}-maple-otter{at}"), &[]).end();
    ended.failed(10, "ask for a new code");
    assert_eq!(ended.stdout, "");
    inviter.end().failed(10, "run the same command again");
}

#[test]
fn a_program_of_its_own_may_stand_on_the_other_side() {
    let mut inviter = Tool::piped("invite --interface lo");
    let code = inviter.first_on_stderr();
    let peer = Pairing::new().interface("lo").join(&code).unwrap();
    peer.send("hello\n").unwrap();
    assert_eq!(inviter.read(6), b"hello\n");
    inviter.write(b"who is there?\n");
    assert_eq!(peer.recv().unwrap().into_bytes(100).unwrap(), "who is there?\n");
    let mut stream = peer.begin(0, 9, None).unwrap();
    stream.write_all(b"a program").unwrap();
    stream.finish().unwrap();
    peer.close(0);
    assert_eq!(inviter.read_to_end(), b"a program");
    succeeded([inviter]);
}

#[test]
fn who_sends_files_is_told_that_this_is_a_pipe() {
    let mut inviter = Tool::piped("invite --interface lo");
    let code = inviter.first_on_stderr();
    let sent = Tool::start(&format!("send Cargo.toml --code {code} --interface lo"), &[]).end();
    assert_eq!(sent.exit, Some(1), "{sent:?}");
    inviter.end().failed(1, "udpair recv");
}

#[test]
fn a_side_that_is_killed_or_interrupted_ends_the_other() {
    for transport in TRANSPORTS {
        let mut inviter = Tool::piped(&format!("invite --interface lo --transport {transport} --timeout 2"));
        let code = inviter.first_on_stderr();
        let mut joiner = Tool::piped(&format!("join {code} --interface lo"));
        joiner.write(b"x");
        assert_eq!(inviter.read(1), b"x");
        joiner.child.kill().unwrap();
        assert_eq!(inviter.end().exit, Some(4), "{transport}");

        let (mut inviter, mut joiner) = pair(transport);
        joiner.write(b"x");
        assert_eq!(inviter.read(1), b"x");
        joiner.interrupt();
        assert_eq!(joiner.end().exit, Some(130), "{transport}");
        inviter.end().failed(4, "it was interrupted");
    }
}

#[test]
fn an_output_that_nobody_reads_any_more_ends_both() {
    for transport in TRANSPORTS {
        let mut inviter = Tool::piped(&format!("invite --interface lo --transport {transport}"));
        let code = inviter.first_on_stderr();
        let mut joining = command(&format!("join {code} --interface lo"));
        let mut joiner = joining.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdout = joiner.stdout.take().unwrap();
        inviter.write(b"x");
        stdout.read_exact(&mut [0]).unwrap();
        drop(stdout);
        inviter.write(b"y");
        assert_eq!(joiner.wait().unwrap().code(), Some(1), "{transport}");
        inviter.end().failed(1, "write its output");
    }
}
