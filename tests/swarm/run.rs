//! Runs a world: cores over a simulated network, applications on top, the model beside.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use udpair::proto::Drained;
use udpair::sim::{DeliveryKind, HostId, Network};
use udpair::slots::ConnectionId;
use udpair::time::{Timestamp, earliest};

use crate::app::App;
use crate::chance::Chance;
use crate::model::{Model, REFUSE};
use crate::plan::{Call, HostPlan, Plan, Sealing, Weather};
use crate::replay;
use crate::sans_io::{Core, Output};
use crate::seals::Seals;

const PORT: u16 = 7_000;
/// How long after the last fault everything must have come to its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// After so long nobody remembers a handshake, and no cookie is good.
const HANDSHAKES_FORGOTTEN: Duration = Duration::from_secs(12);
/// How long closes may take at the end of the world.
const LAST_CLOSES: Duration = Duration::from_secs(60);
/// More outputs than this for one input mean that a core never comes to rest.
const OUTPUTS_MAX: usize = 100_000;

/// What a world came to, for whoever wants to see that worlds are not empty.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub connections: u64,
    pub ended_by_network: u64,
    pub datagrams: u64,
    pub delivered: u64,
    /// Messages that counted as flushed, and reports, that were checked against what the other side holds.
    pub claims: u64,
    /// Packets that were sealed, and how often keys were updated.
    pub sealed: u64,
    pub key_updates: u64,
    /// Datagrams that were sent once more at the end.
    pub replayed: u64,
}

struct World<C> {
    chance: Chance,
    now: Timestamp,
    network: Network,
    model: Model,
    nodes: Vec<Node<C>>,
    events: BTreeMap<(Timestamp, u64), Event>,
    sequence: u64,
    /// How much of what cores told was checked against the other side.
    claims: u64,
    seals: Seals,
    replayed: u64,
    /// Print what goes over the network.
    trace: bool,
}

struct Node<C> {
    plan: HostPlan,
    sealing: Sealing,
    /// How often it has begun anew.
    life: u32,
    addr: SocketAddr,
    core: C,
    timer: Option<Timestamp>,
    /// Arrived, and not looked at.
    inbox: VecDeque<udpair::sim::Delivery>,
    inbox_bytes: usize,
    apps: BTreeMap<ConnectionId, App>,
    /// Connections on which something is new.
    changed: VecDeque<ConnectionId>,
    /// Calls whose connection, when it is over, is to be made again.
    calls: BTreeMap<ConnectionId, Call>,
}

enum Event {
    Call(Call),
    Act(usize, ConnectionId),
    ReadInbox(usize),
    Crash(usize),
}

/// Runs the world of a seed.
pub(crate) fn run<C: Core>(seed: u64, trace: bool) -> Tally {
    let plan = Plan::random(seed);
    if trace {
        println!("{plan:#?}");
    }
    let mut world = World::<C>::new(seed, &plan, trace);
    world.run_until(plan.faults_end, |_| false);
    // Faults have ended. What was sent arrives, or the connection ends.
    let deadline = world.now.max(plan.faults_end) + PATIENCE;
    let healed = world.run_until(deadline, World::at_rest);
    assert!(healed, "not at rest {PATIENCE:?} after the last fault: {}", world.describe());
    if C::is_replay_proof() {
        world.nodes.iter_mut().for_each(|node| node.calls.clear());
        world.run_until(world.now + HANDSHAKES_FORGOTTEN, |_| false);
        world.replay();
    }
    world.close_all();
    let deadline = world.now + LAST_CLOSES;
    let closed =
        world.run_until(deadline, |world| world.nodes.iter().all(|node| node.apps.values().all(|app| app.over)));
    assert!(closed, "not closed in {LAST_CLOSES:?}: {}", world.describe());
    world.model.check_end();
    world.tally()
}

impl<C: Core> World<C> {
    fn new(seed: u64, plan: &Plan, trace: bool) -> Self {
        let mut chance = Chance::new(seed ^ 0x0dd5_eed5);
        let mut network = Network::new(seed);
        if trace {
            network.trace(|packet| println!("{packet}"));
        }
        let hosts: Vec<_> = (0..plan.hosts.len()).map(|number| network.add_host(&format!("host {number}"))).collect();
        prepare(&mut network, plan, &hosts);
        let address = |network: &Network, host| {
            if plan.ipv6 { network.address_v6(host, PORT) } else { network.address(host, PORT) }
        };
        let sealing = plan.sealing;
        let nodes = hosts.iter().zip(&plan.hosts).map(|(host, plan)| Node {
            plan: plan.clone(),
            sealing,
            life: 0,
            addr: address(&network, *host),
            core: C::new(plan, sealing, chance.any()),
            timer: None,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            apps: BTreeMap::new(),
            changed: VecDeque::new(),
            calls: BTreeMap::new(),
        });
        let nodes = nodes.collect();
        let model = Model::new(plan.weather, matches!(sealing, Sealing::Code(_)));
        let mut world = Self {
            chance,
            now: Timestamp::ZERO,
            network,
            model,
            nodes,
            events: BTreeMap::new(),
            sequence: 0,
            claims: 0,
            seals: Seals::new(sealing.generations()),
            replayed: 0,
            trace,
        };
        for call in &plan.calls {
            world.schedule(call.at, Event::Call(*call));
        }
        for (at, node) in &plan.crashes {
            world.schedule(*at, Event::Crash(*node));
        }
        world
    }

    fn schedule(&mut self, at: Timestamp, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    /// Runs until `until`, or until `done` says so, which is asked every 100 ms and at the end. True where it did.
    fn run_until(&mut self, until: Timestamp, done: impl Fn(&mut Self) -> bool) -> bool {
        let mut look_at = self.now;
        loop {
            if self.now >= look_at {
                if done(self) {
                    return true;
                }
                self.nodes.iter().for_each(|node| node.core.check_bounds());
                look_at = self.now + Duration::from_millis(100);
            }
            let next = self.next_at().filter(|next| *next <= until);
            self.now = self.now.max(next.unwrap_or(until).min(look_at).min(until));
            if next.is_none() && self.now >= until {
                return done(self);
            }
            self.step();
        }
    }

    fn next_at(&self) -> Option<Timestamp> {
        let timers = self.nodes.iter().filter_map(|node| node.timer).min();
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        earliest(earliest(timers, event), self.network.next_delivery_at())
    }

    /// Everything that is due now.
    fn step(&mut self) {
        while let Some(delivery) = self.network.poll(self.now) {
            self.arrive(delivery);
        }
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match entry.remove() {
                Event::Call(call) => self.call(call),
                Event::Act(node, id) => {
                    self.nodes[node].changed.push_back(id);
                    self.pump(node);
                }
                Event::ReadInbox(node) => self.read_inbox(node),
                Event::Crash(node) => self.crash(node),
            }
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].timer.is_some_and(|timer| timer <= self.now) {
                self.nodes[node].timer = None;
                self.nodes[node].core.timeout(self.now);
                self.pump(node);
            }
        }
    }

    /// Something arrives at a host, which looks at it when it comes to it.
    fn arrive(&mut self, delivery: udpair::sim::Delivery) {
        let at = self.nodes.iter().position(|node| node.addr == delivery.to).expect("only nodes have addresses");
        let node = &mut self.nodes[at];
        if delivery.kind != DeliveryKind::Datagram || node.inbox_bytes + delivery.bytes.len() > node.plan.inbox_bytes {
            return;
        }
        node.inbox_bytes += delivery.bytes.len();
        node.inbox.push_back(delivery);
        if node.inbox.len() == 1 {
            let lag = self.chance.of(0..=node_lag(&node.plan));
            self.schedule(self.now + Duration::from_nanos(lag), Event::ReadInbox(at));
        }
    }

    fn read_inbox(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.inbox_bytes = 0;
        for delivery in core::mem::take(&mut node.inbox) {
            let dropped = node.core.dropped();
            node.core.datagram(self.now, delivery.from, delivery.ecn, &delivery.bytes);
            if C::is_replay_proof() && node.core.dropped() == dropped {
                self.seals.on_taken(delivery);
            }
        }
        let drained = if self.chance.percent(80) { Drained::ByWaiter } else { Drained::ByKeeper };
        node.core.batch_end(drained);
        self.pump(at);
    }

    /// A host forgets everything, and goes on at the same address.
    fn crash(&mut self, at: usize) {
        let seed = self.chance.any();
        let node = &mut self.nodes[at];
        for app in node.apps.values().filter(|app| !app.over) {
            self.model.on_crash(app.key);
        }
        node.core = C::new(&node.plan, node.sealing, seed);
        node.life += 1;
        node.timer = None;
        node.apps.clear();
        node.changed.clear();
        node.calls.clear();
    }

    fn call(&mut self, call: Call) {
        let remote = self.nodes[call.to].addr;
        let key = self.model.begin(call.from, call.to, true);
        let chance = self.chance.fork();
        let node = &mut self.nodes[call.from];
        let id = node.core.connect(self.now, remote);
        node.apps.insert(id, App::new(self.now, key, id, chance));
        node.calls.insert(id, call);
        node.changed.push_back(id);
        self.pump(call.from);
    }

    /// Lets a node do all that it can do now.
    fn pump(&mut self, at: usize) {
        let mut buf = Vec::new();
        for _ in 0..OUTPUTS_MAX {
            buf.clear();
            let node = &mut self.nodes[at];
            match node.core.output(self.now, &mut buf) {
                Output::Transmit { to, segment, ecn } => {
                    for datagram in buf.chunks(segment) {
                        if self.trace {
                            println!("    {}", C::explain(datagram));
                        }
                        self.seals.on_sent((at, node.life), datagram);
                        self.network.send(self.now, node.addr, to, ecn, datagram);
                    }
                }
                Output::Changed(id) => node.changed.push_back(id),
                Output::Incoming => self.accept(at),
                Output::Wait(until) => {
                    if let Some(id) = node.changed.pop_front() {
                        self.act(at, id);
                    } else {
                        let lag = Duration::from_nanos(self.chance.of(0..=node_lag(&node.plan)));
                        node.timer = until.map(|until| until.max(self.now) + lag);
                        return;
                    }
                }
            }
        }
        panic!("host {at} does not come to rest");
    }

    fn accept(&mut self, at: usize) {
        while let Some(id) = self.nodes[at].core.incoming() {
            let remote = self.nodes[at].core.remote(id).expect("it came from somewhere");
            let remote = self.nodes.iter().position(|node| node.addr == remote).expect("from a node");
            let key = self.model.begin(at, remote, false);
            let mut chance = self.chance.fork();
            let node = &mut self.nodes[at];
            if chance.percent(node.plan.refuses_percent) {
                self.model.on_refuse(key);
                node.core.refuse(self.now, id, REFUSE + u32::from(key));
            } else {
                node.core.accept(self.now, id);
                node.apps.insert(id, App::new(self.now, key, id, chance));
                node.changed.push_back(id);
            }
        }
    }

    fn act(&mut self, at: usize, id: ConnectionId) {
        let node = &mut self.nodes[at];
        // Before a connection is answered it is nobody's.
        let Some(app) = node.apps.get_mut(&id) else { return };
        let (was_over, was_reported, key) = (app.over, app.reported, app.key);
        if let Some(exporter) = node.core.exporter(id) {
            self.seals.on_session(key, self.model.half(key).caller, exporter);
        }
        let wakes = app.act(self.now, &mut node.core, &mut self.model);
        let over = app.over && !was_over;
        let reported = app.reported && !was_reported;
        self.check_claims(at, id, key, reported);
        let node = &mut self.nodes[at];
        if self.chance.percent(node.plan.waits_percent) {
            node.core.wait();
        }
        if let Some(wakes) = wakes {
            self.schedule(wakes, Event::Act(at, id));
        }
        if let Some(call) = over.then(|| self.nodes[at].calls.remove(&id)).flatten().filter(|call| call.again > 0) {
            let at = self.now + self.chance.us(0..=500_000);
            self.schedule(at, Event::Call(Call { at, again: call.again - 1, ..call }));
        }
    }

    /// What a core tells its application must be so at the other side, where there is one to look at.
    fn check_claims(&mut self, at: usize, id: ConnectionId, key: u16, reported: bool) {
        let flushed = |messages: &udpair::message::Messages| messages.ended().is_none() && messages.flushed();
        let flushed = self.nodes[at].core.peek(id).is_some_and(flushed);
        if !(flushed || reported) {
            return;
        }
        let Self { nodes, model, .. } = self;
        let mut holders = Vec::new();
        for other in model.others(key) {
            let host = &nodes[model.half(other).host];
            let app = host.apps.values().find(|app| app.key == other && !app.over);
            let messages = app.and_then(|app| host.core.peek(app.id)).filter(|messages| messages.ended().is_none());
            match messages {
                Some(messages) if !model.is_gone(other) => holders.push(messages),
                // It may have had it, and has forgotten.
                _ => return,
            }
        }
        let arrived = |name: crate::content::Name| {
            holders.iter().any(|messages| messages.has_arrived(name.channel, udpair::message::MessageId(name.id)))
        };
        if flushed {
            self.claims += model.check_flushed(key, &arrived);
        }
        if reported {
            model.check_report(key, &arrived);
            self.claims += 1;
        }
    }

    /// Nothing is left to do but to close: all plans are carried out and everything has arrived.
    fn at_rest(&mut self) -> bool {
        let Self { nodes, events, model, .. } = self;
        let acting = nodes.iter_mut().any(|node| {
            let Node { apps, core, .. } = node;
            apps.values().any(|app| {
                !app.over
                    && core.messages(app.id).is_some_and(|messages| messages.ended().is_none())
                    && (!app.idle() || model.missing(app.key).is_some())
            })
        });
        !acting && !events.values().any(|event| matches!(event, Event::Call(_)))
    }

    /// Hands each host once more all that it took before.
    fn replay(&mut self) {
        let recorded = core::mem::take(&mut self.seals.recorded);
        for at in 0..self.nodes.len() {
            self.pump(at);
            let node = &mut self.nodes[at];
            let taken: Vec<_> = recorded.iter().filter(|taken| taken.to == node.addr).collect();
            let connections: Vec<_> = node.apps.values().map(|app| app.id).collect();
            replay::replay(&mut node.core, self.now, &taken, &connections);
            self.replayed += taken.len() as u64;
        }
    }

    fn close_all(&mut self) {
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            node.calls.clear();
            // One side is enough, and then the other must follow: the caller, except where it cannot be known.
            for app in node.apps.values_mut() {
                if !self.model.half(app.key).caller {
                    continue;
                }
                app.close_at_last(self.now, &mut node.core, &mut self.model);
            }
            self.pump(at);
        }
    }

    fn describe(&mut self) -> String {
        let mut text = String::new();
        for (at, node) in self.nodes.iter_mut().enumerate() {
            text += &format!("\n  host {at} dropped {:?}", node.core.drops());
            for app in node.apps.values().filter(|app| !app.over) {
                let messages = node.core.messages(app.id);
                let (state, stats) = messages.map(|messages| (messages.state(), messages.stats())).unzip();
                let missing = self.model.missing(app.key);
                text += &format!(
                    "\n  host {at}, half {}: {}, {state:?}, missing {missing:?}, {stats:?}",
                    app.key,
                    app.describe()
                );
            }
        }
        text
    }

    fn tally(&self) -> Tally {
        let ended_by_network = self.model.keys().filter(|key| {
            use udpair::message::End;
            matches!(self.model.end_of(*key), Some(End::TimedOut | End::ConnectTimedOut | End::Unconfirmed))
        });
        let (sealed, key_updates) = self.seals.counts();
        Tally {
            connections: self.model.keys().count() as u64,
            ended_by_network: ended_by_network.count() as u64,
            datagrams: self.network.counters().sent,
            delivered: self.model.delivered(),
            claims: self.claims,
            sealed,
            key_updates,
            replayed: self.replayed,
        }
    }
}

fn node_lag(plan: &HostPlan) -> u64 {
    u64::try_from(plan.lag_max.as_nanos()).unwrap()
}

/// Puts the plan's faults into the network.
fn prepare(network: &mut Network, plan: &Plan, hosts: &[HostId]) {
    for (from, to, link) in &plan.links {
        network.configure(hosts[*from], hosts[*to], link.clone());
    }
    for (at, from, to, link) in plan.changes.iter().cloned() {
        let (from, to) = (hosts[from], hosts[to]);
        network.at(at, move |network| network.configure(from, to, link));
    }
    for partition in &plan.partitions {
        let (from, to) = (hosts[partition.from], hosts[partition.to]);
        network.at(partition.begins, move |network| network.partition(from, to));
        network.at(partition.ends, move |network| network.heal(from, to));
    }
    if plan.weather != Weather::Clear {
        let (hosts, links) = (hosts.to_vec(), plan.links.clone());
        network.at(plan.faults_end, move |network| {
            for (from, to, link) in links {
                // The way stays as long and as wide as it was.
                let healed = udpair::sim::LinkConfig {
                    delay: link.delay,
                    mtu: network.config(hosts[from], hosts[to]).mtu,
                    ..udpair::sim::LinkConfig::default()
                };
                network.configure(hosts[from], hosts[to], healed);
            }
        });
    }
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.ended_by_network += other.ended_by_network;
        self.datagrams += other.datagrams;
        self.delivered += other.delivered;
        self.claims += other.claims;
        self.sealed += other.sealed;
        self.key_updates += other.key_updates;
        self.replayed += other.replayed;
    }
}
