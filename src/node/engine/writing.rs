//! Writing the newest value of a channel, for whomever it is meant.

use std::sync::Arc;

use super::published::Target;
use super::state::{CLOSED, State};
use super::{Engine, Inner, Peer, Side};
use crate::content::Content;
use crate::node::value::Draft;
use crate::node::{Name, WriteError};

impl Engine {
    pub(in crate::node) fn write_all(&self, channel: &str, content: Content) -> Result<usize, WriteError> {
        self.inner.write(Target::All, channel, content, |state| Ok(state.peers.values().cloned().collect()))
    }

    pub(in crate::node) fn write_to_side(
        &self,
        side: Side,
        channel: &str,
        content: Content,
    ) -> Result<usize, WriteError> {
        self.inner.write(Target::Side(side), channel, content, |state| {
            Ok(state.peers.values().filter(|peer| peer.side == side).cloned().collect())
        })
    }

    pub(in crate::node) fn write_to_name(&self, name: &str, channel: &str, content: Content) -> Result<(), WriteError> {
        let written =
            self.inner.write(Target::Name(Name::new(name)?), channel, content, |state| match state.peers.get(name) {
                Some(peer) => Ok(vec![Arc::clone(peer)]),
                None if state.calls.contains_key(name) => Ok(Vec::new()),
                None => Err(WriteError::NoSuchPeer { name: name.to_owned() }),
            });
        written.map(|_| ())
    }
}

/// Writes values for one peer, as by its name, while it is there.
#[derive(Clone)]
pub(in crate::node) struct ToPeer {
    inner: Arc<Inner>,
    peer: Arc<Peer>,
}

impl ToPeer {
    pub(super) const fn new(inner: Arc<Inner>, peer: Arc<Peer>) -> Self {
        Self { inner, peer }
    }

    pub(in crate::node) fn write(&self, channel: &str, content: Content) -> Result<(), WriteError> {
        let Self { inner, peer } = self;
        let written = inner.write(Target::Name(peer.name.clone()), channel, content, |state| {
            match (peer.link.gone(), state.peers.get(&peer.name)) {
                (None, Some(known)) if known.serial == peer.serial => Ok(vec![Arc::clone(peer)]),
                (gone, _) => Err(gone.unwrap_or(CLOSED).into()),
            }
        });
        written.map(|_| ())
    }
}

impl Inner {
    /// Writes a value for those whom `target` means; of them `whom` says who is there. Returns how many get it.
    fn write(
        &self,
        target: Target,
        channel: &str,
        content: Content,
        whom: impl FnOnce(&State) -> Result<Vec<Arc<Peer>>, WriteError>,
    ) -> Result<usize, WriteError> {
        let draft = Draft::new(content);
        let (peers, value, before) = {
            let mut state = self.state();
            if let Some(why) = state.ended() {
                return Err(why.into());
            }
            let peers = whom(&state)?;
            let (value, before) = state.published.publish(target.clone(), channel, draft, self.home.now())?;
            (peers, value, before)
        };
        let (mut written, mut waits, mut failed) = (0, false, None);
        for peer in peers {
            match peer.link.put(channel, &value) {
                Ok(at_once) => {
                    written += 1;
                    waits |= !at_once;
                }
                // It is leaving.
                Err(WriteError::Gone(_)) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if waits {
            self.bell.ring();
        }
        let Some(error) = failed else { return Ok(written) };
        if written == 0 {
            self.state().published.retract(&target, channel, &value, before);
        }
        Err(error)
    }
}
