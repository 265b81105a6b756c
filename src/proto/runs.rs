//! Key agreements: so many a second, and the last of them for who had none lately. `spec/security.md`, section
//! "Limits".

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::time::Timestamp;

use super::budget::Budget;

/// So many are left to addresses that had none lately: whoever asks without end leaves them to others.
const RESERVED: u32 = 10;
/// How many addresses that had some are remembered, those of longest ago forgotten.
const ADDRESSES_MAX: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct Runs {
    budget: Budget,
    /// Who had some lately, by who had the first first.
    addresses: VecDeque<IpAddr>,
}

impl Runs {
    /// `per_second` a second, and as many at once.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self { budget: Budget::new(per_second, per_second), addresses: VecDeque::new() }
    }

    /// Takes one for `source`. False where there is none for it.
    pub fn take(&mut self, now: Timestamp, source: IpAddr) -> bool {
        let known = self.addresses.contains(&source);
        let there_is = self.budget.take_but(now, if known { RESERVED } else { 0 });
        if there_is && !known {
            if self.addresses.len() >= ADDRESSES_MAX {
                self.addresses.pop_front();
            }
            self.addresses.push_back(source);
        }
        there_is
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(5_000_000_000);

    fn source(n: usize) -> IpAddr {
        let [.., b, c] = n.to_be_bytes();
        IpAddr::from([10, 0, b, c])
    }

    #[test]
    fn whoever_asks_without_end_leaves_ten_to_others() {
        let mut runs = Runs::new(20);
        assert_eq!((0..100).filter(|_| runs.take(NOW, source(1))).count(), 10);
        assert_eq!((2..100).filter(|n| runs.take(NOW, source(*n))).count(), 10, "who had none");
        assert!(!runs.take(NOW, source(1)));
        // What comes back is for those first, too.
        let later = NOW + Duration::from_millis(500);
        assert!(!runs.take(later, source(1)) && runs.take(later, source(200)));
        let much_later = NOW + Duration::from_secs(9);
        assert_eq!((0..100).filter(|_| runs.take(much_later, source(1))).count(), 10);
    }

    #[test]
    fn so_many_addresses_are_remembered() {
        let mut runs = Runs::new(1_000);
        for n in 0..2 * ADDRESSES_MAX {
            assert!(runs.take(NOW, source(n)));
            assert!(runs.addresses.len() <= ADDRESSES_MAX);
        }
    }
}
