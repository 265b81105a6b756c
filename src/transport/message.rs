//! A message as an application receives it.

use bytes::Bytes;

use super::{Connection, IntoBytesError, MessageReader};
use crate::message::{Arrival, ArrivalBody, MessageId};

/// A message that arrived.
#[derive(Debug)]
pub struct Message {
    /// The channel that it came on.
    pub channel: u16,
    /// Its number on that channel, from 0, in the peer's order of sending.
    pub id: MessageId,
    /// The sender's content tag.
    pub tag: u16,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// Too long to be handed over as one buffer, or its length was not known at the start: read it.
    Stream(MessageReader),
}

impl Message {
    /// What `arrival` is to the holder of `conn`.
    pub(crate) fn new(conn: &Connection, arrival: Arrival) -> Self {
        let Arrival { channel, id, tag, body } = arrival;
        let body = match body {
            ArrivalBody::Whole(bytes) => Body::Whole(bytes),
            ArrivalBody::Stream { len } => Body::Stream(MessageReader::new(conn.clone(), channel, id, len)),
        };
        Self { channel, id, tag, body }
    }

    /// The message as one buffer of at most `max` bytes. A stream is read to its end, which **blocks**; one that is
    /// longer, or for which its reader's [timeout](MessageReader::set_timeout) was too short, is stopped.
    ///
    /// # Errors
    /// [`IntoBytesError::TooLong`], or why the stream did not come to its end.
    pub fn into_bytes(self, max: usize) -> Result<Bytes, IntoBytesError> {
        match self.body {
            Body::Whole(bytes) if bytes.len() <= max => Ok(bytes),
            Body::Whole(_) => Err(IntoBytesError::TooLong { max }),
            Body::Stream(mut reader) => reader.read_to_bytes(max),
        }
    }
}
