//! Who came and who left.

use std::collections::VecDeque;

use super::Side;
use crate::node::{Gone, Name};

/// Events that wait to be asked for; of more the oldest go.
pub(super) const EVENTS_MAX: usize = 1_024;

/// Something that happened to a node's peers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer is there: it can be written to and read from.
    Joined {
        /// Its name here.
        name: Name,
        /// Who went to whom.
        side: Side,
    },
    /// A peer is there no more.
    Left {
        /// The name that it had here.
        name: Name,
        /// Why.
        why: Gone,
        /// This node tries to reach it again.
        returns: bool,
    },
    /// This node does not try to reach a peer any more that it called again: they do not understand each other, or the
    /// application does not want it any more.
    GaveUp {
        /// The name that it had here.
        name: Name,
        /// How the last attempt ended; `Ended(Closed)` where the application ended it.
        why: Gone,
    },
    /// So many events before the next one were lost, because nobody asked for them.
    Missed(u64),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: VecDeque<Event>,
    missed: u64,
}

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        if self.waiting.len() == EVENTS_MAX {
            self.waiting.pop_front();
            self.missed += 1;
        }
        self.waiting.push_back(event);
    }

    /// The next one, if there is one.
    pub(super) fn pop(&mut self) -> Option<Event> {
        match core::mem::take(&mut self.missed) {
            0 => self.waiting.pop_front(),
            missed => Some(Event::Missed(missed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asks_for_is_counted_and_goes() {
        let mut events = Events::default();
        let joined = |at: usize| Event::Joined { name: Name::new(&at.to_string()).unwrap(), side: Side::Local };
        for at in 0..EVENTS_MAX + 2 {
            events.push(joined(at));
        }
        assert_eq!(events.pop(), Some(Event::Missed(2)));
        for at in 2..EVENTS_MAX + 2 {
            assert_eq!(events.pop(), Some(joined(at)));
        }
        assert_eq!(events.pop(), None);
    }
}
