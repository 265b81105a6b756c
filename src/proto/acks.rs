//! What arrived, and when to say so: the receiving half of reliability. `spec/reliability.md`, "Acknowledgements".
//!
//! Knows packet numbers, not what the packets held: it is told what each one asks for.

use core::time::Duration;

use crate::time::{Timer, Timestamp};
use crate::wire::{EcnCounts, RangeSet, put_ack_blocks};

use super::ecn::Ecn;

/// Ranges of received numbers that are remembered; what is below the oldest of them counts as received, so a path that
/// reorders more than this loses what comes late.
pub const RANGES_MAX: usize = 1_024;
/// Ranges in one ACK frame: some 600 bytes. A late packet below all of them goes unacknowledged and counts as lost.
const ACK_BLOCKS_MAX: usize = 256;
/// Above as many ranges, those that the sender knows of are forgotten. Below, a packet that comes a round trip late
/// is still told from a duplicate.
const RANGES_TRIMMED: usize = 16;

/// What a packet asks of the acknowledger. Of two, the greater decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Elicits {
    /// No acknowledgement: it held nothing but acknowledgements and padding.
    Nothing,
    /// One within the promised delay: the application is about to answer.
    Delayed,
    /// One when all that has arrived together is handled: more is coming.
    BatchEnd,
    /// One now: the sender waits for it.
    AtOnce,
}

/// The received packet numbers of one connection, and the acknowledgement owed for them.
#[derive(Clone, Debug)]
pub struct Acks {
    received: RangeSet,
    /// Every lower number counts as received.
    forgotten: u64,
    largest_at: Timestamp,
    ecn: Option<EcnCounts>,
    owed: Elicits,
    timer: Timer,
    delay_max: Duration,
}

impl Acks {
    /// Nothing received; an acknowledgement is held back for at most `delay_max`.
    #[must_use]
    pub fn new(delay_max: Duration) -> Self {
        Self {
            received: RangeSet::new(),
            forgotten: 0,
            largest_at: Timestamp::ZERO,
            ecn: None,
            owed: Elicits::Nothing,
            timer: Timer::default(),
            delay_max,
        }
    }

    /// The number that comes next if nothing is lost.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.received.last().map_or(self.forgotten, |last| last.end)
    }

    /// True when `number` was received before, or is too old to tell.
    #[must_use]
    pub fn is_duplicate(&self, number: u64) -> bool {
        number < self.forgotten || self.received.contains(number)
    }

    /// A packet that is no duplicate arrived and was understood.
    pub fn on_received(&mut self, now: Timestamp, number: u64, ecn: Option<Ecn>, elicits: Elicits) {
        let expected = self.expected();
        self.received.insert_one(number);
        if number >= expected {
            self.largest_at = now;
        }
        if self.received.range_count() > RANGES_MAX
            && let Some(oldest) = self.received.pop_first()
        {
            self.forgotten = oldest.end;
        }
        self.count_ecn(ecn);
        if elicits == Elicits::Nothing {
            return;
        }
        // RFC 9000 section 13.2.1: out of order or marked means that the sender should know now.
        let hurry = number != expected || ecn == Some(Ecn::Ce);
        self.owe(now, if hurry { Elicits::AtOnce } else { elicits });
    }

    /// Answers with an acknowledgement whatever came (when closing, also to a duplicate).
    pub fn force(&mut self) {
        if !self.received.is_empty() {
            self.owed = Elicits::AtOnce;
        }
    }

    /// All that had arrived together is handled.
    pub fn on_batch_end(&mut self) {
        if self.owed == Elicits::BatchEnd {
            self.owed = Elicits::AtOnce;
        }
    }

    /// Nobody will answer soon: what is owed is due.
    pub fn on_wait(&mut self) {
        if self.owed > Elicits::Nothing {
            self.owed = Elicits::AtOnce;
        }
    }

    /// When a delayed acknowledgement is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if self.owed == Elicits::AtOnce { None } else { self.timer.deadline() }
    }

    /// The time of a deadline may have come.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.timer.fire(now) {
            self.on_wait();
        }
    }

    /// True when an acknowledgement should ride on whatever goes next.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.owed > Elicits::Nothing
    }

    /// True when an acknowledgement must go now, alone if need be.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.owed == Elicits::AtOnce
    }

    /// Appends the ACK frame in at most `room` bytes and owes nothing any more. The largest number acknowledged, if
    /// the frame fitted.
    pub fn put(&mut self, now: Timestamp, out: &mut Vec<u8>, room: usize) -> Option<u64> {
        let delay = now.saturating_since(self.largest_at);
        let delay_us = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX).min(crate::wire::VARINT_MAX);
        if !put_ack_blocks(out, room, &self.received, ACK_BLOCKS_MAX, delay_us, self.ecn) {
            return None;
        }
        self.owed = Elicits::Nothing;
        self.timer.disarm();
        self.received.last().map(|last| last.end - 1)
    }

    /// The sender has received an ACK frame whose largest number was `largest`: it knows of all below it.
    pub fn on_ack_acked(&mut self, largest: u64) {
        while self.received.range_count() > RANGES_TRIMMED
            && self.received.first().is_some_and(|low| low.end <= largest)
        {
            if let Some(low) = self.received.pop_first() {
                self.forgotten = low.end;
            }
        }
    }

    fn owe(&mut self, now: Timestamp, elicits: Elicits) {
        self.owed = self.owed.max(elicits);
        self.timer.arm_no_later(now + self.delay_max);
    }

    fn count_ecn(&mut self, ecn: Option<Ecn>) {
        let Some(ecn) = ecn else { return };
        let counts = self.ecn.get_or_insert_default();
        match ecn {
            Ecn::Ect0 => counts.ect0 += 1,
            Ecn::Ect1 => counts.ect1 += 1,
            Ecn::Ce => counts.ce += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, Reader};

    const DELAY: Duration = Duration::from_micros(500);

    const fn at(us: u64) -> Timestamp {
        Timestamp::from_nanos(us * 1_000)
    }

    fn acked(acks: &mut Acks, now: Timestamp) -> (Vec<[u64; 2]>, u64, Option<EcnCounts>) {
        let mut out = Vec::new();
        acks.put(now, &mut out, 1_000).unwrap();
        match Frame::decode(&mut Reader::new(&out)) {
            Ok(Frame::Ack { blocks, delay_us, ecn, .. }) => {
                (blocks.iter().map(|it| [it.start, it.end]).collect(), delay_us, ecn)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Packets in order, all of one kind: what is owed after them.
    fn after(elicits: Elicits) -> Acks {
        let mut acks = Acks::new(DELAY);
        acks.on_received(at(0), 0, None, elicits);
        acks.on_received(at(10), 1, None, elicits);
        acks
    }

    #[test]
    fn a_message_end_is_acknowledged_half_a_millisecond_later_or_when_the_application_waits() {
        let mut acks = after(Elicits::Delayed);
        /*   10 us */
        assert!(acks.is_owed() && !acks.is_due());
        acks.on_batch_end();
        assert!(!acks.is_due(), "the batch's end is none of its business");
        assert_eq!(acks.deadline(), Some(at(500)), "counted from the first packet");
        /*  499 us */
        acks.handle_timeout(at(499));
        assert!(!acks.is_due());
        /*  500 us */
        acks.handle_timeout(at(500));
        assert!(acks.is_due());
        assert_eq!(acks.deadline(), None);

        let mut acks = after(Elicits::Delayed);
        acks.on_wait();
        assert!(acks.is_due());
    }

    #[test]
    fn data_inside_a_message_is_acknowledged_at_the_end_of_the_batch() {
        let mut acks = after(Elicits::BatchEnd);
        assert!(acks.is_owed() && !acks.is_due());
        acks.on_batch_end();
        assert!(acks.is_due());
        assert_eq!(acked(&mut acks, at(30)), (vec![[0, 2]], 20, None));
        assert!(!acks.is_owed());
    }

    #[test]
    fn a_probe_a_gap_a_late_packet_and_a_mark_are_acknowledged_at_once() {
        assert!(after(Elicits::AtOnce).is_due());
        let mut gap = after(Elicits::Delayed);
        gap.on_received(at(20), 3, None, Elicits::Delayed);
        assert!(gap.is_due());
        assert_eq!(acked(&mut gap, at(20)), (vec![[3, 4], [0, 2]], 0, None));
        gap.on_received(at(30), 2, None, Elicits::Delayed);
        assert!(gap.is_due(), "late");
        assert_eq!(acked(&mut gap, at(40)), (vec![[0, 4]], 20, None), "the delay is that of the largest");
        let mut marked = after(Elicits::Delayed);
        marked.on_received(at(20), 2, Some(Ecn::Ce), Elicits::Delayed);
        assert!(marked.is_due());
        assert_eq!(acked(&mut marked, at(20)).2, Some(EcnCounts { ce: 1, ..EcnCounts::default() }));
    }

    #[test]
    fn an_acknowledgement_asks_for_none_even_behind_a_gap() {
        let mut acks = after(Elicits::Nothing);
        acks.on_received(at(20), 7, None, Elicits::Nothing);
        assert!(!acks.is_owed());
        assert_eq!(acks.deadline(), None);
    }

    #[test]
    fn duplicates_are_known() {
        let acks = after(Elicits::Delayed);
        assert!(acks.is_duplicate(0) && acks.is_duplicate(1));
        assert!(!acks.is_duplicate(2));
    }

    #[test]
    fn the_oldest_range_is_forgotten_beyond_1024_and_then_counts_as_received() {
        let mut acks = Acks::new(DELAY);
        for n in 0..RANGES_MAX as u64 {
            acks.on_received(at(n), 1 + 2 * n, None, Elicits::Delayed);
        }
        assert!(!acks.is_duplicate(0), "1,024 ranges are kept");
        acks.on_received(at(999), 1 + 2 * RANGES_MAX as u64, None, Elicits::Delayed);
        assert_eq!(acks.received.range_count(), RANGES_MAX);
        assert!(acks.is_duplicate(0) && acks.is_duplicate(1));
        assert!(!acks.is_duplicate(2));
    }

    #[test]
    fn ranges_that_the_sender_knows_of_are_dropped_when_there_are_many() {
        let mut acks = Acks::new(DELAY);
        for n in 0..20 {
            acks.on_received(at(n), 2 * n, None, Elicits::Delayed);
        }
        acks.on_ack_acked(38);
        assert_eq!(acks.received.range_count(), RANGES_TRIMMED);
        assert!(acks.is_duplicate(5) && !acks.is_duplicate(7), "4 ranges: 0, 2, 4, 6");
    }

    #[test]
    fn forced_when_closing_even_where_nothing_is_owed() {
        let mut acks = Acks::new(DELAY);
        acks.force();
        assert!(!acks.is_due(), "nothing to acknowledge");
        acks.on_received(at(0), 0, None, Elicits::Nothing);
        acks.force();
        assert!(acks.is_due());
    }
}
