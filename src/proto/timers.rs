//! The deadlines of all connections.

use std::collections::BTreeSet;

use crate::slots::ConnectionId;
use crate::time::Timestamp;

/// At most one deadline for each connection, in order of time. Every operation takes logarithmic time.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    queue: BTreeSet<(Timestamp, ConnectionId)>,
}

impl Timers {
    /// Moves a connection's deadline from `old` to `new`; the caller keeps what it is.
    pub fn reset(&mut self, id: ConnectionId, old: Option<Timestamp>, new: Option<Timestamp>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.queue.remove(&(old, id));
        }
        if let Some(new) = new {
            self.queue.insert((new, id));
        }
    }

    /// The first deadline and whose it is.
    #[must_use]
    pub fn peek(&self) -> Option<(Timestamp, ConnectionId)> {
        self.queue.first().copied()
    }

    /// The first deadline.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes out a connection whose deadline has come.
    pub fn pop(&mut self, now: Timestamp) -> Option<ConnectionId> {
        let due = *self.queue.first().filter(|(at, _)| *at <= now)?;
        self.queue.remove(&due);
        Some(due.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    #[test]
    fn deadlines_come_in_order_and_only_when_due() {
        let mut slots = Slots::default();
        let [a, b] = [(); 2].map(|()| slots.insert(()));
        let at = Timestamp::from_nanos;
        let mut timers = Timers::default();
        timers.reset(a, None, Some(at(5)));
        timers.reset(b, None, Some(at(3)));
        assert_eq!(timers.first(), Some(at(3)));
        timers.reset(b, Some(at(3)), Some(at(9)));
        assert_eq!(timers.pop(at(4)), None);
        assert_eq!(timers.pop(at(9)), Some(a));
        assert_eq!(timers.pop(at(9)), Some(b));
        assert_eq!(timers.first(), None);
    }
}
