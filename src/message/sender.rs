//! The sending side of a connection: its channels, their turns, and the credit they share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::budget::{Budget, Filled};
use super::credit::SendCredit;
use super::error::{ConfigureError, SendError, WriteError};
use super::messages::Sent;
use super::send_channel::SendChannel;
use super::send_queue::{Held, Pool, SendQueue};
use super::{ChannelConfig, ChannelReport, GAPS_MAX, MESSAGE_COST, MessageId, UNRELIABLE_LEN_MAX, Violation};
use crate::wire::{Params, RangeList};

/// Bytes that a channel sends before the next of its priority has its turn.
const TURN_LEN: usize = 16 * 1024;
/// This part of the connection's credit beyond one channel's is kept for channels of priority 0: 2.75 MiB of the
/// default 64 MiB, with which a node can say all the names of channels that there may be.
const KEPT_PART: u64 = 16;
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
    /// What of the connection's credit is for channels of priority 0 alone: what nobody reads on the others holds up
    /// none of these.
    kept: u64,
    channel_credit: u64,
    whole_max: u64,
    /// The longest value of a `Latest` channel: two of them fit into the channel's credit, so that the newest can
    /// replace one that nobody takes.
    value_max: u64,
    queue: SendQueue,
}

impl Sender {
    pub(super) fn new(queue_max: u64) -> Self {
        Self {
            channels: BTreeMap::new(),
            turns: Default::default(),
            turn_len: 0,
            starved: BTreeSet::new(),
            credit: SendCredit::default(),
            kept: 0,
            channel_credit: 0,
            whole_max: 0,
            value_max: 0,
            queue: SendQueue::new(queue_max),
        }
    }

    /// The handshake told what the peer grants.
    pub(super) fn establish(&mut self, peer: &Params) {
        self.credit.raise(peer.credit_connection);
        self.channel_credit = peer.credit_channel;
        // No more than what is left when one channel has all of its own: that one can always go on.
        self.kept = peer.credit_connection.saturating_sub(peer.credit_channel) / KEPT_PART;
        self.whole_max = peer.message_len_max;
        // An eighth of the credit may be held back: see `credit`.
        self.value_max = self.whole_max.min((peer.credit_channel / 16 * 7).saturating_sub(MESSAGE_COST));
        let short = UNRELIABLE_LEN_MAX as u64; // takes no credit
        self.value_max = self.value_max.max(short);
        for channel in self.channels.values_mut() {
            channel.raise_credit(peer.credit_channel);
        }
    }

    pub(super) fn configure(&mut self, number: u16, config: ChannelConfig) -> Result<(), ConfigureError> {
        if config.priority > ChannelConfig::PRIORITY_MAX {
            return Err(ConfigureError::Priority { priority: config.priority, max: ChannelConfig::PRIORITY_MAX });
        }
        if self.channel(number).0.configure(config) { Ok(()) } else { Err(ConfigureError::ModeFixed) }
    }

    /// A channel, and the queue that it shares with the others.
    fn channel(&mut self, number: u16) -> (&mut SendChannel, &mut SendQueue) {
        let limit = self.channel_credit;
        let new = || SendChannel::new(number, ChannelConfig::default(), limit);
        (self.channels.entry(number).or_insert_with(new), &mut self.queue)
    }

    pub(super) fn send(&mut self, number: u16, tag: u16, body: Bytes) -> Result<MessageId, SendError> {
        let value_max = self.value_max;
        let cost = body.len() as u64 + MESSAGE_COST;
        let (channel, queue) = self.channel(number);
        // What is too long does not wait for room.
        channel.check_len(body.len() as u64, value_max)?;
        let has_room = match channel.pool() {
            Pool::Messages => queue.room(&channel.held) > 0,
            Pool::Values => queue.has_room_for_value(&channel.held, channel.replaceable(), cost),
        };
        if !has_room {
            channel.refused = Some(cost);
            return Err(SendError::WouldBlock);
        }
        let (id, freed) = channel.send(tag, body);
        queue.change(channel.pool(), &mut channel.held, cost, freed);
        self.take_turn(number);
        Ok(id)
    }

    pub(super) fn begin(&mut self, number: u16, tag: u16, len: Option<u64>) -> Result<MessageId, SendError> {
        let (channel, queue) = self.channel(number);
        if channel.pool() == Pool::Messages && !queue.may_begin(&channel.held) {
            return Err(SendError::WouldBlock);
        }
        let id = channel.begin(tag, len)?;
        queue.change(channel.pool(), &mut channel.held, MESSAGE_COST, 0);
        Ok(id)
    }

    pub(super) fn write(&mut self, number: u16, id: u64, bytes: &[u8]) -> Result<usize, WriteError> {
        let channel = self.channels.get_mut(&number).ok_or(WriteError::Unknown)?;
        let written = channel.write(id, bytes, self.queue.room(&channel.held), self.whole_max)?;
        self.queue.change(channel.pool(), &mut channel.held, written as u64, 0);
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
            self.queue.change(channel.pool(), &mut channel.held, 0, freed);
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
            let freed = change(channel);
            self.queue.change(channel.pool(), &mut channel.held, 0, freed);
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
            let kept = if priority == 0 { 0 } else { self.kept };
            let mut budget = Budget { room: end - from, credit: &mut self.credit, kept, whole_max: self.whole_max };
            match channel.fill(out, &mut budget) {
                Filled::Chunk { message, start, end, fin } => {
                    sent.push(Sent::Data { channel: number, message, start, end, fin });
                }
                Filled::Unreliable { held } => self.queue.change(channel.pool(), &mut channel.held, 0, held),
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

    /// True when a send is accepted on the channel: of any size, or on a `Latest` channel of the size that was refused
    /// last.
    pub(super) fn writable(&self, number: u16) -> bool {
        let Some(channel) = self.channels.get(&number) else { return self.queue.has_ample_room(&Held::default()) };
        match channel.pool() {
            Pool::Messages => self.queue.has_ample_room(&channel.held),
            Pool::Values => {
                let cost = channel.refused.unwrap_or(u64::MAX);
                self.queue.has_room_for_value(&channel.held, channel.replaceable(), cost)
            }
        }
    }

    /// True when writing to the stream would not block.
    pub(super) fn stream_writable(&self, number: u16, id: u64) -> bool {
        let ends = |channel: &SendChannel| channel.write_ends(id, self.whole_max);
        self.channels.get(&number).is_none_or(|channel| self.queue.has_ample_room(&channel.held) || ends(channel))
    }

    pub(super) fn flushed(&self) -> bool {
        self.channels.values().all(SendChannel::flushed)
    }

    pub(super) fn settled(&self) -> bool {
        self.channels.values().all(SendChannel::settled)
    }

    pub(super) const fn queued(&self) -> u64 {
        self.queue.held()
    }

    pub(super) const fn value_max(&self) -> u64 {
        self.value_max
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
            channel.held = Held::default();
            channel.drop_content();
        }
        for turn in &mut self.turns {
            turn.clear();
        }
        self.starved.clear();
        self.queue.clear();
    }
}
