//! Processes of their own for peers: this test's binary, started once more.

use std::io::{BufRead as _, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use udpair::{Config, Transport, tcp, udp};

use crate::{images, stalled};

/// What makes the test [`play`] a peer: its part, the transport, the address that it calls, and a number.
const PART: &str = "UDPAIR_LOAD_PART";
/// Before whatever a peer says.
const SAYS: &str = "peer says ";

/// A peer in a process of its own; killed and reaped whatever becomes of the test.
pub(crate) struct Child {
    process: Process,
    /// Closed, it ends the peer.
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a peer that plays `part`.
    pub(crate) fn start(part: &str, transport: &str, host: SocketAddr, number: usize) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::play", "--nocapture"])
            .env(PART, format!("{part} {transport} {host} {number}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { input: process.stdin.take(), process, lines }
    }

    /// The next thing that it says.
    pub(crate) fn says(&mut self) -> String {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        // The test harness may have printed something before it, on the same line too.
        lines.find_map(|line| line.split_once(SAYS).map(|(_, said)| said.to_owned())).expect("the peer says something")
    }

    /// Stops it, or lets it go on.
    pub(crate) fn stop(&self, stopped: bool) {
        use rustix::process::{Pid, Signal, kill_process};
        let pid = Pid::from_child(&self.process);
        kill_process(pid, if stopped { Signal::STOP } else { Signal::CONT }).unwrap();
    }

    /// Lets it end.
    pub(crate) fn end(mut self) {
        self.input = None;
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Says something to the process that started this one.
pub(crate) fn say(what: &str) {
    println!("{SAYS}{what}");
}

/// Waits until whoever started this process has had enough of it.
pub(crate) fn wait_for_the_end() {
    // Nothing is ever written: reading ends with the other process, too.
    let _ = std::io::stdin().read_line(&mut String::new());
}

pub(crate) fn bind(transport: &str) -> Arc<dyn Transport> {
    let any = "127.0.0.1:0".parse().unwrap();
    let bind = if transport == "udp" { udp::bind } else { tcp::bind };
    bind(any, Config::insecure_plain()).unwrap()
}

/// The life of a peer, where this process is one.
#[test]
fn play() {
    let Ok(part) = std::env::var(PART) else { return };
    let words: Vec<&str> = part.split(' ').collect();
    let [part, transport, host, number] = words[..] else { panic!("{part}") };
    let (host, number) = (host.parse().unwrap(), number.parse().unwrap());
    match part {
        "echoes" => stalled::echoes(transport, host, number),
        "stalled" => stalled::stalls(transport, host),
        "viewers" => images::viewers(transport, host, number),
        _ => panic!("no part {part}"),
    }
}

/// The time that this process has spent on a processor.
pub(crate) fn cpu() -> std::time::Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which may hold anything: the 14th and the 15th field, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    std::time::Duration::from_millis(ticks * 10)
}
