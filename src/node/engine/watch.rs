//! Waiting at several transports at once: as a thread at one of them, as a task at the others.

use core::task::{Context, Poll};
use std::sync::Arc;

use crate::time::Timestamp;
use crate::transport::{Bell, Interest, Transport, WaitError, WaitSlot};

/// What is waited for at one transport. `W` says what an interest is for.
pub(super) struct Watch<W> {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) interests: Vec<Interest>,
    /// One for each interest.
    pub(super) whose: Vec<W>,
    slot: WaitSlot,
}

impl<W> Watch<W> {
    pub(super) const fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, interests: Vec::new(), whose: Vec::new(), slot: WaitSlot::new() }
    }

    pub(super) fn add(&mut self, interest: Interest, whose: W) {
        self.interests.push(interest);
        self.whose.push(whose);
    }

    /// Nothing is waited for any more; the place among those who wait is kept for the same again.
    pub(super) fn clear(&mut self) {
        self.interests.clear();
        self.whose.clear();
    }

    /// True when it is of this transport.
    pub(super) fn is_of(&self, transport: &Arc<dyn Transport>) -> bool {
        Arc::ptr_eq(&self.transport, transport)
    }

    /// Which interest holds, if one does. Where none does, `bell` is rung when one may.
    pub(super) fn poll(&mut self, bell: &Bell) -> Result<Option<usize>, WaitError> {
        if self.interests.is_empty() {
            self.slot.clear();
            return Ok(None);
        }
        match self.transport.poll_wait(&mut self.slot, &self.interests, &mut Context::from_waker(bell.waker())) {
            Poll::Ready(ready) => ready.map(|ready| Some(ready.index)),
            Poll::Pending => Ok(None),
        }
    }
}

/// Finds in `watches` the one of `transport`, or adds it.
pub(super) fn watch_at<'a, W>(watches: &'a mut Vec<Watch<W>>, transport: &Arc<dyn Transport>) -> &'a mut Watch<W> {
    let at = watches.iter().position(|watch| watch.is_of(transport)).unwrap_or_else(|| {
        watches.push(Watch::new(Arc::clone(transport)));
        watches.len() - 1
    });
    &mut watches[at]
}

/// Waits until something of `watches` holds, which is returned, or `bell` was rung since `seen`. The bell hangs at one
/// of their transports: there the thread waits, and reads the socket; at the others it is a task.
///
/// # Errors
/// As [`Transport::wait`].
pub(super) fn wait<W: Clone>(
    watches: &mut [Watch<W>],
    bell: &Bell,
    seen: u64,
    until: Option<Timestamp>,
) -> Result<Option<W>, WaitError> {
    for watch in watches.iter_mut().filter(|watch| !bell.hangs_at(&watch.transport)) {
        if let Some(index) = watch.poll(bell)? {
            return Ok(watch.whose.get(index).cloned());
        }
    }
    let own = watches.iter().find(|watch| bell.hangs_at(&watch.transport));
    let mut interests = own.map_or_else(Vec::new, |watch| watch.interests.clone());
    interests.push(bell.interest(seen));
    let ready = bell.transport().wait(&interests, until)?;
    Ok(own.and_then(|watch| watch.whose.get(ready.index).cloned()))
}
