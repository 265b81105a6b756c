//! What was written to several peers, or to one that may be away: whoever joins gets the newest of each channel.

use std::collections::{BTreeMap, VecDeque};

use super::Side;
use super::departed::AWAY_MAX;
use crate::node::control::NAMES_MAX;
use crate::node::stamps::Stamps;
use crate::node::value::{Draft, Stamped};
use crate::node::{Name, WriteError};
use crate::time::Timestamp;

/// For whom a value is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// For every peer.
    All,
    /// For those on this side.
    Side(Side),
    /// For the one of this name.
    Name(Name),
}

impl Target {
    fn means(&self, name: &Name, side: Side) -> bool {
        match self {
            Self::All => true,
            Self::Side(own) => *own == side,
            Self::Name(own) => own == name,
        }
    }
}

/// The newest value of each channel, for each target.
#[derive(Debug)]
pub(super) struct Published {
    stamps: Stamps,
    values: BTreeMap<Target, BTreeMap<Name, Stamped>>,
    /// Peers that have left, the longest first.
    away: VecDeque<Name>,
    /// How many bytes are kept of what was written to those by name.
    kept_len_max: usize,
}

impl Published {
    /// Nothing, on a clock that shows `origin` µs where the transport's shows zero. Of what is written to peers by name
    /// that have left then, so many bytes are kept.
    pub(super) const fn new(origin: u64, kept_len_max: usize) -> Self {
        Self { stamps: Stamps::new(origin), values: BTreeMap::new(), away: VecDeque::new(), kept_len_max }
    }

    /// A value is written for `target`; it gets its time now, and with it its place among all that were. Gives the one
    /// that it supersedes, too.
    ///
    /// # Errors
    /// [`WriteError::Name`]; [`WriteError::TooManyNames`]: no connection would have so many.
    pub(super) fn publish(
        &mut self,
        target: Target,
        channel: &str,
        draft: Draft,
        now: Timestamp,
    ) -> Result<(Stamped, Option<Stamped>), WriteError> {
        let channel = Name::new(channel)?;
        let channels = self.values.entry(target).or_default();
        if channels.len() == NAMES_MAX && !channels.contains_key(&channel) {
            return Err(WriteError::TooManyNames { max: NAMES_MAX });
        }
        let value = draft.stamp(self.stamps.next(now));
        let before = channels.insert(channel, value.clone());
        Ok((value, before))
    }

    /// Nobody can have a value that was published: whoever joins is to get the one before.
    pub(super) fn retract(&mut self, target: &Target, channel: &str, value: &Stamped, before: Option<Stamped>) {
        let Some(channels) = self.values.get_mut(target) else { return };
        match (channels.get_mut(channel), before) {
            (Some(published), Some(before)) if published.time == value.time => *published = before,
            (Some(published), None) if published.time == value.time => drop(channels.remove(channel)),
            _ => {}
        }
    }

    /// What a peer that joins is to get: of each channel the value that was written last for anybody whom it is one
    /// of.
    pub(super) fn for_peer(&mut self, name: &Name, side: Side) -> BTreeMap<Name, Stamped> {
        self.away.retain(|away| away != name);
        let mut newest: BTreeMap<Name, Stamped> = BTreeMap::new();
        for (_, channels) in self.values.iter().filter(|(target, _)| target.means(name, side)) {
            for (channel, value) in channels {
                if newest.get(channel).is_none_or(|other| other.time < value.time) {
                    newest.insert(channel.clone(), value.clone());
                }
            }
        }
        newest
    }

    /// A peer has left, and may come back.
    pub(super) fn on_left(&mut self, name: &Name) {
        self.away.retain(|away| away != name);
        self.away.push_back(name.clone());
        while (self.away.len() > AWAY_MAX || self.away_len() > self.kept_len_max)
            && let Some(forgotten) = self.away.pop_front()
        {
            self.values.remove(&Target::Name(forgotten));
        }
    }

    /// The bytes of what was written to those who have left.
    fn away_len(&self) -> usize {
        let values = self.away.iter().filter_map(|name| self.values.get(&Target::Name(name.clone())));
        values.flat_map(BTreeMap::values).map(|value| value.body.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::IntoContent as _;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// At always the same time: the order is that of the calls.
    fn publish(published: &mut Published, target: Target, channel: &str, text: &'static str) -> Result<(), WriteError> {
        published.publish(target, channel, Draft::new(text.into_content().unwrap()), Timestamp::ZERO).map(|_| ())
    }

    fn texts(published: &mut Published, peer: &str, side: Side) -> Vec<String> {
        let values = published.for_peer(&name(peer), side);
        let text = |value: &Stamped| String::from_utf8(value.body[..value.body.len() - 8].to_vec()).unwrap();
        values.iter().map(|(channel, value)| format!("{channel}={}", text(value))).collect()
    }

    #[test]
    fn whoever_joins_gets_what_was_written_last_for_it() {
        let mut published = Published::new(0, 1 << 20);
        for (target, channel, text) in [
            (Target::All, "a", "all"),
            (Target::Side(Side::Local), "a", "local"),
            (Target::Name(name("x")), "b", "x"),
            (Target::All, "b", "all"),
            (Target::Name(name("y")), "a", "y"),
        ] {
            publish(&mut published, target, channel, text).unwrap();
        }
        assert_eq!(texts(&mut published, "x", Side::Local), ["a=local", "b=all"]);
        assert_eq!(texts(&mut published, "x", Side::Remote), ["a=all", "b=all"]);
        assert_eq!(texts(&mut published, "y", Side::Local), ["a=y", "b=all"]);
        publish(&mut published, Target::All, "a", "newer").unwrap();
        assert_eq!(texts(&mut published, "y", Side::Local), ["a=newer", "b=all"]);
    }

    #[test]
    fn what_was_written_to_one_is_kept_until_others_have_left_since() {
        let mut published = Published::new(0, 1 << 20);
        publish(&mut published, Target::Name(name("x")), "a", "x").unwrap();
        published.on_left(&name("x"));
        for at in 1..AWAY_MAX {
            published.on_left(&name(&at.to_string()));
        }
        assert_eq!(texts(&mut published, "x", Side::Local), ["a=x"]);
        published.on_left(&name("x"));
        for at in 0..AWAY_MAX {
            published.on_left(&name(&format!("other {at}")));
            assert_eq!(published.values.len(), usize::from(at + 1 < AWAY_MAX));
        }
        assert!(texts(&mut published, "x", Side::Local).is_empty());
    }

    #[test]
    fn what_was_written_to_those_who_left_is_bounded_in_bytes() {
        let mut published = Published::new(0, 2 * (1 + 8));
        for peer in ["x", "y", "z"] {
            publish(&mut published, Target::Name(name(peer)), "a", "v").unwrap();
        }
        ["x", "y", "z"].iter().for_each(|peer| published.on_left(&name(peer)));
        assert!(texts(&mut published, "x", Side::Local).is_empty());
        assert_eq!(texts(&mut published, "y", Side::Local), ["a=v"]);
        assert_eq!(texts(&mut published, "z", Side::Local), ["a=v"]);
    }

    #[test]
    fn no_more_channels_than_a_connection_has() {
        let mut published = Published::new(0, 1 << 20);
        for at in 0..NAMES_MAX {
            publish(&mut published, Target::All, &at.to_string(), "x").unwrap();
        }
        let one_more = publish(&mut published, Target::All, "one more", "x");
        assert!(matches!(one_more, Err(WriteError::TooManyNames { max: NAMES_MAX })));
        publish(&mut published, Target::All, "0", "y").unwrap();
        assert!(matches!(publish(&mut published, Target::All, "", "x"), Err(WriteError::Name(_))));
    }
}
