//! Streams whose callers have not said yet what they want: how many there may be, and who goes first.

use core::time::Duration;
use std::collections::BTreeSet;

use crate::slots::ConnectionId;
use crate::time::Timestamp;

/// Streams without a HELLO2 that there may be; beyond it nobody is accepted until one has spoken or is old enough. The
/// same as over UDP.
pub(super) const STRANGERS_MAX: usize = 256;
/// One of this age gives its place up; a younger one may still be about to speak.
const EVICTED_FROM: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    by_age: BTreeSet<(Timestamp, ConnectionId)>,
}

impl Strangers {
    pub(super) fn insert(&mut self, since: Timestamp, id: ConnectionId) {
        self.by_age.insert((since, id));
    }

    pub(super) fn remove(&mut self, since: Timestamp, id: ConnectionId) {
        self.by_age.remove(&(since, id));
    }

    /// Whoever must give way to one that comes now.
    pub(super) fn evict(&mut self, now: Timestamp) -> Option<ConnectionId> {
        let oldest = *self.by_age.first().filter(|_| self.is_full())?;
        (oldest.0 + EVICTED_FROM <= now).then(|| {
            self.by_age.remove(&oldest);
            oldest.1
        })
    }

    /// From when on somebody may come; `None`: now.
    pub(super) fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let (oldest, _) = self.by_age.first().filter(|_| self.is_full())?;
        Some(*oldest + EVICTED_FROM).filter(|until| *until > now)
    }

    /// True where nobody was told in time that nobody is to come.
    pub(super) fn is_overfull(&self) -> bool {
        self.by_age.len() >= 2 * STRANGERS_MAX
    }

    fn is_full(&self) -> bool {
        self.by_age.len() >= STRANGERS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    const fn ms(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn the_oldest_gives_way_once_it_has_been_silent_for_a_while() {
        let mut slots = Slots::default();
        let ids: Vec<_> = (0..STRANGERS_MAX).map(|_| slots.insert(())).collect();
        let mut strangers = Strangers::default();
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(strangers.closed_until(ms(1_000)), None, "with {at}");
            strangers.insert(ms(100 + at as u64), *id);
        }
        assert_eq!(strangers.closed_until(ms(349)), Some(ms(350)));
        assert_eq!(strangers.evict(ms(349)), None);
        assert_eq!(strangers.closed_until(ms(350)), None);
        assert_eq!(strangers.evict(ms(350)), Some(ids[0]));
        // One place is free: nobody has to go for the next.
        assert_eq!(strangers.evict(ms(9_999)), None);
        strangers.insert(ms(350), ids[0]);
        strangers.remove(ms(101), ids[1]);
        assert_eq!(strangers.closed_until(ms(350)), None);
    }
}
