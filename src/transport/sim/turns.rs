//! Whose turn it is: of all simulated threads exactly one runs, and the seed chooses which comes next.
//!
//! Pure bookkeeping: it knows neither threads nor what they wait for.

use std::collections::{BTreeSet, VecDeque};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use crate::time::Timestamp;

/// A simulated thread, counted from 0 in the order of their beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskId(pub(super) usize);

/// Why a thread that waited goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// What it waited for has come.
    Ready,
    /// The time has.
    TimedOut,
}

#[derive(Clone, Copy, Debug)]
enum Status {
    Ready,
    Running,
    Waiting { until: Option<Timestamp> },
    Ended,
}

/// All simulated threads of a world.
#[derive(Debug)]
pub(super) struct Turns {
    /// Chooses who is next. Its algorithm is fixed by name, so that a seed means the same for ever.
    chance: Xoshiro256PlusPlus,
    tasks: Vec<Status>,
    /// Who could run, and what their wait came to, if they waited.
    ready: VecDeque<(TaskId, Woken)>,
    due: BTreeSet<(Timestamp, TaskId)>,
    running: Option<TaskId>,
}

impl Turns {
    pub(super) fn new(seed: u64) -> Self {
        let chance = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { chance, tasks: Vec::new(), ready: VecDeque::new(), due: BTreeSet::new(), running: None }
    }

    /// A new thread, which may run.
    pub(super) fn begin(&mut self) -> TaskId {
        let task = TaskId(self.tasks.len());
        self.tasks.push(Status::Ready);
        self.ready.push_back((task, Woken::Ready));
        task
    }

    /// Who has the turn.
    pub(super) const fn running(&self) -> Option<TaskId> {
        self.running
    }

    /// The one that has the turn gives it up until it is woken or `until` has come.
    pub(super) fn wait(&mut self, until: Option<Timestamp>) {
        let task = self.running.take().expect("only who has the turn can wait");
        self.tasks[task.0] = Status::Waiting { until };
        self.due.extend(until.map(|until| (until, task)));
    }

    /// The one that has the turn is at its end.
    pub(super) fn end(&mut self) {
        let task = self.running.take().expect("only who has the turn can end");
        self.tasks[task.0] = Status::Ended;
    }

    /// What `task` waited for has come. Nothing where it does not wait.
    pub(super) fn wake(&mut self, task: TaskId) {
        self.make_ready(task, Woken::Ready);
    }

    /// Wakes those whose time has come.
    pub(super) fn wake_due(&mut self, now: Timestamp) {
        while let Some((_, task)) = self.due.first().copied().filter(|(until, _)| *until <= now) {
            self.make_ready(task, Woken::TimedOut);
        }
    }

    /// When the next wait times out.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(until, _)| *until)
    }

    /// Gives the turn, which nobody may have, to one of those that are ready.
    pub(super) fn give(&mut self) -> Option<(TaskId, Woken)> {
        debug_assert!(self.running.is_none());
        let count = u64::try_from(self.ready.len()).expect("a count of threads");
        let chosen = self.chance.next_u64().checked_rem(count)?;
        let (task, woken) = self.ready.remove(usize::try_from(chosen).expect("below a count of threads"))?;
        self.tasks[task.0] = Status::Running;
        self.running = Some(task);
        Some((task, woken))
    }

    /// True when `task` is over.
    pub(super) fn has_ended(&self, task: TaskId) -> bool {
        matches!(self.tasks[task.0], Status::Ended)
    }

    fn make_ready(&mut self, task: TaskId, woken: Woken) {
        if let Status::Waiting { until } = self.tasks[task.0] {
            if let Some(until) = until {
                self.due.remove(&(until, task));
            }
            self.tasks[task.0] = Status::Ready;
            self.ready.push_back((task, woken));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn three() -> Turns {
        let mut turns = Turns::new(1);
        for _ in 0..3 {
            turns.begin();
        }
        turns
    }

    #[test]
    fn one_at_a_time_and_all_in_turn() {
        let mut turns = three();
        let mut order = Vec::new();
        while let Some((task, woken)) = turns.give() {
            assert_eq!((turns.running(), woken), (Some(task), Woken::Ready));
            order.push(task.0);
            turns.end();
            assert!(turns.has_ended(task));
        }
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2]);
    }

    #[test]
    fn the_seed_chooses_the_order() {
        let order = |seed| {
            let mut turns = Turns::new(seed);
            for _ in 0..8 {
                turns.begin();
            }
            core::iter::from_fn(|| {
                let (task, _) = turns.give()?;
                turns.end();
                Some(task.0)
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn a_wait_ends_when_woken_or_when_its_time_has_come_and_only_once() {
        let mut turns = Turns::new(1);
        let task = turns.begin();
        turns.give();
        turns.wait(Some(at(10)));
        assert_eq!((turns.give(), turns.next_due()), (None, Some(at(10))));
        turns.wake_due(at(9));
        assert_eq!(turns.give(), None);
        turns.wake_due(at(10));
        turns.wake(task);
        assert_eq!(turns.give(), Some((task, Woken::TimedOut)));
        turns.wait(Some(at(20)));
        turns.wake(task);
        assert_eq!(turns.next_due(), None);
        turns.wake_due(at(20));
        assert_eq!(turns.give(), Some((task, Woken::Ready)));
        turns.wait(None);
        turns.wake_due(Timestamp::FAR_FUTURE);
        assert_eq!(turns.give(), None);
    }

    #[test]
    fn waking_one_that_does_not_wait_does_nothing() {
        let mut turns = Turns::new(1);
        let task = turns.begin();
        turns.wake(task);
        assert_eq!(turns.give().map(|(task, _)| task), Some(task));
        turns.wake(task);
        turns.end();
        turns.wake(task);
        assert_eq!(turns.give(), None);
    }
}
