//! An established connection's packets: routes between the parts that each know one thing about them.

mod inbound;
mod outbound;

use core::time::Duration;

use crate::message::{End, Messages, Sent, State};
use crate::seal::{OpenError, Protection};
use crate::time::{Timer, Timestamp, earliest};
use crate::wire::{ConnectionCid, DataHeader, Params, VARINT_MAX};

use super::acks::Acks;
use super::budget::Budget;
use super::config::Config;
use super::congestion::Controller;
use super::counters::Dropped;
use super::ecn::{Ecn, EcnPath};
use super::idle::{Idle, Silence};
use super::lists::Lists;
use super::mtu::{self, MTU_BASE, MtuSearch, PathLimits};
use super::pacer::Pacer;
use super::recovery::{Expired, Outcome, PTO_MAX, Recovery};
use super::rtt::Rtt;
use super::stats::LinkStats;

/// Places in the list that packets are filled with, where one was filled with more.
const FILLED_KEPT: usize = 16_384;
/// What a peer may claim to hold acknowledgements back for.
const PEER_ACK_DELAY_MAX: Duration = Duration::from_secs(1);
/// For so many probe timeouts CLOSE is repeated: it goes four times, as each lasts twice as long as the one before.
const CLOSE_PROBE_TIMEOUTS: u32 = 8;
/// The least time for which packets under the last keys are still opened.
const OLD_KEYS_MIN: Duration = Duration::from_secs(1);
/// The least time that CLOSE is repeated.
const CLOSE_MIN: Duration = Duration::from_millis(500);

/// Space for outcomes, shared by all connections of an endpoint so that nothing is allocated for a packet.
#[derive(Debug, Default)]
pub struct Scratch {
    outcome: Outcome<Vec<Sent>>,
    lists: Lists,
    /// What the packet that is being written holds.
    filled: Vec<Sent>,
}

impl Scratch {
    /// What was filled in, in a list of its own.
    fn keep(&mut self) -> Vec<Sent> {
        let kept = self.lists.keep(&mut self.filled);
        self.filled.shrink_to(FILLED_KEPT);
        kept
    }
}

/// Where the link is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Live,
    /// Our CLOSE is under way since then; it is repeated.
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
    protection: Protection,
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
    /// When the endpoint's budget allows the next of them, if it was asked.
    probe_at: Option<Timestamp>,
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
    pub fn new(
        now: Timestamp,
        config: &Config,
        path: PathLimits,
        protection: Protection,
        peer_cid: ConnectionCid,
        peer: &Params,
    ) -> Self {
        let mut rtt = Rtt::new(config.granularity);
        rtt.set_peer_ack_delay_max(Duration::from_micros(peer.ack_delay_max_us).min(PEER_ACK_DELAY_MAX));
        let mtu = MtuSearch::new(path, peer.datagram_len_max, peer.receive_buffer);
        Self {
            protection,
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
            probe_at: None,
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

    /// A packet of this connection came in from the right address; `datagram` is all of it, and is opened in place.
    pub fn handle(
        &mut self,
        now: Timestamp,
        header: &DataHeader,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
        messages: &mut Messages,
        scratch: &mut Scratch,
    ) -> Result<(), Dropped> {
        let number = header.number(self.acks.expected());
        if number > VARINT_MAX {
            return Err(Dropped::Malformed); // no acknowledgement could name it
        }
        let draining = matches!(self.stage, Stage::Draining(_));
        if !draining && self.acks.is_duplicate(number) {
            return Err(Dropped::Duplicate);
        }
        let keep = (self.recovery.rtt().probe_timeout().min(PTO_MAX) * 3).max(OLD_KEYS_MIN);
        let payload = match self.protection.open_packet(now, keep, header, number, datagram) {
            Ok(payload) => payload,
            Err(error) => {
                if error == OpenError::TooManyForged {
                    messages.end(End::Broken);
                    self.stage = Stage::Over;
                }
                return Err(Dropped::Forged);
            }
        };
        if draining {
            return self.handle_draining(now, number, ecn, payload);
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
            Stage::Closing(since) => Some(self.busy_deadline().min(self.gives_up_close(since))),
            Stage::Draining(until) => Some(until),
            Stage::Over => None,
        }
    }

    /// When CLOSE, sent first at `since`, is not repeated any more. The round trip may have become known since then.
    fn gives_up_close(&self, since: Timestamp) -> Timestamp {
        since + (self.recovery.rtt().probe_timeout().min(PTO_MAX) * CLOSE_PROBE_TIMEOUTS).max(CLOSE_MIN)
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
            Stage::Closing(since) if self.gives_up_close(since) <= now => {
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
            // What is in flight asks for a sign of life as well.
            Silence::KeepAlive => self.ping = self.recovery.in_flight().packets == 0,
            Silence::TimedOut => {
                messages.end(End::TimedOut);
                self.stage = Stage::Over;
                return;
            }
        }
        match self.recovery.handle_timeout(now, &mut scratch.outcome) {
            Expired::Nothing => {}
            Expired::Loss => self.apply(now, None, messages, scratch),
            Expired::Probe(count) => self.probes = count,
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
        let may_probe = self.may_probe(now, probe_budget);
        if may_probe {
            self.repeat(messages);
        }
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
            ecn: self.ecn.carries(),
            cipher: self.protection.cipher(),
            packets_sent: self.recovery.next_number(),
            packets_received: self.packets_received,
            packets_lost,
            probes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Limits;
    use crate::proto::acks::Elicits;
    use crate::wire::{Mode, put_crc, start_data};

    #[test]
    fn a_peer_that_counts_its_packets_up_to_the_end_of_all_numbers_gets_no_answer_there() {
        let now = Timestamp::from_nanos(1);
        let config = Config::default();
        let path = PathLimits { datagram_len_max: 1_472 };
        let params = Messages::new(Limits::default()).params(Params::default());
        let mut link = Link::new(now, &config, path, Protection::plain(), ConnectionCid(1), &params);
        let mut messages = Messages::new(Limits::default());
        messages.establish(&params);
        link.acks.on_received(now, VARINT_MAX - 1, None, Elicits::Nothing);
        let (mut scratch, mut budget, mut out) = (Scratch::default(), Budget::new(1, 1), Vec::new());
        let mut ping = |number: u64| {
            #[expect(clippy::cast_possible_truncation, reason = "only the low bits are sent")]
            let number_low = number as u32;
            let header = DataHeader { mode: Mode::Plain, key_phase: false, cid: ConnectionCid(2), number_low };
            let mut datagram = Vec::new();
            start_data(&mut datagram, &header);
            datagram.push(1);
            put_crc(&mut datagram, 0);
            let result = link.handle(now, &header, None, &mut datagram, &mut messages, &mut scratch);
            while link.poll(now, &mut messages, &mut scratch, &mut budget, &mut out).is_some() {}
            result
        };
        assert_eq!(ping(VARINT_MAX), Ok(()), "the last of them");
        for jump in [0, 1, 1 << 30] {
            assert_eq!(ping(VARINT_MAX + 1 + jump), Err(Dropped::Malformed), "{jump}");
        }
    }
}
