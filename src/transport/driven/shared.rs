//! What the handles, the waiting threads and the keeper of one transport share: the real [`Ground`].

use core::time::Duration;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::alarm::Alarm;
use super::core::{Core, Io, Received, Transmitted};
use super::duty::{Duty, Timer, WaiterKey, Wake};
use super::ground::{Drainer, Ground, Watch, Woken};
use super::parker::{self, Signal};
use super::state::{State, Work};
use crate::time::Timestamp;
use crate::transport::{Ready, TransportStats, WaitError, clock};

/// How long after the last leader left the keeper leaves the socket alone, and how old the last look at the socket may
/// be when a verb does not look itself: the largest delay of an acknowledgement that we promise to peers.
pub(crate) const LEASE: Duration = Duration::from_micros(500);

/// How many batches are taken from the kernel in one go.
const BATCHES_MAX: usize = 64;

/// See the module.
pub(super) struct Shared<I: Io> {
    pub(super) io: I,
    state: Mutex<State<I::Core>>,
    rx: Mutex<I::Rx>,
    /// The keeper wants the receive token: a thread that takes it again and again lets it have it.
    rx_wanted: AtomicBool,
    tx: Mutex<I::Tx>,
    /// Somebody left something to transmit to whoever holds `tx`: it looks once more after it has given it back.
    tx_wanted: AtomicBool,
    duty: Mutex<Duty<Arc<Signal>>>,
    alarm: Alarm,
    kick: Signal,
    busy_poll: Option<Duration>,
    /// When the socket was last drained, nanoseconds of the clock.
    drained_at: AtomicU64,
    /// Nobody holds the transport any more.
    orphaned: AtomicBool,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    wakes: AtomicU64,
    keeper_turns: AtomicU64,
    receive_calls: AtomicU64,
}

/// A panic elsewhere has failed the transport and ended every wait; whoever comes here only cleans up.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl<I: Io> Shared<I> {
    pub(super) fn new(
        io: I,
        core: I::Core,
        rx: I::Rx,
        tx: I::Tx,
        busy_poll: Option<Duration>,
    ) -> Result<Self, ErrorKind> {
        Ok(Self {
            io,
            state: Mutex::new(State::new(core)),
            rx: Mutex::new(rx),
            rx_wanted: AtomicBool::new(false),
            tx: Mutex::new(tx),
            tx_wanted: AtomicBool::new(false),
            duty: Mutex::new(Duty::new(I::LEASE)),
            alarm: Alarm::new()?,
            kick: Signal::new()?,
            busy_poll,
            drained_at: AtomicU64::new(0),
            orphaned: AtomicBool::new(false),
            counts: Counts::default(),
        })
    }

    /// The state, behind the endpoint lock. No system call is made while it is held.
    pub(super) fn state(&self) -> MutexGuard<'_, State<I::Core>> {
        lock(&self.state)
    }

    /// Does what [`State::poll`] left to be done. The caller holds no lock.
    pub(super) fn finish(&self, work: Work, me: Option<WaiterKey>) {
        for waker in work.wakers {
            waker.wake();
        }
        if work.transmit {
            self.transmit(me);
        }
        self.decide(|duty| {
            let timer = duty.on_deadline(work.version, work.deadline);
            ((), timer, if work.over { duty.stop() } else { Wake::Nobody })
        });
    }

    /// As a verb that does not wait does now and then, so that a thread that only sends, or only takes what is there,
    /// keeps its connections going: drains the socket if nobody has for a while and nobody is at it.
    pub(super) fn drain_if_stale(&self, now: Timestamp) {
        let drained_at = Timestamp::from_nanos(self.drained_at.load(Ordering::Relaxed));
        if now.saturating_since(drained_at) <= LEASE {
            return;
        }
        if let Ok(rx) = self.rx.try_lock() {
            self.drain_with(rx, Drainer::Caller, None);
            // The timer is set no later than for the lease that this prolongs.
            self.decide(|duty| (duty.on_drained(now), Timer::Keep, Wake::Nobody));
        }
    }

    /// No handle is left. True where nothing is left to do either, so that the keeper ends now; otherwise it ends once
    /// that is so.
    pub(super) fn orphan(&self) -> bool {
        self.orphaned.store(true, Ordering::SeqCst);
        self.retire()
    }

    /// Ends the keeper where nothing is left to do. To be asked after what was left has gone out, too: while it was in
    /// the outbox, it was.
    fn retire(&self) -> bool {
        let over = self.orphaned.load(Ordering::SeqCst) && self.state().core.is_idle();
        if over {
            self.decide(|duty| ((), Timer::Keep, duty.stop()));
        }
        over
    }

    /// The transport's own descriptors failed, or its keeper.
    pub(super) fn fail(&self, kind: ErrorKind) {
        let mut wakers = Vec::new();
        self.state().fail(kind, &mut wakers);
        for waker in wakers {
            waker.wake();
        }
    }

    /// Fills in what the machinery counts, and the sockets.
    pub(super) fn stats(&self, stats: &mut TransportStats) {
        let load = |counter: &AtomicU64| Some(counter.load(Ordering::Relaxed));
        stats.wakes = load(&self.counts.wakes);
        stats.keeper_turns = load(&self.counts.keeper_turns);
        stats.receive_calls = load(&self.counts.receive_calls);
        stats.lead_changes = Some(lock(&self.duty).lead_changes());
        self.io.stats(stats);
    }

    /// Drains with the token `rx`; true where there was something.
    fn drain_with(&self, mut rx: MutexGuard<'_, I::Rx>, by: Drainer, me: Option<WaiterKey>) -> bool {
        if by == Drainer::Keeper {
            count(&self.counts.keeper_turns);
        }
        for round in 0..BATCHES_MAX {
            count(&self.counts.receive_calls);
            let received = self.io.receive(&mut rx);
            let now = clock::now();
            self.drained_at.store(now.as_nanos(), Ordering::Relaxed);
            if received == Received::Nothing {
                return round > 0;
            }
            let mut state = self.state();
            self.io.handle(&mut rx, &mut state.core, now, by);
            let work = state.poll(now, me);
            let told = me.is_some_and(|me| state.waiters.is_woken(me));
            drop(state);
            if received == Received::Last || told {
                drop(rx);
                self.finish(work, me);
                return true;
            }
            self.finish(work, me);
        }
        true
    }

    /// What is left over goes out, in this call or by whoever is at it.
    fn transmit_in_turn(&self, me: Option<WaiterKey>) {
        // SeqCst throughout: a flag set before `try_lock` failed is seen by the holder after it has unlocked.
        self.tx_wanted.store(true, Ordering::SeqCst);
        while self.tx_wanted.load(Ordering::SeqCst) {
            let Ok(mut tx) = self.tx.try_lock() else { return };
            if self.tx_wanted.swap(false, Ordering::SeqCst) {
                self.transmit_all(&mut tx, me);
            }
        }
    }

    /// With the token `tx`: what is left over, then what the core has, until neither has any more.
    fn transmit_all(&self, tx: &mut I::Tx, me: Option<WaiterKey>) {
        loop {
            if self.io.transmit(tx) == Transmitted::Blocked {
                self.decide(|duty| ((), Timer::Keep, duty.on_blocked(me)));
                return;
            }
            let mut state = self.state();
            if self.io.take(&mut state.core, tx) {
                continue;
            }
            if !state.has_more() {
                return;
            }
            // The outbox was full when the core last filled it.
            let work = state.poll(clock::now(), None);
            let taken = self.io.take(&mut state.core, tx);
            drop(state);
            self.finish(Work { transmit: false, ..work }, me);
            if !taken {
                return;
            }
        }
    }
}

impl<I: Io> Ground for Shared<I> {
    type Parker = Arc<Signal>;

    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn decide<R>(&self, decide: impl FnOnce(&mut Duty<Self::Parker>) -> (R, Timer, Wake<Self::Parker>)) -> R {
        let mut duty = lock(&self.duty);
        let (result, timer, wake) = decide(&mut duty);
        if let Timer::Set(at) = timer {
            self.alarm.set(at);
        }
        drop(duty);
        match wake {
            Wake::Nobody => {}
            Wake::Keeper => self.kick.raise(),
            Wake::Thread(signal) => signal.raise(),
        }
        result
    }

    fn on_keeper_alone(&self) {
        self.io.forget_signal();
    }

    fn sleep_keeper(&self, watch: Watch) -> Result<Woken, ErrorKind> {
        let slept = parker::sleep(&self.kick, self.io.source(), watch, Some(self.alarm.as_fd()), None)?;
        count(&self.counts.wakes);
        Ok(Woken { readable: slept.readable, writable: slept.writable })
    }

    fn sleep_waiter(&self, parker: &Self::Parker, watch: Watch, until: Option<Timestamp>) -> Result<Woken, ErrorKind> {
        let timeout = until.map(|until| clock::timespec(until.saturating_since(clock::now())));
        let own = if watch == Watch::Nothing { None } else { self.io.sleep(parker, timeout.as_ref()) };
        let slept = match own {
            Some(slept) => slept.inspect(|slept| parker.on_slept(slept))?,
            None => parker::sleep(parker, self.io.source(), watch, None, timeout.as_ref())?,
        };
        count(&self.counts.wakes);
        Ok(Woken { readable: slept.readable, writable: slept.writable })
    }

    fn drain(&self, by: Drainer, me: Option<WaiterKey>) -> bool {
        if by == Drainer::Caller {
            return self.drain_with(lock(&self.rx), by, me);
        }
        self.rx_wanted.store(true, Ordering::Relaxed);
        let rx = lock(&self.rx);
        self.rx_wanted.store(false, Ordering::Relaxed);
        self.drain_with(rx, by, me)
    }

    fn run_timers(&self) {
        let now = clock::now();
        let mut state = self.state();
        state.core.handle_timeout(now);
        let work = state.poll(now, None);
        drop(state);
        self.finish(work, None);
    }

    fn transmit(&self, me: Option<WaiterKey>) {
        self.transmit_in_turn(me);
        self.retire();
    }

    fn look(&self, key: WaiterKey, leads: bool) -> Option<Result<Ready, WaitError>> {
        let mut state = self.state();
        if let Some(result) = state.look(key) {
            return Some(result);
        }
        if !leads {
            return None;
        }
        let now = clock::now();
        state.core.handle_wait(now);
        let work = state.poll(now, Some(key));
        let result = if state.waiters.is_woken(key) { state.look(key) } else { None };
        drop(state);
        self.finish(work, Some(key));
        result
    }

    fn spin(&self, key: WaiterKey, parker: &Self::Parker, until: Option<Timestamp>) -> bool {
        let Some(busy) = self.busy_poll else { return false };
        let end = clock::now() + busy;
        let end = until.map_or(end, |until| until.min(end));
        loop {
            // A lock is not fair: whoever gives it back and takes it at once keeps others from it.
            if self.rx_wanted.load(Ordering::Relaxed) {
                std::thread::yield_now();
            } else if self.drain(Drainer::Caller, Some(key)) {
                return true;
            }
            if parker.is_raised() {
                return true;
            }
            if clock::now() >= end {
                return false;
            }
            core::hint::spin_loop();
        }
    }
}
