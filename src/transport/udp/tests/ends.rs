//! How connections end, and what the ends are told.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::loopback::apart;
use super::{LONG, bind, config, connect, loopback, pair, pair_with, transports};
use crate::message::{End, Limits, SendError};
use crate::transport::{AcceptError, BindError, Config, ConnectError, Connection, FlushError, Listener, RecvError};

/// Long enough for loopback, short enough for a test.
const SHORT: Duration = Duration::from_millis(200);

#[test]
fn a_close_reports_what_was_taken_and_the_peer_gets_everything_before_the_end() {
    let (near, far) = pair();
    for i in 0..3 {
        near.send(vec![i]).unwrap();
    }
    let taker = far.transport().clone().spawn("taker", move || {
        let bodies: Vec<_> =
            std::iter::from_fn(|| far.recv_timeout(LONG).ok()).map(|m| m.into_bytes(1).unwrap()).collect();
        (bodies, far.recv().unwrap_err())
    });
    let report = near.close(5);
    assert!(report.all_taken(), "{report:?}");
    assert_eq!((report.channels.len(), report.channels[0].taken), (1, 3));
    let (bodies, end) = taker.unwrap().join().unwrap();
    assert_eq!(bodies.concat(), [0, 1, 2]);
    assert_eq!(end, RecvError::Ended(End::ClosedByPeer { code: 5 }));
    assert_eq!(near.send(vec![4]).unwrap_err(), SendError::Ended(End::Closed { code: 5 }));
}

#[test]
fn a_close_whose_peer_takes_nothing_ends_with_its_linger_and_says_so() {
    let (near, far) = pair();
    near.send(vec![1]).unwrap();
    let report = near.close_within(1, SHORT);
    assert_eq!(report.channels[0].arrived_unread, 1);
    assert!(!report.all_taken());
    assert_eq!(far.recv_timeout(LONG).unwrap().into_bytes(1).unwrap(), [1].as_slice());
}

#[test]
fn an_abort_from_another_thread_ends_every_blocked_call() {
    let (near, far) = pair();
    let transport = near.transport().clone();
    let receiver = near.clone();
    let receiving = transport.spawn("recv", move || receiver.recv().unwrap_err()).unwrap();
    let sender = near.clone();
    // The peer takes nothing: sooner or later the queue is full and this blocks.
    let sending = transport.spawn("send", move || {
        loop {
            if let Err(error) = sender.send(vec![0; 1 << 20]) {
                return error;
            }
        }
    });
    while !near.try_send_on(1, 0, vec![0; 1 << 20]).is_err_and(|error| error == SendError::WouldBlock) {}
    near.abort(3);
    assert_eq!(receiving.join().unwrap(), RecvError::Ended(End::Aborted { code: 3 }));
    assert_eq!(sending.unwrap().join().unwrap(), SendError::Ended(End::Aborted { code: 3 }));
    loop {
        match far.recv_timeout(LONG) {
            Ok(_) => {}
            Err(error) => break assert_eq!(error, RecvError::Ended(End::AbortedByPeer { code: 3 })),
        }
    }
}

#[test]
fn a_flush_succeeds_where_the_peer_took_everything_and_left_and_fails_where_it_did_not() {
    let (near, far) = pair();
    near.send(vec![1]).unwrap();
    assert!(far.recv_timeout(LONG).is_ok());
    assert!(far.close(0).all_taken());
    assert_eq!(near.recv().unwrap_err(), RecvError::Ended(End::ClosedByPeer { code: 0 }));
    near.flush().unwrap();

    let limits = Limits { credit_connection: 1 << 20, credit_channel: 1 << 20, ..Limits::default() };
    let (near, far) = pair_with(&Config { limits, ..config() });
    // More than the credit covers, and nobody takes any: the rest cannot arrive.
    while near.try_send_on(0, 0, vec![0; 1 << 16]).is_ok() {}
    assert_eq!(near.flush_timeout(SHORT).unwrap_err(), FlushError::TimedOut);
    far.abort(4);
    assert_eq!(near.flush().unwrap_err(), FlushError::Ended(End::AbortedByPeer { code: 4 }));
}

#[test]
fn dropping_the_last_handle_closes_in_the_background() {
    let (near, far) = pair();
    near.send(vec![1]).unwrap();
    drop(near);
    assert_eq!(far.recv_timeout(LONG).unwrap().into_bytes(1).unwrap(), [1].as_slice());
    assert_eq!(far.recv_timeout(LONG).unwrap_err(), RecvError::Ended(End::ClosedByPeer { code: 0 }));
}

#[test]
fn nobody_listening_is_said_and_silence_times_out() {
    let free = UdpSocket::bind(apart()).unwrap().local_addr().unwrap();
    let caller = bind(loopback(), config()).unwrap();
    assert!(matches!(Connection::connect(&caller, free), Err(ConnectError::Unreachable { .. })));

    let silent = UdpSocket::bind(loopback()).unwrap();
    let caller = bind(loopback(), Config { connect_timeout: SHORT, ..config() }).unwrap();
    let result = Connection::connect(&caller, silent.local_addr().unwrap());
    assert!(matches!(result, Err(ConnectError::TimedOut { .. })), "{result:?}");
    let result = Connection::connect(&caller, SocketAddr::from(([0; 16], 9)));
    assert!(matches!(result, Err(ConnectError::Address { .. })), "{result:?}");
}

#[test]
fn nobody_listening_at_an_ipv4_address_is_said_by_a_socket_for_both_families() {
    // As the tool binds it, for a name that has addresses of both.
    let Ok(caller) = bind(SocketAddr::from(([0; 16], 0)), config()) else { return eprintln!("skipped: no IPv6 here") };
    let free = UdpSocket::bind(apart()).unwrap().local_addr().unwrap();
    let result = Connection::connect(&caller, free);
    assert!(matches!(result, Err(ConnectError::Unreachable { .. })), "{result:?}");
}

#[test]
fn a_refused_connection_ends_with_the_refusers_code() {
    let (caller, listener) = transports(&config());
    let near = Connection::connect(&caller, listener.local_addr()).unwrap();
    let incoming = listener.incoming_timeout(LONG).unwrap();
    assert_eq!(incoming.peer_addr(), Some(caller.local_addr()));
    incoming.refuse(77);
    assert_eq!(near.recv_timeout(LONG).unwrap_err(), RecvError::Ended(End::RefusedByPeer { code: 77 }));
}

#[test]
fn beyond_the_backlog_callers_are_refused_as_busy() {
    let (caller, listener) = transports(&Config { backlog: 2, ..config() });
    let held: Vec<_> = (0..2).map(|_| Connection::connect(&caller, listener.local_addr()).unwrap()).collect();
    let result = Connection::connect(&caller, listener.local_addr());
    assert!(matches!(result, Err(ConnectError::RefusedByLibrary { .. })), "{result:?}");
    drop(held);
}

#[test]
fn an_address_in_use_and_one_that_is_not_ours_are_told_apart() {
    let first = bind(loopback(), config()).unwrap();
    assert!(matches!(bind(first.local_addr(), config()), Err(BindError::AddressInUse { .. })));
    let foreign = SocketAddr::from(([192, 0, 2, 1], 0));
    assert!(matches!(bind(foreign, config()), Err(BindError::AddressNotAvailable { .. })));
}

#[test]
fn an_address_is_free_again_when_its_transport_is_dropped() {
    let (_, listener) = transports(&config());
    let near = Connection::connect(&bind(apart(), config()).unwrap(), listener.local_addr()).unwrap();
    let addr = near.local_addr();
    let _far = listener.accept_timeout(LONG).unwrap();
    // The closer knows that its peer knows; the peer itself lingers a little, for whom its last word may not reach.
    assert!(near.close(0).all_taken());
    drop(near);
    drop(bind(addr, config()).unwrap());
    drop(bind(addr, config()).unwrap());
}

#[test]
fn a_transport_without_a_backlog_accepts_nobody() {
    let listener = Listener::new(bind(loopback(), Config { backlog: 0, ..config() }).unwrap());
    assert_eq!(listener.accept().unwrap_err(), AcceptError::NotListening);
    let caller = bind(loopback(), Config { connect_timeout: SHORT, ..config() }).unwrap();
    assert!(Connection::connect(&caller, listener.local_addr()).is_err());
}

#[test]
fn addresses_of_ipv6_work_and_a_transport_on_all_of_them_takes_ipv4_too() {
    let all = SocketAddr::from(([0; 16], 0));
    let listener = Listener::new(bind(all, config()).unwrap());
    let port = listener.local_addr().port();
    let caller = bind(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0)), config()).unwrap();
    let near = Connection::connect(&caller, SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))).unwrap();
    assert_eq!(listener.accept_timeout(LONG).unwrap().peer_addr(), Some(caller.local_addr()));
    drop(near);

    let caller = bind(loopback(), config()).unwrap();
    let to = SocketAddr::from(([127, 0, 0, 3], port));
    let near = Connection::connect(&caller, to).unwrap();
    let far = listener.accept_timeout(LONG).unwrap();
    assert_eq!((near.peer_addr(), far.peer_addr()), (Some(to), Some(caller.local_addr())));
    // And the other way: from the IPv6 socket to an IPv4 address.
    let (_caller, v4) = transports(&config());
    let (near, far) = connect(listener.transport(), &v4);
    near.send(vec![1]).unwrap();
    assert_eq!(far.recv_timeout(LONG).unwrap().into_bytes(1).unwrap(), [1].as_slice());
}
