//! Silence: keeping a quiet connection alive, and giving a dead one up (RFC 9000 section 10.1).

use core::time::Duration;

use crate::time::Timestamp;

/// What silence calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nothing yet.
    Nothing,
    /// A sign of life.
    KeepAlive,
    /// The peer is gone.
    TimedOut,
}

/// Watches how long nothing was heard, and how long nothing was said.
#[derive(Clone, Debug)]
pub struct Idle {
    timeout: Duration,
    /// Last heard from the peer, or first sent to it since then what it must answer.
    since: Timestamp,
    /// True when something that it must answer was sent since it was last heard.
    asked: bool,
    /// Last heard, or last sent what it must answer.
    active_at: Timestamp,
}

impl Idle {
    /// The shorter of the two sides' timeouts counts; zero is none.
    #[must_use]
    pub fn new(now: Timestamp, ours: Duration, peers: Duration) -> Self {
        let timeout = [ours, peers].into_iter().filter(|timeout| !timeout.is_zero()).min().unwrap_or(Duration::MAX);
        Self { timeout, since: now, asked: false, active_at: now }
    }

    /// A packet of the peer's arrived.
    pub const fn on_received(&mut self, now: Timestamp) {
        self.since = now;
        self.active_at = now;
        self.asked = false;
    }

    /// A packet was sent that the peer must answer.
    pub const fn on_asked(&mut self, now: Timestamp) {
        self.active_at = now;
        if !self.asked {
            self.asked = true;
            self.since = now;
        }
    }

    /// When [`Idle::handle_timeout`] has something to say.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.keep_alive_at().min(self.gone_at())
    }

    /// The time of a deadline may have come.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Silence {
        if self.gone_at() <= now {
            return Silence::TimedOut;
        }
        if self.keep_alive_at() <= now {
            self.active_at = now;
            return Silence::KeepAlive;
        }
        Silence::Nothing
    }

    fn gone_at(&self) -> Timestamp {
        self.since + self.timeout
    }

    fn keep_alive_at(&self) -> Timestamp {
        self.active_at + self.timeout / 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    fn idle() -> Idle {
        Idle::new(ms(0), Duration::from_millis(9_000), Duration::from_millis(12_000))
    }

    #[test]
    fn a_quiet_connection_shows_signs_of_life_each_third_of_the_shorter_timeout() {
        let mut idle = idle();
        assert_eq!(idle.deadline(), ms(3_000));
        /*  2,999 ms */
        assert_eq!(idle.handle_timeout(ms(2_999)), Silence::Nothing);
        /*  3,000 ms */
        assert_eq!(idle.handle_timeout(ms(3_000)), Silence::KeepAlive);
        idle.on_asked(ms(3_000));
        /*  3,001 ms */
        idle.on_received(ms(3_001)); // its acknowledgement

        /*  6,001 ms */
        assert_eq!(idle.handle_timeout(ms(6_001)), Silence::KeepAlive);
    }

    #[test]
    fn a_peer_that_answers_nothing_is_gone_a_timeout_after_the_first_unanswered_packet() {
        let mut idle = idle();
        /*  1,000 ms */
        idle.on_received(ms(1_000));
        /*  2,000 ms */
        idle.on_asked(ms(2_000));
        /*  8,000 ms */
        idle.on_asked(ms(8_000)); // a probe

        /* 10,999 ms */
        assert_ne!(idle.handle_timeout(ms(10_999)), Silence::TimedOut);
        /* 11,000 ms */
        assert_eq!(idle.handle_timeout(ms(11_000)), Silence::TimedOut);
    }

    #[test]
    fn two_sides_without_a_timeout_wait_for_ever() {
        let mut idle = Idle::new(ms(5), Duration::ZERO, Duration::ZERO);
        assert_eq!(idle.handle_timeout(ms(1 << 40)), Silence::Nothing);
    }
}
