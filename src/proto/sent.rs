//! The ledger of sent packets: what is in flight, by number.

use std::collections::VecDeque;

use crate::time::Timestamp;

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
}

/// What a datagram of `len` bytes takes up in a socket's receive buffer, at most: the kernel keeps it in a buffer of
/// up to twice its length, and none costs less than 1 KiB.
#[must_use]
pub fn buffer_cost(len: u64) -> u64 {
    (len * 2).max(1_024)
}

/// Sent packets by number. The front, if any, is always one whose fate is open.
#[derive(Clone, Debug)]
pub struct Ledger<F> {
    slots: VecDeque<Option<Packet<F>>>,
    first: u64,
    in_flight: InFlight,
}

impl<F> Default for Ledger<F> {
    fn default() -> Self {
        Self { slots: VecDeque::new(), first: 0, in_flight: InFlight::default() }
    }
}

impl<F> Ledger<F> {
    /// The number that the next packet gets.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// The lowest number whose fate may be open.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// What is in flight.
    #[must_use]
    pub const fn in_flight(&self) -> InFlight {
        self.in_flight
    }

    /// Enters a packet under the next number.
    pub fn push(&mut self, packet: Packet<F>) {
        if packet.kind == Kind::AckOnly && self.slots.is_empty() {
            self.first += 1; // nobody will miss it
            return;
        }
        self.count(&packet, true);
        self.slots.push_back(Some(packet));
    }

    /// The packet under `number`, if its fate is open.
    #[must_use]
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Packet<F>> {
        let index = self.index(number)?;
        self.slots.get_mut(index)?.as_mut()
    }

    /// Takes the packet under `number` out. [`Ledger::trim`] must follow when all are taken.
    pub fn take(&mut self, number: u64) -> Option<Packet<F>> {
        let index = self.index(number)?;
        let packet = self.slots.get_mut(index)?.take()?;
        self.count(&packet, false);
        Some(packet)
    }

    /// Forgets what at the front has no open fate.
    pub fn trim(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.as_ref().is_none_or(|packet| packet.kind == Kind::AckOnly)) {
            self.slots.pop_front();
            self.first += 1;
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: Kind, len: u32) -> Packet<()> {
        Packet { sent_at: Timestamp::ZERO, len, kind, marked: false, repeated: false, ack_largest: None, frames: () }
    }

    #[test]
    fn a_packet_counts_while_its_fate_is_open() {
        let mut ledger = Ledger::default();
        ledger.push(packet(Kind::Data, 100));
        ledger.push(packet(Kind::AckOnly, 50));
        ledger.push(packet(Kind::MtuProbe, 1_400));
        assert_eq!(ledger.in_flight(), InFlight { packets: 2, bytes: 1_500, buffer: 1_024 + 2_800 });
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
}
