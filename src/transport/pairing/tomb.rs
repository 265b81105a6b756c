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
/// So many at once, each with a thread and a few descriptors: of the next invite nobody is told.
const TOMBS_MAX: usize = 16;

/// How many there are.
static TOMBS: AtomicUsize = AtomicUsize::new(0);

/// The invite was used: says so for as long as somebody holds the transport that its guest came to. Does not block.
pub(super) fn of_used(transport: &Arc<dyn Joining>, discovery: Discovery<Inviting>) {
    let held = Arc::downgrade(transport);
    stand(transport, discovery, move || held.strong_count() > 0);
}

/// The invite was burnt, or nobody came in time: says so, and keeps the transport that says why. Does not block.
pub(super) fn of_dead(transport: &Arc<dyn Joining>, discovery: Discovery<Inviting>) {
    let kept = Arc::clone(transport);
    stand(transport, discovery, move || {
        let _kept = &kept;
        true
    });
}

/// Answers whoever asks, on a thread of its own. Where there is none to be had, or no place, nobody is told.
fn stand(
    transport: &Arc<dyn Joining>,
    mut discovery: Discovery<Inviting>,
    goes_on: impl Fn() -> bool + Send + 'static,
) {
    let Some(place) = Place::take(&TOMBS) else { return };
    discovery.retire();
    let end = discovery.now() + TOMB_KEPT;
    let main = move || {
        let _place = place;
        while goes_on() && discovery.now() < end {
            if let Err(PollError::Broken(_)) = discovery.poll((discovery.now() + LOOK_EACH).min(end)) {
                return;
            }
        }
    };
    let _told = transport.spawn_thread("udpair-tomb", Box::new(main));
}

/// One of the places that there are, given back when it is dropped.
struct Place(&'static AtomicUsize);

impl Place {
    fn take(taken: &'static AtomicUsize) -> Option<Self> {
        let room = |count: usize| (count < TOMBS_MAX).then_some(count + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok().map(|_| Self(taken))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_sixteen_places_and_one_that_is_given_back_is_another_ones() {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let mut places: Vec<Place> = (0..100).map_while(|_| Place::take(&TAKEN)).collect();
        assert_eq!(places.len(), TOMBS_MAX);
        places.pop();
        places.extend(Place::take(&TAKEN));
        assert_eq!(places.len(), TOMBS_MAX);
        assert!(Place::take(&TAKEN).is_none());
        drop(places);
        assert_eq!(TAKEN.load(Ordering::Relaxed), 0);
    }
}
