//! Round-trip time: RFC 9002 section 5, with the floors of a local network for the probe timeout.

use core::time::Duration;

/// Assumed before the first sample: long for a LAN, short for a handshake that lost its sample.
const INITIAL: Duration = Duration::from_millis(25);
const INITIAL_VARIANCE: Duration = Duration::from_micros(12_500);
/// The least probe timeout while fewer than [`SAMPLES_FEW`] samples speak for a shorter one.
const PTO_FLOOR_EARLY: Duration = Duration::from_millis(1);
/// The least probe timeout ever.
const PTO_FLOOR: Duration = Duration::from_micros(500);
const SAMPLES_FEW: u32 = 5;
/// Persistent congestion takes at least this long, however short the round trip (RFC 9002 section 7.6 has no floor,
/// for its probe timeout is never as short as ours).
const PERSISTENT_FLOOR: Duration = Duration::from_millis(200);

/// Smoothed round-trip time and what follows from it.
#[derive(Clone, Debug)]
pub struct Rtt {
    latest: Duration,
    min: Duration,
    smoothed: Duration,
    variance: Duration,
    samples: u32,
    granularity: Duration,
    peer_ack_delay_max: Duration,
}

impl Rtt {
    /// No sample yet. `granularity` is how exactly the driver's timers fire.
    #[must_use]
    pub const fn new(granularity: Duration) -> Self {
        Self {
            latest: INITIAL,
            min: INITIAL,
            smoothed: INITIAL,
            variance: INITIAL_VARIANCE,
            samples: 0,
            granularity,
            peer_ack_delay_max: Duration::ZERO,
        }
    }

    /// The peer has said how long it may hold an acknowledgement back.
    pub const fn set_peer_ack_delay_max(&mut self, delay: Duration) {
        self.peer_ack_delay_max = delay;
    }

    /// A packet was acknowledged `sample` after it was sent, of which the peer held it for `ack_delay`.
    pub fn on_sample(&mut self, sample: Duration, ack_delay: Duration) {
        self.latest = sample;
        self.samples = self.samples.saturating_add(1);
        if self.samples == 1 {
            self.min = sample;
            self.smoothed = sample;
            self.variance = sample / 2;
            return;
        }
        self.min = self.min.min(sample);
        let held = ack_delay.min(self.peer_ack_delay_max);
        let adjusted = if sample >= self.min + held { sample - held } else { sample };
        let deviation = self.smoothed.abs_diff(adjusted);
        self.variance = (self.variance * 3 + deviation) / 4;
        self.smoothed = (self.smoothed * 7 + adjusted) / 8;
    }

    /// The newest sample.
    #[must_use]
    pub const fn latest(&self) -> Duration {
        self.latest
    }

    /// The least sample.
    #[must_use]
    pub const fn min(&self) -> Duration {
        self.min
    }

    /// The smoothed round-trip time.
    #[must_use]
    pub const fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// The smoothed deviation.
    #[must_use]
    pub const fn variance(&self) -> Duration {
        self.variance
    }

    /// True once there was a sample.
    #[must_use]
    pub const fn is_measured(&self) -> bool {
        self.samples > 0
    }

    /// How exactly timers fire.
    #[must_use]
    pub const fn granularity(&self) -> Duration {
        self.granularity
    }

    /// How long to wait for an acknowledgement before the first probe (RFC 9002 section 6.2.1, other floors).
    #[must_use]
    pub fn probe_timeout(&self) -> Duration {
        let floor = if self.samples < SAMPLES_FEW { PTO_FLOOR_EARLY } else { PTO_FLOOR };
        self.sum().max(floor)
    }

    /// How long everything must have been lost to count as persistent congestion (RFC 9002 section 7.6.1).
    #[must_use]
    pub fn persistent_congestion(&self) -> Duration {
        (self.sum() * 3).max(PERSISTENT_FLOOR)
    }

    fn sum(&self) -> Duration {
        self.smoothed + (self.variance * 4).max(self.granularity) + self.peer_ack_delay_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    fn lan(samples: u32) -> Rtt {
        let mut rtt = Rtt::new(us(100));
        rtt.set_peer_ack_delay_max(us(500));
        for _ in 0..samples {
            rtt.on_sample(us(200), us(0));
        }
        rtt
    }

    #[test]
    fn the_first_sample_replaces_the_assumption() {
        let rtt = lan(1);
        assert_eq!((rtt.smoothed(), rtt.variance(), rtt.min()), (us(200), us(100), us(200)));
    }

    #[test]
    fn later_samples_are_smoothed_as_in_rfc_9002_section_5_3() {
        let mut rtt = lan(1);
        rtt.on_sample(us(1000), us(0));
        assert_eq!((rtt.smoothed(), rtt.variance()), (us(300), us(275)));
    }

    #[test]
    fn the_peers_delay_is_taken_off_up_to_what_it_promised_and_never_below_the_least() {
        let mut rtt = lan(1);
        rtt.on_sample(us(900), us(5_000));
        assert_eq!(rtt.smoothed(), (us(200) * 7 + us(400)) / 8, "only the promised 500 us");
        let mut rtt = lan(1);
        rtt.on_sample(us(600), us(500));
        assert_eq!(rtt.smoothed(), (us(200) * 7 + us(600)) / 8, "600 - 500 would be below the least");
    }

    #[test]
    fn the_probe_timeout_has_a_floor_of_1_ms_before_and_half_of_it_after_five_samples() {
        let mut rtt = Rtt::new(us(100));
        for samples in 1..=40 {
            rtt.on_sample(us(10), us(0));
            let floor = if samples < 5 { us(1_000) } else { us(500) };
            assert_eq!(rtt.probe_timeout(), floor, "{samples} samples");
        }
    }

    #[test]
    fn on_a_settled_lan_a_lost_tail_is_probed_within_a_millisecond() {
        assert_eq!(lan(100).probe_timeout(), us(200) + us(100) + us(500));
    }

    #[test]
    fn persistent_congestion_is_never_shorter_than_200_ms() {
        assert_eq!(lan(100).persistent_congestion(), Duration::from_millis(200));
    }
}
