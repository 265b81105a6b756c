//! Broadcast domains: who hears what is for everyone.

use super::*;
use crate::pairing::InterfaceId;

const ETH0: InterfaceId = InterfaceId(2);
const ETH1: InterfaceId = InterfaceId(3);
const PORT: u16 = 29_517;

/// One host in the first domain, two in both, one in the second, and who of them hears what the first sends by an
/// interface to everyone.
struct Domains {
    network: Network,
    second: DomainId,
    hosts: [HostId; 4],
    now: Timestamp,
}

impl Domains {
    fn new() -> Self {
        let mut network = Network::new(1);
        let second = network.add_domain();
        let only = network.add_host("only first");
        let both = ["both", "both too"].map(|name| network.add_host_in(name, &[DomainId::LAN, second]));
        let other = network.add_host_in("only second", &[second]);
        Self { network, second, hosts: [only, both[0], both[1], other], now: Timestamp::ZERO }
    }

    /// Who hears what `host` sends, by which interface and after how long.
    fn hear(&mut self, host: usize, interface: InterfaceId, to: &str) -> Vec<(usize, InterfaceId, Duration)> {
        let from = self.network.address(self.hosts[host], 5);
        let to = SocketAddr::new(to.parse().unwrap(), PORT);
        let now = self.now;
        self.now = now + Duration::from_millis(1);
        let fates = self.network.send_by(now, self.hosts[host], interface, (from, to), b"anyone?");
        let arriving = fates.iter().flat_map(Fate::arrivals).count();
        let heard = drain(&mut self.network);
        assert_eq!(arriving, heard.len());
        let place = |delivery: &Delivery| {
            assert_eq!((delivery.from, delivery.to, &delivery.bytes[..]), (from, to, &b"anyone?"[..]));
            assert!(delivery.to_everyone);
            self.hosts.iter().position(|host| *host == delivery.host).unwrap()
        };
        heard.iter().map(|(at, it)| (place(it), it.interface, at.saturating_since(now))).collect()
    }
}

#[test]
fn what_is_for_everyone_reaches_each_host_of_the_domain_once_and_nobody_else() {
    for to in ["255.255.255.255", "10.0.255.255", "224.0.0.229", "ff02::7564:7061"] {
        let heard = Domains::new().hear(0, ETH0, to);
        assert_eq!(heard, [0, 1, 2].map(|host| (host, ETH0, us(50))), "{to}");
    }
    let mut domains = Domains::new();
    let heard = domains.hear(1, ETH1, "10.1.255.255");
    assert_eq!(heard, [(1, ETH1, us(50)), (2, ETH1, us(50)), (3, ETH0, us(50))]);
    assert_eq!(domains.hear(1, ETH1, "10.0.255.255"), [], "the other link's broadcast address");
    assert_eq!(domains.hear(0, ETH1, "255.255.255.255"), [], "there is no such interface");
    assert_eq!(domains.hear(0, InterfaceId(1), "127.255.255.255"), [(0, InterfaceId(1), us(50))]);
}

#[test]
fn each_copy_meets_the_faults_of_its_own_link() {
    let mut domains = Domains::new();
    let [first, both, both_too, _] = domains.hosts;
    let slow = LinkConfig { delay: us(700), duplicate_ppm: MILLION, ..LinkConfig::default() };
    domains.network.configure(first, both, slow);
    domains.network.partition(first, both_too);
    let heard = domains.hear(0, ETH0, "255.255.255.255");
    assert_eq!(heard, [(0, ETH0, us(50)), (1, ETH0, us(700)), (1, ETH0, us(700))]);
    let counters = *domains.network.counters();
    assert_eq!((counters.sent, counters.partitioned, counters.duplicated), (3, 1, 1));
    domains.network.configure(first, both, LinkConfig { loss_ppm: MILLION, ..LinkConfig::default() });
    domains.network.heal(first, both_too);
    assert_eq!(domains.hear(0, ETH0, "255.255.255.255").iter().map(|heard| heard.0).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn who_else_is_in_the_domain_changes_nobodys_fate() {
    let fates = |crowd: usize| {
        let mut network = Network::new(9);
        let (a, b) = (network.add_host("a"), network.add_host("b"));
        let crowd: Vec<HostId> = (0..crowd).map(|n| network.add_host(&n.to_string())).collect();
        network.configure_default(LinkConfig { loss_ppm: 300_000, jitter: us(90), ..LinkConfig::default() });
        let (from, to) = (network.address(a, 1), "255.255.255.255:2".parse().unwrap());
        let mut fates = Vec::new();
        for n in 0..500 {
            fates.push(network.send_by(at_us(n), a, ETH0, (from, to), b"")[b.0]);
            for other in &crowd {
                network.send_by(at_us(n), *other, ETH0, (from, to), b"");
            }
        }
        fates
    };
    assert_eq!(fates(0), fates(5));
}

#[test]
fn an_interface_that_is_taken_down_hears_nothing_until_it_is_up_again() {
    let mut domains = Domains::new();
    let (host, second) = (domains.hosts[1], domains.second);
    let address = "10.1.0.2:9".parse().unwrap();
    let from = domains.network.address(domains.hosts[3], 5);
    assert_eq!(domains.network.host_at("10.1.0.2".parse().unwrap()), Some(host));
    domains.network.detach(host, second);
    domains.network.detach(host, second);
    assert_eq!(domains.network.send(at_us(1), from, address, None, b""), Fate::Dropped(DropReason::NoRoute));
    assert_eq!(domains.hear(1, ETH1, "255.255.255.255"), []);
    assert!(!domains.hear(2, ETH1, "255.255.255.255").iter().any(|heard| heard.0 == 1));
    assert!(domains.hear(1, ETH0, "255.255.255.255").iter().any(|heard| heard.0 == 1), "the other one stays up");
    assert_eq!(domains.network.attach(host, second), ETH1, "the same as before");
    assert!(domains.hear(2, ETH1, "255.255.255.255").contains(&(1, ETH1, us(50))));
    let up: Vec<_> = domains.network.interfaces(host).into_iter().map(|it| (it.name, it.up)).collect();
    assert_eq!(up, [("lo".to_owned(), true), ("eth0".to_owned(), true), ("eth1".to_owned(), true)]);
}

#[test]
fn a_source_is_chosen_as_the_link_asks() {
    let domains = Domains::new();
    let source = |to: &str| domains.network.source_for(domains.hosts[1], to.parse().unwrap()).unwrap().to_string();
    assert_eq!(source("10.0.0.1"), "10.0.0.2");
    assert_eq!(source("10.1.0.4"), "10.1.0.2");
    assert_eq!(source("fd00:0:0:1::4"), "fd00:0:0:1::2");
    assert_eq!(source("192.0.2.1"), "10.0.0.2", "the first, where no link leads there");
    assert_eq!(source("127.0.0.1"), "127.0.0.1");
}

#[test]
fn a_loopback_address_is_the_senders_own_and_any_source_can_be_claimed() {
    let mut pair = Pair::new(LinkConfig::default());
    let (lo, claimed) = ("127.0.0.1:1".parse().unwrap(), "198.51.100.7:7".parse().unwrap());
    pair.network.send_from(Timestamp::ZERO, pair.a, (lo, lo), None, b"myself");
    let to = pair.network.address(pair.b, 2);
    pair.network.send_from(Timestamp::ZERO, pair.a, (claimed, to), None, b"somebody");
    let heard: Vec<_> = pair.drain().into_iter().map(|(_, it)| (it.host, it.interface, it.from, it.bytes)).collect();
    let expected = [(pair.a, InterfaceId(1), lo, b"myself".to_vec()), (pair.b, ETH0, claimed, b"somebody".to_vec())];
    assert_eq!(heard, expected);
    let nobody = pair.network.send(Timestamp::ZERO, lo, to, None, b"");
    assert_eq!(nobody, Fate::Dropped(DropReason::NoRoute), "whose?");
}

#[test]
fn the_trace_says_whose_copy_it_was() {
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut domains = Domains::new();
    let out = std::sync::Arc::clone(&lines);
    domains.network.trace(move |packet| out.lock().unwrap().push(packet.to_string()));
    domains.network.partition(domains.hosts[0], domains.hosts[1]);
    domains.hear(0, ETH0, "255.255.255.255");
    let expected = [
        "0.000000000 10.0.0.1:5 255.255.255.255:29517>10.0.0.1 7 +0.000050000",
        "0.000000000 10.0.0.1:5 255.255.255.255:29517>10.0.0.2 7 partitioned",
        "0.000000000 10.0.0.1:5 255.255.255.255:29517>10.0.0.3 7 +0.000050000",
    ];
    assert_eq!(*lines.lock().unwrap(), expected);
}

#[test]
#[should_panic(expected = "at most 256 domains")]
fn domains_are_bounded() {
    let mut network = Network::new(1);
    for _ in 0..DOMAINS_MAX {
        network.add_domain();
    }
}
