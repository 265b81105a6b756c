//! All messages of one connection: routes verbs and frames to the sending side, the receiving side and the close.

use core::time::Duration;

use bytes::Bytes;

use super::close::Closing;
use super::receiver::Receiver;
use super::sender::Sender;
use super::{
    Arrival, ChannelConfig, CloseReport, ConfigureError, End, Limits, MessageId, ReadError, Select, SendError, State,
    Violation, Wanted, Whole, WriteError,
};
use crate::time::Timestamp;
use crate::wire::{CloseKind, Frame, Params};

/// Room that a CLOSE frame takes at the most.
const CLOSE_LEN_MAX: usize = 1 + 1 + 8;

/// Something sent that must be acknowledged. Whoever carries it gives it back once, to [`Messages::on_acked`] or
/// [`Messages::on_lost`]; after `on_lost` a late acknowledgement may still be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Bytes of a message.
    Data {
        /// Its channel.
        channel: u16,
        /// Its number.
        message: u64,
        /// Where the bytes begin.
        start: u64,
        /// Where they end.
        end: u64,
        /// True when the message ends there.
        fin: bool,
    },
    /// A message was given up.
    Reset {
        /// Its channel.
        channel: u16,
        /// Its number.
        message: u64,
    },
    /// A message was refused.
    Stop {
        /// Its channel.
        channel: u16,
        /// Its number.
        message: u64,
        /// The reason.
        code: u32,
    },
    /// Messages were taken.
    Taken {
        /// Their channel.
        channel: u16,
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// Credit for the connection.
    CreditConnection,
    /// Credit for a channel.
    CreditChannel {
        /// The channel.
        channel: u16,
    },
    /// The connection is closed.
    Close,
}

/// What a frame meant for the acknowledgement policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Heard {
    /// It ended a message, so the application is likely to answer soon.
    pub ends_message: bool,
}

/// Counters of a connection's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MessageStats {
    /// Messages accepted for sending.
    pub sent: u64,
    /// Messages handed over.
    pub received: u64,
    /// Values that we replaced by newer ones before they arrived.
    pub superseded_sending: u64,
    /// Values or unreliable messages that newer ones replaced before the application took them.
    pub superseded_unread: u64,
    /// Bytes held for sending, with [`super::MESSAGE_COST`] for each message.
    pub queued: u64,
    /// Credit bytes that the peer has spent and the application has not taken the messages of: at most twice
    /// [`Limits::credit_connection`].
    pub held: u64,
    /// Pieces of incoming messages that stand apart, and runs of settled messages that do: at most
    /// [`super::GAPS_MAX`].
    pub gaps: usize,
    /// Bytes of memory that unreliable messages take up which nobody has taken: at most
    /// [`super::UNRELIABLE_UNREAD_LEN_MAX`].
    pub unreliable_unread: usize,
    /// The longest value that a `Latest` channel of ours carries to this peer, in bytes; 0 before the connection is
    /// there.
    pub value_len_max: u64,
}

/// The messages of one connection, in both directions.
#[derive(Debug)]
pub struct Messages {
    limits: Limits,
    state: State,
    sender: Sender,
    receiver: Receiver,
    closing: Option<Closing>,
    /// Receipts that went with our CLOSE: they go with it again.
    with_close: Vec<Sent>,
    hurry: bool,
    /// See [`set_only_guest`](Self::set_only_guest).
    only_guest: bool,
    sent: u64,
    received: u64,
}

impl Messages {
    /// A connection that may hold what `limits` say; what contradicts itself in them is mended.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = limits.mended();
        Self {
            limits,
            state: State::Opening,
            sender: Sender::new(limits.send_queue),
            receiver: Receiver::new(&limits),
            closing: None,
            with_close: Vec::new(),
            hurry: false,
            only_guest: false,
            sent: 0,
            received: 0,
        }
    }

    /// `base` with what this side grants filled in, for the handshake.
    #[must_use]
    pub const fn params(&self, base: Params) -> Params {
        Params {
            credit_connection: self.limits.credit_connection,
            credit_channel: self.limits.credit_channel,
            message_len_max: self.limits.message_len_max,
            ..base
        }
    }

    /// The limits in force.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The handshake is done: the peer's credit counts, messages may go.
    pub fn establish(&mut self, peer: &Params) {
        self.sender.establish(peer);
        if self.state == State::Opening {
            self.state = if self.closing.is_some() { State::Closing } else { State::Open };
            self.settle();
        }
    }

    /// Where the connection stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Why the connection is over, if it is.
    #[must_use]
    pub const fn ended(&self) -> Option<End> {
        match self.state {
            State::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// The connection came in and no other will: the application is told of it whatever becomes of it.
    pub const fn set_only_guest(&mut self) {
        self.only_guest = true;
    }

    /// True when it makes sense to accept a connection that came in: it lives, or its peer sent something that arrived
    /// and closed it properly, or there will be no other.
    #[must_use]
    pub fn may_be_accepted(&self) -> bool {
        match self.ended() {
            None => true,
            Some(_) if self.only_guest => true,
            Some(End::ClosedByPeer { .. }) => self.receiver.has_ready(),
            Some(_) => false,
        }
    }

    /// The connection is found dead: nothing can be sent any more, not even a CLOSE. The first end counts.
    pub fn end(&mut self, end: End) {
        let report = CloseReport { channels: self.sender.report(), cut_short: Some(end) };
        if let Some(closing) = &mut self.closing {
            closing.cut_short(report);
        }
        if self.ended().is_none() {
            self.finish(end);
        }
    }

    fn finish(&mut self, end: End) {
        self.state = State::Ended(end);
        self.sender.stop();
        self.receiver.drop_unready();
    }

    // ---- verbs of the application; none waits ----

    /// Chooses how a channel sends. Fails once a message was sent on it.
    pub fn configure(&mut self, channel: u16, config: ChannelConfig) -> Result<(), ConfigureError> {
        match self.ended() {
            Some(end) => Err(ConfigureError::Ended(end)),
            None => self.sender.configure(channel, config),
        }
    }

    const fn may_send(&self) -> Result<(), SendError> {
        match self.state {
            State::Opening => Err(SendError::WouldBlock),
            State::Open => Ok(()),
            State::Closing => Err(SendError::Closing),
            State::Ended(end) => Err(SendError::Ended(end)),
        }
    }

    /// Queues a message. On error nothing was queued.
    pub fn send(&mut self, channel: u16, tag: u16, body: Bytes) -> Result<MessageId, SendError> {
        self.may_send()?;
        let id = self.sender.send(channel, tag, body)?;
        self.sent += 1;
        Ok(id)
    }

    /// Begins a message that is written piece by piece; `len` is its length where known.
    pub fn begin(&mut self, channel: u16, tag: u16, len: Option<u64>) -> Result<MessageId, SendError> {
        self.may_send()?;
        let id = self.sender.begin(channel, tag, len)?;
        self.sent += 1;
        Ok(id)
    }

    /// Appends to a message begun, as much as there is room for, and says how much. A message begun before
    /// [`close`](Self::close) can still be written to its end.
    pub fn write(&mut self, channel: u16, id: MessageId, bytes: &[u8]) -> Result<usize, WriteError> {
        match self.ended() {
            Some(end) => Err(WriteError::Ended(end)),
            None => self.sender.write(channel, id.0, bytes),
        }
    }

    /// Ends a message begun.
    pub fn finish_message(&mut self, channel: u16, id: MessageId) -> Result<(), WriteError> {
        match self.ended() {
            Some(end) => Err(WriteError::Ended(end)),
            None => self.sender.finish(channel, id.0),
        }
    }

    /// Gives a message up that has not arrived.
    pub fn reset(&mut self, channel: u16, id: MessageId, code: u32) {
        if self.ended().is_none() {
            self.sender.reset(channel, id.0, code);
        }
        self.settle();
    }

    /// Hands over the next message; `None` while there is none. After the end it first gives what arrived before,
    /// then the end.
    pub fn recv(&mut self, select: Select) -> Result<Option<Arrival>, End> {
        if let Some(end @ (End::Closed { .. } | End::Aborted { .. })) = self.ended() {
            return Err(end);
        }
        let arrival = self.receiver.recv(select);
        self.received += u64::from(arrival.is_some());
        match (arrival, self.ended()) {
            (None, Some(end)) => Err(end),
            (arrival, _) => Ok(arrival),
        }
    }

    /// Hands over the next message as one buffer, if it is one that is wanted; one that is not stays the next. `None`
    /// while there is none, or not all of it: a message that would come as a stream is put together then, its sender
    /// gets credit for what has come, and nobody is given it before it is whole (or turns out to be longer than wanted,
    /// is given up, or the connection ends). After the end it gives what [`recv`](Self::recv) would.
    pub fn recv_whole(&mut self, select: Select, wanted: &Wanted<'_>) -> Result<Option<Whole>, End> {
        if let Some(end @ (End::Closed { .. } | End::Aborted { .. })) = self.ended() {
            return Err(end);
        }
        let whole = self.receiver.recv_whole(select, wanted);
        self.received += u64::from(matches!(whole, Some(Whole::Taken(_))));
        match (whole, self.ended()) {
            (None, Some(end)) => Err(end),
            (whole, _) => Ok(whole),
        }
    }

    /// Copies bytes of a streamed message out; 0 at its end.
    pub fn read(&mut self, channel: u16, id: MessageId, buf: &mut [u8]) -> Result<usize, ReadError> {
        match (self.receiver.read(channel, id.0, buf), self.ended()) {
            (Err(ReadError::WouldBlock | ReadError::Unknown), Some(end)) => Err(ReadError::Ended(end)),
            (result, _) => result,
        }
    }

    /// Refuses the rest of a streamed message.
    pub fn stop(&mut self, channel: u16, id: MessageId, code: u32) {
        self.receiver.stop(channel, id.0, code);
    }

    /// Closes the connection: nothing new is sent, what was sent is waited for until the peer's application has taken
    /// it, `linger` is over or the peer ends the connection. Then [`close_report`](Self::close_report) tells.
    pub fn close(&mut self, now: Timestamp, code: u32, linger: Duration) {
        if self.closing.is_some() {
            return;
        }
        self.closing = Some(Closing::waiting(now, code, linger));
        match self.state {
            State::Ended(end) => self.end(end),
            State::Open => {
                self.state = State::Closing;
                self.settle();
            }
            State::Opening | State::Closing => {}
        }
    }

    /// Ends the connection at once; the peer is told.
    pub fn abort(&mut self, code: u32) {
        self.close_at_once(CloseKind::Abort, code, End::Aborted { code });
    }

    /// Ends a connection that came in and is not wanted; the peer is told.
    pub fn refuse(&mut self, code: u32) {
        self.close_at_once(CloseKind::Refuse, code, End::Closed { code });
    }

    /// Ends a connection whose peer broke the protocol; it is told how.
    pub fn end_by_violation(&mut self, violation: Violation) {
        self.close_at_once(CloseKind::Violation, violation.code(), End::Violation(violation));
    }

    fn close_at_once(&mut self, kind: CloseKind, code: u32, end: End) {
        if self.ended().is_some() {
            return;
        }
        let report = CloseReport { channels: self.sender.report(), cut_short: Some(end) };
        self.closing = Some(Closing::at_once(kind, code, report));
        self.finish(end);
    }

    /// What became of everything sent, once the wait of our close is over.
    #[must_use]
    pub fn close_report(&self) -> Option<&CloseReport> {
        self.closing.as_ref().and_then(Closing::report)
    }

    // ---- what can be waited for; all are true once the connection has ended ----

    /// True when [`recv`](Self::recv) gives a message or the end.
    #[must_use]
    pub fn readable(&self, select: Select) -> bool {
        self.receiver.readable(select) || self.ended().is_some()
    }

    /// True when asking for any message, in whatever way, gives and changes nothing.
    #[must_use]
    pub fn has_nothing(&self) -> bool {
        self.receiver.has_nothing() && self.ended().is_none()
    }

    /// True when a message of any size is accepted on the channel: it holds at most half of what it may. On a `Latest`
    /// channel: one of the size that was refused last, where one was.
    #[must_use]
    pub fn writable(&self, channel: u16) -> bool {
        match self.state {
            State::Opening => false,
            State::Open => self.sender.writable(channel),
            State::Closing | State::Ended(_) => true,
        }
    }

    /// True when [`read`](Self::read) gives bytes, the end or an error.
    #[must_use]
    pub fn stream_readable(&self, channel: u16, id: MessageId) -> bool {
        self.receiver.stream_readable(channel, id.0) || self.ended().is_some()
    }

    /// True when [`write`](Self::write) takes bytes or gives an error.
    #[must_use]
    pub fn stream_writable(&self, channel: u16, id: MessageId) -> bool {
        self.sender.stream_writable(channel, id.0) || self.ended().is_some()
    }

    /// True when everything accepted has arrived (superseded values and `Unreliable` messages count as arrived).
    #[must_use]
    pub fn flushed(&self) -> bool {
        self.ended().is_some() || self.sender.flushed()
    }

    /// True when a close of ours is through: the peer knows, or cannot be told any more.
    #[must_use]
    pub fn closed(&self) -> bool {
        match &self.closing {
            Some(closing) => closing.is_over(),
            None => self.ended().is_some(),
        }
    }

    /// What is held for sending, in bytes.
    pub(crate) const fn queued(&self) -> u64 {
        self.sender.queued()
    }

    // ---- the carrier's side ----

    /// True when [`fill`](Self::fill) may have something that should go now. Where credit turns out to lack it gives
    /// nothing, and this is false from then on.
    #[must_use]
    pub fn wants_fill(&self) -> bool {
        if self.ended().is_some() {
            return self.closing.as_ref().is_some_and(Closing::owes_frame);
        }
        self.receiver.wants_fill() || self.sender.wants_fill() || (self.hurry && self.receiver.has_taken())
    }

    /// True when `fill` has something that may ride along with other things, but should go before the application
    /// falls asleep: see [`hurry`](Self::hurry). Not once it was told to: where it cannot go yet, for the window is
    /// full, it goes as soon as it can, and no timer helps.
    #[must_use]
    pub fn has_lazy(&self) -> bool {
        self.ended().is_none() && !self.hurry && self.receiver.has_taken()
    }

    /// What could wait so far shall go now.
    pub fn hurry(&mut self) {
        self.hurry |= self.has_lazy();
    }

    /// Appends frames, at most `room` bytes, and pushes on `sent` what must be acknowledged. Whatever may go by the
    /// peer's credit finds room in a fresh packet of 1,170 bytes.
    pub fn fill(&mut self, out: &mut Vec<u8>, room: usize, sent: &mut Vec<Sent>) {
        let end = out.len() + room;
        if self.closing.as_ref().is_some_and(Closing::owes_frame) {
            self.fill_close(out, room, sent);
            return;
        }
        if self.state == State::Opening || self.ended().is_some() {
            return;
        }
        self.receiver.fill(out, room, sent);
        self.hurry &= self.receiver.has_taken();
        self.sender.fill(out, end - out.len(), sent);
    }

    /// Writes CLOSE, and before it what our application took: whoever hears the end looks at nothing behind it.
    fn fill_close(&mut self, out: &mut Vec<u8>, room: usize, sent: &mut Vec<Sent>) {
        let Some(room) = room.checked_sub(CLOSE_LEN_MAX) else { return };
        let from = sent.len();
        self.receiver.fill_taken(out, room, sent);
        self.with_close.extend_from_slice(&sent[from..]);
        if let Some(closing) = self.closing.as_mut().filter(|_| !self.receiver.has_taken()) {
            Frame::Close { kind: closing.kind, code: closing.code }.put(out);
            closing.on_sent();
            sent.push(Sent::Close);
        }
    }

    /// The peer's library has it.
    pub fn on_acked(&mut self, sent: &Sent) {
        if matches!(sent, Sent::Close) {
            if let Some(closing) = &mut self.closing {
                closing.on_acked();
            }
        } else if self.ended().is_none() {
            self.sender.on_acked(sent);
            self.settle();
        }
    }

    /// It must go again, as far as it still matters.
    pub fn on_lost(&mut self, sent: &Sent) {
        if self.ended().is_none() {
            self.sender.on_lost(sent);
            self.receiver.on_lost(sent);
            return;
        }
        // Behind the end only CLOSE goes again, and the receipts that belong before it.
        let Some(closing) = self.closing.as_mut().filter(|closing| !closing.is_over()) else { return };
        match sent {
            Sent::Taken { .. } => self.receiver.on_lost(sent),
            Sent::Close => self.with_close.drain(..).for_each(|sent| self.receiver.on_lost(&sent)),
            _ => return,
        }
        closing.on_lost();
    }

    /// Takes a frame in. PADDING, PING, ACK and RECEIVED are the carrier's and mean nothing here.
    pub fn handle(&mut self, frame: &Frame<'_>) -> Result<Heard, Violation> {
        if self.ended().is_some() {
            return Ok(Heard::default());
        }
        let mut heard = Heard::default();
        match *frame {
            Frame::Data(ref data) => heard.ends_message = self.receiver.handle_data(data)?,
            Frame::CreditConnection { limit } => self.sender.handle_credit_connection(limit),
            Frame::CreditChannel { channel, limit } => self.sender.handle_credit_channel(channel, limit)?,
            Frame::Reset { channel, message, final_size, code } => {
                self.receiver.handle_reset(channel, message, final_size, code)?;
            }
            Frame::Stop { channel, message, code } => self.sender.handle_stop(channel, message, code)?,
            Frame::Taken { channel, messages } => self.sender.handle_taken(channel, messages)?,
            Frame::Close { kind, code } => self.end(End::by_peer(kind, code)),
            Frame::Padding | Frame::Ping | Frame::Ack { .. } | Frame::Received { .. } => {}
        }
        self.settle();
        Ok(heard)
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.closing.as_ref().and_then(Closing::deadline)
    }

    /// Time has passed: the linger may be over.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.closing.as_mut().is_some_and(|closing| closing.handle_timeout(now)) {
            self.announce_close();
        }
    }

    /// Ends the wait of a close when nothing is left to wait for.
    fn settle(&mut self) {
        if self.state == State::Closing && self.sender.settled() {
            self.announce_close();
        }
    }

    fn announce_close(&mut self) {
        let report = CloseReport { channels: self.sender.report(), cut_short: None };
        if let Some(closing) = self.closing.as_mut().filter(|closing| closing.is_waiting()) {
            let code = closing.code;
            closing.announce(report);
            self.finish(End::Closed { code });
        }
    }

    /// True when a message of the peer's is here to its last byte, was taken, or is not waited for any more: given up,
    /// refused, or older than a newer value. After the end what had arrived out of turn is forgotten.
    #[must_use]
    pub fn has_arrived(&self, channel: u16, id: MessageId) -> bool {
        self.receiver.has_arrived(channel, id.0)
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> MessageStats {
        MessageStats {
            sent: self.sent,
            received: self.received,
            superseded_sending: self.sender.superseded(),
            superseded_unread: self.receiver.superseded(),
            queued: self.sender.queued(),
            held: self.receiver.held(),
            gaps: self.receiver.gaps(),
            unreliable_unread: self.receiver.unreliable_unread(),
            value_len_max: self.sender.value_max(),
        }
    }
}
