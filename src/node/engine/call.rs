//! A peer that this node calls: where that stands.

use core::net::SocketAddr;
use std::sync::Arc;

use super::backoff::Backoff;
use crate::node::link::Link;
use crate::node::{Gone, Reason};
use crate::time::Timestamp;
use crate::transport::{Connection, Transport};

/// See the module.
pub(super) struct Call {
    /// Where to call; `None` where the connection was given and cannot be had again.
    pub(super) place: Option<(Arc<dyn Transport>, SocketAddr)>,
    /// What we say to the peer so that it knows us when we come again.
    pub(super) instance: u64,
    pub(super) phase: Phase,
    pub(super) backoff: Backoff,
    /// By which number whoever asked for it is told what became of it, until that has happened.
    pub(super) ticket: Option<u64>,
}

/// Where a call stands.
pub(super) enum Phase {
    /// To be begun.
    Begin,
    /// The connection is being established.
    Connecting(Connection),
    /// The peer has until then to greet.
    Greeting(Arc<Link>, Timestamp),
    /// The peer calls us and its call stands: it has until then to come.
    Crossed(Timestamp),
    /// There is a peer of this name.
    Up,
    /// To be begun again then.
    Away(Timestamp),
}

impl Call {
    pub(super) fn new(
        place: Option<(Arc<dyn Transport>, SocketAddr)>,
        instance: u64,
        ticket: u64,
        phase: Phase,
    ) -> Self {
        Self { place, instance, ticket: Some(ticket), phase, backoff: Backoff::default() }
    }

    /// When it wants to be looked at though nothing has come.
    pub(super) const fn due_at(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Begin => Some(Timestamp::ZERO),
            Phase::Greeting(_, at) | Phase::Crossed(at) | Phase::Away(at) => Some(at),
            Phase::Connecting(_) | Phase::Up => None,
        }
    }

    /// True while it is being called for the first time, or again.
    pub(super) const fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Begin | Phase::Connecting(_) | Phase::Greeting(..))
    }
}

/// True where calling again would lead to the same: the two do not understand each other.
pub(super) const fn is_final(gone: &Gone) -> bool {
    match gone {
        Gone::Ended(_) | Gone::Panicked => false,
        Gone::ByPeer(reason) | Gone::ByUs(reason) => matches!(
            reason,
            Reason::Version | Reason::Role | Reason::Malformed | Reason::OutOfTurn | Reason::Names | Reason::Value
        ),
    }
}
