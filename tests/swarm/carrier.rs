//! The message floor over the simplest carrier that could work, so that it is tried apart from `proto`: one packet a
//! datagram, each acknowledged by itself, repeated after a fixed time.
//!
//! ```text
//! kind[1] key[8] number[8] body.. crc32[4]      kind: HELLO, SHARE (body: parameters), DATA (body: frames), ACK, GONE
//! ```

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use udpair::message::{End, Limits, Messages, Sent};
use udpair::proto::Drained;
use udpair::sim::Ecn;
use udpair::slots::{ConnectionId, Slots};
use udpair::time::Timestamp;
use udpair::wire::{Frames, Params, RangeSet};

use crate::chance::Chance;
use crate::plan::{HostPlan, Sealing};
use crate::sans_io::{Core, Output};

const HELLO: u8 = 0;
const SHARE: u8 = 1;
const DATA: u8 = 2;
const ACK: u8 = 3;
const GONE: u8 = 4;
const HEADER: usize = 17;
const DATAGRAM_LEN: usize = 1_200;
const REPEAT_AFTER: Duration = Duration::from_millis(400);
const IN_FLIGHT_MAX: usize = 64;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Carrier {
    limits: Limits,
    chance: Chance,
    connections: Slots<Connection>,
    incoming: VecDeque<ConnectionId>,
    /// Datagrams to be sent.
    outbox: VecDeque<(SocketAddr, Vec<u8>)>,
    changed: VecDeque<ConnectionId>,
    announce: bool,
}

struct Connection {
    key: u64,
    /// Chosen by who was called, and told by SHARE: a HELLO that comes late, after a crash, begins another connection.
    stamp: u64,
    remote: SocketAddr,
    caller: bool,
    messages: Messages,
    established: bool,
    began: Timestamp,
    heard: Timestamp,
    /// A HELLO was sent.
    called: Option<Timestamp>,
    next: u64,
    under_way: BTreeMap<u64, (Timestamp, Vec<Sent>)>,
    received: RangeSet,
    released: bool,
}

impl Connection {
    /// What its datagrams bear.
    fn wire(&self) -> u64 {
        self.key ^ self.stamp
    }
}

impl Carrier {
    fn find(&self, key: u64) -> Option<ConnectionId> {
        self.connections.iter().find(|(_, connection)| connection.key == key).map(|(id, _)| id)
    }

    /// The established one that a datagram is for.
    fn find_wire(&self, wire: u64) -> Option<ConnectionId> {
        let is_it = |connection: &Connection| connection.established && connection.wire() == wire;
        self.connections.iter().find(|(_, connection)| is_it(connection)).map(|(id, _)| id)
    }

    /// True while it is not known what datagrams from there will bear.
    fn calls(&self, remote: SocketAddr) -> bool {
        self.connections.iter().any(|(_, connection)| !connection.established && connection.remote == remote)
    }

    fn insert(&mut self, now: Timestamp, key: u64, remote: SocketAddr, caller: bool) -> ConnectionId {
        let stamp = if caller { 0 } else { self.chance.any() };
        self.connections.insert(Connection {
            key,
            stamp,
            remote,
            caller,
            messages: Messages::new(self.limits),
            established: false,
            began: now,
            heard: now,
            called: None,
            next: 0,
            under_way: BTreeMap::new(),
            received: RangeSet::new(),
            released: false,
        })
    }

    fn put(&mut self, to: SocketAddr, kind: u8, key: u64, number: u64, body: &[u8]) {
        let mut bytes = vec![kind];
        bytes.extend(key.to_be_bytes());
        bytes.extend(number.to_be_bytes());
        bytes.extend(body);
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        self.outbox.push_back((to, bytes));
    }

    fn put_params(&mut self, id: ConnectionId, kind: u8) {
        let connection = self.connections.get(id).unwrap();
        let mut body = Vec::new();
        connection.messages.params(Params::default()).put(&mut body);
        self.put(connection.remote, kind, connection.key, connection.stamp, &body);
    }

    fn establish(&mut self, now: Timestamp, id: ConnectionId, stamp: u64, body: &[u8]) {
        let connection = self.connections.get_mut(id).unwrap();
        connection.heard = now;
        if !core::mem::replace(&mut connection.established, true) {
            connection.stamp = stamp;
            connection.messages.establish(&Params::decode(body).unwrap());
            self.changed.push_back(id);
        }
    }

    fn handle_data(&mut self, now: Timestamp, id: ConnectionId, number: u64, frames: &[u8]) {
        let connection = self.connections.get_mut(id).unwrap();
        connection.heard = now;
        if connection.received.insert_one(number) {
            for frame in Frames::new(frames) {
                let handled = connection.messages.handle(&frame.unwrap());
                handled.unwrap_or_else(|violation| panic!("{violation}"));
            }
            self.changed.push_back(id);
        }
        let connection = self.connections.get(id).unwrap();
        let (remote, wire) = (connection.remote, connection.wire());
        self.put(remote, ACK, wire, number, &[]);
    }

    /// What the connection has to send now, and when it wants to be asked again.
    fn serve(&mut self, now: Timestamp, id: ConnectionId) -> Option<Timestamp> {
        let connection = self.connections.get_mut(id)?;
        if connection.messages.closed() && connection.released {
            self.connections.remove(id);
            return None;
        }
        if connection.messages.closed() {
            return None;
        }
        let silent_at = connection.heard + IDLE_TIMEOUT;
        if !connection.established {
            let again = connection.called.map_or(now, |called| called + REPEAT_AFTER);
            if now >= connection.began + CONNECT_TIMEOUT {
                connection.messages.end(End::ConnectTimedOut);
                self.changed.push_back(id);
                return None;
            }
            if now >= again {
                connection.called = Some(now);
                self.put_params(id, HELLO);
                return Some(now + REPEAT_AFTER);
            }
            return Some(again);
        }
        if now >= silent_at {
            connection.messages.end(End::TimedOut);
            self.changed.push_back(id);
            return None;
        }
        let before = connection.messages.state();
        connection.messages.handle_timeout(now);
        if connection.messages.state() != before {
            self.changed.push_back(id);
        }
        let lost: Vec<_> = connection
            .under_way
            .iter()
            .filter(|(_, flight)| flight.0 + REPEAT_AFTER <= now)
            .map(|lost| *lost.0)
            .collect();
        for number in lost {
            let (_, sent) = connection.under_way.remove(&number).unwrap();
            sent.iter().for_each(|sent| connection.messages.on_lost(sent));
        }
        let mut datagrams = Vec::new();
        connection.messages.hurry();
        while connection.messages.wants_fill() && connection.under_way.len() < IN_FLIGHT_MAX {
            let (mut body, mut sent) = (Vec::new(), Vec::new());
            connection.messages.fill(&mut body, DATAGRAM_LEN - HEADER - 4, &mut sent);
            if body.is_empty() {
                break;
            }
            datagrams.push((connection.next, body));
            connection.under_way.insert(connection.next, (now, sent));
            connection.next += 1;
        }
        // Silence is broken now and then.
        if datagrams.is_empty() && connection.under_way.is_empty() && now >= connection.heard + IDLE_TIMEOUT / 3 {
            datagrams.push((connection.next, vec![1]));
            connection.under_way.insert(connection.next, (now, Vec::new()));
            connection.next += 1;
        }
        let repeat_at = connection.under_way.values().map(|(at, _)| *at + REPEAT_AFTER).min();
        let keep_at = connection.heard + IDLE_TIMEOUT / 3;
        let wake = [Some(silent_at), repeat_at, connection.messages.deadline(), Some(keep_at).filter(|at| *at > now)];
        let (remote, wire) = (connection.remote, connection.wire());
        for (number, body) in datagrams {
            self.put(remote, DATA, wire, number, &body);
        }
        wake.into_iter().flatten().min()
    }
}

impl Core for Carrier {
    fn new(plan: &HostPlan, _sealing: Sealing, seed: u64) -> Self {
        Self {
            limits: plan.limits,
            chance: Chance::new(seed),
            connections: Slots::default(),
            incoming: VecDeque::new(),
            outbox: VecDeque::new(),
            changed: VecDeque::new(),
            announce: false,
        }
    }

    fn connect(&mut self, now: Timestamp, remote: SocketAddr) -> ConnectionId {
        let key = self.chance.any();
        self.insert(now, key, remote, true)
    }

    fn incoming(&mut self) -> Option<ConnectionId> {
        self.incoming.pop_front()
    }

    fn remote(&self, id: ConnectionId) -> Option<SocketAddr> {
        self.connections.get(id).map(|connection| connection.remote)
    }

    fn accept(&mut self, _now: Timestamp, _id: ConnectionId) {}

    fn refuse(&mut self, _now: Timestamp, id: ConnectionId, code: u32) {
        let connection = self.connections.get_mut(id).unwrap();
        connection.messages.refuse(code);
        connection.released = true;
    }

    fn messages(&mut self, id: ConnectionId) -> Option<&mut Messages> {
        self.connections.get_mut(id).map(|connection| &mut connection.messages)
    }

    fn peek(&self, id: ConnectionId) -> Option<&Messages> {
        self.connections.get(id).map(|connection| &connection.messages)
    }

    fn datagram(&mut self, now: Timestamp, from: SocketAddr, _ecn: Option<Ecn>, datagram: &[u8]) {
        let Some((checked, crc)) = datagram.split_at_checked(datagram.len().saturating_sub(4)) else { return };
        if checked.len() < HEADER || crc != crc32fast::hash(checked).to_be_bytes() {
            return;
        }
        let field = |at: usize| u64::from_be_bytes(checked[at..at + 8].try_into().unwrap());
        let (kind, key, number, body) = (checked[0], field(1), field(9), &checked[HEADER..]);
        let found = if matches!(kind, HELLO | SHARE) { self.find(key) } else { self.find_wire(key) };
        match (kind, found) {
            (HELLO, None) => {
                let id = self.insert(now, key, from, false);
                let stamp = self.connections.get(id).unwrap().stamp;
                self.establish(now, id, stamp, body);
                self.incoming.push_back(id);
                self.announce = true;
                self.put_params(id, SHARE);
            }
            (HELLO, Some(id)) => self.put_params(id, SHARE),
            (SHARE, Some(id)) => self.establish(now, id, number, body),
            (DATA, Some(id)) => self.handle_data(now, id, number, body),
            (DATA, None) if self.calls(from) => {}
            (DATA, None) => self.put(from, GONE, key, number, &[]),
            (GONE, Some(id)) => {
                // The peer has closed or given up, and forgotten: it needs no CLOSE of ours.
                let connection = self.connections.get_mut(id).unwrap();
                connection.messages.on_acked(&Sent::Close);
                connection.messages.end(End::TimedOut);
                self.changed.push_back(id);
            }
            (ACK, Some(id)) => {
                let connection = self.connections.get_mut(id).unwrap();
                connection.heard = now;
                if let Some((_, sent)) = connection.under_way.remove(&number) {
                    sent.iter().for_each(|sent| connection.messages.on_acked(sent));
                    self.changed.push_back(id);
                }
            }
            _ => {}
        }
    }

    fn batch_end(&mut self, _drained: Drained) {}

    fn wait(&mut self) {}

    fn timeout(&mut self, _now: Timestamp) {}

    fn output(&mut self, now: Timestamp, buf: &mut Vec<u8>) -> Output {
        if core::mem::take(&mut self.announce) {
            return Output::Incoming;
        }
        let mut wait: Option<Timestamp> = None;
        for id in self.connections.iter().map(|(id, _)| id).collect::<Vec<_>>() {
            wait = udpair::time::earliest(wait, self.serve(now, id));
        }
        if let Some((to, datagram)) = self.outbox.pop_front() {
            buf.extend_from_slice(&datagram);
            return Output::Transmit { to, segment: buf.len(), ecn: None };
        }
        self.changed.pop_front().map_or(Output::Wait(wait), Output::Changed)
    }

    fn release(&mut self, _now: Timestamp, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.released = true;
        }
    }

    fn explain(datagram: &[u8]) -> String {
        format!("{:02x?}", &datagram[..HEADER])
    }

    fn exporter(&self, _id: ConnectionId) -> Option<[u8; 32]> {
        None
    }

    fn dropped(&self) -> u64 {
        0
    }

    fn is_replay_proof() -> bool {
        false
    }

    fn drops(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    fn check_bounds(&self) {
        for (_, connection) in self.connections.iter() {
            let (stats, limits) = (connection.messages.stats(), connection.messages.limits());
            assert!(stats.held <= 2 * limits.credit_connection, "{stats:?} {limits:?}");
            assert!(stats.gaps <= udpair::message::GAPS_MAX, "{stats:?}");
            assert!(stats.unreliable_unread <= udpair::message::UNRELIABLE_UNREAD_LEN_MAX, "{stats:?}");
            assert!(stats.queued <= crate::content::queued_max(limits), "{stats:?} {limits:?}");
            assert!(connection.under_way.len() <= IN_FLIGHT_MAX);
            assert!(connection.caller || connection.established);
        }
    }
}
