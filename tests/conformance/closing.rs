//! How connections end, and what is reported of them.

use std::sync::Arc;
use std::time::Duration;

use udpair::message::{End, SendError};
use udpair::transport::{AcceptError, RecvError};
use udpair::{Connection, Listener};

use crate::pair::{Pair, SHORT, STUCK, content, end_of, receive};

pub(crate) fn close_waits_until_all_is_taken(pair: Pair) {
    let (client, server) = pair.connect();
    for at in 0..100 {
        client.send(content(at, 1_000)).unwrap();
    }
    let closer = pair.beside(move || client.close(3));
    for at in 0..100 {
        assert_eq!(receive(&server), content(at, 1_000));
    }
    let report = closer.join().unwrap();
    assert!(report.all_taken(), "{report:?}");
    assert_eq!(report.channels.iter().map(|channel| channel.taken).sum::<u64>(), 100);
    assert_eq!(end_of(&server), End::ClosedByPeer { code: 3 });
}

pub(crate) fn close_reports_what_was_left_unread(pair: Pair) {
    let (client, server) = pair.connect();
    for at in 0..5 {
        client.send(content(at, 10)).unwrap();
    }
    client.send_on(2, 0, "other").unwrap();
    client.flush_timeout(STUCK).unwrap();
    assert_eq!(receive(&server), content(0, 10));
    assert_eq!(receive(&server), content(1, 10));
    // The receipts ride along, or go when the receiver waits.
    assert_eq!(server.recv_on_timeout(9, SHORT).unwrap_err(), RecvError::TimedOut);
    let report = client.close_within(0, SHORT);
    assert!(!report.all_taken());
    let [zero, two] = &report.channels[..] else { panic!("{report:?}") };
    assert_eq!((zero.channel, zero.taken, zero.arrived_unread, zero.not_arrived), (0, 2, 3, 0));
    assert_eq!(zero.first_unread.map(|id| id.0), Some(2));
    assert_eq!((two.channel, two.taken, two.arrived_unread), (2, 0, 1));
}

pub(crate) fn the_peer_still_receives_what_arrived_before_the_close(pair: Pair) {
    let (client, server) = pair.connect();
    client.send("one").unwrap();
    client.send("two").unwrap();
    client.flush_timeout(STUCK).unwrap();
    client.close_within(1, Duration::ZERO);
    assert_eq!(receive(&server), "one");
    assert_eq!(receive(&server), "two");
    assert_eq!(server.recv_timeout(STUCK).unwrap_err(), RecvError::Ended(End::ClosedByPeer { code: 1 }));
    assert_eq!(server.send("late"), Err(SendError::Ended(End::ClosedByPeer { code: 1 })));
}

pub(crate) fn abort_ends_the_peer_with_its_code(pair: Pair) {
    for server_side in [false, true] {
        let (client, server) = pair.connect();
        let (one, other) = if server_side { (server, client) } else { (client, server) };
        one.abort(77);
        assert_eq!(end_of(&other), End::AbortedByPeer { code: 77 });
        assert_eq!(one.recv_timeout(STUCK).unwrap_err(), RecvError::Ended(End::Aborted { code: 77 }));
    }
}

pub(crate) fn dropping_the_last_handle_closes_in_the_background(pair: Pair) {
    for server_side in [false, true] {
        let (client, server) = pair.connect();
        let (one, other) = if server_side { (server, client) } else { (client, server) };
        let clone = one.clone();
        one.send("still").unwrap();
        drop(one);
        assert_eq!(receive(&other), "still");
        clone.send("goes").unwrap();
        drop(clone);
        assert_eq!(receive(&other), "goes");
        assert_eq!(end_of(&other), End::ClosedByPeer { code: 0 });
    }
}

pub(crate) fn close_from_another_thread_ends_a_blocked_receive(pair: Pair) {
    let (client, server) = pair.connect();
    for abort in [false, true] {
        let (client, blocked) = if abort { (server.clone(), server.clone()) } else { (client.clone(), client.clone()) };
        let receiver = pair.beside(move || blocked.recv_timeout(STUCK).map(|message| message.id));
        if abort {
            client.abort(6);
            assert!(matches!(receiver.join().unwrap(), Err(RecvError::Ended(_))));
        } else {
            client.close_within(5, SHORT);
            assert_eq!(receiver.join().unwrap(), Err(RecvError::Ended(End::Closed { code: 5 })));
        }
    }
}

pub(crate) fn both_sides_close_at_once(pair: Pair) {
    let (client, server) = pair.connect();
    let other = pair.beside(move || server.close(1));
    let report = client.close(2);
    assert!(report.all_taken() && other.join().unwrap().all_taken());
}

pub(crate) fn reconnecting_after_a_close_works(pair: Pair) {
    for at in 0..20 {
        let (client, server) = pair.connect();
        client.send(content(at, 100)).unwrap();
        assert_eq!(receive(&server), content(at, 100));
        assert!(client.close(0).all_taken());
        assert_eq!(end_of(&server), End::ClosedByPeer { code: 0 });
    }
}

pub(crate) fn close_is_idempotent(pair: Pair) {
    let (client, _server) = pair.connect();
    let first = client.close(1);
    assert_eq!(client.close(2), first);
    assert_eq!(client.send("late"), Err(SendError::Ended(End::Closed { code: 1 })));
}

pub(crate) fn connections_that_ended_unaccepted_do_not_fill_the_backlog(pair: Pair) {
    let pair = pair.with(|config| config.backlog = 2);
    // Over TCP a caller may overtake the end of one before it.
    let call = || {
        (0..20)
            .find_map(|_| Connection::connect(&pair.client, pair.server.local_addr()).ok())
            .expect("those before it have left their places")
    };
    for round in 0..6 {
        let [one, other] = [(); 2].map(|()| call());
        if round % 2 == 0 {
            one.abort(1);
            other.abort(1);
        } else {
            drop((one, other));
        }
    }
    let talker = call();
    talker.send("said and gone").unwrap();
    talker.flush_timeout(STUCK).unwrap();
    talker.close_within(9, Duration::ZERO);
    let listener = Listener::new(Arc::clone(&pair.server));
    let server = listener.accept_timeout(STUCK).expect("it had something to say");
    assert_eq!(receive(&server), "said and gone");
    assert_eq!(end_of(&server), End::ClosedByPeer { code: 9 });
    assert_eq!(listener.accept_timeout(SHORT).err(), Some(AcceptError::TimedOut), "the others had not");
}
