//! Waiting at several transports at once: as a thread at one of them, as a task at the others.

use core::task::{Context, Poll};
use std::sync::Arc;

use crate::time::Timestamp;
use crate::transport::{Bell, Interest, Transport, WaitError, WaitSlot};

/// What is waited for at all transports. `W` says what an interest is for. Of several that hold the one that was added
/// first is told of, wherever it is: a transport where much happens keeps no other from being heard, as long as who
/// adds takes turns.
pub(super) struct Watches<W> {
    watches: Vec<Watch<W>>,
    added: usize,
}

/// What is waited for at one transport.
struct Watch<W> {
    transport: Arc<dyn Transport>,
    interests: Vec<Interest>,
    /// One for each interest: its place among all that were added, and what it is for.
    whose: Vec<(usize, W)>,
    slot: WaitSlot,
}

/// Why a wait came to nothing.
pub(super) enum Vain {
    TimedOut,
    /// This transport failed.
    Broken(Arc<dyn Transport>),
}

impl<W: Clone> Watches<W> {
    pub(super) const fn new() -> Self {
        Self { watches: Vec::new(), added: 0 }
    }

    /// Begins anew; the places among those who wait are kept for the same transports again.
    pub(super) fn clear(&mut self) {
        self.added = 0;
        for watch in &mut self.watches {
            watch.interests.clear();
            watch.whose.clear();
        }
    }

    pub(super) fn add(&mut self, transport: &Arc<dyn Transport>, interest: Interest, whose: W) {
        let at = self.watches.iter().position(|watch| Arc::ptr_eq(&watch.transport, transport)).unwrap_or_else(|| {
            self.watches.push(Watch::new(Arc::clone(transport)));
            self.watches.len() - 1
        });
        let watch = &mut self.watches[at];
        watch.interests.push(interest);
        watch.whose.push((self.added, whose));
        self.added += 1;
    }

    /// The transports at which something is waited for; the others are forgotten.
    pub(super) fn transports(&mut self) -> Vec<Arc<dyn Transport>> {
        self.watches.retain(|watch| !watch.interests.is_empty());
        self.watches.iter().map(|watch| Arc::clone(&watch.transport)).collect()
    }

    /// What holds, if anything does. Where nothing does, `bell` is rung when something may. Does not wait.
    pub(super) fn poll(&mut self, bell: &Bell) -> Result<Option<W>, Vain> {
        let first = poll(&mut self.watches, bell)?;
        Ok(first.map(|(_, whose)| whose))
    }

    /// Waits until something holds, which is returned, or `bell` was rung since `seen`. The bell hangs at one of the
    /// transports: there the thread waits, and reads the socket; at the others it is a task.
    pub(super) fn wait(&mut self, bell: &Bell, seen: u64, until: Option<Timestamp>) -> Result<Option<W>, Vain> {
        let others = self.watches.iter_mut().filter(|watch| !bell.hangs_at(&watch.transport));
        let elsewhere = poll(others, bell)?;
        let own = self.watches.iter().find(|watch| bell.hangs_at(&watch.transport));
        if let Some(elsewhere) = elsewhere {
            let here = match own {
                Some(own) if !own.interests.is_empty() => own.wait(&own.interests, Some(Timestamp::ZERO)),
                _ => Err(Vain::TimedOut),
            };
            return match here {
                Err(Vain::Broken(transport)) => Err(Vain::Broken(transport)),
                Ok(Some(here)) if here.0 < elsewhere.0 => Ok(Some(here.1)),
                _ => Ok(Some(elsewhere.1)),
            };
        }
        let mut interests = own.map_or_else(Vec::new, |own| own.interests.clone());
        interests.push(bell.interest(seen));
        match own {
            Some(own) => Ok(own.wait(&interests, until)?.map(|(_, whose)| whose)),
            None => match bell.transport().wait(&interests, until) {
                Ok(_) => Ok(None),
                Err(error) => Err(Vain::new(bell.transport(), &error)),
            },
        }
    }
}

impl<W: Clone> Watch<W> {
    const fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, interests: Vec::new(), whose: Vec::new(), slot: WaitSlot::new() }
    }

    /// Waits for one of `interests`, which begin with its own.
    fn wait(&self, interests: &[Interest], until: Option<Timestamp>) -> Result<Option<(usize, W)>, Vain> {
        match self.transport.wait(interests, until) {
            Ok(ready) => Ok(self.whose.get(ready.index).cloned()),
            Err(error) => Err(Vain::new(&self.transport, &error)),
        }
    }

    fn poll(&mut self, bell: &Bell) -> Result<Option<(usize, W)>, Vain> {
        if self.interests.is_empty() {
            self.slot.clear();
            return Ok(None);
        }
        match self.transport.poll_wait(&mut self.slot, &self.interests, &mut Context::from_waker(bell.waker())) {
            Poll::Ready(Ok(ready)) => Ok(self.whose.get(ready.index).cloned()),
            Poll::Ready(Err(error)) => Err(Vain::new(&self.transport, &error)),
            Poll::Pending => Ok(None),
        }
    }
}

impl Vain {
    pub(super) fn new(transport: &Arc<dyn Transport>, error: &WaitError) -> Self {
        match error {
            WaitError::TimedOut => Self::TimedOut,
            WaitError::Broken(_) => Self::Broken(Arc::clone(transport)),
        }
    }
}

/// Of all that holds what was added first.
fn poll<'a, W: Clone + 'a>(
    watches: impl IntoIterator<Item = &'a mut Watch<W>>,
    bell: &Bell,
) -> Result<Option<(usize, W)>, Vain> {
    let mut first: Option<(usize, W)> = None;
    for watch in watches {
        if let Some(found) = watch.poll(bell)?
            && first.as_ref().is_none_or(|first| found.0 < first.0)
        {
            first = Some(found);
        }
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    /// Everything holds all the time; what was added first is found, be it where the thread waits or elsewhere.
    #[test]
    fn what_always_holds_at_one_transport_keeps_no_other_from_being_found() {
        let bind = || crate::transport::udp::bind("127.0.0.1:0".parse().unwrap(), Config::insecure_plain()).unwrap();
        let transports: [Arc<dyn Transport>; 3] = [bind(), bind(), bind()];
        let bells = [0, 1, 2].map(|at| Bell::hang(&transports[at]));
        bells.iter().for_each(Bell::ring);
        let (own, mut watches) = (Bell::hang(&transports[1]), Watches::new());
        for first in [0, 1, 2, 1, 0] {
            watches.clear();
            for at in [first, (first + 1) % 3, (first + 2) % 3] {
                watches.add(&transports[at], bells[at].interest(0), at);
            }
            assert_eq!(watches.poll(&own).unwrap_or(None), Some(first));
            assert_eq!(watches.wait(&own, 0, None).unwrap_or(None), Some(first));
        }
    }
}
