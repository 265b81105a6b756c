//! An invite that is over goes on saying so for a while: whoever looks for it by its code finds it, and is refused with
//! the reason, where it would else hear nothing. `spec/pairing.md`, section "When an invite is over".

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::pairing::Inviting;
use crate::transport::discovery::{Discovery, PollError};
use crate::transport::driven::Joining;

/// For so long.
pub(super) const TOMB_KEPT: Duration = Duration::from_secs(60);
/// It is gone so long after its transport, at most.
const LOOK_EACH: Duration = Duration::from_millis(500);
/// So many at once keep a transport that nobody else holds any more.
const KEEPING_MAX: usize = 16;

/// How many do.
static KEEPING: AtomicUsize = AtomicUsize::new(0);

/// The invite was used: says so for as long as somebody holds the transport that its guest came to. Does not block.
pub(super) fn of_used(transport: &Arc<dyn Joining>, discovery: Discovery<Inviting>) {
    let held = Arc::downgrade(transport);
    stand(transport, discovery, move || held.strong_count() > 0);
}

/// The invite was burnt, or nobody came in time: says so, and keeps the transport that says why. Does not block.
pub(super) fn of_dead(transport: &Arc<dyn Joining>, discovery: Discovery<Inviting>) {
    if let Some(kept) = Kept::new(Arc::clone(transport)) {
        stand(transport, discovery, move || kept.is_held());
    }
}

/// Answers whoever asks, on a thread of its own. Where there is none to be had nobody is told.
fn stand(
    transport: &Arc<dyn Joining>,
    mut discovery: Discovery<Inviting>,
    goes_on: impl Fn() -> bool + Send + 'static,
) {
    discovery.retire();
    let end = discovery.now() + TOMB_KEPT;
    let main = move || {
        while goes_on() && discovery.now() < end {
            if let Err(PollError::Broken(_)) = discovery.poll((discovery.now() + LOOK_EACH).min(end)) {
                return;
            }
        }
    };
    let _told = transport.spawn_thread("udpair-tomb", Box::new(main));
}

/// A transport that lives for its tomb alone.
struct Kept(Arc<dyn Joining>);

impl Kept {
    fn new(transport: Arc<dyn Joining>) -> Option<Self> {
        let room = |count: usize| (count < KEEPING_MAX).then_some(count + 1);
        KEEPING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok().map(|_| Self(transport))
    }

    /// True for as long as this is: by this.
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEEPING.fetch_sub(1, Ordering::Relaxed);
    }
}
