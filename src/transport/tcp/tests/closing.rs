//! How a connection ends.

use core::time::Duration;

use super::pair::{CALLER, LISTENER, Pair, content, feed, ms};
use crate::message::{End, Select, SendError, State};

const LINGER: Duration = Duration::from_secs(2);

/// Both have ended, are told why, and need their sockets no more.
fn check_over(pair: &Pair, caller: End, listener: End) {
    for (side, end) in [(CALLER, caller), (LISTENER, listener)] {
        let link = &pair.sides[side].link;
        assert_eq!(link.messages().ended(), Some(end), "side {side}");
        assert!(link.is_gone() && link.deadline().is_none(), "side {side}");
        assert!(link.messages().closed(), "side {side}");
    }
}

#[test]
fn a_close_waits_until_all_is_taken_and_then_both_streams_end() {
    let mut pair = Pair::established();
    pair.sides[CALLER].send("last words");
    pair.sides[CALLER].link.messages_mut().close(ms(0), 5, LINGER);
    pair.run();
    assert_eq!(pair.sides[CALLER].link.messages().state(), State::Closing);
    assert_eq!(pair.sides[CALLER].link.messages_mut().send(0, 0, "more".into()), Err(SendError::Closing));
    assert_eq!(pair.sides[LISTENER].recv_whole().unwrap(), "last words");
    pair.sides[LISTENER].link.handle_wait();
    pair.run();
    check_over(&pair, End::Closed { code: 5 }, End::ClosedByPeer { code: 5 });
    let report = pair.sides[CALLER].link.messages().close_report().unwrap();
    assert!(report.all_taken());
    assert_eq!((report.channels[0].taken, report.cut_short), (1, None));
}

#[test]
fn what_arrived_before_the_close_can_still_be_received() {
    let mut pair = Pair::established();
    pair.sides[CALLER].send("unread");
    pair.sides[CALLER].link.messages_mut().close(ms(0), 0, LINGER);
    pair.run_to(ms(2_000));
    check_over(&pair, End::Closed { code: 0 }, End::ClosedByPeer { code: 0 });
    let report = pair.sides[CALLER].link.messages().close_report().unwrap();
    assert_eq!((report.channels[0].arrived_unread, report.channels[0].not_arrived), (1, 0));
    assert_eq!(pair.sides[LISTENER].recv_whole().unwrap(), "unread");
    assert_eq!(pair.sides[LISTENER].link.messages_mut().recv(Select::Any), Err(End::ClosedByPeer { code: 0 }));
}

#[test]
fn the_closer_is_through_when_the_peer_has_the_close_even_if_its_stream_stays_open() {
    let mut pair = Pair::established();
    pair.sides[CALLER].link.messages_mut().close(ms(0), 0, LINGER);
    pair.carry(CALLER, usize::MAX);
    assert!(!pair.sides[CALLER].link.messages().closed());
    pair.sides[LISTENER].poll(pair.now);
    let receipt = core::mem::take(&mut pair.sides[LISTENER].out);
    feed(&mut pair.sides[CALLER].link, pair.now, &receipt);
    assert!(pair.sides[CALLER].link.messages().closed());
    assert!(!pair.sides[CALLER].link.is_gone());
    pair.sides[CALLER].link.handle_end_of_stream();
    assert!(pair.sides[CALLER].link.is_gone());
}

#[test]
fn closes_from_both_sides_may_cross() {
    let mut pair = Pair::established();
    for side in 0..2 {
        pair.sides[side].link.messages_mut().close(ms(0), u32::try_from(side).unwrap(), LINGER);
        pair.sides[side].poll(pair.now);
    }
    pair.run();
    check_over(&pair, End::Closed { code: 0 }, End::Closed { code: 1 });
}

#[test]
fn an_abort_and_a_refusal_end_the_peer_with_their_code() {
    let mut pair = Pair::established();
    pair.sides[LISTENER].send(content(0, 100));
    pair.sides[LISTENER].link.messages_mut().abort(9);
    pair.run();
    check_over(&pair, End::AbortedByPeer { code: 9 }, End::Aborted { code: 9 });
    let mut pair = Pair::established();
    pair.sides[LISTENER].link.messages_mut().refuse(3);
    pair.run();
    check_over(&pair, End::RefusedByPeer { code: 3 }, End::Closed { code: 3 });
}

#[test]
fn a_peer_that_reads_nothing_holds_the_end_up_for_no_more_than_a_second() {
    let mut pair = Pair::established();
    pair.sides[CALLER].send(content(0, 300_000));
    /*    0 */
    pair.sides[CALLER].poll(pair.now);
    pair.sides[CALLER].link.messages_mut().close(ms(0), 0, LINGER);
    /* 2000: the linger is over, but the CLOSE finds no way out */
    pair.sides[CALLER].link.handle_timeout(ms(2_000));
    pair.sides[CALLER].poll(ms(2_000));
    assert_eq!(pair.sides[CALLER].link.deadline(), Some(ms(3_000)));
    assert!(!pair.sides[CALLER].link.messages().closed());
    /* 3000 */
    pair.sides[CALLER].link.handle_timeout(ms(3_000));
    assert!(pair.sides[CALLER].link.is_gone() && pair.sides[CALLER].link.messages().closed());
    let report = pair.sides[CALLER].link.messages().close_report().unwrap();
    assert_eq!(report.channels[0].not_arrived, 1);
}

#[test]
fn a_stream_that_ends_without_a_close_is_broken() {
    let mut pair = Pair::established();
    pair.sides[CALLER].send("whole");
    pair.sides[CALLER].send(content(0, 1_000));
    pair.carry(CALLER, 100);
    // The peer's process dies: its system ends the stream.
    pair.sides[LISTENER].link.handle_end_of_stream();
    let link = &mut pair.sides[LISTENER].link;
    assert!(link.is_gone());
    assert_eq!(link.messages().ended(), Some(End::Broken));
    assert_eq!(link.messages_mut().recv(Select::Any), Err(End::Broken));
}

#[test]
fn a_stream_cut_behind_a_whole_record_still_gives_what_came() {
    let mut pair = Pair::established();
    pair.sides[CALLER].send("whole");
    pair.carry(CALLER, usize::MAX);
    pair.sides[LISTENER].link.handle_end_of_stream();
    assert_eq!(pair.sides[LISTENER].recv_whole().unwrap(), "whole");
    assert_eq!(pair.sides[LISTENER].link.messages_mut().recv(Select::Any), Err(End::Broken));
}

#[test]
fn a_call_given_up_leaves_nothing_behind() {
    for close in [true, false] {
        let mut pair = Pair::new();
        let messages = pair.sides[CALLER].link.messages_mut();
        if close {
            messages.close(ms(0), 1, Duration::ZERO);
        } else {
            messages.abort(1);
        }
        pair.sides[CALLER].link.handle_timeout(ms(0));
        pair.sides[CALLER].poll(pair.now);
        let link = &pair.sides[CALLER].link;
        assert!(link.is_gone() && link.messages().closed() && link.deadline().is_none());
    }
}
