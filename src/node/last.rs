//! What a peer that is gone said last: what can still be read of it, without its connection.

use std::collections::BTreeMap;

use super::names::PeerChannel;
use super::offset::Offset;
use super::value::TIME_LEN;
use super::{Kind, Name, ReadError, Value};
use crate::time::Timestamp;

/// What a channel costs beside its name and value, in bytes.
const CHANNEL_COST: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Last {
    channels: BTreeMap<Name, Held>,
    /// The peer's clock as it was known.
    offset: Offset,
    cost: usize,
}

/// What is kept of a channel.
#[derive(Debug)]
enum Held {
    /// The newest value, and its version.
    Newest(Value, u64),
    /// That its values were queued.
    Queued,
}

impl Last {
    /// Of these channels as much as costs no more than `cost_max` bytes: not all of the longest values, if not all.
    pub(super) fn new<'a>(
        channels: impl Iterator<Item = (&'a Name, &'a PeerChannel)>,
        offset: Offset,
        cost_max: usize,
    ) -> Self {
        let mut kept: Vec<(usize, &Name, Held)> = channels
            .filter_map(|(name, channel)| {
                let held = match (channel.kind, &channel.newest) {
                    (Kind::Queued, _) => Held::Queued,
                    (Kind::Latest, Some(value)) => Held::Newest(value.clone(), channel.version),
                    (Kind::Latest, None) => return None,
                };
                Some((held.len() + name.len() + CHANNEL_COST, name, held))
            })
            .collect();
        kept.sort_by_key(|(cost, ..)| *cost);
        let mut last = Self { channels: BTreeMap::new(), offset, cost: 0 };
        for (cost, name, held) in kept {
            if last.cost + cost > cost_max {
                break;
            }
            last.cost += cost;
            last.channels.insert(name.clone(), held);
        }
        last
    }

    /// Bytes that it takes.
    pub(super) const fn cost(&self) -> usize {
        self.cost
    }

    /// The newest value of a channel and its version, if it is kept.
    pub(super) fn held(&self, name: &str, now: Timestamp) -> Result<Option<(Value, u64)>, ReadError> {
        match self.channels.get(name) {
            Some(Held::Newest(value, version)) => {
                Ok(Some((value.clone().with_clock(self.offset.estimate(now)), *version)))
            }
            Some(Held::Queued) => Err(ReadError::Kind { name: Name::new(name)?, is: Kind::Queued }),
            None => Ok(None),
        }
    }
}

impl Held {
    fn len(&self) -> usize {
        match self {
            Self::Newest(value, _) => value.content.body.len() + TIME_LEN,
            Self::Queued => 0,
        }
    }
}
