//! RECEIVED: which records the peer's library has handled, and which of the peer's we have. `spec/tcp.md`,
//! section "RECEIVED".

use core::time::Duration;
use std::collections::VecDeque;

use crate::message::{Messages, Sent, Violation};
use crate::time::{Timer, Timestamp};
use crate::wire::{Delivery, Frame};

/// How long a RECEIVED that is owed may wait for a record to ride on.
pub(super) const DELAY_MAX: Duration = Duration::from_millis(5);
/// So many records at the most are answered by one RECEIVED ...
const RECORDS_MAX: u64 = 64;
/// ... and so many bytes: a sender whose queue is small must not have to wait for [`DELAY_MAX`] to get room.
const BYTES_MAX: usize = 512 * 1024;
/// What may be under way unanswered; until some of it is answered no new messages go. At 40 bytes each, and above what
/// the credit of an honest peer lets go.
const AWAITED_MAX: usize = 256 * 1024;

/// What we owe: the count of the peer's records that we have handled.
#[derive(Debug, Default)]
pub(super) struct Owed {
    handled: u64,
    told: u64,
    /// Since the last RECEIVED, of records that ask for one.
    records: u64,
    bytes: usize,
    /// One of those ended a message.
    ends_message: bool,
    due: bool,
    timer: Timer,
}

impl Owed {
    /// A record of `len` bytes was handled; `asks` for a RECEIVED or not.
    pub(super) fn on_record(&mut self, now: Timestamp, len: usize, asks: bool, ends_message: bool) {
        self.handled += 1;
        if asks {
            self.records += 1;
            self.bytes += len;
            self.ends_message |= ends_message;
            self.due |= self.records >= RECORDS_MAX || self.bytes >= BYTES_MAX;
            self.timer.arm_no_later(now + DELAY_MAX);
        }
    }

    /// It is to go with the next record, and if there is none, alone.
    pub(super) const fn hurry(&mut self) {
        self.due = true;
    }

    /// True when a message has ended of whose arrival the peer was not told.
    pub(super) const fn ends_message(&self) -> bool {
        self.ends_message
    }

    /// True when it goes even if nothing else does.
    pub(super) const fn is_due(&self) -> bool {
        self.due
    }

    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        self.timer.deadline()
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp) {
        self.due |= self.timer.fire(now);
    }

    /// Writes the frame, where there is anything to tell.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        if self.handled > self.told {
            Frame::Received { count: self.handled }.put(out);
        }
    }

    /// What [`put`](Self::put) wrote goes out.
    pub(super) fn on_told(&mut self) {
        *self = Self { handled: self.handled, told: self.handled, ..Self::default() };
    }
}

/// What we wait for: the peer's word that it has handled our records.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// Records sent.
    records: u64,
    /// What was in them that the message floor wants to hear of, each with the number of its record.
    items: VecDeque<(u64, Sent)>,
}

impl Awaited {
    /// True while more may be put under way.
    pub(super) fn has_room(&self) -> bool {
        self.items.len() < AWAITED_MAX
    }

    /// A record goes out with `sent` in it, which is emptied. True when it asks for a RECEIVED.
    pub(super) fn on_record(&mut self, sent: &mut Vec<Sent>) -> bool {
        let before = self.items.len();
        let number = self.records;
        self.records += 1;
        // Nothing is ever lost here, so of most frames nobody needs to hear again.
        let asking = sent.drain(..).filter(asks);
        self.items.extend(asking.map(|sent| (number, sent)));
        self.items.len() > before
    }

    /// The peer has handled our first `count` records.
    pub(super) fn on_received(&mut self, count: u64, messages: &mut Messages) -> Result<(), Violation> {
        if count > self.records {
            return Err(Violation::NeverSent);
        }
        while let Some((_, sent)) = self.items.front().filter(|(number, _)| *number < count) {
            messages.on_acked(sent);
            self.items.pop_front();
        }
        Ok(())
    }
}

/// What the sender must know to have arrived.
const fn asks(sent: &Sent) -> bool {
    matches!(sent, Sent::Data { .. } | Sent::Reset { .. } | Sent::Close)
}

/// True for a frame that asks for a RECEIVED: what its sender must know to have arrived, and PING.
pub(super) fn frame_asks(frame: &Frame<'_>) -> bool {
    match frame {
        Frame::Data(data) => data.start.is_none_or(|start| start.delivery != Delivery::Unreliable),
        Frame::Reset { .. } | Frame::Close { .. } | Frame::Ping => true,
        _ => false,
    }
}
