//! What a node knows of its peers, behind its lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::call::{Call, Phase, is_final};
use super::departed::{Departed, Former};
use super::events::{Event, Events};
use super::judge::Known;
use super::published::Published;
use super::source::Source;
use super::{NodeConfig, Peer, Reconnect, Side};
use crate::message::End;
use crate::node::link::Link;
use crate::node::{Gone, JoinError, Name};
use crate::time::Timestamp;
use crate::transport::Connection;

/// How a node ends that somebody closes.
pub(super) const CLOSED: Gone = Gone::Ended(End::Closed { code: 0 });

/// A node's clock begins at random, in µs up to this: 12 days. So a node that was started anew writes no value of the
/// time of one that it wrote in its life before, though both lives begin alike.
const ORIGIN_MAX: u64 = 1 << 40;

/// Where a node stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    Closing,
    /// It ended, for this reason.
    Over(Gone),
}

/// See the module.
pub(super) struct State {
    /// What this node's clock shows beyond its transport's, in µs.
    pub(super) origin: u64,
    pub(super) life: Life,
    pub(super) peers: BTreeMap<Name, Arc<Peer>>,
    pub(super) calls: BTreeMap<Name, Call>,
    /// Connections that came another way than by one of the node's transports, with the numbers by which those who
    /// brought them ask for what becomes of them.
    pub(super) brought: Vec<(u64, Connection)>,
    /// What became of calls and of connections that were brought, until whoever has the number asks.
    pub(super) outcomes: BTreeMap<u64, Result<Name, JoinError>>,
    pub(super) published: Published,
    pub(super) events: Events,
    departed: Departed,
    reconnect: Option<Reconnect>,
    serials: u64,
    chance: Xoshiro256PlusPlus,
}

impl State {
    pub(super) fn new(config: &NodeConfig, chance: [u8; 32]) -> Self {
        let mut chance = Xoshiro256PlusPlus::from_seed(chance);
        let origin = chance.random_range(0..ORIGIN_MAX);
        Self {
            origin,
            life: Life::Running,
            peers: BTreeMap::new(),
            calls: BTreeMap::new(),
            brought: Vec::new(),
            outcomes: BTreeMap::new(),
            published: Published::new(origin, config.kept_len_max),
            events: Events::default(),
            departed: Departed::new(config.kept_len_max),
            reconnect: config.reconnect,
            serials: 0,
            chance,
        }
    }

    /// Why nothing can be asked of this node any more.
    pub(super) const fn ended(&self) -> Option<Gone> {
        match self.life {
            Life::Running => None,
            Life::Closing => Some(CLOSED),
            Life::Over(why) => Some(why),
        }
    }

    /// Lets go of everything that is under way and of everybody who is there; gives the latter.
    pub(super) fn let_go(&mut self) -> Vec<Arc<Peer>> {
        self.calls.clear();
        self.brought.clear();
        core::mem::take(&mut self.peers).into_values().collect()
    }

    /// A number that was not given before.
    pub(super) const fn serial(&mut self) -> u64 {
        self.serials += 1;
        self.serials
    }

    /// A number by which a peer knows this node when it comes again.
    pub(super) fn instance(&mut self) -> u64 {
        self.chance.random_range(1..=u64::MAX)
    }

    /// The peer of this name that is there, or else was there last: what is known of it can be read.
    pub(super) fn find(&self, name: &str) -> Option<Source> {
        let there = self.peers.get(name).cloned().map(Source::There);
        there.or_else(|| self.departed.find(name).cloned().map(Source::Left))
    }

    /// Those that are there and those that were, by name.
    pub(super) fn all(&self) -> Vec<Source> {
        let there = self.peers.values().cloned().map(Source::There);
        let mut all: Vec<_> = there.chain(self.departed.iter().cloned().map(Source::Left)).collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    /// What there is to know of the peer of this name, for judging another.
    pub(super) fn known(&self, name: &str) -> Option<Known> {
        let peer = self.peers.get(name)?;
        Some(Known { side: peer.side, instance: peer.instance, is_gone: peer.link.gone().is_some() })
    }

    /// A peer has been greeted: it gets what was written for it, and is one of the peers from now on.
    pub(super) fn admit(&mut self, name: Name, side: Side, instance: u64, link: Arc<Link>) {
        let peer = Arc::new(Peer { name: name.clone(), side, instance, serial: self.serial(), link });
        for (channel, value) in self.published.for_peer(&name, side) {
            // What it cannot take, it could not have taken before.
            let _ = peer.link.put(&channel, &value);
        }
        // Whoever called: what it was before is past.
        self.departed.remove(&name);
        if let Some(call) = self.calls.get_mut(&name) {
            call.backoff.reset();
            if side == Side::Remote || !call.is_under_way() {
                self.on_up(&name);
            }
        }
        self.peers.insert(name.clone(), peer);
        self.events.push(Event::Joined { name, side });
    }

    /// The peer that is called is there, whoever called whom: whoever asked for it is told.
    pub(super) fn on_up(&mut self, name: &Name) {
        let Some(call) = self.calls.get_mut(name) else { return };
        call.phase = Phase::Up;
        self.outcomes.extend(call.ticket.take().map(|ticket| (ticket, Ok(name.clone()))));
    }

    /// A peer of this name may be gone, and nobody have noticed yet.
    pub(super) fn look_after(&mut self, name: &str, now: Timestamp) {
        if let Some(peer) = self.peers.get(name).cloned()
            && let Some(why) = peer.link.gone()
        {
            self.on_gone(&peer, why, now);
        }
    }

    /// A peer is there no more.
    pub(super) fn on_gone(&mut self, peer: &Arc<Peer>, why: Gone, now: Timestamp) {
        if self.peers.get(&peer.name).is_none_or(|known| known.serial != peer.serial) {
            return;
        }
        self.peers.remove(&peer.name);
        let name = peer.name.clone();
        let returns = match (self.calls.get_mut(&name), self.reconnect) {
            // It came by itself while it was being called: what becomes of that is another matter.
            (Some(call), _) if !matches!(call.phase, Phase::Up) => call.ticket.is_none(),
            (Some(call), Some(reconnect)) if call.place.is_some() && !is_final(&why) => {
                call.phase = Phase::Away(now + call.backoff.next(&reconnect, &mut self.chance));
                true
            }
            (Some(_), _) => {
                self.calls.remove(&name);
                false
            }
            (None, _) => false,
        };
        let last = peer.link.last(self.departed.cost_max());
        self.departed.add(Former { name: name.clone(), serial: peer.serial, last }, returns);
        if !returns {
            self.published.on_left(&name);
        }
        self.events.push(Event::Left { name, why, returns });
    }

    /// A call came to nothing.
    pub(super) fn on_failed(&mut self, name: &Name, error: JoinError, now: Timestamp) {
        let Some(call) = self.calls.get_mut(name) else { return };
        let is_final = matches!(&error, JoinError::Gone(why) if is_final(why));
        match self.reconnect.filter(|_| call.ticket.is_none() && !is_final) {
            Some(reconnect) => call.phase = Phase::Away(now + call.backoff.next(&reconnect, &mut self.chance)),
            None => _ = self.give_up(name, error),
        }
    }

    /// A peer is not called any more. `None` where it was not.
    pub(super) fn give_up(&mut self, name: &str, error: JoinError) -> Option<()> {
        let (name, call) = self.calls.remove_entry(name)?;
        match (call.ticket, call.phase) {
            (Some(ticket), _) => {
                // One that came by itself meanwhile has what was written for it until it leaves.
                if !self.peers.contains_key(&name) {
                    self.published.on_left(&name);
                }
                self.outcomes.insert(ticket, Err(error));
            }
            // It is there, or the end of it has been told.
            (None, Phase::Up) => {}
            (None, _) => {
                self.departed.stays_away(&name);
                self.published.on_left(&name);
                let why = if let JoinError::Gone(why) = error { why } else { CLOSED };
                self.events.push(Event::GaveUp { name, why });
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::IntoContent as _;
    use crate::node::engine::departed::AWAY_MAX;
    use crate::node::engine::published::Target;
    use crate::node::value::Draft;

    #[test]
    fn what_was_written_for_a_peer_that_was_never_reached_is_let_go_in_its_turn() {
        let mut state = State::new(&NodeConfig::default(), [1; 32]);
        let name = |text: &str| Name::new(text).unwrap();
        let draft = Draft::new("x".into_content().unwrap());
        state.published.publish(Target::Name(name("x")), "a", draft, Timestamp::ZERO).unwrap();
        let ticket = state.serial();
        state.calls.insert(name("x"), Call::new(None, 1, ticket, Phase::Begin));
        state.on_failed(&name("x"), CLOSED.into(), Timestamp::ZERO);
        assert!(matches!(state.outcomes.get(&ticket), Some(Err(_))));
        for at in 0..AWAY_MAX {
            state.published.on_left(&name(&format!("other {at}")));
        }
        assert!(state.published.for_peer(&name("x"), Side::Remote).is_empty());
    }

    #[test]
    fn a_node_that_is_started_anew_has_another_clock() {
        let origins = [[1; 32], [2; 32], [1; 32]].map(|chance| State::new(&NodeConfig::default(), chance).origin);
        assert!(origins[0] == origins[2] && origins[0] != origins[1], "{origins:?}");
    }
}
