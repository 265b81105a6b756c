//! What was written to several peers, or to one that may be away: whoever joins gets the newest of each channel.

use std::collections::{BTreeMap, VecDeque};

use super::Side;
use crate::node::control::NAMES_MAX;
use crate::node::value::Stamped;
use crate::node::{Name, WriteError};

/// Names of peers that have left whose values are kept for their return; with more, the oldest is forgotten.
pub(super) const AWAY_MAX: usize = 64;

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
#[derive(Debug, Default)]
pub(super) struct Published {
    values: BTreeMap<Target, BTreeMap<Name, (u64, Stamped)>>,
    written: u64,
    /// Peers that have left, the longest first.
    away: VecDeque<Name>,
}

impl Published {
    /// A value was written for `target`.
    ///
    /// # Errors
    /// [`WriteError::Name`]; [`WriteError::TooManyNames`]: no connection would have so many.
    pub(super) fn publish(&mut self, target: Target, channel: &str, value: &Stamped) -> Result<(), WriteError> {
        let channel = Name::new(channel)?;
        let channels = self.values.entry(target).or_default();
        if channels.len() == NAMES_MAX && !channels.contains_key(&channel) {
            return Err(WriteError::TooManyNames { max: NAMES_MAX });
        }
        self.written += 1;
        channels.insert(channel, (self.written, value.clone()));
        Ok(())
    }

    /// What a peer that joins is to get: of each channel the value that was written last for anybody whom it is one
    /// of.
    pub(super) fn for_peer(&mut self, name: &Name, side: Side) -> BTreeMap<Name, Stamped> {
        self.away.retain(|away| away != name);
        let mut newest: BTreeMap<Name, (u64, Stamped)> = BTreeMap::new();
        for (_, channels) in self.values.iter().filter(|(target, _)| target.means(name, side)) {
            for (channel, (at, value)) in channels {
                if newest.get(channel).is_none_or(|(other, _)| other < at) {
                    newest.insert(channel.clone(), (*at, value.clone()));
                }
            }
        }
        newest.into_iter().map(|(channel, (_, value))| (channel, value)).collect()
    }

    /// A peer has left, and may come back.
    pub(super) fn on_left(&mut self, name: &Name) {
        self.away.retain(|away| away != name);
        self.away.push_back(name.clone());
        if self.away.len() > AWAY_MAX
            && let Some(forgotten) = self.away.pop_front()
        {
            self.values.remove(&Target::Name(forgotten));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::IntoContent as _;
    use crate::time::Timestamp;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn value(text: &'static str) -> Stamped {
        Stamped::new(text.into_content().unwrap(), Timestamp::ZERO)
    }

    fn texts(published: &mut Published, peer: &str, side: Side) -> Vec<String> {
        let values = published.for_peer(&name(peer), side);
        let text = |value: &Stamped| String::from_utf8(value.body[..value.body.len() - 8].to_vec()).unwrap();
        values.iter().map(|(channel, value)| format!("{channel}={}", text(value))).collect()
    }

    #[test]
    fn whoever_joins_gets_what_was_written_last_for_it() {
        let mut published = Published::default();
        for (target, channel, text) in [
            (Target::All, "a", "all"),
            (Target::Side(Side::Local), "a", "local"),
            (Target::Name(name("x")), "b", "x"),
            (Target::All, "b", "all"),
            (Target::Name(name("y")), "a", "y"),
        ] {
            published.publish(target, channel, &value(text)).unwrap();
        }
        assert_eq!(texts(&mut published, "x", Side::Local), ["a=local", "b=all"]);
        assert_eq!(texts(&mut published, "x", Side::Remote), ["a=all", "b=all"]);
        assert_eq!(texts(&mut published, "y", Side::Local), ["a=y", "b=all"]);
        published.publish(Target::All, "a", &value("newer")).unwrap();
        assert_eq!(texts(&mut published, "y", Side::Local), ["a=newer", "b=all"]);
    }

    #[test]
    fn what_was_written_to_one_is_kept_until_others_have_left_since() {
        let mut published = Published::default();
        published.publish(Target::Name(name("x")), "a", &value("x")).unwrap();
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
    fn no_more_channels_than_a_connection_has() {
        let mut published = Published::default();
        for at in 0..NAMES_MAX {
            published.publish(Target::All, &at.to_string(), &value("x")).unwrap();
        }
        let one_more = published.publish(Target::All, "one more", &value("x"));
        assert!(matches!(one_more, Err(WriteError::TooManyNames { max: NAMES_MAX })));
        published.publish(Target::All, "0", &value("y")).unwrap();
        assert!(matches!(published.publish(Target::All, "", &value("x")), Err(WriteError::Name(_))));
    }
}
