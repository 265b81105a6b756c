//! One network on which everybody hears what is for everyone, late, not at all, or twice.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use rand::rngs::ChaCha20Rng;
use rand::{Rng as _, SeedableRng as _};

use crate::pairing::*;
use crate::time::{Timestamp, earliest};

pub(super) const INTERFACE: InterfaceId = InterfaceId(1);

/// One process: a side, and what happened to it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) side: Side,
    pub(super) invited: Vec<(Timestamp, InvitingEvent)>,
    pub(super) sought: Vec<(Timestamp, SeekingEvent)>,
}

#[derive(Debug)]
pub(super) enum Side {
    Inviting(Box<Inviting>),
    Seeking(Box<Seeking>),
}

impl Side {
    pub(super) fn counters(&self) -> &Counters {
        match self {
            Self::Inviting(side) => side.counters(),
            Self::Seeking(side) => side.counters(),
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Inviting(side) => side.deadline(),
            Self::Seeking(side) => side.deadline(),
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Self::Inviting(side) => side.poll_transmit(),
            Self::Seeking(side) => side.poll_transmit(),
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        match self {
            Self::Inviting(side) => side.handle_timeout(now),
            Self::Seeking(side) => side.handle_timeout(now),
        }
    }

    fn handle_beacon(&mut self, now: Timestamp, from: SocketAddr, bytes: &[u8]) {
        match self {
            Self::Inviting(side) => side.handle_beacon(now, from, INTERFACE, bytes),
            Self::Seeking(side) => side.handle_beacon(now, from, INTERFACE, bytes),
        }
    }
}

/// What the medium does to each copy of a beacon.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) loss_percent: u64,
    pub(super) duplicate_percent: u64,
    /// On top of 50 µs.
    pub(super) jitter_us: u64,
}

#[derive(Debug)]
struct Flight {
    due: Timestamp,
    from: SocketAddr,
    to: usize,
    bytes: Vec<u8>,
}

pub(super) struct Medium {
    pub(super) now: Timestamp,
    pub(super) processes: Vec<Process>,
    /// What was sent: when, by whom, to everyone or to one, the beacon.
    pub(super) log: Vec<(Timestamp, usize, Destination, Beacon)>,
    faults: Faults,
    flights: Vec<Flight>,
    rng: ChaCha20Rng,
}

/// The address that process `index` sends from.
pub(super) fn address(index: usize) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, u8::try_from(index + 1).unwrap()), 40_000).into()
}

pub(super) fn invite_id(number: u8) -> InviteId {
    InviteId([number; 8])
}

pub(super) fn nameplate(number: u8) -> Nameplate {
    Nameplate::new(number).unwrap()
}

pub(super) fn at(millis: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_millis(millis)
}

impl Medium {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let rng = ChaCha20Rng::seed_from_u64(seed);
        Self { now: Timestamp::ZERO, processes: Vec::new(), log: Vec::new(), faults, flights: Vec::new(), rng }
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }

    fn add(&mut self, side: Side) -> usize {
        self.processes.push(Process { side, invited: Vec::new(), sought: Vec::new() });
        self.processes.len() - 1
    }

    /// An inviter that asks for `first` now, with an invite id made of `id`.
    pub(super) fn invite(&mut self, first: u8, id: u8) -> usize {
        let offer = Offer { invite: invite_id(id), carrier: Carrier::Udp, port: 5_000 + u16::from(id) };
        let seed = self.seed();
        self.add(Side::Inviting(Box::new(Inviting::new(self.now, nameplate(first), offer, seed))))
    }

    /// An inviter for the device with a key of the id `id`.
    pub(super) fn invite_device(&mut self, id: InviteId) -> usize {
        let offer = Offer { invite: id, carrier: Carrier::Udp, port: 6_000 };
        let seed = self.seed();
        self.add(Side::Inviting(Box::new(Inviting::device(self.now, offer, seed))))
    }

    pub(super) fn seek_device(&mut self, id: InviteId) -> usize {
        let seed = self.seed();
        self.add(Side::Seeking(Box::new(Seeking::device(self.now, id, seed))))
    }

    pub(super) fn seek(&mut self, number: u8) -> usize {
        let seed = self.seed();
        self.add(Side::Seeking(Box::new(Seeking::new(self.now, nameplate(number), seed))))
    }

    pub(super) fn inviting(&self, index: usize) -> &Inviting {
        match &self.processes[index].side {
            Side::Inviting(side) => side,
            Side::Seeking(_) => panic!("{index} seeks"),
        }
    }

    pub(super) fn found(&self, index: usize) -> &[Candidate] {
        match &self.processes[index].side {
            Side::Seeking(side) => side.found(),
            Side::Inviting(_) => panic!("{index} invites"),
        }
    }

    /// Hands a process bytes from anywhere.
    pub(super) fn inject(&mut self, to: usize, from: SocketAddr, bytes: &[u8]) {
        self.processes[to].side.handle_beacon(self.now, from, bytes);
        self.take(to);
    }

    pub(super) fn run_until(&mut self, end: Timestamp) {
        for index in 0..self.processes.len() {
            self.take(index);
        }
        loop {
            let timers = self.processes.iter().filter_map(|process| process.side.deadline()).min();
            let arrival = self.flights.iter().map(|flight| flight.due).min();
            let Some(next) = earliest(timers, arrival).filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            while let Some(at) = self.flights.iter().position(|flight| flight.due <= self.now) {
                let flight = self.flights.remove(at);
                self.processes[flight.to].side.handle_beacon(self.now, flight.from, &flight.bytes);
                self.take(flight.to);
            }
            for index in 0..self.processes.len() {
                if self.processes[index].side.deadline().is_some_and(|due| due <= self.now) {
                    self.processes[index].side.handle_timeout(self.now);
                    self.take(index);
                }
            }
        }
        self.now = end;
    }

    /// Takes out what a process has to send and to tell.
    fn take(&mut self, index: usize) {
        while let Some(transmit) = self.processes[index].side.poll_transmit() {
            self.log.push((self.now, index, transmit.to, Beacon::decode(&transmit.beacon).unwrap()));
            for to in 0..self.processes.len() {
                let reached = match transmit.to {
                    Destination::Everyone => true, // also oneself, as with real sockets
                    Destination::Back { to: back, .. } => back == address(to),
                };
                if reached {
                    self.carry(index, to, &transmit.beacon);
                }
            }
        }
        let now = self.now;
        let process = &mut self.processes[index];
        match &mut process.side {
            Side::Inviting(side) => process.invited.extend(core::iter::from_fn(|| side.poll_event()).map(|e| (now, e))),
            Side::Seeking(side) => process.sought.extend(core::iter::from_fn(|| side.poll_event()).map(|e| (now, e))),
        }
    }

    fn carry(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let mut copies = u64::from(self.rng.next_u64() % 100 >= self.faults.loss_percent);
        copies += u64::from(self.rng.next_u64() % 100 < self.faults.duplicate_percent);
        for _ in 0..copies {
            let delay = 50 + self.rng.next_u64() % (self.faults.jitter_us + 1);
            let due = self.now + Duration::from_micros(delay);
            self.flights.push(Flight { due, from: address(from), to, bytes: bytes.to_vec() });
        }
    }
}
