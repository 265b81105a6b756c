//! The real clock, sleep and threads: the one file that asks the operating system for them.

use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

use rustix::time::{ClockId, Timespec, clock_gettime};

use super::spawn::{Joiner, Panicked};
use crate::time::Timestamp;

/// What every [`Timestamp`] of this process counts from, as this process and as the kernel name it.
fn origin() -> &'static (Instant, Timespec) {
    static ORIGIN: OnceLock<(Instant, Timespec)> = OnceLock::new();
    // The kernel's is read later, so that a timer set by it fires at its time or nanoseconds after, and not before.
    #[expect(clippy::disallowed_methods, reason = "the real back ends' clock")]
    ORIGIN.get_or_init(|| (Instant::now(), clock_gettime(ClockId::Monotonic)))
}

/// The time since this process first asked.
pub(crate) fn now() -> Timestamp {
    let (origin, _) = origin();
    #[expect(clippy::disallowed_methods, reason = "the real back ends' clock")]
    let elapsed = Instant::now().saturating_duration_since(*origin);
    Timestamp::ZERO + elapsed
}

/// `at` as a time of the kernel's monotonic clock.
pub(crate) fn system_time(at: Timestamp) -> Timespec {
    let (_, origin) = origin();
    let nanos = origin.tv_nsec.unsigned_abs() + at.as_nanos() % 1_000_000_000;
    let seconds = at.as_nanos() / 1_000_000_000 + nanos / 1_000_000_000;
    Timespec {
        tv_sec: origin.tv_sec.saturating_add_unsigned(seconds),
        tv_nsec: i64::try_from(nanos % 1_000_000_000).expect("below a second"),
    }
}

/// `duration` as the kernel takes it.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// Blocks the calling thread until `until`.
pub(crate) fn sleep_until(until: Timestamp) {
    loop {
        let left = until.saturating_since(now());
        if left == Duration::ZERO {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "the real back ends' sleep")]
        std::thread::sleep(left);
    }
}

/// Runs `main` on a thread of the operating system's.
pub(crate) fn spawn(name: &str, main: Box<dyn FnOnce() + Send>) -> std::io::Result<Joiner> {
    let handle = std::thread::Builder::new().name(name.to_owned()).spawn(main)?;
    Ok(Joiner::new(move || {
        handle.join().map_err(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Panicked { message: text.unwrap_or_else(|| "no text".to_owned()) }
        })
    }))
}
