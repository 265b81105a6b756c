//! What we write to the peer.

use super::{Link, State};
use crate::message::{ChannelConfig, ConfigureError, End, SendError, UNRELIABLE_LEN_MAX};
use crate::node::control::{CONTROL_CHANNEL, Control, NAMES_MAX};
use crate::node::value::{Draft, Stamped, TIME_LEN};
use crate::node::{Gone, Kind, Name, WriteError};
use crate::transport::Interest;

/// So many of those that wait are tried before what is written now: some, so that it does not overtake them, and no
/// more, so that a write takes no longer the more wait.
const FIRST: usize = 8;

impl Link {
    /// Gives content the time of now.
    pub(in crate::node) fn stamp(&self, draft: Draft) -> Stamped {
        let mut state = self.lock();
        let time = state.stamps.next(self.now());
        drop(state);
        draft.stamp(time)
    }

    /// Writes a value; one of a latest channel that is older than what was written there is superseded already. Does
    /// not wait.
    pub(in crate::node) fn write(&self, name: &str, kind: Kind, value: &Stamped) -> Result<(), WriteError> {
        let mut state = self.lock();
        self.pump(&mut state);
        self.write_under(&mut state, name, kind, value)
    }

    /// Writes a value of a latest channel, at once or when there is room: of each channel the newest waits for that, so
    /// that a peer that stalls holds up nobody and costs one value for each channel. What waits already goes before it,
    /// unless it takes the place of one that has not gone. False where it has to wait.
    pub(in crate::node) fn put(&self, name: &str, value: &Stamped) -> Result<bool, WriteError> {
        let mut state = self.lock();
        self.pump(&mut state);
        let waiting = state.pending.get(name).map(|pending| pending.time);
        if waiting.is_some_and(|time| time > value.time) {
            return Ok(false);
        }
        self.check_len(&mut state, value)?;
        if waiting.is_some() {
            state.pending.put(Name::new(name)?, value.clone());
        }
        self.put_pending_under(&mut state, FIRST);
        if state.own.get(name).is_some_and(|channel| channel.newest >= value.time) {
            return Ok(true);
        }
        match self.write_under(&mut state, name, Kind::Latest, value) {
            Ok(()) => {
                state.pending.remove(name);
                Ok(true)
            }
            Err(WriteError::Full) => {
                state.pending.put(Name::new(name)?, value.clone());
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes what waits for room, as far as there is some.
    pub(in crate::node) fn put_pending(&self) {
        let mut state = self.lock();
        self.pump(&mut state);
        self.put_pending_under(&mut state, usize::MAX);
    }

    /// Tries so many of those that wait.
    fn put_pending_under(&self, state: &mut State, mut tries: usize) {
        if state.pending.is_empty() {
            return;
        }
        let mut pending = core::mem::take(&mut state.pending);
        pending.retain(|name, value| {
            if tries == 0 {
                return true;
            }
            tries -= 1;
            matches!(self.write_under(state, name, Kind::Latest, value), Err(WriteError::Full))
        });
        state.pending = pending;
    }

    /// Where room for more is to be waited for, where anything waits for it.
    pub(in crate::node) fn wants_room(&self) -> [Option<Interest>; 2] {
        let state = self.lock();
        state.pending.first().map(|name| name.map(|name| self.room_under(&state, name)))
    }

    /// Where room for another value of a channel is to be waited for.
    pub(in crate::node) fn room_for(&self, name: &str) -> Interest {
        self.room_under(&self.lock(), name)
    }

    fn room_under(&self, state: &State, name: &str) -> Interest {
        Interest::Writable(self.conn.id(), state.own.get(name).map_or(CONTROL_CHANNEL, |channel| channel.number))
    }

    /// What the peer does not take is an error at once, whatever room there is.
    fn check_len(&self, state: &mut State, value: &Stamped) -> Result<(), WriteError> {
        let len = value.body.len() as u64;
        if len > UNRELIABLE_LEN_MAX as u64 && state.peer_len_max == 0 {
            state.peer_len_max = self.conn.stats().messages.value_len_max;
        }
        // Nothing is known before the connection is there.
        if len > state.peer_len_max && state.peer_len_max > 0 {
            return Err(too_large(len, state.peer_len_max));
        }
        Ok(())
    }

    fn write_under(&self, state: &mut State, name: &str, kind: Kind, value: &Stamped) -> Result<(), WriteError> {
        let number = self.number(state, name, kind)?;
        if kind == Kind::Latest && state.own.get(name).is_some_and(|channel| channel.newest > value.time) {
            return Ok(());
        }
        let sent = self.conn.transport().send(self.conn.id(), number, value.tag, value.body.clone());
        sent.map(|_| state.own.on_written(name, value.time)).map_err(|error| match error {
            SendError::WouldBlock | SendError::TimedOut => WriteError::Full,
            SendError::TooLarge { len, max } => too_large(len, max),
            SendError::Ended(end) => WriteError::Gone(end.into()),
            SendError::Closing | SendError::NotStreamable => WriteError::Gone(Gone::Ended(End::Closed { code: 0 })),
        })
    }

    /// The number of a channel that we write to, which gets its name now if it has none.
    fn number(&self, state: &mut State, text: &str, kind: Kind) -> Result<u16, WriteError> {
        match state.own.get(text) {
            Some(channel) if channel.kind == kind => return Ok(channel.number),
            Some(channel) => return Err(WriteError::Kind { name: Name::new(text)?, is: channel.kind }),
            // It has its kind, though not its number.
            None if kind != Kind::Latest && state.pending.get(text).is_some() => {
                return Err(WriteError::Kind { name: Name::new(text)?, is: Kind::Latest });
            }
            None => {}
        }
        let name = Name::new(text)?;
        // Those that wait for their numbers will have them.
        let unnamed = state.pending.names().filter(|name| state.own.get(name).is_none() && **name != *text).count();
        let number = state.own.next().filter(|number| usize::from(*number) + unnamed < NAMES_MAX);
        let number = number.ok_or(WriteError::TooManyNames { max: NAMES_MAX })?;
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
}

/// What the transport says of a value's message, of the value.
const fn too_large(len: u64, max: u64) -> WriteError {
    let time = TIME_LEN as u64;
    WriteError::TooLarge { len: len.saturating_sub(time), max: max.saturating_sub(time) }
}
