//! One message on its way out: its bytes, and which of them were sent, lost, acknowledged.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Delivery, MESSAGE_COST, UNRELIABLE_LEN_MAX};
use crate::wire::RangeSet;

/// Small writes are gathered into pieces of this size.
const PIECE_LEN: usize = 64 * 1024;

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is being sent.
    Sending,
    /// Given up: a RESET is owed, under way, or waits for its acknowledgement.
    Reset {
        /// The reason.
        code: u32,
        /// True while the RESET is to be sent.
        owed: bool,
    },
    /// Nothing is left to do for it; only its place is not taken away yet.
    Gone,
}

/// A chunk chosen for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) start: u64,
    /// The most that may be sent from there.
    pub(super) len: u64,
    /// True when these bytes were sent before and cost no credit.
    pub(super) again: bool,
}

/// Pieces of content in order, each with its offset. The first has a place of its own: most messages are one piece, and
/// take no memory for a list.
#[derive(Debug, Default)]
struct Pieces {
    front: Option<(u64, Bytes)>,
    rest: VecDeque<(u64, Bytes)>,
}

impl Pieces {
    fn push(&mut self, offset: u64, bytes: Bytes) {
        if self.front.is_none() {
            self.front = Some((offset, bytes));
        } else {
            self.rest.push_back((offset, bytes));
        }
    }

    /// Drops the first piece if it ends at `offset` or before, and says how long it was.
    fn pop_up_to(&mut self, offset: u64) -> Option<u64> {
        let (start, bytes) = self.front.as_ref()?;
        let len = bytes.len() as u64;
        if start + len > offset {
            return None;
        }
        self.front = self.rest.pop_front();
        Some(len)
    }

    fn len(&self) -> u64 {
        self.front.iter().chain(&self.rest).map(|(_, piece)| piece.len() as u64).sum()
    }

    /// What there is from `offset` on in the piece that holds it.
    fn from(&self, offset: u64) -> Option<&[u8]> {
        let holds = |piece: &&(u64, Bytes)| piece.0 <= offset && offset < piece.0 + piece.1.len() as u64;
        let (start, piece) = self.front.as_ref().filter(holds).or_else(|| {
            let at = self.rest.partition_point(|(start, piece)| start + piece.len() as u64 <= offset);
            self.rest.get(at).filter(holds)
        })?;
        piece.get(usize::try_from(offset - start).ok()?..)
    }
}

#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) id: u64,
    pub(super) tag: u16,
    /// The announced length.
    pub(super) len: Option<u64>,
    pub(super) phase: Phase,
    /// What the RESET said that went out: each repetition says the same.
    pub(super) final_size: Option<u64>,
    /// True while its id stands in the channel's queue.
    pub(super) queued: bool,
    /// True while its id stands among the channel's repairs.
    pub(super) repaired: bool,
    /// Pieces not yet acknowledged as a whole.
    pieces: Pieces,
    /// Bytes behind the pieces, too few yet for a piece of their own.
    tail: Vec<u8>,
    /// Bytes written so far: where the next write goes.
    written: u64,
    /// Nothing follows what is written.
    finished: bool,
    /// Never sent from here on.
    next: u64,
    begun: bool,
    fin_sent: bool,
    fin_lost: bool,
    fin_acked: bool,
    lost: RangeSet,
    acked: RangeSet,
}

impl Outgoing {
    pub(super) fn whole(id: u64, tag: u16, body: Bytes) -> Self {
        let mut message = Self::stream(id, tag, Some(body.len() as u64));
        message.written = body.len() as u64;
        message.finished = true;
        message.pieces.push(0, body);
        message
    }

    pub(super) const fn stream(id: u64, tag: u16, len: Option<u64>) -> Self {
        Self {
            id,
            tag,
            len,
            phase: Phase::Sending,
            final_size: None,
            queued: false,
            repaired: false,
            pieces: Pieces { front: None, rest: VecDeque::new() },
            tail: Vec::new(),
            written: 0,
            finished: false,
            next: 0,
            begun: false,
            fin_sent: false,
            fin_lost: false,
            fin_acked: false,
            lost: RangeSet::new(),
            acked: RangeSet::new(),
        }
    }

    /// True once something of it, or its RESET, went out.
    pub(super) const fn begun(&self) -> bool {
        self.begun
    }

    pub(super) const fn finished(&self) -> bool {
        self.finished
    }

    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// The highest offset that went out: what it has cost beside [`super::MESSAGE_COST`].
    pub(super) const fn sent_to(&self) -> u64 {
        self.next
    }

    /// One datagram carries it whole, so it is sent as one chunk or not at all. Such values replace each other at the
    /// receiver, which therefore grants no credit for them.
    pub(super) fn is_one_datagram(&self, delivery: Delivery) -> bool {
        let single = matches!(delivery, Delivery::Latest | Delivery::Unreliable);
        single && self.len.is_some_and(|len| len <= UNRELIABLE_LEN_MAX as u64)
    }

    /// True when it goes whole and has begun: all its credit is spent.
    pub(super) fn is_paid(&self, whole_max: u64) -> bool {
        self.begun && self.len.is_some_and(|len| len <= whole_max)
    }

    /// Bytes of content in memory.
    pub(super) fn content(&self) -> u64 {
        self.pieces.len() + self.tail.len() as u64
    }

    /// What it takes of the send queue: a message without content takes its place too.
    pub(super) fn held(&self) -> u64 {
        self.content() + MESSAGE_COST
    }

    pub(super) fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let take = bytes.len().min(PIECE_LEN - self.tail.len());
            self.tail.extend_from_slice(&bytes[..take]);
            self.written += take as u64;
            bytes = &bytes[take..];
            if self.tail.len() == PIECE_LEN {
                self.cut_tail();
            }
        }
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
        self.cut_tail();
    }

    fn cut_tail(&mut self) {
        if !self.tail.is_empty() {
            let offset = self.tail_offset();
            self.pieces.push(offset, Bytes::from(core::mem::take(&mut self.tail)));
        }
    }

    const fn tail_offset(&self) -> u64 {
        self.written - self.tail.len() as u64
    }

    /// Gives the content up.
    pub(super) fn drop_content(&mut self) {
        self.pieces = Pieces::default();
        self.tail = Vec::new();
        self.lost.clear();
        self.fin_lost = false;
    }

    pub(super) fn reset(&mut self, code: u32) {
        self.drop_content();
        self.phase = Phase::Reset { code, owed: true };
    }

    /// Nothing is left to do for it.
    pub(super) fn forget(&mut self) {
        self.drop_content();
        self.acked.clear();
        self.phase = Phase::Gone;
    }

    /// What to send next: first what was lost, then what is new.
    pub(super) fn chunk(&self) -> Option<Chunk> {
        if let Some(lost) = self.lost.first() {
            return Some(Chunk { start: lost.start, len: lost.end - lost.start, again: true });
        }
        if self.next < self.written {
            return Some(Chunk { start: self.next, len: self.written - self.next, again: false });
        }
        // An empty chunk that only says "this is the end" (or "this is an empty message").
        let end_owed = self.finished && (self.fin_lost || !self.fin_sent);
        end_owed.then_some(Chunk { start: self.written, len: 0, again: self.fin_lost })
    }

    /// Copies bytes from `start` on to `out`.
    ///
    /// # Panics
    /// When they are not held any more: a chunk is only ever cut from bytes that were not acknowledged.
    pub(super) fn copy_to(&self, start: u64, len: usize, out: &mut Vec<u8>) {
        let mut from = start;
        let end = start + len as u64;
        while from < end {
            let bytes = self.pieces.from(from).unwrap_or_else(|| {
                let skip = usize::try_from(from - self.tail_offset()).expect("an offset inside the tail");
                &self.tail[skip..]
            });
            let take = bytes.len().min(usize::try_from(end - from).expect("within len"));
            assert!(take > 0, "bytes asked for that are gone");
            out.extend_from_slice(&bytes[..take]);
            from += take as u64;
        }
    }

    /// Notes that `start..end` went out, `fin` with it.
    pub(super) fn on_sent(&mut self, start: u64, end: u64, fin: bool) {
        self.begun = true;
        if start < self.next {
            self.lost.remove(start..end);
        }
        self.next = self.next.max(end);
        if fin {
            self.fin_sent = true;
            self.fin_lost = false;
        }
    }

    pub(super) const fn on_reset_sent(&mut self, final_size: u64) {
        self.begun = true;
        self.final_size = Some(final_size);
        if let Phase::Reset { code, .. } = self.phase {
            self.phase = Phase::Reset { code, owed: false };
        }
    }

    /// Notes the loss of `start..end`. True when there is now something to send.
    pub(super) fn on_lost(&mut self, start: u64, end: u64, fin: bool) -> bool {
        if self.phase != Phase::Sending {
            return false;
        }
        let mut from = start;
        while let Some(gap) = self.acked.first_gap(from..end) {
            from = gap.end;
            self.lost.insert(gap);
        }
        self.fin_lost |= fin && !self.fin_acked;
        !self.lost.is_empty() || self.fin_lost
    }

    /// Notes the arrival of `start..end` and returns how many bytes of memory that set free.
    pub(super) fn on_acked(&mut self, start: u64, end: u64, fin: bool) -> u64 {
        self.acked.insert(start..end);
        self.lost.remove(start..end);
        if fin {
            self.fin_acked = true;
            self.fin_lost = false;
        }
        let arrived = self.acked.first().filter(|range| range.start == 0).map_or(0, |range| range.end);
        let mut freed = 0;
        while let Some(len) = self.pieces.pop_up_to(arrived) {
            freed += len;
        }
        // Bytes too few for a piece must not hold the queue full when they have arrived: no more could be written.
        if arrived == self.written {
            freed += core::mem::take(&mut self.tail).len() as u64;
        }
        freed
    }

    /// True when something is to be sent that costs no credit: what was sent before, or the RESET of a message that was
    /// begun.
    pub(super) fn to_repeat(&self) -> bool {
        match self.phase {
            Phase::Sending => !self.lost.is_empty() || self.fin_lost,
            Phase::Reset { owed, .. } => owed && self.begun,
            Phase::Gone => false,
        }
    }

    /// True when all of it, or its RESET, has gone out at least once.
    pub(super) fn is_sent(&self) -> bool {
        match self.phase {
            Phase::Sending => self.finished && self.fin_sent && self.next == self.written,
            Phase::Reset { .. } => self.final_size.is_some(),
            Phase::Gone => true,
        }
    }

    /// True when the peer's library has all of it.
    pub(super) fn arrived(&self) -> bool {
        self.fin_acked && self.acked.contains_range(0..self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_from_pieces_and_tail_alike() {
        let mut message = Outgoing::stream(0, 0, None);
        let bytes: Vec<u8> = (0..PIECE_LEN * 2 + 100).map(|n| u8::try_from(n % 251).unwrap()).collect();
        for part in bytes.chunks(1000) {
            message.append(part);
        }
        for (start, len) in [(0, 10), (PIECE_LEN - 5, 10), (PIECE_LEN * 2 - 5, 105), (PIECE_LEN * 2 + 50, 50), (7, 0)] {
            let mut out = Vec::new();
            message.copy_to(start as u64, len, &mut out);
            assert_eq!(out, bytes[start..start + len]);
        }
        assert_eq!(message.content(), bytes.len() as u64);
        message.finish();
        assert_eq!(message.content(), bytes.len() as u64);
        let mut out = Vec::new();
        message.copy_to(0, bytes.len(), &mut out);
        assert_eq!(out, bytes);
    }

    #[test]
    fn what_is_lost_goes_before_what_is_new_and_what_arrived_is_never_sent_again() {
        let mut message = Outgoing::whole(0, 0, Bytes::from(vec![1; 100]));
        message.on_sent(0, 40, false);
        message.on_sent(40, 60, false);
        message.on_acked(10, 20, false);
        assert!(message.on_lost(0, 40, false));
        assert_eq!(message.chunk(), Some(Chunk { start: 0, len: 10, again: true }));
        message.on_sent(0, 10, false);
        assert_eq!(message.chunk(), Some(Chunk { start: 20, len: 20, again: true }));
        message.on_sent(20, 40, false);
        assert_eq!(message.chunk(), Some(Chunk { start: 60, len: 40, again: false }));
        message.on_sent(60, 100, true);
        assert_eq!(message.chunk(), None);
        // The end alone is lost, after all its bytes came by another way.
        message.on_acked(60, 100, false);
        assert!(message.on_lost(60, 100, true));
        assert_eq!(message.chunk(), Some(Chunk { start: 100, len: 0, again: true }));
        message.on_sent(100, 100, true);
        message.on_acked(0, 60, false);
        assert!(!message.arrived());
        assert_eq!(message.on_acked(100, 100, true), 0);
        assert!(message.arrived());
    }

    #[test]
    fn an_empty_message_is_one_empty_chunk() {
        let mut message = Outgoing::whole(0, 0, Bytes::new());
        assert_eq!(message.chunk(), Some(Chunk { start: 0, len: 0, again: false }));
        message.on_sent(0, 0, true);
        assert_eq!(message.chunk(), None);
        message.on_acked(0, 0, true);
        assert!(message.arrived());
    }
}
