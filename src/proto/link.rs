//! An established connection's packets: routes between the parts that each know one thing about them.

use core::time::Duration;

use crate::message::{End, Messages, Sent, State, Violation};
use crate::time::{Timer, Timestamp, earliest};
use crate::wire::{
    ConnectionCid, DATA_OVERHEAD, DataHeader, EcnCounts, Frame, Frames, Mode, Params, put_crc, start_data,
};

use super::acks::{Acks, Elicits};
use super::budget::Budget;
use super::config::Config;
use super::congestion::{Acked, Controller};
use super::counters::Dropped;
use super::ecn::{Ecn, EcnPath};
use super::idle::{Idle, Silence};
use super::mtu::{self, MTU_BASE, MtuSearch, PathLimits};
use super::pacer::Pacer;
use super::recovery::{Expired, Outcome, Recovery};
use super::rtt::Rtt;
use super::sent::{Kind, Packet, buffer_cost};
use super::stats::LinkStats;

/// Packets in one batch for the kernel to cut up (UDP_MAX_SEGMENTS).
const BATCH_PACKETS_MAX: usize = 64;
/// Bytes in one batch: what one UDP datagram may carry.
const BATCH_LEN_MAX: usize = 65_507;
/// A packet that lacks more than this to the full length ends its batch; one that lacks less is padded.
const PADDED_MAX: usize = 64;
/// Emptied lists of sent frames that are kept for reuse.
const SPARE_MAX: usize = 4_096;
/// The least time that a connection answers its peer's packets after the peer has closed.
const DRAIN_MIN: Duration = Duration::from_millis(100);
/// The least time that CLOSE is repeated.
const CLOSE_MIN: Duration = Duration::from_millis(500);
/// What a peer may claim to hold acknowledgements back for.
const PEER_ACK_DELAY_MAX: Duration = Duration::from_secs(1);

/// Space for outcomes, shared by all connections of an endpoint so that nothing is allocated for a packet.
#[derive(Debug, Default)]
pub struct Scratch {
    outcome: Outcome<Vec<Sent>>,
    spare: Vec<Vec<Sent>>,
}

impl Scratch {
    fn recycle(&mut self, mut frames: Vec<Sent>) {
        if frames.capacity() > 0 && self.spare.len() < SPARE_MAX {
            frames.clear();
            self.spare.push(frames);
        }
    }
}

/// Where the link is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Live,
    /// Our CLOSE is under way; it is repeated until then.
    Closing(Timestamp),
    /// The end is known on both sides; the peer's packets are answered until then.
    Draining(Timestamp),
    Over,
}

/// How the batch end came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// A thread that waits for the application received it.
    ByWaiter,
    /// Nobody was waiting: it may have lain in the socket for a while, so acknowledgements are due.
    ByKeeper,
}

/// What [`Link::poll`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// All datagrams but the last have this length, if there are several.
    pub segment: Option<usize>,
    /// How many there are.
    pub count: u64,
    /// Their mark.
    pub ecn: Option<Ecn>,
}

/// An established connection, below its messages.
#[derive(Debug)]
pub struct Link {
    peer_cid: ConnectionCid,
    peer_receive_buffer: u64,
    stage: Stage,
    acks: Acks,
    recovery: Recovery<Vec<Sent>>,
    controller: Box<dyn Controller>,
    pacer: Pacer,
    mtu: MtuSearch,
    idle: Idle,
    ecn: EcnPath,
    /// A PING is to go with the next packet.
    ping: bool,
    /// Probes to be sent, for nothing was heard.
    probes: u8,
    /// Sending waits until then: for the pacer, or for the endpoint's budget of probes.
    wait: Timer,
    /// What messages would rather send along with something else goes alone then.
    lazy: Timer,
    lazy_max: Duration,
    packets_received: u64,
}

impl Link {
    /// The handshake is done.
    #[must_use]
    pub fn new(now: Timestamp, config: &Config, path: PathLimits, peer_cid: ConnectionCid, peer: &Params) -> Self {
        let mut rtt = Rtt::new(config.granularity);
        rtt.set_peer_ack_delay_max(Duration::from_micros(peer.ack_delay_max_us).min(PEER_ACK_DELAY_MAX));
        let mtu = MtuSearch::new(path, peer.datagram_len_max, peer.receive_buffer);
        Self {
            peer_cid,
            peer_receive_buffer: mtu::receive_buffer(peer.receive_buffer),
            stage: Stage::Live,
            acks: Acks::new(config.ack_delay_max),
            recovery: Recovery::new(rtt),
            controller: config.controller.build(u64::from(MTU_BASE)),
            pacer: Pacer::new(now, config.granularity),
            mtu,
            idle: Idle::new(now, config.idle_timeout, Duration::from_millis(peer.idle_timeout_ms)),
            ecn: EcnPath::default(),
            ping: false,
            probes: 0,
            wait: Timer::default(),
            lazy: Timer::default(),
            lazy_max: config.ack_delay_max,
            packets_received: 0,
        }
    }

    /// The handshake has shown how long a round trip takes.
    pub fn on_round_trip(&mut self, round_trip: Duration) {
        self.recovery.rtt_mut().on_sample(round_trip, Duration::ZERO);
    }

    /// Sends something soon, whether there is anything to say or not.
    pub const fn ping(&mut self) {
        self.ping = true;
    }

    /// True when nothing is sent or answered any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// A packet of this connection came in from the right address.
    pub fn handle(
        &mut self,
        now: Timestamp,
        header: &DataHeader,
        ecn: Option<Ecn>,
        payload: &[u8],
        messages: &mut Messages,
        scratch: &mut Scratch,
    ) -> Result<(), Dropped> {
        let number = header.number(self.acks.expected());
        if let Stage::Draining(_) = self.stage {
            return self.handle_draining(now, number, ecn, payload);
        }
        if self.acks.is_duplicate(number) {
            return Err(Dropped::Duplicate);
        }
        self.packets_received += 1;
        match self.handle_frames(now, payload, messages, scratch) {
            Ok(elicits) => {
                self.acks.on_received(now, number, ecn, elicits);
                self.idle.on_received(now);
                if let State::Ended(end) = messages.state() {
                    self.on_ended(now, end);
                }
                Ok(())
            }
            Err(violation) => {
                messages.end_by_violation(violation);
                Err(Dropped::BadFrame)
            }
        }
    }

    /// All datagrams that had arrived together are handled.
    pub fn on_batch_end(&mut self, drained: Drained) {
        match drained {
            Drained::ByWaiter => self.acks.on_batch_end(),
            Drained::ByKeeper => self.acks.on_wait(),
        }
    }

    /// The application waits: what is owed should go.
    pub fn on_wait(&mut self, messages: &mut Messages) {
        self.acks.on_wait();
        messages.hurry();
    }

    /// True when something is owed that goes alone only when the application waits, or later.
    #[must_use]
    pub fn owes(&self, messages: &Messages) -> bool {
        (self.acks.is_owed() && !self.acks.is_due()) || messages.has_lazy()
    }

    /// When [`Link::handle_timeout`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Live => {
                [self.mtu.deadline(), self.lazy.deadline()].into_iter().fold(Some(self.busy_deadline()), earliest)
            }
            Stage::Closing(until) => Some(self.busy_deadline().min(until)),
            Stage::Draining(until) => Some(until),
            Stage::Over => None,
        }
    }

    fn busy_deadline(&self) -> Timestamp {
        let others = [self.acks.deadline(), self.recovery.deadline(), self.wait.deadline()];
        others.into_iter().flatten().fold(self.idle.deadline(), Timestamp::min)
    }

    /// The time of a deadline may have come.
    pub fn handle_timeout(&mut self, now: Timestamp, messages: &mut Messages, scratch: &mut Scratch) {
        match self.stage {
            Stage::Over => return,
            Stage::Draining(until) => {
                if until <= now {
                    self.stage = Stage::Over;
                }
                return;
            }
            Stage::Closing(until) if until <= now => {
                // The peer cannot be told: whoever waits for that should know.
                messages.end(End::TimedOut);
                self.stage = Stage::Over;
                return;
            }
            Stage::Closing(_) | Stage::Live => {}
        }
        self.acks.handle_timeout(now);
        self.wait.fire(now);
        self.mtu.handle_timeout(now);
        if self.lazy.fire(now) {
            messages.hurry();
        }
        match self.idle.handle_timeout(now) {
            Silence::Nothing => {}
            Silence::KeepAlive => self.ping = true,
            Silence::TimedOut => {
                messages.end(End::TimedOut);
                self.stage = Stage::Over;
                return;
            }
        }
        match self.recovery.handle_timeout(now, &mut scratch.outcome) {
            Expired::Nothing => {}
            Expired::Loss => self.apply(now, None, messages, scratch),
            Expired::Probe(count) => self.begin_probes(count, messages),
        }
    }

    /// Appends one datagram, or several of the same length, that may leave now.
    pub fn poll(
        &mut self,
        now: Timestamp,
        messages: &mut Messages,
        scratch: &mut Scratch,
        probe_budget: &mut Budget,
        out: &mut Vec<u8>,
    ) -> Option<Batch> {
        let ecn = self.ecn.mark();
        let one = Some(Batch { segment: None, count: 1, ecn });
        match self.stage {
            Stage::Over => return None,
            Stage::Draining(_) => return self.put_ack(now, out).then_some(one).flatten(),
            Stage::Closing(_) | Stage::Live => {}
        }
        if self.stage == Stage::Live && self.put_mtu_probe(now, out) {
            return one;
        }
        let may_probe = self.probes > 0 && self.may_probe(now, probe_budget);
        let batch = self.put_batch(now, may_probe, messages, scratch, out);
        if messages.has_lazy() {
            if self.lazy.deadline().is_none() {
                self.lazy.arm(now + self.lazy_max);
            }
        } else {
            self.lazy.disarm();
        }
        batch
    }

    /// Numbers for whoever is curious.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        let rtt = self.recovery.rtt();
        let (probes, packets_lost) = self.recovery.totals();
        LinkStats {
            rtt: rtt.is_measured().then_some(rtt.smoothed()),
            rtt_min: rtt.is_measured().then_some(rtt.min()),
            rtt_variance: rtt.variance(),
            probe_timeout: rtt.probe_timeout(),
            window: self.controller.window(),
            in_flight: self.recovery.in_flight().bytes,
            mtu: self.mtu.current(),
            controller: self.controller.name(),
            packets_sent: self.recovery.next_number(),
            packets_received: self.packets_received,
            packets_lost,
            probes,
        }
    }

    // ---- packets in ----

    fn handle_frames(
        &mut self,
        now: Timestamp,
        payload: &[u8],
        messages: &mut Messages,
        scratch: &mut Scratch,
    ) -> Result<Elicits, Violation> {
        let mut elicits = Elicits::Nothing;
        for frame in Frames::new(payload) {
            let frame = frame?;
            let asks = match frame {
                Frame::Padding => Elicits::Nothing,
                Frame::Ping => Elicits::AtOnce,
                Frame::Ack { blocks, delay_us, ecn, .. } => {
                    let held = Duration::from_micros(delay_us);
                    self.recovery
                        .on_ack(now, blocks.iter(), held, &mut scratch.outcome)
                        .map_err(|_| Violation::NeverSent)?;
                    self.apply(now, Some(ecn), messages, scratch);
                    Elicits::Nothing
                }
                Frame::Received { .. } => return Err(Violation::Misplaced),
                Frame::Close { .. } => {
                    messages.handle(&frame)?;
                    Elicits::AtOnce
                }
                Frame::Data(_) if !messages.handle(&frame)?.ends_message => Elicits::BatchEnd,
                Frame::Data(_) => Elicits::Delayed,
                _ => {
                    messages.handle(&frame)?;
                    Elicits::Delayed
                }
            };
            elicits = elicits.max(asks);
        }
        Ok(elicits)
    }

    /// After the end every packet that asks for it is acknowledged, also one that came before: its first
    /// acknowledgement may be lost.
    fn handle_draining(
        &mut self,
        now: Timestamp,
        number: u64,
        ecn: Option<Ecn>,
        payload: &[u8],
    ) -> Result<(), Dropped> {
        let asks = |frame: Result<Frame<'_>, _>| !matches!(frame, Ok(Frame::Padding | Frame::Ack { .. }) | Err(_));
        if !self.acks.is_duplicate(number) {
            self.acks.on_received(now, number, ecn, Elicits::Nothing);
        }
        if Frames::new(payload).any(asks) {
            self.acks.force();
        }
        Err(Dropped::AfterEnd)
    }

    /// Hands an outcome on to everybody whom it concerns. `ecn` is what an acknowledgement said of marks, if the
    /// outcome is that of one.
    fn apply(
        &mut self,
        now: Timestamp,
        ecn: Option<Option<EcnCounts>>,
        messages: &mut Messages,
        scratch: &mut Scratch,
    ) {
        let mut outcome = core::mem::take(&mut scratch.outcome);
        for frames in outcome.acked.drain(..) {
            frames.iter().for_each(|sent| messages.on_acked(sent));
            scratch.recycle(frames);
        }
        if let Some(largest) = outcome.ack_acked {
            self.acks.on_ack_acked(largest);
        }
        if !outcome.lost.is_empty() {
            self.recovery.take_lost(|frames| frames.iter().for_each(|sent| messages.on_lost(sent)));
        }
        if outcome.congestion {
            self.controller.on_congestion(now, outcome.persistent);
        } else if outcome.advanced
            && let Some(counts) = ecn
            && self.ecn.on_ack(outcome.acked_marked, counts)
            && self.recovery.on_congestion_mark(now, outcome.newest_sent_at)
        {
            self.controller.on_congestion(now, false);
        }
        if outcome.undo {
            self.controller.on_undo();
        }
        self.apply_to_mtu(now, &outcome);
        if outcome.acked_bytes > 0 {
            self.controller.on_acked(&Acked {
                now,
                bytes: outcome.acked_bytes,
                growth_bytes: outcome.growth_bytes,
                in_flight_before: outcome.in_flight_before,
                rtt: self.recovery.rtt(),
            });
        }
        let smoothed = self.recovery.rtt().smoothed();
        self.pacer.set_rate(now, self.controller.window(), smoothed, self.controller.pacing_rate());
        scratch.outcome = outcome;
        if messages.closed() && matches!(self.stage, Stage::Closing(_)) {
            self.drain(now);
        }
    }

    fn apply_to_mtu(&mut self, now: Timestamp, outcome: &Outcome<Vec<Sent>>) {
        self.mtu.on_acked(outcome.acked_len_max);
        for len in &outcome.lost {
            self.mtu.on_lost(*len);
        }
        match outcome.mtu_probe {
            Some((len, true)) if self.mtu.on_probe_acked(now, len) => {
                self.controller.on_mtu(u64::from(self.mtu.current()));
            }
            Some((len, false)) => self.mtu.on_probe_lost(now, len),
            _ => {}
        }
    }

    fn on_ended(&mut self, now: Timestamp, end: End) {
        let by_peer = matches!(
            end,
            End::ClosedByPeer { .. }
                | End::AbortedByPeer { .. }
                | End::RefusedByPeer { .. }
                | End::ViolationByPeer { .. }
        );
        if by_peer && self.stage == Stage::Live {
            self.drain(now);
        }
    }

    fn drain(&mut self, now: Timestamp) {
        self.stage = Stage::Draining(now + (self.recovery.rtt().probe_timeout() * 3).max(DRAIN_MIN));
    }

    fn begin_probes(&mut self, count: u8, messages: &mut Messages) {
        self.probes = count;
        if let Stage::Closing(_) = self.stage {
            messages.on_lost(&Sent::Close); // nothing else matters any more
            return;
        }
        for _ in 0..count {
            let Some(frames) = self.recovery.repeat_oldest() else { break };
            frames.iter().for_each(|sent| messages.on_lost(sent));
        }
    }

    // ---- packets out ----

    fn may_probe(&mut self, now: Timestamp, budget: &mut Budget) -> bool {
        match budget.take(now) {
            Ok(()) => true,
            Err(at) => {
                self.wait.arm_no_later(at);
                false
            }
        }
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

    fn put_batch(
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
            let wants = messages.wants_fill() || self.ping || probe;
            let fill = wants && (probe || ended || self.allowed(now, 0));
            if !fill && (count > 0 || !self.acks.is_due()) {
                break;
            }
            let content = Content { fill, ping: self.ping || probe };
            let Some(draft) = self.draft(now, full, content, messages, scratch, out) else { break };
            count += 1;
            probe = false;
            let lacking = full - draft.len(out);
            let more = lacking <= PADDED_MAX
                && count < BATCH_PACKETS_MAX
                && out.len() + lacking + full <= BATCH_LEN_MAX
                && messages.wants_fill()
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

    fn put_mtu_probe(&mut self, now: Timestamp, out: &mut Vec<u8>) -> bool {
        let Some(len) = self.mtu.wants_probe().filter(|_| self.recovery.probe_count() == 0) else { return false };
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

    fn put_ack(&mut self, now: Timestamp, out: &mut Vec<u8>) -> bool {
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
        Draft { start, kind: Kind::AckOnly, ack_largest: None, frames: Vec::new() }
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
            draft.frames = scratch.spare.pop().unwrap_or_default();
            messages.fill(out, end - out.len(), &mut draft.frames);
            if out.len() > from {
                draft.kind = Kind::Data;
            }
            if draft.frames.contains(&Sent::Close) && self.stage == Stage::Live {
                let wait = (self.recovery.rtt().probe_timeout() * 3).max(CLOSE_MIN);
                self.stage = Stage::Closing(now + wait);
            }
        }
        if out.len() == empty {
            out.truncate(draft.start);
            scratch.recycle(draft.frames);
            return None;
        }
        Some(draft)
    }

    /// Adds the checksum and enters the packet into the books.
    fn finish(&mut self, now: Timestamp, draft: Draft, ecn: Option<Ecn>, scratch: &mut Scratch, out: &mut Vec<u8>) {
        put_crc(out, draft.start);
        let len = u32::try_from(out.len() - draft.start).expect("at most 65,507 bytes");
        let Draft { kind, ack_largest, mut frames, .. } = draft;
        if frames.is_empty() {
            scratch.recycle(core::mem::take(&mut frames));
        }
        if kind != Kind::AckOnly {
            self.idle.on_asked(now);
            self.pacer.on_sent(u64::from(len));
            self.probes = self.probes.saturating_sub(1);
        }
        let marked = ecn.is_some();
        self.recovery.on_sent(Packet { sent_at: now, len, kind, marked, repeated: false, ack_largest, frames });
    }
}

/// Bytes of the checksum at a packet's end.
const CRC_LEN: usize = 4;

/// What a packet is to hold beside an acknowledgement.
#[derive(Clone, Copy, Debug)]
struct Content {
    /// Frames of messages.
    fill: bool,
    /// A PING.
    ping: bool,
}

/// A packet being written.
#[derive(Debug)]
struct Draft {
    start: usize,
    kind: Kind,
    ack_largest: Option<u64>,
    frames: Vec<Sent>,
}

impl Draft {
    /// The packet's length, were it finished now.
    const fn len(&self, out: &Vec<u8>) -> usize {
        out.len() - self.start + CRC_LEN
    }
}
