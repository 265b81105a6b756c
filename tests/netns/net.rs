//! Two hosts made of network namespaces, joined by a veth pair that loses packets as told.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Distinguishes the nets of one process.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Two namespaces and what joins them. Taken down when dropped.
pub(crate) struct Net {
    hosts: [String; 2],
}

impl Net {
    /// Two hosts at [`Net::ADDRESSES`], joined by 1500-byte Ethernet. `None`, with the reason said, where the machine
    /// does not let us.
    pub(crate) fn new() -> Option<Self> {
        for (tool, args) in [("ip", "-Version"), ("iptables", "--version")] {
            if Command::new(tool).arg(args).output().is_err() {
                println!("skipped: no `{tool}` on this machine");
                return None;
            }
        }
        let name = format!("udpair{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let net = Self { hosts: [format!("{name}a"), format!("{name}b")] };
        for host in &net.hosts {
            if !try_run("ip", &["netns", "add", host]) {
                println!("skipped: network namespaces need root");
                return None;
            }
        }
        let [a, b] = &net.hosts;
        run("ip", &["link", "add", "eth0", "netns", a, "type", "veth", "peer", "name", "eth0", "netns", b]);
        for (host, address) in net.hosts.iter().zip(Self::ADDRESSES) {
            run("ip", &["-n", host, "addr", "add", &format!("{address}/24"), "dev", "eth0"]);
            // Without this a filter sees a whole batch of segments as one packet, and losing one flatters UDP.
            run("ip", &["-n", host, "link", "set", "eth0", "gso_max_segs", "1"]);
            run("ip", &["-n", host, "link", "set", "eth0", "up"]);
            run("ip", &["-n", host, "link", "set", "lo", "up"]);
        }
        Some(net)
    }

    /// The addresses of host 0 and host 1, in a range that nobody routes.
    pub(crate) const ADDRESSES: [&'static str; 2] = ["198.18.7.1", "198.18.7.2"];

    /// Loses this share of what arrives at either host.
    pub(crate) fn lose(&self, probability: &str) {
        for host in &self.hosts {
            let rule = ["INPUT", "-i", "eth0", "-m", "statistic", "--mode", "random", "--probability", probability];
            let mut args = vec!["netns", "exec", host, "iptables", "-A"];
            args.extend(rule);
            args.extend(["-j", "DROP"]);
            run("ip", &args);
            run("ip", &["netns", "exec", host, "iptables", "-A", "INPUT", "-i", "eth0", "-j", "ACCEPT"]);
        }
    }

    /// For each host how many packets were lost, and how many passed with how many bytes.
    pub(crate) fn counters(&self) -> [Counters; 2] {
        [0, 1].map(|host| {
            let args = ["netns", "exec", &self.hosts[host], "iptables", "-nvxL", "INPUT"];
            let output = Command::new("ip").args(args).output().expect("ip was found before");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let field = |target: &str, at: usize| -> u64 {
                let line = text.lines().find(|line| line.contains(target)).expect("the rule that `lose` made");
                line.split_whitespace().nth(at).and_then(|field| field.parse().ok()).expect("a number")
            };
            Counters { lost: field(" DROP ", 0), passed: field(" ACCEPT  ", 0), bytes: field(" ACCEPT  ", 1) }
        })
    }

    /// A command to be run on a host before everything else that the machine has to do, where that is allowed.
    pub(crate) fn urgent_command(&self, host: usize, program: &str) -> Command {
        if !try_run("chrt", &["--fifo", "50", "true"]) {
            return self.command(host, program);
        }
        let mut command = Command::new("chrt");
        command.args(["--fifo", "50", "ip", "netns", "exec", &self.hosts[host], program]);
        command.stdin(Stdio::null());
        command
    }

    /// A command to be run on a host.
    pub(crate) fn command(&self, host: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.hosts[host], program]);
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in &self.hosts {
            try_run("ip", &["netns", "del", host]);
        }
    }
}

/// What a host's filter saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    pub(crate) lost: u64,
    pub(crate) passed: u64,
    pub(crate) bytes: u64,
}

impl Counters {
    /// That about 1 % was lost, packet by packet: the filter did not see batches as one.
    pub(crate) fn assert_one_percent(&self) {
        assert!(self.passed > 1_000, "too little passed to say anything: {self:?}");
        let per_mille = self.lost * 1_000 / (self.lost + self.passed);
        assert!((3..30).contains(&per_mille), "{per_mille} per mille lost: {self:?}");
        assert!(self.bytes / self.passed <= 1_500, "packets longer than the link's: {self:?}");
    }
}

fn try_run(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().expect("the program was found before");
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
