//! Chance that can be looked up: what the n-th datagram from one host to another draws for a purpose is a function
//! of the seed, the hosts, n and the purpose. A fault that is switched on draws nothing from another's numbers.

/// Stride of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), whose n-th
/// output can be computed without those before it.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// More than there are purposes.
const PURPOSES_MAX: u64 = 16;

/// What a number is drawn for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Loss,
    BurstState,
    BurstLoss,
    Jitter,
    Duplicate,
    DuplicateJitter,
    Reorder,
    DuplicateReorder,
    Flip,
    DuplicateFlip,
    Truncate,
    DuplicateTruncate,
}

/// Where a datagram's luck comes from: the way that it takes and how many went before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Luck {
    /// Of the way from one host to another: [`path_seed`].
    pub(super) path_seed: u64,
    /// How many datagrams took that way before this one.
    pub(super) index: u64,
}

impl Luck {
    /// The numbers that this datagram draws for `purpose`.
    pub(super) const fn dice(self, purpose: Purpose) -> Dice {
        Dice { state: mix(self.path_seed ^ mix(self.index.wrapping_mul(PURPOSES_MAX).wrapping_add(purpose as u64))) }
    }
}

/// A sequence of numbers drawn for one purpose.
#[derive(Clone, Debug)]
pub(super) struct Dice {
    state: u64,
}

impl Dice {
    /// Any number.
    pub(super) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number below `end`; 0 where `end` is 0. The bias, at most `end` in 2^64, is beyond measuring.
    pub(super) const fn below(&mut self, end: u64) -> u64 {
        high_half(self.next() as u128 * end as u128)
    }

    /// A number below `end`; 0 where `end` is 0.
    pub(super) fn below_usize(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("below a usize")
    }

    /// True with a chance of `ppm` in a million.
    pub(super) const fn hits(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.below(super::MILLION as u64) < ppm as u64
    }
}

const fn high_half(wide: u128) -> u64 {
    (wide >> 64) as u64
}

/// The output function of SplitMix64: a permutation in which every bit of the input moves every bit of the output.
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The seed of the way from one host to another, by their names: hosts may be added in any order.
pub(super) fn path_seed(seed: u64, from: &str, to: &str) -> u64 {
    let mut hash = mix(seed.wrapping_add(GOLDEN));
    for byte in from.bytes().chain([0]).chain(to.bytes()) {
        hash = mix(hash.wrapping_add(GOLDEN) ^ u64::from(byte));
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice(path_seed: u64, index: u64, purpose: Purpose) -> Dice {
        Luck { path_seed, index }.dice(purpose)
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for the state 1234567, from the reference implementation's published test vector.
        let mut dice = Dice { state: 1_234_567 };
        assert_eq!(dice.next(), 6_457_827_717_110_365_317);
        assert_eq!(dice.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut seen = [0u32; 6];
        for index in 0..6_000 {
            seen[dice(1, index, Purpose::Loss).below_usize(6)] += 1;
        }
        assert!(seen.iter().all(|count| (900..1_100).contains(count)), "{seen:?}");
        assert_eq!(dice(1, 0, Purpose::Loss).below(0), 0);
    }

    #[test]
    fn chances_of_nothing_and_of_all_are_certain() {
        assert!((0..10_000).all(|index| !dice(1, index, Purpose::Loss).hits(0)));
        assert!((0..10_000).all(|index| dice(1, index, Purpose::Loss).hits(1_000_000)));
    }

    #[test]
    fn each_link_and_each_purpose_draws_its_own_numbers() {
        let path = path_seed(1, "a", "b");
        assert_ne!(path, path_seed(1, "b", "a"));
        assert_ne!(path, path_seed(2, "a", "b"));
        assert_ne!(path_seed(1, "ab", "c"), path_seed(1, "a", "bc"));
        let same = (0..1_000).filter(|index| {
            dice(path, *index, Purpose::Loss).below(10) == dice(path, *index, Purpose::Jitter).below(10)
        });
        assert!((50..150).contains(&same.count()));
    }
}
