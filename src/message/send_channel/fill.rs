//! What of a channel goes into the next frame: how much fits, and how much may be sent.

use super::SendChannel;
use crate::message::budget::{Budget, Filled};
use crate::message::outgoing::Phase;
use crate::message::{Delivery, MESSAGE_COST};
use crate::wire::{Data, Frame, MessageStart};

/// A message shorter than this is not cut to fill up a packet, nor to use up credit.
const CHUNK_LEN_MIN: usize = 256;
/// Room that a RESET frame takes at the most.
const RESET_LEN_MAX: usize = 1 + 4 + 8 + 8 + 8;

impl SendChannel {
    /// Writes one frame.
    pub(in crate::message) fn fill(&mut self, out: &mut Vec<u8>, budget: &mut Budget<'_>) -> Filled {
        let next = self.next_repair().or_else(|| self.next_sendable());
        let Some(at) = next else { return Filled::Nothing };
        let filled = match self.messages[at].phase {
            Phase::Reset { code, .. } => self.fill_reset(at, code, out, budget),
            Phase::Sending => self.fill_chunk(at, out, budget),
            Phase::Gone => unreachable!("an index is never of one that is gone"),
        };
        if matches!(filled, Filled::Chunk { .. } | Filled::Unreliable { .. } | Filled::Reset { .. }) {
            // What has nothing more to send leaves the queues now: they say whether the channel has.
            self.advance_turn();
            self.next_repair();
            self.next_sendable();
        }
        filled
    }

    fn fill_reset(&mut self, at: usize, code: u32, out: &mut Vec<u8>, budget: &mut Budget<'_>) -> Filled {
        let message = &mut self.messages[at];
        if budget.room < RESET_LEN_MAX {
            return Filled::NoRoom;
        }
        let cost = if message.begun() { 0 } else { MESSAGE_COST };
        if let Some(no) = budget.spend(&mut self.credit, cost, cost) {
            return no;
        }
        // What was reserved for a message that goes whole is spent, however much of it was sent.
        let whole = message.len.filter(|len| message.begun() && *len <= budget.whole_max);
        let id = message.id;
        let final_size = message.final_size.or(whole).unwrap_or(message.sent_to());
        Frame::Reset { channel: self.number, message: id, final_size, code }.put(out);
        message.on_reset_sent(final_size);
        Filled::Reset { message: id }
    }

    fn fill_chunk(&mut self, at: usize, out: &mut Vec<u8>, budget: &mut Budget<'_>) -> Filled {
        let delivery = self.config.delivery;
        let message = &mut self.messages[at];
        let chunk = message.chunk().expect("the caller has looked");
        let atomic = message.is_one_datagram(delivery);
        let start = (chunk.start == 0).then_some(MessageStart { delivery, tag: message.tag, len: message.len });
        let fin_if_all = message.finished() && chunk.start + chunk.len == message.written();
        let mut data =
            Data { channel: self.number, message: message.id, offset: chunk.start, start, fin: false, payload: &[] };

        // How much fits. The header is the longest with the length field of a full packet and without FIN.
        let header = data.header_len(budget.room);
        let Some(fits) = budget.room.checked_sub(header) else { return Filled::NoRoom };
        let wanted = usize::try_from(chunk.len).unwrap_or(usize::MAX);
        let mut len = wanted.min(fits);
        if len < wanted && (atomic || len < CHUNK_LEN_MIN) {
            return Filled::NoRoom;
        }

        // How much may be sent.
        if !chunk.again && !atomic {
            let first = if message.begun() { 0 } else { MESSAGE_COST };
            let whole = message.len.is_some_and(|total| total <= budget.whole_max);
            // What is handed over whole begins only when all of it may be sent; later chunks were paid for then.
            let (need, cost) = match (whole, message.begun()) {
                (true, true) => (0, 0),
                (true, false) => {
                    let all = MESSAGE_COST + message.len.unwrap_or(0);
                    (all, all)
                }
                (false, _) => {
                    // A peer that grants credit byte by byte is not to have a frame for each.
                    let least = first + (len as u64).min(CHUNK_LEN_MIN as u64);
                    let available = self.credit.available().min(budget.available());
                    let may = available.saturating_sub(first).min(len as u64);
                    len = usize::try_from(may).unwrap_or(len);
                    (least, first + may)
                }
            };
            if let Some(no) = budget.spend(&mut self.credit, need, cost) {
                return no;
            }
        }

        let end = chunk.start + len as u64;
        data.fin = fin_if_all && len == wanted;
        data.put_header(out, len);
        message.copy_to(chunk.start, len, out);
        message.on_sent(chunk.start, end, data.fin);
        let id = message.id;
        let fin = data.fin;
        if delivery == Delivery::Unreliable {
            self.remove(at);
            return Filled::Unreliable { held: end + MESSAGE_COST };
        }
        Filled::Chunk { message: id, start: chunk.start, end, fin }
    }
}
