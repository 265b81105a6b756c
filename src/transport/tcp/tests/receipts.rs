//! When RECEIVED goes, what it does, and how silence is kept and ended.

use core::time::Duration;

use super::pair::{CALLER, LISTENER, Pair, content, feed, ms};
use crate::message::{End, State};
use crate::time::Timestamp;
use crate::wire::{Frame, Frames, Mode, Record};

/// The frames of the records in `stream`, by name.
fn names(mut stream: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(record) = Record::decode(Mode::Plain, stream).unwrap() {
        names.extend(Frames::new(record.body).map(|frame| match frame.unwrap() {
            Frame::Received { count } => format!("RECEIVED {count}"),
            Frame::Data(data) => format!("DATA {}", data.message),
            Frame::Taken { .. } => "TAKEN".to_owned(),
            Frame::Ping => "PING".to_owned(),
            other => format!("{other:?}"),
        }));
        stream = &stream[record.len..];
    }
    assert!(stream.is_empty());
    names
}

impl Pair {
    /// What `side` would say now, in names; it is carried to the other.
    fn says(&mut self, side: usize) -> Vec<String> {
        self.sides[side].poll(self.now);
        let (bytes, _) = self.sides[side].take(usize::MAX);
        feed(&mut self.sides[1 - side].link, self.now, &bytes);
        names(&bytes)
    }

    fn at(&mut self, now: u64, side: usize) -> &mut Self {
        self.at_time(ms(now), side)
    }

    fn at_time(&mut self, now: Timestamp, side: usize) -> &mut Self {
        self.now = now;
        self.sides[side].link.handle_timeout(self.now);
        self
    }
}

#[test]
fn a_receipt_rides_on_the_answer() {
    let mut pair = Pair::established();
    pair.sides[CALLER].send("ask");
    assert_eq!(pair.says(CALLER), ["DATA 0"]);
    // Nothing goes by itself while the application has the message ...
    assert!(pair.says(LISTENER).is_empty());
    assert_eq!(pair.sides[LISTENER].recv_whole().unwrap(), "ask");
    assert!(pair.says(LISTENER).is_empty());
    // ... and its answer carries it all.
    pair.sides[LISTENER].send("answer");
    pair.sides[LISTENER].link.handle_wait();
    assert_eq!(pair.says(LISTENER), ["RECEIVED 1", "TAKEN", "DATA 0"]);
    assert!(!pair.sides[LISTENER].link.owes_at_wait());
    assert!(pair.sides[CALLER].link.messages().flushed());
}

#[test]
fn a_receipt_goes_alone_when_the_application_waits() {
    let mut pair = Pair::established();
    pair.sides[CALLER].send("a");
    pair.says(CALLER);
    assert!(pair.sides[LISTENER].link.owes_at_wait());
    pair.sides[LISTENER].link.handle_wait();
    assert_eq!(pair.says(LISTENER), ["RECEIVED 1"]);
    assert!(pair.sides[CALLER].link.messages().flushed());
    // What the application takes later the sender is told when it waits again.
    pair.sides[LISTENER].recv_whole().unwrap();
    assert!(pair.says(LISTENER).is_empty());
    pair.sides[LISTENER].link.handle_wait();
    assert_eq!(pair.says(LISTENER), ["TAKEN"]);
    // A receipt asks for none: both are silent until the next sign of life.
    pair.sides.iter_mut().for_each(|side| side.link.handle_wait());
    assert!(pair.says(CALLER).is_empty());
    assert!(pair.sides[CALLER].link.deadline() >= Some(ms(3_000)));
}

#[test]
fn who_closes_hears_of_the_last_message_though_its_taker_never_waits_again() {
    let mut pair = Pair::established();
    /*  0 ms */
    pair.sides[CALLER].send("last");
    pair.says(CALLER);
    pair.sides[LISTENER].link.handle_wait();
    assert_eq!(pair.says(LISTENER), ["RECEIVED 1"]);
    /* 10 ms */
    pair.at(10, LISTENER).sides[LISTENER].recv_whole().unwrap();
    assert!(pair.says(LISTENER).is_empty());
    assert_eq!(pair.sides[LISTENER].link.deadline(), Some(ms(15)));
    /* 15 ms */
    assert_eq!(pair.at(15, LISTENER).says(LISTENER), ["TAKEN"]);
    assert!(pair.sides[LISTENER].link.deadline() >= Some(ms(3_000)));
}

#[test]
fn a_receipt_goes_alone_after_5_ms() {
    let mut pair = Pair::established();
    /*  0 */
    pair.sides[CALLER].send("a");
    assert_eq!(pair.says(CALLER), ["DATA 0"]);
    assert_eq!(pair.sides[LISTENER].link.deadline(), Some(ms(5)));
    /*  3 */
    pair.at(3, CALLER).sides[CALLER].send("b");
    assert_eq!(pair.says(CALLER), ["DATA 1"]);
    /*  4 */
    assert!(pair.at(4, LISTENER).says(LISTENER).is_empty());
    /*  5 */
    assert_eq!(pair.at(5, LISTENER).says(LISTENER), ["RECEIVED 2"]);
    assert!(pair.sides[CALLER].link.messages().flushed());
}

/// Half a millisecond after `now`.
const fn soon_after(now: u64) -> Timestamp {
    Timestamp::from_nanos(now * 1_000_000 + 500_000)
}

#[test]
fn who_waits_for_arrival_asks_after_half_a_millisecond_and_is_answered_at_once() {
    let mut pair = Pair::established();
    assert!(!pair.sides[CALLER].link.handle_awaited(pair.now), "nothing to wait for");
    /*  0.0 */
    pair.sides[CALLER].send("a");
    assert_eq!(pair.says(CALLER), ["DATA 0"]);
    assert!(pair.sides[CALLER].link.handle_awaited(pair.now));
    assert!(pair.says(CALLER).is_empty());
    assert_eq!(pair.sides[CALLER].link.deadline(), Some(soon_after(0)));
    /*  0.5 */
    assert_eq!(pair.at_time(soon_after(0), CALLER).says(CALLER), ["PING"]);
    assert_eq!(pair.says(LISTENER), ["RECEIVED 2"]);
    assert!(pair.sides[CALLER].link.messages().flushed());
    assert!(pair.sides[CALLER].link.deadline() >= Some(ms(3_000)));
    // One that comes by itself was not asked for.
    /* 10.0 */
    pair.at(10, CALLER).sides[CALLER].send("b");
    pair.says(CALLER);
    pair.sides[CALLER].link.handle_awaited(pair.now);
    pair.sides[LISTENER].link.handle_wait();
    assert_eq!(pair.says(LISTENER), ["RECEIVED 3"]);
    /* 10.5 */
    assert!(pair.at_time(soon_after(10), CALLER).says(CALLER).is_empty());
}

#[test]
fn what_is_sent_while_arrival_is_waited_for_is_asked_for_too() {
    let mut pair = Pair::established();
    for now in 0..3 {
        pair.at(now, CALLER).sides[CALLER].send("a");
        pair.says(CALLER);
        // The call that waits is one and the same.
        assert_eq!(pair.sides[CALLER].link.handle_awaited(pair.now), now == 0);
        assert_eq!(pair.at_time(soon_after(now), CALLER).says(CALLER), ["PING"]);
    }
    assert_eq!(pair.says(LISTENER), ["RECEIVED 6"]);
    assert!(pair.sides[CALLER].link.messages().flushed());
}

#[test]
fn who_closes_is_told_at_once_what_is_taken_late() {
    let mut pair = Pair::established();
    /*  0.0 */
    for word in ["first", "last"] {
        pair.sides[CALLER].send(word);
    }
    pair.says(CALLER);
    pair.sides[CALLER].link.messages_mut().close(pair.now, 0, Duration::from_secs(5));
    assert!(pair.sides[CALLER].link.handle_awaited(pair.now));
    /*  0.5 */
    assert_eq!(pair.at_time(soon_after(0), CALLER).says(CALLER), ["PING"]);
    assert_eq!(pair.says(LISTENER), ["RECEIVED 2"]);
    /* 10.0, 20.0: the application takes its time, and does not wait. */
    for now in [10, 20] {
        pair.at(now, LISTENER).sides[LISTENER].recv_whole().unwrap();
        assert_eq!(pair.says(LISTENER), ["TAKEN"]);
    }
    assert!(pair.says(CALLER).last().unwrap().starts_with("Close"));
}

#[test]
fn who_sends_again_is_not_waiting_any_more() {
    let mut pair = Pair::established();
    pair.sides[CALLER].send("a");
    pair.says(CALLER);
    pair.sides[CALLER].link.handle_awaited(pair.now);
    assert_eq!(pair.at_time(soon_after(0), CALLER).says(CALLER), ["PING"]);
    assert_eq!(pair.says(LISTENER), ["RECEIVED 2"]);
    pair.sides[CALLER].send("b");
    pair.says(CALLER);
    pair.sides[LISTENER].recv_whole().unwrap();
    assert!(pair.says(LISTENER).is_empty(), "it rides along");
}

#[test]
fn a_receipt_goes_alone_after_64_records() {
    let mut pair = Pair::established();
    for id in 0..64 {
        assert!(pair.says(LISTENER).is_empty(), "after {id} records");
        pair.sides[CALLER].send("a");
        assert_eq!(pair.says(CALLER), [format!("DATA {id}")]);
    }
    assert_eq!(pair.says(LISTENER), ["RECEIVED 64"]);
    assert!(pair.says(LISTENER).is_empty());
}

#[test]
fn a_receipt_goes_alone_after_half_a_mebibyte() {
    let mut pair = Pair::established();
    let receipts = |pair: &mut Pair, len: usize| {
        pair.sides[CALLER].send(content(0, len));
        pair.says(CALLER);
        pair.says(LISTENER)
    };
    assert!(receipts(&mut pair, 250_000).is_empty());
    assert!(receipts(&mut pair, 250_000).is_empty());
    // The third message's last record goes over 512 KiB.
    assert_eq!(receipts(&mut pair, 25_000), ["RECEIVED 9"]);
}

#[test]
fn a_quiet_connection_shows_a_sign_of_life_each_third_of_the_idle_timeout() {
    let mut pair = Pair::established();
    /* 2999 */
    assert!(pair.at(2_999, CALLER).says(CALLER).is_empty());
    /* 3000 */
    assert_eq!(pair.at(3_000, CALLER).says(CALLER), ["PING"]);
    assert_eq!(pair.says(LISTENER), ["RECEIVED 1"]);
    /* 6000 */
    assert_eq!(pair.at(6_000, CALLER).says(CALLER), ["RECEIVED 1", "PING"]);
    // So it goes on for as long as both live.
    pair.run_to(ms(100_000));
    assert!(pair.sides.iter().all(|side| side.link.messages().state() == State::Open));
}

#[test]
fn a_peer_that_falls_silent_is_given_up_after_the_idle_timeout() {
    let mut pair = Pair::established();
    pair.sides[CALLER].send("a");
    /*    0 */
    pair.sides[CALLER].poll(pair.now);
    for at in [3_000, 6_000, 8_999] {
        pair.sides[CALLER].link.handle_timeout(ms(at));
        pair.sides[CALLER].poll(ms(at));
        assert!(!pair.sides[CALLER].link.is_gone(), "at {at} ms");
    }
    /* 9000 */
    pair.sides[CALLER].link.handle_timeout(ms(9_000));
    assert_eq!(pair.sides[CALLER].link.messages().ended(), Some(End::TimedOut));
    assert!(pair.sides[CALLER].link.is_gone());
    assert_eq!(pair.sides[CALLER].link.deadline(), None);
}

#[test]
fn any_byte_is_a_sign_of_life() {
    // A slow line may take longer than the idle timeout for one record.
    let mut pair = Pair::established();
    pair.sides[LISTENER].send(content(0, 60_000));
    pair.sides[CALLER].send("a");
    pair.sides[CALLER].poll(pair.now);
    for at in (0..=30_000).step_by(5_000) {
        pair.now = ms(at);
        pair.carry(LISTENER, 10_000);
        pair.sides[CALLER].link.handle_timeout(pair.now);
    }
    assert_eq!(pair.sides[CALLER].recv_whole().map(|body| body.len()), Some(60_000));
}
