//! Packets in: frames to their parts, outcomes to whomever they concern.

use core::time::Duration;

use crate::message::{End, Messages, Sent, Violation};
use crate::time::Timestamp;
use crate::wire::{EcnCounts, Frame, Frames};

use super::{Link, Scratch, Stage};
use crate::proto::acks::Elicits;
use crate::proto::congestion::Acked;
use crate::proto::counters::Dropped;
use crate::proto::ecn::Ecn;
use crate::proto::recovery::{Outcome, PTO_MAX};

/// The least time that a connection answers its peer's packets after the peer has closed.
const DRAIN_MIN: Duration = Duration::from_millis(100);

impl Link {
    pub(super) fn handle_frames(
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
    pub(super) fn handle_draining(
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
    pub(super) fn apply(
        &mut self,
        now: Timestamp,
        ecn: Option<Option<EcnCounts>>,
        messages: &mut Messages,
        scratch: &mut Scratch,
    ) {
        let mut outcome = core::mem::take(&mut scratch.outcome);
        for frames in outcome.acked.drain(..) {
            frames.iter().for_each(|sent| messages.on_acked(sent));
            scratch.lists.recycle(frames);
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
        if self.recovery.probe_count() == 0 {
            self.probes = 0; // it was heard of after all
        }
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
        if let Some((number, len)) = outcome.acked_longest {
            self.mtu.on_acked(number, len);
        }
        for (number, len) in &outcome.lost {
            self.mtu.on_lost(*number, *len);
        }
        match outcome.mtu_probe {
            Some((len, true)) if self.mtu.on_probe_acked(now, len) => {
                self.controller.on_mtu(u64::from(self.mtu.current()));
            }
            Some((len, false)) => self.mtu.on_probe_lost(now, len),
            _ => {}
        }
    }

    pub(super) fn on_ended(&mut self, now: Timestamp, end: End) {
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

    pub(super) fn drain(&mut self, now: Timestamp) {
        self.stage = Stage::Draining(now + (self.recovery.rtt().probe_timeout().min(PTO_MAX) * 3).max(DRAIN_MIN));
    }

    /// Gives back what a probe is to carry: the oldest that was not repeated yet.
    pub(super) fn repeat(&mut self, messages: &mut Messages) {
        if let Stage::Closing(_) = self.stage {
            messages.on_lost(&Sent::Close); // nothing else matters any more
        } else if self.recovery.has_room()
            && let Some(frames) = self.recovery.repeat_oldest()
        {
            frames.iter().for_each(|sent| messages.on_lost(sent));
        }
    }
}
