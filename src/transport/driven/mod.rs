//! A [`Transport`] made of a sans-IO core and its sockets, driven by the threads that call it and by one keeper: the
//! same for UDP and TCP.
//!
//! ```text
//! verbs, wait, poll_wait        keeper thread
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
//! mutex is taken alone. No system call is made under the endpoint lock.

mod alarm;
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
mod waiters;

use ::core::net::SocketAddr;
use ::core::task::{Context, Poll, Waker};
use ::core::time::Duration;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use bytes::Bytes;

pub(super) use self::core::{Core, Event, Io, Polled, Received, Transmitted};
pub(super) use self::ground::Drainer;
pub(super) use self::parker::{Signal, Slept};
pub(super) use self::shared::LEASE;
use self::shared::Shared;
use self::state::{State, Work};
use self::task::Place;
use super::{
    AcceptError, Answer, ConnectError, Interest, Joiner, Ready, Stats, Transport, TransportStats, WaitError, WaitSlot,
    clock,
};
use crate::message::{
    Arrival, ChannelConfig, CloseReport, ConfigureError, End, Limits, MessageId, Messages, ReadError, Select,
    SendError, State as Life, WriteError,
};
use crate::slots::ConnectionId;
use crate::time::Timestamp;

/// What a connection that is not known behaves like.
const FORGOTTEN: End = End::Closed { code: 0 };

/// A transport over the sockets `I` and the core that they carry.
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

    /// Does something to the state, then what it leads to: what is to be sent is sent in this call.
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

    /// Does something to the messages of a connection, if it is known.
    fn with<R>(&self, conn: ConnectionId, act: impl FnOnce(&mut Messages) -> R) -> Option<R> {
        self.act(|state, _, _| state.core.messages_mut(conn).map(act))
    }

    /// Does something to the messages of a connection that others may wait for.
    fn touch(&self, conn: ConnectionId, act: impl FnOnce(&mut Messages, Timestamp)) {
        self.act(|state, now, wakers| {
            if let Some(messages) = state.core.messages_mut(conn) {
                act(messages, now);
                state.touch(conn, wakers);
            }
        });
    }

    /// As [`with`](Self::with); where the verb would block, that is remembered as `interest`.
    fn try_with<T, E>(
        &self,
        conn: ConnectionId,
        interest: Interest,
        act: impl FnOnce(&mut Messages) -> Result<T, E>,
        would_block: impl FnOnce(&E) -> bool,
    ) -> Option<Result<T, E>> {
        self.act(|state, _, _| {
            let result = state.core.messages_mut(conn).map(act)?;
            if result.as_ref().is_err_and(would_block) {
                state.want(interest);
            }
            Some(result)
        })
    }
}

impl<I: Io> Drop for Driven<I> {
    /// No handle is left. What is being closed in the background is the keeper's; where there is nothing of that, the
    /// sockets are closed on return, so that the address can be bound again.
    fn drop(&mut self) {
        self.act(|state, now, _| state.orphan(now));
        let idle = self.shared.state().core.is_idle();
        // A task's waker may have held the last handle, and dropped it on the keeper's thread.
        if idle && std::thread::current().id() != self.keeper_id {
            let keeper = shared::lock(&self.keeper).take();
            // A keeper that panicked has failed the transport already.
            let _ = keeper.map(Joiner::join);
        }
    }
}

impl<I: Io> Transport for Driven<I> {
    fn local_addr(&self) -> SocketAddr {
        self.shared.io.local_addr()
    }

    fn peer_addr(&self, conn: ConnectionId) -> Option<SocketAddr> {
        self.shared.state().core.remote(conn)
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn stats(&self, conn: ConnectionId) -> Stats {
        let mut stats = Stats { transport: self.transport_stats(), ..Stats::default() };
        let state = self.shared.state();
        if let Some(messages) = state.core.messages(conn) {
            stats.messages = messages.stats();
        }
        state.core.stats(conn, &mut stats);
        stats
    }

    fn transport_stats(&self) -> TransportStats {
        let mut stats = TransportStats::default();
        self.shared.stats(&mut stats);
        self.shared.state().core.transport_stats(&mut stats);
        stats
    }

    fn connect(&self, remote: SocketAddr) -> Result<ConnectionId, ConnectError> {
        let call = self.shared.io.call(remote)?;
        self.act(|state, now, wakers| {
            let conn = state.core.connect(now, remote, call)?;
            state.hold(conn, wakers);
            Ok(conn)
        })
    }

    fn incoming(&self) -> Result<Option<ConnectionId>, AcceptError> {
        let mut state = self.shared.state();
        if !state.core.listens() {
            return Err(AcceptError::NotListening);
        }
        Ok(state.next_incoming(clock::now()))
    }

    fn answer(&self, conn: ConnectionId, answer: Answer) {
        self.act(|state, now, wakers| {
            state.core.answer(now, conn, answer);
            match answer {
                Answer::Accept => state.hold(conn, wakers),
                Answer::Refuse(_) => state.core.release(now, conn),
            }
        });
    }

    fn state(&self, conn: ConnectionId) -> Life {
        self.shared.state().core.messages(conn).map_or(Life::Ended(FORGOTTEN), Messages::state)
    }

    fn configure(&self, conn: ConnectionId, channel: u16, config: ChannelConfig) -> Result<(), ConfigureError> {
        self.with(conn, |messages| messages.configure(channel, config)).unwrap_or(Err(FORGOTTEN.into()))
    }

    fn send(&self, conn: ConnectionId, channel: u16, tag: u16, body: Bytes) -> Result<MessageId, SendError> {
        let full = |error: &SendError| *error == SendError::WouldBlock;
        self.try_with(conn, Interest::Writable(conn, channel), |messages| messages.send(channel, tag, body), full)
            .unwrap_or(Err(FORGOTTEN.into()))
    }

    fn begin(&self, conn: ConnectionId, channel: u16, tag: u16, len: Option<u64>) -> Result<MessageId, SendError> {
        let full = |error: &SendError| *error == SendError::WouldBlock;
        self.try_with(conn, Interest::Writable(conn, channel), |messages| messages.begin(channel, tag, len), full)
            .unwrap_or(Err(FORGOTTEN.into()))
    }

    fn write(&self, conn: ConnectionId, channel: u16, id: MessageId, bytes: &[u8]) -> Result<usize, WriteError> {
        let full = |error: &WriteError| *error == WriteError::WouldBlock;
        let interest = Interest::StreamWritable(conn, channel, id);
        self.try_with(conn, interest, |messages| messages.write(channel, id, bytes), full)
            .unwrap_or(Err(FORGOTTEN.into()))
    }

    fn finish(&self, conn: ConnectionId, channel: u16, id: MessageId) -> Result<(), WriteError> {
        self.with(conn, |messages| messages.finish_message(channel, id)).unwrap_or(Err(FORGOTTEN.into()))
    }

    fn reset(&self, conn: ConnectionId, channel: u16, id: MessageId, code: u32) {
        self.touch(conn, |messages, _| messages.reset(channel, id, code));
    }

    fn recv(&self, conn: ConnectionId, select: Select) -> Result<Option<Arrival>, End> {
        if select == Select::Any {
            // To find nothing changes nothing: this comes before every wait.
            let mut state = self.shared.state();
            if state.core.messages(conn).is_some_and(|messages| !messages.readable(select)) {
                state.on_recv_in_vain(conn);
                return Ok(None);
            }
        }
        self.act(|state, _, wakers| {
            let arrival = state.core.messages_mut(conn).ok_or(FORGOTTEN)?.recv(select)?;
            state.on_recv(conn, select, arrival.is_some(), wakers);
            if arrival.is_none() && select != Select::Any {
                state.want(Interest::Readable(conn, select));
            }
            Ok(arrival)
        })
    }

    fn read(&self, conn: ConnectionId, channel: u16, id: MessageId, buf: &mut [u8]) -> Result<usize, ReadError> {
        let empty = |error: &ReadError| *error == ReadError::WouldBlock;
        let interest = Interest::StreamReadable(conn, channel, id);
        self.try_with(conn, interest, |messages| messages.read(channel, id, buf), empty)
            .unwrap_or(Err(FORGOTTEN.into()))
    }

    fn stop(&self, conn: ConnectionId, channel: u16, id: MessageId, code: u32) {
        self.touch(conn, |messages, _| messages.stop(channel, id, code));
    }

    fn close(&self, conn: ConnectionId, code: u32, linger: Duration) {
        self.touch(conn, |messages, now| messages.close(now, code, linger));
    }

    fn close_report(&self, conn: ConnectionId) -> Option<CloseReport> {
        self.shared.state().core.messages(conn)?.close_report().cloned()
    }

    fn abort(&self, conn: ConnectionId, code: u32) {
        self.touch(conn, |messages, _| messages.abort(code));
    }

    fn release(&self, conn: ConnectionId) {
        self.act(|state, now, _| {
            state.let_go(now, conn);
        });
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
