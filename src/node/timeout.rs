//! How long a read waits, as a setting that every handle shares.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

/// The timeout at first.
const DEFAULT: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Clone)]
pub(super) struct Timeout(Arc<AtomicU64>);

impl Timeout {
    pub(super) fn new() -> Self {
        let timeout = Self(Arc::new(AtomicU64::new(0)));
        timeout.set(DEFAULT);
        timeout
    }

    pub(super) fn set(&self, timeout: Duration) {
        self.0.store(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}
