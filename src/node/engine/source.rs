//! From where values are read: a peer that is there, or what one said last that is not.

use std::sync::Arc;

use super::Peer;
use super::departed::Former;
use crate::node::{Name, ReadError, Value, name};
use crate::time::Timestamp;

/// See the module.
#[derive(Clone)]
pub(super) enum Source {
    There(Arc<Peer>),
    Left(Arc<Former>),
}

impl Source {
    pub(super) fn name(&self) -> &Name {
        match self {
            Self::There(peer) => &peer.name,
            Self::Left(former) => &former.name,
        }
    }

    /// Tells it from another of the same name.
    pub(super) fn serial(&self) -> u64 {
        match self {
            Self::There(peer) => peer.serial,
            Self::Left(former) => former.serial,
        }
    }

    /// The peer, while something may come from it.
    pub(super) fn peer(&self) -> Option<&Arc<Peer>> {
        match self {
            Self::There(peer) => Some(peer).filter(|peer| peer.link.gone().is_none()),
            Self::Left(_) => None,
        }
    }

    /// The newest value of a channel and its version.
    pub(super) fn newest(&self, channel: &str, now: Timestamp) -> Result<Option<(Value, u64)>, ReadError> {
        name::check(channel)?;
        match self {
            Self::There(peer) => peer.link.newest(channel),
            Self::Left(former) => former.last.held(channel, now),
        }
    }

    /// As [`newest`](Self::newest), of what was read before: without a look at a connection.
    pub(super) fn held(&self, channel: &str, now: Timestamp) -> Result<Option<(Value, u64)>, ReadError> {
        match self {
            Self::There(peer) => peer.link.held(channel),
            Self::Left(former) => former.last.held(channel, now),
        }
    }
}
