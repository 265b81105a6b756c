//! What a seed chooses. `UDPAIR_SEED=x` replays one: see `main`.

use core::ops::RangeInclusive;
use core::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// A seeded source of choices.
pub(crate) struct Chance(Xoshiro256PlusPlus);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A source of its own, so that what it chooses does not depend on how much others choose.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.0.next_u64())
    }

    pub(crate) fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number of the range.
    pub(crate) fn of(&mut self, range: RangeInclusive<u64>) -> u64 {
        let count = u128::from(range.end() - range.start()) + 1;
        range.start() + u64::try_from((u128::from(self.0.next_u64()) * count) >> 64).unwrap()
    }

    pub(crate) fn len(&mut self, range: RangeInclusive<usize>) -> usize {
        usize::try_from(self.of(*range.start() as u64..=*range.end() as u64)).unwrap()
    }

    pub(crate) fn ppm(&mut self, range: RangeInclusive<u64>) -> u32 {
        u32::try_from(self.of(range)).unwrap()
    }

    /// A time of so many microseconds.
    pub(crate) fn us(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_micros(self.of(range))
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.of(0..=99) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.len(0..=from.len() - 1)]
    }
}
