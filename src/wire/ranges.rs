//! A set of numbers held as ascending, disjoint, non-touching ranges: packet numbers, message ids, byte offsets.

use core::ops::Range;
use std::collections::VecDeque;

/// A set of `u64`, stored as ranges. The highest stands by itself, so that a set of one range, as most of ours are most
/// of the time, takes no memory of its own, and one that grows at its upper end costs a comparison. Inserting and
/// removing below it cost a binary search and a move of the ranges on the shorter side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// All ranges but the highest.
    lower: VecDeque<Range<u64>>,
    /// The highest range; empty where the set is.
    top: Range<u64>,
}

impl RangeSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { lower: VecDeque::new(), top: 0..0 }
    }

    /// True when nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.top.is_empty()
    }

    /// How many ranges the set is made of: what it costs in memory.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.lower.len() + usize::from(!self.top.is_empty())
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }

    /// The ranges, lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        self.lower.iter().cloned().chain(self.last())
    }

    /// The lowest range.
    #[must_use]
    pub fn first(&self) -> Option<Range<u64>> {
        self.lower.front().cloned().or_else(|| self.last())
    }

    /// The highest range.
    #[must_use]
    pub fn last(&self) -> Option<Range<u64>> {
        (!self.top.is_empty()).then(|| self.top.clone())
    }

    /// Takes the lowest range out.
    pub fn pop_first(&mut self) -> Option<Range<u64>> {
        let lowest = self.lower.pop_front();
        shrink_queue(&mut self.lower);
        lowest.or_else(|| {
            let top = core::mem::take(&mut self.top);
            (!top.is_empty()).then_some(top)
        })
    }

    /// Empties the set.
    pub fn clear(&mut self) {
        self.lower.clear();
        shrink_queue(&mut self.lower);
        self.top = 0..0;
    }

    /// True when `value` is in the set.
    #[must_use]
    pub fn contains(&self, value: u64) -> bool {
        if value >= self.top.start { self.top.contains(&value) } else { self.find_lower(value).is_ok() }
    }

    /// True when all of `range` is in the set (as an empty range always is).
    #[must_use]
    pub fn contains_range(&self, range: Range<u64>) -> bool {
        if range.is_empty() || range.start >= self.top.start {
            return range.end <= self.top.end || range.is_empty();
        }
        self.find_lower(range.start).is_ok_and(|at| self.lower[at].end >= range.end)
    }

    /// Index in `lower` of the range that holds `value`, or of the first range above it.
    fn find_lower(&self, value: u64) -> Result<usize, usize> {
        let at = self.lower.partition_point(|range| range.end <= value);
        if self.lower.get(at).is_some_and(|range| range.start <= value) { Ok(at) } else { Err(at) }
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
        let len = range.end - range.start;
        // The common cases: at the upper end, beyond it, or the first of all.
        if range.start >= self.top.end {
            if range.start == self.top.end && !self.top.is_empty() {
                self.top.end = range.end;
            } else {
                let below = core::mem::replace(&mut self.top, range);
                if !below.is_empty() {
                    self.lower.push_back(below);
                }
            }
            return len;
        }
        if range.start >= self.top.start {
            let new = range.end.saturating_sub(self.top.end);
            self.top.end += new;
            return new;
        }
        self.among_lower(|ranges| insert_into(ranges, range))
    }

    /// Takes a range out and says how many of its numbers were in.
    pub fn remove(&mut self, range: Range<u64>) -> u64 {
        // The common cases: nothing of it is in, or it is the upper end or the lower end of the only range.
        let lowest = self.lower.front().unwrap_or(&self.top);
        if range.is_empty() || range.end <= lowest.start || range.start >= self.top.end {
            return 0;
        }
        if self.lower.is_empty() && (range.start <= self.top.start || range.end >= self.top.end) {
            let cut = range.start.max(self.top.start)..range.end.min(self.top.end);
            if cut.start > self.top.start {
                self.top.end = cut.start;
            } else if cut.end < self.top.end {
                self.top.start = cut.end;
            } else {
                self.top = 0..0;
            }
            return cut.end - cut.start;
        }
        self.among_lower(|ranges| remove_from(ranges, range))
    }

    /// Does something to all ranges alike.
    fn among_lower(&mut self, change: impl FnOnce(&mut VecDeque<Range<u64>>) -> u64) -> u64 {
        let top = core::mem::take(&mut self.top);
        if !top.is_empty() {
            self.lower.push_back(top);
        }
        let changed = change(&mut self.lower);
        self.top = self.lower.pop_back().unwrap_or_default();
        shrink_queue(&mut self.lower);
        changed
    }

    /// The lowest part of `range` that is not in the set.
    #[must_use]
    pub fn first_gap(&self, range: Range<u64>) -> Option<Range<u64>> {
        let (start, next) = match self.find_lower(range.start) {
            Ok(at) => (self.lower[at].end, at + 1),
            Err(_) if self.top.contains(&range.start) => (self.top.end, self.lower.len() + 1),
            Err(at) => (range.start, at),
        };
        let above = self.lower.get(next).or((next <= self.lower.len()).then_some(&self.top));
        let above = above.filter(|held| held.start >= start && !held.is_empty());
        let end = above.map_or(range.end, |held| held.start.min(range.end));
        (start < end).then_some(start..end)
    }
}

/// Places of a queue that are kept however few of them are used.
const PLACES_KEPT: usize = 16;

/// Gives memory of a queue back of which less than a quarter is used: what was once long is not to take it for ever.
/// The work for it was earned by all that was taken out.
pub fn shrink_queue<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > PLACES_KEPT && queue.len() < queue.capacity() / 4 {
        queue.shrink_to((queue.len() * 2).max(PLACES_KEPT));
    }
}

/// All ranges that overlap or touch `range` become one with it.
fn insert_into(ranges: &mut VecDeque<Range<u64>>, range: Range<u64>) -> u64 {
    let low = ranges.partition_point(|held| held.end < range.start);
    let high = ranges.partition_point(|held| held.start <= range.end);
    let len = range.end - range.start;
    if low == high {
        ranges.insert(low, range);
        return len;
    }
    let held: u64 = ranges.range(low..high).map(|held| held.end - held.start).sum();
    let start = ranges[low].start.min(range.start);
    let end = ranges[high - 1].end.max(range.end);
    ranges[low] = start..end;
    if high > low + 1 {
        ranges.drain(low + 1..high);
    }
    end - start - held
}

fn remove_from(ranges: &mut VecDeque<Range<u64>>, range: Range<u64>) -> u64 {
    let mut at = ranges.partition_point(|held| held.end <= range.start);
    let mut removed = 0;
    while let Some(held) = ranges.get(at).cloned() {
        if held.start >= range.end {
            break;
        }
        let cut = held.start.max(range.start)..held.end.min(range.end);
        removed += cut.end - cut.start;
        match (held.start < cut.start, cut.end < held.end) {
            (false, false) => {
                ranges.remove(at);
            }
            (true, false) => {
                ranges[at].end = cut.start;
                at += 1;
            }
            (false, true) => {
                ranges[at].start = cut.end;
                break;
            }
            (true, true) => {
                ranges[at].end = cut.start;
                ranges.insert(at + 1, cut.end..held.end);
                break;
            }
        }
    }
    removed
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
                prop_assert_eq!(set.range_count(), set.iter().count());
                for at in 0..72 {
                    prop_assert_eq!(set.contains(at), model.contains(&at));
                    let all = (at..at + 5).all(|n| model.contains(&n));
                    prop_assert_eq!(set.contains_range(at..at + 5), all, "{}", at);
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
    fn a_set_that_was_once_in_many_pieces_gives_the_memory_back() {
        let mut set = RangeSet::new();
        for closed in [false, true] {
            (0..10_000).for_each(|at| _ = set.insert(2 * at..2 * at + 1));
            assert!(set.lower.capacity() >= 9_999);
            if closed {
                (0..10_000).for_each(|at| _ = set.insert(2 * at + 1..2 * at + 2));
            } else {
                while set.pop_first().is_some() {}
            }
            assert!(set.lower.capacity() <= PLACES_KEPT, "{}", set.lower.capacity());
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
