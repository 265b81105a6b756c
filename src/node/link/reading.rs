//! What the peer has written: the newest value of a channel, or the next.

use bytes::Bytes;

use super::{Link, State};
use crate::message::{Arrival, ArrivalBody, Select, Wanted, Whole};
use crate::node::held_len::HeldLen;
use crate::node::last::Last;
use crate::node::names::PeerChannel;
use crate::node::value::TIME_LEN;
use crate::node::{Gone, Kind, Name, ReadError, Reason, Value, name};
use crate::transport::Interest;

/// How many values of a channel are taken in one go on the way to the newest; a sender that keeps to its word has one.
const VALUES_MAX: usize = 64;
/// The code of a STOP for a value that is longer than allowed.
const TOO_LARGE: u32 = 1;

/// What came of reading up to the newest value of a channel.
struct Refreshed {
    /// There is a newer one.
    newer: bool,
    /// Why the newest is not it.
    passed_over: Option<ReadError>,
}

impl Link {
    /// Where the next value of a channel comes, once that is known.
    pub(in crate::node) fn values_of(&self, name: &str) -> Option<Interest> {
        let number = self.lock().peer.get_mut(name)?.number;
        Some(Interest::Readable(self.conn.id(), Select::One(number)))
    }

    /// As [`values_of`](Self::values_of), where each is the newest; what is queued is not waited for with them, for
    /// nobody who looks for the newest would take it.
    pub(in crate::node) fn newest_at(&self, name: &str) -> Option<Interest> {
        let mut state = self.lock();
        let channel = state.peer.get_mut(name)?;
        let interest = Interest::Readable(self.conn.id(), Select::One(channel.number));
        (channel.kind == Kind::Latest).then_some(interest)
    }

    /// What can be read when there is no connection: the newest values, as far as they cost no more than `cost_max`
    /// bytes. Nobody is told of what was not read before and is more than may be held.
    pub(in crate::node) fn last(&self, cost_max: usize) -> Last {
        let mut state = self.lock();
        self.pump(&mut state);
        let State { peer, held, .. } = &mut *state;
        for channel in peer.latest() {
            self.refresh(channel, held);
        }
        self.ring();
        Last::new(state.peer.iter(), state.offset.clone(), cost_max)
    }

    /// The newest value of a channel and its version; `None` where there is none yet. Where that would be more than may
    /// be held it is passed over and told of, once. Does not wait.
    pub(in crate::node) fn newest(&self, name: &str) -> Result<Option<(Value, u64)>, ReadError> {
        name::check(name)?;
        let mut state = self.lock();
        self.pump(&mut state);
        let State { peer, held, offset, .. } = &mut *state;
        if let Some(channel) = peer.get_mut(name).filter(|channel| channel.kind == Kind::Latest) {
            let Refreshed { newer, passed_over } = self.refresh(channel, held);
            if newer {
                offset.on_value();
                self.ring();
            }
            if let Some(error) = passed_over {
                return Err(error);
            }
        }
        self.held_by(&mut state, name)
    }

    /// As [`newest`](Self::newest), of what was read before: without a look at the connection.
    pub(in crate::node) fn held(&self, name: &str) -> Result<Option<(Value, u64)>, ReadError> {
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
    pub(in crate::node) fn take(&self, name: &str) -> Result<Option<Value>, ReadError> {
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

    /// Reads up to the newest value of a channel. Asking for it takes no memory, whatever its length: it is here and
    /// whole, in what the connection's credit and shelf bound, and goes at once where it may not be held.
    fn refresh(&self, channel: &mut PeerChannel, held: &mut HeldLen) -> Refreshed {
        let mut refreshed = Refreshed { newer: false, passed_over: None };
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
            // One that a newer one overtakes is no loss.
            refreshed.passed_over = held.put(&mut channel.newest, value).err();
            if refreshed.passed_over.is_none() {
                channel.version += 1;
                refreshed.newer = true;
            }
        }
        refreshed
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
        // Where the connection has ended, that is why.
        if let Some(gone) = self.gone() {
            return gone.into();
        }
        self.refuse(Reason::Value);
        ReadError::Gone(Gone::ByUs(Reason::Value))
    }
}
