//! End to end with real kernels: the tool on two hosts made of network namespaces, and on loopback under fire.
//!
//! Needs root, `ip` and `iptables`; what is missing is said, and the test skipped. `UDPAIR_FULL=1` makes the jobs as
//! large as the claims are: a tree of more than 10,000 files and one of 2 GiB, 30 s of garbage.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod job;
mod net;

use std::net::UdpSocket;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use job::{Job, TOOL, make_tree, same_tree};
use net::Net;

const TRANSPORTS: [&str; 2] = ["udp", "tcp"];

fn full() -> bool {
    std::env::var_os("UDPAIR_FULL").is_some()
}

/// What is sent: the documentation of the Rust toolchain where the full size is asked for and it is there, else a tree
/// of our own; and one large file.
fn make_cargo(dir: &Path) -> Vec<String> {
    let (files, megabytes) = if full() { (10_500, 2_048) } else { (300, 24) };
    make_tree(&dir.join("tree"), files);
    job::make_file(&dir.join("large"), megabytes);
    ["tree", "large"].map(|name| dir.join(name).to_string_lossy().into_owned()).to_vec()
}

#[test]
fn files_arrive_identical_over_a_link_that_loses_one_percent_each_way() {
    for transport in TRANSPORTS {
        let Some(net) = Net::new() else { return };
        net.lose("0.01");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let paths = make_cargo(dir.path());
        let into = dir.path().join("into");
        let listen = format!("{}:0", Net::ADDRESSES[1]);
        let mut recv = net.command(1, TOOL);
        recv.args(["recv", "--once", "--insecure-plain", "--transport", transport, "--listen", &listen, "--dir"]);
        recv.arg(&into);
        let mut recv = Job::listening(recv);
        let mut send = net.command(0, TOOL);
        send.args(["send", "--insecure-plain", "--transport", transport, "--to", &recv.address]).args(&paths);
        let mut send = Job::start(send);
        let [sent, received] = Job::finish_all([&mut send, &mut recv]);
        assert_eq!((sent.code, received.code), (Some(0), Some(0)), "{transport}: {sent:?} {received:?}");
        for name in ["tree", "large"] {
            same_tree(&dir.path().join(name), &into.join(name));
        }
        println!("{transport}: sender {} MiB, receiver {} MiB at most", sent.peak_mib, received.peak_mib);
        assert!(
            (1..64).contains(&sent.peak_mib) && (1..64).contains(&received.peak_mib),
            "{transport}: more than 64 MiB resident"
        );
        net.counters().iter().for_each(net::Counters::assert_one_percent);
    }
}

#[test]
fn a_message_each_millisecond_under_loss_is_answered_over_both_transports() {
    let mut p99 = Vec::new();
    for transport in TRANSPORTS {
        let Some(net) = Net::new() else { return };
        net.lose("0.01");
        let listen = format!("{}:0", Net::ADDRESSES[1]);
        let mut serve = net.command(1, TOOL);
        serve.args(["bench", "serve", "--insecure-plain", "--transport", transport, "--listen", &listen]);
        let serve = Job::listening(serve);
        let seconds = if full() { "20" } else { "4" };
        let mut run = net.command(0, TOOL);
        run.args(["bench", "run", "--insecure-plain", "--transport", transport, "--to", &serve.address]);
        run.args(["--workload", "rate", "--rate", "1000", "--size", "1024", "--seconds", seconds, "--json", "-"]);
        let run = Job::start(run).finish();
        assert_eq!(run.code, Some(0), "{run:?}");
        let result: serde_json::Value = serde_json::from_str(&run.stdout).expect("one JSON value");
        assert_eq!(result["sent"], result["received"], "{transport}: reliable messages were not answered");
        println!("{transport}: p50 {} us, p99 {} us, max {} us", result["p50_us"], result["p99_us"], result["max_us"]);
        p99.push(result["p99_us"].as_f64().expect("a number"));
        let [a, b] = net.counters();
        assert!(a.lost > 0 && b.lost > 0, "nothing was lost: {a:?} {b:?}");
    }
    println!("p99 over tcp / over udp: {:.1}", p99[1] / p99[0]);
}

#[test]
fn garbage_at_the_port_neither_stops_a_transfer_nor_grows_the_process() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let into = dir.path().join("into");
    let mut recv = std::process::Command::new(TOOL);
    recv.args(["recv", "--insecure-plain", "--listen", "127.0.0.1:0", "--dir"]).arg(&into);
    let mut recv = Job::listening(recv);
    let port_of = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let seconds = if full() { 30 } else { 3 };
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    println!("seed {seed:#x} (fixed)");
    let before = recv.resident_mib();
    let mut transfers = 0;
    let (_stop, ticks) = mpsc::channel::<()>();
    let mut current: Option<Job> = None;
    let mut datagram = vec![0u8; 1_500];
    for _tick in 0..seconds * 1_000 {
        for _ in 0..10 {
            let len = job::mutated(&mut seed, &mut datagram);
            // A full buffer or a refusal is none of our business: the next one goes all the same.
            let _ = port_of.send_to(&datagram[..len], &recv.address);
        }
        // One millisecond, waited for on a channel that never speaks.
        let _ = ticks.recv_timeout(Duration::from_millis(1));
        if current.is_none() {
            let source = dir.path().join(format!("file{transfers}"));
            job::make_file(&source, 4);
            let mut send = std::process::Command::new(TOOL);
            send.args(["send", "--insecure-plain", "--to", &recv.address]).arg(&source);
            current = Some(Job::start(send));
        } else if let Some(mut send) = current.take_if(|send| send.has_ended()) {
            let ended = send.finish();
            assert_eq!(ended.code, Some(0), "{ended:?}");
            same_tree(&dir.path().join(format!("file{transfers}")), &into.join(format!("file{transfers}")));
            transfers += 1;
        }
    }
    if let Some(mut send) = current {
        assert_eq!(send.finish().code, Some(0));
        transfers += 1;
    }
    let after = recv.resident_mib();
    println!("{transfers} transfers under fire; resident {before} MiB before, {after} MiB after");
    assert!(transfers > 0 && recv.is_running());
    assert!(after < 64, "{after} MiB resident");
}
