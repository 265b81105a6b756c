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
