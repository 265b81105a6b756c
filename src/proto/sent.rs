//! The ledger of sent packets: what is in flight, by number.

use std::collections::VecDeque;

use crate::time::Timestamp;

/// Packets of one connection whose fate is open, with those that were sent among them: while there are as many, no
/// frames of messages go. In datagrams of 1,472 bytes that is 96 MB under way.
pub const PACKETS_MAX: usize = 65_536;
/// Frames in them: the same. Each is kept, in some 40 bytes, until its fate is known.
pub const FRAMES_MAX: u64 = 65_536;
/// Probes and acknowledgements go on beyond [`PACKETS_MAX`]. Of what is sent beyond this, nothing is kept.
const SLOTS_MAX: usize = 2 * PACKETS_MAX;

/// What a packet is to recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It asks for no acknowledgement and is never missed.
    AckOnly,
    /// It must be acknowledged.
    Data,
    /// It must be acknowledged, but its loss only says that it was too long.
    MtuProbe,
}

/// A packet that was sent and whose fate is not known.
#[derive(Clone, Debug)]
pub struct Packet<F> {
    /// When.
    pub sent_at: Timestamp,
    /// Bytes of UDP payload.
    pub len: u32,
    /// What it is to recovery.
    pub kind: Kind,
    /// True when it carried an ECN mark.
    pub marked: bool,
    /// True when its frames were already given back to be sent once more (by a probe).
    pub repeated: bool,
    /// The largest number in the ACK frame that it carried.
    pub ack_largest: Option<u64>,
    /// How many frames there are in `frames`: what it takes to keep them.
    pub frame_count: u32,
    /// What must arrive, as the floor above knows it.
    pub frames: F,
}

/// What the packets in flight add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct InFlight {
    /// Packets that ask for an acknowledgement.
    pub packets: u64,
    /// Their bytes of UDP payload.
    pub bytes: u64,
    /// What they take up in the peer's receive buffer: see [`buffer_cost`].
    pub buffer: u64,
    /// The frames in them that must arrive.
    pub frames: u64,
}

/// What a datagram of `len` bytes takes up in a socket's receive buffer, at most: the kernel keeps it in a buffer of
/// up to twice its length, and none costs less than 1 KiB.
#[must_use]
pub fn buffer_cost(len: u64) -> u64 {
    (len * 2).max(1_024)
}

/// A place in the ledger.
#[derive(Clone, Debug)]
enum Slot<F> {
    Open(Packet<F>),
    /// Its fate is known, and that of all up to `reach` places further on, itself included.
    Gone {
        reach: u32,
    },
}

/// Sent packets by number. The front, if any, is always one whose fate is open.
///
/// Whatever a peer acknowledges or does not, the ledger holds a limited number of packets: see [`Ledger::has_room`].
#[derive(Clone, Debug)]
pub struct Ledger<F> {
    slots: VecDeque<Slot<F>>,
    first: u64,
    /// The number that the next packet gets. Beyond the slots where packets were not kept; then none is until all that
    /// are have met their fates.
    next: u64,
    in_flight: InFlight,
}

impl<F> Default for Ledger<F> {
    fn default() -> Self {
        Self { slots: VecDeque::new(), first: 0, next: 0, in_flight: InFlight::default() }
    }
}

impl<F> Ledger<F> {
    /// The number that the next packet gets.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.next
    }

    /// The lowest number whose fate may be open.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The lowest number above those whose fate may be open.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// What is in flight.
    #[must_use]
    pub const fn in_flight(&self) -> InFlight {
        self.in_flight
    }

    /// True when a packet with frames that must arrive may be sent. One that is sent nevertheless may not be kept.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.slots.len() < PACKETS_MAX && self.in_flight.frames < FRAMES_MAX && self.keeps_all()
    }

    fn keeps_all(&self) -> bool {
        self.slots.is_empty() || self.end() == self.next
    }

    /// Enters a packet under the next number.
    pub fn push(&mut self, packet: Packet<F>) {
        let kept = self.keeps_all() && self.slots.len() < SLOTS_MAX;
        self.next += 1;
        if self.slots.is_empty() {
            // Nobody will miss an acknowledgement.
            self.first = if packet.kind == Kind::AckOnly { self.next } else { self.next - 1 };
            if packet.kind == Kind::AckOnly {
                return;
            }
        }
        if kept {
            self.count(&packet, true);
            self.slots.push_back(Slot::Open(packet));
        }
    }

    /// The packet under `number`, if its fate is open.
    #[must_use]
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Packet<F>> {
        let index = self.index(number)?;
        match self.slots.get_mut(index)? {
            Slot::Open(packet) => Some(packet),
            Slot::Gone { .. } => None,
        }
    }

    /// Takes the packet under `number` out. [`Ledger::trim`] must follow when all are taken.
    pub fn take(&mut self, number: u64) -> Option<Packet<F>> {
        let index = self.index(number)?;
        let slot = self.slots.get_mut(index)?;
        match core::mem::replace(slot, Slot::Gone { reach: 1 }) {
            Slot::Open(packet) => {
                self.count(&packet, false);
                Some(packet)
            }
            gone @ Slot::Gone { .. } => {
                *slot = gone;
                None
            }
        }
    }

    /// Takes the lowest packet out whose number is in `from..end`, with its number. However often a peer acknowledges
    /// the same numbers, it takes a step or two to find that there is none.
    pub fn take_lowest(&mut self, from: u64, end: u64) -> Option<(u64, Packet<F>)> {
        let start = self.index(from.max(self.first))?;
        let end = self.index(end)?.min(self.slots.len());
        let mut found = start;
        while let Some(Slot::Gone { reach }) = self.slots.get(found).filter(|_| found < end) {
            found += *reach as usize;
        }
        let (mut at, found) = (start, found.min(end));
        // All of these are gone: the next who comes here is to step over them.
        while let Some(Slot::Gone { reach }) = self.slots.get_mut(at).filter(|_| at < found) {
            let next = at + *reach as usize;
            *reach = (*reach).max(u32::try_from(found - at).unwrap_or(u32::MAX));
            at = next;
        }
        let number = self.first + found as u64;
        if found < end { self.take(number).map(|packet| (number, packet)) } else { None }
    }

    /// Forgets what at the front has no open fate.
    pub fn trim(&mut self) {
        let gone = |slot: &Slot<F>| match slot {
            Slot::Open(packet) => packet.kind == Kind::AckOnly,
            Slot::Gone { .. } => true,
        };
        while self.slots.front().is_some_and(gone) {
            self.slots.pop_front();
            self.first += 1;
        }
        if self.slots.is_empty() {
            self.first = self.next;
        }
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    fn count(&mut self, packet: &Packet<F>, add: bool) {
        if packet.kind == Kind::AckOnly {
            return;
        }
        let bytes = u64::from(packet.len);
        let apply = |total: &mut u64, part: u64| *total = if add { *total + part } else { *total - part };
        apply(&mut self.in_flight.packets, 1);
        apply(&mut self.in_flight.bytes, bytes);
        apply(&mut self.in_flight.buffer, buffer_cost(bytes));
        apply(&mut self.in_flight.frames, u64::from(packet.frame_count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: Kind, len: u32) -> Packet<()> {
        Packet {
            sent_at: Timestamp::ZERO,
            len,
            kind,
            marked: false,
            repeated: false,
            ack_largest: None,
            frame_count: 1,
            frames: (),
        }
    }

    #[test]
    fn a_packet_counts_while_its_fate_is_open() {
        let mut ledger = Ledger::default();
        ledger.push(packet(Kind::Data, 100));
        ledger.push(packet(Kind::AckOnly, 50));
        ledger.push(packet(Kind::MtuProbe, 1_400));
        assert_eq!(ledger.in_flight(), InFlight { packets: 2, bytes: 1_500, buffer: 1_024 + 2_800, frames: 2 });
        assert!(ledger.take(0).is_some());
        assert!(ledger.take(0).is_none());
        ledger.trim();
        assert_eq!((ledger.first(), ledger.next_number()), (2, 3));
        assert!(ledger.take(2).is_some());
        ledger.trim();
        assert_eq!(ledger.in_flight(), InFlight::default());
        assert_eq!(ledger.next_number(), 3);
    }

    #[test]
    fn acknowledgements_alone_leave_no_trace() {
        let mut ledger = Ledger::default();
        for _ in 0..1_000 {
            ledger.push(packet(Kind::AckOnly, 40));
        }
        assert_eq!(ledger.next_number(), 1_000);
        assert_eq!(ledger.slots.len(), 0);
    }

    #[test]
    fn a_peer_that_acknowledges_nothing_fills_the_ledger_up_to_its_limit_and_no_further() {
        let mut ledger = Ledger::default();
        ledger.push(packet(Kind::Data, 100));
        for at in 1..PACKETS_MAX {
            assert!(ledger.has_room(), "{at}");
            ledger.push(packet(Kind::AckOnly, 50));
        }
        assert!(!ledger.has_room());
        for _ in 0..2 * SLOTS_MAX {
            ledger.push(packet(Kind::AckOnly, 50));
            ledger.push(packet(Kind::Data, 50));
        }
        assert_eq!(ledger.slots.len(), SLOTS_MAX);
        let next = (PACKETS_MAX + 4 * SLOTS_MAX) as u64;
        assert_eq!(ledger.next_number(), next, "every packet has its number");
        // What was not kept cannot be settled; all else can, and then there is room.
        while ledger.take_lowest(0, next).is_some() {}
        ledger.trim();
        assert_eq!((ledger.in_flight(), ledger.first()), (InFlight::default(), next));
        assert!(ledger.has_room());
        ledger.push(packet(Kind::Data, 100));
        assert!(ledger.take(next).is_some());
    }

    #[test]
    fn frames_in_flight_are_limited_too() {
        let mut ledger = Ledger::default();
        let many = || Packet { frame_count: 8_192, ..packet(Kind::Data, 65_000) };
        (0..7).for_each(|_| ledger.push(many()));
        assert!(ledger.has_room());
        ledger.push(many());
        assert!(!ledger.has_room());
        assert!(ledger.take(3).is_some());
        assert!(ledger.has_room());
    }

    #[test]
    fn acknowledging_the_same_packets_again_and_again_takes_no_time() {
        let mut ledger = Ledger::default();
        let count = PACKETS_MAX as u64;
        (0..count).for_each(|_| ledger.push(packet(Kind::Data, 100)));
        // The front stays open; every other is acknowledged by itself, as often and from wherever a peer likes.
        (1..count).for_each(|number| assert!(ledger.take_lowest(number, number + 1).is_some()));
        ledger.trim();
        for round in 0..4 * count {
            assert!(ledger.take_lowest(1 + round % count, count).is_none());
        }
        assert_eq!(ledger.in_flight().packets, 1);
    }
}
