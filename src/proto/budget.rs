//! So many of something a second, and no more.

use core::time::Duration;

use crate::time::Timestamp;

/// A token bucket of whole tokens.
#[derive(Clone, Debug)]
pub struct Budget {
    interval: Duration,
    burst: u32,
    /// When the bucket would be empty, were it filled at its rate since then.
    empty_at: Timestamp,
}

impl Budget {
    /// `per_second` a second, up to `burst` at once.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), burst, empty_at: Timestamp::ZERO }
    }

    /// Takes one, or says when there will be one.
    pub fn take(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        // Before the clock has run for a whole burst there may be less than a burst.
        self.empty_at = self.empty_at.max(now.saturating_sub(self.interval * self.burst));
        let next = self.empty_at + self.interval;
        if next > now {
            return Err(next);
        }
        self.empty_at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let start = Timestamp::from_nanos(5_000_000_000);
        let mut budget = Budget::new(1_000, 3);
        assert_eq!([0; 3].map(|_| budget.take(start)), [Ok(()); 3]);
        let next = start + Duration::from_millis(1);
        assert_eq!(budget.take(start), Err(next));
        assert_eq!(budget.take(next), Ok(()));
        assert!(budget.take(next).is_err());
        let later = start + Duration::from_secs(9);
        assert_eq!([0; 3].map(|_| budget.take(later)), [Ok(()); 3]);
        assert!(budget.take(later).is_err(), "silence saves up one burst only");
    }
}
