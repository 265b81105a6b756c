//! How long to wait before another attempt.

use core::time::Duration;

use rand::{Rng, RngExt};

/// The least that is waited, on average: a node that tries again does so in turns with everything else.
const LEAST: Duration = Duration::from_millis(1);

/// How often a node tries again to reach one that it had called and lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// The first wait, on average. Default 100 ms; less than 1 ms counts as that.
    pub first: Duration,
    /// The longest, on average; each wait is twice the one before until then. Default 10 s; less than 1 ms counts as
    /// that.
    pub most: Duration,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), most: Duration::from_secs(10) }
    }
}

/// The waits between attempts in vain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failed: u32,
}

impl Backoff {
    /// How long to wait now: between half and one and a half of what is due, so that those who lost the same peer do
    /// not come back all at once.
    pub(super) fn next(&mut self, reconnect: &Reconnect, chance: &mut impl Rng) -> Duration {
        let factor = 1_u32.checked_shl(self.failed).unwrap_or(u32::MAX);
        self.failed = self.failed.saturating_add(1);
        let due = reconnect.first.max(LEAST).saturating_mul(factor).min(reconnect.most.max(LEAST));
        due.saturating_mul(chance.random_range(500..=1_500)) / 1_000
    }

    /// An attempt succeeded.
    pub(super) const fn reset(&mut self) {
        self.failed = 0;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_no_two_nodes_wait_alike() {
        let reconnect = Reconnect::default();
        let waits = |seed| {
            let (mut backoff, mut chance) = (Backoff::default(), Xoshiro256PlusPlus::seed_from_u64(seed));
            [(); 40].map(|()| backoff.next(&reconnect, &mut chance).as_millis())
        };
        for (at, wait) in waits(1).into_iter().enumerate() {
            let due = (100 << at.min(20)).min(10_000);
            assert!((due / 2..=due * 3 / 2).contains(&wait), "wait {at}: {wait} ms of {due}");
        }
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1)[..3], waits(2)[..3]);
    }

    #[test]
    fn a_wait_is_never_none() {
        let none = Reconnect { first: Duration::ZERO, most: Duration::ZERO };
        let (mut backoff, mut chance) = (Backoff::default(), Xoshiro256PlusPlus::seed_from_u64(1));
        assert!((0..40).all(|_| backoff.next(&none, &mut chance) >= LEAST / 2));
    }

    #[test]
    fn after_a_success_it_begins_anew() {
        let (mut backoff, mut chance) = (Backoff::default(), Xoshiro256PlusPlus::seed_from_u64(1));
        for _ in 0..10 {
            backoff.next(&Reconnect::default(), &mut chance);
        }
        backoff.reset();
        assert!(backoff.next(&Reconnect::default(), &mut chance) <= Duration::from_millis(150));
    }
}
