//! A model of the kernel and of a core under the same [`Ground`] as the real ones, with shuttle's locks: every order of
//! steps that the scheduler can choose is a run. A wake that is lost shows as a deadlock, which shuttle reports.

use std::collections::VecDeque;
use std::io::ErrorKind;

use shuttle::sync::{Condvar, Mutex};

use crate::time::{Timestamp, earliest};
use crate::transport::driven::duty::{Duty, Timer, WaiterKey, Wake};
use crate::transport::driven::ground::{Drainer, Ground, Watch, Woken};
use crate::transport::driven::shared::LEASE;
use crate::transport::{Ready, WaitError};

/// What the kernel knows: the socket, the clock, the timer and the signals.
#[derive(Debug)]
struct Kernel {
    now: Timestamp,
    /// Datagrams, each for one waiter.
    socket: VecDeque<WaiterKey>,
    alarm: Option<Timestamp>,
    kick: bool,
    signals: Vec<bool>,
    /// When sleepers want to be woken at the latest.
    untils: Vec<Option<Timestamp>>,
    /// Datagrams that the socket still takes before it is full.
    room: usize,
    /// It refused one since there was room last.
    refused: bool,
    /// Datagrams that it took.
    sent: usize,
    over: bool,
}

/// What the core knows.
#[derive(Debug)]
struct Core {
    /// Datagrams handled and not taken, by waiter.
    inbox: Vec<usize>,
    /// Who is on the list and was not told.
    waiting: Vec<bool>,
    handled: usize,
    deadline: Option<Timestamp>,
    fired: usize,
    version: u64,
    /// Datagrams that wait to be transmitted.
    outbox: usize,
    /// Acknowledgements owed, which go when a thread waits.
    owed: usize,
}

/// See the module. Waiters are numbered from 0; a waiter's key is its number and its parker too.
#[derive(Debug)]
pub(super) struct Model {
    kernel: Mutex<Kernel>,
    changed: Condvar,
    duty: Mutex<Duty<usize>>,
    rx: Mutex<()>,
    core: Mutex<Core>,
}

impl Model {
    pub(super) fn new(waiters: usize, room: usize) -> Self {
        Self {
            kernel: Mutex::new(Kernel {
                now: Timestamp::ZERO + LEASE,
                socket: VecDeque::new(),
                alarm: None,
                kick: false,
                signals: vec![false; waiters],
                untils: vec![None; waiters],
                room,
                refused: false,
                sent: 0,
                over: false,
            }),
            changed: Condvar::new(),
            duty: Mutex::new(Duty::new(LEASE)),
            rx: Mutex::new(()),
            core: Mutex::new(Core {
                inbox: vec![0; waiters],
                waiting: vec![false; waiters],
                handled: 0,
                deadline: None,
                fired: 0,
                version: 0,
                outbox: 0,
                owed: 0,
            }),
        }
    }

    /// A datagram for `waiter` comes in.
    pub(super) fn deliver(&self, waiter: usize) {
        self.kernel(|kernel| kernel.socket.push_back(waiter as WaiterKey));
    }

    /// A verb that sends a datagram, and sets a deadline where `delay_us` says so.
    pub(super) fn send(&self, delay_us: Option<u64>) {
        let now = self.now();
        let (version, deadline) = {
            let mut core = self.core.lock().unwrap();
            let at = delay_us.map(|delay_us| Timestamp::from_nanos(now.as_nanos() + delay_us * 1_000));
            core.deadline = earliest(core.deadline, at);
            core.version += 1;
            core.outbox += 1;
            (core.version, core.deadline)
        };
        self.transmit(None);
        self.decide(|duty| ((), duty.on_deadline(version, deadline), Wake::Nobody));
    }

    /// A verb after which the core needs no timer.
    pub(super) fn settle(&self) {
        let version = {
            let mut core = self.core.lock().unwrap();
            core.deadline = None;
            core.version += 1;
            core.version
        };
        self.decide(|duty| ((), duty.on_deadline(version, None), Wake::Nobody));
    }

    /// A waiter enters the list.
    pub(super) fn list(&self, waiter: usize) {
        self.core.lock().unwrap().waiting[waiter] = true;
    }

    /// A task sleeps until its waker was called.
    pub(super) fn sleep_task(&self, waiter: usize) {
        self.sleep(|kernel| core::mem::take(&mut kernel.signals[waiter]).then_some(()));
    }

    /// Blocks until the socket has taken `count` datagrams, as a peer that answers would.
    pub(super) fn until_sent(&self, count: usize) {
        self.sleep(|kernel| (kernel.sent >= count).then_some(()));
    }

    /// Blocks until everything delivered has been handled, everything sent has gone, and no deadline is left.
    pub(super) fn until_settled(&self, delivered: usize) {
        let mut kernel = self.kernel.lock().unwrap();
        loop {
            {
                let core = self.core.lock().unwrap();
                if core.handled == delivered && core.deadline.is_none() && core.outbox == 0 {
                    return;
                }
            }
            kernel = self.changed.wait(kernel).unwrap();
        }
    }

    /// The clock stops when everything is over.
    pub(super) fn end(&self) {
        self.kernel(|kernel| kernel.over = true);
        self.decide(|duty| ((), Timer::Keep, duty.stop()));
    }

    /// Time passes, at first in steps that mean nothing to anybody, then to the next moment that somebody sleeps for;
    /// and the network takes what was sent.
    pub(super) fn run_clock(&self, steps: usize) {
        for _ in 0..steps {
            self.kernel(|kernel| kernel.now += LEASE / 3);
            shuttle::thread::yield_now();
        }
        loop {
            let over = self.sleep(|kernel| {
                if kernel.over {
                    return Some(true);
                }
                let next = kernel.untils.iter().copied().fold(kernel.alarm, earliest);
                let next = next.filter(|next| *next > kernel.now);
                if std::mem::take(&mut kernel.refused) {
                    kernel.room += 1;
                } else {
                    kernel.now = next?;
                }
                Some(false)
            });
            if over {
                return;
            }
            self.changed.notify_all();
        }
    }

    pub(super) fn fired(&self) -> usize {
        self.core.lock().unwrap().fired
    }

    /// Does something to the kernel that sleepers may wait for.
    fn kernel<R>(&self, act: impl FnOnce(&mut Kernel) -> R) -> R {
        let result = act(&mut self.kernel.lock().unwrap());
        self.changed.notify_all();
        result
    }

    /// Blocks until `found` finds something in the kernel.
    fn sleep<R>(&self, mut found: impl FnMut(&mut Kernel) -> Option<R>) -> R {
        let mut kernel = self.kernel.lock().unwrap();
        loop {
            if let Some(result) = found(&mut kernel) {
                return result;
            }
            kernel = self.changed.wait(kernel).unwrap();
        }
    }

    /// What the socket shows to whoever watches it.
    fn shows(kernel: &Kernel, watch: Watch) -> Woken {
        match watch {
            Watch::Nothing => Woken::default(),
            Watch::Socket { writable } => {
                Woken { readable: !kernel.socket.is_empty(), writable: writable && kernel.room > 0 }
            }
        }
    }
}

impl Ground for Model {
    type Parker = usize;

    fn now(&self) -> Timestamp {
        self.kernel.lock().unwrap().now
    }

    fn decide<R>(&self, decide: impl FnOnce(&mut Duty<usize>) -> (R, Timer, Wake<usize>)) -> R {
        let mut duty = self.duty.lock().unwrap();
        let (result, timer, wake) = decide(&mut duty);
        if let Timer::Set(at) = timer {
            self.kernel(|kernel| kernel.alarm = at);
        }
        drop(duty);
        match wake {
            Wake::Nobody => {}
            Wake::Keeper => self.kernel(|kernel| kernel.kick = true),
            Wake::Thread(waiter) => self.kernel(|kernel| kernel.signals[waiter] = true),
        }
        result
    }

    fn sleep_keeper(&self, watch: Watch) -> Result<Woken, ErrorKind> {
        Ok(self.sleep(|kernel| {
            let woken = Self::shows(kernel, watch);
            let fired = kernel.alarm.is_some_and(|alarm| alarm <= kernel.now);
            let kicked = core::mem::take(&mut kernel.kick);
            (woken != Woken::default() || fired || kicked).then_some(woken)
        }))
    }

    fn sleep_waiter(&self, parker: &usize, watch: Watch, until: Option<Timestamp>) -> Result<Woken, ErrorKind> {
        self.kernel(|kernel| kernel.untils[*parker] = until);
        let woken = self.sleep(|kernel| {
            let woken = Self::shows(kernel, watch);
            let signalled = core::mem::take(&mut kernel.signals[*parker]);
            let late = until.is_some_and(|until| until <= kernel.now);
            (woken != Woken::default() || signalled || late).then_some(woken)
        });
        self.kernel(|kernel| kernel.untils[*parker] = None);
        Ok(woken)
    }

    fn drain(&self, _by: Drainer, me: Option<WaiterKey>) -> bool {
        let _rx = self.rx.lock().unwrap();
        let Some(waiter) = self.kernel(|kernel| kernel.socket.pop_front()) else { return false };
        let (told, version, deadline) = {
            let mut core = self.core.lock().unwrap();
            core.handled += 1;
            core.owed += 1;
            core.version += 1;
            let index = usize::try_from(waiter).unwrap();
            core.inbox[index] += 1;
            let told = core::mem::take(&mut core.waiting[index]) && me != Some(waiter);
            (told.then_some(index), core.version, core.deadline)
        };
        self.kernel(|kernel| {
            if let Some(waiter) = told {
                kernel.signals[waiter] = true;
            }
        });
        self.decide(|duty| ((), duty.on_deadline(version, deadline), Wake::Nobody));
        true
    }

    fn run_timers(&self) {
        let now = self.now();
        let (version, deadline) = {
            let mut core = self.core.lock().unwrap();
            if core.deadline.is_some_and(|deadline| deadline <= now) {
                core.deadline = None;
                core.fired += 1;
            }
            core.version += 1;
            (core.version, core.deadline)
        };
        self.decide(|duty| ((), duty.on_deadline(version, deadline), Wake::Nobody));
        self.changed.notify_all();
    }

    fn transmit(&self, me: Option<WaiterKey>) {
        let blocked = {
            let mut kernel = self.kernel.lock().unwrap();
            let mut core = self.core.lock().unwrap();
            let n = core.outbox.min(kernel.room);
            core.outbox -= n;
            kernel.room -= n;
            kernel.sent += n;
            kernel.refused |= core.outbox > 0;
            core.outbox > 0
        };
        self.changed.notify_all();
        if blocked {
            self.decide(|duty| ((), Timer::Keep, duty.on_blocked(me)));
        }
    }

    fn look(&self, key: WaiterKey, leads: bool) -> Option<Result<Ready, WaitError>> {
        let index = usize::try_from(key).unwrap();
        let mut core = self.core.lock().unwrap();
        if core.inbox[index] == 0 {
            core.waiting[index] = true;
            if leads {
                core.outbox += std::mem::take(&mut core.owed);
                drop(core);
                self.transmit(Some(key));
            }
            return None;
        }
        core.inbox[index] -= 1;
        core.waiting[index] = false;
        Some(Ok(Ready { index, connection: None }))
    }

    fn spin(&self, _key: WaiterKey, _parker: &usize, _until: Option<Timestamp>) -> bool {
        false
    }
}
