//! What both sides are to whoever drives them.

use core::net::SocketAddr;
use std::collections::VecDeque;

use rand::SeedableRng as _;
use rand::rngs::ChaCha20Rng;

use super::answers::Answers;
use super::beacon::{BEACON_LEN, Beacon, Head};
use super::burst::Burst;
use super::counters::{Counters, Dropped};
use super::interface::{InterfaceId, is_host};
use crate::time::Timestamp;
use crate::wire::DecodeError;

/// What waits to be sent, at most; whoever drives a machine takes it out after each input.
const TRANSMITS_MAX: usize = 64;

/// Where a beacon goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To everyone who listens: once to each of the [targets](super::Interface::targets) of each interface.
    Everyone,
    /// Back to who asked, by the interface that the question came in by.
    Back {
        /// Where the question came from.
        to: SocketAddr,
        /// By which interface.
        interface: InterfaceId,
    },
}

/// A beacon to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: Destination,
    /// Its bytes.
    pub beacon: [u8; BEACON_LEN],
}

/// One side of a discovery: [`Inviting`](super::Inviting) or [`Seeking`](super::Seeking). Whoever drives it hands it
/// what came and the time, and takes out what is to be sent and what happened. It never blocks.
pub trait Machine {
    /// What can happen.
    type Event;

    /// A datagram came in, from `from` by `interface`.
    fn handle_beacon(&mut self, now: Timestamp, from: SocketAddr, interface: InterfaceId, datagram: &[u8]);

    /// The time that [`deadline`](Self::deadline) named has come, or it may have.
    fn handle_timeout(&mut self, now: Timestamp);

    /// Everyone is more than before: an interface or an address has appeared.
    fn handle_new_interface(&mut self, now: Timestamp);

    /// The next beacon to be sent. They are few and wait for nothing: take all of them.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// The next thing that happened.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// When to call [`handle_timeout`](Self::handle_timeout).
    fn deadline(&self) -> Option<Timestamp>;

    /// What it sent, received and dropped.
    fn counters(&self) -> &Counters;
}

/// What both sides have.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) rng: ChaCha20Rng,
    pub(super) burst: Burst,
    pub(super) counters: Counters,
    answers: Answers,
    transmits: VecDeque<Transmit>,
}

/// What a datagram is.
#[derive(Debug)]
pub(super) enum Letter {
    Beacon(Beacon),
    OtherVersion(Head),
}

impl Post {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            rng: ChaCha20Rng::from_seed(seed),
            burst: Burst::default(),
            counters: Counters::default(),
            answers: Answers::new(),
            transmits: VecDeque::new(),
        }
    }

    /// Opens a datagram; `None`, and counted, where it is nothing to look at.
    pub(super) fn open(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Letter> {
        self.counters.received += 1;
        if !is_host(from) {
            return self.drop(Dropped::BadSource);
        }
        match Beacon::decode(datagram) {
            Ok(beacon) => Some(Letter::Beacon(beacon)),
            Err(DecodeError::Version(_)) => {
                self.counters.drop(Dropped::Version);
                Head::decode(datagram).map(Letter::OtherVersion)
            }
            Err(DecodeError::Checksum) => self.drop(Dropped::Checksum),
            Err(_) => self.drop(Dropped::Malformed),
        }
    }

    /// Counts what is dropped.
    pub(super) const fn drop<T>(&mut self, reason: Dropped) -> Option<T> {
        self.counters.drop(reason);
        None
    }

    pub(super) fn send_to_everyone(&mut self, beacon: Beacon) {
        if self.transmits.len() < TRANSMITS_MAX {
            self.counters.sent_to_everyone += 1;
            self.transmits.push_back(Transmit { to: Destination::Everyone, beacon: beacon.encode() });
        }
    }

    /// Answers the question `id` with `beacon`, if it is to be answered.
    pub(super) fn answer(
        &mut self,
        now: Timestamp,
        (to, interface): (SocketAddr, InterfaceId),
        id: [u8; 8],
        beacon: Beacon,
    ) {
        let room = if self.transmits.len() < TRANSMITS_MAX { Ok(()) } else { Err(Dropped::AnswersLimited) };
        match room.and_then(|()| self.answers.judge(now, to, id)) {
            Ok(()) => {
                self.counters.answered += 1;
                let to = Destination::Back { to, interface };
                self.transmits.push_back(Transmit { to, beacon: beacon.encode() });
            }
            Err(reason) => self.counters.drop(reason),
        }
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub(super) fn begin_burst(&mut self, now: Timestamp) {
        self.burst.begin(now, &mut self.rng);
    }

    /// The other side was heard.
    pub(super) fn begin_burst_again(&mut self, now: Timestamp) {
        self.burst.begin_again(now, &mut self.rng);
    }

    /// True when the burst has a beacon for everyone now.
    pub(super) fn burst_fires(&mut self, now: Timestamp) -> bool {
        self.burst.fire(now, &mut self.rng)
    }
}
