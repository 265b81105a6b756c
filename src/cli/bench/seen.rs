//! Which messages of a long run were there already, in constant memory.

/// How far back a message is remembered. More than a connection can have on its way (64 MiB of credit at 8 + 64 bytes
/// a message are 932,067), so that a message that was repaired late still counts.
const WINDOW: u64 = 1 << 20;

/// The last [`WINDOW`] numbers: seen or not.
#[derive(Debug)]
pub(crate) struct Seen {
    bits: Vec<u64>,
    /// One more than the greatest number seen.
    end: u64,
}

impl Seen {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { bits: vec![0; place(WINDOW).0], end: 0 }
    }

    /// Marks `n`; returns whether it was new. What lies before the window counts as seen.
    pub(crate) fn insert(&mut self, n: u64) -> bool {
        if n >= self.end {
            self.forget_up_to(n);
            self.end = n + 1;
        } else if self.end - n > WINDOW {
            return false;
        }
        let (word, bit) = place(n % WINDOW);
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }

    /// Clears the places of `end..=n`, which held numbers a window earlier.
    fn forget_up_to(&mut self, n: u64) {
        if n - self.end >= WINDOW {
            self.bits.fill(0);
            return;
        }
        for number in self.end..=n {
            let (word, bit) = place(number % WINDOW);
            self.bits[word] &= !bit;
        }
    }
}

/// The word and the bit for place `n` of a set.
pub(crate) fn place(n: u64) -> (usize, u64) {
    (usize::try_from(n / 64).expect("every set here fits in memory"), 1 << (n % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_new_once_in_any_order() {
        let mut seen = Seen::new();
        for n in [3, 0, 2, 1, 100_000, 99_999] {
            assert!(seen.insert(n), "{n}");
            assert!(!seen.insert(n), "{n}");
        }
    }

    #[test]
    fn the_window_moves_with_the_greatest() {
        let mut seen = Seen::new();
        assert!(seen.insert(WINDOW));
        assert!(seen.insert(1), "the last within the window");
        assert!(!seen.insert(0), "the first beyond it");
        assert!(seen.insert(WINDOW + 1), "its place was 1's");
        assert!(!seen.insert(WINDOW));
    }

    #[test]
    fn a_leap_beyond_the_window_forgets_everything() {
        let mut seen = Seen::new();
        for n in 0..1_000 {
            seen.insert(n);
        }
        assert!(seen.insert(10 * WINDOW + 5));
        assert!(seen.insert(10 * WINDOW + 4));
        assert!(seen.insert(9 * WINDOW + 6));
    }
}
