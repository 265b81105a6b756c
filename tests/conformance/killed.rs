//! A peer whose process is killed: this test's own binary, started once more. In the simulated world it is a host that
//! nothing leaves or reaches any more.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use udpair::message::{End, SendError};
use udpair::sim::Sim;
use udpair::transport::BindError;
use udpair::{Config, Connection, Listener, Transport, tcp, udp};

use crate::pair::{STUCK, end_of, receive};
use crate::security::Security;

/// What makes the test [`victim`] the peer: one of [`ROLES`].
const ROLE: &str = "UDPAIR_CONFORMANCE_VICTIM";
/// Before the address in what it prints.
const LISTENS: &str = "victim listens at ";

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

type Bind = fn(SocketAddr, Config) -> Result<Arc<dyn Transport>, BindError>;

const ROLES: [(&str, Bind, Security); 4] = [
    ("udp", udp::bind, Security::Plain),
    ("tcp", tcp::bind, Security::Plain),
    ("udp, sealed", udp::bind, Security::Psk),
    ("tcp, sealed", tcp::bind, Security::Psk),
];

/// On a machine that is busy with other things the two processes shall find the time to talk before one is killed.
const IDLE: Duration = Duration::from_secs(2);
/// In virtual time nobody is busy.
const IDLE_IN_SIM: Duration = Duration::from_millis(300);

fn config(security: Security, idle_timeout: Duration) -> Config {
    let mut config = security.config();
    config.idle_timeout = idle_timeout;
    config
}

fn bind(role: &str) -> Result<Arc<dyn Transport>, BindError> {
    let (_, bind, security) = ROLES.into_iter().find(|(name, ..)| *name == role).expect("a role");
    bind(LOOPBACK, config(security, IDLE))
}

/// Killed and reaped whatever becomes of the test.
struct Victim {
    process: Child,
    addr: SocketAddr,
}

impl Victim {
    fn start(role: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::victim", "--nocapture"])
            .env(ROLE, role)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        // The test harness may have printed something before it, on the same line too.
        let addr = lines.find_map(|line| line.split_once(LISTENS).map(|(_, addr)| addr.parse().unwrap()));
        Self { process, addr: addr.expect("the victim says where it listens") }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// No test of its own: what runs in the other process.
#[test]
fn victim() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let transport = bind(&role).unwrap();
    println!("{LISTENS}{}", transport.local_addr());
    be_killed(&transport);
}

/// The victim's program: it is called, calls back, and never ends by itself.
fn be_killed(transport: &Arc<dyn Transport>) {
    let called = Listener::new(Arc::clone(transport)).accept().unwrap();
    let survivor: SocketAddr = std::str::from_utf8(&receive(&called)).unwrap().parse().unwrap();
    let calling = Connection::connect(transport, survivor).unwrap();
    calling.send("called back").unwrap();
    let _ = called.recv();
    let _ = calling.recv();
}

/// The survivor's: both connections, the one that it called and the one that called it, end as `end`.
fn survive(transport: &Arc<dyn Transport>, victim: SocketAddr, kill: impl FnOnce(), end: End) {
    let calling = Connection::connect(transport, victim).unwrap();
    calling.send(transport.local_addr().to_string()).unwrap();
    let called = Listener::new(Arc::clone(transport)).accept_timeout(STUCK).unwrap();
    assert_eq!(receive(&called), "called back");
    kill();
    assert_eq!((end_of(&calling), end_of(&called)), (end, end));
    assert_eq!(calling.send("late"), Err(SendError::Ended(end)));
    assert_eq!(called.close(0).cut_short, Some(end));
}

fn check_killed(carrier: &str, end: End) {
    let roles = ROLES.into_iter().map(|(role, ..)| role).filter(|role| role.starts_with(carrier));
    // The silence of all passes at the same time.
    std::thread::scope(|scope| {
        for role in roles {
            scope.spawn(move || {
                let mut victim = Victim::start(role);
                let addr = victim.addr;
                survive(&bind(role).unwrap(), addr, || victim.kill(), end);
            });
        }
    });
}

#[test]
fn udp_gives_a_killed_peer_up_after_the_idle_timeout() {
    check_killed("udp", End::TimedOut);
}

#[test]
fn tcp_tells_at_once_that_the_peer_is_gone() {
    check_killed("tcp", End::Broken);
}

#[test]
fn sim_gives_a_crashed_host_up_after_the_idle_timeout() {
    let sim = Sim::new(1);
    let (victim, survivor) = (sim.host("victim"), sim.host("survivor"));
    let (ids, addr) = ([victim.id(), survivor.id()], victim.addr(7_000));
    sim.serve(&victim, move |host| {
        be_killed(&host.bind(addr, config(Security::Plain, IDLE_IN_SIM))?);
        Ok(())
    });
    sim.spawn(&survivor, move |host| {
        let transport = host.bind(host.addr(0), config(Security::Plain, IDLE_IN_SIM))?;
        let kill = || {
            host.network(|network| {
                network.partition(ids[0], ids[1]);
                network.partition(ids[1], ids[0]);
            });
        };
        let before = host.now();
        survive(&transport, addr, kill, End::TimedOut);
        // In virtual time it may be asserted: counted from the first PING that is not answered, a third later at most.
        let took = host.now().saturating_since(before);
        assert!(took >= IDLE_IN_SIM && took <= IDLE_IN_SIM * 4 / 3 + Duration::from_millis(1), "{took:?}");
        Ok(())
    });
    sim.run().unwrap_or_else(|error| panic!("{error}"));
}
