//! A set of numbers held as ascending, disjoint, non-touching ranges: packet numbers, message ids, byte offsets.

use core::ops::Range;
use std::collections::VecDeque;

/// A set of `u64`, stored as ranges. Inserting and removing cost a binary search and a move of the ranges on the
/// shorter side; sets that grow at either end, as ours do, pay next to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: VecDeque<Range<u64>>,
}

impl RangeSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: VecDeque::new() }
    }

    /// True when nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many ranges the set is made of: what it costs in memory.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.ranges.len()
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// The ranges, lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + ExactSizeIterator + '_ {
        self.ranges.iter().cloned()
    }

    /// The lowest range.
    #[must_use]
    pub fn first(&self) -> Option<Range<u64>> {
        self.ranges.front().cloned()
    }

    /// The highest range.
    #[must_use]
    pub fn last(&self) -> Option<Range<u64>> {
        self.ranges.back().cloned()
    }

    /// Takes the lowest range out.
    pub fn pop_first(&mut self) -> Option<Range<u64>> {
        self.ranges.pop_front()
    }

    /// Empties the set.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }

    /// True when `value` is in the set.
    #[must_use]
    pub fn contains(&self, value: u64) -> bool {
        self.find(value).is_ok()
    }

    /// True when all of `range` is in the set (as an empty range always is).
    #[must_use]
    pub fn contains_range(&self, range: Range<u64>) -> bool {
        range.is_empty() || self.find(range.start).is_ok_and(|at| self.ranges[at].end >= range.end)
    }

    /// Index of the range that holds `value`, or of the first range above it.
    fn find(&self, value: u64) -> Result<usize, usize> {
        let at = self.ranges.partition_point(|range| range.end <= value);
        if self.ranges.get(at).is_some_and(|range| range.start <= value) { Ok(at) } else { Err(at) }
    }

    /// Adds one number. False when it was there already.
    pub fn insert_one(&mut self, value: u64) -> bool {
        self.insert(value..value + 1) == 1
    }

    /// Adds a range and says how many of its numbers are new.
    pub fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        // The common case: at or beyond the upper end.
        match self.ranges.back_mut() {
            Some(last) if range.start == last.end => {
                last.end = range.end;
                return range.end - range.start;
            }
            Some(last) if range.start < last.end => {}
            _ => {
                self.ranges.push_back(range.clone());
                return range.end - range.start;
            }
        }
        // All ranges that overlap or touch it become one with it.
        let low = self.ranges.partition_point(|held| held.end < range.start);
        let high = self.ranges.partition_point(|held| held.start <= range.end);
        if low == high {
            self.ranges.insert(low, range.clone());
            return range.end - range.start;
        }
        let held: u64 = self.ranges.range(low..high).map(|held| held.end - held.start).sum();
        let start = self.ranges[low].start.min(range.start);
        let end = self.ranges[high - 1].end.max(range.end);
        self.ranges[low] = start..end;
        if high > low + 1 {
            self.ranges.drain(low + 1..high);
        }
        end - start - held
    }

    /// Takes a range out and says how many of its numbers were in.
    pub fn remove(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let mut at = self.ranges.partition_point(|held| held.end <= range.start);
        let mut removed = 0;
        while let Some(held) = self.ranges.get(at).cloned() {
            if held.start >= range.end {
                break;
            }
            let cut = held.start.max(range.start)..held.end.min(range.end);
            removed += cut.end - cut.start;
            match (held.start < cut.start, cut.end < held.end) {
                (false, false) => {
                    self.ranges.remove(at);
                }
                (true, false) => {
                    self.ranges[at].end = cut.start;
                    at += 1;
                }
                (false, true) => {
                    self.ranges[at].start = cut.end;
                    break;
                }
                (true, true) => {
                    self.ranges[at].end = cut.start;
                    self.ranges.insert(at + 1, cut.end..held.end);
                    break;
                }
            }
        }
        removed
    }

    /// The lowest part of `range` that is not in the set.
    #[must_use]
    pub fn first_gap(&self, range: Range<u64>) -> Option<Range<u64>> {
        let (start, next) = match self.find(range.start) {
            Ok(at) => (self.ranges[at].end, at + 1),
            Err(at) => (range.start, at),
        };
        let end = self.ranges.get(next).map_or(range.end, |held| held.start.min(range.end));
        (start < end).then_some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_set(ops in proptest::collection::vec((any::<bool>(), 0u64..60, 0u64..12), 0..60)) {
            let mut set = RangeSet::new();
            let mut model = BTreeSet::new();
            for (add, start, len) in ops {
                let range = start..start + len;
                let changed = range.clone().filter(|n| if add { model.insert(*n) } else { model.remove(n) }).count();
                let said = if add { set.insert(range) } else { set.remove(range) };
                prop_assert_eq!(said, changed as u64);
                prop_assert_eq!(set.iter().flatten().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(set.len(), model.len() as u64);
                for (low, high) in set.iter().zip(set.iter().skip(1)) {
                    prop_assert!(low.end < high.start, "touching ranges must be one");
                }
                let gap = set.first_gap(10..50);
                let expected = (10..50).find(|n| !model.contains(n));
                prop_assert_eq!(gap.clone().map(|gap| gap.start), expected);
                if let Some(gap) = gap {
                    prop_assert!(gap.clone().all(|n| !model.contains(&n)));
                    prop_assert!(gap.end == 50 || model.contains(&gap.end));
                }
            }
        }
    }

    #[test]
    fn contains_range_needs_all_of_it() {
        let mut set = RangeSet::new();
        set.insert(5..10);
        assert!(set.contains_range(5..10));
        assert!(!set.contains_range(5..11));
        assert!(!set.contains_range(4..6));
        assert!(set.contains_range(20..20));
    }
}
