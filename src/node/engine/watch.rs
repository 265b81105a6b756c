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

    /// How many were added.
    pub(super) const fn len(&self) -> usize {
        self.added
    }

    /// What holds, if anything does: of several the first from the `turn`th added on, those before it being the last.
    /// To add in the same order and take turns here keeps the places among those who wait, which adding in another
    /// order does not. Where nothing holds, `bell` is rung when something may. Does not wait.
    pub(super) fn poll(&mut self, bell: &Bell, turn: usize) -> Result<Option<W>, Vain> {
        let first = poll(&mut self.watches, bell, turn)?;
        Ok(first.map(|(_, whose)| whose))
    }

    /// Waits until something holds, which is returned, or `bell` was rung since `seen`. The bell hangs at one of the
    /// transports: there the thread waits, and reads the socket; at the others it is a task.
    pub(super) fn wait(&mut self, bell: &Bell, seen: u64, until: Option<Timestamp>) -> Result<Option<W>, Vain> {
        let others = self.watches.iter_mut().filter(|watch| !bell.hangs_at(&watch.transport));
        let elsewhere = poll(others, bell, 0)?;
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

    fn poll(&mut self, bell: &Bell, turn: usize) -> Result<Option<(usize, W)>, Vain> {
        if self.interests.is_empty() {
            self.slot.clear();
            return Ok(None);
        }
        match self.transport.poll_wait(&mut self.slot, &self.interests, &mut Context::from_waker(bell.waker())) {
            Poll::Ready(Ok(ready)) => Ok(self.whose.get(self.in_turn(ready.index, turn)).cloned()),
            Poll::Ready(Err(error)) => Err(Vain::new(&self.transport, &error)),
            Poll::Pending => Ok(None),
        }
    }
}

impl<W> Watch<W> {
    /// Of those that hold the one whose turn it is, where that at `first` holds and none before it does.
    fn in_turn(&self, first: usize, turn: usize) -> usize {
        let from = self.whose.partition_point(|(added, _)| *added < turn);
        if first >= from || from == self.whose.len() {
            return first;
        }
        // Something holds, so that this does not wait, nor look at the socket; unless somebody took it just now.
        let interests = [&self.interests[from..], &self.interests[..from]].concat();
        match self.transport.wait(&interests, Some(Timestamp::ZERO)) {
            Ok(ready) => (from + ready.index) % interests.len(),
            Err(_) => first,
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

/// Of all that holds what was added first from the `turn`th on.
fn poll<'a, W: Clone + 'a>(
    watches: impl IntoIterator<Item = &'a mut Watch<W>>,
    bell: &Bell,
    turn: usize,
) -> Result<Option<(usize, W)>, Vain> {
    let rank = |found: &(usize, W)| (found.0 < turn, found.0);
    let mut first: Option<(usize, W)> = None;
    for watch in watches {
        if let Some(found) = watch.poll(bell, turn)?
            && first.as_ref().is_none_or(|first| rank(&found) < rank(first))
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
            assert_eq!(watches.poll(&own, 0).unwrap_or(None), Some(first));
            assert_eq!(watches.wait(&own, 0, None).unwrap_or(None), Some(first));
        }
    }

    /// Added always in the same order, at one transport and at several.
    #[test]
    fn everything_that_holds_has_its_turn() {
        let bind = || crate::transport::udp::bind("127.0.0.1:0".parse().unwrap(), Config::insecure_plain()).unwrap();
        let transports: [Arc<dyn Transport>; 2] = [bind(), bind()];
        let bells = [0, 1, 0, 0, 1].map(|at| Bell::hang(&transports[at]));
        bells.iter().for_each(Bell::ring);
        let (own, mut watches) = (Bell::hang(&transports[0]), Watches::new());
        let mut poll = |holds: &[usize], turn| {
            watches.clear();
            for (at, bell) in bells.iter().enumerate() {
                let seen = if holds.contains(&at) { 0 } else { bell.rings() };
                watches.add(bell.transport(), bell.interest(seen), at);
            }
            watches.poll(&own, turn).unwrap_or(None)
        };
        for turn in 0..5 {
            assert_eq!(poll(&[0, 1, 2, 3, 4], turn), Some(turn));
        }
        for (turn, found) in [(0, 0), (1, 3), (2, 3), (3, 3), (4, 0)] {
            assert_eq!(poll(&[0, 3], turn), Some(found), "turn {turn}");
        }
        for turn in 0..5 {
            assert_eq!(poll(&[1], turn), Some(1));
            assert_eq!(poll(&[], turn), None);
        }
    }
}
