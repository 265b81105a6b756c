//! What goes in on one side comes out on the other, however the stream is cut.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;

use super::pair::{CALLER, LISTENER, Pair, config, content, ms};
use crate::message::{ArrivalBody, ChannelConfig, Delivery, Limits, Select, State};
use crate::transport::tcp::link::{LinkConfig, OUTPUT_MAX};
use crate::wire::{RECORD_BODY_MAX, RECORD_OVERHEAD};

/// Shakes hands and sends messages both ways, in pieces of at most `piece` bytes, the first of `first`.
fn check_pieces(first: usize, piece: usize, sizes: &[usize]) {
    let mut pair = Pair::new();
    pair.carry(CALLER, first);
    pair.run_in_pieces(piece);
    for side in 0..2 {
        assert!(pair.sides[side].link.messages().state() == State::Open, "cut at {first}, then {piece}");
        for (seed, len) in sizes.iter().enumerate() {
            pair.sides[side].send(content(seed + side, *len));
        }
    }
    pair.carry(CALLER, first);
    pair.run_in_pieces(piece);
    for side in 0..2 {
        for (seed, len) in sizes.iter().enumerate() {
            let body = pair.sides[side].recv_whole();
            assert!(body == Some(content(seed + 1 - side, *len)), "cut at {first}, then {piece}: message {seed}");
        }
        assert!(pair.sides[side].recv().is_none());
    }
}

#[test]
fn messages_arrive_wherever_the_stream_is_cut() {
    let sizes = [5, 0, 40, 1];
    for first in 0..400 {
        check_pieces(first, usize::MAX, &sizes);
    }
    for piece in 1..100 {
        check_pieces(piece, piece, &sizes);
    }
}

#[test]
fn messages_around_the_length_of_a_record_arrive() {
    for len in RECORD_BODY_MAX - 30..RECORD_BODY_MAX + 30 {
        check_pieces(usize::MAX, usize::MAX, &[len, 0, len]);
    }
    check_pieces(65_000, 70_000, &[300_000, 3, 299_999]);
}

#[test]
fn a_message_longer_than_the_credit_goes_as_its_reader_reads() {
    let mut pair = Pair::established();
    let body = content(1, 3_000_000);
    pair.sides[CALLER].send(body.clone());
    pair.run();
    let arrival = pair.sides[LISTENER].recv().unwrap();
    assert_eq!(arrival.body, ArrivalBody::Stream { len: Some(3_000_000) });
    let mut got = Vec::new();
    let mut buf = vec![0; 100_000];
    while got.len() < body.len() {
        let messages = pair.sides[LISTENER].link.messages_mut();
        assert!(messages.stats().held <= 1_000_000);
        let len = messages.read(0, arrival.id, &mut buf).unwrap();
        got.extend_from_slice(&buf[..len]);
        pair.run();
    }
    assert!(got == body);
}

#[test]
fn what_is_not_read_from_us_stays_where_newer_values_can_still_replace_it() {
    let mut pair = Pair::established();
    let urgent = ChannelConfig { priority: 0, ..ChannelConfig::default() };
    let messages = pair.sides[CALLER].link.messages_mut();
    messages.configure(1, ChannelConfig::new(Delivery::Latest)).unwrap();
    messages.configure(2, urgent).unwrap();
    for seed in 0..3 {
        messages.send(0, 0, content(seed, 300_000)).unwrap();
    }
    // The peer does not read: nothing leaves the outgoing buffer.
    for value in 0..1_000_u32 {
        let messages = pair.sides[CALLER].link.messages_mut();
        messages.send(1, 0, Bytes::copy_from_slice(&value.to_be_bytes())).unwrap();
        pair.sides[CALLER].poll(pair.now);
        assert!(pair.sides[CALLER].out.len() < OUTPUT_MAX + RECORD_BODY_MAX + RECORD_OVERHEAD);
    }
    pair.sides[CALLER].link.messages_mut().send(2, 0, content(9, 10)).unwrap();
    // It reads again: what is urgent comes as soon as the outgoing buffer is through, and of the values the newest.
    pair.sides[CALLER].poll(pair.now);
    let waiting = pair.sides[CALLER].out.len();
    pair.carry(CALLER, waiting);
    pair.carry(CALLER, usize::MAX);
    let messages = pair.sides[LISTENER].link.messages_mut();
    assert_eq!(messages.recv(Select::One(2)).unwrap().unwrap().body, ArrivalBody::Whole(content(9, 10)));
    pair.run();
    let messages = pair.sides[LISTENER].link.messages_mut();
    let newest = Bytes::copy_from_slice(&999_u32.to_be_bytes());
    assert_eq!(messages.recv(Select::One(1)).unwrap().unwrap().body, ArrivalBody::Whole(newest));
    assert_eq!(messages.recv(Select::One(1)), Ok(None));
}

#[test]
fn a_peer_that_confirms_nothing_makes_us_hold_no_more_than_a_limit() {
    // Values of one datagram take no credit, so that only the record layer can bound them.
    let mut pair = Pair::established();
    let link = &mut pair.sides[CALLER].link;
    link.messages_mut().configure(0, ChannelConfig::new(Delivery::Latest)).unwrap();
    let (mut out, mut sent) = (Vec::new(), Vec::new());
    for _ in 0..1_000_000 {
        link.messages_mut().send(0, 0, Bytes::from_static(b"value")).unwrap();
        out.clear();
        link.poll_output(pair.now, &mut out, &mut sent);
        if out.is_empty() {
            break;
        }
    }
    assert!(out.is_empty(), "a million records without a word from the peer");
    assert_eq!(link.stats().records_sent, 256 * 1024);
}

#[derive(Clone, Debug)]
enum Step {
    Send { side: usize, channel: u16, len: usize },
    Recv { side: usize },
    Carry { side: usize, len: usize },
    Pass { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let side = 0..2_usize;
    let len = prop_oneof![4 => 0..20_usize, 4 => 0..2_000_usize, 1 => 60_000..140_000_usize];
    prop_oneof![
        3 => (side.clone(), 0..3_u16, len).prop_map(|(side, channel, len)| Step::Send { side, channel, len }),
        3 => side.clone().prop_map(|side| Step::Recv { side }),
        6 => (side, prop_oneof![1..10_usize, 1..100_000_usize]).prop_map(|(side, len)| Step::Carry { side, len }),
        1 => (0..20_u64).prop_map(|ms| Step::Pass { ms }),
    ]
}

proptest! {
    #[test]
    fn every_message_arrives_once_and_in_order_under_any_schedule(steps in proptest::collection::vec(step(), 1..200)) {
        let mut pair = Pair::with(LinkConfig {
            limits: Limits { send_queue: 100_000, ..config().limits },
            ..config()
        });
        pair.run();
        // What each side sent and the other has not received, by channel.
        let mut expected: [[VecDeque<Bytes>; 3]; 2] = Default::default();
        let mut seed = 0;
        let take = |pair: &mut Pair, expected: &mut [[VecDeque<Bytes>; 3]; 2], side: usize| {
            while let Some(arrival) = pair.sides[side].recv() {
                let ArrivalBody::Whole(body) = arrival.body else { panic!("a stream") };
                let next = expected[1 - side][usize::from(arrival.channel)].pop_front();
                assert!(next == Some(body), "another message than the next");
            }
        };
        for step in steps {
            match step {
                Step::Send { side, channel, len } => {
                    seed += 1;
                    let body = content(seed, len);
                    if pair.sides[side].link.messages_mut().send(channel, 0, body.clone()).is_ok() {
                        expected[side][usize::from(channel)].push_back(body);
                    }
                }
                Step::Recv { side } => take(&mut pair, &mut expected, side),
                Step::Carry { side, len } => {
                    pair.carry(side, len);
                }
                Step::Pass { ms: more } => {
                    let now = ms(pair.now.as_micros() / 1_000 + more);
                    for side in &mut pair.sides {
                        side.link.handle_timeout(now);
                    }
                    pair.now = now;
                }
            }
        }
        // Each round sets credit free for the next: 100 messages of 200 KB at the most, in 1 MB of it.
        for _ in 0..100 {
            pair.run();
            (0..2).for_each(|side| take(&mut pair, &mut expected, side));
        }
        prop_assert!(expected.iter().flatten().all(VecDeque::is_empty));
        // Once everything was received both know that it arrived.
        pair.run_to(ms(pair.now.as_micros() / 1_000 + 10));
        for side in &pair.sides {
            prop_assert!(side.link.messages().flushed());
            prop_assert_eq!(side.link.messages().stats().queued, 0);
            prop_assert_eq!(side.link.messages().stats().held, 0);
        }
    }
}
