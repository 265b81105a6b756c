//! What goes wrong, and how it is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use udpair::message::{End, Limits, SendError};
use udpair::transport::{AcceptError, BindError, ConnectError, FlushError, Incoming, RecvError};
use udpair::wire::RefuseCode;
use udpair::{Connection, Listener};

use crate::pair::{Pair, SHORT, STUCK, content, end_of, receive, receive_on};

pub(crate) fn nobody_listens(pair: Pair) {
    let gone = pair.another_apart().local_addr();
    // Over UDP the half second of silence that makes sure of it has to fit in; nothing else is waited for.
    let pair = pair.with(|config| config.connect_timeout = STUCK);
    let error = Connection::connect(&pair.client, gone).unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { remote } if remote == gone), "{error:?}");
}

pub(crate) fn an_application_refuses_or_drops_what_comes_in(pair: Pair) {
    let listener = Listener::new(Arc::clone(&pair.server));
    let answers: [(fn(Incoming), u32); 2] = [(drop, 0), (|incoming| incoming.refuse(9), 9)];
    for (answer, its_code) in answers {
        let client = Connection::connect(&pair.client, pair.server.local_addr());
        answer(listener.incoming_timeout(STUCK).unwrap());
        match client {
            Ok(client) => assert_eq!(end_of(&client), End::RefusedByPeer { code: its_code }),
            Err(error) => assert!(matches!(error, ConnectError::Refused { code, .. } if code == its_code), "{error:?}"),
        }
    }
}

pub(crate) fn a_full_backlog_refuses_as_busy(pair: Pair) {
    let server = pair.another(|config| config.backlog = 3);
    let mut held = Vec::new();
    let refused = loop {
        match Connection::connect(&pair.client, server.local_addr()) {
            Ok(client) => held.push(client),
            Err(error) => break error,
        }
        assert!(held.len() <= 3, "more than the backlog got in");
    };
    assert!(matches!(refused, ConnectError::RefusedByLibrary { reason: RefuseCode::Busy, .. }), "{refused:?}");
    assert!(
        refused.to_string().ends_with("refused the connection: it has no room for another connection now"),
        "{refused}"
    );
    // Room again: the next one gets in.
    let listener = Listener::new(server);
    let _accepted = listener.accept_timeout(STUCK).unwrap();
    held.push(Connection::connect(&pair.client, listener.local_addr()).unwrap());
}

pub(crate) fn a_receive_times_out_and_the_connection_lives(pair: Pair) {
    let (client, server) = pair.connect();
    assert_eq!(server.recv_timeout(SHORT).unwrap_err(), RecvError::TimedOut);
    assert!(server.try_recv().unwrap().is_none());
    client.send("alive").unwrap();
    assert_eq!(receive(&server), "alive");
}

pub(crate) fn a_flush_times_out_while_nothing_arrives(pair: Pair) {
    let pair = pair.with(|config| config.limits = small_credit());
    let (client, server) = pair.connect();
    // More than the receiver has room for, and it does not read.
    for _ in 0..8 {
        client.send(vec![1; 32 << 10]).unwrap();
    }
    assert_eq!(client.flush_timeout(SHORT), Err(FlushError::TimedOut));
    for _ in 0..8 {
        assert_eq!(receive(&server).len(), 32 << 10);
    }
    client.flush_timeout(STUCK).unwrap();
}

pub(crate) fn a_send_times_out_while_the_queue_is_full_and_the_connection_lives(pair: Pair) {
    let pair = pair.with(|config| config.limits = Limits { send_queue: 64 << 10, ..small_credit() });
    let (client, server) = pair.connect();
    // What the peer grants, and then our own queue.
    let mut sent = 0_usize;
    let full = loop {
        match client.send_on_timeout(3, 7, content(sent, 16 << 10), SHORT) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1_000, "a queue without end");
    };
    assert_eq!(full, SendError::TimedOut);
    assert_eq!(std::io::Error::from(full).kind(), std::io::ErrorKind::TimedOut);
    // Nothing of the one that was too late is on its way, and everything before it is.
    for at in 0..sent {
        assert!(receive_on(&server, 3) == content(at, 16 << 10), "message {at} of {sent}");
    }
    client.send_on_timeout(3, 7, "there is room again", STUCK).unwrap();
    assert_eq!(receive_on(&server, 3), "there is room again");
    client.send_timeout("on channel 0", STUCK).unwrap();
    assert_eq!(receive(&server), "on channel 0");
}

fn small_credit() -> Limits {
    Limits { credit_connection: 64 << 10, credit_channel: 64 << 10, ..Limits::default() }
}

pub(crate) fn an_address_in_use_is_told(pair: Pair) {
    let taken = pair.server.local_addr();
    assert!(matches!(pair.bind(taken).err(), Some(BindError::AddressInUse { addr }) if addr == taken));
    let elsewhere = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 0));
    assert!(matches!(pair.bind(elsewhere).err(), Some(BindError::AddressNotAvailable { .. })));
}

pub(crate) fn a_transport_that_does_not_listen_says_so(pair: Pair) {
    let deaf = pair.another(|config| config.backlog = 0);
    let listener = Listener::new(Arc::clone(&deaf));
    assert!(matches!(listener.try_accept(), Err(AcceptError::NotListening)));
    let client = pair.another(|config| config.connect_timeout = Duration::from_millis(200));
    assert!(Connection::connect(&client, deaf.local_addr()).is_err());
    // It can still call.
    let conn = Connection::connect(&deaf, pair.server.local_addr()).unwrap();
    conn.send("hello").unwrap();
    let accepted = Listener::new(Arc::clone(&pair.server)).accept_timeout(STUCK).unwrap();
    assert_eq!(receive(&accepted), "hello");
}

pub(crate) fn an_idle_connection_between_living_peers_outlives_its_timeout(pair: Pair) {
    // Each has two thirds of it to answer, and shall manage on a machine that is busy with other things.
    let idle_timeout = Duration::from_secs(2);
    let pair = pair.with(|config| config.idle_timeout = idle_timeout);
    // Both keep each other alive while there is nothing to say.
    let (client, server) = pair.connect();
    assert_eq!(client.recv_timeout(idle_timeout * 3 / 2).unwrap_err(), RecvError::TimedOut);
    client.send("alive").unwrap();
    assert_eq!(receive(&server), "alive");
}
