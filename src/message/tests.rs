//! Two sides joined by an imaginary carrier that loses, delays and reorders what it is told to.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;

mod bounds;
mod close;
mod credit;
mod queue;
mod streams;
mod whole;

use super::*;
use crate::time::Timestamp;
use crate::wire::Frames;

const ROOM: usize = 1_170;

fn limits() -> Limits {
    Limits { message_len_max: 40_000, credit_connection: 200_000, credit_channel: 60_000, send_queue: 100_000 }
}

struct Pair {
    sides: [Messages; 2],
}

/// A packet under way.
struct Flight {
    to: usize,
    bytes: Vec<u8>,
    sent: Vec<Sent>,
}

impl Pair {
    fn new(limits: Limits) -> Self {
        let mut sides = [Messages::new(limits), Messages::new(limits)];
        let params = [0, 1].map(|side: usize| sides[side].params(crate::wire::Params::default()));
        sides[0].establish(&params[1]);
        sides[1].establish(&params[0]);
        Self { sides }
    }

    fn packet(&mut self, from: usize) -> Option<Flight> {
        let mut flight = Flight { to: 1 - from, bytes: Vec::new(), sent: Vec::new() };
        self.sides[from].hurry();
        self.sides[from].fill(&mut flight.bytes, ROOM, &mut flight.sent);
        assert!(flight.bytes.len() <= ROOM);
        (!flight.bytes.is_empty()).then_some(flight)
    }

    fn deliver(&mut self, flight: &Flight) {
        for frame in Frames::new(&flight.bytes) {
            self.sides[flight.to].handle(&frame.unwrap()).unwrap();
        }
    }

    /// Exchanges packets without loss until nobody has anything to say.
    fn run(&mut self) {
        for _ in 0..100_000 {
            let mut quiet = true;
            for from in 0..2 {
                if let Some(flight) = self.packet(from) {
                    self.deliver(&flight);
                    flight.sent.iter().for_each(|sent| self.sides[from].on_acked(sent));
                    quiet = false;
                }
            }
            if quiet {
                return;
            }
        }
        panic!("the pair never falls silent");
    }

    fn recv(&mut self, side: usize) -> Option<(u16, u64, Vec<u8>)> {
        let arrival = self.sides[side].recv(Select::Any).unwrap()?;
        let ArrivalBody::Whole(body) = arrival.body else { panic!("a stream") };
        Some((arrival.channel, arrival.id.0, body.to_vec()))
    }
}

fn content(seed: usize, len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from((at * 7 + seed * 13) % 251).unwrap()).collect()
}

#[test]
fn messages_of_every_size_arrive_in_order() {
    let mut pair = Pair::new(limits());
    let sizes = [0, 1, 255, 256, 1_100, 1_101, 1_170, 5_000, 39_936, 0, 3];
    for (at, len) in sizes.iter().enumerate() {
        pair.sides[0].send(5, 9, content(at, *len)).unwrap();
    }
    // The channel's credit does not cover all of it at once: what is taken makes room.
    let mut got = Vec::new();
    while got.len() < sizes.len() {
        pair.run();
        got.push(pair.recv(1).expect("progress"));
    }
    for (at, (len, (channel, id, body))) in sizes.iter().zip(got).enumerate() {
        assert_eq!((channel, id), (5, at as u64));
        assert!(body == content(at, *len), "message {at}");
    }
    pair.run();
    assert!(pair.sides[0].flushed());
    assert_eq!(pair.sides[0].stats().queued, 0);
    assert_eq!(pair.sides[1].stats().held, 0);
}

#[test]
fn a_message_longer_than_the_whole_limit_comes_as_a_stream_and_is_held_back_by_credit() {
    let mut pair = Pair::new(limits());
    let body = content(1, 90_000);
    pair.sides[0].send(0, 0, body.clone()).unwrap();
    pair.run();
    assert!(pair.sides[1].stats().held <= 60_000);
    let arrival = pair.sides[1].recv(Select::Any).unwrap().unwrap();
    assert_eq!(arrival.body, ArrivalBody::Stream { len: Some(90_000) });
    let mut got = Vec::new();
    let mut buf = [0; 10_000];
    loop {
        match pair.sides[1].read(0, arrival.id, &mut buf) {
            Ok(0) => break,
            Ok(len) => got.extend_from_slice(&buf[..len]),
            Err(ReadError::WouldBlock) => pair.run(),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(got == body);
    assert_eq!(pair.sides[1].read(0, arrival.id, &mut buf), Err(ReadError::Unknown));
    pair.run();
    assert_eq!(pair.sides[1].stats().held, 0);
}

#[test]
fn a_full_channel_does_not_hold_up_another() {
    let mut pair = Pair::new(limits());
    for at in 0..2 {
        pair.sides[0].send(1, 0, content(at, 30_000)).unwrap();
    }
    pair.sides[0].send(1, 0, content(2, 30_000)).unwrap();
    for at in 0..50 {
        pair.run();
        pair.sides[0].send(2, 0, content(at, 1_000)).unwrap();
        pair.run();
        let arrival = pair.sides[1].recv(Select::One(2)).unwrap().unwrap();
        assert_eq!(arrival.id, MessageId(at as u64));
    }
    assert!(pair.sides[1].readable(Select::Any));
}

#[test]
fn of_a_latest_channel_only_the_newest_is_given_and_at_most_two_are_held() {
    let mut pair = Pair::new(limits());
    pair.sides[0].configure(0, ChannelConfig::new(Delivery::Latest)).unwrap();
    // A long value that has begun is completed, those in between are dropped.
    pair.sides[0].send(0, 0, content(0, 10_000)).unwrap();
    let first = pair.packet(0).unwrap();
    for at in 1..100 {
        pair.sides[0].send(0, 0, content(at, 10_000)).unwrap();
        assert!(pair.sides[0].stats().queued <= 20_000 + 2 * MESSAGE_COST);
    }
    pair.deliver(&first);
    first.sent.iter().for_each(|sent| pair.sides[0].on_acked(sent));
    pair.run();
    assert_eq!(pair.recv(1), Some((0, 99, content(99, 10_000).to_vec())));
    assert_eq!(pair.recv(1), None);
    pair.run();
    assert_eq!(pair.sides[0].stats().superseded_sending, 98);
    assert_eq!(pair.sides[1].stats().superseded_unread, 1);
    assert_eq!(pair.sides[1].stats().held, 0);
    assert_eq!(pair.sides[0].stats().queued, 0);
}

#[test]
fn a_short_value_lost_on_the_way_is_not_repaired_once_a_newer_one_exists() {
    let mut pair = Pair::new(limits());
    pair.sides[0].configure(0, ChannelConfig::new(Delivery::Latest)).unwrap();
    pair.sides[0].send(0, 0, content(0, 100)).unwrap();
    let lost = pair.packet(0).unwrap();
    pair.sides[0].send(0, 0, content(1, 100)).unwrap();
    lost.sent.iter().for_each(|sent| pair.sides[0].on_lost(sent));
    pair.run();
    assert_eq!(pair.recv(1), Some((0, 1, content(1, 100).to_vec())));
    assert_eq!(pair.recv(1), None);
}

#[test]
fn unreliable_messages_end_at_one_datagram_and_the_newest_are_kept() {
    let mut pair = Pair::new(limits());
    pair.sides[0].configure(0, ChannelConfig::new(Delivery::Unreliable)).unwrap();
    assert_eq!(pair.sides[0].send(0, 0, content(0, 1_101)), Err(SendError::TooLarge { len: 1_101, max: 1_100 }));
    for at in 0..UNRELIABLE_UNREAD_MAX + 10 {
        pair.sides[0].send(0, 0, content(at, if at % 2 == 0 { 1_100 } else { 0 })).unwrap();
        pair.run();
    }
    assert_eq!(pair.recv(1).unwrap().1, 10);
    assert_eq!(core::iter::from_fn(|| pair.recv(1)).count(), UNRELIABLE_UNREAD_MAX - 1);
    assert_eq!(pair.sides[1].stats().superseded_unread, 10);
    assert_eq!(pair.sides[0].stats().queued, 0);
}

#[test]
fn a_dropped_writer_does_not_block_an_ordered_channel() {
    let mut pair = Pair::new(limits());
    let first = pair.sides[0].begin(0, 0, Some(30_000)).unwrap();
    pair.sides[0].write(0, first, &content(0, 20_000)).unwrap();
    pair.sides[0].send(0, 0, content(1, 10)).unwrap();
    pair.run();
    assert_eq!(pair.recv(1), None);
    pair.sides[0].reset(0, first, 7);
    pair.run();
    assert_eq!(pair.recv(1), Some((0, 1, content(1, 10).to_vec())));
    pair.run();
    assert_eq!(pair.sides[1].stats().held, 0);
    assert_eq!(pair.sides[0].stats().queued, 0);
    // What was reserved is settled: the same again, many times over, finds credit.
    for _ in 0..20 {
        let next = pair.sides[0].begin(0, 0, Some(30_000)).unwrap();
        pair.sides[0].write(0, next, &content(0, 1_000)).unwrap();
        pair.run();
        pair.sides[0].reset(0, next, 7);
        pair.run();
    }
    pair.sides[0].send(0, 0, content(2, 39_000)).unwrap();
    pair.run();
    assert_eq!(pair.recv(1).unwrap().2.len(), 39_000);
}

#[test]
fn a_reader_that_stops_frees_the_channel_and_tells_the_writer() {
    let mut pair = Pair::new(limits());
    let id = pair.sides[0].begin(0, 0, None).unwrap();
    pair.sides[0].write(0, id, &content(0, 50_000)).unwrap();
    pair.run();
    let arrival = pair.sides[1].recv(Select::Any).unwrap().unwrap();
    assert_eq!(arrival.body, ArrivalBody::Stream { len: None });
    pair.sides[1].stop(0, arrival.id, 3);
    pair.run();
    assert!(pair.sides[0].stream_writable(0, id));
    assert_eq!(pair.sides[0].write(0, id, b"more"), Err(WriteError::Stopped { code: 3 }));
    pair.sides[0].reset(0, id, 0);
    assert_eq!(pair.sides[0].write(0, id, b"more"), Err(WriteError::Unknown), "once the writer is gone");
    assert_eq!(pair.sides[1].stats().held, 0);
    pair.sides[0].send(0, 0, content(1, 39_000)).unwrap();
    pair.run();
    assert_eq!(pair.recv(1), Some((0, 1, content(1, 39_000).to_vec())));
}

#[test]
fn a_close_does_not_wait_for_a_message_that_arrived_whole_and_was_then_stopped() {
    let mut pair = Pair::new(limits());
    let id = pair.sides[0].begin(0, 0, None).unwrap();
    pair.sides[0].write(0, id, b"all of it, in two chunks").unwrap();
    pair.run();
    pair.sides[0].finish_message(0, id).unwrap();
    pair.run();
    assert!(pair.sides[0].flushed());
    let arrival = pair.sides[1].recv(Select::Any).unwrap().unwrap();
    pair.sides[1].stop(0, arrival.id, 3);
    pair.sides[0].close(Timestamp::ZERO, 0, Duration::from_secs(5));
    pair.run();
    assert!(pair.sides[0].closed());
    assert_eq!(pair.sides[0].close_report().unwrap().channels[0].taken, 0);
}

#[test]
fn a_stream_shorter_than_a_piece_goes_on_when_its_beginning_has_arrived() {
    let mut pair = Pair::new(Limits { send_queue: 4_096, ..limits() });
    let id = pair.sides[0].begin(0, 0, None).unwrap();
    for _ in 0..10 {
        assert!(pair.sides[0].write(0, id, &content(0, 10_000)).unwrap() > 0);
        pair.run();
        let arrival = pair.sides[1].recv(Select::Any).unwrap().map_or(id, |arrival| arrival.id);
        assert!(pair.sides[1].read(0, arrival, &mut [0; 10_000]).unwrap() > 0);
        pair.run();
    }
}

#[test]
fn streams_that_were_begun_leave_room_to_write_one() {
    let mut pair = Pair::new(Limits { send_queue: 4_096, ..limits() });
    let begun: Vec<_> = core::iter::from_fn(|| pair.sides[0].begin(0, 0, None).ok()).collect();
    assert!(begun.len() > 10);
    assert!(pair.sides[0].write(0, begun[0], b"some").unwrap() > 0);
}

#[test]
fn a_reset_that_is_repeated_says_the_same_as_before() {
    let mut pair = Pair::new(limits());
    let id = pair.sides[0].begin(0, 0, Some(1_000)).unwrap();
    pair.sides[0].reset(0, id, 1);
    let first = pair.packet(0).unwrap();
    first.sent.iter().for_each(|sent| pair.sides[0].on_lost(sent));
    let second = pair.packet(0).unwrap();
    assert_eq!(first.bytes, second.bytes);
}

#[test]
fn of_a_latest_channel_the_report_misses_the_newest_only() {
    let mut pair = Pair::new(limits());
    pair.sides[0].configure(0, ChannelConfig::new(Delivery::Latest)).unwrap();
    pair.sides[0].send(0, 0, content(0, 10)).unwrap();
    pair.run();
    pair.sides[0].send(0, 0, content(1, 3_000)).unwrap();
    assert!(pair.packet(0).is_some(), "a long value begins, and is not superseded then");
    let newest = pair.sides[0].send(0, 0, content(2, 10)).unwrap();
    pair.sides[0].abort(0);
    let report = &pair.sides[0].close_report().unwrap().channels[0];
    assert_eq!((report.arrived_unread, report.first_unread), (0, None));
    assert_eq!((report.not_arrived, report.first_missing), (1, Some(newest)));
}

#[test]
fn a_stream_that_its_sender_gives_up_tells_the_reader() {
    let mut pair = Pair::new(limits());
    let id = pair.sides[0].begin(0, 0, None).unwrap();
    pair.sides[0].write(0, id, b"begin").unwrap();
    pair.run();
    let arrival = pair.sides[1].recv(Select::Any).unwrap().unwrap();
    pair.sides[0].reset(0, id, 12);
    pair.run();
    assert_eq!(pair.sides[1].read(0, arrival.id, &mut [0; 10]), Err(ReadError::Reset { code: 12 }));
    assert_eq!(pair.sides[1].stats().held, 0);
}

#[test]
fn a_close_waits_until_all_is_taken_and_says_so() {
    let mut pair = Pair::new(limits());
    let now = Timestamp::ZERO;
    pair.sides[0].send(0, 0, content(0, 10)).unwrap();
    pair.sides[0].close(now, 4, Duration::from_secs(5));
    assert_eq!(pair.sides[0].send(0, 0, content(0, 10)), Err(SendError::Closing));
    pair.run();
    assert_eq!(pair.sides[0].close_report(), None);
    assert!(pair.recv(1).is_some());
    pair.run();
    let report = pair.sides[0].close_report().unwrap();
    assert!(report.all_taken());
    assert_eq!(report.channels[0].taken, 1);
    assert!(pair.sides[0].closed());
    assert_eq!(pair.sides[1].recv(Select::Any), Err(End::ClosedByPeer { code: 4 }));
    assert_eq!(pair.sides[0].recv(Select::Any), Err(End::Closed { code: 4 }));
}

#[test]
fn a_close_whose_linger_ends_reports_what_was_left_and_the_peer_still_gets_what_arrived() {
    let mut pair = Pair::new(limits());
    for at in 0..3 {
        pair.sides[0].send(0, 0, content(at, 10)).unwrap();
    }
    pair.run();
    pair.recv(1).unwrap();
    pair.run();
    pair.sides[0].send(1, 0, content(9, 10)).unwrap();
    pair.sides[0].close(Timestamp::ZERO, 0, Duration::from_secs(1));
    assert_eq!(pair.sides[0].deadline(), Some(Timestamp::ZERO + Duration::from_secs(1)));
    pair.sides[0].handle_timeout(Timestamp::ZERO + Duration::from_secs(1));
    let report = pair.sides[0].close_report().unwrap().clone();
    assert!(!report.all_taken());
    let first = &report.channels[0];
    assert_eq!((first.taken, first.arrived_unread, first.not_arrived), (1, 2, 0));
    assert_eq!(first.first_unread, Some(MessageId(1)));
    assert_eq!((report.channels[1].not_arrived, report.channels[1].first_missing), (1, Some(MessageId(0))));
    pair.run();
    assert!(pair.recv(1).is_some());
    assert!(pair.recv(1).is_some());
    assert_eq!(pair.sides[1].recv(Select::Any), Err(End::ClosedByPeer { code: 0 }));
}

#[test]
fn a_close_whose_peer_closes_meanwhile_ends_at_once() {
    let mut pair = Pair::new(limits());
    pair.sides[0].send(0, 0, content(0, 10)).unwrap();
    pair.sides[0].close(Timestamp::ZERO, 0, Duration::from_secs(5));
    pair.sides[1].abort(8);
    pair.run();
    let report = pair.sides[0].close_report().unwrap();
    assert_eq!(report.cut_short, Some(End::AbortedByPeer { code: 8 }));
    assert!(!report.all_taken());
    assert!(pair.sides[0].closed() && pair.sides[1].closed());
}

#[test]
fn a_peer_that_exceeds_its_credit_breaks_the_protocol() {
    let mut side = Messages::new(limits());
    side.establish(&crate::wire::Params::default());
    let body = vec![0; 10_000];
    let mut told = None;
    for message in 0..10 {
        let start = Some(crate::wire::MessageStart { delivery: Delivery::Ordered, tag: 0, len: Some(10_000) });
        let data = crate::wire::Data { channel: 0, message, offset: 0, start, fin: true, payload: &body };
        if let Err(violation) = side.handle(&crate::wire::Frame::Data(data)) {
            told = Some((message, violation));
            break;
        }
    }
    // 60,000 credit bytes take five messages of 10,064, not six.
    assert_eq!(told, Some((5, Violation::Credit)));
}

#[test]
fn empty_messages_are_bounded_too() {
    let mut pair = Pair::new(limits());
    let mut accepted = 0;
    for _ in 0..100_000 {
        match pair.sides[0].send(0, 0, Bytes::new()) {
            Ok(_) => accepted += 1,
            Err(SendError::WouldBlock) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(accepted, 75_000 / MESSAGE_COST + 1, "what a channel alone may hold");
    pair.run();
    assert!(pair.sides[1].stats().held <= 60_000);
}

/// What a random run does at a step.
#[derive(Clone, Debug)]
enum Op {
    Send {
        side: usize,
        channel: u16,
        len: usize,
    },
    Recv {
        side: usize,
        one: Option<u16>,
    },
    Packet {
        side: usize,
    },
    /// The nth packet under way arrives; `acked` is heard by its sender, else it takes it for lost.
    Arrive {
        nth: usize,
        acked: bool,
    },
    Lose {
        nth: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let len = prop_oneof![Just(0), Just(1), 0..300usize, 1_000..1_200usize, 0..20_000usize, 60_000..70_000usize];
    prop_oneof![
        3 => (0..2usize, 0..4u16, len).prop_map(|(side, channel, len)| Op::Send { side, channel, len }),
        3 => (0..2usize, prop::option::of(0..4u16)).prop_map(|(side, one)| Op::Recv { side, one }),
        6 => (0..2usize).prop_map(|side| Op::Packet { side }),
        5 => (any::<prop::sample::Index>(), prop::bool::weighted(0.8))
            .prop_map(|(nth, acked)| Op::Arrive { nth: nth.index(64), acked }),
        2 => any::<prop::sample::Index>().prop_map(|nth| Op::Lose { nth: nth.index(64) }),
    ]
}

const MODES: [Delivery; 4] = [Delivery::Ordered, Delivery::Unordered, Delivery::Latest, Delivery::Unreliable];

/// What the model knows of one direction.
#[derive(Default)]
struct Model {
    sent: BTreeMap<(u16, u64), Bytes>,
    got: BTreeMap<u16, Vec<u64>>,
}

impl Model {
    fn on_received(&mut self, channel: u16, id: u64, body: &[u8]) {
        let sent = self.sent.get(&(channel, id)).expect("a message that was never sent");
        assert!(sent == body, "channel {channel} message {id}: wrong bytes");
        let got = self.got.entry(channel).or_default();
        match MODES[usize::from(channel)] {
            Delivery::Ordered => assert_eq!(got.len() as u64, id, "out of order"),
            Delivery::Unordered => assert!(!got.contains(&id), "twice"),
            Delivery::Latest => assert!(got.last().is_none_or(|last| *last < id), "backwards"),
            Delivery::Unreliable => assert!(!got.contains(&id), "twice"),
        }
        got.push(id);
    }

    fn check_complete(&self) {
        for channel in 0..4u16 {
            let sent: Vec<u64> = self.sent.keys().filter(|key| key.0 == channel).map(|key| key.1).collect();
            let mut got = self.got.get(&channel).cloned().unwrap_or_default();
            got.sort_unstable();
            match MODES[usize::from(channel)] {
                Delivery::Ordered | Delivery::Unordered => assert_eq!(got, sent, "channel {channel}"),
                Delivery::Latest => assert_eq!(got.last(), sent.last(), "the newest arrives"),
                Delivery::Unreliable => assert!(got.len() <= sent.len()),
            }
        }
    }
}

fn receive(pair: &mut Pair, models: &mut [Model; 2], side: usize, select: Select) -> bool {
    let Some(arrival) = pair.sides[side].recv(select).unwrap() else { return false };
    let body = match arrival.body {
        ArrivalBody::Whole(bytes) => bytes.to_vec(),
        ArrivalBody::Stream { .. } => {
            let mut all = Vec::new();
            let mut buf = [0; 4096];
            loop {
                match pair.sides[side].read(arrival.channel, arrival.id, &mut buf) {
                    Ok(0) => break all,
                    Ok(len) => all.extend_from_slice(&buf[..len]),
                    // The rest is read when it is there: here the carrier is made perfect until then.
                    Err(ReadError::WouldBlock) => pair.run(),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    models[1 - side].on_received(arrival.channel, arrival.id.0, &body);
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever is lost, late or taken for lost: reliable messages come exactly once and whole, in order where
    /// promised; nothing is invented; in the end nothing is left over.
    #[test]
    fn any_carrier_any_workload(ops in proptest::collection::vec(op(), 0..250)) {
        let mut pair = Pair::new(limits());
        for side in 0..2 {
            for (channel, mode) in MODES.iter().enumerate() {
                pair.sides[side].configure(u16::try_from(channel).unwrap(), ChannelConfig::new(*mode)).unwrap();
            }
        }
        let mut models = [Model::default(), Model::default()];
        let mut under_way: VecDeque<Flight> = VecDeque::new();
        let mut count = 0;
        for op in ops {
            match op {
                Op::Send { side, channel, len } => {
                    count += 1;
                    let body = content(count, len);
                    if let Ok(id) = pair.sides[side].send(channel, 0, body.clone()) {
                        models[side].sent.insert((channel, id.0), body);
                    }
                }
                Op::Recv { side, one } => {
                    // A stream would need its packets: only what is under way nowhere can be waited for.
                    if under_way.is_empty() {
                        receive(&mut pair, &mut models, side, one.map_or(Select::Any, Select::One));
                    }
                }
                Op::Packet { side } => under_way.extend(pair.packet(side)),
                Op::Arrive { nth, acked } if !under_way.is_empty() => {
                    let flight = under_way.remove(nth % under_way.len()).unwrap();
                    pair.deliver(&flight);
                    let from = &mut pair.sides[1 - flight.to];
                    flight.sent.iter().for_each(|sent| if acked { from.on_acked(sent) } else { from.on_lost(sent) });
                }
                Op::Lose { nth } if !under_way.is_empty() => {
                    let flight = under_way.remove(nth % under_way.len()).unwrap();
                    flight.sent.iter().for_each(|sent| pair.sides[1 - flight.to].on_lost(sent));
                }
                Op::Arrive { .. } | Op::Lose { .. } => {}
            }
            for side in &pair.sides {
                prop_assert!(side.stats().held <= 2 * limits().credit_connection);
            }
        }
        for flight in under_way {
            flight.sent.iter().for_each(|sent| pair.sides[1 - flight.to].on_lost(sent));
        }
        for _ in 0..10_000 {
            pair.run();
            let mut any = false;
            for side in 0..2 {
                for channel in 0..4 {
                    any |= receive(&mut pair, &mut models, side, Select::One(channel));
                }
            }
            if !any {
                break;
            }
        }
        for (side, model) in models.iter().enumerate() {
            model.check_complete();
            prop_assert!(pair.sides[side].flushed());
            prop_assert_eq!(pair.sides[side].stats().held, 0, "credit leaked");
            prop_assert_eq!(pair.sides[side].stats().queued, 0, "queue leaked");
        }
    }
}
