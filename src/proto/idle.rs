//! Silence: keeping a quiet connection alive, and giving a dead one up (`spec/reliability.md`, section "Silence").
//!
//! Unlike in RFC 9000 section 10.1 asking does not start the timeout anew: each side asks after a third of it anyway,
//! so that what is left is time enough, and a user is told of a dead peer within the timeout that was configured.

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
    /// Last heard from the peer.
    heard_at: Timestamp,
    /// First sent to it since then what it must answer.
    asked_at: Option<Timestamp>,
    /// Last heard, or last sent what it must answer.
    active_at: Timestamp,
}

impl Idle {
    /// The shorter of the two sides' timeouts counts; zero is none.
    #[must_use]
    pub fn new(now: Timestamp, ours: Duration, peers: Duration) -> Self {
        let timeout = [ours, peers].into_iter().filter(|timeout| !timeout.is_zero()).min().unwrap_or(Duration::MAX);
        Self { timeout, heard_at: now, asked_at: None, active_at: now }
    }

    /// A packet of the peer's arrived.
    pub const fn on_received(&mut self, now: Timestamp) {
        self.heard_at = now;
        self.active_at = now;
        self.asked_at = None;
    }

    /// A packet was sent that the peer must answer.
    pub fn on_asked(&mut self, now: Timestamp) {
        self.active_at = now;
        self.asked_at.get_or_insert(now);
    }

    /// When [`Idle::handle_timeout`] has something to say.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.gone_at().map_or(self.keep_alive_at(), |gone_at| gone_at.min(self.keep_alive_at()))
    }

    /// The time of a deadline may have come.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Silence {
        if self.gone_at().is_some_and(|at| at <= now) {
            return Silence::TimedOut;
        }
        if self.keep_alive_at() <= now {
            self.on_asked(now);
            return Silence::KeepAlive;
        }
        Silence::Nothing
    }

    /// Never before it was asked and then had two thirds of the timeout: this process may have been stopped for long.
    fn gone_at(&self) -> Option<Timestamp> {
        self.asked_at.map(|asked_at| (self.heard_at + self.timeout).max(asked_at + (self.timeout - self.timeout / 3)))
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
    fn a_peer_that_answers_nothing_is_gone_a_timeout_after_it_was_last_heard() {
        let mut idle = idle();
        /*  1,000 ms */
        idle.on_received(ms(1_000));
        /*  2,000 ms */
        idle.on_asked(ms(2_000));
        /*  8,000 ms */
        idle.on_asked(ms(8_000)); // a probe

        /*  9,999 ms */
        assert_ne!(idle.handle_timeout(ms(9_999)), Silence::TimedOut);
        /* 10,000 ms */
        assert_eq!(idle.handle_timeout(ms(10_000)), Silence::TimedOut);
    }

    #[test]
    fn who_was_stopped_for_longer_than_the_timeout_asks_first_and_gives_two_thirds_of_it() {
        let mut idle = idle();
        /* 20,000 ms */
        assert_eq!(idle.handle_timeout(ms(20_000)), Silence::KeepAlive);
        /* 22,999 ms */
        assert_eq!(idle.handle_timeout(ms(22_999)), Silence::Nothing);
        /* 25,999 ms */
        assert_ne!(idle.handle_timeout(ms(25_999)), Silence::TimedOut);
        /* 26,000 ms */
        assert_eq!(idle.handle_timeout(ms(26_000)), Silence::TimedOut);
    }

    #[test]
    fn two_sides_without_a_timeout_wait_for_ever() {
        let mut idle = Idle::new(ms(5), Duration::ZERO, Duration::ZERO);
        assert_eq!(idle.handle_timeout(ms(1 << 40)), Silence::Nothing);
    }
}
