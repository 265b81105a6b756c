//! A peer that has been greeted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Side;
use crate::node::link::Link;
use crate::node::value::Stamped;
use crate::node::{Kind, Name, WriteError};
use crate::transport::Interest;

/// See the module.
pub(in crate::node) struct Peer {
    pub(super) name: Name,
    pub(super) side: Side,
    /// What it said of itself when it came: section "Coming again".
    pub(super) instance: u64,
    /// Tells it from another of the same name.
    pub(super) serial: u64,
    pub(super) link: Arc<Link>,
    /// Values that found no room, the newest of each channel: so a peer that stalls holds up nobody, and costs one
    /// value for each channel.
    pending: Mutex<BTreeMap<Name, Stamped>>,
}

impl Peer {
    pub(super) fn new(name: Name, side: Side, instance: u64, serial: u64, link: Arc<Link>) -> Arc<Self> {
        Arc::new(Self { name, side, instance, serial, link, pending: Mutex::default() })
    }

    /// Writes the newest value of a channel, at once or when there is room. False where it has to wait for that.
    pub(super) fn put(&self, channel: &str, value: &Stamped) -> Result<bool, WriteError> {
        let mut pending = self.pending();
        match self.link.write(channel, Kind::Latest, value) {
            Ok(()) => {
                pending.remove(channel);
                Ok(true)
            }
            Err(WriteError::Full) => {
                pending.insert(Name::new(channel)?, value.clone());
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes what has been waiting for room, as far as there is some.
    pub(super) fn flush(&self) {
        self.pending()
            .retain(|channel, value| matches!(self.link.write(channel, Kind::Latest, value), Err(WriteError::Full)));
    }

    /// Where room for more is to be waited for, where anything waits for it.
    pub(super) fn wants_room(&self) -> Option<Interest> {
        self.pending().keys().next().map(|channel| self.link.room_for(channel))
    }

    fn pending(&self) -> MutexGuard<'_, BTreeMap<Name, Stamped>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
