//! How connections end, and what is reported of them.

use std::sync::Arc;
use std::time::Duration;

use udpair::message::{CloseReport, End, MessageId, SendError};
use udpair::transport::{AcceptError, RecvError};
use udpair::{Connection, Listener};

use crate::pair::{Pair, SHORT, STUCK, bytes_of, content, end_of, receive};

/// A connection as (the side that does something, the other), once from each side.
fn from_either_side(pair: &Pair, case: impl Fn(Connection, Connection)) {
    let (client, server) = pair.connect();
    case(client, server);
    let (client, server) = pair.connect();
    case(server, client);
}

pub(crate) fn close_waits_until_all_is_taken(pair: Pair) {
    from_either_side(&pair, |one, other| {
        for at in 0..100 {
            one.send(content(at, 1_000)).unwrap();
        }
        let closer = pair.beside(move || one.close(3));
        for at in 0..100 {
            assert_eq!(receive(&other), content(at, 1_000));
        }
        let report = closer.join().unwrap();
        assert!(report.all_taken(), "{report:?}");
        assert_eq!(report.channels.iter().map(|channel| channel.taken).sum::<u64>(), 100);
        assert_eq!(report.cut_short, None);
        assert_eq!(end_of(&other), End::ClosedByPeer { code: 3 });
    });
}

pub(crate) fn close_reports_what_was_left_unread(pair: Pair) {
    from_either_side(&pair, |one, other| {
        for at in 0..5 {
            one.send(content(at, 10)).unwrap();
        }
        one.send_on(2, 0, "other").unwrap();
        one.flush_timeout(STUCK).unwrap();
        assert_eq!(receive(&other), content(0, 10));
        assert_eq!(receive(&other), content(1, 10));
        // The receipts ride along, or go when the receiver waits.
        assert_eq!(other.recv_on_timeout(9, SHORT).unwrap_err(), RecvError::TimedOut);
        let report = one.close_within(0, SHORT);
        assert!(!report.all_taken());
        let [zero, two] = &report.channels[..] else { panic!("{report:?}") };
        assert_eq!((zero.channel, zero.taken, zero.arrived_unread, zero.not_arrived), (0, 2, 3, 0));
        assert_eq!((zero.first_unread, zero.first_missing), (Some(MessageId(2)), None));
        assert_eq!((two.channel, two.taken, two.arrived_unread, two.not_arrived), (2, 0, 1, 0));
        assert_eq!((two.first_unread, report.cut_short), (Some(MessageId(0)), None));
    });
}

pub(crate) fn close_hears_what_was_taken_though_the_taker_never_waits_again(pair: Pair) {
    // No keepalive comes on which the receipt could ride.
    let pair = pair.with(|config| config.idle_timeout = 10 * STUCK);
    from_either_side(&pair, |one, other| {
        one.send("taken").unwrap();
        // Once its arrival was told, nothing is owed any more on which the receipt could ride.
        one.flush_timeout(STUCK).unwrap();
        assert_eq!(receive(&other), "taken");
        // Only where the receipt stays away all of the linger is waited for.
        assert!(one.close(0).all_taken());
        assert_eq!(end_of(&other), End::ClosedByPeer { code: 0 });
    });
}

pub(crate) fn close_reports_what_never_arrived(pair: Pair) {
    const COUNT: u64 = 8;
    let pair = pair.with(|config| {
        config.limits.credit_connection = 64 << 10;
        config.limits.credit_channel = 64 << 10;
    });
    from_either_side(&pair, |one, other| {
        // Room for two at a time.
        for _ in 0..COUNT {
            one.send(vec![1; 30_000]).unwrap();
        }
        assert_eq!(receive(&other).len(), 30_000);
        assert_eq!(other.recv_on_timeout(9, SHORT).unwrap_err(), RecvError::TimedOut);
        let report = one.close_within(0, SHORT);
        let [zero] = &report.channels[..] else { panic!("{report:?}") };
        assert!(!report.all_taken() && report.cut_short.is_none());
        assert_eq!((zero.taken, zero.arrived_unread, zero.not_arrived), (1, 2, COUNT - 3));
        assert_eq!((zero.first_unread, zero.first_missing), (Some(MessageId(1)), Some(MessageId(3))));
    });
}

/// How a peer may end it, and what that is to the other side.
type Ending = (fn(&Connection), End);

pub(crate) fn a_close_that_waits_ends_with_its_report_when_the_peer_ends(pair: Pair) {
    let endings: [Ending; 2] = [
        (|conn| conn.abort(7), End::AbortedByPeer { code: 7 }),
        (|conn| drop(conn.close_within(8, Duration::ZERO)), End::ClosedByPeer { code: 8 }),
    ];
    for (ending, end) in endings {
        from_either_side(&pair, |one, other| {
            one.send("unread").unwrap();
            one.flush_timeout(STUCK).unwrap();
            let closing = one.clone();
            let closer = pair.beside(move || closing.close_within(0, STUCK));
            // Long enough for the close to be waiting.
            assert_eq!(other.recv_on_timeout(9, SHORT).unwrap_err(), RecvError::TimedOut);
            ending(&other);
            let report = closer.join().unwrap();
            assert_eq!(report.cut_short, Some(end), "nothing else cuts a linger of a minute short");
            let [zero] = &report.channels[..] else { panic!("{report:?}") };
            assert_eq!((zero.taken, zero.arrived_unread, zero.not_arrived), (0, 1, 0));
            assert_eq!(zero.first_unread, Some(MessageId(0)));
            assert_eq!(end_of(&one), end);
        });
    }
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
    from_either_side(&pair, |one, other| {
        one.send("unread").unwrap();
        one.flush_timeout(STUCK).unwrap();
        one.abort(77);
        assert_eq!(end_of(&other), End::AbortedByPeer { code: 77 });
        assert_eq!(one.recv_timeout(STUCK).unwrap_err(), RecvError::Ended(End::Aborted { code: 77 }));
        let report = one.close(0);
        assert_eq!((report.channels[0].arrived_unread, report.cut_short), (1, Some(End::Aborted { code: 77 })));
        assert_eq!(other.close(0).cut_short, Some(End::AbortedByPeer { code: 77 }));
    });
}

pub(crate) fn dropping_the_last_handle_closes_in_the_background(pair: Pair) {
    from_either_side(&pair, |one, other| {
        let clone = one.clone();
        one.send("still").unwrap();
        drop(one);
        assert_eq!(receive(&other), "still");
        clone.send("goes").unwrap();
        drop(clone);
        assert_eq!(receive(&other), "goes");
        assert_eq!(end_of(&other), End::ClosedByPeer { code: 0 });
    });
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

pub(crate) fn both_sides_close_at_once_with_messages_under_way(pair: Pair) {
    const COUNT: usize = 200;
    let (client, server) = pair.connect();
    for conn in [&client, &server] {
        for at in 0..COUNT {
            conn.send(content(at, 5_000)).unwrap();
        }
    }
    let sides = [(client, 1), (server, 2)].map(|(conn, code)| {
        let (reading, closing) = (conn.clone(), conn);
        let reader = pair.beside(move || {
            let mut read = 0;
            while let Ok(message) = reading.recv_timeout(STUCK) {
                assert!(bytes_of(message) == content(read, 5_000), "message {read}");
                read += 1;
            }
            read
        });
        let closer = pair.beside(move || closing.close_within(code, STUCK));
        (reader, closer)
    });
    let [(read_by_client, client), (read_by_server, server)] =
        sides.map(|(reader, closer)| (reader.join().unwrap() as u64, closer.join().unwrap()));
    // Whoever closed first had everything taken; the other's close may have been ended by that.
    let whole = |report: &CloseReport| report.all_taken() && report.cut_short.is_none();
    assert!(whole(&client) || whole(&server), "{client:?} {server:?}");
    for (report, read, end) in [
        (client, read_by_server, End::ClosedByPeer { code: 2 }),
        (server, read_by_client, End::ClosedByPeer { code: 1 }),
    ] {
        assert!(whole(&report) || report.cut_short == Some(end), "{report:?}");
        let zero = &report.channels[0];
        assert_eq!(zero.taken + zero.arrived_unread + zero.not_arrived, COUNT as u64, "{report:?}");
        assert!(zero.taken <= read, "{} taken, {read} read", zero.taken);
    }
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
