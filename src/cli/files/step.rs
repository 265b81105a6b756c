//! What a half of the protocol wants done next: the only thing that it and its connection share.

use bytes::Bytes;

use super::message::Message;
use super::outcome::Notice;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this.
    Send(Outgoing),
    /// Tell the user this.
    Say(Notice),
    /// Some work was done: look what has come, then ask again.
    Again,
    /// Nothing until a message comes.
    Wait,
    /// Everything is settled and both sides know it.
    Finished,
}

/// A message on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// The channel that it belongs on.
    pub(crate) channel: u16,
    /// Its content tag.
    pub(crate) tag: u16,
    /// Its body.
    pub(crate) body: Bytes,
}

impl Outgoing {
    /// `message` on `channel`.
    pub(crate) fn new(channel: u16, message: &Message<'_>) -> Self {
        let (tag, body) = message.encode();
        Self { channel, tag, body: body.into() }
    }
}
