//! Time as an argument: a point on a clock that somebody else reads, and a timer that somebody else fires.
//!
//! Nothing here reads a clock. The floors below `transport` are told what time it is.

use core::fmt;
use core::ops::{Add, AddAssign};
use core::time::Duration;

/// A point in time, in nanoseconds since an origin of the clock's choosing (a transport's start, the beginning of a
/// simulated world). Timestamps of different clocks must not be compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The clock's origin.
    pub const ZERO: Self = Self(0);
    /// Later than anything that will happen (584 years after the origin).
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// The point `nanos` nanoseconds after the clock's origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole microseconds since the clock's origin.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// How long after `earlier` this is; zero where `earlier` is the later one.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This point moved back by `duration`, at most to the clock's origin.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

/// Nanoseconds in `duration`; 584 years for anything longer.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::FAR_FUTURE`].
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A deadline that may be set or not. Each part of the protocol owns its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer {
    at: Option<Timestamp>,
}

impl Timer {
    /// A timer that is not armed.
    #[must_use]
    pub const fn never() -> Self {
        Self { at: None }
    }

    /// When it fires, if it is armed.
    #[must_use]
    pub const fn deadline(&self) -> Option<Timestamp> {
        self.at
    }

    /// Fires at `at`, whatever was set before.
    pub const fn arm(&mut self, at: Timestamp) {
        self.at = Some(at);
    }

    /// Fires at `at` or when it would have fired, whichever is first.
    pub fn arm_no_later(&mut self, at: Timestamp) {
        self.at = Some(self.at.map_or(at, |old| old.min(at)));
    }

    /// Never fires.
    pub const fn disarm(&mut self) {
        self.at = None;
    }

    /// True once when the deadline has come; the timer is then disarmed.
    pub fn fire(&mut self, now: Timestamp) -> bool {
        let due = self.at.is_some_and(|at| at <= now);
        if due {
            self.at = None;
        }
        due
    }
}

/// The earlier of two deadlines, where `None` is never.
#[must_use]
pub fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_fires_once_at_its_deadline_and_not_before() {
        let mut timer = Timer::default();
        timer.arm(Timestamp::from_nanos(10));
        assert!(!timer.fire(Timestamp::from_nanos(9)));
        assert!(timer.fire(Timestamp::from_nanos(10)));
        assert!(!timer.fire(Timestamp::from_nanos(11)));
    }

    #[test]
    fn arm_no_later_only_moves_earlier() {
        let mut timer = Timer::default();
        timer.arm_no_later(Timestamp::from_nanos(10));
        timer.arm_no_later(Timestamp::from_nanos(20));
        assert_eq!(timer.deadline(), Some(Timestamp::from_nanos(10)));
        timer.arm_no_later(Timestamp::from_nanos(5));
        assert_eq!(timer.deadline(), Some(Timestamp::from_nanos(5)));
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::FAR_FUTURE + Duration::from_secs(1), Timestamp::FAR_FUTURE);
        assert_eq!(Timestamp::ZERO.saturating_since(Timestamp::from_nanos(1)), Duration::ZERO);
        assert_eq!(Timestamp::ZERO.saturating_sub(Duration::MAX), Timestamp::ZERO);
    }
}
