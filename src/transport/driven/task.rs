//! A place on the list of those who wait, and waiting as a task.

use core::task::{Context, Poll};
use std::ops::Deref;
use std::sync::Arc;

use super::core::{Core as _, Io};
use super::duty::{Timer, WaiterKey, Wake};
use super::ground::Ground as _;
use super::shared::Shared;
use crate::transport::{Interest, Ready, WaitError, WaitSlot, clock};

/// A place on the list of those who wait; given up when it is dropped. `S` leads to the list: a reference for a thread,
/// which stays inside, an `Arc` for a task, which does not.
pub(super) struct Place<I: Io, S: Deref<Target = Shared<I>>> {
    shared: S,
    key: WaiterKey,
}

impl<I: Io, S: Deref<Target = Shared<I>>> Place<I, S> {
    pub(super) const fn new(shared: S, key: WaiterKey) -> Self {
        Self { shared, key }
    }
}

impl<I: Io, S: Deref<Target = Shared<I>>> Drop for Place<I, S> {
    fn drop(&mut self) {
        let mut wakers = Vec::new();
        self.shared.state().leave(self.key, &mut wakers);
        for waker in wakers {
            waker.wake();
        }
    }
}

/// A task's place. While there is one the keeper is never away from the socket for long.
struct TaskPlace<I: Io>(Place<I, Arc<Shared<I>>>);

impl<I: Io> TaskPlace<I> {
    fn new(shared: &Arc<Shared<I>>, key: WaiterKey) -> Self {
        shared.decide(|duty| ((), duty.enter_task(), Wake::Nobody));
        Self(Place::new(Arc::clone(shared), key))
    }
}

impl<I: Io> Drop for TaskPlace<I> {
    fn drop(&mut self) {
        self.0.shared.decide(|duty| (duty.leave_task(), Timer::Keep, Wake::Nobody));
    }
}

/// Looks whether one of `interests` holds, and otherwise leaves the task's waker where it will be found. The socket is
/// the keeper's, or that of a thread that waits.
pub(super) fn poll_wait<I: Io>(
    shared: &Arc<Shared<I>>,
    slot: &mut WaitSlot,
    interests: &[Interest],
    cx: &Context<'_>,
) -> Poll<Result<Ready, WaitError>> {
    let mut state = shared.state();
    if let Some(result) = state.check(interests) {
        drop(state);
        slot.clear();
        return Poll::Ready(result);
    }
    let held = slot
        .held::<TaskPlace<I>>()
        .filter(|TaskPlace(place)| Arc::ptr_eq(&place.shared, shared))
        .map(|TaskPlace(place)| place.key);
    let stays = held.is_some_and(|key| state.waiters.interests_mut(key).is_some_and(|old| *old == interests));
    let key = match held {
        Some(key) if stays => {
            state.waiters.set_waker(key, cx.waker());
            state.waiters.on_looked(key);
            key
        }
        _ => state.waiters.add(interests, cx.waker().clone()),
    };
    let now = clock::now();
    state.core.handle_wait(now);
    let work = state.poll(now, None);
    drop(state);
    if !stays {
        // This drops the old place, which takes the lock.
        slot.hold(TaskPlace::new(shared, key));
    }
    shared.finish(work, None);
    Poll::Pending
}
