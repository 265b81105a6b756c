//! Random bytes that secrets are made of. `spec/security.md`, section "Secrets".

use core::fmt;

use chacha20::ChaCha20Rng;
use rand::{Rng as _, SeedableRng as _};
use zeroize::{Zeroize as _, Zeroizing};

/// Gives random bytes, none of them twice, and forgets what it gave: each draw replaces what the next one is made of
/// (fast key erasure), so that whoever sees it learns nothing of earlier draws.
pub struct Entropy {
    seed: Zeroizing<[u8; 32]>,
}

impl Entropy {
    /// What it gives is as hard to guess as `seed`, which is to be used for nothing else. The caller's copy is the
    /// caller's to wipe.
    #[must_use]
    pub fn new(mut seed: [u8; 32]) -> Self {
        let entropy = Self { seed: Zeroizing::new(seed) };
        seed.zeroize();
        entropy
    }

    /// The next bytes.
    pub fn draw<const N: usize>(&mut self) -> Zeroizing<[u8; N]> {
        let mut stream = ChaCha20Rng::from_seed(*self.seed); // wiped when dropped
        stream.fill_bytes(&mut *self.seed);
        let mut drawn = Zeroizing::new([0; N]);
        stream.fill_bytes(&mut *drawn);
        drawn
    }

    /// A number, of which the same is true.
    pub fn draw_u64(&mut self) -> u64 {
        u64::from_le_bytes(*self.draw())
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn draws_differ_and_depend_on_the_seed_alone() {
        let draw = |seed: u8| {
            let mut entropy = Entropy::new([seed; 32]);
            (0..100).map(|_| *entropy.draw::<64>()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        let all: BTreeSet<[u8; 64]> = draw(1).into_iter().chain(draw(2)).collect();
        assert_eq!(all.len(), 200);
    }

    #[test]
    fn what_is_left_does_not_give_what_was_drawn() {
        let mut entropy = Entropy::new([1; 32]);
        let before = entropy.seed.clone();
        let drawn = entropy.draw::<64>();
        assert_ne!(entropy.seed, before);
        // Whoever takes it over now goes on from here.
        let mut taken = Entropy::new(*entropy.seed);
        assert_eq!(*taken.draw::<64>(), *entropy.draw::<64>());
        assert!(drawn[..32] != *before && drawn[..32] != *entropy.seed);
        assert_eq!(format!("{entropy:?}"), "Entropy(..)");
    }
}
