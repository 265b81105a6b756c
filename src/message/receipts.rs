//! Which messages of a channel the peer's application has taken, in a little memory however many there were.

use core::ops::Range;

use crate::wire::RangeSet;

/// Ranges of taken values that a `Latest` channel keeps apart. What is older is only counted: a receipt for it that
/// comes as late as that is not counted any more.
pub(super) const VALUE_RANGES_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// Taken, or given up: one range in the long run, for every message comes to be one of the two.
    over: RangeSet,
    /// Every lower number counts as over.
    forgotten: u64,
    taken: u64,
}

impl Receipts {
    /// How many were taken.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// How many runs of them stand apart.
    pub(super) fn apart(&self) -> usize {
        self.over.range_count()
    }

    /// True when nothing more is to be heard of the message.
    pub(super) fn is_over(&self, id: u64) -> bool {
        id < self.forgotten || self.over.contains(id)
    }

    /// True when that is so for a message from `id` on.
    pub(super) fn is_over_from(&self, id: u64) -> bool {
        self.over.last().is_some_and(|last| last.end > id)
    }

    pub(super) fn on_taken(&mut self, ids: Range<u64>) {
        self.taken += self.over.insert(ids.start.max(self.forgotten)..ids.end);
    }

    /// The same where most messages are superseded, so that the ranges never become one.
    pub(super) fn on_value_taken(&mut self, ids: Range<u64>) {
        self.on_taken(ids);
        while self.over.range_count() > VALUE_RANGES_MAX {
            self.forgotten = self.over.pop_first().map_or(self.forgotten, |oldest| oldest.end);
        }
    }

    /// The message was given up or refused.
    pub(super) fn on_given_up(&mut self, id: u64) {
        self.over.insert_one(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_counted_once_however_often_it_is_told() {
        let mut receipts = Receipts::default();
        receipts.on_taken(0..3);
        receipts.on_taken(1..5);
        receipts.on_given_up(5);
        receipts.on_taken(6..7);
        assert_eq!((receipts.taken(), receipts.over.range_count()), (6, 1));
        assert!(receipts.is_over(5) && !receipts.is_over(7));
    }

    #[test]
    fn values_with_gaps_between_them_take_no_more_memory_with_time() {
        let mut receipts = Receipts::default();
        for value in 0..100_000 {
            receipts.on_value_taken(2 * value..2 * value + 1);
        }
        assert_eq!((receipts.taken(), receipts.over.range_count()), (100_000, VALUE_RANGES_MAX));
        receipts.on_value_taken(0..1);
        assert_eq!(receipts.taken(), 100_000, "told again, much too late");
        assert!(receipts.is_over(0) && receipts.is_over_from(199_998) && !receipts.is_over_from(199_999));
    }
}
