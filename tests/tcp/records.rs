//! A peer written by hand from the specification, and what it sees.

use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use udpair::Connection;
use udpair::message::{End, State, Violation};
use udpair::transport::RecvError;
use udpair::wire::{CloseKind, Frame, Mode, Packet, Record, RecordKind, RefuseCode};

use crate::raw::{RANDOM, Raw, SHORT, STUCK, accept, bind, frames, hello, loopback, message, record};

fn end_of(conn: &Connection) -> End {
    loop {
        match conn.recv_timeout(STUCK) {
            Ok(_) => {}
            Err(RecvError::Ended(end)) => return end,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_conversation_from_hello_to_the_end_of_both_streams() {
    let server = bind(|_| {});
    let (mut raw, conn) = Raw::established(&server);
    raw.write(&frames(&[message(0, b"ask")]));
    assert_eq!(conn.recv().unwrap().into_bytes(10).unwrap(), "ask");
    conn.send("answer").unwrap();
    assert_eq!(raw.words(), ["RECEIVED 1", "TAKEN", "DATA 0 6"]);
    raw.write(&frames(&[Frame::Received { count: 1 }, Frame::Close { kind: CloseKind::Close, code: 4 }]));
    assert_eq!(end_of(&conn), End::ClosedByPeer { code: 4 });
    // The last record tells that the CLOSE was heard, and with it that stream ends; ours may follow when it likes.
    assert_eq!(raw.words_to_the_end(), ["RECEIVED 2"]);
    raw.stream.shutdown(Shutdown::Write).unwrap();
}

#[test]
fn a_close_of_the_library_ends_its_stream_and_discards_what_still_comes() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let addr = listener.local_addr().unwrap();
    let peer = std::thread::spawn(move || {
        let mut raw = Raw::granting(&listener);
        assert_eq!(raw.words(), ["DATA 0 10"]);
        // Taken: message 0 of channel 0.
        let taken = record(RecordKind::Frames, |out| out.extend([8, 0, 1, 0, 1]));
        raw.write(&taken);
        raw.write(&frames(&[Frame::Received { count: 1 }]));
        assert_eq!(raw.words_to_the_end().last().unwrap(), "CLOSE close 7");
        // What crosses the CLOSE is of no interest and does no harm.
        raw.write(&frames(&[message(0, &[1; 60_000])]));
        raw.write(&frames(&[Frame::Received { count: 2 }]));
        raw.stream.shutdown(Shutdown::Write).unwrap();
        raw.until_ended();
    });
    let client = bind(|config| config.backlog = 0);
    let conn = Connection::connect(&client, addr).unwrap();
    conn.send(vec![5; 10]).unwrap();
    let report = conn.close_within(7, STUCK);
    assert!(report.all_taken(), "{report:?}");
    assert_eq!(report.cut_short, None);
    peer.join().unwrap();
}

#[test]
fn a_peer_that_keeps_its_stream_open_after_our_close_does_not_hold_us_up() {
    let server = bind(|_| {});
    let (mut raw, conn) = Raw::established(&server);
    conn.close(3);
    assert_eq!(raw.words_to_the_end(), ["CLOSE close 3"]);
    drop(conn);
    // The socket is dropped all the same, a second later, and what is written then meets nobody.
    let mut wrote = 0;
    while std::io::Write::write(&mut raw.stream, &frames(&[Frame::Ping])).is_ok() {
        wrote += 1;
        assert!(wrote < 10_000_000, "the library keeps the socket");
        std::thread::yield_now();
    }
}

#[test]
fn a_receipt_goes_alone_when_nothing_else_does() {
    let server = bind(|_| {});
    let (mut raw, conn) = Raw::established(&server);
    // Nobody waits: the keeper sends it.
    raw.write(&frames(&[message(0, b"a")]));
    assert_eq!(raw.words(), ["RECEIVED 1"]);
    // Somebody takes it and waits: it goes at once, and what was taken with it.
    raw.write(&frames(&[message(1, b"b")]));
    conn.recv().unwrap();
    conn.recv().unwrap();
    assert!(matches!(conn.recv_timeout(SHORT), Err(RecvError::TimedOut)));
    let mut words = Vec::new();
    while !["RECEIVED 2", "TAKEN"].iter().all(|word| words.iter().any(|said| said == word)) {
        words.extend(raw.words());
    }
    assert!(!words.contains(&"PING".to_owned()), "only a sign of life brought it: {words:?}");
}

#[test]
fn a_connection_between_two_living_peers_stays_and_a_silent_one_does_not() {
    // Two thirds of it is what the living pair has to answer, on a machine that is busy with other things.
    let idle_timeout = Duration::from_secs(2);
    let server = bind(|config| config.idle_timeout = idle_timeout);
    let client = bind(|_| {});
    let living = Connection::connect(&client, server.local_addr()).unwrap();
    let served = accept(&server);
    let (mut raw, silent) = Raw::established(&server);
    assert_eq!(end_of(&silent), End::TimedOut);
    assert!(raw.words_to_the_end().contains(&"PING".to_owned()));
    assert!(matches!(living.recv_timeout(idle_timeout / 2), Err(RecvError::TimedOut)));
    assert_eq!((living.state(), served.state()), (State::Open, State::Open));
}

#[test]
fn a_stream_cut_under_us_is_broken_and_what_came_before_is_not_lost() {
    let server = bind(|_| {});
    for reset in [false, true] {
        let (mut raw, conn) = Raw::established(&server);
        raw.write(&frames(&[message(0, b"whole")]));
        assert_eq!(raw.words(), ["RECEIVED 1"]);
        let half = frames(&[message(1, &[1; 1_000])]);
        raw.write(&half[..500]);
        if reset {
            raw.reset();
        } else {
            drop(raw);
        }
        assert_eq!(conn.recv().unwrap().into_bytes(10).unwrap(), "whole");
        assert_eq!(end_of(&conn), End::Broken);
        conn.send("too late").unwrap_err();
    }
}

#[test]
fn what_came_before_the_stream_was_reset_is_read_even_by_a_side_that_is_writing() {
    let server = bind(|_| {});
    let (mut raw, conn) = Raw::established(&server);
    // The library has more to write than the stream takes.
    while conn.try_send_on(0, 0, vec![0; 1 << 20]).is_ok() {}
    raw.write(&frames(&[message(0, b"last words"), Frame::Close { kind: CloseKind::Abort, code: 8 }]));
    raw.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(conn.recv().unwrap().into_bytes(10).unwrap(), "last words");
    assert_eq!(end_of(&conn), End::AbortedByPeer { code: 8 });
}

#[test]
fn a_violation_is_told_and_ends_the_connection() {
    let server = bind(|_| {});
    let (mut raw, conn) = Raw::established(&server);
    raw.write(&frames(&[Frame::Received { count: 1 }]));
    assert_eq!(end_of(&conn), End::Violation(Violation::NeverSent));
    assert_eq!(raw.words_to_the_end(), ["CLOSE violation 7"]);
}

#[test]
fn a_flipped_bit_ends_the_stream_without_a_word() {
    let server = bind(|_| {});
    let (mut raw, conn) = Raw::established(&server);
    let mut bytes = frames(&[message(0, b"content")]);
    bytes[12] ^= 4;
    raw.write(&bytes);
    assert_eq!(end_of(&conn), End::Broken);
    raw.until_ended();
}

#[test]
fn a_full_backlog_and_another_version_are_refused_in_words() {
    let server = bind(|config| config.backlog = 1);
    let waiting = Connection::connect(&bind(|_| {}), server.local_addr()).unwrap();
    let mut raw = Raw::connect(&server);
    raw.write(&hello());
    let (kind, body) = raw.record().unwrap();
    assert_eq!(kind, RecordKind::Handshake);
    let Ok((_, Packet::Refuse(refuse))) = Packet::decode(&body) else { panic!("no REFUSE") };
    assert_eq!((refuse.client_random, refuse.code), (RANDOM, RefuseCode::Busy));
    assert!(raw.record().is_none());
    assert_eq!(waiting.state(), State::Open);

    let mut raw = Raw::connect(&server);
    raw.write(&in_version(2, &hello()));
    let mut answer = [0; 32];
    std::io::Read::read_exact(&mut raw.stream, &mut answer).unwrap();
    assert_eq!(answer[0] >> 4, 2);
    let answer = in_version(1, &answer);
    let record = Record::decode(Mode::Plain, &answer).unwrap().unwrap();
    let Ok((_, Packet::Refuse(refuse))) = Packet::decode(record.body) else { panic!("no REFUSE") };
    assert_eq!((refuse.client_random, refuse.code, refuse.version), (RANDOM, RefuseCode::Version, 1));
    raw.until_ended();
}

/// The record of a handshake packet as another version writes it.
fn in_version(version: u8, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let change = |first: &mut u8| *first = *first & 0x0f | version << 4;
    change(&mut bytes[0]);
    change(&mut bytes[4]);
    bytes.truncate(bytes.len() - 8);
    let packet = bytes.len();
    let crc = crc32fast::hash(&bytes[4..packet]);
    bytes.extend(crc.to_be_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes.extend(crc.to_be_bytes());
    bytes
}
