//! Packets out: what goes into each, how long it is, and whether it may leave.

use crate::message::{Messages, Sent};
use crate::time::Timestamp;
use crate::wire::{DATA_OVERHEAD, DataHeader, Frame, Mode, put_crc, start_data};

use super::{Batch, Link, Scratch, Stage};
use crate::proto::budget::Budget;
use crate::proto::ecn::Ecn;
use crate::proto::mtu::MTU_BASE;
use crate::proto::sent::{Kind, Packet, buffer_cost};

/// Packets in one batch for the kernel to cut up (UDP_MAX_SEGMENTS).
const BATCH_PACKETS_MAX: usize = 64;
/// Bytes in one batch: what one UDP datagram may carry.
const BATCH_LEN_MAX: usize = 65_507;
/// A packet that lacks more than this to the full length ends its batch; one that lacks less is padded.
const PADDED_MAX: usize = 64;
/// Probe timeouts in a row for which a connection needs nobody's leave: however many others are dead, one that has
/// heard of its peer lately repairs its losses at once.
const PROBES_FREE: u32 = 3;
/// Bytes of the checksum at a packet's end.
const CRC_LEN: usize = 4;

impl Link {
    /// True when a probe that is wanted may leave now.
    pub(super) fn may_probe(&mut self, now: Timestamp, budget: &mut Budget) -> bool {
        if self.probes == 0 {
            self.probe_at = None;
            return false;
        }
        if self.recovery.probe_count() <= PROBES_FREE {
            return true;
        }
        let at = *self.probe_at.get_or_insert_with(|| budget.book(now));
        if at > now {
            self.wait.arm_no_later(at);
            return false;
        }
        self.probe_at = None;
        true
    }

    /// True when a packet of full length may leave after another of `pending` bytes that is not yet counted: the
    /// window, the peer's buffer and the pacer have room for it.
    fn allowed(&mut self, now: Timestamp, pending: usize) -> bool {
        let len = u64::from(self.mtu.current());
        let pending = pending as u64;
        let in_flight = self.recovery.in_flight();
        if in_flight.packets > 0 || pending > 0 {
            let bytes = in_flight.bytes + pending + len;
            let buffer = in_flight.buffer + if pending > 0 { buffer_cost(pending) } else { 0 } + buffer_cost(len);
            if bytes > self.controller.window() || buffer > self.peer_receive_buffer {
                return false;
            }
        }
        match self.pacer.blocked_until(now, pending + len) {
            None => true,
            Some(at) => {
                self.wait.arm_no_later(at);
                false
            }
        }
    }

    pub(super) fn put_batch(
        &mut self,
        now: Timestamp,
        may_probe: bool,
        messages: &mut Messages,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Option<Batch> {
        let ecn = self.ecn.mark();
        // When probes bring nothing twice over, the path may have come to swallow long datagrams.
        let full = if may_probe && self.recovery.probe_count() > 1 { MTU_BASE } else { self.mtu.current() } as usize;
        let mut probe = may_probe;
        let mut count = 0;
        while count < BATCH_PACKETS_MAX {
            // A CLOSE does not wait for a window that may never open again.
            let ended = messages.ended().is_some();
            let room = ended || self.recovery.has_room();
            let wants = (room && messages.wants_fill()) || self.ping || probe;
            let fill = wants && (probe || ended || self.allowed(now, 0));
            if !fill && (count > 0 || !self.acks.is_due()) {
                break;
            }
            let content = Content { fill, messages: room, ping: self.ping || probe };
            let Some(draft) = self.draft(now, full, content, messages, scratch, out) else { break };
            count += 1;
            probe = false;
            let lacking = full - draft.len(out);
            let more = lacking <= PADDED_MAX
                && count < BATCH_PACKETS_MAX
                && out.len() + lacking + full <= BATCH_LEN_MAX
                && messages.wants_fill()
                && self.recovery.has_room()
                && self.allowed(now, full);
            if more {
                out.resize(out.len() + lacking, 0); // PADDING frames
            }
            self.finish(now, draft, ecn, scratch, out);
            if !more {
                break;
            }
        }
        let segment = (count > 1).then_some(full);
        (count > 0).then_some(Batch { segment, count: count as u64, ecn })
    }

    pub(super) fn put_mtu_probe(&mut self, now: Timestamp, out: &mut Vec<u8>) -> bool {
        let may = self.recovery.probe_count() == 0 && self.recovery.has_room();
        let Some(len) = self.mtu.wants_probe().filter(|_| may) else { return false };
        let in_flight = self.recovery.in_flight();
        if in_flight.packets > 0 && in_flight.buffer + buffer_cost(u64::from(len)) > self.peer_receive_buffer {
            return false;
        }
        let mut draft = self.begin(out);
        draft.kind = Kind::MtuProbe;
        Frame::Ping.put(out);
        out.resize(draft.start + len as usize - CRC_LEN, 0);
        self.mtu.on_probe_sent();
        self.finish(now, draft, self.ecn.mark(), &mut Scratch::default(), out);
        true
    }

    pub(super) fn put_ack(&mut self, now: Timestamp, out: &mut Vec<u8>) -> bool {
        if !self.acks.is_due() {
            return false;
        }
        let mut draft = self.begin(out);
        draft.ack_largest = self.acks.put(now, out, MTU_BASE as usize - DATA_OVERHEAD);
        self.finish(now, draft, self.ecn.mark(), &mut Scratch::default(), out);
        true
    }

    fn begin(&self, out: &mut Vec<u8>) -> Draft {
        let start = out.len();
        let number = self.recovery.next_number();
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are sent")]
        let number_low = number as u32;
        start_data(out, &DataHeader { mode: Mode::Plain, key_phase: false, cid: self.peer_cid, number_low });
        Draft { start, kind: Kind::AckOnly, ack_largest: None }
    }

    /// Writes the frames of a packet of at most `full` bytes; nothing where there are none.
    fn draft(
        &mut self,
        now: Timestamp,
        full: usize,
        content: Content,
        messages: &mut Messages,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Option<Draft> {
        let mut draft = self.begin(out);
        let empty = out.len();
        let end = draft.start + full - CRC_LEN;
        if self.acks.is_owed() {
            draft.ack_largest = self.acks.put(now, out, end - out.len());
        }
        if content.fill {
            let from = out.len();
            if content.ping {
                Frame::Ping.put(out);
                self.ping = false;
            }
            if content.messages {
                messages.fill(out, end - out.len(), &mut scratch.filled);
            }
            if out.len() > from {
                draft.kind = Kind::Data;
            }
            if scratch.filled.contains(&Sent::Close) && self.stage == Stage::Live {
                self.stage = Stage::Closing(now);
            }
        }
        if out.len() == empty {
            out.truncate(draft.start);
            return None;
        }
        Some(draft)
    }

    /// Adds the checksum and enters the packet into the books.
    fn finish(&mut self, now: Timestamp, draft: Draft, ecn: Option<Ecn>, scratch: &mut Scratch, out: &mut Vec<u8>) {
        put_crc(out, draft.start);
        let len = u32::try_from(out.len() - draft.start).expect("at most 65,507 bytes");
        let Draft { kind, ack_largest, .. } = draft;
        let frames = scratch.keep();
        let frame_count = u32::try_from(frames.len()).expect("no more than bytes");
        if kind != Kind::AckOnly {
            self.idle.on_asked(now);
            self.pacer.on_sent(u64::from(len));
            self.probes = self.probes.saturating_sub(1);
        }
        let marked = ecn.is_some();
        let repeated = false;
        self.recovery.on_sent(Packet { sent_at: now, len, kind, marked, repeated, ack_largest, frame_count, frames });
    }
}

/// What a packet is to hold beside an acknowledgement.
#[derive(Clone, Copy, Debug)]
struct Content {
    /// What asks for an acknowledgement.
    fill: bool,
    /// Of that, frames of messages.
    messages: bool,
    /// A PING.
    ping: bool,
}

/// A packet being written.
#[derive(Debug)]
struct Draft {
    start: usize,
    kind: Kind,
    ack_largest: Option<u64>,
}

impl Draft {
    /// The packet's length, were it finished now.
    const fn len(&self, out: &[u8]) -> usize {
        out.len() - self.start + CRC_LEN
    }
}
