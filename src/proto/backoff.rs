//! Addresses that tried a wrong key, and how long each has to wait. `spec/security.md`, section "Limits".

use core::time::Duration;
use std::collections::VecDeque;
use std::net::IpAddr;

use crate::time::Timestamp;

/// After the first wrong key; after each one more twice as long.
const WAIT_FIRST: Duration = Duration::from_millis(125);
/// No longer: whoever has the right key and shares the address is to get in before it gives up.
const WAIT_LAST: Duration = Duration::from_secs(2);
/// Who tried nothing wrong for so long begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// How many addresses are remembered, that which tried a wrong one longest ago forgotten first.
const ADDRESSES_MAX: usize = 256;

#[derive(Debug)]
struct Wrong {
    source: IpAddr,
    wait: Duration,
    at: Timestamp,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// By the time of the last wrong key.
    wrong: VecDeque<Wrong>,
}

impl Backoff {
    /// True while `source` has to wait.
    #[must_use]
    pub(super) fn holds(&self, now: Timestamp, source: IpAddr) -> bool {
        self.wrong.iter().any(|wrong| wrong.source == source && now < wrong.at + wrong.wait)
    }

    /// `source` tried a wrong key.
    pub(super) fn on_wrong(&mut self, now: Timestamp, source: IpAddr) {
        let known = self.wrong.iter().position(|wrong| wrong.source == source).and_then(|at| self.wrong.remove(at));
        let fresh = known.filter(|known| now < known.at + FORGOTTEN_AFTER);
        let wait = fresh.map_or(WAIT_FIRST, |known| (known.wait * 2).min(WAIT_LAST));
        if self.wrong.len() >= ADDRESSES_MAX {
            self.wrong.pop_front();
        }
        self.wrong.push_back(Wrong { source, wait, at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(5_000_000_000);

    fn source(n: usize) -> IpAddr {
        let [.., b, c] = n.to_be_bytes();
        IpAddr::from([10, 0, b, c])
    }

    /// How long one waits after a wrong key, to the millisecond.
    fn wait(backoff: &Backoff, now: Timestamp, source: IpAddr) -> Duration {
        let mut waits = (0..10_000).map(Duration::from_millis);
        waits.find(|wait| !backoff.holds(now + *wait, source)).expect("an end")
    }

    #[test]
    fn each_wrong_key_doubles_the_wait_up_to_two_seconds() {
        let mut backoff = Backoff::default();
        let mut now = NOW;
        for millis in [125, 250, 500, 1_000, 2_000, 2_000] {
            backoff.on_wrong(now, source(1));
            assert_eq!(wait(&backoff, now, source(1)), Duration::from_millis(millis));
            assert!(!backoff.holds(now, source(2)), "nobody else");
            now += WAIT_LAST;
        }
        backoff.on_wrong(now + FORGOTTEN_AFTER, source(1));
        assert_eq!(wait(&backoff, now + FORGOTTEN_AFTER, source(1)), WAIT_FIRST);
    }

    #[test]
    fn so_many_addresses_are_remembered() {
        let mut backoff = Backoff::default();
        for n in 0..2 * ADDRESSES_MAX {
            backoff.on_wrong(NOW, source(n));
            assert!(backoff.wrong.len() <= ADDRESSES_MAX);
        }
        assert!(backoff.holds(NOW, source(2 * ADDRESSES_MAX - 1)) && !backoff.holds(NOW, source(0)));
    }
}
