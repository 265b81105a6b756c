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
    /// it, if anybody must; an error where nobody can. The same as over UDP.
    pub(super) fn room_to_challenge(
        &self,
        now: Timestamp,
        source: IpAddr,
        room: usize,
    ) -> Result<Option<ConnectionId>, NoRoom> {
        let count_of = |source: IpAddr| self.challenged.iter().filter(|(_, _, of)| *of == source).count();
        let own = count_of(source);
        let old = |entry: &(Timestamp, ConnectionId, IpAddr)| entry.0 + EVICTED_FROM <= now;
        let gives_way = if own >= SEALED_HALF_OPEN_PER_SOURCE_MAX {
            self.challenged.iter().find(|(_, _, of)| *of == source).filter(|oldest| old(oldest))
        } else if self.challenged.len() < SEALED_HALF_OPEN_MAX.min(room) {
            return Ok(None);
        } else {
            // Of one that has more than its share, as old as may be.
            let greedy = self.challenged.iter().map(|(_, _, of)| *of).max_by_key(|of| count_of(*of));
            match greedy.filter(|greedy| count_of(*greedy) > own + 1) {
                Some(greedy) => self.challenged.iter().find(|(_, _, of)| *of == greedy),
                None => self.challenged.first().filter(|oldest| old(oldest)),
            }
        };
        gives_way.map(|(_, id, _)| Some(*id)).ok_or(NoRoom)
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

    #[test]
    fn whoever_is_asked_for_many_proofs_gives_way_to_who_is_asked_for_few() {
        let mut slots = Slots::default();
        let mut strangers = Strangers::default();
        let source = |n: usize| IpAddr::from([10, 0, 0, u8::try_from(n).unwrap()]);
        let mut first = None;
        for n in 0..SEALED_HALF_OPEN_MAX {
            assert_eq!(strangers.room_to_challenge(ms(0), source(n / 8), usize::MAX), Ok(None), "{n}");
            let id = slots.insert(());
            first = first.or(Some(id));
            strangers.on_challenged(ms(n as u64), id, source(n / 8));
        }
        let room = |strangers: &Strangers, at, n, room| strangers.room_to_challenge(ms(at), source(n), room);
        assert_eq!(room(&strangers, 70, 0, usize::MAX), Err(NoRoom), "it has 8 itself");
        assert_eq!(room(&strangers, 250, 0, usize::MAX), Ok(first), "the oldest of these is old enough");
        // Whichever has the most, its oldest.
        let gives_way = room(&strangers, 70, 100, usize::MAX).unwrap().expect("somebody");
        let of = strangers.challenged.iter().filter(|(_, id, of)| *id == gives_way && *of != source(100)).count();
        assert_eq!(of, 1);
        assert_eq!(room(&Strangers::default(), 70, 100, 0), Err(NoRoom));
    }

    #[test]
    fn where_nobody_has_more_than_one_the_oldest_gives_way_once_it_is_old() {
        let mut slots = Slots::default();
        let mut strangers = Strangers::default();
        let source = |n: usize| IpAddr::from([10, 0, 0, u8::try_from(n).unwrap()]);
        let ids: Vec<_> = (0..SEALED_HALF_OPEN_MAX).map(|_| slots.insert(())).collect();
        for (n, id) in ids.iter().enumerate() {
            strangers.on_challenged(ms(100), *id, source(n));
        }
        assert_eq!(strangers.room_to_challenge(ms(349), source(200), usize::MAX), Err(NoRoom));
        assert_eq!(strangers.room_to_challenge(ms(350), source(200), usize::MAX), Ok(Some(ids[0])));
    }
}
