//! When values were written, on a clock that never shows the same twice.

use crate::time::Timestamp;

/// Gives each value a time of its own: later values have greater ones, even within a microsecond, so that the time
/// says which of two values of a channel is the newer, and whether two are the same. `spec/node.md`, section "Values".
#[derive(Debug)]
pub(super) struct Stamps {
    /// What the clock shows beyond the transport's, in µs.
    origin: u64,
    last: u64,
}

impl Stamps {
    /// Of a clock that shows `origin` where the transport's shows zero.
    pub(super) const fn new(origin: u64) -> Self {
        Self { origin, last: 0 }
    }

    /// What the clock shows, in µs.
    pub(super) const fn shown(&self, now: Timestamp) -> u64 {
        now.as_micros().saturating_add(self.origin)
    }

    /// The time of a value that is written now.
    pub(super) const fn next(&mut self, now: Timestamp) -> u64 {
        let shown = self.shown(now);
        self.last = if shown > self.last { shown } else { self.last.saturating_add(1) };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_values_have_the_same_time_and_none_an_earlier_one() {
        let mut stamps = Stamps::new(1_000);
        let at = |micros: u64| Timestamp::from_nanos(micros * 1_000);
        assert_eq!([5, 5, 5, 6, 20].map(|now| stamps.next(at(now))), [1_005, 1_006, 1_007, 1_008, 1_020]);
        assert_eq!(stamps.shown(at(20)), 1_020);
    }
}
