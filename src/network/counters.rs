//! How often each fate befell a datagram.

use super::fate::{Arrival, DropReason, Fate};

/// How many datagrams met each fate, of a link or of the whole network. At any time
/// `sent + duplicated = dropped() +` those that arrived or will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Handed to the network.
    pub sent: u64,
    /// That arrived or will, each copy by itself.
    pub arriving: u64,
    /// Second copies among them.
    pub duplicated: u64,
    /// Among them: later than their turn.
    pub late: u64,
    /// Among them: with flipped bits.
    pub flipped: u64,
    /// Among them: cut short.
    pub cut: u64,
    /// Among them: marked "congestion experienced" on the way.
    pub marked: u64,
    /// Among them: because a rule said so.
    pub ruled: u64,
    /// Dropped: no host has the address.
    pub no_route: u64,
    /// Dropped by a rule.
    pub rule: u64,
    /// Dropped by a partition.
    pub partitioned: u64,
    /// Dropped: longer than the MTU.
    pub too_long: u64,
    /// Dropped: no room in the queue.
    pub queue_full: u64,
    /// Dropped: lost by itself.
    pub lost: u64,
    /// Dropped: lost by the burst model.
    pub lost_in_burst: u64,
    /// Dropped: a fragment was lost.
    pub fragment_lost: u64,
    /// Dropped: too much was under way in the whole network.
    pub overflow: u64,
}

impl Counters {
    /// Every counter with its name; those of drops have the names of [`DropReason`].
    #[must_use]
    pub const fn by_name(&self) -> [(&'static str, u64); 17] {
        [
            ("sent", self.sent),
            ("arriving", self.arriving),
            ("duplicated", self.duplicated),
            ("late", self.late),
            ("flipped", self.flipped),
            ("cut", self.cut),
            ("marked", self.marked),
            ("ruled", self.ruled),
            (DropReason::NoRoute.name(), self.no_route),
            (DropReason::Rule.name(), self.rule),
            (DropReason::Partitioned.name(), self.partitioned),
            (DropReason::TooLong.name(), self.too_long),
            (DropReason::QueueFull.name(), self.queue_full),
            (DropReason::Lost.name(), self.lost),
            (DropReason::LostInBurst.name(), self.lost_in_burst),
            (DropReason::FragmentLost.name(), self.fragment_lost),
            (DropReason::Overflow.name(), self.overflow),
        ]
    }

    /// All that were dropped, for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.by_name()[8..].iter().map(|(_, count)| count).sum()
    }

    pub(super) fn count(&mut self, fate: &Fate) {
        self.sent += 1;
        match fate {
            Fate::Dropped(reason) => *self.dropped_for(*reason) += 1,
            Fate::Arrives(first, second) => {
                self.count_arrival(first);
                if let Some(second) = second {
                    self.duplicated += 1;
                    self.count_arrival(second);
                }
            }
        }
    }

    fn count_arrival(&mut self, arrival: &Arrival) {
        self.arriving += 1;
        self.late += u64::from(arrival.late);
        self.flipped += u64::from(arrival.flipped_bits > 0);
        self.cut += u64::from(arrival.cut.is_some());
        self.marked += u64::from(arrival.marked);
        self.ruled += u64::from(arrival.ruled);
    }

    const fn dropped_for(&mut self, reason: DropReason) -> &mut u64 {
        match reason {
            DropReason::NoRoute => &mut self.no_route,
            DropReason::Rule => &mut self.rule,
            DropReason::Partitioned => &mut self.partitioned,
            DropReason::TooLong => &mut self.too_long,
            DropReason::QueueFull => &mut self.queue_full,
            DropReason::Lost => &mut self.lost,
            DropReason::LostInBurst => &mut self.lost_in_burst,
            DropReason::FragmentLost => &mut self.fragment_lost,
            DropReason::Overflow => &mut self.overflow,
        }
    }
}
