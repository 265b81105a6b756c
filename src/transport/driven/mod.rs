//! A [`Transport`] made of a sans-IO core and its sockets, driven by the threads that call it and by one keeper: the
//! same for UDP and TCP.
//!
//! ```text
//! verbs: wait, poll_wait, ..    keeper thread
//!        |                          |
//!   lead (leader, parked)        keeper      the two loops, over Ground
//!        \________  duty  _________/         who reads the socket, when the timer fires; one small mutex
//!                    |
//!                  shared                    real descriptors; the receive and the transmit token
//!                    |
//!         state: core + waiters + queues     the endpoint lock
//! ```
//!
//! Locks are taken in this order, and never the other way: receive token, transmit token, endpoint lock. The duty's
//! mutex is taken alone, but for what the sockets lock under it (`Io::forget_signal`). No system call is made under the
//! endpoint lock.

mod alarm;
mod bells;
mod core;
mod duty;
mod ground;
mod keeper;
mod lead;
mod parker;
mod shared;
mod state;
mod task;
#[cfg(test)]
mod tests;
mod verbs;
mod waiters;

use ::core::net::SocketAddr;
use ::core::task::{Context, Poll, Waker};
use ::core::time::Duration;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

pub(super) use self::core::{Core, Event, FillStats, Io, Polled, Received, Transmitted};
pub(super) use self::duty::WaiterKey;
pub(super) use self::ground::Drainer;
pub(super) use self::parker::{Signal, Slept};
pub(super) use self::shared::LEASE;
use self::shared::Shared;
pub(super) use self::state::{State, Work};
use self::task::Place;
pub(super) use self::verbs::{Joining, Machine, Verbs};
use super::{ConnectError, Interest, Joiner, Ready, TransportStats, WaitError, WaitSlot, clock, random};
use crate::message::Limits;
use crate::time::Timestamp;

/// The machine over the sockets `I` and the core that they carry.
pub(super) struct Driven<I: Io> {
    shared: Arc<Shared<I>>,
    limits: Limits,
    keeper: Mutex<Option<Joiner>>,
    keeper_id: ThreadId,
}

/// Fails the transport when it is dropped, by the keeper's panic too: nobody shall wait for timers that do not fire.
struct FailOnDrop<'a, I: Io>(&'a Shared<I>);

impl<I: Io> Drop for FailOnDrop<'_, I> {
    fn drop(&mut self) {
        self.0.fail(ErrorKind::Other);
    }
}

impl<I: Io> Driven<I> {
    /// Starts the keeper.
    ///
    /// # Errors
    /// Where the system gives no descriptors or no thread.
    pub(super) fn start(
        io: I,
        core: I::Core,
        (rx, tx): (I::Rx, I::Tx),
        limits: Limits,
        busy_poll: Option<Duration>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(io, core, rx, tx, busy_poll)?);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let own = Arc::clone(&shared);
        let keeper = clock::spawn(
            "udpair-keeper",
            Box::new(move || {
                // Nobody may be there to hear it, if the spawning thread was killed.
                let _ = tell.send(std::thread::current().id());
                let _guard = FailOnDrop(&own);
                if let Err(kind) = keeper::keep(&*own) {
                    own.fail(kind);
                }
            }),
        )?;
        let keeper_id = told.recv().map_err(std::io::Error::other)?;
        Ok(Self { shared, limits, keeper: Mutex::new(Some(keeper)), keeper_id })
    }
}

impl<I: Io> Drop for Driven<I> {
    /// No handle is left. What is being closed in the background is the keeper's; where there is nothing of that, the
    /// sockets are closed on return, so that the address can be bound again.
    fn drop(&mut self) {
        self.act(|state, now, _| state.orphan(now));
        let idle = self.shared.orphan();
        // A task's waker may have held the last handle, and dropped it on the keeper's thread.
        if idle && std::thread::current().id() != self.keeper_id {
            let keeper = shared::lock(&self.keeper).take();
            // A keeper that panicked has failed the transport already.
            let _ = keeper.map(Joiner::join);
        }
    }
}

impl<I: Io> Machine for Driven<I> {
    type Core = I::Core;

    fn act<R>(&self, act: impl FnOnce(&mut State<I::Core>, Timestamp, &mut Vec<Waker>) -> R) -> R {
        let now = clock::now();
        let mut wakers = Vec::new();
        let mut state = self.shared.state();
        let result = act(&mut state, now, &mut wakers);
        let work = state.poll(now, None);
        drop(state);
        let wakers = if wakers.is_empty() { work.wakers } else { wakers.into_iter().chain(work.wakers).collect() };
        self.shared.finish(Work { wakers, ..work }, None);
        self.shared.drain_if_stale(now);
        result
    }

    fn look<R>(&self, look: impl FnOnce(&mut State<I::Core>) -> R) -> R {
        look(&mut self.shared.state())
    }

    fn tell(&self, tell: impl FnOnce(&mut State<I::Core>, &mut Vec<Waker>)) {
        let mut wakers = Vec::new();
        tell(&mut self.shared.state(), &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn chance(&self) -> std::io::Result<[u8; 32]> {
        random::seed().map(|seed| *seed)
    }

    fn call(&self, remote: SocketAddr) -> Result<<I::Core as Core>::Call, ConnectError> {
        self.shared.io.call(remote)
    }

    fn local_addr(&self) -> SocketAddr {
        self.shared.io.local_addr()
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn stats(&self, stats: &mut TransportStats) {
        self.shared.stats(stats);
    }

    fn wait(&self, interests: &[Interest], until: Option<Timestamp>) -> Result<Ready, WaitError> {
        let signal = parker::own().map_err(WaitError::Broken)?;
        let mut state = self.shared.state();
        if let Some(result) = state.check(interests) {
            return result;
        }
        let key = state.waiters.add(interests, Waker::from(Arc::clone(&signal)));
        drop(state);
        let _place = Place::new(&*self.shared, key);
        if interests.iter().all(|interest| matches!(interest, Interest::Rung(..))) {
            return lead::rest(&*self.shared, key, &signal, until);
        }
        lead::wait(&*self.shared, key, &signal, until)
    }

    fn poll_wait(
        &self,
        slot: &mut WaitSlot,
        interests: &[Interest],
        cx: &mut Context<'_>,
    ) -> Poll<Result<Ready, WaitError>> {
        task::poll_wait(&self.shared, slot, interests, cx)
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn sleep_until(&self, until: Timestamp) {
        clock::sleep_until(until);
    }

    fn spawn_thread(&self, name: &str, main: Box<dyn FnOnce() + Send>) -> std::io::Result<Joiner> {
        clock::spawn(name, main)
    }
}
