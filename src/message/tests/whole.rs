//! Messages that are asked for as one buffer, and only if they are what is wanted.

use super::*;

fn wanted(len_max: u64) -> Wanted<'static> {
    Wanted { tags: Some(&[7]), len_max }
}

/// What side 1 is given that asks for a message as one buffer: its bytes; `None` while there is none.
fn recv_whole(pair: &mut Pair, len_max: u64) -> Option<Bytes> {
    match pair.sides[1].recv_whole(Select::Any, &wanted(len_max)).unwrap()? {
        Whole::Taken(Arrival { body: ArrivalBody::Whole(bytes), .. }) => Some(bytes),
        other => panic!("{other:?}"),
    }
}

fn kept(pair: &mut Pair, len_max: u64) -> Preview {
    match pair.sides[1].recv_whole(Select::Any, &wanted(len_max)).unwrap() {
        Some(Whole::Kept(preview)) => preview,
        other => panic!("{other:?}"),
    }
}

fn taken(pair: &mut Pair) -> u64 {
    pair.sides[0].close(Timestamp::ZERO, 0, Duration::ZERO);
    pair.sides[0].handle_timeout(Timestamp::ZERO);
    pair.sides[0].close_report().unwrap().channels.iter().map(|channel| channel.taken).sum()
}

#[test]
fn a_message_longer_than_every_limit_is_put_together() {
    for delivery in [Delivery::Ordered, Delivery::Unordered] {
        for announced in [true, false] {
            let mut pair = Pair::new(limits());
            pair.sides[0].configure(3, ChannelConfig::new(delivery)).unwrap();
            let body = content(1, 500_000);
            let mut written = body.len();
            let mut stream = None;
            if announced {
                pair.sides[0].send(3, 7, body.clone()).unwrap();
            } else {
                stream = Some(pair.sides[0].begin(3, 7, None).unwrap());
                written = 0;
            }
            let mut got = None;
            for _ in 0..1_000 {
                if let Some(id) = stream {
                    written += pair.sides[0].write(3, id, &body[written..]).unwrap_or(0);
                    if written == body.len() {
                        pair.sides[0].finish_message(3, id).unwrap();
                        stream = None;
                    }
                }
                pair.run();
                got = recv_whole(&mut pair, 500_000);
                if got.is_some() {
                    break;
                }
                assert!(!pair.sides[1].readable(Select::Any), "it is not whole yet");
                assert_eq!(pair.sides[1].recv(Select::Any), Ok(None), "nobody is given it before it is whole");
            }
            assert!(got.is_some_and(|got| got == body));
            pair.run();
            let stats = pair.sides[1].stats();
            assert_eq!((stats.held, stats.gaps, stats.received), (0, 0, 1));
            assert_eq!(taken(&mut pair), 1);
        }
    }
}

#[test]
fn what_is_not_wanted_is_told_and_stays_the_next() {
    let mut pair = Pair::new(limits());
    pair.sides[0].send(2, 6, content(1, 100)).unwrap();
    pair.sides[0].send(2, 7, content(2, 100)).unwrap();
    pair.run();
    let preview = Preview { channel: 2, id: MessageId(0), tag: 6, len: Some(100) };
    for _ in 0..3 {
        assert_eq!(kept(&mut pair, 1_000), preview);
    }
    assert!(pair.sides[1].readable(Select::Any));
    pair.run();
    assert_eq!(taken(&mut pair), 0, "nothing was taken");
    assert_eq!(pair.recv(1), Some((2, 0, content(1, 100).to_vec())));
    assert_eq!(kept(&mut pair, 99).id, MessageId(1), "one byte too long");
    assert_eq!(recv_whole(&mut pair, 100), Some(content(2, 100)));
    assert_eq!(recv_whole(&mut pair, 100), None);
}

#[test]
fn asking_for_a_channel_makes_its_messages_come_in_no_other_way() {
    let mut pair = Pair::new(limits());
    pair.sides[0].send(2, 6, content(1, 100)).unwrap();
    pair.run();
    let whole = pair.sides[1].recv_whole(Select::One(2), &wanted(1_000)).unwrap();
    assert!(matches!(whole, Some(Whole::Kept(_))));
    assert_eq!(pair.recv(1), None);
    assert!(pair.sides[1].recv(Select::One(2)).unwrap().is_some());
}

#[test]
fn a_stream_that_turns_out_too_long_is_a_stream_again_without_a_byte_missing() {
    let mut pair = Pair::new(limits());
    let body = content(5, 150_000);
    let id = pair.sides[0].begin(0, 7, None).unwrap();
    let mut written = 0;
    while kept_or_none(&mut pair, 100_000).is_none() {
        assert!(written < body.len(), "too long is told when it is, not at the end");
        written += pair.sides[0].write(0, id, &body[written..body.len().min(written + 20_000)]).unwrap();
        pair.run();
    }
    assert!(written < body.len());
    assert_eq!(kept(&mut pair, 100_000), Preview { channel: 0, id, tag: 7, len: None });
    let arrival = pair.sides[1].recv(Select::Any).unwrap().expect("it is offered again");
    assert_eq!(arrival.body, ArrivalBody::Stream { len: None });
    let mut got = Vec::new();
    let mut buf = [0; 7_000];
    while got.len() < body.len() {
        written += pair.sides[0].write(0, id, &body[written..]).unwrap_or(0);
        pair.run();
        while let Ok(len @ 1..) = pair.sides[1].read(0, id, &mut buf) {
            got.extend_from_slice(&buf[..len]);
        }
        assert!(pair.sides[1].stats().held <= 60_000, "only credit is held again");
    }
    assert!(got == body);
    pair.sides[0].finish_message(0, id).unwrap();
    pair.run();
    assert_eq!(pair.sides[1].read(0, id, &mut buf), Ok(0));
    assert_eq!(pair.sides[1].stats().held, 0, "nothing was given back twice or never");
}

fn kept_or_none(pair: &mut Pair, len_max: u64) -> Option<Preview> {
    match pair.sides[1].recv_whole(Select::Any, &wanted(len_max)).unwrap() {
        Some(Whole::Kept(preview)) => Some(preview),
        None => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_allows_more_gets_it_though_another_allowed_less() {
    let mut pair = Pair::new(limits());
    pair.sides[0].send(0, 7, content(1, 150_000)).unwrap();
    pair.run();
    assert_eq!(kept(&mut pair, 149_999).len, Some(150_000));
    assert_eq!(recv_whole(&mut pair, 150_000), None);
    assert_eq!(kept(&mut pair, 149_999).len, Some(150_000), "also while it is being put together");
    pair.run();
    assert_eq!(kept(&mut pair, 149_999).len, Some(150_000), "and when it is whole");
    assert_eq!(recv_whole(&mut pair, 150_000), Some(content(1, 150_000)));
}

#[test]
fn what_is_behind_one_that_is_coming_waits_for_it_and_keeps_its_place() {
    let mut pair = Pair::new(limits());
    let id = pair.sides[0].begin(0, 7, None).unwrap();
    pair.sides[0].write(0, id, &content(0, 50_000)).unwrap();
    pair.run();
    assert_eq!(recv_whole(&mut pair, 1 << 20), None);
    pair.sides[0].send(1, 7, content(1, 10)).unwrap();
    pair.sides[0].send(2, 7, content(2, 10)).unwrap();
    pair.run();
    assert_eq!(recv_whole(&mut pair, 1 << 20), None);
    let other = pair.sides[1].recv_whole(Select::One(2), &wanted(10)).unwrap();
    assert!(matches!(other, Some(Whole::Taken(_))), "a channel by itself waits for nobody");
    pair.sides[0].finish_message(0, id).unwrap();
    pair.run();
    assert_eq!(recv_whole(&mut pair, 1 << 20), Some(content(0, 50_000)));
    assert_eq!(recv_whole(&mut pair, 1 << 20), Some(content(1, 10)));
}

#[test]
fn one_that_is_given_up_or_cut_off_half_way_never_surfaces_as_a_part() {
    for cut in [true, false] {
        let mut pair = Pair::new(limits());
        let id = pair.sides[0].begin(0, 7, None).unwrap();
        pair.sides[0].write(0, id, &content(0, 50_000)).unwrap();
        pair.run();
        assert_eq!(recv_whole(&mut pair, 1 << 20), None);
        if cut {
            pair.sides[1].end(End::TimedOut);
        } else {
            pair.sides[0].reset(0, id, 12);
            pair.run();
        }
        assert!(pair.sides[1].readable(Select::Any));
        let whole = pair.sides[1].recv_whole(Select::Any, &wanted(1 << 20)).unwrap();
        let Some(Whole::Taken(Arrival { body: ArrivalBody::Stream { len: None }, .. })) = whole else {
            panic!("{whole:?}")
        };
        let mut buf = vec![0; 100_000];
        if cut {
            assert_eq!(pair.sides[1].read(0, id, &mut buf), Ok(50_000), "the reader may have what had come");
            assert_eq!(pair.sides[1].read(0, id, &mut buf), Err(ReadError::Ended(End::TimedOut)));
            let end = pair.sides[1].recv_whole(Select::Any, &wanted(1)).unwrap_err();
            assert_eq!(end, End::TimedOut);
        } else {
            assert_eq!(pair.sides[1].read(0, id, &mut buf), Err(ReadError::Reset { code: 12 }));
            assert_eq!(pair.sides[1].stats().held, 0);
        }
    }
}

#[test]
fn one_that_came_to_its_last_byte_before_the_end_is_handed_over_whole() {
    let mut pair = Pair::new(limits());
    let id = pair.sides[0].begin(0, 7, None).unwrap();
    pair.sides[0].write(0, id, &content(0, 50_000)).unwrap();
    pair.sides[0].finish_message(0, id).unwrap();
    pair.run();
    pair.sides[1].end(End::TimedOut);
    assert_eq!(recv_whole(&mut pair, 1 << 20), Some(content(0, 50_000)));
}

#[test]
fn credit_comes_back_for_bytes_without_a_gap_alone() {
    let mut pair = Pair::new(limits());
    let body = content(0, 500_000);
    pair.sides[0].send(0, 7, body.clone()).unwrap();
    let mut flights: Vec<Flight> = core::iter::from_fn(|| pair.packet(0)).collect();
    let first = flights.remove(0);
    pair.deliver(&first);
    assert_eq!(recv_whole(&mut pair, 1 << 20), None);
    // All but the second: a peer must send what it wants credit for.
    let second = flights.remove(0);
    flights.iter().for_each(|flight| pair.deliver(flight));
    let held = pair.sides[1].stats().held;
    assert!((50_000..=60_000).contains(&held), "{held}");
    pair.deliver(&second);
    assert_eq!(pair.sides[1].stats().held, MESSAGE_COST);
    for flight in [&first, &second].into_iter().chain(&flights) {
        flight.sent.iter().for_each(|sent| pair.sides[0].on_acked(sent));
    }
    pair.run();
    assert!(recv_whole(&mut pair, 1 << 20).is_some_and(|got| got == body));
    assert_eq!(pair.sides[1].stats().held, 0);
}
