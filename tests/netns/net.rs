//! Hosts made of network namespaces, and what joins them: a link, two links, or a bridge. Links lose, refuse and fall
//! silent as told.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Distinguishes the nets of one process.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// How often something is looked for, 5 ms apart.
const LOOKS_MAX: u32 = 10_000;

/// Namespaces and what joins them. Taken down when dropped.
pub(crate) struct Net {
    /// The hosts, and where they are on a bridge the namespace that has it.
    spaces: Vec<String>,
}

impl Net {
    /// Two hosts at [`Net::ADDRESSES`], joined by 1500-byte Ethernet. `None`, with the reason said, where the machine
    /// does not let us.
    pub(crate) fn new() -> Option<Self> {
        let net = Self::two_hosts(1)?;
        for host in &net.spaces {
            // Without this a filter sees a whole batch of segments as one packet, and losing one flatters UDP.
            run("ip", &["-n", host, "link", "set", "eth0", "gso_max_segs", "1"]);
        }
        Some(net)
    }

    /// As [`Net::new`], joined by so many links: eth0 with 198.18.7.0/24, eth1 with 198.18.8.0/24, and so on.
    pub(crate) fn two_hosts(links: usize) -> Option<Self> {
        let net = Self::spaces(&["a", "b"])?;
        let [a, b] = [&net.spaces[0], &net.spaces[1]];
        for link in 0..links {
            let name = format!("eth{link}");
            run("ip", &["link", "add", &name, "netns", a, "type", "veth", "peer", "name", &name, "netns", b]);
            for (host, last) in [a, b].into_iter().zip(1..) {
                up(host, &name, &format!("198.18.{}.{last}/24", 7 + link));
            }
        }
        net.wait_for_links();
        Some(net)
    }

    /// So many hosts on one bridge, each by its eth0, the first at 198.18.7.1/24.
    pub(crate) fn bridge(hosts: usize) -> Option<Self> {
        let names: Vec<String> = (0..hosts).map(|host| format!("h{host}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.push("bridge");
        let net = Self::spaces(&names)?;
        let (bridge, hosts) = net.spaces.split_last().expect("the bridge");
        run("ip", &["-n", bridge, "link", "add", "br0", "type", "bridge"]);
        run("ip", &["-n", bridge, "link", "set", "br0", "up"]);
        for (host, last) in hosts.iter().zip(1..) {
            let port = format!("port{last}");
            run("ip", &["link", "add", "eth0", "netns", host, "type", "veth", "peer", "name", &port, "netns", bridge]);
            run("ip", &["-n", bridge, "link", "set", &port, "master", "br0", "up"]);
            up(host, "eth0", &format!("198.18.7.{last}/24"));
        }
        net.wait_for_links();
        Some(net)
    }

    /// Namespaces with a loopback interface each.
    fn spaces(names: &[&str]) -> Option<Self> {
        for (tool, args) in [("ip", "-Version"), ("iptables", "--version")] {
            if Command::new(tool).arg(args).output().is_err() {
                println!("skipped: no `{tool}` on this machine");
                return None;
            }
        }
        let name = format!("udpair{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let net = Self { spaces: names.iter().map(|of| format!("{name}{of}")).collect() };
        for space in &net.spaces {
            if !try_run("ip", &["netns", "add", space]) {
                println!("skipped: network namespaces need root");
                return None;
            }
            // Looking for somebody else with the same IPv6 address takes seconds, in which it cannot be used.
            let off = "for all in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 > $all; done";
            try_run("ip", &["netns", "exec", space, "sh", "-c", off]);
            run("ip", &["-n", space, "link", "set", "lo", "up"]);
        }
        Some(net)
    }

    /// The kernel takes its time until it says of an interface that was started that it runs.
    fn wait_for_links(&self) {
        for host in 0..self.spaces.len() {
            let runs = || !self.output(host, "ip -o link show up").contains("state DOWN");
            self.wait_until("a link that runs", runs);
        }
    }

    /// Looks until it is so.
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let (_never, ticks) = mpsc::channel::<()>();
        for _ in 0..LOOKS_MAX {
            if is_so() {
                return;
            }
            let _ = ticks.recv_timeout(Duration::from_millis(5));
        }
        panic!("{what}: not on {:?}", self.spaces);
    }

    /// The addresses of host 0 and host 1, in a range that nobody routes.
    pub(crate) const ADDRESSES: [&'static str; 2] = ["198.18.7.1", "198.18.7.2"];

    /// Loses this share of what arrives at either host.
    pub(crate) fn lose(&self, probability: &str) {
        for host in 0..self.spaces.len() {
            let lose = format!("-A INPUT -i eth0 -m statistic --mode random --probability {probability} -j DROP");
            self.run(host, &format!("iptables {lose}"));
            self.run(host, "iptables -A INPUT -i eth0 -j ACCEPT");
        }
    }

    /// Runs a command, its words set off by blanks, on a host, where it must succeed.
    pub(crate) fn run(&self, host: usize, command: &str) {
        let mut args = vec!["netns", "exec", &self.spaces[host]];
        args.extend(command.split_whitespace());
        run("ip", &args);
    }

    /// What a command prints on a host.
    pub(crate) fn output(&self, host: usize, command: &str) -> String {
        let mut words = command.split_whitespace();
        let mut run = self.command(host, words.next().expect("a program"));
        let output = run.args(words).output().expect("ip was found before");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// For each host how many packets were lost, and how many passed with how many bytes.
    pub(crate) fn counters(&self) -> [Counters; 2] {
        [0, 1].map(|host| {
            let text = self.output(host, "iptables -nvxL INPUT");
            let field = |target: &str, at: usize| -> u64 {
                let line = text.lines().find(|line| line.contains(target)).expect("the rule that `lose` made");
                line.split_whitespace().nth(at).and_then(|field| field.parse().ok()).expect("a number")
            };
            Counters { lost: field(" DROP ", 0), passed: field(" ACCEPT  ", 0), bytes: field(" ACCEPT  ", 1) }
        })
    }

    /// How many packets a host's filter saw under the first rule for `address`.
    pub(crate) fn packets(&self, host: usize, address: &str) -> u64 {
        let text = self.output(host, "iptables -nvxL INPUT");
        let line = text.lines().find(|line| line.contains(address)).expect("there is such a rule");
        line.split_whitespace().next().and_then(|field| field.parse().ok()).expect("a number")
    }

    /// A command to be run on a host before everything else that the machine has to do, where that is allowed.
    pub(crate) fn urgent_command(&self, host: usize, program: &str) -> Command {
        if !try_run("chrt", &["--fifo", "50", "true"]) {
            return self.command(host, program);
        }
        let mut command = Command::new("chrt");
        command.args(["--fifo", "50", "ip", "netns", "exec", &self.spaces[host], program]);
        command.stdin(Stdio::null());
        command
    }

    /// A command to be run on a host.
    pub(crate) fn command(&self, host: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.spaces[host], program]);
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for space in &self.spaces {
            try_run("ip", &["netns", "del", space]);
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

/// Gives an interface its address, and starts it.
fn up(space: &str, interface: &str, address: &str) {
    run("ip", &["-n", space, "addr", "add", address, "broadcast", "+", "dev", interface]);
    run("ip", &["-n", space, "link", "set", interface, "up"]);
}

fn try_run(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().expect("the program was found before");
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
