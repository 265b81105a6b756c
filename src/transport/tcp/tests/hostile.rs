//! Peers that break the rules, and handshakes that come to nothing.

use proptest::prelude::*;

use super::pair::{CALLER, LISTENER, Pair, Side, answer, call, config, content, entropy, feed, identity, ms};
use crate::message::{End, State, Violation};
use crate::proto::security::{Guard, NO_INVITE, Security};
use crate::time::Timestamp;
use crate::transport::tcp::handshake::{self, Handshake, Outcome};
use crate::transport::tcp::link::Link;
use crate::wire::{
    ConnectionCid, Frame, Frames, Hello2, Mode, Packet, Params, Record, RecordKind, Refuse, RefuseCode, Share, VERSION,
    check_crc, finish_record, put_crc, start_record,
};

fn record(kind: RecordKind, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    record_in(Mode::Plain, kind, write)
}

fn record_in(mode: Mode, kind: RecordKind, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    start_record(&mut out, mode, kind);
    write(&mut out);
    finish_record(&mut out, 0);
    out
}

fn frames(frames: &[Frame<'_>]) -> Vec<u8> {
    record(RecordKind::Frames, |out| frames.iter().for_each(|frame| frame.put(out)))
}

fn handshake_record(packet: Packet<'_>) -> Vec<u8> {
    record(RecordKind::Handshake, |out| packet.put_handshake(Mode::Plain, out))
}

fn listener() -> Link {
    Link::listen(Timestamp::ZERO, config(), Mode::Plain)
}

/// What the link says, and whether the stream ends behind it.
fn output(link: Link) -> (Side, Vec<u8>, bool) {
    let mut side = Side::new(link);
    side.poll(Timestamp::ZERO);
    let (bytes, ends) = side.take(usize::MAX);
    (side, bytes, ends)
}

fn check_violation(bytes: &[u8], violation: Violation) {
    let mut pair = Pair::established();
    let link = &mut pair.sides[LISTENER].link;
    feed(link, pair.now, bytes);
    assert_eq!(link.messages().ended(), Some(End::Violation(violation)));
    // The peer is told how it broke the protocol, and that is the end.
    pair.run();
    let code = violation.code();
    assert_eq!(pair.sides[CALLER].link.messages().ended(), Some(End::ViolationByPeer { code }));
    assert!(pair.sides.iter().all(|side| side.link.is_gone()));
}

#[test]
fn a_receipt_for_a_record_never_sent_is_a_violation() {
    check_violation(&frames(&[Frame::Received { count: 1 }]), Violation::NeverSent);
    // One that was sent is none.
    let mut pair = Pair::established();
    pair.sides[LISTENER].send("a");
    pair.carry(LISTENER, usize::MAX);
    for count in [1, 0] {
        feed(&mut pair.sides[LISTENER].link, pair.now, &frames(&[Frame::Received { count }]));
        assert_eq!(pair.sides[LISTENER].link.messages().ended(), None);
        assert!(pair.sides[LISTENER].link.messages().flushed());
    }
    feed(&mut pair.sides[LISTENER].link, pair.now, &frames(&[Frame::Received { count: 2 }]));
    assert_eq!(pair.sides[LISTENER].link.messages().ended(), Some(End::Violation(Violation::NeverSent)));
}

#[test]
fn frames_and_records_out_of_place_are_violations() {
    // An ACK: largest 0, no delay, one block of one packet.
    check_violation(&record(RecordKind::Frames, |out| out.extend([2, 0, 0, 1, 1])), Violation::Misplaced);
    let hello = Hello2 {
        client_random: [7; 16],
        invite: [0; 8],
        cookie: None,
        client_cid: ConnectionCid(77),
        key_share: None,
        params: &[],
    };
    check_violation(&handshake_record(Packet::Hello2(hello)), Violation::Misplaced);
    let unreadable = Frames::new(&[0x0a]).next().unwrap().unwrap_err();
    check_violation(&record(RecordKind::Frames, |out| out.push(0x0a)), unreadable.into());
    check_violation(&frames(&[Frame::Ping, Frame::CreditChannel { channel: 9, limit: 1 }]), Violation::NeverSent);
}

#[test]
fn frames_before_the_handshake_are_no_handshake() {
    let mut link = listener();
    feed(&mut link, Timestamp::ZERO, &frames(&[Frame::Ping]));
    assert!(link.is_gone());
    let mut pair = Pair::new();
    pair.sides[CALLER].poll(pair.now);
    feed(&mut pair.sides[CALLER].link, pair.now, &frames(&[Frame::Ping]));
    assert_eq!(pair.sides[CALLER].link.messages().ended(), Some(End::Broken));
    // A caller has nothing to say between HELLO2 and SHARE.
    let mut pair = Pair::new();
    pair.sides[CALLER].poll(pair.now);
    let (mut bytes, _) = pair.sides[CALLER].take(usize::MAX);
    bytes.extend(frames(&[Frame::Ping]));
    feed(&mut pair.sides[LISTENER].link, pair.now, &bytes);
    assert!(pair.sides[LISTENER].link.is_gone());
    assert_eq!(pair.sides[LISTENER].link.question(), None);
}

#[test]
fn an_answer_to_another_call_is_no_answer() {
    let share = |random, cid| {
        let client_cid = ConnectionCid(cid);
        let share = Share {
            client_random: [random; 16],
            client_cid,
            server_cid: ConnectionCid(1),
            key_share: None,
            params: &[],
        };
        handshake_record(Packet::Share(share))
    };
    let refuse = |random| {
        handshake_record(Packet::Refuse(Refuse { client_random: [random; 16], code: RefuseCode::Busy, version: 1 }))
    };
    let cases = [
        (share(7, 77), None),
        (share(8, 77), Some(End::Broken)),
        (share(7, 78), Some(End::Broken)),
        (refuse(7), Some(End::Refused(RefuseCode::Busy))),
        (refuse(8), Some(End::Broken)),
    ];
    for (answer, end) in cases {
        let mut link = call(Timestamp::ZERO, config(), &Security::plain());
        feed(&mut link, Timestamp::ZERO, &answer);
        assert_eq!(link.messages().ended(), end);
        assert_eq!(link.is_gone(), end.is_some());
    }
}

#[test]
fn a_caller_is_refused_in_as_many_words_and_then_the_stream_ends() {
    let mut pair = Pair::new();
    pair.sides[CALLER].poll(pair.now);
    let (hello, _) = pair.sides[CALLER].take(usize::MAX);
    let link = &mut pair.sides[LISTENER].link;
    feed(link, pair.now, &hello);
    assert_eq!(link.question(), Some(handshake::Question::Asks(NO_INVITE, identity().random)));
    link.refuse(pair.now, RefuseCode::Busy);
    assert_eq!(link.question(), None);
    pair.run();
    assert_eq!(pair.sides[CALLER].link.messages().ended(), Some(End::Refused(RefuseCode::Busy)));
    assert!(pair.sides[CALLER].link.is_gone());
    // The caller's socket is dropped, which ends its stream.
    pair.sides[LISTENER].link.handle_end_of_stream();
    assert!(pair.sides[LISTENER].link.is_gone());
}

#[test]
fn the_answer_is_never_longer_than_the_question() {
    let ours = Params {
        credit_connection: u64::MAX >> 2,
        credit_channel: u64::MAX >> 2,
        message_len_max: u64::MAX >> 2,
        ack_delay_max_us: u64::MAX >> 2,
        idle_timeout_ms: u64::MAX >> 2,
        receive_buffer: u64::MAX >> 2,
        datagram_len_max: u64::MAX >> 2,
        prefers_chacha: true,
    };
    for security in [Security::plain(), Security::psk([1; 8], &[2; 32])] {
        let mode = security.mode();
        let (mut hello, mut share, mut confirm) = (Vec::new(), Vec::new(), Vec::new());
        let us = identity();
        let mut caller = Handshake::call(&security, security.id(), us, &ours, &entropy(1), &mut hello);
        let mut listener = Handshake::Listening;
        let handle = |side: &mut Handshake, record: &[u8], out: &mut Vec<u8>| {
            let record = Record::decode(mode, record).unwrap().unwrap();
            side.handle(mode, record.kind, record.body, out)
        };
        assert!(matches!(handle(&mut listener, &hello, &mut share), Outcome::Goes));
        listener.grant((mode, security.prs()), ConnectionCid(1), &ours, &entropy(2), &mut share);
        assert!(share.len() <= hello.len() && hello.len() <= handshake::RECORD_LEN_MAX);
        if mode.is_sealed() {
            assert!(matches!(handle(&mut caller, &share, &mut confirm), Outcome::Goes));
            let asked = confirm.len();
            assert!(matches!(handle(&mut listener, &confirm, &mut confirm.clone()), Outcome::Goes));
            confirm.clear();
            listener.admit(mode, &mut confirm).unwrap();
            assert!(confirm.len() <= asked);
        }
    }
}

#[test]
fn a_call_is_known_as_ours_until_it_is_over_and_a_share_that_is_none_is_no_question() {
    let security = Security::psk([1; 8], &[2; 32]);
    let (mode, us, ours) = (security.mode(), identity(), Params::default());
    let (mut hello, mut share, mut confirm) = (Vec::new(), Vec::new(), Vec::new());
    let mut caller = Handshake::call(&security, security.id(), us, &ours, &entropy(1), &mut hello);
    let mut listener = Handshake::Listening;
    let handle = |side: &mut Handshake, record: &[u8], out: &mut Vec<u8>| {
        let record = Record::decode(mode, record).unwrap().unwrap();
        side.handle(mode, record.kind, record.body, out)
    };
    assert!(caller.calls_as(&us.random) && !caller.calls_as(&[0; 16]));
    handle(&mut listener, &hello, &mut share);
    listener.grant((mode, security.prs()), ConnectionCid(1), &ours, &entropy(2), &mut share);
    handle(&mut caller, &share, &mut confirm);
    assert!(caller.is_proving() && caller.calls_as(&us.random));
    handle(&mut listener, &confirm, &mut Vec::new());
    let mut answer = Vec::new();
    listener.admit(mode, &mut answer).unwrap();
    assert!(matches!(handle(&mut caller, &answer, &mut Vec::new()), Outcome::Established(_)));
    assert!(!caller.calls_as(&us.random));

    let body = Record::decode(mode, &hello).unwrap().unwrap().body.to_vec();
    let Ok((_, Packet::Hello2(sound))) = Packet::decode(&body) else { panic!("HELLO2") };
    let mut forged = Vec::new();
    Packet::Hello2(Hello2 { key_share: Some([0xff; 32]), ..sound }).put_handshake(mode, &mut forged);
    let mut listener = Handshake::Listening;
    let outcome = listener.handle(mode, RecordKind::Handshake, &forged, &mut Vec::new());
    assert!(matches!(outcome, Outcome::Failed(End::Broken)) && listener.question().is_none());
}

#[test]
fn a_caller_of_another_version_is_told_ours_however_its_bytes_come() {
    let mut pair = Pair::new();
    pair.sides[CALLER].poll(pair.now);
    let (mut hello, _) = pair.sides[CALLER].take(usize::MAX);
    // Version 2 in the record and in the packet, and the checksums as they are then.
    hello[0] = 2 << 4 | 2;
    hello[4] = 2 << 4;
    let end = hello.len() - 4;
    hello.truncate(end - 4);
    let mut packet = hello.split_off(4);
    put_crc(&mut packet, 0);
    hello.extend(packet);
    put_crc(&mut hello, 0);
    for piece in [1, 21, 259, 300] {
        let mut link = listener();
        hello.chunks(piece).for_each(|bytes| feed(&mut link, Timestamp::ZERO, bytes));
        let (side, mut answer, ends) = output(link);
        assert!(ends && !side.link.is_gone());
        // It comes in the caller's version; but for that it is ours.
        assert_eq!((answer[0], answer[4]), (2 << 4 | 2, 2 << 4));
        assert!(check_crc(&answer).is_ok());
        answer[4] = VERSION << 4;
        let mut packet = answer[4..answer.len() - 8].to_vec();
        put_crc(&mut packet, 0);
        let refuse = Refuse { client_random: [7; 16], code: RefuseCode::Version, version: VERSION };
        assert_eq!(Packet::decode(&packet), Ok((Mode::Plain, Packet::Refuse(refuse))));
    }
    // Noise that looks like another version is not answered.
    for at in [0, 4, 30, hello.len() - 1] {
        let mut noise = hello.clone();
        noise[at] ^= 1;
        let mut link = listener();
        feed(&mut link, Timestamp::ZERO, &noise);
        assert!(link.is_gone(), "byte {at}");
    }
    // An answer that we cannot read ends a call.
    let mut link = call(Timestamp::ZERO, config(), &Security::plain());
    feed(&mut link, Timestamp::ZERO, &hello);
    assert_eq!(link.messages().ended(), Some(End::Broken));
}

#[test]
fn a_handshake_that_does_not_end_is_given_up() {
    let mut caller = call(Timestamp::ZERO, config(), &Security::plain());
    let mut silent = listener();
    let mut slow = listener();
    for link in [&mut caller, &mut silent, &mut slow] {
        assert_eq!(link.deadline(), Some(ms(5_000)));
        link.handle_timeout(ms(4_999));
        assert!(!link.is_gone());
    }
    // A byte now and then buys no time.
    feed(&mut slow, ms(4_999), &[0x12]);
    for link in [&mut caller, &mut silent, &mut slow] {
        link.handle_timeout(ms(5_000));
        assert!(link.is_gone());
    }
    assert_eq!(caller.messages().ended(), Some(End::ConnectTimedOut));
}

#[test]
fn a_stranger_cannot_announce_a_long_record() {
    let mut link = listener();
    feed(&mut link, Timestamp::ZERO, &[VERSION << 4 | 2, 0, 0xff, 0xff]);
    assert!(link.is_gone());
}

#[test]
fn no_flipped_bit_gets_through() {
    let mut pair = Pair::established();
    pair.sides[CALLER].send("first");
    pair.sides[CALLER].send(content(3, 50));
    pair.sides[CALLER].poll(pair.now);
    let (stream, _) = pair.sides[CALLER].take(usize::MAX);
    for bit in 0..stream.len() * 8 {
        let mut pair = Pair::established();
        let mut flipped = stream.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let side = &mut pair.sides[LISTENER];
        feed(&mut side.link, pair.now, &flipped);
        let messages = side.link.messages_mut();
        assert_eq!(messages.stats().received, 0);
        assert!(!messages.readable(crate::message::Select::Any) || messages.ended() == Some(End::Broken), "bit {bit}");
        // A length made longer waits for what never comes; the end of the stream tells.
        side.link.handle_end_of_stream();
        assert_eq!(side.link.messages().ended(), Some(End::Broken), "bit {bit}");
        assert_eq!(side.link.messages_mut().recv(crate::message::Select::Any), Err(End::Broken), "bit {bit}");
    }
}

/// Whatever comes, the link neither panics nor says more than the peer may hear.
fn check_survives(mut link: Link, security: &Security, pieces: &[Vec<u8>]) {
    let mode = security.mode();
    let mut now = Timestamp::ZERO;
    let mut guard = Guard::new(security.clone());
    let (mut out, mut sent) = (Vec::new(), Vec::new());
    for piece in pieces {
        feed(&mut link, now, piece);
        answer(&mut guard, &mut link, now);
        while link.messages().state() == State::Open
            && link.messages_mut().recv(crate::message::Select::Any).is_ok_and(|got| got.is_some())
        {}
        link.handle_wait();
        link.poll_output(now, &mut out, &mut sent);
        now = link.deadline().unwrap_or(now).max(now);
        link.handle_timeout(now);
    }
    link.handle_end_of_stream();
    link.poll_output(now, &mut out, &mut sent);
    link.on_written();
    assert!(link.is_gone());
    let mut rest = &out[..];
    while let Some(record) = Record::decode(mode, rest).unwrap() {
        if record.kind == RecordKind::Frames && !mode.is_sealed() {
            assert!(Frames::new(record.body).all(|frame| frame.is_ok()));
        }
        rest = &rest[record.len..];
    }
    assert!(rest.is_empty());
}

fn securities() -> [Security; 2] {
    [Security::plain(), Security::psk([1; 8], &[2; 32])]
}

fn check_survives_established(security: &Security, pieces: &[Vec<u8>]) {
    let pair = Pair::secured(config(), [security.clone(), security.clone()]).shaken();
    pair.sides.into_iter().for_each(|side| check_survives(side.link, security, pieces));
}

proptest! {
    #[test]
    fn garbage_does_no_harm(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..10)
    ) {
        for security in securities() {
            check_survives(Link::listen(Timestamp::ZERO, config(), security.mode()), &security, &pieces);
            check_survives(call(Timestamp::ZERO, config(), &security), &security, &pieces);
            check_survives_established(&security, &pieces);
        }
    }

    #[test]
    fn garbage_in_records_with_good_checksums_does_no_harm(
        bodies in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..20),
    ) {
        for security in securities() {
            let pieces: Vec<_> = bodies
                .iter()
                .map(|(frames, body)| {
                    let kind = if *frames { RecordKind::Frames } else { RecordKind::Handshake };
                    record_in(security.mode(), kind, |out| out.extend_from_slice(body))
                })
                .collect();
            check_survives(Link::listen(Timestamp::ZERO, config(), security.mode()), &security, &pieces);
            check_survives_established(&security, &pieces);
        }
    }
}
