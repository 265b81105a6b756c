//! Those who wait, by what they wait for: a change of one connection looks only at those who wait for it.

use core::task::Waker;
use std::collections::{BTreeMap, BTreeSet};

use super::duty::WaiterKey;
use crate::slots::ConnectionId;
use crate::transport::Interest;

/// A thread or a task that waits.
#[derive(Debug)]
struct Waiter {
    interests: Vec<Interest>,
    waker: Waker,
    /// It was told that something holds and has not looked since.
    woken: bool,
}

/// The list of those who wait.
#[derive(Debug)]
pub(super) struct Waiters {
    next_key: WaiterKey,
    waiters: BTreeMap<WaiterKey, Waiter>,
    by_connection: BTreeSet<(ConnectionId, WaiterKey)>,
    for_incoming: BTreeSet<WaiterKey>,
    for_any: BTreeSet<WaiterKey>,
}

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
            waiters: BTreeMap::new(),
            by_connection: BTreeSet::new(),
            for_incoming: BTreeSet::new(),
            for_any: BTreeSet::new(),
        }
    }

    /// Puts somebody on the list.
    pub(super) fn add(&mut self, interests: &[Interest], waker: Waker) -> WaiterKey {
        let key = self.next_key;
        self.next_key += 1;
        for interest in interests {
            match interest {
                Interest::Incoming => drop(self.for_incoming.insert(key)),
                Interest::AnyConnection => drop(self.for_any.insert(key)),
                _ => self.by_connection.extend(interest.connection().map(|id| (id, key))),
            }
        }
        self.waiters.insert(key, Waiter { interests: interests.to_vec(), waker, woken: false });
        key
    }

    /// Takes somebody off the list. The caller then [wakes one](Self::wake_one) for each queue that is not empty: the
    /// one who leaves may have been told of it and not have taken anything.
    pub(super) fn remove(&mut self, key: WaiterKey) {
        let Some(waiter) = self.waiters.remove(&key) else { return };
        for interest in &waiter.interests {
            match interest {
                Interest::Incoming => drop(self.for_incoming.remove(&key)),
                Interest::AnyConnection => drop(self.for_any.remove(&key)),
                _ => drop(interest.connection().map(|id| self.by_connection.remove(&(id, key)))),
            }
        }
    }

    /// What somebody waits for, where it is on the list.
    pub(super) fn interests_mut(&mut self, key: WaiterKey) -> Option<&mut Vec<Interest>> {
        self.waiters.get_mut(&key).map(|waiter| &mut waiter.interests)
    }

    /// Somebody has looked and goes back to sleep: the next time something holds it must be woken again.
    pub(super) fn on_looked(&mut self, key: WaiterKey) {
        if let Some(waiter) = self.waiters.get_mut(&key) {
            waiter.woken = false;
        }
    }

    /// True when somebody was told that something holds, and has not looked since.
    pub(super) fn is_woken(&self, key: WaiterKey) -> bool {
        self.waiters.get(&key).is_some_and(|waiter| waiter.woken)
    }

    /// Replaces the waker of a task that moved.
    pub(super) fn set_waker(&mut self, key: WaiterKey, waker: &Waker) {
        if let Some(waiter) = self.waiters.get_mut(&key) {
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
        for &(_, key) in self.by_connection.range((id, WaiterKey::MIN)..=(id, WaiterKey::MAX)) {
            let Some(waiter) = self.waiters.get_mut(&key) else { continue };
            if !waiter.woken && waiter.interests.iter().any(|one| one.connection() == Some(id) && holds(one)) {
                waiter.tell(Some(key) == me, wakers);
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
        for key in me.into_iter().filter(|me| waiting.contains(me)).chain(waiting.iter().copied()) {
            let Some(waiter) = self.waiters.get_mut(&key) else { continue };
            if !waiter.woken {
                waiter.tell(Some(key) == me, wakers);
                return;
            }
        }
    }

    /// Collects everybody's waker: the transport failed.
    pub(super) fn wake_all(&mut self, wakers: &mut Vec<Waker>) {
        for waiter in self.waiters.values_mut() {
            waiter.tell(false, wakers);
        }
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
}
