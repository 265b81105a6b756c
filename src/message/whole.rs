//! Asking for a message as one buffer, whatever its length, and only if it is what is wanted.

use super::{Arrival, MessageId};

/// Which messages a caller takes.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Those with one of these content tags; `None`: with any.
    pub tags: Option<&'a [u16]>,
    /// Those of at most so many bytes.
    pub len_max: u64,
}

impl Wanted<'_> {
    /// Whether `preview` is one of them, as far as is known.
    pub(super) fn is(&self, preview: &Preview) -> bool {
        self.tags.is_none_or(|tags| tags.contains(&preview.tag)) && preview.len.is_none_or(|len| len <= self.len_max)
    }
}

/// What is known of a message that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Its channel.
    pub channel: u16,
    /// Its number there.
    pub id: MessageId,
    /// The content tag that the sender gave it.
    pub tag: u16,
    /// Its length in bytes, where that is known.
    pub len: Option<u64>,
}

/// What became of asking for a message as one buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whole {
    /// It is handed over. As a stream only where it will never be whole, because its sender gave it up or the
    /// connection ended: whoever reads that learns why.
    Taken(Arrival),
    /// It is another than wanted, or longer, and stays what the next call is offered.
    Kept(Preview),
}
