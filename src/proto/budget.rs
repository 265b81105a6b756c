//! So many of something a second, and no more.

use core::time::Duration;

use crate::time::Timestamp;

/// A token bucket of whole tokens.
#[derive(Clone, Debug)]
pub struct Budget {
    interval: Duration,
    /// How long a whole burst takes to be saved up.
    burst: Duration,
    /// When the bucket will be full.
    full_at: Timestamp,
}

impl Budget {
    /// `per_second` a second, up to `burst` at once.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, burst: interval * burst, full_at: Timestamp::ZERO }
    }

    /// Takes one. False when there is none.
    pub fn take(&mut self, now: Timestamp) -> bool {
        self.take_but(now, 0)
    }

    /// Takes one where so many are left then. False where they would not be.
    pub fn take_but(&mut self, now: Timestamp, left: u32) -> bool {
        let full_at = self.full_at.max(now) + self.interval;
        let there_is = full_at + self.interval * left <= now + self.burst;
        if there_is {
            self.full_at = full_at;
        }
        there_is
    }

    /// Takes one that may be used from the time given on. Whoever waits has its turn, however many others do.
    pub fn book(&mut self, now: Timestamp) -> Timestamp {
        self.full_at = self.full_at.max(now) + self.interval;
        self.full_at.saturating_sub(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let start = Timestamp::from_nanos(5_000_000_000);
        let mut budget = Budget::new(1_000, 3);
        assert_eq!([0; 4].map(|_| budget.take(start)), [true, true, true, false]);
        let next = start + Duration::from_millis(1);
        assert!(budget.take(next));
        assert!(!budget.take(next));
        let later = start + Duration::from_secs(9);
        assert_eq!([0; 4].map(|_| budget.take(later)), [true, true, true, false], "silence saves up one burst only");
    }

    #[test]
    fn some_can_be_left() {
        let start = Timestamp::from_nanos(5_000_000_000);
        let mut budget = Budget::new(1_000, 3);
        assert_eq!([0; 3].map(|_| budget.take_but(start, 2)), [true, false, false]);
        assert_eq!([0; 3].map(|_| budget.take(start)), [true, true, false]);
    }

    #[test]
    fn the_first_burst_is_there_when_the_clock_begins() {
        let mut budget = Budget::new(20, 3);
        assert_eq!([0; 4].map(|_| budget.take(Timestamp::ZERO)), [true, true, true, false]);
        assert!(Budget::new(20, 3).book(Timestamp::ZERO) <= Timestamp::ZERO);
    }

    #[test]
    fn whoever_books_has_its_turn_in_order() {
        let start = Timestamp::from_nanos(5_000_000_000);
        let mut budget = Budget::new(1_000, 2);
        let booked = [0; 4].map(|_| budget.book(start));
        assert!(booked[1] <= start);
        assert_eq!(booked[2..], [start + Duration::from_millis(1), start + Duration::from_millis(2)]);
        assert!(!budget.take(start + Duration::from_millis(2)));
        assert!(budget.take(start + Duration::from_millis(3)));
    }
}
