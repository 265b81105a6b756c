//! What the keeper and the waiting threads stand on: the two loops are written once over [`Ground`], run on real
//! descriptors by [`Shared`](super::shared::Shared) and on a model of them by the shuttle test.

use std::io::ErrorKind;

use super::duty::{Duty, Timer, WaiterKey, Wake};
use crate::time::Timestamp;
use crate::transport::{Ready, WaitError};

/// Who drains the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drainer {
    /// A thread of the application, in one of its calls.
    Caller,
    /// The keeper: what it finds may already have waited for the whole lease.
    Keeper,
}

/// What a sleep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Woken {
    /// The socket has something, or an error.
    pub(super) readable: bool,
    /// The socket has room again.
    pub(super) writable: bool,
}

/// What a sleep looks at beside the sleeper's own wake and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// Nothing.
    Nothing,
    /// The socket, whether it has something; also for room where `writable`.
    Socket { writable: bool },
}

/// Clock, timer, socket, sleep, and the state behind the endpoint lock.
pub(super) trait Ground {
    /// How a waiting thread is woken and sleeps: one per thread.
    type Parker: Clone;

    fn now(&self) -> Timestamp;

    /// Calls `decide` under the mutex, does to the timer what it returns while the mutex is held, then wakes whom it
    /// returns.
    fn decide<R>(&self, decide: impl FnOnce(&mut Duty<Self::Parker>) -> (R, Timer, Wake<Self::Parker>)) -> R;

    /// The keeper is to look at the socket, and nobody else does. Called from within `decide`: while nobody can begin
    /// to.
    fn on_keeper_alone(&self) {}

    /// The keeper sleeps until its timer has fired, it was kicked, or what it watches has come.
    fn sleep_keeper(&self, watch: Watch) -> Result<Woken, ErrorKind>;

    /// A waiting thread sleeps until it was woken, `until`, or what it watches has come.
    fn sleep_waiter(&self, parker: &Self::Parker, watch: Watch, until: Option<Timestamp>) -> Result<Woken, ErrorKind>;

    /// Takes what the socket has, at most a named number of batches, and hands it to the core; wakes those whose
    /// interest holds then, except `me`, who will look; transmits. True where there was something.
    fn drain(&self, by: Drainer, me: Option<WaiterKey>) -> bool;

    /// Runs the core's timers that are due; wakes and transmits likewise.
    fn run_timers(&self);

    /// Transmits what is left over. `me` is the waiting thread that does it, if it is one.
    fn transmit(&self, me: Option<WaiterKey>);

    /// What the waiter waits for, where it holds now, or an error that ends its wait. Where it does not hold and the
    /// waiter leads, the core is told that the application waits, and what that makes it owe is transmitted.
    fn look(&self, key: WaiterKey, leads: bool) -> Option<Result<Ready, WaitError>>;

    /// Drains the socket again and again for a while, where that is configured; true where something
    /// came of it or the waiter was woken.
    fn spin(&self, key: WaiterKey, parker: &Self::Parker, until: Option<Timestamp>) -> bool;
}
