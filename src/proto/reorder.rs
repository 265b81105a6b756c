//! How far behind a packet must be before it counts as lost: RFC 9002 section 6.1, with the adaptive window of RACK
//! (RFC 8985 section 6.2) once the path has been seen to reorder.

use core::time::Duration;

use super::rtt::Rtt;

/// Packets after which an earlier one is lost (RFC 9002 section 6.1.1), while the path keeps order.
const PACKET_THRESHOLD: u64 = 3;
/// The window is a quarter of the least round-trip time at first; this many quarters at most.
const QUARTERS_MAX: u32 = 16;
/// Recoveries without a spurious loss after which a widened window is narrowed again.
const PERSIST: u32 = 16;

/// The judgement on reordering.
#[derive(Clone, Debug)]
pub struct Reorder {
    seen: bool,
    quarters: u32,
    persist: u32,
}

impl Default for Reorder {
    fn default() -> Self {
        Self { seen: false, quarters: 1, persist: 0 }
    }
}

impl Reorder {
    /// A packet arrived behind one sent later.
    pub const fn on_reordered(&mut self) {
        self.seen = true;
    }

    /// A packet that had been given up arrived after all.
    pub fn on_spurious(&mut self) {
        self.seen = true;
        self.quarters = (self.quarters + 1).min(QUARTERS_MAX);
        self.persist = PERSIST;
    }

    /// A recovery began: one more for which the widened window was of use, or not.
    pub const fn on_recovery(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.quarters = 1;
        }
    }

    /// True when `number` is lost because `largest_acked` was acknowledged, whatever the time.
    #[must_use]
    pub const fn is_lost_by_count(&self, number: u64, largest_acked: u64) -> bool {
        !self.seen && number + PACKET_THRESHOLD <= largest_acked
    }

    /// How long after it was sent a packet is lost, if one sent later was acknowledged.
    #[must_use]
    pub fn loss_delay(&self, rtt: &Rtt) -> Duration {
        let base = rtt.smoothed().max(rtt.latest());
        let least = (base / 8).max(rtt.granularity());
        let window = if self.seen { rtt.min() / 4 * self.quarters } else { Duration::ZERO };
        base + window.min(rtt.smoothed()).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtt() -> Rtt {
        let mut rtt = Rtt::new(Duration::from_micros(10));
        rtt.on_sample(Duration::from_micros(800), Duration::ZERO);
        rtt
    }

    #[test]
    fn three_packets_later_is_lost_two_is_not() {
        let reorder = Reorder::default();
        assert!(reorder.is_lost_by_count(7, 10));
        assert!(!reorder.is_lost_by_count(8, 10));
    }

    #[test]
    fn once_reordering_was_seen_only_time_decides() {
        let mut reorder = Reorder::default();
        assert_eq!(reorder.loss_delay(&rtt()), Duration::from_micros(900), "9/8");
        reorder.on_reordered();
        assert!(!reorder.is_lost_by_count(0, 1_000));
        assert_eq!(reorder.loss_delay(&rtt()), Duration::from_micros(1_000), "5/4");
    }

    #[test]
    fn each_spurious_loss_widens_the_window_up_to_a_round_trip_and_16_clean_recoveries_narrow_it() {
        let mut reorder = Reorder::default();
        reorder.on_spurious();
        assert_eq!(reorder.loss_delay(&rtt()), Duration::from_micros(1_200));
        for _ in 0..100 {
            reorder.on_spurious();
        }
        assert_eq!(reorder.loss_delay(&rtt()), Duration::from_micros(1_600));
        for _ in 0..PERSIST - 1 {
            reorder.on_recovery();
        }
        assert_eq!(reorder.loss_delay(&rtt()), Duration::from_micros(1_600));
        reorder.on_recovery();
        assert_eq!(reorder.loss_delay(&rtt()), Duration::from_micros(1_000));
    }
}
