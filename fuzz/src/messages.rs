//! Two sides over a carrier that loses, delays, reorders and takes for lost whatever the input says, against a model.

use core::time::Duration;

use udpair::message::{ChannelConfig, Limits, Messages, Select, Sent};
use udpair::time::Timestamp;
use udpair::wire::{Frames, Params};

use super::choices::Choices;
use super::model::{MODES, Model};

/// Room that a fresh packet always has.
const ROOM: usize = 1_170;
/// Packets under way.
const UNDER_WAY_MAX: usize = 64;

/// A packet under way.
struct Packet {
    from: usize,
    bytes: Vec<u8>,
    sent: Vec<Sent>,
    /// Its sender was told that it is lost.
    lost: bool,
}

struct World {
    sides: [Messages; 2],
    /// What each side has sent.
    models: [Model; 2],
    under_way: Vec<Packet>,
    /// Whether the application also gives messages up and refuses them.
    fickle: bool,
}

/// A run.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut world = World::new(&mut choices);
    while !choices.is_empty() {
        world.step(&mut choices);
        world.check_limits();
    }
    world.settle();
    world.close();
}

impl World {
    fn new(choices: &mut Choices<'_>) -> Self {
        let credit_channel = 4_096 + 4_096 * choices.below(8) as u64;
        let limits = Limits {
            credit_channel,
            credit_connection: credit_channel * (1 + choices.below(4)) as u64,
            message_len_max: 64 * choices.below(256) as u64,
            send_queue: 1_000 * (1 + choices.below(64)) as u64,
        };
        let mut sides = [Messages::new(limits), Messages::new(limits)];
        let params = [0, 1].map(|side: usize| sides[side].params(Params::default()));
        for (side, messages) in sides.iter_mut().enumerate() {
            for (channel, mode) in (0..).zip(MODES) {
                let config = ChannelConfig { delivery: mode, priority: u8::try_from(channel % 3).unwrap_or(0) };
                messages.configure(channel, config).expect("nothing was sent");
            }
            messages.establish(&params[1 - side]);
        }
        Self { sides, models: Default::default(), under_way: Vec::new(), fickle: choices.flip() }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let op = choices.byte();
        let side = usize::from(op & 1);
        let peer = 1 - side;
        let channel = u16::try_from(choices.below(MODES.len())).unwrap_or(0);
        let (model, messages) = (&mut self.models[side], &mut self.sides[side]);
        match op >> 1 & 15 {
            0 | 1 => model.send(messages, channel, choices.len()),
            2 => {
                let len = choices.flip().then(|| choices.len() as u64);
                model.begin(messages, channel, len);
            }
            3 => model.write(messages, choices.below(8), choices.len()),
            4 => model.finish(messages, choices.below(8)),
            5 if self.fickle => model.reset(messages, channel, choices.below(4), choices.flip()),
            6 | 7 => self.fill(side, ROOM),
            8 => self.fill(side, choices.below(256) * 6),
            9 | 10 => self.deliver(choices.below(UNDER_WAY_MAX), true),
            11 => self.deliver(choices.below(UNDER_WAY_MAX), false),
            12 => self.lose(choices.below(UNDER_WAY_MAX)),
            13 => {
                let select = if choices.flip() { Select::Any } else { Select::One(channel) };
                if op >> 5 == 7 {
                    self.models[peer].recv_whole(messages, select, channel ^ 0x55, choices.len());
                } else {
                    self.models[peer].recv(messages, select);
                }
            }
            14 => {
                self.models[peer].read(messages, choices.below(8), choices.len());
            }
            15 if self.fickle => self.models[peer].stop(messages, choices.below(8)),
            _ => messages.hurry(),
        }
    }

    /// Writes a packet.
    fn fill(&mut self, from: usize, room: usize) {
        if self.under_way.len() >= UNDER_WAY_MAX {
            self.deliver(0, true);
        }
        let mut packet = Packet { from, bytes: vec![0xee; 3], sent: Vec::new(), lost: false };
        self.sides[from].fill(&mut packet.bytes, room, &mut packet.sent);
        packet.bytes.drain(..3); // as inside a packet: frames are appended to what is there
        assert!(packet.bytes.len() <= room, "{} bytes in {room}", packet.bytes.len());
        assert!(!packet.bytes.is_empty() || packet.sent.is_empty());
        if !packet.bytes.is_empty() {
            self.under_way.push(packet);
        }
    }

    /// A packet arrives, and its sender hears of it or not (then it takes it for lost).
    fn deliver(&mut self, nth: usize, heard: bool) {
        if self.under_way.is_empty() {
            return;
        }
        let packet = self.under_way.remove(nth % self.under_way.len());
        for frame in Frames::new(&packet.bytes) {
            let frame = frame.expect("own frames are readable");
            self.sides[1 - packet.from].handle(&frame).expect("own frames break no rule");
        }
        let from = &mut self.sides[packet.from];
        packet.sent.iter().for_each(|sent| match (heard, packet.lost) {
            (true, _) => from.on_acked(sent),
            (false, false) => from.on_lost(sent),
            (false, true) => {}
        });
    }

    /// A packet is taken for lost. It may arrive all the same, later.
    fn lose(&mut self, nth: usize) {
        let count = self.under_way.len().max(1);
        if let Some(packet) = self.under_way.get_mut(nth % count)
            && !core::mem::replace(&mut packet.lost, true)
        {
            packet.sent.iter().for_each(|sent| self.sides[packet.from].on_lost(sent));
        }
        if nth.is_multiple_of(3) && !self.under_way.is_empty() {
            let gone = self.under_way.remove(nth % count);
            debug_assert!(gone.lost, "only what was taken for lost vanishes");
        }
    }

    fn check_limits(&self) {
        for side in &self.sides {
            Model::assert_no_violation(side);
            let (stats, limits) = (side.stats(), side.limits());
            assert!(stats.held <= 2 * limits.credit_connection, "{} credit bytes held", stats.held);
        }
    }

    /// Exchanges packets without loss until nobody has anything to say.
    fn exchange(&mut self) {
        while !self.under_way.is_empty() {
            self.deliver(0, true);
        }
        for _ in 0..100_000 {
            let mut quiet = true;
            for side in 0..2 {
                self.sides[side].hurry();
                self.fill(side, ROOM);
                while !self.under_way.is_empty() {
                    self.deliver(0, true);
                    quiet = false;
                }
            }
            if quiet {
                return;
            }
        }
        panic!("the two never fall silent");
    }

    /// All faults end, everything is written to its end and taken: everything arrives, nothing is left over.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.exchange();
            let mut progress = false;
            for side in 0..2 {
                progress |= self.models[side].finish_all(&mut self.sides[side]);
                progress |= self.models[1 - side].take_all(&mut self.sides[side]);
            }
            if !progress {
                break;
            }
        }
        self.exchange();
        for (side, model) in self.sides.iter().zip(&self.models) {
            model.assert_complete();
            let stats = side.stats();
            assert!(side.flushed(), "{stats:?}");
            assert_eq!((stats.held, stats.queued), (0, 0), "something is left over: {stats:?}");
        }
    }

    /// One side closes: all is taken, so that the close has nothing to wait for, and its report is true.
    fn close(&mut self) {
        self.sides[0].close(Timestamp::ZERO, 3, Duration::from_secs(5));
        self.exchange();
        let report = self.sides[0].close_report().expect("nothing to wait for").clone();
        assert_eq!(report.cut_short, None);
        self.models[0].check_report(&report, true);
        assert!(self.sides.iter().all(|side| side.ended().is_some()) && self.sides[0].closed());
        self.sides[1].close(Timestamp::ZERO, 4, Duration::from_secs(5));
        let report = self.sides[1].close_report().expect("the peer is gone").clone();
        self.models[1].check_report(&report, true);
    }
}
