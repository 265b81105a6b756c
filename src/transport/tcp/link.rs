//! The protocol of one TCP connection, without the socket: bytes in, bytes out. `spec/tcp.md`.

use core::time::Duration;

use super::asking::Asking;
use super::counters::Lost;
use super::farewell::{Farewell, Socket};
use super::handshake::{self, Established, Handshake, Identity, Outcome, Question, ScalarBytes};
use super::intake::{Found, Intake};
use super::receipts::{self, Awaited, Owed};
use crate::message::{End, Limits, Messages, Sent, State, Violation};
use crate::proto::idle::{Idle, Silence};
use crate::proto::{InviteId, Security};
use crate::seal::{Cipher, Exports, Protection, Prs};
use crate::time::{Timer, Timestamp, earliest};
use crate::wire::{
    ConnectionCid, DecodeError, Frame, Frames, Mode, Params, RANDOM_LEN, RECORD_BODY_MAX, RECORD_HEADER_LEN,
    RECORD_OVERHEAD, RecordKind, RefuseCode,
};

/// Records are made until so many bytes wait to be written; one more may go over it. The rest stays with the message
/// floor, where newer values can still take the place of older ones and urgent channels can still go first.
pub(super) const OUTPUT_MAX: usize = 256 * 1024;

/// What a connection needs to know of its transport's configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkConfig {
    pub(super) limits: Limits,
    pub(super) idle_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) prefers_chacha: bool,
}

impl LinkConfig {
    fn params(&self, messages: &Messages) -> Params {
        messages.params(Params {
            ack_delay_max_us: u64::try_from(receipts::DELAY_MAX.as_micros()).expect("5 ms"),
            idle_timeout_ms: u64::try_from(self.idle_timeout.as_millis()).unwrap_or(crate::wire::VARINT_MAX),
            prefers_chacha: self.prefers_chacha,
            ..Params::default()
        })
    }
}

/// What a connection counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkStats {
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) records_sent: u64,
    pub(super) records_received: u64,
}

/// One TCP connection.
#[derive(Debug)]
pub(super) struct Link {
    config: LinkConfig,
    mode: Mode,
    handshake: Handshake,
    /// Runs until the handshake is over.
    handshake_timer: Timer,
    /// When the handshake is given up at the latest.
    give_up: Timestamp,
    /// Records of the handshake that are to be written.
    opening: Vec<u8>,
    messages: Messages,
    /// A checksum until the handshake is over, and in plain mode afterwards.
    protection: Protection,
    exports: Option<Exports>,
    intake: Intake,
    owed: Owed,
    awaited: Awaited,
    /// Runs while receipts for what the application took wait for a record to ride on.
    lazy: Timer,
    idle: Option<Idle>,
    ping: bool,
    asking: Asking,
    /// The peer has sent PING, and no DATA since: it may be waiting for receipts.
    peer_asks: bool,
    farewell: Farewell,
    /// What still comes from the peer is of no interest.
    deaf: bool,
    /// Why the stream cannot be trusted any more, until that has been counted.
    lost: Option<Lost>,
    stats: LinkStats,
}

impl Link {
    /// A call that asks for `invite`: the HELLO2 goes with the first output.
    pub(super) fn call(
        now: Timestamp,
        config: LinkConfig,
        (security, invite): (&Security, InviteId),
        us: Identity,
        entropy: &ScalarBytes,
    ) -> Self {
        let mut link = Self::listen(now, config, security.mode());
        let ours = config.params(&link.messages);
        link.handshake = Handshake::call(security, invite, us, &ours, entropy, &mut link.opening);
        link
    }

    /// A stream that came in: whoever calls has the connect timeout to say so, and to prove that they may.
    pub(super) fn listen(now: Timestamp, config: LinkConfig, mode: Mode) -> Self {
        let mut handshake_timer = Timer::default();
        let give_up = now + config.connect_timeout;
        handshake_timer.arm(give_up);
        Self {
            config,
            mode,
            handshake: Handshake::Listening,
            handshake_timer,
            give_up,
            opening: Vec::new(),
            messages: Messages::new(config.limits),
            protection: Protection::plain(),
            exports: None,
            intake: Intake::new(mode),
            owed: Owed::default(),
            awaited: Awaited::default(),
            lazy: Timer::default(),
            idle: None,
            ping: false,
            asking: Asking::default(),
            peer_asks: false,
            farewell: Farewell::default(),
            deaf: false,
            lost: None,
            stats: LinkStats::default(),
        }
    }

    /// What has to be decided before the handshake goes on.
    pub(super) const fn question(&self) -> Option<Question> {
        self.handshake.question()
    }

    /// True for a call of ours that is not answered yet, and calls itself so.
    pub(super) fn calls_as(&self, random: &[u8; RANDOM_LEN]) -> bool {
        self.handshake.calls_as(random)
    }

    /// Why the stream of an established connection cannot be trusted any more; once.
    pub(super) const fn take_lost(&mut self) -> Option<Lost> {
        self.lost.take()
    }

    /// A caller who asks may go on: in plain mode that is all, in others they have to prove themselves.
    pub(super) fn grant(&mut self, now: Timestamp, cid: ConnectionCid, prs: &Prs, entropy: &ScalarBytes) {
        let ours = self.config.params(&self.messages);
        let outcome = self.handshake.grant((self.mode, prs), cid, &ours, entropy, &mut self.opening);
        self.handle_outcome(now, outcome);
    }

    /// A caller who has proven to have the secret is let in.
    pub(super) fn admit(&mut self, now: Timestamp) {
        if let Some(established) = self.handshake.admit(self.mode, &mut self.opening) {
            self.establish(now, established);
        }
    }

    /// There are others to be tried: the call is to end within `patience`, unless our proof goes out before.
    pub(super) fn hurry(&mut self, now: Timestamp, patience: Duration) {
        if self.handshake.is_calling() {
            self.handshake_timer.arm(self.give_up.min(now + patience));
        }
    }

    /// Sends the caller away.
    pub(super) fn refuse(&mut self, now: Timestamp, code: RefuseCode) {
        if self.handshake.refuse(self.mode, code, &mut self.opening) {
            self.say_no(now, code);
        }
    }

    fn say_no(&mut self, now: Timestamp, code: RefuseCode) {
        self.handshake_timer.disarm();
        self.messages.end(End::Refused(code));
        self.deaf = true;
        self.farewell.begin(now);
        self.farewell.on_last_record();
    }

    fn establish(&mut self, now: Timestamp, established: Established) {
        let Established { theirs, session } = established;
        if let Some(session) = session {
            let (protection, exports) = session.into_parts();
            self.protection = protection;
            self.exports = Some(exports);
        }
        self.handshake_timer.disarm();
        self.messages.establish(&theirs);
        let peers = Duration::from_millis(theirs.idle_timeout_ms);
        self.idle = Some(Idle::new(now, self.config.idle_timeout, peers));
    }

    /// What both sides have from the handshake, in sealed modes.
    pub(super) const fn exports(&self) -> Option<&Exports> {
        self.exports.as_ref()
    }

    pub(super) const fn messages(&self) -> &Messages {
        &self.messages
    }

    /// The messages, for the application's verbs; [`poll_output`](Self::poll_output) is to be called afterwards.
    pub(super) const fn messages_mut(&mut self) -> &mut Messages {
        &mut self.messages
    }

    pub(super) const fn stats(&self) -> LinkStats {
        self.stats
    }

    /// What seals records; `None` where nothing does.
    pub(super) fn cipher(&self) -> Option<Cipher> {
        self.protection.cipher()
    }

    /// True when there is something to do once all output is written.
    pub(super) const fn is_ending(&self) -> bool {
        !self.farewell.is_open()
    }

    /// The socket is of no use any more, and may be dropped with what waits to be written.
    pub(super) const fn is_gone(&self) -> bool {
        self.farewell.is_gone()
    }

    /// Takes in what was read from the stream, and opens it where it stands.
    pub(super) fn handle_bytes(&mut self, now: Timestamp, mut bytes: &mut [u8]) {
        self.stats.bytes_received += bytes.len() as u64;
        if let Some(idle) = &mut self.idle {
            idle.on_received(now);
        }
        let mut intake = core::mem::replace(&mut self.intake, Intake::new(self.mode));
        while !self.deaf && !self.is_gone() {
            if self.handshake.is_strange() {
                self.handle_strange(now, bytes);
                break;
            }
            let len_max = match self.handshake {
                Handshake::Over => RECORD_BODY_MAX + RECORD_HEADER_LEN + self.mode.trailer_len(),
                _ => handshake::RECORD_LEN_MAX,
            };
            match intake.next(&mut bytes, len_max) {
                Ok(Some(found)) => self.handle_record(now, found),
                Ok(None) => break,
                Err(DecodeError::Version(_)) if matches!(self.handshake, Handshake::Listening) => {
                    self.handle_strange(now, bytes);
                    break;
                }
                Err(_) => self.distrust(Lost::Malformed),
            }
        }
        self.intake = intake;
    }

    fn handle_strange(&mut self, now: Timestamp, bytes: &[u8]) {
        match self.handshake.handle_strange(bytes, &mut self.opening) {
            Ok(false) => {}
            Ok(true) => self.say_no(now, RefuseCode::Version),
            Err(end) => self.fail(end),
        }
    }

    fn handle_record(&mut self, now: Timestamp, Found { kind, record }: Found<'_>) {
        self.stats.records_received += 1;
        if !self.handshake.is_over() {
            let body = &record[RECORD_HEADER_LEN..record.len() - (RECORD_OVERHEAD - RECORD_HEADER_LEN)];
            let outcome = self.handshake.handle(self.mode, kind, body, &mut self.opening);
            return self.handle_outcome(now, outcome);
        }
        let len = record.len();
        let handled = match kind {
            // Anybody can write one: it is no word of the peer's.
            RecordKind::Handshake if self.mode.is_sealed() => return self.distrust(Lost::Forged),
            RecordKind::Handshake => Err(Violation::Misplaced),
            RecordKind::Frames => match self.protection.open_record(record) {
                Ok(frames) => self.handle_frames(now, len, frames),
                Err(_) => return self.distrust(Lost::Forged),
            },
        };
        if let Err(violation) = handled {
            self.messages.end_by_violation(violation);
            self.deaf = true;
        }
    }

    fn handle_outcome(&mut self, now: Timestamp, outcome: Outcome) {
        match outcome {
            // Whatever follows a wrong guess, it was one.
            Outcome::Goes => {
                self.deaf |= self.question() == Some(Question::Disproven);
                if self.handshake.is_proving() {
                    // There is no way back now, and no hurry.
                    self.handshake_timer.arm(self.give_up);
                }
            }
            Outcome::Established(established) => self.establish(now, established),
            Outcome::Failed(end) => self.fail(end),
        }
    }

    /// Handles the frames of a record of `len` bytes.
    fn handle_frames(&mut self, now: Timestamp, len: usize, frames: &[u8]) -> Result<(), Violation> {
        let (mut asks, mut ends_message, mut pings, mut has_data) = (false, false, false, false);
        for frame in Frames::new(frames) {
            let frame = frame?;
            asks |= receipts::frame_asks(&frame);
            pings |= matches!(frame, Frame::Ping);
            has_data |= matches!(frame, Frame::Data(_));
            match frame {
                Frame::Ack { .. } => return Err(Violation::Misplaced),
                Frame::Received { count } => self.awaited.on_received(count, &mut self.messages)?,
                Frame::Close { kind, code } => {
                    // Even where ours is under way: theirs says that nothing is to be waited for any more.
                    self.messages.end(End::by_peer(kind, code));
                    self.deaf = true;
                    self.owed.hurry();
                    break;
                }
                _ => ends_message |= self.messages.handle(&frame)?.ends_message,
            }
        }
        self.owed.on_record(now, len, asks, ends_message);
        if pings {
            self.owed.hurry();
        }
        self.peer_asks = pings || (self.peer_asks && !has_data);
        Ok(())
    }

    /// The peer's stream has ended.
    pub(super) fn handle_end_of_stream(&mut self) {
        self.farewell.on_end_of_stream();
        // An end without CLOSE is no end that anybody meant.
        if self.messages.ended().is_none() || !self.handshake.is_over() || self.is_gone() {
            self.fail(End::Broken);
        }
    }

    /// Nothing can be written any more, and what there is to read ends in an error or has ended.
    pub(super) fn handle_unwritable(&mut self) {
        if self.farewell.peer_has_shut() {
            self.fail(End::Broken);
        }
    }

    /// What came is no record, or none of the peer's.
    fn distrust(&mut self, lost: Lost) {
        // Until then it is a stranger's, or a call that fails: that is counted, or told, already.
        self.lost = self.handshake.is_over().then_some(lost);
        self.fail(End::Broken);
    }

    /// The stream cannot be used any more, or was never there: the connection is over, if it is not yet.
    pub(super) fn fail(&mut self, end: End) {
        // Whoever has our proof and ends it there, however, has given none.
        let unproven = self.handshake.is_proving() && !matches!(end, End::Refused(_));
        self.messages.end(if unproven { End::Unconfirmed } else { end });
        self.handshake = Handshake::Over;
        self.handshake_timer.disarm();
        self.farewell.give_up();
    }

    /// A thread of the application's is about to wait, so nothing follows soon on which a receipt could ride.
    pub(super) fn handle_wait(&mut self) {
        if self.owes_at_wait() {
            self.owed.hurry();
            self.messages.hurry();
        }
    }

    /// The application waits for word of what it has sent. True where that sets a timer.
    pub(super) fn handle_awaited(&mut self, now: Timestamp) -> bool {
        self.lacks_receipts() && self.asking.begin(now)
    }

    /// True while the peer has yet to say what became of something sent.
    fn lacks_receipts(&self) -> bool {
        let messages = &self.messages;
        messages.ended().is_none() && (messages.state() == State::Closing || !messages.flushed())
    }

    /// True when [`handle_wait`](Self::handle_wait) leads to output.
    pub(super) fn owes_at_wait(&self) -> bool {
        self.owed.ends_message() || self.messages.has_lazy()
    }

    /// Where the connection has ended, by a verb of the application's perhaps, its farewell begins.
    pub(super) fn handle_end(&mut self, now: Timestamp) {
        if self.messages.ended().is_none() || self.is_gone() {
        } else if self.handshake.is_over() {
            self.farewell.begin(now);
        } else {
            // There is nobody yet to take leave of.
            self.fail(End::Broken);
        }
    }

    /// Appends records to `out`, which holds what waits to be written, until it holds [`OUTPUT_MAX`] bytes or nothing
    /// is left to say. `sent` is empty before and after.
    pub(super) fn poll_output(&mut self, now: Timestamp, out: &mut Vec<u8>, sent: &mut Vec<Sent>) {
        let before = out.len();
        self.handle_end(now);
        if self.is_gone() {
            return;
        }
        out.append(&mut self.opening);
        if self.peer_asks {
            self.messages.hurry();
        }
        if self.handshake.is_over() {
            while self.farewell.is_open() && out.len() < OUTPUT_MAX && self.put_record(now, out, sent) {}
        }
        // The application need not wait, or send, ever again: whoever closes waits for word of what it took.
        if self.messages.has_lazy() {
            self.lazy.arm_no_later(now + receipts::DELAY_MAX);
        } else {
            self.lazy.disarm();
        }
        self.stats.bytes_sent += (out.len() - before) as u64;
    }

    /// Appends one record. False where there is nothing to say.
    fn put_record(&mut self, now: Timestamp, out: &mut Vec<u8>, sent: &mut Vec<Sent>) -> bool {
        let fills = self.messages.wants_fill() && self.awaited.has_room();
        if !(fills || self.owed.is_due() || self.ping) {
            return false;
        }
        let from = out.len();
        self.protection.start_record(out);
        let body = out.len();
        self.owed.put(out);
        if self.ping {
            Frame::Ping.put(out);
        }
        let alone = out.len();
        if self.awaited.has_room() {
            self.messages.fill(out, RECORD_BODY_MAX - (alone - body), sent);
        }
        if out.len() == alone && !self.owed.is_due() && !self.ping {
            out.truncate(from);
            return false;
        }
        let sealed = self.protection.finish_record(out, from);
        sealed.expect("numbers ascend, and nobody lives long enough to use them all");
        self.owed.on_told();
        let closes = sent.last() == Some(&Sent::Close);
        let pings = core::mem::take(&mut self.ping);
        let asks = self.awaited.on_record(sent) | pings;
        if let Some(idle) = self.idle.as_mut().filter(|_| asks) {
            idle.on_asked(now);
        }
        if asks {
            self.asking.on_sent(now, pings);
        }
        self.stats.records_sent += 1;
        // After a CLOSE, ours or the peer's, nothing follows.
        if closes || (self.messages.ended().is_some() && !self.messages.wants_fill()) {
            self.farewell.on_last_record();
        }
        true
    }

    /// All output made so far was written.
    pub(super) fn on_written(&mut self) -> Socket {
        let socket = self.farewell.on_written();
        if socket == Socket::Drop {
            self.fail(End::Broken);
        }
        socket
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        if self.is_gone() {
            return None;
        }
        let mut deadline = earliest(self.handshake_timer.deadline(), self.messages.deadline());
        deadline = earliest(deadline, self.farewell.deadline());
        if let Some(idle) = self.idle.as_ref().filter(|_| self.messages.ended().is_none()) {
            deadline = earliest(earliest(deadline, self.owed.deadline()), Some(idle.deadline()));
            deadline = earliest(deadline, earliest(self.lazy.deadline(), self.asking.deadline()));
        }
        deadline
    }

    /// Time has passed. [`poll_output`](Self::poll_output) is to be called afterwards.
    pub(super) fn handle_timeout(&mut self, now: Timestamp) {
        if self.handshake_timer.fire(now) {
            self.fail(End::ConnectTimedOut);
        }
        if self.farewell.handle_timeout(now) {
            self.fail(End::TimedOut);
        }
        self.messages.handle_timeout(now);
        self.owed.handle_timeout(now);
        if self.lazy.fire(now) {
            self.messages.hurry();
        }
        let lacks = self.lacks_receipts();
        self.ping |= self.asking.handle_timeout(now, lacks);
        if let Some(idle) = self.idle.as_mut().filter(|_| self.messages.ended().is_none()) {
            match idle.handle_timeout(now) {
                Silence::Nothing => {}
                Silence::KeepAlive => self.ping = true,
                Silence::TimedOut => self.fail(End::TimedOut),
            }
        }
    }
}
