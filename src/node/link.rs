//! A connection on which both sides speak of named channels: what was said, what was read, and waiting for more.
//!
//! Nothing here has a thread. Whoever calls works off what the peer has said meanwhile and answers its questions, and
//! whoever waits does so in [`Transport::wait`](crate::transport::Transport::wait), which reads the socket. The lock is
//! never held over a wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::control::{CONTROL_CHANNEL, Control, Hello, NAMES_MAX, TIME_CHANNEL, Time};
use super::engine::News;
use super::names::{OwnNames, PeerChannel, PeerNames};
use super::offset::Offset;
use super::value::{Stamped, TIME_LEN};
use super::{Gone, Kind, Name, ReadError, Reason, Role, Value, WriteError, name};
use crate::message::{
    Arrival, ArrivalBody, ChannelConfig, Delivery, End, SendError, State as Life, UNRELIABLE_UNREAD_MAX, Wanted, Whole,
};
use crate::message::{ConfigureError, Select};
use crate::time::Timestamp;
use crate::transport::{Bell, Connection, Interest, WaitError};
use crate::wire::DecodeError;

/// How many values of a channel are taken in one go on the way to the newest; a sender that keeps to its word has one.
const VALUES_MAX: usize = 64;
/// The code of a STOP for a value that is longer than allowed.
const TOO_LARGE: u32 = 1;

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
    peer: PeerNames,
    offset: Offset,
    /// Nothing more comes.
    settled: bool,
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
    /// Speaks on `conn`, as one of this role. `watchers` is rung as well when something was read.
    pub(super) fn new(conn: Connection, role: Role, watchers: Option<Arc<News>>, value_len_max: u64) -> Self {
        let state = State {
            greeting: None,
            own: OwnNames::default(),
            peer: PeerNames::default(),
            offset: Offset::default(),
            settled: false,
        };
        let bell = Bell::hang(conn.transport());
        let quick = |delivery| ChannelConfig { priority: 0, ..ChannelConfig::new(delivery) };
        for (channel, delivery) in [(CONTROL_CHANNEL, Delivery::Ordered), (TIME_CHANNEL, Delivery::Unreliable)] {
            // Where it has ended, whoever calls next is told.
            let _ = conn.configure(channel, quick(delivery));
        }
        Self { conn, bell, watchers, role, value_len_max, state: Mutex::new(state) }
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

    /// Where the next value of a channel comes, once that is known.
    pub(super) fn values_of(&self, name: &str) -> Option<Interest> {
        let number = self.lock().peer.get_mut(name)?.number;
        Some(Interest::Readable(self.conn.id(), Select::One(number)))
    }

    /// As [`values_of`](Self::values_of), where each is the newest; what is queued is not waited for with them, for
    /// nobody who looks for the newest would take it.
    pub(super) fn newest_at(&self, name: &str) -> Option<Interest> {
        let mut state = self.lock();
        let channel = state.peer.get_mut(name)?;
        let interest = Interest::Readable(self.conn.id(), Select::One(channel.number));
        (channel.kind == Kind::Latest).then_some(interest)
    }

    /// How often the bell was rung: to be read before looking.
    pub(super) fn rings(&self) -> u64 {
        self.bell.rings()
    }

    /// Waits until something may have come since the bell was rung `seen` times, also to `wanted`. The calling thread
    /// does the transport's I/O.
    pub(super) fn wait(&self, seen: u64, wanted: Option<Interest>, until: Option<Timestamp>) -> Result<Waited, Gone> {
        let ask_at = self.attend_at();
        let bell = self.bell.interest(seen);
        let [control, time] = self.concerns();
        let interests = [wanted.unwrap_or(bell), bell, control, time];
        match self.conn.transport().wait(&interests, crate::time::earliest(until, ask_at)) {
            Ok(_) => Ok(Waited::Look),
            Err(WaitError::TimedOut) if until.is_some_and(|until| until <= self.now()) => Ok(Waited::TimedOut),
            Err(WaitError::TimedOut) => Ok(Waited::Look),
            Err(WaitError::Broken(_)) => Err(End::Broken.into()),
        }
    }

    /// Writes a value. Does not wait.
    pub(super) fn write(&self, name: &str, kind: Kind, value: &Stamped) -> Result<(), WriteError> {
        let mut state = self.lock();
        self.pump(&mut state);
        let number = self.number(&mut state, name, kind)?;
        let sent = self.conn.transport().send(self.conn.id(), number, value.tag, value.body.clone());
        sent.map(|_| ()).map_err(|error| match error {
            SendError::WouldBlock | SendError::TimedOut => WriteError::Full,
            SendError::TooLarge { len, max } => {
                let time = TIME_LEN as u64;
                WriteError::TooLarge { len: len.saturating_sub(time), max: max.saturating_sub(time) }
            }
            SendError::Ended(end) => WriteError::Gone(end.into()),
            SendError::Closing | SendError::NotStreamable => WriteError::Gone(Gone::Ended(End::Closed { code: 0 })),
        })
    }

    /// The connection has ended: reads what has come to latest channels, and asks the transport no more.
    pub(super) fn settle(&self) {
        let mut state = self.lock();
        self.pump(&mut state);
        for channel in state.peer.latest() {
            self.refresh(channel);
        }
        state.settled = true;
        self.ring();
    }

    /// Where room for another value of a channel is to be waited for.
    pub(super) fn room_for(&self, name: &str) -> Interest {
        let number = self.lock().own.get(name).map_or(CONTROL_CHANNEL, |(number, _)| number);
        Interest::Writable(self.conn.id(), number)
    }

    /// The newest value of a channel and its version; `None` where there is none yet. Does not wait.
    pub(super) fn newest(&self, name: &str) -> Result<Option<(Value, u64)>, ReadError> {
        name::check(name)?;
        let mut state = self.lock();
        if !state.settled {
            self.pump(&mut state);
            let State { peer, offset, .. } = &mut *state;
            if let Some(channel) = peer.get_mut(name).filter(|channel| channel.kind == Kind::Latest)
                && self.refresh(channel)
            {
                offset.on_value();
                self.ring();
            }
        }
        self.held_by(&mut state, name)
    }

    /// As [`newest`](Self::newest), of what was read before: without a look at the connection.
    pub(super) fn held(&self, name: &str) -> Result<Option<(Value, u64)>, ReadError> {
        self.held_by(&mut self.lock(), name)
    }

    fn held_by(&self, state: &mut State, name: &str) -> Result<Option<(Value, u64)>, ReadError> {
        let Some(channel) = state.peer.get_mut(name) else { return Ok(None) };
        if channel.kind != Kind::Latest {
            return Err(ReadError::Kind { name: Name::new(name)?, is: channel.kind });
        }
        let Some(value) = channel.newest.clone() else { return Ok(None) };
        let version = channel.version;
        Ok(Some((value.with_clock(state.offset.estimate(self.now())), version)))
    }

    /// The next value of a queued channel; `None` where there is none yet. Does not wait.
    pub(super) fn take(&self, name: &str) -> Result<Option<Value>, ReadError> {
        name::check(name)?;
        let mut state = self.lock();
        self.pump(&mut state);
        let Some(channel) = state.peer.get_mut(name) else { return Ok(None) };
        if channel.kind != Kind::Queued {
            return Err(ReadError::Kind { name: Name::new(name)?, is: channel.kind });
        }
        let Some(value) = self.take_whole(channel.number)? else { return Ok(None) };
        state.offset.on_value();
        Ok(Some(value.with_clock(state.offset.estimate(self.now()))))
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
                let answer = Time::Answer { asked: time, time: now.as_micros() };
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

    /// The number of a channel that we write to, which gets its name now if it has none.
    fn number(&self, state: &mut State, text: &str, kind: Kind) -> Result<u16, WriteError> {
        match state.own.get(text) {
            Some((number, is)) if is == kind => return Ok(number),
            Some((_, is)) => return Err(WriteError::Kind { name: Name::new(text)?, is }),
            None => {}
        }
        let name = Name::new(text)?;
        let number = state.own.next().ok_or(WriteError::TooManyNames { max: NAMES_MAX })?;
        if state.greeting.is_some() {
            return Err(WriteError::Full);
        }
        let configured = self.conn.configure(number, ChannelConfig::new(kind.delivery()));
        if let Err(ConfigureError::Ended(end)) = configured {
            return Err(WriteError::Gone(end.into()));
        }
        match self.say(CONTROL_CHANNEL, Control::Name { number, kind, name: name.clone() }.encode()) {
            Ok(()) => {}
            Err(SendError::Ended(end)) => return Err(WriteError::Gone(end.into())),
            Err(SendError::Closing) => return Err(WriteError::Gone(Gone::Ended(End::Closed { code: 0 }))),
            Err(_) => return Err(WriteError::Full),
        }
        state.own.add(name, number, kind);
        Ok(number)
    }

    /// Reads up to the newest value of a channel. True where there was a newer one.
    fn refresh(&self, channel: &mut PeerChannel) -> bool {
        let mut newer = false;
        for _ in 0..VALUES_MAX {
            let Ok(Some(arrival)) = self.recv(channel.number) else { break };
            let ArrivalBody::Whole(bytes) = arrival.body else {
                self.refuse(Reason::Value);
                break;
            };
            let Some(value) = Value::new(arrival.tag, bytes, arrival.id.0) else {
                self.refuse(Reason::Value);
                break;
            };
            channel.newest = Some(value);
            channel.version += 1;
            newer = true;
        }
        newer
    }

    fn take_whole(&self, number: u16) -> Result<Option<Value>, ReadError> {
        let (transport, id, select) = (self.conn.transport(), self.conn.id(), Select::One(number));
        let wanted = Wanted { tags: None, len_max: self.value_len_max.saturating_add(TIME_LEN as u64) };
        match transport.recv_whole(id, select, &wanted) {
            Ok(Some(Whole::Taken(Arrival { id, tag, body: ArrivalBody::Whole(bytes), .. }))) => {
                self.value(tag, bytes, id.0).map(Some)
            }
            Ok(Some(Whole::Taken(_))) => Err(self.broken_value()),
            Ok(Some(Whole::Kept(preview))) => {
                // It is the next: taken now, it is passed over.
                let _ = transport.recv(id, select);
                transport.stop(id, number, preview.id, TOO_LARGE);
                let len = preview.len.map(|len| len.saturating_sub(TIME_LEN as u64));
                Err(ReadError::TooLarge { len, max: self.value_len_max })
            }
            Ok(None) | Err(_) => Ok(None),
        }
    }

    fn value(&self, tag: u16, bytes: Bytes, number: u64) -> Result<Value, ReadError> {
        Value::new(tag, bytes, number).ok_or_else(|| self.broken_value())
    }

    fn broken_value(&self) -> ReadError {
        self.refuse(Reason::Value);
        ReadError::Gone(Gone::ByUs(Reason::Value))
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
