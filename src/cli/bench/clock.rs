//! The one place in which the bench reads the system's clock: the raw baselines have no transport to ask.

use std::time::Instant;

/// The time now, on the system's monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the raw baselines have no transport whose clock they could ask")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
