//! A process that pairs as it is told: this test's own binary, started once more, on a host.

use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use udpair::pairing::Carrier;
use udpair::transport::pairing::{InviteError, JoinError};
use udpair::{Config, Connection, Invite, Pairing};

use super::{STUCK, hostile};
use crate::net::Net;

/// What makes the test [`guest`] such a process: the name that it answers to.
const NAME: &str = "UDPAIR_GUEST";
/// Before what it says. The test harness may have printed something before it, on the same line too.
const SAYS: &str = "guest says ";

/// The parent's handle. The process ends with it.
pub(crate) struct Guest {
    name: String,
    process: Child,
    stdin: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Guest {
    /// One on a host.
    pub(crate) fn on(net: &Net, host: usize, name: &str) -> Self {
        let exe = std::env::current_exe().expect("a running test");
        Self::start(net.command(host, exe.to_str().expect("a path in UTF-8")), name)
    }

    /// One that pairs on this machine's own loopback interface.
    pub(crate) fn on_loopback(name: &str) -> Self {
        let mut guest = Self::start(Command::new(std::env::current_exe().expect("a running test")), name);
        guest.tell(&["interface", "lo"]);
        guest
    }

    fn start(mut command: Command, name: &str) -> Self {
        command.args(["--exact", "between_hosts::guest::guest", "--nocapture"]).env(NAME, name);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the guest starts");
        let stdin = process.stdin.take().expect("piped");
        let stdout = BufReader::new(process.stdout.take().expect("piped"));
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut said = stdout.lines().map_while(Result::ok);
            while let Some(line) = said.find_map(|line| line.split_once(SAYS).map(|(_, said)| said.to_owned())) {
                // Nobody listens to it after the end of the test.
                let _ = tell.send(line);
            }
        });
        let mut guest = Self { name: name.to_owned(), process, stdin, lines };
        guest.hear("ready");
        guest
    }

    /// Tells it a command and its arguments; see [`guest`].
    pub(crate) fn tell(&mut self, command: &[&str]) {
        writeln!(self.stdin, "{}", command.join("\t")).expect("the guest is there");
    }

    /// The next thing that it says, which must begin with `what`; what follows.
    pub(crate) fn hear(&mut self, what: &str) -> String {
        let line = self.lines.recv_timeout(STUCK);
        let line = line.unwrap_or_else(|_| panic!("{} says nothing; \"{what}\" was to come", self.name));
        let rest = line.strip_prefix(what).unwrap_or_else(|| panic!("{} says \"{line}\", not \"{what}\"", self.name));
        rest.trim_start().to_owned()
    }

    /// True where it has said nothing more.
    pub(crate) fn is_silent(&self) -> bool {
        self.lines.try_recv().is_err()
    }

    /// Makes an invite: its code and its port.
    pub(crate) fn invite(&mut self, carrier: &str) -> (String, u16) {
        self.begin_invite(carrier);
        self.invited()
    }

    /// Begins to make one.
    pub(crate) fn begin_invite(&mut self, carrier: &str) {
        self.tell(&["carrier", carrier]);
        self.tell(&["invite"]);
    }

    /// Makes an invite that is not broadcast.
    pub(crate) fn invite_on(&mut self, carrier: &str) -> (String, u16) {
        self.tell(&["carrier", carrier]);
        self.tell(&["invite-on", "0"]);
        self.invited()
    }

    /// The code and the port of what it began to make.
    pub(crate) fn invited(&mut self) -> (String, u16) {
        let said = self.hear("invite");
        let (code, port) = said.split_once(' ').expect("a code and a port");
        (code.to_owned(), port.parse().expect("a port"))
    }

    /// Waits for whoever comes by the invite, from now on.
    pub(crate) fn begin_accept(&mut self) {
        self.tell(&["accept"]);
        self.hear("accepting");
    }

    /// That somebody comes.
    pub(crate) fn accepted(&mut self) {
        self.hear("accepted");
        self.hear("closed");
    }

    /// Begins to join.
    pub(crate) fn begin_join(&mut self, how: &[&str]) {
        self.tell(how);
        self.hear("joining");
    }

    /// That the join succeeds; with whom.
    pub(crate) fn joined(&mut self) -> String {
        self.hear("joined");
        self.hear("met")
    }

    /// That the join fails as `variant`; what is said of it.
    pub(crate) fn join_fails(&mut self, how: &[&str], variant: &str) -> String {
        self.begin_join(how);
        self.hear(&format!("failed {variant}: "))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// No test of its own: what runs in the other process. It reads commands, one a line, and says what came of each.
#[test]
fn guest() {
    let Ok(name) = std::env::var(NAME) else { return };
    let mut program = Program { name, pairing: Pairing::new().timeout(STUCK), invite: None };
    say("ready");
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        program.obey(&line.split('\t').collect::<Vec<_>>());
    }
}

pub(super) fn say(what: impl Display) {
    println!("{SAYS}{what}");
}

struct Program {
    name: String,
    pairing: Pairing,
    invite: Option<Invite>,
}

impl Program {
    fn obey(&mut self, command: &[&str]) {
        let pairing = self.pairing.clone();
        match *command {
            ["carrier", name] => self.pairing = pairing.carrier(carrier(name)),
            ["interface", name] => self.pairing = pairing.interface(name),
            ["timeout", millis] => self.pairing = pairing.timeout(duration(millis)),
            ["connect-timeout", millis] => {
                let mut config = Config::insecure_plain();
                config.connect_timeout = duration(millis);
                self.pairing = pairing.config(config);
            }
            ["invite"] => self.invited(pairing.invite()),
            ["invite-on", port] => self.invited(pairing.invite_on(port.parse().expect("a port"))),
            ["accept"] => self.accept(),
            ["join", code] => joined(|| pairing.join(code)),
            ["join-at", address, code] => joined(|| pairing.join_at(address.parse().expect("an address"), code)),
            ["join-host", host, port, words] => {
                let (host, port) = (host.parse().expect("a number"), port.parse().expect("a port"));
                joined(|| pairing.join_host(host, port, words));
            }
            ["offer", millis] => {
                let invite = self.invite.as_mut().expect("an invite was made");
                let nobody = invite.accept_timeout(duration(millis));
                assert!(matches!(nobody, Err(InviteError::Expired)), "somebody came");
                say("offered");
            }
            ["forge", name, nameplate, port] => hostile::forge(carrier(name), nameplate, port),
            ["hostile", name, nameplate, manner] => hostile::be(carrier(name), nameplate, manner, false),
            ["hostile", name, nameplate, manner, "copy"] => hostile::be(carrier(name), nameplate, manner, true),
            ["take-discovery-port"] => {
                let port = udpair::pairing::DISCOVERY_PORT;
                let every = [SocketAddr::from(([0; 16], port)), SocketAddr::from(([0; 4], port))];
                // Until the process ends. The first takes in the second, where there is IPv6.
                let bound = every.map(|address| std::net::UdpSocket::bind(address).ok().map(std::mem::forget));
                assert!(bound.iter().any(Option::is_some));
                say("taken");
            }
            _ => panic!("no such command: {command:?}"),
        }
    }

    fn invited(&mut self, invite: Result<Invite, InviteError>) {
        match invite {
            Ok(invite) => {
                say(format_args!("invite {} {}", invite.code(), invite.local_addr().port()));
                self.invite = Some(invite);
            }
            Err(error) => failed(&error),
        }
    }

    /// Lets somebody in and tells who it is that they have met.
    fn accept(&mut self) {
        let mut invite = self.invite.take().expect("an invite was made");
        say("accepting");
        match invite.accept_timeout(STUCK) {
            Ok(peer) => {
                say("accepted");
                peer.send(self.name.clone()).expect("the channel is free");
                assert!(peer.close(0).all_taken());
                say("closed");
            }
            Err(error) => failed(&error),
        }
    }
}

fn joined(join: impl FnOnce() -> Result<Connection, JoinError>) {
    say("joining");
    match join() {
        Ok(peer) => {
            say("joined");
            let met = peer.recv().expect("a name").into_bytes(100).expect("a short one");
            peer.close(0);
            say(format_args!("met {}", String::from_utf8_lossy(&met)));
        }
        Err(error) => failed(&error),
    }
}

/// The variant, and all that the error says.
fn failed(error: &dyn std::error::Error) {
    let debug = format!("{error:?}");
    let variant = debug.split(|end: char| !end.is_ascii_alphanumeric()).next().expect("a name");
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    say(format_args!("failed {variant}: {text}"));
}

fn carrier(name: &str) -> Carrier {
    if name == "udp" { Carrier::Udp } else { Carrier::Tcp }
}

fn duration(millis: &str) -> Duration {
    Duration::from_millis(millis.parse().expect("a number"))
}
