//! What is kept of peers that are there no more, bounded in number and in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::node::Name;
use crate::node::last::Last;

/// Peers that left for good of which something is kept; with more, the one that left first is forgotten.
pub(super) const AWAY_MAX: usize = 64;

/// A peer that is there no more.
#[derive(Debug)]
pub(super) struct Former {
    pub(super) name: Name,
    /// Tells it from another of the same name.
    pub(super) serial: u64,
    pub(super) last: Last,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Departed {
    /// Those that left first are first.
    peers: VecDeque<Entry>,
    /// What all together may cost, in bytes.
    cost_max: usize,
}

#[derive(Debug)]
struct Entry {
    former: Arc<Former>,
    /// It is called again.
    returns: bool,
}

impl Departed {
    pub(super) const fn new(cost_max: usize) -> Self {
        Self { peers: VecDeque::new(), cost_max }
    }

    pub(super) const fn cost_max(&self) -> usize {
        self.cost_max
    }

    pub(super) fn find(&self, name: &str) -> Option<&Arc<Former>> {
        self.iter().find(|former| former.name == *name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Former>> {
        self.peers.iter().map(|entry| &entry.former)
    }

    /// One left. Of what is kept of those that left before, what is too much now goes.
    pub(super) fn add(&mut self, former: Former, returns: bool) {
        self.remove(&former.name);
        self.peers.push_back(Entry { former: Arc::new(former), returns });
        self.trim();
    }

    /// One that was to be called again is not.
    pub(super) fn stays_away(&mut self, name: &str) {
        if let Some(at) = self.peers.iter().position(|entry| entry.former.name == *name)
            && let Some(entry) = self.peers.remove(at)
        {
            self.peers.push_back(Entry { returns: false, ..entry });
            self.trim();
        }
    }

    /// It is there again.
    pub(super) fn remove(&mut self, name: &str) {
        self.peers.retain(|entry| entry.former.name != *name);
    }

    fn trim(&mut self) {
        if self.peers.iter().filter(|entry| !entry.returns).count() > AWAY_MAX
            && let Some(first) = self.peers.iter().position(|entry| !entry.returns)
        {
            self.peers.remove(first);
        }
        let mut cost: usize = self.iter().map(|former| former.last.cost()).sum();
        for Entry { former, .. } in &mut self.peers {
            if cost <= self.cost_max {
                break;
            }
            cost -= former.last.cost();
            // That it was there is known all the same.
            *former = Arc::new(Former { name: former.name.clone(), serial: former.serial, last: Last::default() });
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::node::names::PeerChannel;
    use crate::node::offset::Offset;
    use crate::node::{Kind, Value};
    use crate::time::Timestamp;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// A peer that wrote values of these lengths.
    fn former(text: &str, lens: &[usize], cost_max: usize) -> Former {
        let channels: Vec<_> = lens
            .iter()
            .map(|len| {
                let newest = Value::new(0, Bytes::from(vec![0; len + 8]), 0);
                (name(&len.to_string()), PeerChannel { number: 0, kind: Kind::Latest, newest, version: 1 })
            })
            .collect();
        let channels = channels.iter().map(|(name, channel)| (name, channel));
        Former { name: name(text), serial: 1, last: Last::new(channels, Offset::default(), cost_max) }
    }

    fn has(departed: &Departed, peer: &str, len: usize) -> bool {
        let held = departed.find(peer).map(|former| former.last.held(&len.to_string(), Timestamp::ZERO));
        held.is_some_and(|held| held.unwrap().is_some())
    }

    #[test]
    fn bytes_are_let_go_of_those_who_left_first_and_names_are_not() {
        let mut departed = Departed::new(10_000);
        departed.add(former("a", &[4_000], 10_000), true);
        departed.add(former("b", &[4_000], 10_000), false);
        assert!(has(&departed, "a", 4_000) && has(&departed, "b", 4_000));
        departed.add(former("c", &[4_000], 10_000), false);
        assert!(!has(&departed, "a", 4_000) && has(&departed, "b", 4_000) && has(&departed, "c", 4_000));
        assert!(departed.find("a").is_some());
        departed.remove("b");
        assert!(departed.find("b").is_none());
    }

    #[test]
    fn of_one_that_wrote_too_much_the_shorter_values_are_kept() {
        let mut departed = Departed::new(10_000);
        departed.add(former("a", &[9_000, 100, 2_000], 10_000), false);
        assert!(has(&departed, "a", 100) && has(&departed, "a", 2_000) && !has(&departed, "a", 9_000));
    }

    #[test]
    fn only_those_who_left_for_good_are_counted() {
        let mut departed = Departed::new(1 << 20);
        for at in 0..AWAY_MAX {
            departed.add(former(&format!("returns {at}"), &[1], 1_000), true);
            departed.add(former(&format!("left {at}"), &[1], 1_000), false);
        }
        assert_eq!(departed.iter().count(), 2 * AWAY_MAX);
        departed.stays_away("returns 0");
        assert!(has(&departed, "returns 0", 1) && departed.find("left 0").is_none() && has(&departed, "left 1", 1));
    }
}
