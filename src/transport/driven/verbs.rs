//! The verbs of [`Transport`], written once for every machine that drives a core.

use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use bytes::Bytes;

use super::core::Core;
use super::state::State;
use crate::message::{
    Arrival, ChannelConfig, CloseReport, ConfigureError, End, Limits, MessageId, Messages, ReadError, Select,
    SendError, State as Life, Wanted, Whole, WriteError,
};
use crate::proto::{InviteId, InviteState, Security};
use crate::slots::ConnectionId;
use crate::time::Timestamp;
use crate::transport::{
    AcceptError, Answer, BellId, ConnectError, Interest, Joiner, Psk, Ready, Stats, Transport, TransportStats,
    WaitError, WaitSlot,
};

/// What a connection that is not known behaves like.
const FORGOTTEN: End = End::Closed { code: 0 };

/// What drives a core: threads, a keeper and sockets, or a simulated world.
pub(in crate::transport) trait Machine: Send + Sync {
    /// What it drives.
    type Core: Core;

    /// Its secrets come from a seed, and are none outside of its world.
    const SIMULATED: bool = false;

    /// Does something to the state, then what it leads to: what is to be sent is sent in this call.
    fn act<R>(&self, act: impl FnOnce(&mut State<Self::Core>, Timestamp, &mut Vec<Waker>) -> R) -> R;

    /// Looks at the state, or takes from its queues; nothing follows from it.
    fn look<R>(&self, look: impl FnOnce(&mut State<Self::Core>) -> R) -> R;

    /// Does something to the bells and those who wait, which leaves nothing to be sent.
    fn tell(&self, tell: impl FnOnce(&mut State<Self::Core>, &mut Vec<Waker>));

    /// See [`Transport::chance`].
    fn chance(&self) -> std::io::Result<[u8; 32]>;

    /// What a call to `remote` needs.
    fn call(&self, remote: SocketAddr) -> Result<<Self::Core as Core>::Call, ConnectError>;

    /// See [`Transport::local_addr`].
    fn local_addr(&self) -> SocketAddr;

    /// See [`Transport::limits`].
    fn limits(&self) -> Limits;

    /// Fills in what the machine counts.
    fn stats(&self, stats: &mut TransportStats);

    /// See [`Transport::wait`].
    fn wait(&self, interests: &[Interest], until: Option<Timestamp>) -> Result<Ready, WaitError>;

    /// See [`Transport::poll_wait`].
    fn poll_wait(
        &self,
        slot: &mut WaitSlot,
        interests: &[Interest],
        cx: &mut Context<'_>,
    ) -> Poll<Result<Ready, WaitError>>;

    /// See [`Transport::now`].
    fn now(&self) -> Timestamp;

    /// See [`Transport::sleep_until`].
    fn sleep_until(&self, until: Timestamp);

    /// See [`Transport::spawn_thread`].
    fn spawn_thread(&self, name: &str, main: Box<dyn FnOnce() + Send>) -> std::io::Result<Joiner>;
}

/// A transport over a machine.
pub(in crate::transport) struct Verbs<M>(pub(in crate::transport) M);

impl<M: Machine> Verbs<M> {
    /// Does something to the messages of a connection, if it is known.
    fn with<R>(&self, conn: ConnectionId, act: impl FnOnce(&mut Messages) -> R) -> Option<R> {
        self.0.act(|state, _, _| state.core.messages_mut(conn).map(act))
    }

    /// Does something to the messages of a connection that others may wait for.
    fn touch(&self, conn: ConnectionId, act: impl FnOnce(&mut Messages, Timestamp)) {
        self.0.act(|state, now, wakers| {
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
        self.0.act(|state, _, _| {
            let result = state.core.messages_mut(conn).map(act)?;
            if result.as_ref().is_err_and(would_block) {
                state.want(interest);
            }
            Some(result)
        })
    }

    /// Somebody is about to wait for word from the peer that a core may have to ask for.
    fn await_receipts(&self, interests: &[Interest]) {
        let awaited = |interest: &Interest| match *interest {
            Interest::Flushed(id) | Interest::Closed(id) => Some(id),
            _ => None,
        };
        let mut awaited = interests.iter().filter_map(awaited).peekable();
        if awaited.peek().is_none() {
            return;
        }
        let now = self.0.now();
        if self.0.look(|state| awaited.fold(false, |asks, id| state.core.handle_awaited(now, id) | asks)) {
            self.0.act(|_, _, _| ());
        }
    }
}

/// What pairing needs of a transport besides.
pub(in crate::transport) trait Joining: Transport {
    /// Begins to call somebody who made an invite, with the words of its code.
    fn join(&self, remote: SocketAddr, security: Security, invite: InviteId) -> Result<ConnectionId, ConnectError>;

    /// One more address at which they may be. False where that is of no use.
    fn add_candidate(&self, conn: ConnectionId, remote: SocketAddr, invite: InviteId) -> bool;

    /// There are others to be tried: the call is to end within `patience`, unless our proof goes out before.
    fn hurry(&self, conn: ConnectionId, patience: Duration);

    /// Who of them answered, however that went on.
    fn answered(&self, conn: ConnectionId) -> Option<SocketAddr>;
}

impl<M: Machine> Joining for Verbs<M> {
    fn join(&self, remote: SocketAddr, security: Security, invite: InviteId) -> Result<ConnectionId, ConnectError> {
        let call = self.0.call(remote)?;
        self.0.act(|state, now, wakers| {
            let conn = state.core.join(now, remote, call, security, invite)?;
            state.hold(conn, wakers);
            Ok(conn)
        })
    }

    fn add_candidate(&self, conn: ConnectionId, remote: SocketAddr, invite: InviteId) -> bool {
        let Ok(call) = self.0.call(remote) else { return false };
        self.0.act(|state, now, _| state.core.add_candidate(now, conn, remote, call, invite))
    }

    fn hurry(&self, conn: ConnectionId, patience: Duration) {
        self.0.act(|state, now, _| state.core.hurry(now, conn, patience));
    }

    fn answered(&self, conn: ConnectionId) -> Option<SocketAddr> {
        self.0.look(|state| state.core.remote(conn).filter(|_| state.core.answered(conn)))
    }
}

impl<M: Machine> Transport for Verbs<M> {
    fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }

    fn peer_addr(&self, conn: ConnectionId) -> Option<SocketAddr> {
        self.0.look(|state| state.core.remote(conn))
    }

    fn limits(&self) -> Limits {
        self.0.limits()
    }

    fn stats(&self, conn: ConnectionId) -> Stats {
        let mut stats = Stats { transport: self.transport_stats(), ..Stats::default() };
        let system = self.0.look(|state| {
            if let Some(messages) = state.core.messages(conn) {
                stats.messages = messages.stats();
            }
            state.core.stats(conn, &mut stats);
            state.core.system_stats(conn)
        });
        if let Some(fill) = system {
            fill(&mut stats);
        }
        stats
    }

    fn transport_stats(&self) -> TransportStats {
        let mut stats = TransportStats::default();
        self.0.stats(&mut stats);
        self.0.look(|state| state.core.transport_stats(&mut stats));
        stats
    }

    fn connect(&self, remote: SocketAddr) -> Result<ConnectionId, ConnectError> {
        let call = self.0.call(remote)?;
        self.0.act(|state, now, wakers| {
            let conn = state.core.connect(now, remote, call)?;
            state.hold(conn, wakers);
            Ok(conn)
        })
    }

    fn incoming(&self) -> Result<Option<ConnectionId>, AcceptError> {
        let now = self.0.now();
        self.0.look(|state| {
            if !state.core.listens() {
                return Err(AcceptError::NotListening);
            }
            match state.next_incoming(now) {
                None if state.core.invite() == Some(InviteState::Burnt) => Err(AcceptError::InviteBurnt),
                incoming => Ok(incoming),
            }
        })
    }

    fn answer(&self, conn: ConnectionId, answer: Answer) {
        self.0.act(|state, now, wakers| {
            state.core.answer(now, conn, answer);
            match answer {
                Answer::Accept => state.hold(conn, wakers),
                Answer::Refuse(_) => state.core.release(now, conn),
            }
        });
    }

    fn device_key(&self, conn: ConnectionId) -> Option<Psk> {
        let key = self.0.look(|state| state.core.exports(conn).map(|exports| Psk::of_device(&exports.device)));
        if M::SIMULATED { key.map(Psk::into_simulated) } else { key }
    }

    fn state(&self, conn: ConnectionId) -> Life {
        self.0.look(|state| state.core.messages(conn).map_or(Life::Ended(FORGOTTEN), Messages::state))
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
        if select == Select::Any && self.0.look(|state| state.is_in_vain(conn)) {
            return Ok(None);
        }
        self.0.act(|state, _, wakers| {
            let arrival = state.core.messages_mut(conn).ok_or(FORGOTTEN)?.recv(select)?;
            state.on_recv(conn, select, arrival.is_some(), wakers);
            if arrival.is_none() && select != Select::Any {
                state.want(Interest::Readable(conn, select));
            }
            Ok(arrival)
        })
    }

    fn recv_whole(&self, conn: ConnectionId, select: Select, wanted: &Wanted<'_>) -> Result<Option<Whole>, End> {
        if select == Select::Any && self.0.look(|state| state.is_in_vain(conn)) {
            return Ok(None);
        }
        self.0.act(|state, _, wakers| {
            let whole = state.core.messages_mut(conn).ok_or(FORGOTTEN)?.recv_whole(select, wanted)?;
            state.on_recv(conn, select, whole.is_some(), wakers);
            if whole.is_none() && select != Select::Any {
                state.want(Interest::Readable(conn, select));
            }
            Ok(whole)
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
        self.0.look(|state| state.core.messages(conn)?.close_report().cloned())
    }

    fn abort(&self, conn: ConnectionId, code: u32) {
        self.touch(conn, |messages, _| messages.abort(code));
    }

    fn release(&self, conn: ConnectionId) {
        self.0.act(|state, now, _| {
            state.let_go(now, conn);
        });
    }

    fn wait(&self, interests: &[Interest], until: Option<Timestamp>) -> Result<Ready, WaitError> {
        self.await_receipts(interests);
        self.0.wait(interests, until)
    }

    fn poll_wait(
        &self,
        slot: &mut WaitSlot,
        interests: &[Interest],
        cx: &mut Context<'_>,
    ) -> Poll<Result<Ready, WaitError>> {
        self.await_receipts(interests);
        self.0.poll_wait(slot, interests, cx)
    }

    fn hang_bell(&self) -> BellId {
        self.0.look(|state| state.bells.hang())
    }

    fn ring(&self, bell: BellId) {
        self.0.tell(|state, wakers| state.ring(bell, wakers));
    }

    fn rings(&self, bell: BellId) -> Option<u64> {
        self.0.look(|state| state.bells.rings(bell))
    }

    fn take_down(&self, bell: BellId) {
        self.0.tell(|state, wakers| state.take_down(bell, wakers));
    }

    fn chance(&self) -> std::io::Result<[u8; 32]> {
        self.0.chance()
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep_until(&self, until: Timestamp) {
        self.0.sleep_until(until);
    }

    fn spawn_thread(&self, name: &str, main: Box<dyn FnOnce() + Send>) -> std::io::Result<Joiner> {
        self.0.spawn_thread(name, main)
    }
}
