//! What became of sent packets: acknowledged, lost, or to be probed for. RFC 9002 section 6, with the reorder window of
//! RFC 8985, the undoing of spurious losses, and the probe timeouts of a local network.
//!
//! Generic over what packets held (`F`): it hands that back and never looks into it.

use core::ops::Range;
use core::time::Duration;
use std::collections::VecDeque;

use crate::time::{Timer, Timestamp};

use super::reorder::Reorder;
use super::rtt::Rtt;
use super::sent::{InFlight, Kind, Ledger, Packet};

/// Lost packets that are remembered, in case that they arrive after all.
const LOST_KEPT_MAX: usize = 1_024;
/// Frames in them.
const LOST_FRAMES_MAX: u64 = 16_384;
/// How long they are.
const LOST_KEPT_FOR: Duration = Duration::from_secs(1);
/// Backed-off probe timeouts grow no longer than this (or one round trip's own timeout).
pub(super) const PTO_MAX: Duration = Duration::from_secs(1);

/// The peer acknowledged a packet that was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeverSent;

/// What an acknowledgement or a deadline brought to light. Reused, so that nothing is allocated for it.
#[derive(Clone, Debug)]
pub struct Outcome<F> {
    /// What the newly acknowledged packets held.
    pub acked: Vec<F>,
    /// Newly acknowledged bytes that the window had counted.
    pub acked_bytes: u64,
    /// Of these, bytes sent since the last congestion event: only they let the window grow.
    pub growth_bytes: u64,
    /// Bytes in flight before.
    pub in_flight_before: u64,
    /// Number and length of the newest of the longest data packets among them.
    pub acked_longest: Option<(u64, u32)>,
    /// Among them, packets that had carried an ECN mark.
    pub acked_marked: u64,
    /// True when the largest acknowledged number rose.
    pub advanced: bool,
    /// When the newest of the newly acknowledged packets was sent.
    pub newest_sent_at: Timestamp,
    /// The largest number in an ACK frame of ours that is now known to have arrived.
    pub ack_acked: Option<u64>,
    /// Numbers and lengths of packets found lost.
    pub lost: Vec<(u64, u32)>,
    /// True when the window must shrink: a congestion event began.
    pub congestion: bool,
    /// True when the network was dead for long: the window starts anew.
    pub persistent: bool,
    /// True when every loss of the last congestion event turned out to be none.
    pub undo: bool,
    /// The MTU probe's length and whether it arrived.
    pub mtu_probe: Option<(u32, bool)>,
}

impl<F> Default for Outcome<F> {
    fn default() -> Self {
        Self {
            acked: Vec::new(),
            acked_bytes: 0,
            growth_bytes: 0,
            in_flight_before: 0,
            acked_longest: None,
            acked_marked: 0,
            advanced: false,
            newest_sent_at: Timestamp::ZERO,
            ack_acked: None,
            lost: Vec::new(),
            congestion: false,
            persistent: false,
            undo: false,
            mtu_probe: None,
        }
    }
}

impl<F> Outcome<F> {
    fn begin(&mut self, in_flight: InFlight) {
        let mut acked = core::mem::take(&mut self.acked);
        let mut lost = core::mem::take(&mut self.lost);
        acked.clear();
        lost.clear();
        *self = Self { acked, lost, in_flight_before: in_flight.bytes, ..Self::default() };
    }
}

/// What a deadline was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Nothing was due.
    Nothing,
    /// Packets are lost: see the outcome.
    Loss,
    /// Nothing was heard of the newest packets: send as many probes.
    Probe(u8),
}

/// A packet given up, kept for a while.
#[derive(Clone, Debug)]
struct Lost<F> {
    number: u64,
    at: Timestamp,
    episode: u64,
    /// True when the frames were already given back, by a probe.
    repeated: bool,
    frame_count: u32,
    frames: F,
}

/// The losses of one congestion event.
#[derive(Clone, Debug, Default)]
struct Episode {
    id: u64,
    /// Packets sent until then belong to it.
    began: Option<Timestamp>,
    /// Losses that have not turned out to be spurious.
    real: u64,
    undoable: bool,
}

/// Sent packets and the judgement on them.
#[derive(Clone, Debug)]
pub struct Recovery<F> {
    ledger: Ledger<F>,
    lost: VecDeque<Lost<F>>,
    /// How many at the back of `lost` have not been given back.
    lost_fresh: usize,
    /// Frames in `lost`.
    lost_frames: u64,
    rtt: Rtt,
    reorder: Reorder,
    episode: Episode,
    largest_acked: Option<u64>,
    first_sample_at: Option<Timestamp>,
    loss_timer: Timer,
    /// The probe timeout counts from here.
    probe_from: Timestamp,
    probe_count: u32,
    /// The number of the first packet after the last probe timeout.
    probe_number: Option<u64>,
    /// No probe has anything to repeat of lower numbers.
    repeated_to: u64,
    /// After a spurious probe: the timeout is doubled until a packet from here on gives a clean sample.
    doubled_until: Option<u64>,
    probes_sent: u64,
    packets_lost: u64,
}

impl<F: Default> Recovery<F> {
    /// Nothing sent.
    #[must_use]
    pub fn new(rtt: Rtt) -> Self {
        Self {
            ledger: Ledger::default(),
            lost: VecDeque::new(),
            lost_fresh: 0,
            lost_frames: 0,
            rtt,
            reorder: Reorder::default(),
            episode: Episode::default(),
            largest_acked: None,
            first_sample_at: None,
            loss_timer: Timer::default(),
            probe_from: Timestamp::ZERO,
            probe_count: 0,
            probe_number: None,
            repeated_to: 0,
            doubled_until: None,
            probes_sent: 0,
            packets_lost: 0,
        }
    }

    /// The number that the next packet gets.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.ledger.next_number()
    }

    /// What is in flight.
    #[must_use]
    pub const fn in_flight(&self) -> InFlight {
        self.ledger.in_flight()
    }

    /// True when a packet with frames of messages may be sent: what is in flight does not take too much to keep.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.ledger.has_room()
    }

    /// The round-trip time.
    #[must_use]
    pub const fn rtt(&self) -> &Rtt {
        &self.rtt
    }

    /// The round-trip time, for what the handshake taught.
    pub const fn rtt_mut(&mut self) -> &mut Rtt {
        &mut self.rtt
    }

    /// Probe timeouts in a row.
    #[must_use]
    pub const fn probe_count(&self) -> u32 {
        self.probe_count
    }

    /// Probe timeouts and lost packets since the beginning.
    #[must_use]
    pub const fn totals(&self) -> (u64, u64) {
        (self.probes_sent, self.packets_lost)
    }

    /// The next packet was sent.
    pub fn on_sent(&mut self, packet: Packet<F>) {
        if packet.kind != Kind::AckOnly {
            self.probe_from = packet.sent_at;
        }
        self.ledger.push(packet);
    }

    /// The peer has received the packets in `ranges` (highest first) and says that it held the acknowledgement back
    /// for `held`.
    pub fn on_ack(
        &mut self,
        now: Timestamp,
        ranges: impl Iterator<Item = Range<u64>>,
        held: Duration,
        out: &mut Outcome<F>,
    ) -> Result<(), NeverSent> {
        out.begin(self.ledger.in_flight());
        let mut ranges = ranges.peekable();
        let Some(largest) = ranges.peek().map(|range| range.end - 1) else { return Ok(()) };
        if largest >= self.ledger.next_number() {
            return Err(NeverSent);
        }
        let largest_before = self.largest_acked;
        out.advanced = largest_before.is_none_or(|before| largest > before);
        let mut sampled = None;
        let mut eliciting = false;
        let mut lowest = u64::MAX;
        for range in ranges {
            self.take_late(&range, out);
            // Lowest first: whatever the packets held is mostly finished in the order in which it was begun.
            let mut from = range.start;
            while let Some((number, packet)) = self.ledger.take_lowest(from, range.end) {
                from = number + 1;
                if number == largest {
                    sampled = Some(packet.sent_at);
                }
                if packet.kind != Kind::AckOnly {
                    eliciting = true;
                    lowest = lowest.min(number);
                }
                self.on_packet_acked(number, packet, out);
            }
        }
        self.ledger.trim();
        self.largest_acked = largest_before.max(Some(largest));
        if let Some(sent_at) = sampled.filter(|_| eliciting) {
            self.on_sample(now, largest, now.saturating_since(sent_at), held);
        }
        if eliciting {
            if largest_before.is_some_and(|before| lowest < before) {
                self.reorder.on_reordered();
            }
            self.judge_probe(lowest);
            self.probe_count = 0;
        }
        self.detect_lost(now, out);
        Ok(())
    }

    /// When [`Recovery::handle_timeout`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if self.loss_timer.deadline().is_some() {
            return self.loss_timer.deadline();
        }
        (self.ledger.in_flight().packets > 0).then(|| self.probe_from + self.backed_off())
    }

    /// The time of a deadline may have come.
    pub fn handle_timeout(&mut self, now: Timestamp, out: &mut Outcome<F>) -> Expired {
        out.begin(self.ledger.in_flight());
        if self.deadline().is_none_or(|at| at > now) {
            return Expired::Nothing;
        }
        if self.loss_timer.fire(now) {
            self.detect_lost(now, out);
            return Expired::Loss;
        }
        self.probe_count = self.probe_count.saturating_add(1);
        self.probes_sent += 1;
        self.probe_from = now;
        self.probe_number.get_or_insert(self.ledger.next_number());
        // RFC 9002 section 6.2.4 allows two: the second only once the first has failed.
        Expired::Probe(if self.probe_count == 1 { 1 } else { 2 })
    }

    /// What the oldest packet in flight held that was not yet repeated: a probe repeats it.
    pub fn repeat_oldest(&mut self) -> Option<&F> {
        let mut numbers = self.ledger.first().max(self.repeated_to)..self.ledger.end();
        self.repeated_to = self.ledger.end();
        let open = |packet: &mut Packet<F>| packet.kind == Kind::Data && !packet.repeated;
        let oldest = numbers.find(|number| self.ledger.get_mut(*number).is_some_and(open))?;
        self.repeated_to = oldest + 1;
        let packet = self.ledger.get_mut(oldest)?;
        packet.repeated = true;
        Some(&packet.frames)
    }

    /// Gives what newly lost packets held, oldest first, to `each`. To be called whenever an outcome names losses.
    pub fn take_lost(&mut self, each: impl FnMut(&F)) {
        let from = self.lost.len() - core::mem::take(&mut self.lost_fresh);
        self.lost.range(from..).filter(|lost| !lost.repeated).map(|lost| &lost.frames).for_each(each);
        while self.lost.len() > LOST_KEPT_MAX || self.lost_frames > LOST_FRAMES_MAX {
            self.forget_lost();
        }
    }

    /// The network marked packets as having met congestion. True when that is a new congestion event.
    pub fn on_congestion_mark(&mut self, now: Timestamp, sent_at: Timestamp) -> bool {
        if self.episode.began.is_some_and(|began| sent_at <= began) {
            return false;
        }
        self.begin_episode(now, false);
        true
    }

    fn on_packet_acked(&mut self, number: u64, packet: Packet<F>, out: &mut Outcome<F>) {
        out.ack_acked = out.ack_acked.max(packet.ack_largest);
        out.acked_marked += u64::from(packet.marked);
        out.newest_sent_at = out.newest_sent_at.max(packet.sent_at);
        match packet.kind {
            Kind::AckOnly => return,
            Kind::MtuProbe => out.mtu_probe = Some((packet.len, true)),
            Kind::Data => {
                if out.acked_longest.is_none_or(|(newest, len)| (len, newest) < (packet.len, number)) {
                    out.acked_longest = Some((number, packet.len));
                }
                out.acked_bytes += u64::from(packet.len);
                if self.episode.began.is_none_or(|began| packet.sent_at > began) {
                    out.growth_bytes += u64::from(packet.len);
                }
            }
        }
        out.acked.push(packet.frames);
    }

    /// Packets given up that have arrived after all.
    fn take_late(&mut self, range: &Range<u64>, out: &mut Outcome<F>) {
        if self.lost.back().is_none_or(|lost| lost.number < range.start) {
            return;
        }
        let from = self.lost.partition_point(|lost| lost.number < range.start);
        let mut spurious = false;
        while self.lost.get(from).is_some_and(|lost| lost.number < range.end) {
            let Some(lost) = self.lost.remove(from) else { break };
            self.lost_frames -= u64::from(lost.frame_count);
            spurious = true;
            out.acked.push(lost.frames);
            if lost.episode == self.episode.id {
                self.episode.real = self.episode.real.saturating_sub(1);
            }
        }
        if !spurious {
            return;
        }
        self.reorder.on_spurious();
        if self.episode.real == 0 && self.episode.undoable {
            self.episode.undoable = false;
            self.episode.began = None;
            out.undo = true;
        }
    }

    fn on_sample(&mut self, now: Timestamp, number: u64, sample: Duration, held: Duration) {
        self.rtt.on_sample(sample, held);
        self.first_sample_at.get_or_insert(now);
        if self.probe_count == 0 && self.doubled_until.is_some_and(|from| number >= from) {
            self.doubled_until = None;
        }
    }

    /// A packet from before a probe was acknowledged: the probe was sent too early.
    fn judge_probe(&mut self, lowest_acked: u64) {
        if self.probe_number.take().is_some_and(|probe| lowest_acked < probe) {
            self.doubled_until = Some(self.ledger.next_number());
        }
    }

    fn backed_off(&self) -> Duration {
        let timeout = self.rtt.probe_timeout();
        let doublings = self.probe_count + u32::from(self.doubled_until.is_some());
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        timeout.saturating_mul(factor).min(PTO_MAX.max(timeout))
    }

    fn detect_lost(&mut self, now: Timestamp, out: &mut Outcome<F>) {
        self.loss_timer.disarm();
        let Some(largest) = self.largest_acked else { return };
        let delay = self.reorder.loss_delay(&self.rtt);
        let persistent = self.rtt.persistent_congestion();
        let mut run_from = None;
        for number in self.ledger.first()..largest.min(self.ledger.end()) {
            let Some(packet) = self.ledger.get_mut(number) else {
                run_from = None; // acknowledged: the network was not dead
                continue;
            };
            let sent_at = packet.sent_at;
            let due = sent_at + delay;
            if due > now && !self.reorder.is_lost_by_count(number, largest) {
                if packet.kind == Kind::AckOnly {
                    continue;
                }
                self.loss_timer.arm(due);
                break; // whatever came later is younger and nearer
            }
            let Some(packet) = self.ledger.take(number) else { break };
            if packet.kind == Kind::Data && self.first_sample_at.is_some_and(|first| sent_at > first) {
                let from = *run_from.get_or_insert(sent_at);
                out.persistent |= sent_at.saturating_since(from) >= persistent;
            }
            self.on_packet_lost(now, number, packet, out);
        }
        self.ledger.trim();
        while self.lost.len() > self.lost_fresh && self.lost.front().is_some_and(|lost| lost.at + LOST_KEPT_FOR <= now)
        {
            self.forget_lost();
        }
    }

    /// Forgets the longest lost.
    fn forget_lost(&mut self) {
        if let Some(lost) = self.lost.pop_front() {
            self.lost_frames -= u64::from(lost.frame_count);
        }
    }

    fn on_packet_lost(&mut self, now: Timestamp, number: u64, packet: Packet<F>, out: &mut Outcome<F>) {
        match packet.kind {
            Kind::AckOnly => return,
            Kind::MtuProbe => {
                out.mtu_probe = Some((packet.len, false));
                return;
            }
            Kind::Data => {}
        }
        out.lost.push((number, packet.len));
        self.packets_lost += 1;
        if self.episode.began.is_none_or(|began| packet.sent_at > began) {
            self.begin_episode(now, true);
            out.congestion = true;
        }
        self.episode.real += 1;
        let Packet { repeated, frame_count, frames, .. } = packet;
        self.lost.push_back(Lost { number, at: now, episode: self.episode.id, repeated, frame_count, frames });
        self.lost_frames += u64::from(frame_count);
        self.lost_fresh += 1;
    }

    fn begin_episode(&mut self, now: Timestamp, undoable: bool) {
        self.episode = Episode { id: self.episode.id + 1, began: Some(now), real: 0, undoable };
        self.reorder.on_recovery();
    }
}

#[cfg(test)]
#[path = "tests/recovery.rs"]
mod tests;
