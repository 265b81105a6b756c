//! The network: hosts, the links between them, and what is under way.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use super::config::LinkConfig;
use super::counters::Counters;
use super::dice::{self, Luck};
use super::fate::{Arrival, DropReason, Fate, PacketTrace};
use super::host::Host;
use super::link::{self, Link, Passing};
use super::rules::{DatagramInfo, RuleId, Rules, Verdict};
use crate::pairing::InterfaceId;
use crate::time::{Timestamp, earliest};

/// The most bytes under way in the whole network, 64 for each datagram beside its payload. It keeps a world whose
/// application floods links of unlimited rate from eating the machine.
pub const IN_FLIGHT_BYTES_MAX: usize = 256 << 20;
/// What a datagram under way costs beside its payload.
const IN_FLIGHT_COST: usize = 64;

/// A host of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(super) usize);

/// An ECN codepoint (RFC 3168); `None` stands for a packet whose sender does not understand ECN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// The sender understands ECN.
    Ect0,
    /// The sender understands ECN, the other codepoint.
    Ect1,
    /// Congestion experienced on the way.
    Ce,
}

/// What arrives at a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where it arrives.
    pub host: HostId,
    /// By which of the host's interfaces; 0 where the address is none's.
    pub interface: InterfaceId,
    /// Its destination: an address of that host, or of everyone on a link that it is on.
    pub to: SocketAddr,
    /// It is for everyone on that link.
    pub to_everyone: bool,
    /// Its source.
    pub from: SocketAddr,
    /// Its ECN codepoint.
    pub ecn: Option<Ecn>,
    /// What it is.
    pub kind: DeliveryKind,
    /// Its payload; empty where it is not a datagram.
    pub bytes: Vec<u8>,
}

/// What a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// A datagram.
    Datagram,
    /// The word that nobody listens at `from`, where `to` had sent a datagram (ICMP port unreachable).
    Unreachable,
}

type Change = Box<dyn FnOnce(&mut Network) + Send>;
type OnPacket = Box<dyn FnMut(&PacketTrace) + Send>;

/// A seeded network in virtual time; see the module.
///
/// Time never runs backwards in it: a `now` before that of an earlier call counts as that one.
pub struct Network {
    seed: u64,
    now: Timestamp,
    pub(super) hosts: Vec<Host>,
    /// How many broadcast domains there are.
    pub(super) domains: usize,
    pub(super) by_address: BTreeMap<IpAddr, HostId>,
    default_config: LinkConfig,
    paths: BTreeMap<(HostId, HostId), Path>,
    links: Vec<NetworkLink>,
    rules: Rules,
    /// In the order of time, then of scheduling.
    changes: BTreeMap<(Timestamp, u64), Change>,
    /// In the order of arrival, then of sending.
    in_flight: BTreeMap<(Timestamp, u64), Delivery>,
    in_flight_bytes: usize,
    sequence: u64,
    counters: Counters,
    on_packet: Option<OnPacket>,
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) from_host: HostId,
    pub(super) to_host: HostId,
    /// By which of `to_host`'s interfaces it arrives.
    pub(super) interface: InterfaceId,
    /// The address there, where the destination is everyone's.
    pub(super) copy_for: Option<IpAddr>,
}

/// A datagram to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) ecn: Option<Ecn>,
    pub(super) kind: DeliveryKind,
    pub(super) bytes: &'a [u8],
}

/// From one host to another.
#[derive(Debug)]
struct Path {
    link: usize,
    partitioned: bool,
    /// Of the next datagram.
    luck: Luck,
}

#[derive(Debug, Default)]
struct NetworkLink {
    link: Link,
    /// `None`: the network's default.
    config: Option<LinkConfig>,
    counters: Counters,
}

impl Network {
    /// A network without hosts, whose links are faultless until configured otherwise.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            now: Timestamp::ZERO,
            hosts: Vec::new(),
            domains: 1,
            by_address: BTreeMap::new(),
            default_config: LinkConfig::default(),
            paths: BTreeMap::new(),
            links: Vec::new(),
            rules: Rules::default(),
            changes: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            in_flight_bytes: 0,
            sequence: 0,
            counters: Counters::default(),
            on_packet: None,
        }
    }

    /// The seed that it was made with.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    // Links. All of this holds for datagrams sent from now on.

    /// What links do that were not configured by themselves.
    pub fn configure_default(&mut self, config: LinkConfig) {
        self.default_config = config;
    }

    /// What the link from one host to another does.
    pub fn configure(&mut self, from: HostId, to: HostId, config: LinkConfig) {
        let link = self.path(from, to).link;
        self.links[link].config = Some(config);
    }

    /// What the links between two hosts do, each way.
    pub fn configure_both(&mut self, a: HostId, b: HostId, config: LinkConfig) {
        self.configure(a, b, config.clone());
        self.configure(b, a, config);
    }

    /// What the link from one host to another does now.
    #[must_use]
    pub fn config(&self, from: HostId, to: HostId) -> &LinkConfig {
        let link = self.paths.get(&(from, to)).map(|path| &self.links[path.link]);
        link.and_then(|link| link.config.as_ref()).unwrap_or(&self.default_config)
    }

    /// Lets what goes from one host to another go over the link of another pair of hosts, so that both share its
    /// rate, queue and bursts: a bottleneck.
    pub fn share_link(&mut self, path: (HostId, HostId), with: (HostId, HostId)) {
        let link = self.path(with.0, with.1).link;
        self.path(path.0, path.1).link = link;
    }

    /// Drops everything from one host to another (not the other way) until [`Network::heal`].
    pub fn partition(&mut self, from: HostId, to: HostId) {
        self.path(from, to).partitioned = true;
    }

    /// Ends a partition.
    pub fn heal(&mut self, from: HostId, to: HostId) {
        self.path(from, to).partitioned = false;
    }

    /// Adds a rule. Rules see every datagram first, in the order in which they were added.
    pub fn add_rule(&mut self, rule: impl FnMut(&DatagramInfo<'_>) -> Verdict + Send + 'static) -> RuleId {
        self.rules.add(rule)
    }

    /// Removes a rule. False where it was not there.
    pub fn remove_rule(&mut self, rule: RuleId) -> bool {
        self.rules.remove(rule)
    }

    /// Changes the network at a virtual time: before anything else that happens then.
    pub fn at(&mut self, when: Timestamp, change: impl FnOnce(&mut Self) + Send + 'static) {
        let sequence = self.next_sequence();
        self.changes.insert((when, sequence), Box::new(change));
    }

    // Datagrams.

    /// Sends a datagram from the host that has its source address, and says what will become of it.
    pub fn send(&mut self, now: Timestamp, from: SocketAddr, to: SocketAddr, ecn: Option<Ecn>, bytes: &[u8]) -> Fate {
        match self.host_at(from.ip()) {
            Some(host) => self.send_from(now, host, (from, to), ecn, bytes),
            None => self.pass(now, None, &Datagram { from, to, ecn, kind: DeliveryKind::Datagram, bytes }),
        }
    }

    /// As [`send`](Self::send), from a host that may claim any source address.
    pub fn send_from(
        &mut self,
        now: Timestamp,
        host: HostId,
        (from, to): (SocketAddr, SocketAddr),
        ecn: Option<Ecn>,
        bytes: &[u8],
    ) -> Fate {
        let datagram = Datagram { from, to, ecn, kind: DeliveryKind::Datagram, bytes };
        self.pass(now, self.way(host, to.ip()), &datagram)
    }

    /// Answers a datagram that found nobody listening, as a host's kernel does: its sender gets a delivery of
    /// [`DeliveryKind::Unreachable`], if that gets through. Nothing answers such a delivery.
    pub fn refuse(&mut self, now: Timestamp, datagram: &Delivery) {
        if datagram.kind == DeliveryKind::Datagram {
            let (from, to, kind) = (datagram.to, datagram.from, DeliveryKind::Unreachable);
            let way = self.way(datagram.host, to.ip());
            self.pass(now, way, &Datagram { from, to, ecn: None, kind, bytes: &[] });
        }
    }

    /// When the network does something next: something arrives or a change is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        earliest(self.next_delivery_at(), self.changes.first_key_value().map(|((at, _), _)| *at))
    }

    /// When something arrives next.
    #[must_use]
    pub fn next_delivery_at(&self) -> Option<Timestamp> {
        self.in_flight.first_key_value().map(|((at, _), _)| *at)
    }

    /// What has arrived by now, one at a time.
    pub fn poll(&mut self, now: Timestamp) -> Option<Delivery> {
        let now = self.advance(now);
        let entry = self.in_flight.first_entry().filter(|entry| entry.key().0 <= now)?;
        let delivery = entry.remove();
        self.in_flight_bytes -= delivery.bytes.len() + IN_FLIGHT_COST;
        Some(delivery)
    }

    // Watching.

    /// How many datagrams are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// What became of all datagrams.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What became of the datagrams on the link from one host to another (and of those that share it).
    #[must_use]
    pub fn link_counters(&self, from: HostId, to: HostId) -> Counters {
        self.paths.get(&(from, to)).map_or_else(Counters::default, |path| self.links[path.link].counters)
    }

    /// Tells every datagram and its fate to `on_packet` from now on, when it is sent. Nothing is formatted before the
    /// callee formats it.
    pub fn trace(&mut self, on_packet: impl FnMut(&PacketTrace) + Send + 'static) {
        self.on_packet = Some(Box::new(on_packet));
    }

    /// Writes a line a datagram to `out` from now on (see [`PacketTrace`]), until `out` refuses one.
    pub fn trace_to(&mut self, mut out: impl fmt::Write + Send + 'static) {
        let mut refused = false;
        self.trace(move |packet| refused = refused || writeln!(out, "{packet}").is_err());
    }

    /// The way from a host to an address.
    fn way(&self, from_host: HostId, to: IpAddr) -> Option<Way> {
        let to_host = self.reached(from_host, to)?;
        let interface = self.hosts[to_host.0].interface_with(to);
        Some(Way { from_host, to_host, interface, copy_for: None })
    }

    /// Sends a datagram on its way, if there is one.
    pub(super) fn pass(&mut self, now: Timestamp, way: Option<Way>, datagram: &Datagram<'_>) -> Fate {
        let now = self.advance(now);
        let fate = way.map_or(Fate::Dropped(DropReason::NoRoute), |way| self.pass_link(now, way, datagram));
        self.counters.count(&fate);
        if let Some(on_packet) = &mut self.on_packet {
            let Datagram { from, to, kind, bytes, .. } = *datagram;
            let len = (kind == DeliveryKind::Datagram).then_some(bytes.len());
            let copy_for = way.and_then(|way| way.copy_for);
            on_packet(&PacketTrace { at: now, from, to, copy_for, len, fate });
        }
        fate
    }

    fn pass_link(&mut self, now: Timestamp, way: Way, datagram: &Datagram<'_>) -> Fate {
        let Way { from_host, to_host, interface, copy_for } = way;
        let Datagram { from, to, ecn, kind, bytes } = *datagram;
        let path = self.path(from_host, to_host);
        let (link, partitioned, luck) = (path.link, path.partitioned, path.luck);
        path.luck.index += 1;
        // ICMP is no datagram that a rule could know by its ports and bytes.
        let verdict = if kind == DeliveryKind::Datagram {
            self.rules.judge(&DatagramInfo { at: now, from_host, to_host, from, to, ecn, bytes })
        } else {
            Verdict::Pass
        };
        let mut fate = match verdict {
            Verdict::Drop => Fate::Dropped(DropReason::Rule),
            Verdict::Deliver(delay) => Fate::Arrives(Arrival::ruled(now + delay), None),
            Verdict::Pass if partitioned => Fate::Dropped(DropReason::Partitioned),
            Verdict::Pass => {
                let NetworkLink { link, config, .. } = &mut self.links[link];
                let ecn_capable = matches!(ecn, Some(Ecn::Ect0 | Ecn::Ect1));
                let passing = Passing { luck, now, payload_len: bytes.len(), ipv6: to.is_ipv6(), ecn_capable };
                link.pass(config.as_ref().unwrap_or(&self.default_config), passing)
            }
        };
        let cost = fate.arrivals().count() * (bytes.len() + IN_FLIGHT_COST);
        if self.in_flight_bytes + cost > IN_FLIGHT_BYTES_MAX {
            fate = Fate::Dropped(DropReason::Overflow);
        }
        self.links[link].counters.count(&fate);
        for (arrival, second) in fate.arrivals().zip([false, true]) {
            let mut bytes = bytes.to_vec();
            link::damage(luck, arrival, second, &mut bytes);
            let ecn = if arrival.marked { Some(Ecn::Ce) } else { ecn };
            self.in_flight_bytes += bytes.len() + IN_FLIGHT_COST;
            let to_everyone = copy_for.is_some();
            let delivery = Delivery { host: to_host, interface, to, to_everyone, from, ecn, kind, bytes };
            let sequence = self.next_sequence();
            self.in_flight.insert((arrival.at, sequence), delivery);
        }
        fate
    }

    /// Makes the changes that are due, and says what time it is.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        while let Some(entry) = self.changes.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), change) = entry.remove_entry();
            self.now = self.now.max(at);
            change(self);
        }
        self.now = self.now.max(now);
        self.now
    }

    /// The way from one host to another, made when first asked for.
    fn path(&mut self, from: HostId, to: HostId) -> &mut Path {
        let Self { seed, hosts, paths, links, .. } = self;
        paths.entry((from, to)).or_insert_with(|| {
            let path_seed = dice::path_seed(*seed, &hosts[from.0].name, &hosts[to.0].name);
            links.push(NetworkLink::default());
            Path { link: links.len() - 1, partitioned: false, luck: Luck { path_seed, index: 0 } }
        })
    }

    const fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("seed", &self.seed)
            .field("now", &self.now)
            .field("hosts", &self.hosts)
            .field("paths", &self.paths)
            .field("rules", &self.rules)
            .field("in_flight", &self.in_flight.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
