//! What the peer's clock shows beyond ours, from questions and answers: bounds that hold whatever the way, so that the
//! age of a value is known and how well it is known. `spec/node.md`, section "Time".

use core::time::Duration;

use super::control::Time;
use crate::time::Timestamp;

/// When to ask, after the first time, in µs: until the last of these, whatever comes; then at the last one's interval,
/// while values come.
const INTERVALS: [Duration; 4] =
    [Duration::from_millis(10), Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(5)];
/// Questions whose answers are waited for; older ones are forgotten.
const OPEN_MAX: usize = 8;
/// Bounds loosen by one part in so many: two clocks, each up to 100 parts in a million wrong.
const DRIFT: i128 = 5_000;

/// A bound of the offset in µs, and when it was found.
#[derive(Clone, Copy, Debug)]
struct Bound {
    offset: i128,
    at: Timestamp,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Offset {
    /// The offset is at least and at most this.
    bounds: Option<(Bound, Bound)>,
    /// What our clock showed when we asked, the oldest first.
    open: Vec<u64>,
    asked_at: Option<Timestamp>,
    asked: usize,
    /// Values came since we asked.
    wanted: bool,
}

/// The offset in µs as it is best known, and how far from the truth it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) offset: i128,
    pub(super) uncertainty: i128,
}

impl Bound {
    /// How much looser it has become.
    fn slack(&self, now: Timestamp) -> i128 {
        i128::try_from(now.saturating_since(self.at).as_micros()).unwrap_or(i128::MAX) / DRIFT
    }
}

impl Offset {
    /// A value came: its age is to be known.
    pub(super) const fn on_value(&mut self) {
        self.wanted = true;
    }

    /// When to [`ask`](Self::ask) again; `None`: not before a value has come.
    pub(super) fn ask_at(&self) -> Option<Timestamp> {
        let Some(asked_at) = self.asked_at else { return Some(Timestamp::ZERO) };
        let last = INTERVALS.len() - 1;
        let interval = INTERVALS[last.min(self.asked - 1)];
        (self.asked <= last || self.wanted).then_some(asked_at + interval)
    }

    /// The question to be asked now.
    pub(super) fn ask(&mut self, now: Timestamp) -> Time {
        self.asked_at = Some(now);
        self.asked += 1;
        self.wanted = false;
        if self.open.len() == OPEN_MAX {
            self.open.remove(0);
        }
        self.open.push(now.as_micros());
        Time::Ask { time: now.as_micros() }
    }

    /// An answer came. False where it answers nothing.
    pub(super) fn on_answer(&mut self, now: Timestamp, asked: u64, time: u64) -> bool {
        let Some(place) = self.open.iter().position(|open| *open == asked) else { return false };
        self.open.remove(place);
        // Whole microseconds were cut off of all three: each bound may be wrong by one.
        let bound = |offset| Bound { offset, at: now };
        let (time, heard) = (i128::from(time), i128::from(now.as_micros()));
        let least = bound(time - heard - 1);
        let most = bound(time - i128::from(asked) + 1);
        let (old_least, old_most) = self.bounds.unwrap_or((least, most));
        // All bounds loosen alike: what is the tightest now stays it.
        let best_least = if old_least.offset - old_least.slack(now) > least.offset { old_least } else { least };
        let best_most = if old_most.offset + old_most.slack(now) < most.offset { old_most } else { most };
        let contradict = best_least.offset - best_least.slack(now) > best_most.offset + best_most.slack(now);
        self.bounds = Some(if contradict { (least, most) } else { (best_least, best_most) });
        true
    }

    /// What is known; `None` before the first answer.
    pub(super) fn estimate(&self, now: Timestamp) -> Option<Estimate> {
        let (least, most) = self.bounds?;
        let (least, most) = (least.offset - least.slack(now), most.offset + most.slack(now));
        let offset = (least + most).div_euclid(2);
        Some(Estimate { offset, uncertainty: most - offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: u64) -> Timestamp {
        Timestamp::from_nanos(micros * 1_000)
    }

    fn answered(offset: &mut Offset, asked: u64, time: u64, heard: u64) {
        let _ = offset.ask(at(asked));
        assert!(offset.on_answer(at(heard), asked, time));
    }

    #[test]
    fn an_answer_bounds_the_offset_by_its_round_trip() {
        let mut offset = Offset::default();
        assert_eq!(offset.estimate(at(0)), None);
        answered(&mut offset, 1_000, 501_100, 1_200);
        assert_eq!(offset.estimate(at(1_200)), Some(Estimate { offset: 500_000, uncertainty: 101 }));
    }

    #[test]
    fn an_answer_that_slept_spoils_nothing_and_a_quick_one_sharpens() {
        let mut offset = Offset::default();
        answered(&mut offset, 1_000, 501_100, 1_200);
        answered(&mut offset, 2_000, 592_000, 92_010);
        let slept = offset.estimate(at(92_010)).unwrap();
        assert!((slept.offset - 500_000).abs() <= slept.uncertainty && slept.uncertainty < 130, "{slept:?}");
        answered(&mut offset, 100_000, 600_005, 100_010);
        let quick = offset.estimate(at(100_010)).unwrap();
        assert_eq!(quick, Estimate { offset: 500_000, uncertainty: 6 });
    }

    #[test]
    fn bounds_loosen_with_time() {
        let mut offset = Offset::default();
        answered(&mut offset, 0, 500_000, 0);
        assert_eq!(offset.estimate(at(0)).unwrap().uncertainty, 1);
        assert_eq!(offset.estimate(at(5_000_000)).unwrap().uncertainty, 1_001);
    }

    #[test]
    fn of_answers_that_exclude_each_other_the_newer_counts() {
        let mut offset = Offset::default();
        answered(&mut offset, 0, 500_000, 100);
        answered(&mut offset, 1_000, 900_000, 1_100);
        assert_eq!(offset.estimate(at(1_100)).unwrap().offset, 898_950);
    }

    #[test]
    fn what_was_not_asked_is_no_answer_and_each_is_answered_once() {
        let mut offset = Offset::default();
        assert!(!offset.on_answer(at(5), 5, u64::MAX));
        for asked in 0..=OPEN_MAX as u64 {
            let _ = offset.ask(at(asked));
        }
        assert!(!offset.on_answer(at(20), 0, 7), "the oldest is forgotten");
        assert!(offset.on_answer(at(20), 1, u64::MAX));
        assert!(!offset.on_answer(at(20), 1, 7));
        assert!(offset.estimate(at(u64::MAX / 1_000)).is_some());
    }

    #[test]
    fn it_asks_four_times_and_then_only_while_values_come() {
        let mut offset = Offset::default();
        let mut times = Vec::new();
        while let Some(at) = offset.ask_at().filter(|_| times.len() < 10) {
            let _ = offset.ask(at);
            times.push(at.as_micros() / 1_000);
        }
        assert_eq!(times, [0, 10, 110, 1_110]);
        offset.on_value();
        assert_eq!(offset.ask_at(), Some(at(6_110_000)));
        let _ = offset.ask(at(6_110_000));
        assert_eq!(offset.ask_at(), None);
    }
}
