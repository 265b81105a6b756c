//! Reading the newest values of one peer or of all, and waiting for newer ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::source::Source;
use super::watch::{Vain, Watches};
use super::{Engine, Peer, Side, lock};
use crate::message::End;
use crate::node::{Channels, Gone, Name, NameError, ReadError, Value, name};
use crate::time::Timestamp;
use crate::transport::Transport;

/// What a handle has given of the values of all peers.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// By the names of the peer and of the channel.
    given: BTreeMap<Name, BTreeMap<Name, Given>>,
    /// Whose value was given last, or passed over: others come first.
    last: Option<Name>,
}

/// A value that was given.
#[derive(Clone, Copy)]
struct Given {
    serial: u64,
    version: u64,
    /// On its sender's clock.
    written_at: u64,
}

impl Engine {
    /// The newest value of a peer's channel, the peer's last where it is away or has left.
    pub(in crate::node) fn newest(&self, name: &str, channel: &str) -> Result<Option<Value>, ReadError> {
        let source = self.inner.state().find(name);
        let source = source.ok_or_else(|| ReadError::NoSuchPeer { name: name.to_owned() })?;
        Ok(source.newest(channel, self.now())?.map(|(value, _)| value))
    }

    /// As [`newest`](Self::newest), waiting for the first, also until the peer is back where it is called again.
    pub(in crate::node) fn first(&self, name: &str, channel: &str, until: Timestamp) -> Result<Value, ReadError> {
        let bell = self.inner.news.at(&self.inner.home);
        loop {
            let rings = bell.rings();
            let ended = self.inner.state().ended();
            match (self.newest(name, channel), ended) {
                (Ok(Some(value)), _) => return Ok(value),
                (Ok(None) | Err(ReadError::NoSuchPeer { .. }), Some(why)) => return Err(why.into()),
                (Err(error), _) => return Err(error),
                (Ok(None), None) => {}
            }
            let (peer, is_called) = {
                let state = self.inner.state();
                (state.peers.get(name).cloned(), state.calls.contains_key(name))
            };
            if let Some(peer) = peer.as_ref().filter(|peer| peer.link.gone().is_none()) {
                let reader = Channels::of(Arc::clone(&peer.link), None);
                match reader.changed_timeout(channel, until.saturating_since(self.now())) {
                    Err(ReadError::Gone(_)) => continue,
                    other => return other,
                }
            }
            if peer.is_none() && !is_called {
                return Err(ReadError::NoSuchPeer { name: name.to_owned() });
            }
            let waited = self.inner.home.wait(&[bell.interest(rings)], Some(until));
            waited.map_err(|error| not_read(Vain::new(&self.inner.home, &error)))?;
        }
    }

    /// The newest values of a channel, of all peers on `side` that have one.
    pub(in crate::node) fn newest_of(
        &self,
        side: Option<Side>,
        channel: &str,
    ) -> Result<Vec<(Name, Value)>, NameError> {
        name::check(channel)?;
        let mut values = Vec::new();
        for peer in self.those(side) {
            let newest = match peer.link.newest(channel) {
                Err(ReadError::TooMuchHeld { .. }) => peer.link.held(channel),
                other => other,
            };
            // Of one that queues its values there, none is the newest.
            if let Ok(Some((value, _))) = newest {
                values.push((peer.name.clone(), value));
            }
        }
        Ok(values)
    }

    /// Waits for a value of a channel that this handle has not given yet, of any peer, also of one that has left.
    pub(in crate::node) fn changed(&self, channel: &str, until: Option<Timestamp>) -> Result<(Name, Value), ReadError> {
        name::check(channel)?;
        let mut watches: Watches<Arc<Peer>> = Watches::new();
        loop {
            let bell = self.inner.news.at(&self.place_of_most());
            let rings = bell.rings();
            // Looked at after the bell: a bell where no peer is any more is not rung.
            let sources = self.inner.state().all();
            lock(&self.seen).forget_all_but(&sources);
            let is_there = |peer: &Arc<Peer>| bell.hangs_at(peer.link.connection().transport());
            {
                let state = self.inner.state();
                if !bell.hangs_at(&self.inner.home) && !state.peers.values().any(is_there) {
                    continue;
                }
                if let Some(why) = state.ended() {
                    return Err(why.into());
                }
            }
            // What somebody else has read for us; of what nobody has, the wait tells at once.
            if let Some(found) = self.newer(&sources, |source| source.held(channel, self.now()), channel)? {
                return Ok(found);
            }
            watches.clear();
            // Of one that is gone nothing more comes. Of several the first is told of: not always the same.
            let first = self.first_in_turn(&sources);
            for peer in sources[first..].iter().chain(&sources[..first]).filter_map(Source::peer) {
                if let Some(interest) = peer.link.newest_at(channel) {
                    watches.add(peer.link.connection().transport(), interest, Arc::clone(peer));
                }
            }
            let Some(peer) = watches.wait(&bell, rings, until).map_err(not_read)? else { continue };
            let source = [Source::There(peer)];
            if let Some(found) = self.newer(&source, |source| source.newest(channel, self.now()), channel)? {
                return Ok(found);
            }
        }
    }

    /// The transport at which most peers are: there it is best waited for them.
    fn place_of_most(&self) -> Arc<dyn Transport> {
        let mut counts: Vec<(Arc<dyn Transport>, usize)> = vec![(Arc::clone(&self.inner.home), 0)];
        for peer in self.inner.state().peers.values() {
            let transport = peer.link.connection().transport();
            match counts.iter_mut().find(|(other, _)| Arc::ptr_eq(other, transport)) {
                Some((_, count)) => *count += 1,
                None => counts.push((Arc::clone(transport), 1)),
            }
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map_or_else(|| Arc::clone(&self.inner.home), |(transport, _)| transport)
    }

    /// The peers on one side, or all.
    fn those(&self, side: Option<Side>) -> Vec<Arc<Peer>> {
        let state = self.inner.state();
        state.peers.values().filter(|peer| side.is_none_or(|side| peer.side == side)).cloned().collect()
    }

    /// Of peers in the order of their names, the one whose turn it is: not the one whose value was given last.
    fn first_in_turn(&self, sources: &[Source]) -> usize {
        lock(&self.seen).last.as_ref().map_or(0, |last| sources.partition_point(|source| source.name() <= last))
    }

    /// A value that this handle has not given yet, or that there is one that may not be held.
    fn newer(
        &self,
        sources: &[Source],
        look: impl Fn(&Source) -> Result<Option<(Value, u64)>, ReadError>,
        channel: &str,
    ) -> Result<Option<(Name, Value)>, ReadError> {
        let first = self.first_in_turn(sources);
        let mut seen = lock(&self.seen);
        for source in sources[first..].iter().chain(&sources[..first]) {
            match look(source) {
                Ok(Some((value, version))) if seen.give(source, channel, &value, version) => {
                    return Ok(Some((source.name().clone(), value)));
                }
                Err(error @ ReadError::TooMuchHeld { .. }) => {
                    // It had its turn: whoever writes too much keeps no other from being heard.
                    seen.last = Some(source.name().clone());
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

impl Seen {
    /// Notes that a value is given. False where it was before, or a newer one: also by another connection, on which it
    /// was written again. `spec/node.md`, section "Coming again".
    fn give(&mut self, source: &Source, channel: &str, value: &Value, version: u64) -> bool {
        let given = Given { serial: source.serial(), version, written_at: value.written_at() };
        let channels = match self.given.get_mut(source.name()) {
            Some(channels) => channels,
            None => self.given.entry(source.name().clone()).or_default(),
        };
        let is_new = match channels.get_mut(channel) {
            // Looked at before somebody else looked who was told first.
            Some(before) if (before.serial, before.version) >= (given.serial, version) => false,
            Some(before) => {
                let before = core::mem::replace(before, given);
                before.serial == given.serial || before.written_at != given.written_at
            }
            None => {
                let Ok(channel) = Name::new(channel) else { return false };
                channels.insert(channel, given);
                true
            }
        };
        if is_new {
            self.last = Some(source.name().clone());
        }
        is_new
    }

    /// What was given of peers that nobody knows any more does not count.
    fn forget_all_but(&mut self, sources: &[Source]) {
        if self.given.len() > sources.len() {
            self.given.retain(|name, _| sources.binary_search_by(|source| source.name().cmp(name)).is_ok());
        }
    }
}

/// Why nothing was read where a wait came to nothing.
fn not_read(vain: Vain) -> ReadError {
    match vain {
        Vain::TimedOut => ReadError::TimedOut,
        Vain::Broken(_) => Gone::Ended(End::Broken).into(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::node::engine::departed::Former;
    use crate::node::last::Last;

    /// Threads that share a handle look, and then tell, in any order.
    #[test]
    fn what_an_earlier_connection_brought_is_not_given_after_what_a_later_one_did() {
        let mut seen = Seen::default();
        let mut give = |serial, version, time: u64| {
            let name = Name::new("b").unwrap();
            let source = Source::Left(Arc::new(Former { name, serial, last: Last::default() }));
            let value = Value::new(0, Bytes::copy_from_slice(&time.to_be_bytes()), 0).unwrap();
            seen.give(&source, "pose", &value, version)
        };
        assert!(give(1, 1, 100));
        assert!(!give(2, 1, 100), "the same, written again");
        assert!(give(2, 2, 300));
        assert!(!give(1, 2, 200), "older");
        assert!(!give(2, 1, 100), "older on the same connection");
        assert!(!give(2, 2, 300));
        assert!(give(2, 3, 400));
    }
}
