//! Streams whose callers have not said yet what they want, or not proven yet that they may: how many there may be, and
//! who goes first.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use crate::proto::listener::{SEALED_HALF_OPEN_MAX, SEALED_HALF_OPEN_PER_SOURCE_MAX};
use crate::slots::ConnectionId;
use crate::time::Timestamp;

/// Streams of strangers that there may be; beyond it nobody is accepted until one has spoken or is old enough. The
/// same as over UDP.
pub(super) const STRANGERS_MAX: usize = 256;
/// One of this age gives its place up; a younger one may still be about to speak.
const EVICTED_FROM: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    by_age: BTreeSet<(Timestamp, ConnectionId)>,
    /// Those of them that each have cost a key agreement and have yet to prove that they have the secret, by the time
    /// of that. Not many.
    challenged: BTreeSet<(Timestamp, ConnectionId, IpAddr)>,
}

impl Strangers {
    pub(super) fn insert(&mut self, since: Timestamp, id: ConnectionId) {
        self.by_age.insert((since, id));
    }

    pub(super) fn remove(&mut self, since: Timestamp, id: ConnectionId) {
        self.by_age.remove(&(since, id));
        self.challenged.retain(|(_, challenged, _)| *challenged != id);
    }

    /// One of them has been asked for its proof. There is [room](Self::room_to_challenge) for it.
    pub(super) fn on_challenged(&mut self, now: Timestamp, id: ConnectionId, source: IpAddr) {
        self.challenged.insert((now, id, source));
    }

    /// All that have been asked for their proof.
    pub(super) fn challenged(&self) -> impl Iterator<Item = ConnectionId> {
        self.challenged.iter().map(|(_, id, _)| *id)
    }

    /// Whether one from `source` may be asked for its proof, where `room` are wanted at the most: who must give way to
    /// it, if anybody must; an error where nobody can.
    pub(super) fn room_to_challenge(
        &self,
        now: Timestamp,
        source: IpAddr,
        room: usize,
    ) -> Result<Option<ConnectionId>, NoRoom> {
        let mut of_source = self.challenged.iter().filter(|(_, _, of)| *of == source);
        let oldest_of_source = of_source.next();
        let many_of_source = 1 + of_source.count() >= SEALED_HALF_OPEN_PER_SOURCE_MAX;
        let oldest = match oldest_of_source {
            Some(oldest) if many_of_source => oldest,
            _ if self.challenged.len() < SEALED_HALF_OPEN_MAX.min(room) => return Ok(None),
            _ => self.challenged.first().ok_or(NoRoom)?,
        };
        let (since, id, _) = *oldest;
        if since + EVICTED_FROM <= now { Ok(Some(id)) } else { Err(NoRoom) }
    }

    /// Whoever must give way to one that comes now.
    pub(super) fn evict(&mut self, now: Timestamp) -> Option<ConnectionId> {
        let oldest = *self.by_age.first().filter(|_| self.is_full())?;
        (oldest.0 + EVICTED_FROM <= now).then(|| {
            self.remove(oldest.0, oldest.1);
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

/// No more can be asked for their proof now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

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
