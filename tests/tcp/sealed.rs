//! Whoever sits between two sealed sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use udpair::message::End;
use udpair::transport::{ConnectError, RecvError};
use udpair::{Config, Connection, Listener, Psk, Transport};

use crate::raw::{Raw, STUCK, accept, loopback};
use crate::relay::{Relay, Side};

fn bind(psk: &Psk) -> Arc<dyn Transport> {
    udpair::tcp::bind(loopback(), Config::psk(psk)).expect("a TCP socket on loopback")
}

fn echo(conn: &Connection, served: &Connection, word: &str) {
    conn.send(word.to_owned()).unwrap();
    assert_eq!(served.recv_timeout(STUCK).unwrap().into_bytes(100).unwrap(), word);
    served.send(word.to_owned()).unwrap();
    assert_eq!(conn.recv_timeout(STUCK).unwrap().into_bytes(100).unwrap(), word);
}

fn drops(transport: &Arc<dyn Transport>) -> Vec<(&'static str, u64)> {
    transport.transport_stats().drops
}

#[test]
fn a_flipped_bit_ends_its_connection_and_no_other() {
    let psk = Psk::generate().unwrap();
    let (server, client) = (bind(&psk), bind(&psk));
    let other = Connection::connect(&client, server.local_addr()).unwrap();
    let other_served = accept(&server);
    echo(&other, &other_served, "before");
    for (round, side) in (1..).zip([Side::Caller, Side::Listener]) {
        let meddles = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&meddles);
        let relay = Relay::over_tcp(server.local_addr(), move |from, bytes| {
            if from == side && told.load(Ordering::SeqCst) {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            }
        });
        let conn = Connection::connect(&client, relay.addr).unwrap();
        let served = accept(&server);
        echo(&conn, &served, "as it was sent");
        meddles.store(true, Ordering::SeqCst);
        let (sender, receiver) = if side == Side::Caller { (&conn, &served) } else { (&served, &conn) };
        sender.send("changed").unwrap();
        let error = receiver.recv_timeout(STUCK).unwrap_err();
        assert_eq!(error, RecvError::Ended(End::Broken));
        // Its stream ends without a word, and that is what the sender gets.
        assert_eq!(sender.recv_timeout(STUCK).unwrap_err(), RecvError::Ended(End::Broken));
        let (at, elsewhere) = if side == Side::Caller { (&server, &client) } else { (&client, &server) };
        assert_eq!(drops(at), [("forged", 1)], "round {round}");
        assert_eq!(drops(elsewhere), if round == 1 { vec![] } else { vec![("forged", 1)] });
        echo(&other, &other_served, "after");
    }
}

#[test]
fn a_call_that_is_turned_round_connects_nobody_with_himself() {
    let psk = Psk::generate().unwrap();
    let both = bind(&psk);
    let relay = Relay::over_tcp(both.local_addr(), |_, _| {});
    let error = Connection::connect(&both, relay.addr).unwrap_err();
    assert!(matches!(error, ConnectError::Ended { end: End::Broken, .. }), "{error:?}");
    assert!(Listener::new(Arc::clone(&both)).try_accept().unwrap().is_none());
    assert_eq!(drops(&both), [("reflected", 1)]);
}

#[test]
fn a_recorded_stream_connects_nobody() {
    let psk = Psk::generate().unwrap();
    let (server, client) = (bind(&psk), bind(&psk));
    let relay = Relay::over_tcp(server.local_addr(), |_, _| {});
    let conn = Connection::connect(&client, relay.addr).unwrap();
    let served = accept(&server);
    echo(&conn, &served, "said once");
    conn.close(0);
    let said: Vec<u8> =
        relay.seen().into_iter().filter(|(side, _)| *side == Side::Caller).flat_map(|(_, bytes)| bytes).collect();
    // To the same listener, and to another one that has the key.
    let another = bind(&psk);
    for listener in [&server, &another] {
        let mut raw = Raw::connect(listener);
        raw.write(&said);
        raw.until_ended();
        assert!(Listener::new(Arc::clone(listener)).try_accept().unwrap().is_none());
        assert_eq!(drops(listener), [("stranger", 1)]);
    }
}
