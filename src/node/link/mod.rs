//! A connection on which both sides speak of named channels: what was said, what was read, and waiting for more.
//!
//! Nothing here has a thread. Whoever calls works off what the peer has said meanwhile and answers its questions, and
//! whoever waits does so in [`Transport::wait`](crate::transport::Transport::wait), which reads the socket. The lock is
//! never held over a wait.

mod pending;
mod reading;
mod writing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::pending::Pending;
use super::control::{CONTROL_CHANNEL, Control, Hello, TIME_CHANNEL, Time};
use super::engine::News;
use super::held_len::HeldLen;
use super::names::{OwnNames, PeerNames};
use super::offset::Offset;
use super::stamps::Stamps;
use super::{Gone, Kind, Name, Reason, Role, ValueLimits};
use crate::message::{
    Arrival, ArrivalBody, ChannelConfig, Delivery, End, Select, SendError, State as Life, UNRELIABLE_UNREAD_MAX,
};
use crate::time::Timestamp;
use crate::transport::{Bell, Connection, Interest, WaitError};
use crate::wire::DecodeError;

/// See the module.
pub(super) struct Link {
    conn: Connection,
    /// Rung when something is there for others who wait on this connection,
    bell: Bell,
    /// and for those who wait for several.
    watchers: Option<Arc<News>>,
    role: Role,
    /// The longest value that is read, in bytes.
    value_len_max: u64,
    state: Mutex<State>,
}

/// What is behind the lock.
pub(super) struct State {
    /// What is to be said first and has not gone.
    greeting: Option<Hello>,
    own: OwnNames,
    stamps: Stamps,
    pending: Pending,
    /// The longest message of a value that the peer takes, in bytes; 0 while that is not known.
    peer_len_max: u64,
    peer: PeerNames,
    /// Of the newest values in `peer`.
    held: HeldLen,
    offset: Offset,
}

/// How far a wait has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Something may be there.
    Look,
    /// The time given is over.
    TimedOut,
}

impl Link {
    /// Speaks on `conn`, as one of this role. `watchers` is rung as well when something was read. Our clock shows
    /// `origin` µs where the transport's shows zero.
    pub(super) fn new(
        conn: Connection,
        role: Role,
        watchers: Option<Arc<News>>,
        limits: ValueLimits,
        origin: u64,
    ) -> Self {
        let state = State {
            greeting: None,
            own: OwnNames::default(),
            stamps: Stamps::new(origin),
            pending: Pending::default(),
            peer_len_max: 0,
            peer: PeerNames::default(),
            held: HeldLen::new(limits.held_len_max),
            offset: Offset::default(),
        };
        let bell = Bell::hang(conn.transport());
        let quick = |delivery| ChannelConfig { priority: 0, ..ChannelConfig::new(delivery) };
        for (channel, delivery) in [(CONTROL_CHANNEL, Delivery::Ordered), (TIME_CHANNEL, Delivery::Unreliable)] {
            // Where it has ended, whoever calls next is told.
            let _ = conn.configure(channel, quick(delivery));
        }
        Self { conn, bell, watchers, role, value_len_max: limits.value_len_max, state: Mutex::new(state) }
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.conn
    }

    pub(super) fn now(&self) -> Timestamp {
        self.conn.transport().now()
    }

    /// Why there is no connection any more.
    pub(super) fn gone(&self) -> Option<Gone> {
        match self.conn.state() {
            Life::Ended(end) => Some(end.into()),
            _ => None,
        }
    }

    /// Ends the connection for a reason of the protocol's.
    pub(super) fn refuse(&self, reason: Reason) {
        self.conn.abort(reason.code());
    }

    /// Says who we are: before anything else, as soon as it goes.
    pub(super) fn greet(&self, hello: Hello) {
        let mut state = self.lock();
        state.greeting = Some(hello);
        self.pump(&mut state);
    }

    /// Works off what the peer has said, and gives what it said of itself.
    pub(super) fn hello(&self) -> Option<Hello> {
        let mut state = self.lock();
        self.pump(&mut state);
        state.peer.hello().cloned()
    }

    /// The names of the peer's channels.
    pub(super) fn names(&self) -> Vec<(Name, Kind)> {
        let mut state = self.lock();
        self.pump(&mut state);
        state.peer.list()
    }

    /// Works off what the peer has said.
    pub(super) fn attend(&self) {
        self.pump(&mut self.lock());
    }

    /// When [`attend`](Self::attend) wants to be called though nothing has come.
    pub(super) fn attend_at(&self) -> Option<Timestamp> {
        self.lock().offset.ask_at()
    }

    /// What [`attend`](Self::attend) is for.
    pub(super) fn concerns(&self) -> [Interest; 2] {
        [CONTROL_CHANNEL, TIME_CHANNEL].map(|channel| Interest::Readable(self.conn.id(), Select::One(channel)))
    }

    /// How often the bell was rung: to be read before looking.
    pub(super) fn rings(&self) -> u64 {
        self.bell.rings()
    }

    /// Waits until something may have come since the bell was rung `seen` times, also to those `wanted`. The calling
    /// thread does the transport's I/O.
    pub(super) fn wait(
        &self,
        seen: u64,
        wanted: [Option<Interest>; 2],
        until: Option<Timestamp>,
    ) -> Result<Waited, Gone> {
        let ask_at = self.attend_at();
        let bell = self.bell.interest(seen);
        let [control, time] = self.concerns();
        let [one, other] = wanted.map(|wanted| wanted.unwrap_or(bell));
        let interests = [one, other, bell, control, time];
        match self.conn.transport().wait(&interests, crate::time::earliest(until, ask_at)) {
            Ok(_) => Ok(Waited::Look),
            Err(WaitError::TimedOut) if until.is_some_and(|until| until <= self.now()) => Ok(Waited::TimedOut),
            Err(WaitError::TimedOut) => Ok(Waited::Look),
            Err(WaitError::Broken(_)) => Err(End::Broken.into()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What panicked under it was a verb of the transport's; the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits is to look again.
    fn ring(&self) {
        self.bell.ring();
        if let Some(watchers) = &self.watchers {
            watchers.ring();
        }
    }

    /// Works off what the peer has said, says what is to be said first, answers questions and asks.
    fn pump(&self, state: &mut State) {
        if let Some(hello) = state.greeting.take()
            && self.say(CONTROL_CHANNEL, Control::Hello(hello.clone()).encode()) == Err(SendError::WouldBlock)
        {
            state.greeting = Some(hello);
        }
        let mut heard = false;
        while let Ok(Some(arrival)) = self.recv(CONTROL_CHANNEL) {
            heard = true;
            let handled = control(arrival).and_then(|control| state.peer.handle(self.role, control));
            if let Err(reason) = handled {
                self.refuse(reason);
                break;
            }
        }
        for _ in 0..UNRELIABLE_UNREAD_MAX {
            let Ok(Some(arrival)) = self.recv(TIME_CHANNEL) else { break };
            let ArrivalBody::Whole(bytes) = arrival.body else { continue };
            self.on_time(state, &bytes);
        }
        let now = self.now();
        if state.greeting.is_none() && state.offset.ask_at().is_some_and(|at| at <= now) {
            // What is lost or finds no room is asked again.
            let _ = self.say(TIME_CHANNEL, state.offset.ask(now).encode());
        }
        if heard {
            self.ring();
        }
    }

    fn on_time(&self, state: &mut State, bytes: &[u8]) {
        let now = self.now();
        match Time::decode(bytes) {
            Ok(Time::Ask { time }) => {
                let answer = Time::Answer { asked: time, time: state.stamps.shown(now) };
                let _ = self.say(TIME_CHANNEL, answer.encode());
            }
            Ok(Time::Answer { asked, time }) => {
                state.offset.on_answer(now, asked, time);
            }
            // Nothing depends on it: `spec/node.md`, section "Channels".
            Err(_) => {}
        }
    }

    fn say(&self, channel: u16, bytes: Vec<u8>) -> Result<(), SendError> {
        self.conn.transport().send(self.conn.id(), channel, 0, bytes.into()).map(|_| ())
    }

    fn recv(&self, channel: u16) -> Result<Option<Arrival>, End> {
        self.conn.transport().recv(self.conn.id(), Select::One(channel))
    }
}

/// What a message on the control channel says.
fn control(arrival: Arrival) -> Result<Control, Reason> {
    let ArrivalBody::Whole(bytes) = arrival.body else { return Err(Reason::Malformed) };
    Control::decode(&bytes).map_err(|error| match error {
        DecodeError::Version(_) => Reason::Version,
        _ => Reason::Malformed,
    })
}
