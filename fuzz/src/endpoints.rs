//! Two endpoints over a network that the input commands, in virtual time, against a model. When the faults end,
//! everything arrives.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use udpair::message::{ChannelConfig, Limits, Messages, Select};
use udpair::proto::{Answer, Config, Drained, Ecn, Endpoint, Output, PathLimits};
use udpair::slots::ConnectionId;
use udpair::time::Timestamp;

use super::choices::Choices;
use super::model::{MODES, Model};

/// Outputs in a row after which an endpoint is taken to be spinning.
const OUTPUTS_MAX: usize = 20_000;
/// Datagrams in the air; beyond it they are lost, as in a full queue.
const AIR_MAX: usize = 256;
const DELAY: Duration = Duration::from_micros(100);

struct World {
    hosts: [Endpoint; 2],
    ids: [ConnectionId; 2],
    models: [Model; 2],
    now: Timestamp,
    /// What is in the air, by time of arrival and order of sending.
    air: BTreeMap<(Timestamp, u64), (usize, Vec<u8>)>,
    sent: u64,
    path_mtu: usize,
    buf: Vec<u8>,
}

/// A run.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut world = World::connected(&mut choices);
    while !choices.is_empty() {
        world.step(&mut choices);
        world.pump();
    }
    world.settle();
    world.close();
}

fn address(host: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, if host == 0 { 1 } else { 2 }], 4_000))
}

impl World {
    fn connected(choices: &mut Choices<'_>) -> Self {
        let credit_channel = 8_192 + 4_096 * choices.below(8) as u64;
        let limits = Limits {
            credit_channel,
            credit_connection: credit_channel * (1 + choices.below(4)) as u64,
            message_len_max: 64 * choices.below(256) as u64,
            send_queue: 1_000 * (1 + choices.below(64)) as u64,
        };
        let receive_buffer = [0, 20_000, 212_992, 4 << 20][choices.below(4)];
        let config = Config { limits, idle_timeout: Duration::ZERO, receive_buffer, ..Config::default() };
        let mut hosts = [[1; 32], [2; 32]].map(|seed| Endpoint::new(config.clone(), seed));
        let now = Timestamp::from_nanos(1_000_000_000);
        let path_mtu = [1_200, 1_400, 1_472, 9_000, 65_507][choices.below(5)];
        let client = hosts[0].connect(now, address(1), PathLimits::unlimited(address(1))).expect("room");
        let (models, air, buf) = (Default::default(), BTreeMap::new(), Vec::new());
        let mut world = Self { hosts, ids: [client; 2], models, now, air, sent: 0, path_mtu, buf };
        world.run_until(|world| {
            let incoming = world.hosts[1].incoming();
            world.ids[1] = incoming.unwrap_or(client);
            incoming.is_some()
        });
        world.hosts[1].answer(world.now, world.ids[1], Answer::Accept);
        for side in 0..2 {
            for (channel, mode) in (0..).zip(MODES) {
                let config = ChannelConfig { delivery: mode, priority: u8::try_from(channel % 3).unwrap_or(0) };
                world.parts(side).1.configure(channel, config).expect("nothing was sent");
            }
        }
        world
    }

    /// The model of what a side sends, its messages, and the model of what it receives.
    fn parts(&mut self, side: usize) -> (&mut Model, &mut Messages, &mut Model) {
        let messages = self.hosts[side].messages_mut(self.ids[side]).expect("held");
        let [first, second] = &mut self.models;
        if side == 0 { (first, messages, second) } else { (second, messages, first) }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let op = choices.byte();
        let side = usize::from(op & 1);
        let channel = u16::try_from(choices.below(MODES.len())).unwrap_or(0);
        let (sending, messages, receiving) = self.parts(side);
        match op >> 1 & 15 {
            0 | 1 => sending.send(messages, channel, choices.len()),
            2 => sending.begin(messages, channel, choices.flip().then(|| choices.len() as u64)),
            3 => sending.write(messages, choices.below(8), choices.len()),
            4 => sending.finish(messages, choices.below(8)),
            5 if choices.flip() => sending.reset(messages, channel, choices.below(4), choices.flip()),
            6 => {
                receiving.recv(messages, if choices.flip() { Select::Any } else { Select::One(channel) });
            }
            7 if choices.below(4) == 0 => receiving.stop(messages, choices.below(8)),
            7 => {
                receiving.read(messages, choices.below(8), choices.len());
            }
            8 => self.arrive(choices.below(AIR_MAX), |_| {}),
            9 | 10 => self.arrive_all(),
            11 => drop(self.take(choices.below(AIR_MAX))),
            12 => self.duplicate(choices.below(AIR_MAX)),
            13 => {
                let (at, bit) = (usize::from(choices.u16()), choices.below(8));
                self.arrive(choices.below(AIR_MAX), |bytes| {
                    let at = at % bytes.len();
                    bytes[at] ^= 1 << bit;
                });
            }
            14 => self.hosts[side].handle_wait(),
            _ => {
                let exponent = u32::try_from(choices.below(6)).unwrap_or(0);
                self.now += Duration::from_micros(10u64.pow(exponent) * (1 + choices.below(9)) as u64);
            }
        }
    }

    fn take(&mut self, nth: usize) -> Option<(usize, Vec<u8>)> {
        let key = *self.air.keys().nth(nth % self.air.len().max(1))?;
        self.air.remove(&key)
    }

    fn duplicate(&mut self, nth: usize) {
        if let Some((from, bytes)) = self.take(nth) {
            self.throw(from, bytes.clone());
            self.throw(from, bytes);
        }
    }

    /// One datagram arrives, whatever stands before it.
    fn arrive(&mut self, nth: usize, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some((from, mut bytes)) = self.take(nth) {
            change(&mut bytes);
            self.hand_over(from, &bytes);
            self.hosts[1 - from].handle_batch_end(Drained::ByWaiter);
        }
    }

    fn arrive_all(&mut self) {
        for (from, bytes) in core::mem::take(&mut self.air).into_values() {
            self.hand_over(from, &bytes);
        }
        for host in &mut self.hosts {
            host.handle_batch_end(Drained::ByWaiter);
        }
    }

    fn hand_over(&mut self, from: usize, bytes: &[u8]) {
        if bytes.len() <= self.path_mtu {
            self.hosts[1 - from].handle_datagram(self.now, address(from), Some(Ecn::Ect0), &mut bytes.to_vec());
        }
    }

    fn throw(&mut self, from: usize, bytes: Vec<u8>) {
        if self.air.len() < AIR_MAX {
            self.sent += 1;
            self.air.insert((self.now + DELAY, self.sent), (from, bytes));
        }
    }

    /// Takes everything out that the endpoints have to say. The first time for which one waits.
    fn pump(&mut self) -> Option<Timestamp> {
        let mut first: Option<Timestamp> = None;
        let mut buf = core::mem::take(&mut self.buf);
        for host in 0..2 {
            for count in 0.. {
                assert!(count < OUTPUTS_MAX, "the endpoint never comes to rest");
                match self.hosts[host].poll_output(self.now, &mut buf) {
                    Output::Transmit(transmit) => {
                        let segment = transmit.segment.unwrap_or(transmit.len).max(1);
                        buf.chunks(segment).for_each(|datagram| self.throw(host, datagram.to_vec()));
                    }
                    Output::Changed(_) | Output::Incoming => {}
                    Output::Wait(Some(at)) if at <= self.now => self.hosts[host].handle_timeout(self.now),
                    Output::Wait(wait) => {
                        first = first.into_iter().chain(wait).min();
                        break;
                    }
                }
            }
        }
        self.buf = buf;
        for side in 0..2 {
            if let Some(messages) = self.hosts[side].messages(self.ids[side]) {
                Model::assert_no_violation(messages);
                assert!(messages.stats().held <= 2 * messages.limits().credit_connection);
            }
        }
        first
    }

    /// Lets the network do its duty until `done`, or until nothing is left to happen. False when it gives up.
    fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        for _ in 0..200_000 {
            let wait = self.pump();
            if done(self) {
                return true;
            }
            let arrival = self.air.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = wait.into_iter().chain(arrival).min() else { return false };
            // What is left is a search for a longer path MTU, ten minutes from now.
            if arrival.is_none() && next.saturating_since(self.now) > Duration::from_secs(60) {
                return false;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.air.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (from, bytes) = entry.remove();
                self.hand_over(from, &bytes);
            }
            for host in &mut self.hosts {
                host.handle_batch_end(Drained::ByWaiter);
                host.handle_wait();
            }
        }
        panic!("the world never falls silent");
    }

    /// The faults are over: everything is written to its end and taken, and everything arrives.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.run_until(|_| false);
            let mut progress = false;
            for side in 0..2 {
                let (sending, messages, receiving) = self.parts(side);
                progress |= sending.finish_all(messages);
                progress |= receiving.take_all(messages);
            }
            if !progress {
                break;
            }
        }
        for side in 0..2 {
            let (sending, messages, _) = self.parts(side);
            sending.assert_complete();
            let stats = messages.stats();
            assert!(messages.flushed(), "{stats:?}");
            assert_eq!((stats.held, stats.queued), (0, 0), "something is left over: {stats:?}");
            assert_eq!(messages.ended(), None);
        }
    }

    fn close(&mut self) {
        let now = self.now;
        self.parts(0).1.close(now, 3, Duration::from_secs(5));
        let closed = self.run_until(|world| world.parts(0).1.closed());
        assert!(closed && self.now.saturating_since(now) < Duration::from_secs(5), "nothing to wait for");
        let report = self.parts(0).1.close_report().expect("closed").clone();
        assert_eq!(report.cut_short, None);
        self.models[0].check_report(&report, true);
        assert!(self.parts(1).1.ended().is_some());
        for side in 0..2 {
            self.hosts[side].release(self.now, self.ids[side]);
        }
        self.run_until(|_| false);
        assert!(self.hosts.iter().all(Endpoint::is_empty), "a connection that is over is forgotten");
    }
}
