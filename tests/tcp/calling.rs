//! Calls: whom they reach, and what becomes of those that reach nobody.

use std::io::Write;
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use udpair::message::End;
use udpair::transport::{BindError, ConnectError};
use udpair::{Config, Connection, Listener, Transport};

use crate::loopback::apart;
use crate::raw::{Raw, SHORT, STUCK, accept, bind, loopback, many_descriptors};

/// What a call comes to when it is answered by `answer`.
fn call(answer: impl FnOnce(TcpStream) + Send + 'static) -> ConnectError {
    let listener = TcpListener::bind(loopback()).unwrap();
    let addr = listener.local_addr().unwrap();
    let peer = std::thread::spawn(move || answer(listener.accept().unwrap().0));
    let client = bind(|config| config.connect_timeout = 2 * SHORT);
    let error = Connection::connect(&client, addr).unwrap_err();
    peer.join().unwrap();
    error
}

#[test]
fn a_call_that_is_answered_by_somebody_else_fails() {
    let broken = |error| matches!(error, ConnectError::Ended { end: End::Broken, .. });
    assert!(broken(call(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap())));
    assert!(broken(call(drop)));
    assert!(broken(call(|stream| Raw::new(stream).reset())));
}

#[test]
fn a_call_that_is_not_answered_is_given_up() {
    let error = call(|stream| Raw::new(stream).until_ended());
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
}

#[test]
fn a_call_to_a_port_that_nobody_listens_on_fails_at_once() {
    let free = TcpListener::bind(apart()).unwrap().local_addr().unwrap();
    // The connect timeout would be the test's end.
    let client = bind(|config| config.connect_timeout = 10 * STUCK);
    let error = Connection::connect(&client, free).unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
}

#[test]
fn a_call_to_what_is_no_peers_address_does_not_begin() {
    let client = bind(|_| {});
    for remote in ["127.0.0.1:0", "0.0.0.0:5000", "224.0.0.1:5000", "[::1]:5000"] {
        let error = Connection::connect(&client, remote.parse().unwrap()).unwrap_err();
        assert!(matches!(error, ConnectError::Address { .. }), "{remote}: {error:?}");
    }
}

#[test]
fn a_call_goes_out_from_the_address_that_was_bound() {
    let server = bind(|_| {});
    let client = udpair::tcp::bind("127.0.0.2:0".parse().unwrap(), Config::insecure_plain()).unwrap();
    let _conn = Connection::connect(&client, server.local_addr()).unwrap();
    assert_eq!(accept(&server).peer_addr().unwrap().ip(), client.local_addr().ip());
}

#[test]
fn peers_of_both_families_reach_a_transport_bound_to_all_addresses() {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let Ok(server) = udpair::tcp::bind(any, Config::insecure_plain()) else {
        println!("skipped: no IPv6 here");
        return;
    };
    let port = server.local_addr().port();
    for remote in [SocketAddr::from((Ipv6Addr::LOCALHOST, port)), SocketAddr::from(([127, 0, 0, 1], port))] {
        let client = udpair::tcp::bind(any, Config::insecure_plain()).unwrap();
        let conn = Connection::connect(&client, remote).unwrap();
        let served = accept(&server);
        assert_eq!(served.peer_addr().unwrap().ip(), remote.ip());
        conn.send("hello").unwrap();
        assert_eq!(served.recv_timeout(STUCK).unwrap().into_bytes(10).unwrap(), "hello");
    }
}

#[test]
fn an_address_can_be_bound_again_as_soon_as_its_transport_is_gone() {
    let mut addr = apart();
    let client = bind(|_| {});
    for _ in 0..5 {
        let server = bind_when_it_is_gone(addr);
        addr = server.local_addr();
        let conn = Connection::connect(&client, addr).unwrap();
        let served = accept(&server);
        // The server ends it, so that its system remembers the connection (TIME_WAIT).
        let closing = std::thread::spawn(move || served.close(0));
        assert!(conn.recv_timeout(STUCK).is_err());
        closing.join().unwrap();
        drop(server);
    }
}

/// Its streams have a second to end in the background; what the system remembers of them it does for a minute.
fn bind_when_it_is_gone(addr: SocketAddr) -> Arc<dyn Transport> {
    let give_up = Instant::now() + STUCK;
    loop {
        match udpair::tcp::bind(addr, Config::insecure_plain()) {
            Err(BindError::AddressInUse { .. }) if Instant::now() < give_up => std::thread::yield_now(),
            bound => return bound.unwrap(),
        }
    }
}

#[test]
fn many_calls_at_once_are_all_answered() {
    const CALLS: usize = 400;
    if !many_descriptors() {
        return;
    }
    let server = bind(|config| config.backlog = CALLS);
    let client = bind(|config| config.backlog = 0);
    let calls: Vec<_> = (0..CALLS).map(|_| client.connect(server.local_addr()).unwrap()).collect();
    let listener = Listener::new(Arc::clone(&server));
    let accepting =
        std::thread::spawn(move || (0..CALLS).map(|_| listener.accept_timeout(STUCK).unwrap()).collect::<Vec<_>>());
    for id in calls {
        let until = Some(client.now() + STUCK);
        client.wait(&[udpair::transport::Interest::Connected(id)], until).unwrap();
        assert_eq!(client.state(id), udpair::message::State::Open);
    }
    assert_eq!(accepting.join().unwrap().len(), CALLS);
}
