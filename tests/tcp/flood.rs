//! One peer that sends without an end, and others beside it.

use std::io::Write;

use udpair::Connection;
use udpair::wire::{Data, Delivery, Frame, MessageStart};

use crate::raw::{Raw, STUCK, accept, bind, frames};

#[test]
fn a_peer_that_floods_does_not_keep_the_others_from_their_answers() {
    const ECHOES: u32 = 200;
    let server = bind(|_| {});
    let (mut raw, flooding) = Raw::established(&server);
    let flood = std::thread::spawn(move || {
        // These take no credit: nothing but the server's turns holds them back.
        let start = MessageStart { delivery: Delivery::Unreliable, tag: 0, len: Some(1_000) };
        let data = Data { channel: 0, message: 0, offset: 0, start: Some(start), fin: true, payload: &[7; 1_000] };
        let flood = frames(&[Frame::Data(data); 60]).repeat(10);
        while raw.stream.write_all(&flood).is_ok() {}
    });
    let transport = bind(|config| config.backlog = 0);
    let client = Connection::connect(&transport, server.local_addr()).unwrap();
    let echo = accept(&server);
    let answers = std::thread::spawn(move || {
        for _ in 0..ECHOES {
            let body = echo.recv_timeout(STUCK).unwrap().into_bytes(4).unwrap();
            echo.send(body).unwrap();
        }
        echo
    });
    let before = flooding.stats().packets_received.unwrap();
    for at in 0..ECHOES {
        client.send(at.to_be_bytes().to_vec()).unwrap();
        let answer = client.recv_timeout(STUCK).unwrap().into_bytes(4).unwrap();
        assert_eq!(answer, at.to_be_bytes().as_slice());
    }
    // The other one had its turns meanwhile.
    assert!(flooding.stats().packets_received.unwrap() > before);
    answers.join().unwrap();
    flooding.abort(0);
    flood.join().unwrap();
}
