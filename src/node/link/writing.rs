//! What we write to the peer.

use super::{Link, State};
use crate::message::{ChannelConfig, ConfigureError, End, SendError};
use crate::node::control::{CONTROL_CHANNEL, Control, NAMES_MAX};
use crate::node::value::{Stamped, TIME_LEN};
use crate::node::{Gone, Kind, Name, WriteError};
use crate::transport::Interest;

impl Link {
    /// Writes a value. Does not wait.
    pub(in crate::node) fn write(&self, name: &str, kind: Kind, value: &Stamped) -> Result<(), WriteError> {
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

    /// Where room for another value of a channel is to be waited for.
    pub(in crate::node) fn room_for(&self, name: &str) -> Interest {
        let number = self.lock().own.get(name).map_or(CONTROL_CHANNEL, |(number, _)| number);
        Interest::Writable(self.conn.id(), number)
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
}
