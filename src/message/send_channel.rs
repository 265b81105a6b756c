//! The sending side of one channel: its messages, what of them goes next, and what became of them.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::credit::SendCredit;
use super::error::{SendError, WriteError};
use super::outgoing::{Outgoing, Phase};
use super::receipts::Receipts;
use super::send_queue::{Held, Pool};
use super::{ChannelConfig, Delivery, MessageId, UNRELIABLE_LEN_MAX};
use crate::wire::RangeSet;

mod fill;

/// Places of messages that are there no more which may be left between others, if these are fewer.
const GONE_MAX: usize = 64;
/// Bytes of a stream for which others may wait that are taken though the send queue is full.
const STREAM_HELD_MIN: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct SendChannel {
    number: u16,
    config: ChannelConfig,
    next_id: u64,
    credit: SendCredit,
    /// Those that have not arrived, in order of their ids, with some in between that have. Never one of these in front.
    messages: VecDeque<Outgoing>,
    /// How many of `messages` are there no more.
    gone: usize,
    /// Ids of those that have something to send, in the order of sending.
    sendable: VecDeque<u64>,
    /// Ids of those that have something to repeat, or to take back. It costs no credit and others may wait for it, so
    /// it goes first.
    repairs: VecDeque<u64>,
    /// `Ordered`: the lowest message that has not been sent whole. Those above wait for it: the receiver could do
    /// nothing with them, and they would take up the credit that this one needs.
    turn: u64,
    /// Messages that the receiver does not want, and why, until their writers have heard of it.
    stopped: BTreeMap<u64, u32>,
    /// Arrived and not taken.
    arrived: RangeSet,
    receipts: Receipts,
    /// Values that nobody needs any more because a newer one was sent.
    superseded: u64,
    /// True while the channel stands in one of the sender's queues.
    pub(super) queued: bool,
    /// What it holds of the send queue.
    pub(super) held: Held,
    /// What the message costs that was refused last: somebody may still wait with it.
    pub(super) refused: Option<u64>,
}

impl SendChannel {
    pub(super) fn new(number: u16, config: ChannelConfig, credit_limit: u64) -> Self {
        let mut credit = SendCredit::default();
        credit.raise(credit_limit);
        Self {
            number,
            config,
            next_id: 0,
            credit,
            messages: VecDeque::new(),
            gone: 0,
            sendable: VecDeque::new(),
            repairs: VecDeque::new(),
            turn: 0,
            stopped: BTreeMap::new(),
            arrived: RangeSet::new(),
            receipts: Receipts::default(),
            superseded: 0,
            queued: false,
            held: Held::default(),
            refused: None,
        }
    }

    pub(super) const fn config(&self) -> ChannelConfig {
        self.config
    }

    /// False once a message was sent.
    pub(super) const fn configure(&mut self, config: ChannelConfig) -> bool {
        let free = self.next_id == 0;
        if free {
            self.config = config;
        }
        free
    }

    pub(super) const fn superseded(&self) -> u64 {
        self.superseded
    }

    /// Which part of the send queue it takes.
    pub(super) fn pool(&self) -> Pool {
        if self.config.delivery == Delivery::Latest { Pool::Values } else { Pool::Messages }
    }

    /// How many held bytes the next value sets free.
    pub(super) fn replaceable(&self) -> u64 {
        self.messages.iter().filter(|message| is_replaceable(message)).map(Outgoing::held).sum()
    }

    /// The longest message that the channel's mode carries, in bytes.
    const fn len_max(&self, value_max: u64) -> u64 {
        match self.config.delivery {
            Delivery::Ordered | Delivery::Unordered => u64::MAX,
            Delivery::Latest => value_max,
            Delivery::Unreliable => UNRELIABLE_LEN_MAX as u64,
        }
    }

    /// What the channel's mode does not carry is too long, whatever room there is.
    pub(super) const fn check_len(&self, len: u64, value_max: u64) -> Result<(), SendError> {
        let max = self.len_max(value_max);
        if len > max { Err(SendError::TooLarge { len, max }) } else { Ok(()) }
    }

    /// Queues a message that is not too long. Returns its id and how many held bytes it set free by superseding others.
    pub(super) fn send(&mut self, tag: u16, body: Bytes) -> (MessageId, u64) {
        let freed = if self.config.delivery == Delivery::Latest { self.supersede() } else { 0 };
        let id = self.take_id();
        self.messages.push_back(Outgoing::whole(id, tag, body));
        self.queue(id);
        (MessageId(id), freed)
    }

    pub(super) fn begin(&mut self, tag: u16, len: Option<u64>) -> Result<MessageId, SendError> {
        if matches!(self.config.delivery, Delivery::Latest | Delivery::Unreliable) {
            return Err(SendError::NotStreamable);
        }
        let id = self.take_id();
        self.messages.push_back(Outgoing::stream(id, tag, len));
        Ok(MessageId(id))
    }

    const fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// A newer value comes: whatever has not begun is dropped, and of what has begun the values of one datagram.
    fn supersede(&mut self) -> u64 {
        let mut freed = 0;
        let before = self.messages.len() - core::mem::take(&mut self.gone);
        self.messages.retain(|message| {
            let replaced = is_replaceable(message);
            if replaced {
                freed += message.held();
            }
            !replaced && message.phase != Phase::Gone
        });
        self.superseded += (before - self.messages.len()) as u64;
        let messages = &self.messages;
        self.sendable.retain(|id| messages.iter().any(|message| message.id == *id));
        freed
    }

    fn index(&self, id: u64) -> Option<usize> {
        // Ids mostly stand without gaps, so the right place is usually known at once.
        let first = self.messages.front()?.id;
        let guess = usize::try_from(id.checked_sub(first)?).ok()?;
        let at = if self.messages.get(guess).is_some_and(|message| message.id == id) {
            guess
        } else {
            self.messages.binary_search_by_key(&id, |message| message.id).ok()?
        };
        (self.messages[at].phase != Phase::Gone).then_some(at)
    }

    /// Takes a message out. Returns how many held bytes that set free.
    fn remove(&mut self, at: usize) -> u64 {
        let freed = self.forget(at);
        self.trim();
        freed
    }

    /// As [`remove`](Self::remove), but indices stay good until [`trim`](Self::trim), which must follow.
    fn forget(&mut self, at: usize) -> u64 {
        let freed = self.messages[at].held();
        self.messages[at].forget();
        self.gone += 1;
        freed
    }

    /// Takes away the places of those that are there no more: in front at once, in between when they are many, so that
    /// nothing is moved for each of them.
    fn trim(&mut self) {
        while self.messages.front().is_some_and(|message| message.phase == Phase::Gone) {
            self.messages.pop_front();
            self.gone -= 1;
        }
        if self.gone > GONE_MAX && self.gone > self.messages.len() / 2 {
            self.messages.retain(|message| message.phase != Phase::Gone);
            self.gone = 0;
        }
    }

    fn find(&mut self, id: u64) -> Option<&mut Outgoing> {
        self.index(id).map(|at| &mut self.messages[at])
    }

    /// The message that a writer means.
    fn writing(&mut self, id: u64) -> Result<&mut Outgoing, WriteError> {
        if let Some(code) = self.stopped.get(&id) {
            return Err(WriteError::Stopped { code: *code });
        }
        let message = self.find(id).filter(|message| !message.finished() && message.phase == Phase::Sending);
        message.ok_or(WriteError::Unknown)
    }

    /// How much more of a message may be held whatever else the send queue holds: what fills it may wait for this one,
    /// because it has the credit that they need, or because it stands before them in order.
    fn room_in_turn(&self, message: &Outgoing, whole_max: u64) -> u64 {
        let sent = |id| self.index(id).is_none_or(|at| self.messages[at].is_sent());
        let in_turn = || self.config.delivery == Delivery::Ordered && (self.turn..message.id).all(sent);
        if message.is_paid(whole_max) || in_turn() { STREAM_HELD_MIN.saturating_sub(message.content()) } else { 0 }
    }

    /// Appends to a streamed message as much as `room` allows, and says how much.
    pub(super) fn write(&mut self, id: u64, bytes: &[u8], room: u64, whole_max: u64) -> Result<usize, WriteError> {
        let in_turn = |at: usize| self.room_in_turn(&self.messages[at], whole_max);
        let room = if room < bytes.len() as u64 { self.index(id).map_or(room, in_turn).max(room) } else { room };
        let message = self.writing(id)?;
        if let Some(len) = message.len
            && message.written() + bytes.len() as u64 > len
        {
            return Err(WriteError::Length { len });
        }
        let take = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        if take == 0 && !bytes.is_empty() {
            return Err(WriteError::WouldBlock);
        }
        message.append(&bytes[..take]);
        // What needs no credit must not stand behind something that waits for the credit which this one has.
        let first = message.is_paid(whole_max) && self.config.delivery == Delivery::Unordered;
        match take {
            0 => {}
            _ if first => self.queue_first(id),
            _ => self.queue(id),
        }
        Ok(take)
    }

    pub(super) fn finish(&mut self, id: u64) -> Result<(), WriteError> {
        let message = self.writing(id)?;
        if let Some(len) = message.len
            && message.written() != len
        {
            return Err(WriteError::Length { len });
        }
        message.finish();
        self.queue(id);
        Ok(())
    }

    /// True when a write could say something other than `WouldBlock` even where there is no room.
    pub(super) fn write_ends(&self, id: u64, whole_max: u64) -> bool {
        self.index(id).is_none_or(|at| {
            let message = &self.messages[at];
            let room = || self.room_in_turn(message, whole_max);
            message.finished() || message.phase != Phase::Sending || room() > STREAM_HELD_MIN / 2
        })
    }

    /// Gives a message up. Returns how many held bytes that set free.
    pub(super) fn reset(&mut self, id: u64, code: u32) -> u64 {
        self.stopped.remove(&id);
        self.give_up(id, code)
    }

    fn give_up(&mut self, id: u64, code: u32) -> u64 {
        let Some(at) = self.index(id) else { return 0 };
        let message = &mut self.messages[at];
        if message.phase != Phase::Sending {
            return 0;
        }
        // What the receiver has not heard of and does not count needs no RESET.
        let delivery = self.config.delivery;
        let latest_unbegun = delivery == Delivery::Latest && !message.begun();
        if latest_unbegun || message.is_one_datagram(delivery) {
            return self.remove(at);
        }
        let freed = message.content();
        message.reset(code);
        if message.begun() {
            self.queue_repair(id);
        } else {
            self.queue(id);
        }
        self.advance_turn();
        freed
    }

    /// The receiver does not want a message. Returns how many held bytes that set free.
    pub(super) fn handle_stop(&mut self, id: u64, code: u32) -> u64 {
        if self.arrived.remove(id..id + 1) > 0 {
            self.receipts.on_given_up(id);
            return 0; // it will not be taken, and nothing else is to be done about it
        }
        if self.writing(id).is_ok() {
            self.stopped.insert(id, code);
        }
        self.give_up(id, code)
    }

    /// Puts a message at the end of the queue, if it is not in it.
    fn queue(&mut self, id: u64) {
        if let Some(message) = self.find(id)
            && !core::mem::replace(&mut message.queued, true)
        {
            self.sendable.push_back(id);
        }
    }

    /// Puts a message in front of the queue, if it is not in it.
    fn queue_first(&mut self, id: u64) {
        if let Some(message) = self.find(id)
            && !core::mem::replace(&mut message.queued, true)
        {
            self.sendable.push_front(id);
        }
    }

    /// Notes that something of a message is to be repeated.
    fn queue_repair(&mut self, id: u64) {
        if let Some(message) = self.find(id)
            && !core::mem::replace(&mut message.repaired, true)
        {
            self.repairs.push_back(id);
        }
    }

    /// Moves the turn on to the next message that has not been sent whole.
    fn advance_turn(&mut self) {
        if self.config.delivery != Delivery::Ordered {
            return;
        }
        while self.turn < self.next_id && self.index(self.turn).is_none_or(|at| self.messages[at].is_sent()) {
            self.turn += 1;
        }
        let turn = self.turn;
        if self.find(turn).is_some_and(|message| message.chunk().is_some()) {
            self.queue(turn);
        }
    }

    /// The next message of which something is to be repeated. Those of which nothing is any more are passed over.
    fn next_repair(&mut self) -> Option<usize> {
        while let Some(&id) = self.repairs.front() {
            let at = self.index(id);
            if let Some(at) = at.filter(|at| self.messages[*at].to_repeat()) {
                return Some(at);
            }
            self.repairs.pop_front();
            if let Some(at) = at {
                self.messages[at].repaired = false;
            }
        }
        None
    }

    /// The next message that has something to send. Those that have nothing any more are passed over.
    fn next_sendable(&mut self) -> Option<usize> {
        while let Some(&id) = self.sendable.front() {
            let at = self.index(id);
            if let Some(at) = at.filter(|at| self.may_send(*at)) {
                // A long value is completed and repaired before the next begins, so that frames that come faster than
                // they can be sent still arrive.
                if self.config.delivery != Delivery::Latest || at == 0 || self.messages[at].begun() {
                    return Some(at);
                }
                if self.sendable.len() == 1 {
                    return None;
                }
                self.sendable.rotate_left(1);
                continue;
            }
            self.sendable.pop_front();
            if let Some(at) = at {
                self.messages[at].queued = false;
            }
            self.advance_turn();
        }
        None
    }

    /// True when a message has something to send and its turn has come.
    fn may_send(&self, at: usize) -> bool {
        let message = &self.messages[at];
        match message.phase {
            Phase::Gone => false,
            Phase::Reset { owed, .. } => owed,
            Phase::Sending if self.config.delivery == Delivery::Ordered && message.id > self.turn => false,
            Phase::Sending => message.chunk().is_some(),
        }
    }

    pub(super) const fn raise_credit(&mut self, limit: u64) -> bool {
        self.credit.raise(limit)
    }

    pub(super) fn has_sendable(&self) -> bool {
        !(self.sendable.is_empty() && self.repairs.is_empty())
    }

    /// Returns how many held bytes that set free.
    pub(super) fn on_acked(&mut self, id: u64, start: u64, end: u64, fin: bool) -> u64 {
        let Some(at) = self.index(id) else { return 0 };
        let message = &mut self.messages[at];
        if message.phase != Phase::Sending {
            return 0;
        }
        let freed = message.on_acked(start, end, fin);
        if !message.arrived() {
            return freed;
        }
        let freed = freed + self.remove(at);
        self.note_arrival(id);
        freed
    }

    fn note_arrival(&mut self, id: u64) {
        if self.config.delivery == Delivery::Latest {
            // Of values only the newest will ever be taken.
            if self.arrived.last().is_some_and(|last| last.end > id) || self.receipts.is_over_from(id) {
                return;
            }
            self.arrived.clear();
        }
        if !self.receipts.is_over(id) {
            self.arrived.insert_one(id);
        }
    }

    pub(super) fn on_lost(&mut self, id: u64, start: u64, end: u64, fin: bool) {
        if self.find(id).is_some_and(|message| message.on_lost(start, end, fin)) {
            self.queue_repair(id);
        }
    }

    /// Returns how many held bytes that set free.
    pub(super) fn on_reset_acked(&mut self, id: u64) -> u64 {
        let at = self.index(id).filter(|at| matches!(self.messages[*at].phase, Phase::Reset { .. }));
        let Some(at) = at else { return 0 };
        self.receipts.on_given_up(id);
        self.remove(at)
    }

    pub(super) fn on_reset_lost(&mut self, id: u64) {
        if let Some(message) = self.find(id)
            && let Phase::Reset { code, .. } = message.phase
        {
            message.phase = Phase::Reset { code, owed: true };
            self.queue_repair(id);
        }
    }

    /// How many runs of numbers are kept apart: of those that arrived, and of those of which nothing more is to come.
    pub(super) fn apart(&self) -> usize {
        self.arrived.range_count() + self.receipts.apart()
    }

    /// The receiving application has them. Returns the held bytes set free; `None` when one was never begun.
    pub(super) fn handle_taken(&mut self, ids: core::ops::Range<u64>) -> Option<u64> {
        if ids.end > self.next_id {
            return None;
        }
        let mut freed = 0;
        // What is taken has arrived, whether or not the acknowledgement was heard.
        let mut at = self.messages.partition_point(|message| message.id < ids.start);
        while self.messages.get(at).is_some_and(|message| message.id < ids.end) {
            // One whose length was announced can be taken before its writer has said that it is finished.
            let message = &self.messages[at];
            if message.phase != Phase::Gone && !message.begun() {
                return None;
            }
            if message.phase == Phase::Sending && message.finished() {
                freed += self.forget(at);
            }
            at += 1;
        }
        self.trim();
        if self.config.delivery == Delivery::Latest {
            // Older values will not be taken any more.
            self.arrived.remove(0..ids.end);
            self.receipts.on_value_taken(ids);
        } else {
            self.arrived.remove(ids.clone());
            self.receipts.on_taken(ids);
        }
        Some(freed)
    }

    /// True when everything accepted has arrived.
    pub(super) fn flushed(&self) -> bool {
        self.config.delivery == Delivery::Unreliable || self.messages.is_empty()
    }

    /// True when everything accepted was taken, given up or superseded.
    pub(super) fn settled(&self) -> bool {
        self.config.delivery == Delivery::Unreliable || (self.messages.is_empty() && self.arrived.is_empty())
    }

    pub(super) const fn used(&self) -> bool {
        self.next_id > 0
    }

    /// What became of the channel's messages.
    pub(super) fn report(&self) -> super::ChannelReport {
        // Of values only the newest is missed, of unreliable messages none.
        let missed_from = match self.config.delivery {
            Delivery::Ordered | Delivery::Unordered => 0,
            Delivery::Latest => self.next_id.saturating_sub(1),
            Delivery::Unreliable => u64::MAX,
        };
        let mut missing = self
            .messages
            .iter()
            .filter(|message| message.id >= missed_from && message.phase == Phase::Sending)
            .map(|message| MessageId(message.id));
        let first_missing = missing.next();
        let unread = self.arrived.last().filter(|range| range.end > missed_from).and(self.arrived.first());
        super::ChannelReport {
            channel: self.number,
            taken: self.receipts.taken(),
            arrived_unread: if unread.is_some() { self.arrived.len() } else { 0 },
            not_arrived: u64::from(first_missing.is_some()) + missing.count() as u64,
            first_unread: unread.map(|range| MessageId(range.start)),
            first_missing,
        }
    }

    /// The connection is over: nothing will be sent any more. What was written stays in the report.
    pub(super) fn drop_content(&mut self) {
        self.sendable.clear();
        self.repairs.clear();
        self.stopped.clear();
        for message in &mut self.messages {
            message.drop_content();
        }
    }
}

/// True for a value that a newer one takes the place of.
fn is_replaceable(value: &Outgoing) -> bool {
    value.phase != Phase::Gone && (!value.begun() || value.is_one_datagram(Delivery::Latest))
}
