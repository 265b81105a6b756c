//! The end: what the two sides know of each other's messages when it comes.

use super::*;

const LINGER: Duration = Duration::from_secs(5);

/// A pair in which side 0 has sent a message and closes, and side 1 has taken the message and closes at once.
fn taken_and_closed() -> Pair {
    let mut pair = Pair::new(limits());
    pair.sides[0].send(0, 0, content(0, 10)).unwrap();
    pair.sides[0].close(Timestamp::ZERO, 0, LINGER);
    pair.run();
    assert!(pair.recv(1).is_some());
    pair.sides[1].close(Timestamp::ZERO, 0, LINGER);
    pair
}

fn assert_all_taken(pair: &Pair) {
    let report = pair.sides[0].close_report().unwrap();
    assert!(report.all_taken(), "{report:?}");
    assert!(pair.sides[0].closed());
}

#[test]
fn a_close_right_after_recv_still_tells_that_the_message_was_taken() {
    let mut pair = taken_and_closed();
    pair.run();
    assert_all_taken(&pair);
}

#[test]
fn a_close_that_is_lost_goes_again_with_the_receipts_that_went_with_it() {
    let mut pair = taken_and_closed();
    let lost = pair.packet(1).unwrap();
    // A carrier that repeats nothing but the CLOSE.
    pair.sides[1].on_lost(lost.sent.last().unwrap());
    pair.run();
    assert_all_taken(&pair);
}

#[test]
fn a_receipt_lost_before_the_close_goes_again_with_it() {
    let mut pair = Pair::new(limits());
    pair.sides[0].send(0, 0, content(0, 10)).unwrap();
    pair.sides[0].close(Timestamp::ZERO, 0, LINGER);
    pair.run();
    assert!(pair.recv(1).is_some());
    let receipt = pair.packet(1).unwrap();
    pair.sides[1].close(Timestamp::ZERO, 0, LINGER);
    receipt.sent.iter().for_each(|sent| pair.sides[1].on_lost(sent));
    pair.run();
    assert_all_taken(&pair);
}

#[test]
fn more_receipts_than_fit_beside_the_close_go_before_it() {
    let mut pair = Pair::new(limits());
    for channel in 1..=300 {
        pair.sides[0].send(channel, 0, content(0, 1)).unwrap();
        pair.run();
    }
    while pair.recv(1).is_some() {}
    pair.sides[1].abort(1);
    let mut packets = 0;
    while let Some(flight) = pair.packet(1) {
        pair.deliver(&flight);
        flight.sent.iter().for_each(|sent| pair.sides[1].on_acked(sent));
        packets += 1;
    }
    assert!(packets > 1, "all fitted into one");
    assert_eq!(pair.sides[0].ended(), Some(End::AbortedByPeer { code: 1 }));
    pair.sides[0].close(Timestamp::ZERO, 0, LINGER);
    assert!(pair.sides[0].close_report().unwrap().all_taken());
}

#[test]
fn a_stream_that_was_stopped_does_not_make_a_close_linger_wherever_its_bytes_were() {
    for arrived_first in [true, false] {
        let mut pair = Pair::new(limits());
        pair.sides[0].send(0, 0, content(0, 50_000)).unwrap();
        let first = pair.packet(0).unwrap();
        pair.deliver(&first);
        let arrival = pair.sides[1].recv(Select::Any).unwrap().unwrap();
        if !arrived_first {
            pair.sides[1].stop(0, arrival.id, 0);
        }
        let mut flights = vec![first];
        while let Some(flight) = pair.packet(0) {
            pair.deliver(&flight);
            flights.push(flight);
        }
        // The sender hears that all has arrived before it hears of the refusal.
        flights.iter().flat_map(|flight| &flight.sent).for_each(|sent| pair.sides[0].on_acked(sent));
        if arrived_first {
            pair.sides[1].stop(0, arrival.id, 0);
        }
        pair.run();
        pair.sides[0].close(Timestamp::ZERO, 0, LINGER);
        let report = pair.sides[0].close_report().expect("nothing to wait for");
        assert_eq!((report.channels[0].taken, report.channels[0].arrived_unread), (0, 0), "{report:?}");
    }
}
