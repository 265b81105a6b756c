//! Writing the newest value of a channel, for whomever it is meant.

use std::sync::Arc;

use super::published::Target;
use super::{Engine, Peer, Side};
use crate::content::Content;
use crate::node::value::{Draft, Stamped};
use crate::node::{Name, WriteError};

impl Engine {
    /// Writes a value for those whom `target` means; returns how many get it.
    fn write(&self, target: Target, channel: &str, content: Content) -> Result<usize, WriteError> {
        let draft = Draft::new(content);
        let (value, peers): (Stamped, Vec<Arc<Peer>>) = {
            let mut state = self.inner.state();
            if let Some(why) = state.ended() {
                return Err(why.into());
            }
            let peers = match &target {
                Target::All => state.peers.values().cloned().collect(),
                Target::Side(side) => state.peers.values().filter(|peer| peer.side == *side).cloned().collect(),
                Target::Name(name) if state.peers.contains_key(name) || state.calls.contains_key(name) => {
                    state.peers.get(name).cloned().into_iter().collect()
                }
                Target::Name(name) => return Err(WriteError::NoSuchPeer { name: name.to_string() }),
            };
            (state.published.publish(target, channel, draft, self.now())?, peers)
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
            self.inner.bell.ring();
        }
        failed.map_or(Ok(written), Err)
    }

    pub(in crate::node) fn write_all(&self, channel: &str, content: Content) -> Result<usize, WriteError> {
        self.write(Target::All, channel, content)
    }

    pub(in crate::node) fn write_to_side(
        &self,
        side: Side,
        channel: &str,
        content: Content,
    ) -> Result<usize, WriteError> {
        self.write(Target::Side(side), channel, content)
    }

    pub(in crate::node) fn write_to_name(&self, name: &str, channel: &str, content: Content) -> Result<(), WriteError> {
        self.write(Target::Name(Name::new(name)?), channel, content).map(|_| ())
    }
}
