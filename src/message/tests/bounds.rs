//! What values and receipts that nobody asks for may take.

use super::super::*;
use super::{ROOM, limits};

#[test]
fn values_dropped_for_newer_ones_leave_nothing_behind_in_the_order_of_receiving() {
    let mut side = Messages::new(limits());
    side.establish(&crate::wire::Params::default());
    let hear = |side: &mut Messages, channel, message, len| {
        let start = Some(crate::wire::MessageStart { delivery: Delivery::Unreliable, tag: 0, len: Some(len as u64) });
        let body = vec![0; len];
        let data = crate::wire::Data { channel, message, offset: 0, start, fin: true, payload: &body };
        side.handle(&crate::wire::Frame::Data(data)).unwrap();
    };
    // The memory for values that nobody takes is full; on one more channel a long one drives several short ones out.
    for channel in 1..16 {
        (0..UNRELIABLE_UNREAD_MAX as u64).for_each(|message| hear(&mut side, channel, message, 1_100));
    }
    for round in 0..50 {
        (0..14).for_each(|at| hear(&mut side, 0, round * 15 + at, 0));
        hear(&mut side, 0, round * 15 + 14, 1_100);
    }
    // Whoever asks for any gets one as long as there is one.
    while side.readable(Select::Any) {
        assert!(side.recv(Select::Any).unwrap().is_some());
    }
    assert!((0..16).all(|channel| !side.readable(Select::One(channel))));
}

#[test]
fn receipts_for_values_that_cannot_be_told_take_bounded_memory() {
    let mut side = Messages::new(limits());
    side.establish(&crate::wire::Params::default());
    for at in 0..1_000 {
        let start = Some(crate::wire::MessageStart { delivery: Delivery::Latest, tag: 0, len: Some(0) });
        let data = crate::wire::Data { channel: 0, message: at * 2, offset: 0, start, fin: true, payload: &[] };
        side.handle(&crate::wire::Frame::Data(data)).unwrap();
        assert!(side.recv(Select::Any).unwrap().is_some());
    }
    side.hurry();
    let mut told = Vec::new();
    while side.wants_fill() {
        let mut out = Vec::new();
        side.fill(&mut out, ROOM, &mut told);
    }
    assert!(told.len() <= 64, "{} ranges", told.len());
    assert_eq!(told.last(), Some(&Sent::Taken { channel: 0, from: 1_998, to: 1_999 }));
}

#[test]
fn a_receipt_that_was_told_to_hurry_and_cannot_go_sets_no_timer_again_and_again() {
    let mut side = Messages::new(limits());
    side.establish(&crate::wire::Params::default());
    let take = |side: &mut Messages, message| {
        let start = Some(crate::wire::MessageStart { delivery: Delivery::Ordered, tag: 0, len: Some(0) });
        let data = crate::wire::Data { channel: 0, message, offset: 0, start, fin: true, payload: &[] };
        side.handle(&crate::wire::Frame::Data(data)).unwrap();
        assert!(side.recv(Select::Any).unwrap().is_some());
    };
    take(&mut side, 0);
    assert!(side.has_lazy() && !side.wants_fill(), "it may ride along");
    side.hurry();
    assert!(!side.has_lazy() && side.wants_fill(), "it goes as soon as it can");
    take(&mut side, 1);
    side.hurry();
    assert!(!side.has_lazy() && side.wants_fill());
    side.fill(&mut Vec::new(), ROOM, &mut Vec::new());
    assert!(!side.has_lazy() && !side.wants_fill(), "gone");
    take(&mut side, 2);
    assert!(side.has_lazy() && !side.wants_fill(), "the next may ride along again");
}

/// Hears that messages `from..to` of channel 0 were taken.
fn hear_taken(side: &mut Messages, from: u64, to: u64) -> Result<Heard, Violation> {
    let mut taken = crate::wire::RangeSet::new();
    taken.insert(from..to);
    let mut bytes = Vec::new();
    crate::wire::Frame::put_taken(&mut bytes, 100, 0, &mut taken);
    let mut heard = Ok(Heard::default());
    for frame in crate::wire::Frames::new(&bytes) {
        heard = side.handle(&frame.unwrap());
    }
    heard
}

#[test]
fn taking_what_was_never_begun_is_a_violation_and_not_a_long_search() {
    let mut side = Messages::new(limits());
    side.establish(&Messages::new(limits()).params(crate::wire::Params::default()));
    (0..3).for_each(|at| _ = side.send(0, 0, super::content(at, 30_000)).unwrap());
    side.fill(&mut Vec::new(), ROOM, &mut Vec::new());
    assert_eq!(hear_taken(&mut side, 0, 1), Ok(Heard::default()), "it was begun");
    assert_eq!(hear_taken(&mut side, 0, 2), Err(Violation::NeverSent));
}

#[test]
fn a_peer_that_takes_every_other_message_for_ever_leaves_too_many_gaps() {
    let mut side = Messages::new(limits());
    let params = crate::wire::Params { credit_connection: 1 << 40, credit_channel: 1 << 40, ..Default::default() };
    side.establish(&params);
    let mut told = Ok(Heard::default());
    for message in 0..2 * GAPS_MAX as u64 {
        side.send(0, 0, bytes::Bytes::new()).unwrap();
        let mut sent = Vec::new();
        side.fill(&mut Vec::new(), ROOM, &mut sent);
        sent.iter().for_each(|sent| side.on_acked(sent));
        if message % 2 == 0 {
            told = hear_taken(&mut side, message, message + 1);
        }
        if told.is_err() {
            assert!(message > GAPS_MAX as u64 - 2, "{message}");
            break;
        }
    }
    assert_eq!(told, Err(Violation::Gaps));
}

#[test]
fn receipts_that_a_peer_never_acknowledges_are_bounded() {
    let mut side = Messages::new(Limits::default());
    side.establish(&crate::wire::Params::default());
    let start = Some(crate::wire::MessageStart { delivery: Delivery::Unordered, tag: 0, len: Some(0) });
    let mut told = Ok(Heard::default());
    for at in 0..=GAPS_MAX as u64 {
        assert_eq!(told, Ok(Heard::default()), "{at}");
        // Every other message is given up, so that receipts stand apart and nothing else does.
        let data = crate::wire::Data { channel: 0, message: 2 * at, offset: 0, start, fin: true, payload: &[] };
        told = side.handle(&crate::wire::Frame::Data(data));
        assert!(side.recv(Select::Any).unwrap().is_some());
        let reset = crate::wire::Frame::Reset { channel: 0, message: 2 * at + 1, final_size: 0, code: 0 };
        told = told.and(side.handle(&reset));
        // Credit goes out, and what goes with it is lost.
        let mut sent = Vec::new();
        if side.wants_fill() {
            side.fill(&mut Vec::new(), 1_000_000, &mut sent);
        }
        sent.iter().filter(|sent| matches!(sent, Sent::Taken { .. })).for_each(|sent| side.on_lost(sent));
    }
    assert_eq!(told, Err(Violation::Gaps));
}

#[test]
fn refusals_that_a_peer_never_acknowledges_are_bounded() {
    let mut side = Messages::new(limits());
    side.establish(&crate::wire::Params::default());
    let start = Some(crate::wire::MessageStart { delivery: Delivery::Unordered, tag: 0, len: None });
    let hear = |side: &mut Messages, message| {
        let data = crate::wire::Data { channel: 0, message, offset: 0, start, fin: false, payload: &[1] };
        side.handle(&crate::wire::Frame::Data(data))
    };
    let mut refused = Vec::new();
    let count = GAPS_MAX as u64 + 1;
    for message in 0..count {
        assert_eq!(hear(&mut side, message), Ok(Heard::default()), "{message}");
        let stream = side.recv(Select::Any).unwrap().unwrap();
        side.stop(0, stream.id, 7);
        let reset = crate::wire::Frame::Reset { channel: 0, message, final_size: 1, code: 7 };
        assert_eq!(side.handle(&reset), Ok(Heard::default()), "{message}");
        side.fill(&mut Vec::new(), ROOM, &mut refused);
    }
    // It asked for all of that and acknowledged nothing of it.
    refused.iter().for_each(|sent| side.on_lost(sent));
    assert_eq!(hear(&mut side, count), Err(Violation::Gaps));
}
