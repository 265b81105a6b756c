//! What went over the network sealed: no key seals two packets under one number, and what is recorded and played again
//! does nothing.
//!
//! A key is known here by whoever seals with it: a host in one of its lives, for the connection whose id the packets
//! bear. That two connections do not have the same keys is seen from what they export.

use std::collections::{BTreeMap, BTreeSet};

use udpair::seal::Generations;
use udpair::sim::Delivery;
use udpair::wire::{DataHeader, Packet};

/// So many bytes of what a world's hosts take are recorded, the first.
const RECORDED_BYTES_MAX: usize = 32 << 20;

/// A host, and how often it has begun anew.
pub(crate) type Life = (usize, u32);

/// See the module.
#[derive(Default)]
pub(crate) struct Seals {
    generations: Generations,
    /// The numbers under each key, by who seals and the connection's id.
    numbers: BTreeMap<(Life, u64), BTreeSet<u32>>,
    /// Who has which keys: what a session exports, and which side of it.
    sessions: BTreeMap<([u8; 32], bool), u16>,
    /// What was taken. (What was lost, or came too early and was dropped, is not in it: that may be taken later.)
    pub recorded: Vec<Delivery>,
    recorded_bytes: usize,
}

impl Seals {
    pub(crate) fn new(generations: Generations) -> Self {
        Self { generations, ..Self::default() }
    }

    /// A datagram is handed to the network.
    pub(crate) fn on_sent(&mut self, life: Life, bytes: &[u8]) {
        if let Ok((_, Packet::Sealed(DataHeader { cid, number_low, key_phase, .. }, _))) = Packet::decode(bytes) {
            // No world sends 2^32 packets: the low bits are the number.
            assert_eq!(key_phase, self.generations.key_phase(number_low.into()), "{life:?} {cid:?} {number_low}");
            let numbers = self.numbers.entry((life, cid.0)).or_default();
            assert!(numbers.insert(number_low), "{life:?} sealed number {number_low} twice for {cid:?}");
        }
    }

    /// A host took a datagram.
    pub(crate) fn on_taken(&mut self, delivery: Delivery) {
        if self.recorded_bytes + delivery.bytes.len() <= RECORDED_BYTES_MAX {
            self.recorded_bytes += delivery.bytes.len();
            self.recorded.push(delivery);
        }
    }

    /// The half connection `key` is established, with what its session exports.
    pub(crate) fn on_session(&mut self, key: u16, caller: bool, exporter: [u8; 32]) {
        let before = *self.sessions.entry((exporter, caller)).or_insert(key);
        assert_eq!(before, key, "two connections have the same keys");
    }

    /// How many packets were sealed, and how often a key followed another.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let last = |numbers: &BTreeSet<u32>| numbers.last().map_or(0, |last| self.generations.of((*last).into()));
        let packets = self.numbers.values().map(|numbers| numbers.len() as u64).sum();
        (packets, self.numbers.values().map(last).sum())
    }
}
