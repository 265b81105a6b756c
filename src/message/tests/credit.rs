//! What credit must never do: drift apart, run dry for good, or fail to bound what a peer makes us hold.

use super::*;

#[test]
fn a_reset_of_a_message_never_begun_costs_the_same_when_it_is_repeated() {
    let mut pair = Pair::new(limits());
    let id = pair.sides[0].begin(0, 0, Some(30_000)).unwrap();
    pair.sides[0].reset(0, id, 7);
    let lost = pair.packet(0).unwrap();
    lost.sent.iter().for_each(|sent| pair.sides[0].on_lost(sent));
    pair.run();
    // Were the two sides of different minds about the credit, one of them would find it exceeded.
    for at in 0..3 {
        pair.sides[0].send(0, 0, content(at, 30_000)).unwrap();
    }
    pair.run();
    assert!(pair.recv(1).is_some());
}

#[test]
fn what_nobody_reads_holds_up_no_channel_of_priority_0() {
    let mut pair = Pair::new(Limits { send_queue: 1_000_000, ..limits() });
    let urgent = ChannelConfig { priority: 0, ..ChannelConfig::default() };
    pair.sides[0].configure(9, urgent).unwrap();
    // More than the connection's credit, whole and in pieces, and all of it stays unread.
    for channel in 0..8 {
        if channel % 2 == 0 {
            pair.sides[0].configure(channel, ChannelConfig::new(Delivery::Latest)).unwrap();
        }
        let stream = if channel % 2 == 0 { None } else { Some(pair.sides[0].begin(channel, 0, None).unwrap()) };
        for at in 0..4 {
            match stream {
                Some(id) => _ = pair.sides[0].write(channel, id, &content(at, 20_000)),
                None => _ = pair.sides[0].send(channel, 0, content(at, 20_000)),
            }
            pair.run();
        }
    }
    // What is kept: (200,000 - 60,000) / 16 = 8,750.
    for at in 0..8 {
        pair.sides[0].send(9, 0, content(at, 800)).unwrap();
        pair.run();
        let arrival = pair.sides[1].recv(Select::One(9)).unwrap();
        assert!(arrival.is_some(), "message {at} waits for credit that the others hold");
    }
    // That is all: it is not announced anew before an eighth of the connection's is free.
    pair.sides[0].send(9, 0, content(8, 2_000)).unwrap();
    pair.run();
    assert_eq!(pair.sides[1].recv(Select::One(9)).unwrap().map(|_| ()), None);
}

/// Writes `rounds` values of 20,000 bytes to each of `channels`, of which nobody reads any.
fn write_values(pair: &mut Pair, channels: u16, rounds: usize) {
    for channel in 0..channels {
        pair.sides[0].configure(channel, ChannelConfig::new(Delivery::Latest)).unwrap();
    }
    for round in 0..rounds {
        for channel in 0..channels {
            pair.sides[0].send(channel, 0, content(round, 20_000)).unwrap();
            pair.run();
        }
    }
}

#[test]
fn a_late_reader_gets_the_newest_of_far_more_values_than_the_credit_covers() {
    let mut pair = Pair::new(Limits { send_queue: 1_000_000, ..limits() });
    // Of the connection's 200,000 bytes of credit they would take 300,000; as much as it stands on the shelf.
    write_values(&mut pair, 15, 10);
    let held = pair.sides[1].stats().held;
    assert!((300_000..=400_000).contains(&held), "{held}");
    for channel in 0..15 {
        let arrival = pair.sides[1].recv(Select::One(channel)).unwrap();
        assert_eq!(arrival.map(|arrival| arrival.body), Some(ArrivalBody::Whole(content(9, 20_000))), "{channel}");
    }
    pair.run();
    assert_eq!((pair.sides[1].stats().held, pair.sides[0].flushed()), (0, true));
}

#[test]
fn values_that_nobody_reads_are_bounded_whatever_the_peer_sends() {
    let mut pair = Pair::new(Limits { send_queue: 10_000_000, ..limits() });
    write_values(&mut pair, 60, 3);
    assert!(pair.sides[1].stats().held <= 400_000);
    // Reading lets the rest come: nothing is stuck for good.
    for _ in 0..60 {
        for channel in 0..60 {
            let _older = pair.sides[1].recv(Select::One(channel)).unwrap();
            pair.run();
        }
    }
    assert_eq!((pair.sides[1].stats().held, pair.sides[0].flushed()), (0, true));
}

/// Reads a stream as far as it goes.
fn read(pair: &mut Pair, side: usize, channel: u16, id: MessageId) -> usize {
    let mut buf = [0; 4096];
    let mut len = 0;
    while let Ok(read @ 1..) = pair.sides[side].read(channel, id, &mut buf) {
        len += read;
    }
    len
}

#[test]
fn a_stream_on_an_ordered_channel_is_not_starved_by_the_messages_behind_it() {
    let mut pair = Pair::new(limits());
    let stream = pair.sides[0].begin(0, 0, None).unwrap();
    pair.sides[0].write(0, stream, &[1; 100]).unwrap();
    pair.run();
    // More than the channel's credit; none of it can be handed over before the stream has ended.
    for at in 0..8 {
        pair.sides[0].send(0, 0, content(at, 9_000)).unwrap();
    }
    pair.run();
    let arrival = pair.sides[1].recv(Select::Any).unwrap().unwrap();
    let mut got = read(&mut pair, 1, 0, arrival.id);
    for _ in 0..100 {
        pair.sides[0].write(0, stream, &[1; 1_000]).unwrap();
        pair.run();
        got += read(&mut pair, 1, 0, arrival.id);
    }
    assert_eq!(got, 100_100);
    pair.sides[0].finish_message(0, stream).unwrap();
    pair.run();
    assert_eq!(pair.sides[1].read(0, arrival.id, &mut [0; 9]), Ok(0));
    for at in 0..8 {
        pair.run();
        assert_eq!(pair.recv(1).expect("its turn").2, content(at, 9_000));
    }
}

#[test]
fn a_reset_is_not_kept_waiting_by_the_stream_behind_it() {
    let mut pair = Pair::new(limits());
    let given_up = pair.sides[0].begin(0, 0, None).unwrap();
    pair.sides[0].send(0, 0, content(0, 90_000)).unwrap();
    pair.sides[0].reset(0, given_up, 5);
    pair.run();
    let arrival = pair.sides[1].recv(Select::Any).unwrap().expect("what is behind it has its turn");
    assert_eq!(arrival.id, MessageId(1));
}

#[test]
fn a_reset_of_what_was_lost_is_not_kept_waiting_either() {
    let mut pair = Pair::new(limits());
    let first = pair.sides[0].send(0, 0, content(0, 1_000)).unwrap();
    let lost = pair.packet(0).unwrap();
    pair.sides[0].send(0, 0, content(1, 90_000)).unwrap();
    pair.run();
    lost.sent.iter().for_each(|sent| pair.sides[0].on_lost(sent));
    pair.sides[0].reset(0, first, 5);
    pair.run();
    assert_eq!(pair.sides[1].recv(Select::Any).unwrap().map(|arrival| arrival.id), Some(MessageId(1)));
}

#[test]
fn a_lost_chunk_is_repaired_though_another_stream_waits_for_credit() {
    for mode in [Delivery::Ordered, Delivery::Unordered] {
        let mut pair = Pair::new(limits());
        pair.sides[0].configure(0, ChannelConfig::new(mode)).unwrap();
        let [first, second] = [0; 2].map(|_| pair.sides[0].begin(0, 0, None).unwrap());
        pair.sides[0].write(0, first, &[1; 100]).unwrap();
        let lost = pair.packet(0).unwrap();
        pair.sides[0].write(0, second, &[1; 65_000]).unwrap();
        pair.run();
        pair.sides[0].write(0, first, &[1; 10]).unwrap();
        lost.sent.iter().for_each(|sent| pair.sides[0].on_lost(sent));
        pair.run();
        let seen: Vec<MessageId> =
            core::iter::from_fn(|| pair.sides[1].recv(Select::Any).unwrap()).map(|arrival| arrival.id).collect();
        assert!(seen.contains(&first), "{mode:?}: the repair never goes");
    }
}

#[test]
fn a_queue_shorter_than_a_piece_does_not_stop_a_stream() {
    let mut pair = Pair::new(Limits { send_queue: 1_000, ..limits() });
    let id = pair.sides[0].begin(0, 0, None).unwrap();
    let mut written = 0;
    while written < 10_000 {
        let more = pair.sides[0].write(0, id, &[7; 700]);
        written += more.unwrap_or_else(|error| panic!("{error} after {written}"));
        pair.run();
    }
}

#[test]
fn a_late_reader_of_a_latest_channel_gets_the_newest_of_the_longest_values() {
    let mut pair = Pair::new(limits());
    pair.sides[0].configure(0, ChannelConfig::new(Delivery::Latest)).unwrap();
    let max = 60_000 / 16 * 7 - 256;
    assert_eq!(pair.sides[0].send(0, 0, content(9, max + 1)), Err(SendError::TooLarge { len: 25_995, max: 25_994 }));
    for at in 0..20 {
        pair.sides[0].send(0, 0, content(at, max)).unwrap();
        pair.run();
    }
    assert_eq!(pair.recv(1), Some((0, 19, content(19, max).to_vec())));
}

#[test]
fn messages_given_up_out_of_order_are_bounded_though_their_credit_comes_back_at_once() {
    let mut side = Messages::new(limits());
    side.establish(&crate::wire::Params::default());
    let mut reset = |message| {
        let told = side.handle(&crate::wire::Frame::Reset { channel: 3, message, final_size: 0, code: 0 });
        side.fill(&mut Vec::new(), 1_000, &mut Vec::new()); // credit is given anew
        told
    };
    for nth in 0..GAPS_MAX as u64 {
        assert_eq!(reset(1 + 2 * nth), Ok(Heard::default()), "{nth}");
    }
    assert_eq!(reset(0), Ok(Heard::default()), "what closes a gap is welcome");
    assert_eq!(reset(1 + 2 * GAPS_MAX as u64), Ok(Heard::default()));
    assert_eq!(reset(3 + 2 * GAPS_MAX as u64), Err(Violation::Gaps));
}

#[test]
fn unread_unreliable_messages_are_bounded_over_all_channels() {
    let mut side = Messages::new(limits());
    side.establish(&crate::wire::Params::default());
    let payload = [7; 1_000];
    let mut send = |channel, message| {
        let start = Some(crate::wire::MessageStart { delivery: Delivery::Unreliable, tag: 0, len: Some(1_000) });
        let data = crate::wire::Data { channel, message, offset: 0, start, fin: true, payload: &payload };
        side.handle(&crate::wire::Frame::Data(data)).unwrap();
    };
    for channel in 0..100 {
        (0..256).for_each(|message| send(channel, message));
    }
    send(0, 256);
    let held: Vec<_> = core::iter::from_fn(|| side.recv(Select::Any).unwrap()).collect();
    assert!((3_500..4_200).contains(&held.len()), "{} of 1,000 bytes each", held.len());
    assert_eq!(held[0].id, MessageId(1), "a channel's own oldest makes room");
    assert_eq!(side.stats().superseded_unread, 25_601 - held.len() as u64);
    // What was taken makes room for others.
    let start = Some(crate::wire::MessageStart { delivery: Delivery::Unreliable, tag: 0, len: Some(1_000) });
    let data = crate::wire::Data { channel: 99, message: 300, offset: 0, start, fin: true, payload: &payload };
    side.handle(&crate::wire::Frame::Data(data)).unwrap();
    assert!(side.recv(Select::Any).unwrap().is_some());
}

#[test]
fn credit_granted_byte_by_byte_does_not_cut_a_stream_into_a_frame_for_each_byte() {
    let mut side = Messages::new(limits());
    let whole = 256 + 1_000;
    side.establish(&crate::wire::Params { credit_connection: 1 << 30, credit_channel: 300, ..Default::default() });
    let id = side.begin(0, 0, None).unwrap();
    assert_eq!(side.write(0, id, &[1; 1_000]), Ok(1_000));
    side.finish_message(0, id).unwrap();
    let mut chunks = 0;
    for limit in 300..=whole {
        side.handle(&crate::wire::Frame::CreditChannel { channel: 0, limit }).unwrap();
        let mut sent = Vec::new();
        side.fill(&mut Vec::new(), ROOM, &mut sent);
        chunks += sent.len();
    }
    assert_eq!(chunks, 4, "of 256 bytes, and what is left of it");
    assert!(!side.wants_fill(), "all of it went");
}
