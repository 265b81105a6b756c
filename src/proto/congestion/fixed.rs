//! A window that never changes.

use crate::time::Timestamp;

use super::{Acked, Controller};

/// Deaf to the network: for benchmarks that want to know what the rest of the machinery can do.
#[derive(Clone, Debug)]
pub struct Fixed {
    window: u64,
    mtu: u64,
}

impl Fixed {
    /// A window of `window` bytes, but never below two datagrams.
    #[must_use]
    pub const fn new(window: u64, mtu: u64) -> Self {
        Self { window, mtu }
    }
}

impl Controller for Fixed {
    fn on_acked(&mut self, _: &Acked<'_>) {}

    fn on_congestion(&mut self, _: Timestamp, _: bool) {}

    fn on_undo(&mut self) {}

    fn on_mtu(&mut self, mtu: u64) {
        self.mtu = mtu;
    }

    fn window(&self) -> u64 {
        self.window.max(2 * self.mtu)
    }

    fn name(&self) -> &'static str {
        "fixed"
    }
}
