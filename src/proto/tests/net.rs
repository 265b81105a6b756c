//! A network of two hosts: delay, jitter, loss, duplication and a path MTU, from a seed, in virtual time.
//!
//! Every seed stands in its test, so running the test replays it.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::message::Messages;
use crate::proto::sent::buffer_cost;
use crate::proto::{Answer, Config, Drained, Ecn, Endpoint, Output, PathLimits};
use crate::slots::ConnectionId;
use crate::time::{Timestamp, earliest};
use crate::wire::{Frame, Frames, Packet};

/// What the network does to datagrams.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) loss_percent: u32,
    pub(super) duplicate_percent: u32,
    pub(super) mtu: usize,
    pub(super) marks: bool,
    /// What each host's receive buffer really holds; what finds no room is lost.
    pub(super) buffer: u64,
    /// Wipes out one direction: from host 0, from host 1.
    pub(super) dead: [bool; 2],
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            delay: Duration::from_micros(50),
            jitter: Duration::ZERO,
            loss_percent: 0,
            duplicate_percent: 0,
            mtu: 1_472,
            marks: true,
            buffer: u64::MAX,
            dead: [false; 2],
        }
    }
}

/// A datagram on its way, or one that was seen.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub(super) from: usize,
    pub(super) ecn: Option<Ecn>,
    pub(super) bytes: Vec<u8>,
}

impl Datagram {
    /// True when it is a data packet and one of its frames is such a one.
    pub(super) fn holds(&self, mut wanted: impl FnMut(&Frame<'_>) -> bool) -> bool {
        match Packet::decode(&self.bytes) {
            Ok((_, Packet::Data(_, payload))) => Frames::new(payload).flatten().any(|frame| wanted(&frame)),
            _ => false,
        }
    }

    /// True when it asks for an acknowledgement.
    pub(super) fn asks(&self) -> bool {
        self.holds(|frame| !matches!(frame, Frame::Ack { .. } | Frame::Padding))
    }
}

/// True for a datagram that is to be lost.
pub(super) type Rule = Box<dyn FnMut(&Datagram) -> bool>;
/// Does something to a datagram on its way.
pub(super) type Change = Box<dyn FnMut(&mut Datagram)>;
/// Does something to the hosts just before a datagram arrives.
pub(super) type Before = Box<dyn FnMut(&mut [Endpoint; 2], Timestamp, &Datagram)>;

pub(super) struct Net {
    pub(super) hosts: [Endpoint; 2],
    pub(super) now: Timestamp,
    pub(super) faults: Faults,
    /// Datagrams handed to the network since the test last looked.
    pub(super) log: Vec<Datagram>,
    /// Whether a host's application waits when it has nothing to do (else it computes, and the keeper runs things).
    pub(super) waits: [bool; 2],
    /// Datagrams to other addresses may be sent, and are lost.
    pub(super) strangers: bool,
    /// These, since the test last looked.
    pub(super) strays: Vec<(SocketAddr, Vec<u8>)>,
    /// Loses every datagram for which it says so.
    pub(super) rule: Option<Rule>,
    /// Whoever sits on the way and changes what passes; the log has what was sent.
    pub(super) change: Option<Change>,
    /// Whoever sits beside it and sends, too.
    pub(super) before: Option<Before>,
    /// What is in the air by time of arrival and order of sending.
    air: BTreeMap<(Timestamp, u64), Datagram>,
    /// What it takes up in each host's receive buffer once it is there, now and at most.
    air_cost: [u64; 2],
    pub(super) air_cost_most: [u64; 2],
    sent: u64,
    rng: ChaCha8Rng,
}

pub(super) fn address(host: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, if host == 0 { 1 } else { 2 }], 4_000))
}

impl Net {
    pub(super) fn new(seed: u64, configs: [Config; 2], faults: Faults) -> Self {
        let mut hosts = configs.into_iter().zip(1..).map(|(config, host)| Endpoint::new(config, [host; 32]));
        Self {
            hosts: [hosts.next().unwrap(), hosts.next().unwrap()],
            now: Timestamp::from_nanos(1_000_000_000),
            faults,
            log: Vec::new(),
            waits: [true; 2],
            strangers: false,
            strays: Vec::new(),
            rule: None,
            change: None,
            before: None,
            air: BTreeMap::new(),
            air_cost: [0; 2],
            air_cost_most: [0; 2],
            sent: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Two hosts and an established, accepted connection from host 0 to host 1: its id on each.
    pub(super) fn connected(seed: u64, configs: [Config; 2], faults: Faults) -> (Self, [ConnectionId; 2]) {
        let mut net = Self::new(seed, configs, faults);
        let ids = net.connect();
        (net, ids)
    }

    pub(super) fn connect(&mut self) -> [ConnectionId; 2] {
        let path = PathLimits::unlimited(address(1));
        let client = self.hosts[0].connect(self.now, address(1), path).unwrap();
        let mut server = None;
        self.run(Duration::from_secs(10), |net| {
            server = server.or_else(|| net.hosts[1].incoming());
            server.is_some()
        });
        let server = server.expect("the handshake succeeds");
        self.hosts[1].answer(self.now, server, Answer::Accept);
        [client, server]
    }

    /// Loses the first `count` datagrams of a host that are such ones.
    pub(super) fn lose_first(&mut self, count: u32, host: usize, wanted: impl Fn(&Datagram) -> bool + 'static) {
        let mut left = count;
        self.rule = Some(Box::new(move |datagram| {
            let lost = left > 0 && datagram.from == host && wanted(datagram);
            left -= u32::from(lost);
            lost
        }));
    }

    /// Lets the network's first round trips pass: MTU search, first samples.
    pub(super) fn settle(&mut self) {
        self.run_for(Duration::from_millis(20));
        self.log.clear();
    }

    pub(super) fn messages(&mut self, host: usize, id: ConnectionId) -> &mut Messages {
        self.hosts[host].messages_mut(id).expect("the connection exists")
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        self.run(time, |_| false);
        self.now = self.now.max(until);
    }

    /// Runs until `done`, at most for `limit`. True when it was done.
    pub(super) fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let until = self.now + limit;
        loop {
            if done(self) {
                return true;
            }
            let mut next = self.air.first_key_value().map(|((at, _), _)| *at);
            for host in 0..2 {
                if self.waits[host] {
                    self.hosts[host].handle_wait();
                }
                next = earliest(next, self.pump(host));
            }
            next = earliest(next, self.air.first_key_value().map(|((at, _), _)| *at));
            match next.filter(|next| *next <= until) {
                Some(next) => self.advance(next.max(self.now)),
                None => return done(self),
            }
        }
    }

    /// Takes what a host has to send; its next deadline.
    pub(super) fn pump(&mut self, host: usize) -> Option<Timestamp> {
        let mut buf = Vec::new();
        for _ in 0..100_000 {
            match self.hosts[host].poll_output(self.now, &mut buf) {
                Output::Transmit(transmit) => {
                    assert_eq!(transmit.len, buf.len());
                    assert!(buf.len() <= 65_507);
                    let segment = transmit.segment.unwrap_or(buf.len());
                    assert!(buf.len().div_ceil(segment) <= 64);
                    for bytes in buf.chunks(segment) {
                        self.send(host, transmit.to, transmit.ecn, bytes.to_vec());
                    }
                }
                Output::Changed(_) | Output::Incoming => {}
                Output::Wait(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now), "{deadline:?} is not after {:?}", self.now);
                    return deadline;
                }
            }
        }
        panic!("the endpoint never comes to rest");
    }

    fn send(&mut self, from: usize, to: SocketAddr, ecn: Option<Ecn>, bytes: Vec<u8>) {
        if to != address(1 - from) {
            assert!(self.strangers, "{to}: there are only two hosts");
            return self.strays.push((to, bytes));
        }
        let mut datagram = Datagram { from, ecn: ecn.filter(|_| self.faults.marks), bytes };
        self.log.push(datagram.clone());
        if let Some(change) = &mut self.change {
            change(&mut datagram);
        }
        let copies = 1 + u32::from(self.chance(self.faults.duplicate_percent));
        for _ in 0..copies {
            let lost = self.chance(self.faults.loss_percent);
            let forbidden = self.rule.as_mut().is_some_and(|rule| rule(&datagram));
            if lost || forbidden || self.faults.dead[from] || datagram.bytes.len() > self.faults.mtu {
                continue;
            }
            let jitter = u64::try_from(self.faults.jitter.as_nanos()).unwrap();
            let jitter = Duration::from_nanos(if jitter > 0 { self.rng.random_range(0..jitter) } else { 0 });
            self.sent += 1;
            let to = 1 - from;
            let cost = buffer_cost(datagram.bytes.len() as u64);
            if self.air_cost[to] + cost > self.faults.buffer {
                continue;
            }
            self.air_cost[to] += cost;
            self.air_cost_most[to] = self.air_cost_most[to].max(self.air_cost[to]);
            self.air.insert((self.now + self.faults.delay + jitter, self.sent), datagram.clone());
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        percent > 0 && self.rng.random_range(0..100) < percent
    }

    /// Moves time on and delivers what arrives then, as one batch for each host.
    fn advance(&mut self, to: Timestamp) {
        self.now = to;
        while let Some(entry) = self.air.first_entry().filter(|entry| entry.key().0 <= to) {
            let mut datagram = entry.remove();
            self.air_cost[1 - datagram.from] -= buffer_cost(datagram.bytes.len() as u64);
            if let Some(before) = &mut self.before {
                before(&mut self.hosts, to, &datagram);
            }
            let bytes = &mut datagram.bytes;
            self.hosts[1 - datagram.from].handle_datagram(to, address(datagram.from), datagram.ecn, bytes);
        }
        for host in 0..2 {
            let drained = if self.waits[host] { Drained::ByWaiter } else { Drained::ByKeeper };
            self.hosts[host].handle_batch_end(drained);
            self.hosts[host].handle_timeout(to);
        }
    }
}
