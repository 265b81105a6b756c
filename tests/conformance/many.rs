//! Many connections, many threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use udpair::message::Select;
use udpair::transport::{Body, Interest};
use udpair::{Connection, Listener};

use crate::pair::{Pair, STUCK, bytes_of, content, receive};

/// Connections in [`many_connections_are_served_by_one_waiting_thread`].
const MANY: usize = 1_000;

/// What a run of that many connections needs of file descriptors, at the most (TCP: both ends and some).
const DESCRIPTORS: u64 = 2 * MANY as u64 + 200;

/// Raises the soft limit of descriptors. False, with the reason said, where that is not allowed.
fn descriptors() -> bool {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= DESCRIPTORS) {
        return true;
    }
    let raised = Rlimit { current: Some(DESCRIPTORS), maximum: limit.maximum };
    let ok = setrlimit(Resource::Nofile, raised).is_ok();
    if !ok {
        println!("skipped: {DESCRIPTORS} descriptors are needed, {:?} are allowed", limit.maximum);
    }
    ok
}

pub(crate) fn many_connections_are_served_by_one_waiting_thread(pair: Pair) {
    if !descriptors() {
        return;
    }
    let pair = pair.with(|config| config.backlog = MANY);
    let server = Arc::clone(&pair.server);
    let serving = pair.beside(move || {
        let listener = Listener::new(Arc::clone(&server));
        let mut connections: BTreeMap<_, Connection> = BTreeMap::new();
        let mut echoed = 0;
        while echoed < 2 * MANY {
            let until = Some(server.now() + STUCK);
            let ready = server.wait(&[Interest::Incoming, Interest::AnyConnection], until).unwrap();
            if ready.index == 0 {
                while let Some(conn) = listener.try_accept().unwrap() {
                    connections.insert(conn.id(), conn);
                }
                continue;
            }
            let id = ready.connection.unwrap();
            let Some(conn) = connections.get(&id) else { continue };
            if let Ok(Some(arrival)) = server.recv(id, Select::Any) {
                let udpair::message::ArrivalBody::Whole(bytes) = arrival.body else { panic!("a stream") };
                conn.send(bytes).unwrap();
                echoed += 1;
            }
        }
        connections
    });
    let clients: Vec<Connection> =
        (0..MANY).map(|_| Connection::connect(&pair.client, pair.server.local_addr()).unwrap()).collect();
    for round in 0..2 {
        for (at, client) in clients.iter().enumerate() {
            client.send(content(at + round, 50)).unwrap();
        }
        for (at, client) in clients.iter().enumerate() {
            assert_eq!(receive(client), content(at + round, 50));
        }
    }
    assert_eq!(serving.join().unwrap().len(), MANY);
}

pub(crate) fn one_thread_sends_while_another_receives(pair: Pair) {
    let (client, server) = pair.connect();
    let echo = pair.beside(move || {
        for _ in 0..3_000 {
            let message = server.recv_timeout(STUCK).unwrap();
            let Body::Whole(bytes) = message.body else { panic!("a stream") };
            server.send(bytes).unwrap();
        }
        server
    });
    let sending = client.clone();
    let sender = pair.beside(move || {
        for at in 0..3_000 {
            sending.send(content(at, 300)).unwrap();
        }
    });
    for at in 0..3_000 {
        assert_eq!(receive(&client), content(at, 300));
    }
    sender.join().unwrap();
    let _server = echo.join().unwrap();
}

pub(crate) fn many_threads_share_one_connection(pair: Pair) {
    let (client, server) = pair.connect();
    let threads: Vec<_> = (0..8u16)
        .map(|channel| {
            let (sending, receiving) = (client.clone(), server.clone());
            let sender = pair.beside(move || {
                for at in 0..300 {
                    sending.send_on(channel, 0, content(at + usize::from(channel), 700)).unwrap();
                }
            });
            let receiver = pair.beside(move || {
                for at in 0..300 {
                    let message = receiving.recv_on_timeout(channel, STUCK).unwrap();
                    assert_eq!(message.id.0, at as u64);
                    assert_eq!(bytes_of(message), content(at + usize::from(channel), 700));
                }
            });
            [sender, receiver]
        })
        .collect();
    for thread in threads.into_iter().flatten() {
        thread.join().unwrap();
    }
    assert!(client.close(0).all_taken());
}
