//! Whoever changes, cuts, turns round or sends again what two sealed sides say to each other. In virtual time a session
//! in which such things arrive is, datagram by datagram and byte by byte, the session without them.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;

use super::net::{Before, Datagram, Faults, Net, address};
use crate::message::{ArrivalBody, End, Select};
use crate::proto::{Config, Counters, Endpoint, PathLimits, Security};
use crate::seal::Prs;
use crate::time::Timestamp;
use crate::wire::Packet;

fn securities() -> [Security; 2] {
    [Security::code([7; 8], Prs::words("maple-otter")), Security::psk([3; 8], &[4; 32])]
}

fn body(len: usize) -> Bytes {
    vec![0x61; len].into()
}

/// Everything that two sides have said to each other.
type Log = Vec<(usize, Vec<u8>)>;

/// A whole session: handshake, messages of one and of several datagrams each way, silence with its keepalives, the
/// close. All that was sent.
fn session(security: &Security, before: Option<Before>) -> Log {
    let config = Config { security: security.clone(), ..Config::default() };
    // Short datagrams, for each bit of them has its turn.
    let faults = Faults { mtu: 1_200, ..Faults::default() };
    let mut net = Net::new(1, [config.clone(), config], faults);
    net.before = before;
    let ids = net.connect();
    net.run_for(Duration::from_millis(20));
    for (host, len) in [(0, 5), (1, 8_000), (0, 5_000), (1, 1)] {
        net.messages(host, ids[host]).send(0, 0, body(len)).unwrap();
        net.run_for(Duration::from_millis(2));
        let arrival = net.messages(1 - host, ids[1 - host]).recv(Select::Any).unwrap().expect("a message");
        assert!(matches!(arrival.body, ArrivalBody::Whole(got) if got == body(len)));
        assert!(net.messages(1 - host, ids[1 - host]).recv(Select::Any).unwrap().is_none());
    }
    net.run_for(Duration::from_secs(4));
    let now = net.now;
    net.messages(0, ids[0]).close(now, 9, Duration::from_secs(5));
    net.run_for(Duration::from_millis(50));
    assert_eq!(net.messages(1, ids[1]).ended(), Some(End::ClosedByPeer { code: 9 }));
    net.run_for(Duration::from_secs(2));
    net.log.into_iter().map(|datagram| (datagram.from, datagram.bytes)).collect()
}

/// Hands a host a datagram that is none of its peer's, and says under which name it was counted.
fn dropped(host: &mut Endpoint, now: Timestamp, from: SocketAddr, mut bytes: Vec<u8>) -> &'static str {
    let before: Vec<u64> = host.counters().iter_dropped().map(|(_, count)| count).collect();
    host.handle_datagram(now, from, None, &mut bytes);
    let more: Vec<&str> = named_more(host.counters(), &before);
    let [name] = more[..] else { panic!("counted as {more:?}: {bytes:?}") };
    name
}

fn named_more(counters: &Counters, before: &[u64]) -> Vec<&'static str> {
    counters.iter_dropped().zip(before).filter(|((_, now), before)| now > before).map(|((name, _), _)| name).collect()
}

/// How many were dropped, by name.
type Tally = Rc<RefCell<BTreeMap<&'static str, u32>>>;

fn tally(tally: &Tally, name: &'static str) {
    *tally.borrow_mut().entry(name).or_default() += 1;
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// What a packet with this bit flipped is counted as, by `spec/wire.md`: the first thing that is wrong with it.
fn names_of(packet: &[u8], bit: usize) -> &'static [&'static str] {
    let sealed = matches!(Packet::decode(packet), Ok((_, Packet::Sealed(..))));
    match (bit / 8, 1 << (bit % 8)) {
        (0, 0x10..) => &["version"],
        (0, bit) if (packet[0] ^ bit) >> 2 & 3 == 3 => &["mode"],
        // Where it becomes one of plain mode, or a handshake packet, it has no checksum that is right.
        (0, 0x04..) => &["checksum"],
        (0, bit) if sealed || bit != 1 => &["checksum"],
        (0, _) => &["unknown_cid", "malformed"], // taken for a sealed packet: of no connection, or with other flags
        (1.., _) if !sealed => &["checksum"],
        (1, 1) => &["forged"],
        (1, _) => &["malformed"],
        (2..10, _) => &["unknown_cid"],
        (10..14, _) => &["forged", "duplicate"],
        _ => &["forged"],
    }
}

#[test]
fn every_bit_of_every_packet_of_a_session_is_dropped_and_counted_when_it_flips() {
    for security in securities() {
        let untouched = session(&security, None);
        let counts = Tally::default();
        let counting = Rc::clone(&counts);
        let flip: Before = Box::new(move |hosts: &mut [Endpoint; 2], now: Timestamp, datagram: &Datagram| {
            for bit in 0..datagram.bytes.len() * 8 {
                let host = &mut hosts[1 - datagram.from];
                let name = dropped(host, now, address(datagram.from), flipped(&datagram.bytes, bit));
                assert!(names_of(&datagram.bytes, bit).contains(&name), "bit {bit}, {name}: {:?}", datagram.bytes);
                tally(&counting, name);
            }
        });
        assert!(session(&security, Some(flip)) == untouched, "something came of them");
        let counts = counts.borrow();
        assert!(counts["forged"] > 50_000 && counts["checksum"] > 5_000, "{counts:?}");
    }
}

#[test]
fn every_part_of_every_packet_and_every_packet_with_more_behind_it_is_dropped_and_counted() {
    for security in securities() {
        let untouched = session(&security, None);
        let cut: Before = Box::new(move |hosts, now, datagram| {
            let host = &mut hosts[1 - datagram.from];
            let bytes = &datagram.bytes;
            for len in 0..bytes.len() {
                let name = dropped(host, now, address(datagram.from), bytes[..len].to_vec());
                assert!(["malformed", "checksum", "forged"].contains(&name), "{name}");
            }
            for more in [&[0][..], &[0; 16], bytes] {
                let name = dropped(host, now, address(datagram.from), [bytes, more].concat());
                assert!(["malformed", "checksum", "forged"].contains(&name), "{name}");
            }
        });
        assert!(session(&security, Some(cut)) == untouched, "something came of them");
    }
}

#[test]
fn every_packet_from_another_address_is_dropped_and_counted() {
    for security in securities() {
        let untouched = session(&security, None);
        let stray: Before = Box::new(move |hosts, now, datagram| {
            let asks = matches!(Packet::decode(&datagram.bytes), Ok((_, Packet::Hello(_))));
            // Who asks from elsewhere may; nothing else means anything from there.
            if !asks {
                let host = &mut hosts[1 - datagram.from];
                let name = dropped(host, now, ([10, 0, 0, 7], 4_000).into(), datagram.bytes.clone());
                assert!(["wrong_source", "unknown_cid", "stale_handshake", "bad_cookie"].contains(&name), "{name}");
            }
        });
        assert!(session(&security, Some(stray)) == untouched, "something came of them");
    }
}

#[test]
fn every_packet_sent_back_to_its_sender_is_dropped_and_counted() {
    for security in securities() {
        let untouched = session(&security, None);
        let mirror: Before = Box::new(move |hosts, now, datagram| {
            let name = dropped(&mut hosts[datagram.from], now, address(1 - datagram.from), datagram.bytes.clone());
            let names = ["unknown_cid", "stale_handshake", "reflected"];
            assert!(names.contains(&name), "{name}");
        });
        assert!(session(&security, Some(mirror)) == untouched, "something came of them");
    }
}

#[test]
fn a_call_that_is_turned_round_does_not_connect_an_endpoint_with_itself() {
    let config = Config { security: securities()[1].clone(), ..Config::default() };
    let mut net = Net::new(1, [config.clone(), config], Faults::default());
    let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
    net.rule = Some(Box::new(|_| true));
    for _ in 0..100 {
        net.pump(0);
        for datagram in core::mem::take(&mut net.log) {
            net.hosts[0].handle_datagram(net.now, address(1), None, &mut datagram.bytes.clone());
        }
        net.run_for(Duration::from_millis(100));
    }
    assert!(net.hosts[0].incoming().is_none());
    assert_eq!(net.messages(0, id).ended(), Some(End::ConnectTimedOut));
}
