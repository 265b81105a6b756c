//! When packets may leave, so that a window does not leave as one burst: RFC 9002 section 7.7.
//!
//! On a LAN it holds nothing back: a round trip there is shorter than what the driver's timers can pace.

use core::time::Duration;

use crate::time::Timestamp;

/// Below this round-trip time nothing is paced.
const PACED_FROM: Duration = Duration::from_millis(1);
/// A burst that is always allowed: one batch for the kernel to cut up.
const BURST_MIN: u64 = 65_536;
/// RFC 9002 section 7.7: a little faster than the window each round trip, so that pacing never is the limit.
const RATE_NUMERATOR: u64 = 5;
const RATE_DENOMINATOR: u64 = 4;

/// A token bucket in bytes.
#[derive(Clone, Debug)]
pub struct Pacer {
    tokens: u64,
    filled_at: Timestamp,
    rate: Option<u64>,
    granularity: Duration,
}

impl Pacer {
    /// A full bucket. `granularity` is how exactly the driver's timers fire.
    #[must_use]
    pub const fn new(now: Timestamp, granularity: Duration) -> Self {
        Self { tokens: BURST_MIN, filled_at: now, rate: None, granularity }
    }

    /// The window, the round-trip time, or the controller's own rate changed.
    pub fn set_rate(&mut self, now: Timestamp, window: u64, smoothed_rtt: Duration, own_rate: Option<u64>) {
        self.refill(now);
        let by_window = || {
            (smoothed_rtt >= PACED_FROM).then(|| {
                let nanos = smoothed_rtt.as_nanos();
                let bits = u128::from(window) * u128::from(RATE_NUMERATOR) * 1_000_000_000;
                u64::try_from(bits / (nanos * u128::from(RATE_DENOMINATOR))).unwrap_or(u64::MAX).max(1)
            })
        };
        self.rate = own_rate.or_else(by_window);
    }

    /// The rate in bytes a second, where packets are paced.
    #[must_use]
    pub const fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// When `len` bytes may leave; `None` for now. A datagram longer than a burst leaves with a full bucket.
    pub fn blocked_until(&mut self, now: Timestamp, len: u64) -> Option<Timestamp> {
        let rate = self.rate?;
        self.refill(now);
        let missing = len.min(self.burst(rate)).saturating_sub(self.tokens);
        (missing > 0).then(|| now + time_for(missing, rate))
    }

    /// `len` bytes left.
    pub fn on_sent(&mut self, len: u64) {
        if self.rate.is_some() {
            self.tokens = self.tokens.saturating_sub(len);
        }
    }

    /// What two timer ticks bring, lest a coarse timer slow the connection down.
    fn burst(&self, rate: u64) -> u64 {
        bytes_in(self.granularity * 2, rate).max(BURST_MIN)
    }

    fn refill(&mut self, now: Timestamp) {
        let Some(rate) = self.rate else {
            self.tokens = BURST_MIN;
            self.filled_at = now;
            return;
        };
        let earned = bytes_in(now.saturating_since(self.filled_at), rate);
        if earned == 0 {
            return; // the time is kept: many short whiles add up
        }
        self.filled_at = now;
        self.tokens = self.tokens.saturating_add(earned).min(self.burst(rate));
    }
}

fn bytes_in(time: Duration, rate: u64) -> u64 {
    u64::try_from(time.as_nanos() * u128::from(rate) / 1_000_000_000).unwrap_or(u64::MAX)
}

fn time_for(bytes: u64, rate: u64) -> Duration {
    let nanos = (u128::from(bytes) * 1_000_000_000).div_ceil(u128::from(rate));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_nanos(1_000_000_000);

    fn pacer(window: u64, rtt_us: u64) -> Pacer {
        let mut pacer = Pacer::new(START, Duration::from_micros(100));
        pacer.set_rate(START, window, Duration::from_micros(rtt_us), None);
        pacer
    }

    #[test]
    fn a_lan_is_never_held_back_and_from_a_millisecond_on_it_is() {
        let mut lan = pacer(10_000_000, 999);
        let mut wan = pacer(10_000_000, 1_000);
        for _ in 0..10_000 {
            lan.on_sent(65_507);
            wan.on_sent(65_507);
        }
        assert_eq!(lan.blocked_until(START, 65_507), None);
        assert!(wan.blocked_until(START, 65_507).is_some());
    }

    #[test]
    fn a_batch_leaves_at_once_and_the_next_when_the_rate_has_paid_for_it() {
        // 1 MB each 100 ms, times 5/4: 12.5 MB a second.
        let mut pacer = pacer(1_000_000, 100_000);
        assert_eq!(pacer.rate(), Some(12_500_000));
        assert_eq!(pacer.blocked_until(START, 65_507), None);
        pacer.on_sent(65_536);
        let free = pacer.blocked_until(START, 12_500).unwrap();
        assert_eq!(free.saturating_since(START), Duration::from_millis(1));
        assert_eq!(pacer.blocked_until(free, 12_500), None);
        assert!(pacer.blocked_until(free, 12_501).is_some());
    }

    #[test]
    fn silence_saves_up_no_more_than_a_burst() {
        let mut pacer = pacer(1_000_000, 100_000);
        let later = START + Duration::from_secs(60);
        assert_eq!(pacer.blocked_until(later, 65_507), None);
        pacer.on_sent(65_536);
        assert!(pacer.blocked_until(later, 1).is_some());
    }

    #[test]
    fn asking_often_costs_nothing() {
        // 12,500 bytes a second: 80 us a byte.
        let mut pacer = pacer(1_000, 100_000);
        pacer.on_sent(BURST_MIN);
        for us in 0..800 {
            assert!(pacer.blocked_until(START + Duration::from_micros(us), 10).is_some(), "{us}");
        }
        assert_eq!(pacer.blocked_until(START + Duration::from_micros(800), 10), None);
    }

    #[test]
    fn a_fast_path_may_burst_for_two_timer_ticks() {
        // 10 MB each 2 ms, times 5/4: 6.25 GB a second, 1.25 MB in 200 us.
        let mut pacer = pacer(10_000_000, 2_000);
        let later = START + Duration::from_secs(1);
        assert_eq!(pacer.blocked_until(later, 1_250_000), None);
        pacer.on_sent(1_250_000 - 65_507);
        assert_eq!(pacer.blocked_until(later, 65_507), None);
        pacer.on_sent(65_507);
        assert!(pacer.blocked_until(later, 65_507).is_some());
    }
}
