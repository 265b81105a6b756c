//! Who reads the socket and when the keeper must wake: every decision, and no system call.
//!
//! All of this is under *one* small mutex, and the timer is set while it is held; so what is decided here is what the
//! timer and the threads do. At every moment one of these holds, and so no datagram and no deadline waits for ever:
//!
//! - there is a leader: a thread inside `wait` that looks at the socket now or is on its way to do so;
//! - there is none, and the keeper looks at the socket;
//! - there is none, and the timer is set no later than the end of the leases, when the keeper will.
//!
//! There is a lease for threads that wait now and then, and another for those that drain the socket in passing and may
//! never wait: they read for themselves. Tasks wait through the keeper, and for them the latter does not count.
//!
//! And the timer is set no later than the core's deadline, unless the keeper is awake and will plan again before it
//! sleeps. A deadline that moves away leaves the timer where it is: it fires once in vain, which is cheaper than a
//! system call for each datagram.

use core::time::Duration;
use std::collections::VecDeque;

use super::shared::LEASE;
use crate::time::{Timestamp, earliest};

/// Names a thread or task that waits.
pub(in crate::transport) type WaiterKey = u64;

/// What a thread that waits does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It looks at the socket for everybody; also for room in it where `writable`.
    Leader { writable: bool },
    /// It sleeps until it is woken.
    Parked,
}

/// What the keeper does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// A deadline has come: drain the socket and run the timers, then plan again.
    Run,
    /// Sleep until the timer fires or somebody kicks.
    Sleep,
    /// Sleep likewise, or until the socket has something; also for room in it where `writable`.
    SleepOnSocket { writable: bool },
    /// The transport is gone.
    Stop,
}

/// How the timer is to be changed, still under the mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Timer {
    /// Not at all.
    Keep,
    /// To fire at this time or never, whatever it was set to; this also forgets a fire not yet seen.
    Set(Option<Timestamp>),
}

/// Somebody to be woken once the mutex is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Wake<P> {
    /// Nobody.
    Nobody,
    /// The keeper.
    Keeper,
    /// A thread that waits.
    Thread(P),
}

/// See the module. `P` is how a waiting thread is woken.
#[derive(Debug)]
pub(super) struct Duty<P> {
    /// How long after a thread that does not wait has drained the socket the keeper leaves it alone.
    lease: Duration,
    leader: Option<(WaiterKey, P)>,
    /// Those who wait while somebody else leads, longest first.
    parked: VecDeque<(WaiterKey, P)>,
    /// When the last leader left.
    left_at: Timestamp,
    /// When a thread that does not wait last drained the socket.
    drained_at: Timestamp,
    /// How many places tasks have on the list of those who wait.
    tasks: usize,
    /// The core's next deadline, as of `version` of its state.
    deadline: Option<Timestamp>,
    version: u64,
    /// What the timer is set to; `None` also between a fire and the keeper's next plan.
    armed: Option<Timestamp>,
    /// The timer has fired and was not set since: whoever polls it does not sleep.
    shows_fire: bool,
    keeper_on_socket: bool,
    /// The kernel refused to take more.
    blocked: bool,
    stopping: bool,
    lead_changes: u64,
}

impl<P: Clone> Duty<P> {
    /// Nobody waits, and the keeper is to look at the socket.
    pub(super) const fn new(lease: Duration) -> Self {
        Self {
            lease,
            leader: None,
            parked: VecDeque::new(),
            left_at: Timestamp::ZERO,
            drained_at: Timestamp::ZERO,
            tasks: 0,
            deadline: None,
            version: 0,
            armed: None,
            shows_fire: false,
            keeper_on_socket: false,
            blocked: false,
            stopping: false,
            lead_changes: 0,
        }
    }

    /// A thread begins to wait. Where it becomes the leader while the keeper is on the socket, the keeper is sent off:
    /// two threads on one socket would wake each other for nothing.
    pub(super) fn enter(&mut self, key: WaiterKey, waker: P) -> Wake<P> {
        if self.leader.is_some() {
            self.parked.push_back((key, waker));
            return Wake::Nobody;
        }
        self.leader = Some((key, waker));
        if self.keeper_on_socket { Wake::Keeper } else { Wake::Nobody }
    }

    /// What the thread is to do now.
    pub(super) fn role(&self, key: WaiterKey) -> Role {
        match &self.leader {
            Some((leader, _)) if *leader == key => Role::Leader { writable: self.blocked },
            _ => Role::Parked,
        }
    }

    /// A thread no longer waits. A leader makes the longest parked one its successor; that one is the leader from now
    /// on, whatever it finds when it wakes: where it need not wait any more it leaves too, and so passes the lead on.
    /// Where nobody is parked, the keeper will take the socket when the lease is over.
    pub(super) fn leave(&mut self, key: WaiterKey, now: Timestamp) -> (Wake<P>, Timer) {
        if !self.leads(key) {
            self.parked.retain(|(parked, _)| *parked != key);
            return (Wake::Nobody, Timer::Keep);
        }
        self.left_at = now;
        self.leader = None;
        if let Some((key, waker)) = self.parked.pop_front() {
            self.leader = Some((key, waker.clone()));
            self.lead_changes += 1;
            return (Wake::Thread(waker), Timer::Keep);
        }
        let timer = self.arm_no_later(Some(self.takeover()));
        (if self.blocked { Wake::Keeper } else { Wake::Nobody }, timer)
    }

    /// The core's next deadline, as of `version` of its state; one that was overtaken by a newer state is ignored, so
    /// that it need not be told under the endpoint lock.
    pub(super) fn on_deadline(&mut self, version: u64, deadline: Option<Timestamp>) -> Timer {
        if version <= self.version {
            return Timer::Keep;
        }
        self.version = version;
        self.deadline = deadline;
        self.arm_no_later(deadline)
    }

    /// The kernel took no more: whoever looks at the socket must look for room too. `by` is the waiting thread that
    /// found it out, if it was one.
    pub(super) fn on_blocked(&mut self, by: Option<WaiterKey>) -> Wake<P> {
        self.blocked = true;
        match &self.leader {
            Some((leader, _)) if Some(*leader) == by => Wake::Nobody,
            Some((_, waker)) => Wake::Thread(waker.clone()),
            None => Wake::Keeper,
        }
    }

    /// There is room again, or somebody is about to find out.
    pub(super) const fn on_writable(&mut self) {
        self.blocked = false;
    }

    /// A thread that does not wait has drained the socket between other things, and may do so again: as if a leader had
    /// left, unless tasks wait.
    pub(super) fn on_drained(&mut self, now: Timestamp) {
        self.drained_at = self.drained_at.max(now);
    }

    /// A task begins to wait.
    pub(super) fn enter_task(&mut self) -> Timer {
        self.tasks += 1;
        if self.leader.is_some() || self.keeper_on_socket {
            return Timer::Keep;
        }
        self.arm_no_later(Some(self.takeover()))
    }

    /// A task no longer waits.
    pub(super) const fn leave_task(&mut self) {
        self.tasks -= 1;
    }

    /// When the keeper takes the socket, if there is no leader then.
    fn takeover(&self) -> Timestamp {
        let left = self.left_at + LEASE;
        if self.tasks > 0 { left } else { left.max(self.drained_at + self.lease) }
    }

    /// The transport is gone: the keeper is to end.
    pub(super) const fn stop(&mut self) -> Wake<P> {
        self.stopping = true;
        Wake::Keeper
    }

    /// What the keeper, awake, does next. It must do it, and plan again after each time that it wakes.
    pub(super) fn plan(&mut self, now: Timestamp) -> (Plan, Timer) {
        self.keeper_on_socket = false;
        if self.armed.is_some_and(|armed| armed <= now) {
            self.armed = None;
            self.shows_fire = true;
        }
        if self.stopping {
            return (Plan::Stop, Timer::Keep);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return (Plan::Run, Timer::Keep);
        }
        let takeover = self.takeover();
        let mut wake_at = self.deadline;
        let mut plan = Plan::Sleep;
        if self.leader.is_some() {
            // Where threads come and go, the next one to leave finds the timer set.
            if now < self.left_at + LEASE {
                wake_at = earliest(wake_at, Some(now + LEASE));
            }
        } else if takeover <= now || self.blocked {
            self.keeper_on_socket = true;
            plan = Plan::SleepOnSocket { writable: self.blocked };
        } else {
            wake_at = earliest(wake_at, Some(takeover));
        }
        let timer = self.arm_no_later(wake_at);
        if self.shows_fire {
            // Nothing to wake for, but the keeper would not sleep.
            self.shows_fire = false;
            return (plan, Timer::Set(self.armed));
        }
        (plan, timer)
    }

    /// How often a leader that left handed the lead to another thread.
    pub(super) const fn lead_changes(&self) -> u64 {
        self.lead_changes
    }

    fn leads(&self, key: WaiterKey) -> bool {
        self.leader.as_ref().is_some_and(|(leader, _)| *leader == key)
    }

    fn arm_no_later(&mut self, at: Option<Timestamp>) -> Timer {
        let Some(at) = at else { return Timer::Keep };
        if self.armed.is_some_and(|armed| armed <= at) {
            return Timer::Keep;
        }
        self.armed = Some(at);
        self.shows_fire = false;
        Timer::Set(self.armed)
    }
}
