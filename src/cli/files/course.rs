//! How a peer does: whether it sends enough, in the time that is its own, to keep a place that others wait for.

use std::time::Duration;

use udpair::time::Timestamp;

/// Bytes that a peer has to send in each second in which it is waited for: less than any network gives on which files
/// are sent.
pub(crate) const RATE_MIN: u64 = 4 << 10;

/// See the module. Time that passes while nobody waits for the peer (our disk, our hashes) is not the peer's.
///
/// The peer's time is cut into stretches of at least `patience`; what was sent in the last one counts.
pub(crate) struct Course {
    patience: Duration,
    /// Since when the peer is waited for, if it is.
    waits_since: Option<Timestamp>,
    /// How much of that wait belongs to stretches that are over.
    counted: Duration,
    /// What it was waited for in the stretch under way, the wait under way not counted.
    waited: Duration,
    /// Bytes that it has sent in the stretch under way.
    moved: u64,
    /// Bytes of the stretch before, if they were too few.
    behind: Option<u64>,
}

/// How a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is too slow.
    Slow {
        /// Bytes that it sent in `patience` or more.
        moved: u64,
    },
    /// It may go on.
    Good {
        /// Not before this has passed it can be too slow.
        left: Duration,
    },
}

impl Course {
    /// The peer is waited for from `now` on. It is judged by what it sends in `patience`.
    pub(crate) const fn new(now: Timestamp, patience: Duration) -> Self {
        let waits_since = Some(now);
        Self { patience, waits_since, counted: Duration::ZERO, waited: Duration::ZERO, moved: 0, behind: None }
    }

    /// From `now` on the peer is waited for.
    pub(crate) fn begin_wait(&mut self, now: Timestamp) {
        // Not when the last wait ended: what came of that belongs to its stretch.
        self.cut(now);
        self.waits_since = Some(now);
        self.counted = Duration::ZERO;
    }

    /// From `now` on it is not.
    pub(crate) fn end_wait(&mut self, now: Timestamp) {
        self.waited += self.silent(now) - self.counted;
        self.waits_since = None;
        self.counted = Duration::ZERO;
    }

    /// It has sent so many bytes.
    pub(crate) const fn add(&mut self, bytes: u64) {
        self.moved = self.moved.saturating_add(bytes);
    }

    /// Judges it.
    pub(crate) fn standing(&mut self, now: Timestamp) -> Standing {
        self.cut(now);
        let silent = self.silent(now);
        if silent >= self.patience {
            return Standing::Slow { moved: 0 };
        }
        match self.behind {
            // Unless it has made up for that since.
            Some(moved) if self.moved < enough(self.patience) => Standing::Slow { moved },
            _ => Standing::Good { left: self.patience - silent.max(self.waited + silent - self.counted) },
        }
    }

    /// Ends the stretch under way if it is long enough.
    fn cut(&mut self, now: Timestamp) {
        let silent = self.silent(now);
        let waited = self.waited + silent - self.counted;
        if waited >= self.patience {
            self.behind = (self.moved < enough(waited)).then_some(self.moved);
            self.counted = silent;
            (self.waited, self.moved) = (Duration::ZERO, 0);
        }
    }

    /// For how long it has been waited for without a break.
    fn silent(&self, now: Timestamp) -> Duration {
        self.waits_since.map_or(Duration::ZERO, |since| now.saturating_since(since)).max(self.counted)
    }
}

fn enough(waited: Duration) -> u64 {
    u64::try_from(waited.as_millis()).unwrap_or(u64::MAX).saturating_mul(RATE_MIN) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);
    const ENOUGH: u64 = RATE_MIN * 10;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    /// A peer that sends `bytes` each time that it was waited for `seconds`, `times` times; and the time then.
    fn sends(bytes: u64, seconds: u64, times: u64) -> (Course, u64) {
        let mut course = Course::new(at(0), PATIENCE);
        for time in 1..=times {
            course.end_wait(at(time * seconds));
            course.add(bytes);
            course.begin_wait(at(time * seconds));
        }
        (course, times * seconds)
    }

    fn left(seconds: u64) -> Standing {
        Standing::Good { left: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_byte_now_and_then_buys_no_time() {
        let (mut course, now) = sends(1, 9, 100);
        assert_eq!(now, 900);
        assert!(matches!(course.standing(at(now)), Standing::Slow { moved: 1..=2 }));
        let (mut course, now) = sends(1, 1, 9);
        assert_eq!(course.standing(at(now)), left(1));
        assert_eq!(course.standing(at(now + 1)), Standing::Slow { moved: 9 });
    }

    #[test]
    fn enough_at_its_border() {
        let (mut course, now) = sends(ENOUGH / 10, 1, 11);
        assert_eq!(course.standing(at(now)), left(9));
        let (mut course, now) = sends(ENOUGH / 10 - 1, 1, 11);
        assert_eq!(course.standing(at(now)), Standing::Slow { moved: ENOUGH - 10 });
    }

    #[test]
    fn silence_is_measured_from_the_last_word_however_much_came_before() {
        let (mut course, now) = sends(1 << 30, 1, 15);
        assert_eq!(course.standing(at(now)), left(5));
        assert_eq!(course.standing(at(now + 9)), left(1));
        assert_eq!(course.standing(at(now + 10)), Standing::Slow { moved: 0 });
    }

    #[test]
    fn our_own_time_is_not_the_peers() {
        let mut course = Course::new(at(0), PATIENCE);
        course.end_wait(at(1));
        course.add(1);
        // A disk that takes an hour for it.
        assert_eq!(course.standing(at(3_600)), left(9));
        course.begin_wait(at(3_600));
        assert_eq!(course.standing(at(3_601)), left(8));
    }

    #[test]
    fn who_was_slow_while_nobody_waited_and_makes_up_for_it_may_stay() {
        let (mut course, now) = sends(1, 60, 60);
        course.add(ENOUGH - 1);
        assert_eq!(course.standing(at(now)), Standing::Slow { moved: 1 });
        course.add(1);
        assert!(matches!(course.standing(at(now)), Standing::Good { .. }));
    }
}
