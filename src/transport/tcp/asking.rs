//! Asking for receipts that an application waits for. `spec/tcp.md`, section "RECEIVED".

use core::time::Duration;

use crate::time::{Timer, Timestamp};

/// How long a receipt that is waited for has to come unasked: most ride on something sooner.
const PATIENCE: Duration = Duration::from_micros(500);

/// When to ask.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// The application waits, or has waited for what was sent since.
    begun: bool,
    timer: Timer,
}

impl Asking {
    /// The application begins to wait. False where that is known.
    pub(super) fn begin(&mut self, now: Timestamp) -> bool {
        if core::mem::replace(&mut self.begun, true) {
            return false;
        }
        self.timer.arm(now + PATIENCE);
        true
    }

    /// A record goes out that is to be confirmed, perhaps the one that asks: what is in it is waited for, too.
    pub(super) fn on_sent(&mut self, now: Timestamp, asks: bool) {
        if self.begun && !asks {
            self.timer.arm_no_later(now + PATIENCE);
        }
    }

    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        self.timer.deadline()
    }

    /// True when it is time to ask: where anything is still `lacking`.
    pub(super) fn handle_timeout(&mut self, now: Timestamp, lacking: bool) -> bool {
        let due = self.timer.fire(now);
        self.begun &= lacking;
        due && lacking
    }
}
