//! The real clock, sleep and threads: the one file that asks the operating system for them.

use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

use super::spawn::{Joiner, Panicked};
use crate::time::Timestamp;

/// What every [`Timestamp`] of this process counts from.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "the real back ends' clock")]
    *ORIGIN.get_or_init(Instant::now)
}

/// The time since this process first asked.
pub(crate) fn now() -> Timestamp {
    let origin = origin();
    #[expect(clippy::disallowed_methods, reason = "the real back ends' clock")]
    let elapsed = Instant::now().saturating_duration_since(origin);
    Timestamp::ZERO + elapsed
}

/// Blocks the calling thread until `until`.
pub(crate) fn sleep_until(until: Timestamp) {
    loop {
        let left = until.saturating_since(now());
        if left == Duration::ZERO {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "the real back ends' clock")]
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
