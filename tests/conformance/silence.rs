//! Peers of which nothing is heard any more, or never was enough.

use std::sync::Arc;
use std::time::Duration;

use udpair::message::{End, MessageId, SendError};
use udpair::transport::{ConnectError, FlushError, RecvError};
use udpair::wire::RefuseCode;
use udpair::{Connection, Listener};

use crate::half_open::HalfOpen;
use crate::pair::{Pair, STUCK, end_of, receive};

/// How long who says nothing any more is waited for. A living peer has two thirds of it to answer, for which 300 ms
/// were too short on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often one calls who is told that there is no room yet.
const CALLS_MAX: usize = 50;

fn impatient(pair: Pair) -> Pair {
    pair.with(|config| config.idle_timeout = PATIENCE)
}

pub(crate) fn a_peer_that_falls_silent_is_given_up_by_both_who_wait(pair: Pair) {
    let pair = impatient(pair);
    let path = pair.path();
    let (client, server) = pair.connect_at(path.addr);
    client.send("heard").unwrap();
    assert_eq!(receive(&server), "heard");
    path.cut();
    let waiting = server.clone();
    let other = pair.beside(move || end_of(&waiting));
    assert_eq!(end_of(&client), End::TimedOut);
    assert_eq!(other.join().unwrap(), End::TimedOut);
    assert_eq!(client.send("late"), Err(SendError::Ended(End::TimedOut)));
    assert_eq!(server.recv_timeout(STUCK).unwrap_err(), RecvError::Ended(End::TimedOut), "the end stays the end");
}

pub(crate) fn what_a_silent_peer_never_got_is_reported(pair: Pair) {
    let pair = impatient(pair);
    // Either side may be the one that closes; the silence of both peers passes at the same time.
    let heard = [false, true].map(|server_side| {
        let path = pair.path();
        let (client, server) = pair.connect_at(path.addr);
        let (one, other) = if server_side { (server, client) } else { (client, server) };
        one.send("heard").unwrap();
        assert_eq!(receive(&other), "heard");
        one.flush_timeout(STUCK).unwrap();
        (path, one, other)
    });
    let closing = heard.map(|(path, one, other)| {
        path.cut();
        one.send("unheard").unwrap();
        one.send_on(4, 0, "unheard").unwrap();
        let closing = one.clone();
        (path, one, other, pair.beside(move || closing.close(0)))
    });
    for (_path, one, other, closer) in closing {
        let report = closer.join().unwrap();
        assert_eq!(report.cut_short, Some(End::TimedOut));
        let [zero, four] = &report.channels[..] else { panic!("{report:?}") };
        assert_eq!((zero.not_arrived, zero.first_missing), (1, Some(MessageId(1))));
        assert_eq!((four.taken, four.not_arrived, four.first_missing), (0, 1, Some(MessageId(0))));
        assert_eq!(one.flush(), Err(FlushError::Ended(End::TimedOut)));
        assert_eq!(end_of(&other), End::TimedOut);
    }
}

pub(crate) fn a_call_that_nobody_answers_times_out(pair: Pair) {
    let pair = pair.with(|config| config.connect_timeout = Duration::from_millis(300));
    let path = pair.path();
    path.cut();
    let error = Connection::connect(&pair.client, path.addr).unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { remote } if remote == path.addr), "{error:?}");
}

pub(crate) fn half_open_peers_do_not_hold_up_others(pair: Pair) {
    let pair = pair.with(|config| {
        config.backlog = 3;
        config.connect_timeout = Duration::from_millis(300);
    });
    // As many as may wait to be accepted.
    let half_open: Vec<HalfOpen> = (0..3).map(|_| HalfOpen::new(&pair)).collect();
    // Over UDP they take the backlog's places until they are 250 ms old; whoever comes then gets one of them. A call
    // that hears for half a second that there is none gives up: on a busy machine all its tries may have been early.
    let patient = pair.another(|config| config.backlog = 0);
    let client = (0..CALLS_MAX).find_map(|_| match Connection::connect(&patient, pair.server.local_addr()) {
        Err(ConnectError::RefusedByLibrary { reason: RefuseCode::Busy, .. }) => None,
        called => Some(called.unwrap()),
    });
    let client = client.expect("those who say nothing give way");
    let listener = Listener::new(Arc::clone(&pair.server));
    let server = listener.accept_timeout(STUCK).unwrap();
    client.send("through").unwrap();
    assert_eq!(receive(&server), "through");
    assert!(listener.try_accept().unwrap().is_none(), "who never finished is no connection");
    for peer in half_open {
        peer.check_given_up();
    }
    server.send("still").unwrap();
    assert_eq!(receive(&client), "still");
}
