//! NewReno as in RFC 9002 section 7 and appendix B, with the last event's state kept for undoing it.

use crate::time::Timestamp;

use super::{Acked, Controller};

/// RFC 9002 section 7.2: datagrams in the first window, and the bytes that it has at least.
const INITIAL_DATAGRAMS: u64 = 10;
/// RFC 9002 section 7.2: datagrams in the least window.
const LEAST_DATAGRAMS: u64 = 2;

/// The reference controller.
#[derive(Clone, Debug)]
pub struct NewReno {
    mtu: u64,
    window: u64,
    /// Slow start ends here.
    threshold: u64,
    /// Bytes acknowledged towards the next datagram of growth in congestion avoidance.
    acked: u64,
    /// Window and threshold before the last congestion event.
    before: Option<(u64, u64)>,
}

impl NewReno {
    /// In slow start, for datagrams of at most `mtu` bytes.
    #[must_use]
    pub const fn new(mtu: u64) -> Self {
        Self { mtu, window: INITIAL_DATAGRAMS * mtu, threshold: u64::MAX, acked: 0, before: None }
    }

    const fn least(&self) -> u64 {
        LEAST_DATAGRAMS * self.mtu
    }

    const fn in_slow_start(&self) -> bool {
        self.window < self.threshold
    }
}

impl Controller for NewReno {
    fn on_acked(&mut self, acked: &Acked<'_>) {
        // RFC 9002 section 7.8: a window that was not used says nothing about a larger one. Slow start doubles it a
        // round trip, so there half of it in use is enough.
        let used =
            if self.in_slow_start() { acked.in_flight_before * 2 } else { acked.in_flight_before + 3 * self.mtu };
        if used < self.window {
            return;
        }
        if self.in_slow_start() {
            self.window += acked.growth_bytes;
            return;
        }
        self.acked += acked.growth_bytes;
        while self.acked >= self.window {
            self.acked -= self.window;
            self.window += self.mtu;
        }
    }

    fn on_congestion(&mut self, _now: Timestamp, persistent: bool) {
        self.before = (!persistent).then_some((self.window, self.threshold));
        self.threshold = (self.window / 2).max(self.least());
        self.window = if persistent { self.least() } else { self.threshold };
        self.acked = 0;
    }

    fn on_undo(&mut self) {
        if let Some((window, threshold)) = self.before.take() {
            self.window = self.window.max(window);
            self.threshold = threshold;
        }
    }

    fn on_mtu(&mut self, mtu: u64) {
        self.mtu = mtu;
        // The first window is a number of datagrams: it holds for the size that the path turned out to carry, as
        // long as nothing was lost.
        let least = if self.threshold == u64::MAX { INITIAL_DATAGRAMS * mtu } else { self.least() };
        self.window = self.window.max(least);
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn name(&self) -> &'static str {
        "newreno"
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::proto::rtt::Rtt;

    const NOW: Timestamp = Timestamp::ZERO;

    fn ack(reno: &mut NewReno, bytes: u64, in_flight_before: u64) -> u64 {
        let rtt = Rtt::new(Duration::from_micros(100));
        reno.on_acked(&Acked { now: NOW, bytes, growth_bytes: bytes, in_flight_before, rtt: &rtt });
        reno.window()
    }

    #[test]
    fn a_full_window_doubles_a_round_trip_in_slow_start() {
        let mut reno = NewReno::new(1_000);
        assert_eq!(ack(&mut reno, 10_000, 10_000), 20_000);
        assert_eq!(ack(&mut reno, 20_000, 20_000), 40_000);
    }

    #[test]
    fn a_window_half_used_grows_in_slow_start_and_below_half_it_does_not() {
        let mut reno = NewReno::new(1_000);
        assert_eq!(ack(&mut reno, 1_000, 4_999), 10_000);
        assert_eq!(ack(&mut reno, 1_000, 5_000), 11_000);
    }

    #[test]
    fn a_loss_halves_it_and_then_it_grows_by_a_datagram_a_round_trip() {
        let mut reno = NewReno::new(1_000);
        reno.on_congestion(NOW, false);
        assert_eq!(reno.window(), 5_000);
        assert_eq!(ack(&mut reno, 4_999, 5_000), 5_000);
        assert_eq!(ack(&mut reno, 1, 5_000), 6_000);
        assert_eq!(ack(&mut reno, 6_000, 2_999), 6_000, "not used");
        assert_eq!(ack(&mut reno, 6_000, 3_000), 7_000);
    }

    #[test]
    fn it_never_falls_below_two_datagrams() {
        let mut reno = NewReno::new(1_000);
        for _ in 0..10 {
            reno.on_congestion(NOW, false);
        }
        assert_eq!(reno.window(), 2_000);
        let mut reno = NewReno::new(1_000);
        reno.on_congestion(NOW, true);
        assert_eq!(reno.window(), 2_000, "persistent congestion goes there at once");
        assert_eq!(ack(&mut reno, 2_000, 2_000), 4_000, "and on in slow start");
    }

    #[test]
    fn undoing_restores_what_was_before_once() {
        let mut reno = NewReno::new(1_000);
        reno.on_congestion(NOW, false);
        reno.on_undo();
        assert_eq!(reno.window(), 10_000);
        assert_eq!(ack(&mut reno, 10_000, 10_000), 20_000, "slow start goes on");
        reno.on_congestion(NOW, false);
        reno.on_undo();
        reno.on_undo();
        assert_eq!(reno.window(), 20_000);
    }

    #[test]
    fn longer_datagrams_widen_a_first_window_but_not_one_that_has_met_loss() {
        let mut reno = NewReno::new(1_200);
        reno.on_mtu(8_972);
        assert_eq!(reno.window(), 89_720);
        reno.on_congestion(NOW, false);
        reno.on_mtu(16_000);
        assert_eq!(reno.window(), 44_860);
        reno.on_mtu(65_507);
        assert_eq!(reno.window(), 131_014, "two datagrams");
    }
}
