//! The sending side of a connection: its channels, their turns, and the credit they share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::budget::{Budget, Filled};
use super::credit::SendCredit;
use super::error::{ConfigureError, SendError, WriteError};
use super::messages::Sent;
use super::send_channel::SendChannel;
use super::{ChannelConfig, ChannelReport, GAPS_MAX, MESSAGE_COST, MessageId, UNRELIABLE_LEN_MAX, Violation};
use crate::wire::{Params, RangeList};

/// Bytes that a channel sends before the next of its priority has its turn.
const TURN_LEN: usize = 16 * 1024;
const PRIORITIES: usize = ChannelConfig::PRIORITY_MAX as usize + 1;

#[derive(Debug)]
pub(super) struct Sender {
    channels: BTreeMap<u16, SendChannel>,
    /// Channels that may have something to send, by priority.
    turns: [VecDeque<u16>; PRIORITIES],
    /// What the channel at the front has sent in its turn.
    turn_len: usize,
    /// Channels that wait for the connection's credit.
    starved: BTreeSet<u16>,
    credit: SendCredit,
    channel_credit: u64,
    whole_max: u64,
    /// The longest value of a `Latest` channel: two of them fit into the channel's credit, so that the newest can
    /// replace one that nobody takes.
    value_max: u64,
    /// Bytes held for sending.
    queued: u64,
    queue_max: u64,
}

impl Sender {
    pub(super) fn new(queue_max: u64) -> Self {
        Self {
            channels: BTreeMap::new(),
            turns: Default::default(),
            turn_len: 0,
            starved: BTreeSet::new(),
            credit: SendCredit::default(),
            channel_credit: 0,
            whole_max: 0,
            value_max: 0,
            queued: 0,
            queue_max,
        }
    }

    /// The handshake told what the peer grants.
    pub(super) fn establish(&mut self, peer: &Params) {
        self.credit.raise(peer.credit_connection);
        self.channel_credit = peer.credit_channel;
        self.whole_max = peer.message_len_max;
        // An eighth of the credit may be held back: see `credit`.
        self.value_max = self.whole_max.min((peer.credit_channel / 16 * 7).saturating_sub(MESSAGE_COST));
        let short = UNRELIABLE_LEN_MAX as u64; // takes no credit
        self.value_max = self.value_max.max(short);
        for channel in self.channels.values_mut() {
            channel.raise_credit(peer.credit_channel);
        }
    }

    fn channel(&mut self, number: u16) -> &mut SendChannel {
        let limit = self.channel_credit;
        self.channels.entry(number).or_insert_with(|| SendChannel::new(number, ChannelConfig::default(), limit))
    }

    pub(super) fn configure(&mut self, number: u16, config: ChannelConfig) -> Result<(), ConfigureError> {
        if config.priority > ChannelConfig::PRIORITY_MAX {
            return Err(ConfigureError::Priority { priority: config.priority, max: ChannelConfig::PRIORITY_MAX });
        }
        if self.channel(number).configure(config) { Ok(()) } else { Err(ConfigureError::ModeFixed) }
    }

    fn is_full(&self) -> bool {
        self.queued >= self.queue_max
    }

    pub(super) fn send(&mut self, number: u16, tag: u16, body: Bytes) -> Result<MessageId, SendError> {
        if self.is_full() {
            return Err(SendError::WouldBlock);
        }
        let cost = body.len() as u64 + MESSAGE_COST;
        let value_max = self.value_max;
        let (id, freed) = self.channel(number).send(tag, body, value_max)?;
        self.queued = (self.queued + cost).saturating_sub(freed);
        self.take_turn(number);
        Ok(id)
    }

    pub(super) fn begin(&mut self, number: u16, tag: u16, len: Option<u64>) -> Result<MessageId, SendError> {
        // What is begun can go on: it never takes the last room itself, so that not all streams wait for each other.
        if self.queued + MESSAGE_COST >= self.queue_max {
            return Err(SendError::WouldBlock);
        }
        let id = self.channel(number).begin(tag, len)?;
        self.queued += MESSAGE_COST;
        Ok(id)
    }

    pub(super) fn write(&mut self, number: u16, id: u64, bytes: &[u8]) -> Result<usize, WriteError> {
        let (room, whole_max) = (self.queue_max.saturating_sub(self.queued), self.whole_max);
        let channel = self.channels.get_mut(&number).ok_or(WriteError::Unknown)?;
        let written = channel.write(id, bytes, room, whole_max)?;
        self.queued += written as u64;
        self.take_turn(number);
        Ok(written)
    }

    pub(super) fn finish(&mut self, number: u16, id: u64) -> Result<(), WriteError> {
        self.channels.get_mut(&number).ok_or(WriteError::Unknown)?.finish(id)?;
        self.take_turn(number);
        Ok(())
    }

    pub(super) fn reset(&mut self, number: u16, id: u64, code: u32) {
        self.change(number, |channel| channel.reset(id, code));
    }

    pub(super) fn handle_stop(&mut self, number: u16, id: u64, code: u32) -> Result<(), Violation> {
        self.change(number, |channel| channel.handle_stop(id, code));
        self.check_apart(number)
    }

    /// What a peer takes and refuses of one channel must not leave too many holes.
    fn check_apart(&self, number: u16) -> Result<(), Violation> {
        let many = self.channels.get(&number).is_some_and(|channel| channel.apart() > GAPS_MAX);
        if many { Err(Violation::Gaps) } else { Ok(()) }
    }

    pub(super) fn handle_taken(&mut self, number: u16, ids: RangeList<'_>) -> Result<(), Violation> {
        let channel = self.channels.get_mut(&number).ok_or(Violation::NeverSent)?;
        for range in ids.iter() {
            let freed = channel.handle_taken(range).ok_or(Violation::NeverSent)?;
            self.queued = self.queued.saturating_sub(freed);
        }
        self.take_turn(number);
        self.check_apart(number)
    }

    pub(super) fn handle_credit_connection(&mut self, limit: u64) {
        if self.credit.raise(limit) {
            for number in core::mem::take(&mut self.starved) {
                self.take_turn(number);
            }
        }
    }

    pub(super) fn handle_credit_channel(&mut self, number: u16, limit: u64) -> Result<(), Violation> {
        let channel = self.channels.get_mut(&number).ok_or(Violation::NeverSent)?;
        if channel.raise_credit(limit) {
            self.take_turn(number);
        }
        Ok(())
    }

    pub(super) fn on_acked(&mut self, sent: &Sent) {
        match *sent {
            Sent::Data { channel, message, start, end, fin } => {
                self.change(channel, |channel| channel.on_acked(message, start, end, fin));
            }
            Sent::Reset { channel, message } => self.change(channel, |channel| channel.on_reset_acked(message)),
            _ => {}
        }
    }

    pub(super) fn on_lost(&mut self, sent: &Sent) {
        match *sent {
            Sent::Data { channel, message, start, end, fin } => self.change(channel, |channel| {
                channel.on_lost(message, start, end, fin);
                0
            }),
            Sent::Reset { channel, message } => self.change(channel, |channel| {
                channel.on_reset_lost(message);
                0
            }),
            _ => {}
        }
    }

    /// Does something to a channel that sets held bytes free, and lets it take its turn for what it may have got to
    /// send.
    fn change(&mut self, number: u16, change: impl FnOnce(&mut SendChannel) -> u64) {
        if let Some(channel) = self.channels.get_mut(&number) {
            self.queued = self.queued.saturating_sub(change(channel));
            self.take_turn(number);
        }
    }

    fn take_turn(&mut self, number: u16) {
        if let Some(channel) = self.channels.get_mut(&number)
            && channel.has_sendable()
            && !core::mem::replace(&mut channel.queued, true)
        {
            self.turns[usize::from(channel.config().priority)].push_back(number);
        }
    }

    pub(super) fn wants_fill(&self) -> bool {
        self.turns.iter().any(|turn| !turn.is_empty())
    }

    /// Writes frames of messages into at most `room` bytes.
    pub(super) fn fill(&mut self, out: &mut Vec<u8>, room: usize, sent: &mut Vec<Sent>) {
        let end = out.len() + room;
        while let Some(priority) = self.turns.iter().position(|turn| !turn.is_empty()) {
            let number = self.turns[priority][0];
            let channel = self.channels.get_mut(&number).expect("channels are never removed");
            let from = out.len();
            let mut budget = Budget { room: end - from, credit: &mut self.credit, whole_max: self.whole_max };
            match channel.fill(out, &mut budget) {
                Filled::Chunk { message, start, end, fin } => {
                    sent.push(Sent::Data { channel: number, message, start, end, fin });
                }
                Filled::Unreliable { held } => self.queued = self.queued.saturating_sub(held),
                Filled::Reset { message } => sent.push(Sent::Reset { channel: number, message }),
                Filled::NoRoom => return,
                filled @ (Filled::Nothing | Filled::NoConnectionCredit) => {
                    channel.queued = false;
                    self.turns[priority].pop_front();
                    self.turn_len = 0;
                    if filled == Filled::NoConnectionCredit {
                        self.starved.insert(number);
                    }
                    continue;
                }
            }
            self.turn_len += out.len() - from;
            if self.turn_len >= TURN_LEN {
                self.turn_len = 0;
                self.turns[priority].rotate_left(1);
            }
        }
    }

    /// True when a send of any size is accepted. Below half of the limit, so that a blocked sender is not woken for
    /// each message that leaves the queue.
    pub(super) const fn writable(&self) -> bool {
        self.queued <= self.queue_max / 2
    }

    /// True when writing to the stream would not block.
    pub(super) fn stream_writable(&self, number: u16, id: u64) -> bool {
        self.writable() || self.channels.get(&number).is_none_or(|channel| channel.write_ends(id, self.whole_max))
    }

    pub(super) fn flushed(&self) -> bool {
        self.channels.values().all(SendChannel::flushed)
    }

    pub(super) fn settled(&self) -> bool {
        self.channels.values().all(SendChannel::settled)
    }

    pub(super) const fn queued(&self) -> u64 {
        self.queued
    }

    pub(super) fn superseded(&self) -> u64 {
        self.channels.values().map(SendChannel::superseded).sum()
    }

    pub(super) fn report(&self) -> Vec<ChannelReport> {
        self.channels.values().filter(|channel| channel.used()).map(SendChannel::report).collect()
    }

    /// Nothing will be sent any more.
    pub(super) fn stop(&mut self) {
        for channel in self.channels.values_mut() {
            channel.queued = false;
            channel.drop_content();
        }
        for turn in &mut self.turns {
            turn.clear();
        }
        self.starved.clear();
        self.queued = 0;
    }
}
