//! Messages on channels over one connection: `spec/message.md`.
//!
//! Sans-IO, and the same for UDP and TCP. It fills a frame of at most n bytes when asked and is told what was
//! acknowledged and what was lost; of packets, retransmission timers, sockets and threads it knows nothing.
//!
//! [`Messages`] routes. Below it one side sends (`sender`) and one receives (`receiver`); each is made of channels
//! (`send_channel`, `receive_channel`), and those of messages (`outgoing`, `assembly`). `credit` bounds what
//! a peer can make us hold, `send_queue` what the application can, `close` ends it all with a report.

mod assembly;
mod budget;
mod close;
mod credit;
mod end;
mod error;
mod messages;
mod order;
mod outgoing;
mod receipts;
mod receive_channel;
mod receiver;
mod send_channel;
mod send_queue;
mod sender;
mod shelf;
#[cfg(test)]
mod tests;
mod whole;

pub use close::{ChannelReport, CloseReport};
pub use end::{End, State, Violation};
pub use error::{ConfigureError, ReadError, SendError, WriteError};
pub use messages::{Heard, MessageStats, Messages, Sent};
pub use receiver::{Arrival, ArrivalBody};
pub use whole::{Preview, Wanted, Whole};

pub use crate::wire::{Delivery, UNRELIABLE_LEN_MAX};

/// What a message costs in credit beside its length, in bytes: what the receiver spends to keep track of it. It is
/// what bounds messages without content. Measured (`tests/alloc.rs`): a message ready takes up to 130 bytes, one that
/// is open up to 410, so that all that the peer sent stays below twice its credit.
pub const MESSAGE_COST: u64 = 256;

/// The least that [`Limits::send_queue`] can be, in bytes.
const SEND_QUEUE_MIN: u64 = 4 * 1024;

/// Chunks out of order that a receiver keeps apart on one connection, all messages together, and runs of messages
/// settled out of order, all channels together.
pub const GAPS_MAX: usize = 65_536;

/// Values of an [`Delivery::Unreliable`] channel that are kept for a reader that does not come: the newest.
pub const UNRELIABLE_UNREAD_MAX: usize = 256;

/// What such values may take up, all channels of a connection together, in bytes.
pub const UNRELIABLE_UNREAD_LEN_MAX: usize = 4 << 20;

/// A message's number on its channel, in one direction, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// What a connection may hold. All in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Up to this length a message is handed over as one buffer; a longer one as a stream. Default 16 MiB; at most
    /// three quarters of `credit_channel`.
    pub message_len_max: u64,
    /// What the peer may have sent and the application not yet taken, all channels together. Default 64 MiB. As much
    /// again may be held of whole values of `Latest` channels, at most one of each channel: those that nobody reads
    /// keep nothing from coming until that is full, too.
    pub credit_connection: u64,
    /// The same for each channel. Default 20 MiB, at most `credit_connection`.
    pub credit_channel: u64,
    /// What may be queued for sending and not yet have arrived; a send beyond it would block. Default 16 MiB, at least
    /// 4 KiB. Each channel may hold three times what all leave over: alone three quarters of it, and one that nobody
    /// reads does not stop the others. A channel's last message may go over its part, whatever its length. The values
    /// of `Latest` channels take the place of one another, and are counted apart, up to as much again; a sixteenth more
    /// is for channels that hold no more than a 256th, so that what is short does not wait behind what is long.
    pub send_queue: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_len_max: 16 << 20, credit_connection: 64 << 20, credit_channel: 20 << 20, send_queue: 16 << 20 }
    }
}

impl Limits {
    /// The limits with what contradicts itself mended: a message that may begin can always end.
    #[must_use]
    pub fn mended(self) -> Self {
        let credit_connection = self.credit_connection.clamp(4 * 1024, crate::wire::VARINT_MAX / 4);
        let credit_channel = self.credit_channel.clamp(4 * 1024, credit_connection);
        // A quarter is left over: an eighth may be held back (see `credit`), and the message's own cost.
        let message_len_max = self.message_len_max.min(credit_channel / 4 * 3 - MESSAGE_COST);
        Self { message_len_max, credit_connection, credit_channel, send_queue: self.send_queue.max(SEND_QUEUE_MIN) }
    }
}

/// How a channel sends, in our direction. To be chosen before its first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// The delivery mode. Default [`Delivery::Ordered`].
    pub delivery: Delivery,
    /// 0 goes first, 7 last; channels of the same priority take turns. Default 3. A 16th of the peer's credit for the
    /// connection beyond that for one channel is for those of priority 0 alone (2.75 MiB by default): what nobody reads
    /// on the others does not hold them up.
    pub priority: u8,
}

impl ChannelConfig {
    /// The lowest priority.
    pub const PRIORITY_MAX: u8 = 7;

    /// A channel of this mode, with the default priority.
    #[must_use]
    pub const fn new(delivery: Delivery) -> Self {
        Self { delivery, priority: 3 }
    }
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self::new(Delivery::Ordered)
    }
}

/// Which messages are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Select {
    /// Those of every channel on which nobody ever asked for `One`.
    Any,
    /// Those of one channel.
    One(u16),
}
