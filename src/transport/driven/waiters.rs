//! Those who wait, by what they wait for: a change of one connection looks only at those who wait for it.

use core::task::Waker;

use super::duty::WaiterKey;
use crate::slots::ConnectionId;
use crate::transport::{BellId, Interest};

/// A thread or a task that waits.
#[derive(Debug)]
struct Waiter {
    interests: Vec<Interest>,
    waker: Waker,
    /// It was told that something holds and has not looked since.
    woken: bool,
}

/// The list of those who wait. Coming and going takes no memory from the system once the list was as long: a thread
/// does both for each message that it waits for.
#[derive(Debug)]
pub(in crate::transport) struct Waiters {
    next_key: WaiterKey,
    /// By key, which is also the order of coming.
    waiters: Vec<(WaiterKey, Waiter)>,
    /// In order.
    by_connection: Vec<(ConnectionId, WaiterKey)>,
    /// In order.
    for_incoming: Vec<WaiterKey>,
    /// In order.
    for_any: Vec<WaiterKey>,
    /// In order.
    by_bell: Vec<(BellId, WaiterKey)>,
    /// Lists of interests that nobody uses, at most [`SPARE_MAX`].
    spare: Vec<Vec<Interest>>,
}

/// Lists of interests that are kept to be used again.
const SPARE_MAX: usize = 16;

/// What several may wait for and only one can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    /// The queue of connections not yet answered.
    Incoming,
    /// The queue of connections with something new.
    AnyConnection,
}

impl Waiters {
    /// Nobody waits.
    pub(super) const fn new() -> Self {
        Self {
            next_key: 0,
            waiters: Vec::new(),
            by_connection: Vec::new(),
            for_incoming: Vec::new(),
            for_any: Vec::new(),
            by_bell: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Puts somebody on the list.
    pub(in crate::transport) fn add(&mut self, interests: &[Interest], waker: Waker) -> WaiterKey {
        let key = self.next_key;
        self.next_key += 1;
        for interest in interests {
            match interest {
                Interest::Incoming => insert(&mut self.for_incoming, key),
                Interest::AnyConnection => insert(&mut self.for_any, key),
                Interest::Rung(bell, _) => insert(&mut self.by_bell, (*bell, key)),
                _ => interest.connection().into_iter().for_each(|id| insert(&mut self.by_connection, (id, key))),
            }
        }
        let mut list = self.spare.pop().unwrap_or_default();
        list.extend_from_slice(interests);
        self.waiters.push((key, Waiter { interests: list, waker, woken: false }));
        key
    }

    /// Takes somebody off the list. The caller then [wakes one](Self::wake_one) for each queue that is not empty: the
    /// one who leaves may have been told of it and not have taken anything.
    pub(super) fn remove(&mut self, key: WaiterKey) {
        let Some(index) = self.index(key) else { return };
        let (_, Waiter { mut interests, .. }) = self.waiters.remove(index);
        for interest in interests.drain(..) {
            match interest {
                Interest::Incoming => remove(&mut self.for_incoming, key),
                Interest::AnyConnection => remove(&mut self.for_any, key),
                Interest::Rung(bell, _) => remove(&mut self.by_bell, (bell, key)),
                _ => interest.connection().into_iter().for_each(|id| remove(&mut self.by_connection, (id, key))),
            }
        }
        if self.spare.len() < SPARE_MAX {
            self.spare.push(interests);
        }
    }

    /// What somebody waits for, where it is on the list.
    pub(in crate::transport) fn interests_mut(&mut self, key: WaiterKey) -> Option<&mut Vec<Interest>> {
        self.get_mut(key).map(|waiter| &mut waiter.interests)
    }

    /// Somebody has looked and goes back to sleep: the next time something holds it must be woken again.
    pub(in crate::transport) fn on_looked(&mut self, key: WaiterKey) {
        if let Some(waiter) = self.get_mut(key) {
            waiter.woken = false;
        }
    }

    /// True when somebody was told that something holds, and has not looked since.
    pub(in crate::transport) fn is_woken(&self, key: WaiterKey) -> bool {
        self.index(key).is_some_and(|index| self.waiters[index].1.woken)
    }

    /// Replaces the waker of a task that moved.
    pub(in crate::transport) fn set_waker(&mut self, key: WaiterKey, waker: &Waker) {
        if let Some(waiter) = self.get_mut(key) {
            waiter.waker.clone_from(waker);
        }
    }

    /// Collects the wakers of those whose interest in `id` holds now, by `holds`; not of `me`, who is awake.
    pub(super) fn wake_for(
        &mut self,
        id: ConnectionId,
        me: Option<WaiterKey>,
        wakers: &mut Vec<Waker>,
        holds: impl Fn(&Interest) -> bool,
    ) {
        let first = self.by_connection.partition_point(|(other, _)| *other < id);
        for place in first..self.by_connection.len() {
            let (other, key) = self.by_connection[place];
            if other != id {
                return;
            }
            let Some(waiter) = self.get_mut(key) else { continue };
            if !waiter.woken && waiter.interests.iter().any(|one| one.connection() == Some(id) && holds(one)) {
                waiter.tell(Some(key) == me, wakers);
            }
        }
    }

    /// A bell was rung: collects the wakers of those who wait for it.
    pub(super) fn wake_rung(&mut self, bell: BellId, wakers: &mut Vec<Waker>) {
        let first = self.by_bell.partition_point(|(other, _)| *other < bell);
        for place in first..self.by_bell.len() {
            let (other, key) = self.by_bell[place];
            if other != bell {
                return;
            }
            if let Some(waiter) = self.get_mut(key).filter(|waiter| !waiter.woken) {
                waiter.tell(false, wakers);
            }
        }
    }

    /// Something came into a queue: collects the waker of one who waits for it and was not told of anything yet.
    /// `me`, who is awake, goes first.
    pub(super) fn wake_one(&mut self, queue: Shared, me: Option<WaiterKey>, wakers: &mut Vec<Waker>) {
        let waiting = match queue {
            Shared::Incoming => &self.for_incoming,
            Shared::AnyConnection => &self.for_any,
        };
        let me = me.filter(|me| waiting.binary_search(me).is_ok());
        let next = me.into_iter().chain(waiting.iter().copied()).find(|key| !self.is_woken(*key));
        if let Some(key) = next
            && let Some(waiter) = self.get_mut(key)
        {
            waiter.tell(Some(key) == me, wakers);
        }
    }

    /// Collects everybody's waker: the transport failed.
    pub(super) fn wake_all(&mut self, wakers: &mut Vec<Waker>) {
        for (_, waiter) in &mut self.waiters {
            waiter.tell(false, wakers);
        }
    }

    fn index(&self, key: WaiterKey) -> Option<usize> {
        self.waiters.binary_search_by_key(&key, |(key, _)| *key).ok()
    }

    fn get_mut(&mut self, key: WaiterKey) -> Option<&mut Waiter> {
        self.index(key).map(|index| &mut self.waiters[index].1)
    }
}

/// Puts `item` into its place in an ordered list, once.
fn insert<T: Ord>(list: &mut Vec<T>, item: T) {
    if let Err(place) = list.binary_search(&item) {
        list.insert(place, item);
    }
}

/// Takes `item` out of an ordered list, where it is in there.
fn remove<T: Ord>(list: &mut Vec<T>, item: T) {
    if let Ok(place) = list.binary_search(&item) {
        list.remove(place);
    }
}

impl Waiter {
    fn tell(&mut self, awake: bool, wakers: &mut Vec<Waker>) {
        self.woken = true;
        if !awake {
            wakers.push(self.waker.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::message::Select;
    use crate::slots::Slots;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Adds a waiter; how often it was woken can be read off the count.
    fn add(waiters: &mut Waiters, interests: &[Interest]) -> (WaiterKey, Arc<Count>) {
        let count = Arc::new(Count::default());
        (waiters.add(interests, Waker::from(Arc::clone(&count))), count)
    }

    fn wake(wakers: Vec<Waker>) {
        wakers.into_iter().for_each(Waker::wake);
    }

    fn woken(count: &Count) -> usize {
        count.0.load(Ordering::SeqCst)
    }

    #[test]
    fn a_change_wakes_those_whose_interest_in_that_connection_holds_and_only_once() {
        let mut slots = Slots::default();
        let (a, b) = (slots.insert(()), slots.insert(()));
        let mut waiters = Waiters::new();
        let (reader, of_a) = add(&mut waiters, &[Interest::Readable(a, Select::Any)]);
        let (_, writer_of_a) = add(&mut waiters, &[Interest::Writable(a, 0)]);
        let (_, of_b) = add(&mut waiters, &[Interest::Readable(b, Select::Any)]);
        let readable = |interest: &Interest| matches!(interest, Interest::Readable(..));
        for _ in 0..2 {
            let mut wakers = Vec::new();
            waiters.wake_for(a, None, &mut wakers, readable);
            wake(wakers);
        }
        assert_eq!((woken(&of_a), woken(&writer_of_a), woken(&of_b)), (1, 0, 0));
        waiters.on_looked(reader);
        let mut wakers = Vec::new();
        waiters.wake_for(a, None, &mut wakers, readable);
        wake(wakers);
        assert_eq!(woken(&of_a), 2);
        waiters.remove(reader);
        let mut wakers = Vec::new();
        waiters.wake_for(a, None, &mut wakers, readable);
        assert!(wakers.is_empty());
    }

    #[test]
    fn each_thing_in_a_queue_wakes_another_of_those_who_wait_for_it() {
        let mut waiters = Waiters::new();
        let (first, of_first) = add(&mut waiters, &[Interest::AnyConnection]);
        let (_, of_second) = add(&mut waiters, &[Interest::AnyConnection]);
        let mut wakers = Vec::new();
        waiters.wake_one(Shared::AnyConnection, None, &mut wakers);
        waiters.wake_one(Shared::AnyConnection, None, &mut wakers);
        waiters.wake_one(Shared::AnyConnection, None, &mut wakers);
        waiters.wake_one(Shared::Incoming, None, &mut wakers);
        wake(wakers);
        assert_eq!((woken(&of_first), woken(&of_second)), (1, 1));
        assert!(waiters.is_woken(first));
    }

    #[test]
    fn whoever_is_awake_takes_from_the_queue_without_a_wake() {
        let mut waiters = Waiters::new();
        let (_, of_other) = add(&mut waiters, &[Interest::Incoming]);
        let (me, of_me) = add(&mut waiters, &[Interest::Incoming]);
        let mut wakers = Vec::new();
        waiters.wake_one(Shared::Incoming, Some(me), &mut wakers);
        wake(wakers);
        assert!(waiters.is_woken(me));
        assert_eq!((woken(&of_other), woken(&of_me)), (0, 0));
    }

    #[test]
    fn a_ring_wakes_all_who_wait_for_that_bell_and_only_once_before_they_look() {
        let (rung, silent) = (BellId::new(1), BellId::new(2));
        let mut waiters = Waiters::new();
        let (first, of_first) = add(&mut waiters, &[Interest::Incoming, Interest::Rung(rung, 0)]);
        let (_, of_second) = add(&mut waiters, &[Interest::Rung(rung, 0)]);
        let (_, of_other) = add(&mut waiters, &[Interest::Rung(silent, 0)]);
        let ring = |waiters: &mut Waiters| {
            let mut wakers = Vec::new();
            waiters.wake_rung(rung, &mut wakers);
            wake(wakers);
        };
        ring(&mut waiters);
        ring(&mut waiters);
        assert_eq!((woken(&of_first), woken(&of_second), woken(&of_other)), (1, 1, 0));
        waiters.on_looked(first);
        ring(&mut waiters);
        assert_eq!((woken(&of_first), woken(&of_second)), (2, 1));
        waiters.remove(first);
        ring(&mut waiters);
        assert_eq!(woken(&of_first), 2);
    }
}
