//! All that there is in a simulated world, behind one lock: its threads, its network, its time.

use core::net::{IpAddr, SocketAddr};
use core::task::Waker;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar};

use rand::Rng;
use rand::rngs::Xoshiro256PlusPlus;

use super::ears::{Ear, EarId};
use super::error::{SimError, Waiting};
use super::socket::Socket;
use super::sockets::{Effects, SocketId, Sockets};
use super::turns::{TaskId, Turns, Woken};
use crate::network::{HostId, Network};
use crate::pairing::InterfaceId;
use crate::time::{Timestamp, earliest};
use crate::transport::driven::WaiterKey;
use crate::transport::{BindError, Config, Interest};

/// What a simulated thread waits for.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// Time to pass.
    Sleep,
    /// Another thread's end.
    End(TaskId),
    /// Something of a socket.
    Socket(SocketAddr, Vec<Interest>),
    /// Something for a discovery.
    Beacons,
}

/// A simulated thread.
pub(super) struct Task {
    pub(super) host: HostId,
    pub(super) name: String,
    /// The run is not over before this thread is.
    pub(super) awaited: bool,
    /// Told when this thread has the turn, or when the world is over.
    pub(super) turn: Arc<Condvar>,
    /// What its last wait came to.
    woken: Woken,
    /// What it waits for, and until when.
    waits: Option<(Reason, Option<Timestamp>)>,
}

/// Where a world stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Threads wait for the run to begin.
    Setup,
    /// Whoever has the turn goes on.
    Running,
    /// Threads are sent home.
    Over,
}

/// A world.
pub(super) struct World {
    pub(super) network: Network,
    pub(super) sockets: Sockets,
    /// What is to be done before anybody goes on.
    effects: Effects,
    pub(super) now: Timestamp,
    /// How long it may go on in virtual time.
    pub(super) limit: Duration,
    tasks: Vec<Task>,
    turns: Turns,
    /// Where the seeds of each host's sockets come from.
    entropy: BTreeMap<HostId, Xoshiro256PlusPlus>,
    /// Awaited threads that have not ended.
    awaited: usize,
    /// Threads that have not ended.
    pub(super) alive: usize,
    pub(super) phase: Phase,
    /// Why it failed.
    pub(super) failure: Option<SimError>,
    /// Changes whenever something happens.
    pub(super) progress: u64,
}

impl World {
    pub(super) fn new(seed: u64, limit: Duration) -> Self {
        Self {
            network: Network::new(seed),
            sockets: Sockets::default(),
            effects: Effects::default(),
            now: Timestamp::ZERO,
            limit,
            tasks: Vec::new(),
            turns: Turns::new(seed),
            entropy: BTreeMap::new(),
            awaited: 0,
            alive: 0,
            phase: Phase::Setup,
            failure: None,
            progress: 0,
        }
    }

    /// Begins the run. [`pass_turn`](Self::pass_turn) is to follow.
    pub(super) fn start(&mut self) {
        if self.phase == Phase::Setup && self.awaited > 0 {
            self.phase = Phase::Running;
        } else {
            self.stop();
        }
    }

    /// The place that the next thread will have.
    pub(super) const fn next_task(&self) -> TaskId {
        TaskId(self.tasks.len())
    }

    /// A new thread that may run.
    pub(super) fn begin(&mut self, host: HostId, name: &str, awaited: bool) -> TaskId {
        let turn = Arc::default();
        self.tasks.push(Task { host, name: name.to_owned(), awaited, turn, woken: Woken::Ready, waits: None });
        self.awaited += usize::from(awaited);
        self.alive += 1;
        self.turns.begin()
    }

    pub(super) fn task(&self, task: TaskId) -> &Task {
        &self.tasks[task.0]
    }

    /// True when `task` may go on.
    pub(super) fn has_turn(&self, task: TaskId) -> bool {
        self.phase == Phase::Running && self.turns.running() == Some(task)
    }

    pub(super) fn has_ended(&self, task: TaskId) -> bool {
        self.turns.has_ended(task)
    }

    /// The one that has the turn waits. [`pass_turn`](Self::pass_turn) is to follow.
    pub(super) fn wait(&mut self, task: TaskId, reason: Reason, until: Option<Timestamp>) {
        self.tasks[task.0].waits = Some((reason, until));
        self.turns.wait(until);
    }

    /// What the wait of `task`, which has the turn again, came to.
    pub(super) fn woken(&mut self, task: TaskId) -> Woken {
        let task = &mut self.tasks[task.0];
        task.waits = None;
        task.woken
    }

    /// A thread is at its end. [`pass_turn`](Self::pass_turn) is to follow.
    pub(super) fn end(&mut self, task: TaskId) {
        self.alive -= 1;
        if !self.has_turn(task) {
            return; // the world is over, and the thread was sent home
        }
        self.turns.end();
        self.awaited -= usize::from(self.tasks[task.0].awaited);
        for waiting in 0..self.tasks.len() {
            if matches!(self.tasks[waiting].waits, Some((Reason::End(other), _)) if other == task) {
                self.turns.wake(TaskId(waiting));
            }
        }
        if self.awaited == 0 {
            self.stop();
        }
    }

    /// Gives the turn to the next thread; where none can run, lets time pass until one can. False where wakers are to
    /// be called first, without the lock.
    #[must_use]
    pub(super) fn pass_turn(&mut self) -> bool {
        while self.phase == Phase::Running && self.turns.running().is_none() {
            self.progress += 1;
            for task in core::mem::take(&mut self.effects.tasks) {
                self.turns.wake(task);
            }
            if !self.effects.wakers.is_empty() {
                return false;
            }
            if let Some((task, woken)) = self.turns.give() {
                self.tasks[task.0].woken = woken;
                self.tasks[task.0].turn.notify_one();
                break;
            }
            match self.next_at() {
                None => self.fail(SimError::Stuck { at: self.now, waiting: self.waiting(), seed: self.network.seed() }),
                Some(at) if at.saturating_since(Timestamp::ZERO) > self.limit => {
                    let (limit, waiting, seed) = (self.limit, self.waiting(), self.network.seed());
                    self.fail(SimError::TooLong { limit, waiting, seed });
                }
                Some(at) => self.advance(at),
            }
        }
        true
    }

    /// Wakers to be called when the lock is free.
    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        core::mem::take(&mut self.effects.wakers)
    }

    /// Binds a socket, with a seed of its own.
    pub(super) fn bind(&mut self, host: HostId, addr: SocketAddr, config: &Config) -> Result<SocketId, BindError> {
        let seed = self.seed_for(host);
        self.sockets.bind(&self.network, host, addr, config, seed)
    }

    /// The next seed for something of `host`'s.
    pub(super) fn seed_for(&mut self, host: HostId) -> [u8; 32] {
        let mut seed = [0; 32];
        self.fill_random(host, &mut seed);
        seed
    }

    /// What a host's generator of random bytes gives.
    pub(super) fn fill_random(&mut self, host: HostId, bytes: &mut [u8]) {
        self.entropy.entry(host).or_insert_with(|| self.network.chance_of(host)).fill_bytes(bytes);
    }

    /// Opens the sockets of a discovery.
    pub(super) fn open_ear(&mut self, host: HostId) -> Result<EarId, BindError> {
        let Sockets { ears, ports, .. } = &mut self.sockets;
        ears.open(ports, &self.network, host)
    }

    /// Lets an ear hear what is for everyone.
    pub(super) fn share_ear(&mut self, ear: EarId) -> Result<(), BindError> {
        let Sockets { ears, ports, .. } = &mut self.sockets;
        ears.share(ear, ports, &self.network)
    }

    /// The discovery is over.
    pub(super) fn close_ear(&mut self, ear: EarId) {
        let Sockets { ears, ports, .. } = &mut self.sockets;
        ears.close(ear, ports);
    }

    /// The waker of an ear was called.
    pub(super) fn wake_ear(&mut self, ear: EarId) {
        self.sockets.ears.wake(ear, &mut self.effects.tasks);
    }

    /// Sends a beacon from an ear's own port, by an interface or as the network routes.
    pub(super) fn send_beacon(
        &mut self,
        ear: EarId,
        by: Option<InterfaceId>,
        from: IpAddr,
        to: SocketAddr,
        beacon: &[u8],
    ) {
        let Ear { host, own, .. } = *self.sockets.ears.get(ear);
        let way = (SocketAddr::new(from, own.port()), to);
        match by {
            // When the world is over nothing is sent any more.
            _ if self.phase == Phase::Over => {}
            Some(by) => drop(self.network.send_by(self.now, host, by, way, beacon)),
            None => drop(self.network.send_from(self.now, host, way, None, beacon)),
        }
    }

    /// Does something to a socket, and what it leads to.
    pub(super) fn act<R>(&mut self, id: SocketId, act: impl FnOnce(&mut Socket, Timestamp, &mut Vec<Waker>) -> R) -> R {
        let result = act(self.sockets.get_mut(id), self.now, &mut self.effects.wakers);
        // When the world is over nothing is sent any more: threads that are sent home do so in no order.
        if self.phase != Phase::Over {
            self.sockets.settle(id, self.now, &mut self.network, &mut self.effects);
        }
        result
    }

    /// Ends the run: all threads are sent home.
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Over;
        for task in &self.tasks {
            task.turn.notify_one();
        }
    }

    /// Ends the run because of `failure`, unless it has failed already.
    pub(super) fn fail(&mut self, failure: SimError) {
        self.failure.get_or_insert(failure);
        self.stop();
    }

    /// Ends the run because whoever has the turn does not give it back.
    pub(super) fn fail_held(&mut self, limit: Duration) {
        let Some(task) = self.turns.running().map(|task| self.task(task)) else { return };
        let (host, thread) = (self.network.name(task.host).to_owned(), task.name.clone());
        let (at, waiting, seed) = (self.now, self.waiting(), self.network.seed());
        self.fail(SimError::HeldTurn { host, thread, limit, at, waiting, seed });
    }

    /// A task no longer waits.
    pub(super) fn leave(&mut self, id: SocketId, key: WaiterKey) {
        if self.sockets.contains(id) {
            self.act(id, |socket, _, wakers| socket.state.leave(key, wakers));
        }
    }

    fn next_at(&self) -> Option<Timestamp> {
        // A change of the network alone wakes nobody.
        let io = earliest(self.sockets.next_at(), self.network.next_delivery_at());
        earliest(self.turns.next_due(), io)
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = now;
        self.sockets.advance(now, &mut self.network, &mut self.effects);
        self.turns.wake_due(now);
    }

    fn waiting(&self) -> Vec<Waiting> {
        let waits = self.tasks.iter().filter_map(|task| task.waits.as_ref().map(|waits| (task, waits)));
        waits.map(|(task, (reason, until))| self.describe(task, reason, *until)).collect()
    }

    fn describe(&self, task: &Task, reason: &Reason, until: Option<Timestamp>) -> Waiting {
        let what = match reason {
            Reason::Sleep => "time to pass".to_owned(),
            Reason::End(other) => {
                let other = self.task(*other);
                format!("the end of {}/{}", self.network.name(other.host), other.name)
            }
            Reason::Socket(local, interests) => format!("{interests:?} at {local}"),
            Reason::Beacons => "beacons".to_owned(),
        };
        Waiting { host: self.network.name(task.host).to_owned(), thread: task.name.clone(), what, until }
    }
}
