//! When to send to everyone: a burst, then slowly, and a burst again when there is reason for one.
//! `spec/pairing.md`, section "Bursts".

use core::time::Duration;

use rand::Rng as _;
use rand::rngs::ChaCha20Rng;

use crate::time::{Timer, Timestamp};

/// When the beacons of a burst go, counted from its beginning.
pub const BURST: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_millis(60),
    Duration::from_millis(150),
    Duration::from_millis(400),
];
/// The mean distance of beacons after a burst.
pub const SLOW: Duration = Duration::from_secs(1);
/// A burst begins at the earliest so long after the one before.
pub const BURST_DISTANCE: Duration = Duration::from_secs(1);
/// What is sent is late by up to this, or by up to a quarter of its place in the burst, whichever is more.
const JITTER_LEAST: Duration = Duration::from_millis(2);

/// The times of one side's beacons to everyone.
#[derive(Clone, Debug, Default)]
pub(super) struct Burst {
    began: Timestamp,
    sent: usize,
    timer: Timer,
}

impl Burst {
    /// Begins a burst now, whatever was before.
    pub(super) fn begin(&mut self, now: Timestamp, rng: &mut ChaCha20Rng) {
        self.began = now;
        self.sent = 0;
        self.timer.arm(now + jitter(BURST[0], rng));
    }

    /// Begins a burst because the other side was heard, unless the last one began a moment ago or there was none.
    pub(super) fn begin_again(&mut self, now: Timestamp, rng: &mut ChaCha20Rng) {
        if self.timer.deadline().is_some() && now.saturating_since(self.began) >= BURST_DISTANCE {
            self.begin(now, rng);
        }
    }

    /// No more.
    pub(super) const fn end(&mut self) {
        self.timer.disarm();
    }

    /// When something is to be sent next.
    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        self.timer.deadline()
    }

    /// True when a beacon is to be sent now. However late one comes: those missed are not made up for.
    pub(super) fn fire(&mut self, now: Timestamp, rng: &mut ChaCha20Rng) -> bool {
        if !self.timer.fire(now) {
            return false;
        }
        self.sent += 1;
        while BURST.get(self.sent).is_some_and(|place| self.began + *place <= now) {
            self.sent += 1;
        }
        self.timer.arm(match BURST.get(self.sent) {
            Some(&place) => self.began + place + jitter(place, rng),
            None => now + SLOW * 3 / 4 + below(SLOW / 2, rng),
        });
        true
    }
}

/// A random delay for what has this place in its burst.
pub(super) fn jitter(place: Duration, rng: &mut ChaCha20Rng) -> Duration {
    below(JITTER_LEAST.max(place / 4), rng)
}

fn below(end: Duration, rng: &mut ChaCha20Rng) -> Duration {
    let nanos = u64::try_from(end.as_nanos()).expect("a fraction of a second");
    Duration::from_nanos(rng.next_u64() % nanos)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(millis)
    }

    /// When beacons go until `end`.
    fn times(burst: &mut Burst, rng: &mut ChaCha20Rng, end: Timestamp) -> Vec<Timestamp> {
        let mut times = Vec::new();
        while let Some(due) = burst.deadline().filter(|due| *due <= end) {
            assert!(burst.fire(due, rng));
            times.push(due);
        }
        times
    }

    #[test]
    fn a_burst_is_five_beacons_and_then_one_a_second() {
        for seed in 0..100 {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let mut burst = Burst::default();
            burst.begin(at(100), &mut rng);
            let sent = times(&mut burst, &mut rng, at(100_000));
            for (time, place) in sent.iter().zip(BURST) {
                let least = at(100) + place;
                assert!(*time >= least && *time <= least + (place / 4).max(JITTER_LEAST), "seed {seed}: {sent:?}");
            }
            for pair in sent[BURST.len() - 1..].windows(2) {
                let distance = pair[1].saturating_since(pair[0]);
                assert!(distance >= SLOW * 3 / 4 && distance <= SLOW * 5 / 4, "seed {seed}: {distance:?}");
            }
            assert!(sent.len() > 80, "seed {seed}: {}", sent.len());
        }
    }

    #[test]
    fn a_burst_begins_again_a_second_after_the_last_and_not_before() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut burst = Burst::default();
        burst.begin_again(at(0), &mut rng);
        assert_eq!(burst.deadline(), None, "there was none that could begin again");
        burst.begin(at(0), &mut rng);
        times(&mut burst, &mut rng, at(999));
        burst.begin_again(at(999), &mut rng);
        assert!(burst.deadline().unwrap() >= at(1_001));
        burst.begin_again(at(1_000), &mut rng);
        assert!(burst.deadline().unwrap() < at(1_000) + JITTER_LEAST);
    }

    #[test]
    fn what_was_missed_is_not_sent_in_a_heap() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut burst = Burst::default();
        burst.begin(at(0), &mut rng);
        for late in [at(100), at(60_000)] {
            assert!(burst.fire(late, &mut rng));
            assert!(!burst.fire(late, &mut rng), "one, however many were due by {late:?}");
        }
    }
}
