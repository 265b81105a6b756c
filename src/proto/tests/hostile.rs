//! Whoever else sends us datagrams: forged, mutated, random, always with a right checksum.
//!
//! Every seed stands in its test, so running the test replays it.

use core::time::Duration;
use std::net::SocketAddr;

use bytes::Bytes;
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

use super::net::{Faults, Net, address};
use crate::message::{End, Limits, Select, Violation};
use crate::proto::{Config, Dropped, Endpoint, Output, Path};
use crate::slots::ConnectionId;
use crate::time::Timestamp;
use crate::wire::{ConnectionCid, Cookie, DataHeader, Frame, Hello, Hello2, Mode, Packet, Params, put_crc, start_data};

fn pair() -> (Net, [ConnectionId; 2]) {
    let (mut net, ids) = Net::connected(1, [Config::default(), Config::default()], Faults::default());
    net.settle();
    net.messages(0, ids[0]).send(0, 0, Bytes::from_static(b"hello")).unwrap();
    net.run_for(Duration::from_millis(1));
    assert!(net.messages(1, ids[1]).recv(Select::Any).unwrap().is_some());
    (net, ids)
}

/// The id that packets to host 1 bear, and the number of the next of them.
fn next_to_host_1(net: &Net) -> (ConnectionCid, u32) {
    let last = net.log.iter().rev().find(|datagram| datagram.from == 0).unwrap();
    match Packet::decode(&last.bytes) {
        Ok((_, Packet::Data(header, _))) => (header.cid, header.number_low + 1),
        other => panic!("{other:?}"),
    }
}

fn packet(cid: ConnectionCid, number_low: u32, frames: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    start_data(&mut bytes, &DataHeader { mode: Mode::Plain, key_phase: false, cid, number_low });
    bytes.extend_from_slice(frames);
    put_crc(&mut bytes, 0);
    bytes
}

#[test]
fn a_packet_from_another_address_is_dropped_and_changes_nothing() {
    let (mut net, ids) = pair();
    let (cid, number) = next_to_host_1(&net);
    let mut close = Vec::new();
    Frame::Close { kind: crate::wire::CloseKind::Abort, code: 1 }.put(&mut close);
    let mut forged = packet(cid, number, &close);
    let stranger = SocketAddr::from(([10, 0, 0, 9], 4_000));
    let mut other_port = address(0);
    other_port.set_port(4_001);
    for from in [stranger, other_port] {
        net.hosts[1].handle_datagram(net.now, from, None, &mut forged);
    }
    assert_eq!(net.hosts[1].counters().dropped(Dropped::WrongSource), 2);
    let mut unknown = packet(ConnectionCid(cid.0 ^ 1), number, &close);
    net.hosts[1].handle_datagram(net.now, address(0), None, &mut unknown);
    assert_eq!(net.hosts[1].counters().dropped(Dropped::UnknownCid), 1);
    net.log.clear();
    net.pump(1);
    assert!(net.log.is_empty(), "and nothing is answered");
    assert_eq!(net.messages(1, ids[1]).ended(), None);
}

#[test]
fn only_the_peers_own_packets_say_from_which_address_it_is_answered() {
    let (mut net, ids) = pair();
    let (cid, number) = next_to_host_1(&net);
    let [called, other] = [11, 12].map(|last| Path { remote: address(0), local: Some([10, 0, 0, last].into()) });
    let mut ping = Vec::new();
    Frame::Ping.put(&mut ping);
    net.hosts[1].handle_datagram(net.now, called, None, &mut packet(cid, number, &ping));
    let mut noise = packet(cid, number + 1, &ping);
    *noise.last_mut().unwrap() ^= 1;
    net.hosts[1].handle_datagram(net.now, other, None, &mut noise);
    net.hosts[1].handle_datagram(net.now, other, None, &mut packet(ConnectionCid(cid.0 ^ 1), number + 1, &ping));
    net.hosts[1].handle_datagram(net.now, other, None, &mut packet(cid, number, &ping));
    let hello = Hello { client_random: [9; 16], invite: [0; 8], params_hash: [0; 32] };
    let mut asked = Vec::new();
    Packet::Hello(hello).put_handshake(Mode::Plain, &mut asked);
    net.hosts[1].handle_datagram(net.now, other, None, &mut asked);

    net.messages(1, ids[1]).send(0, 0, Bytes::from_static(b"welcome")).unwrap();
    let (mut buf, mut from) = (Vec::new(), Vec::new());
    loop {
        match net.hosts[1].poll_output(net.now, &mut buf) {
            Output::Transmit(transmit) => {
                from.push((transmit.from, matches!(Packet::decode(&buf), Ok((_, Packet::Retry(_))))));
            }
            Output::Changed(_) | Output::Incoming => {}
            Output::Wait(_) => break,
        }
    }
    assert_eq!(from, [(other.local, true), (called.local, false)]);
}

#[test]
fn a_peer_that_breaks_the_protocol_is_told_how_and_both_ends_end() {
    let never_sent = [0x02, 0x40, 0xff, 0, 1, 1]; // ACK of number 255
    let bad_type = [0x3f];
    let misplaced = [0x0c, 1]; // RECEIVED
    let cut_off = [0x12, 0];
    for frames in [&never_sent[..], &bad_type, &misplaced, &cut_off] {
        let (mut net, ids) = pair();
        let (cid, number) = next_to_host_1(&net);
        net.hosts[1].handle_datagram(net.now, address(0), None, &mut packet(cid, number, frames));
        assert_eq!(net.hosts[1].counters().dropped(Dropped::BadFrame), 1);
        let Some(End::Violation(violation)) = net.messages(1, ids[1]).ended() else { panic!("{frames:?}") };
        net.run_for(Duration::from_millis(1));
        let told = End::ViolationByPeer { code: violation.code() };
        assert_eq!(net.messages(0, ids[0]).ended(), Some(told), "{frames:?}");
        assert!(frames != never_sent || violation == Violation::NeverSent);
        for (host, id) in ids.into_iter().enumerate() {
            net.hosts[host].release(net.now, id);
        }
        net.run_for(Duration::from_secs(2));
        assert_eq!([0, 1].map(|host| net.hosts[host].len()), [0, 0]);
    }
}

/// What an endpoint answers to one datagram.
fn answers(endpoint: &mut Endpoint, now: Timestamp, from: SocketAddr, datagram: &[u8]) -> Vec<Vec<u8>> {
    endpoint.handle_datagram(now, from, None, &mut datagram.to_vec());
    endpoint.handle_batch_end(crate::proto::Drained::ByWaiter);
    let (mut buf, mut out) = (Vec::new(), Vec::new());
    loop {
        match endpoint.poll_output(now, &mut buf) {
            Output::Transmit(transmit) => {
                assert_eq!(transmit.to, from);
                out.push(buf.clone());
            }
            Output::Changed(_) | Output::Incoming => {}
            Output::Wait(_) => return out,
        }
    }
}

/// A handshake packet, somewhat out of shape: padded, cut, of another version, with flipped bits, and a right checksum.
fn odd_handshake(rng: &mut ChaCha8Rng, random: [u8; 16], cookie: Option<Cookie>) -> Vec<u8> {
    let mut params = Vec::new();
    Params::default().put(&mut params);
    params.truncate(rng.random_range(0..=params.len()));
    let mut out = Vec::new();
    let hash = crate::proto::handshake::params_hash(&params);
    let hello = Hello { client_random: random, invite: [0; 8], params_hash: hash };
    let hello2 = Hello2 {
        client_random: random,
        invite: [0; 8],
        cookie,
        client_cid: ConnectionCid(1),
        key_share: None,
        params: &params,
    };
    let packet = if rng.random_bool(0.5) { Packet::Hello(hello) } else { Packet::Hello2(hello2) };
    packet.put_handshake(Mode::Plain, &mut out);
    out.truncate(out.len() - 4);
    match rng.random_range(0..4) {
        0 => out.truncate(rng.random_range(0..out.len())),
        1 => out.extend((0..rng.random_range(0..100)).map(|_| 0)),
        2 => {
            let at = rng.random_range(0..out.len());
            out[at] = rng.random();
        }
        _ => {}
    }
    put_crc(&mut out, 0);
    out
}

#[test]
fn an_address_that_has_proven_nothing_gets_no_more_bytes_than_it_sent() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut endpoint = Endpoint::new(Config::default(), [1; 32]);
    let from = SocketAddr::from(([10, 0, 0, 7], 7));
    let (mut answered, mut granted) = (0, 0);
    let mut cookies = Vec::new();
    for round in 0..20_000u64 {
        // Time passes, so that half-open handshakes and refusals have their limits tried and freed.
        let now = Timestamp::from_nanos(1_000_000_000 + round * 1_000_000);
        let random = [u8::try_from(round % 5).unwrap(); 16];
        let cookie = if cookies.is_empty() { None } else { Some(cookies[cookies.len() - 1]) };
        let datagram = odd_handshake(&mut rng, random, cookie);
        let out = answers(&mut endpoint, now, from, &datagram);
        let sum: usize = out.iter().map(Vec::len).sum();
        assert!(sum <= datagram.len(), "{sum} for {}: {datagram:?}", datagram.len());
        assert!(out.len() <= 1);
        for answer in out {
            answered += 1;
            match Packet::decode(&answer) {
                Ok((_, Packet::Retry(retry))) => cookies.push(retry.cookie),
                Ok((_, Packet::Share(_))) => granted += 1,
                _ => {} // a refusal, also in words of other versions
            }
        }
    }
    assert!(answered > 1_000, "the test is about answers: {answered}");
    assert!(granted > 10, "some of them are grants: {granted}");
    assert!(endpoint.is_empty(), "and no connection came of it");
}

/// A frame that is well formed, or almost, with numbers near the truth or far from it.
fn odd_frames(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..rng.random_range(1..6) {
        out.push(rng.random_range(0..0x14));
        for _ in 0..rng.random_range(0..12) {
            match rng.random_range(0..4) {
                0 => out.push(rng.random()),
                1 => out.extend_from_slice(&[0x40, rng.random()]),
                _ => out.push(rng.random_range(0..8)),
            }
        }
    }
    out
}

#[test]
fn nothing_that_arrives_panics_and_state_stays_bounded() {
    let mut ended = 0;
    for seed in 0..400 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let limits = Limits { credit_connection: 64 << 10, credit_channel: 16 << 10, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let (mut net, ids) = Net::connected(seed, [Config::default(), config], Faults::default());
        net.settle();
        for number in 0..20 {
            net.messages(0, ids[0]).send(number % 3, 0, Bytes::from(vec![1; 700])).unwrap();
            net.messages(1, ids[1]).send(number % 3, 0, Bytes::from(vec![1; 700])).unwrap();
        }
        net.run_for(Duration::from_millis(2));
        let (cid, mut number) = next_to_host_1(&net);
        let recorded: Vec<_> = net.log.iter().filter(|it| it.from == 0).map(|it| it.bytes.clone()).collect();
        for _ in 0..200 {
            let mut datagram = if rng.random_bool(0.5) {
                packet(cid, number, &odd_frames(&mut rng))
            } else {
                let mut copy = recorded[rng.random_range(0..recorded.len())].clone();
                copy.truncate(copy.len() - 4);
                for _ in 0..rng.random_range(1..4) {
                    let at = rng.random_range(0..copy.len());
                    copy[at] = rng.random();
                }
                copy[2..10].copy_from_slice(&cid.0.to_be_bytes());
                copy[10..14].copy_from_slice(&number.to_be_bytes());
                put_crc(&mut copy, 0);
                copy
            };
            if rng.random_bool(0.05) {
                rng.fill_bytes(&mut datagram);
            }
            number = number.wrapping_add(rng.random_range(0..3));
            net.hosts[1].handle_datagram(net.now, address(0), None, &mut datagram);
            if rng.random_bool(0.2) {
                net.run_for(Duration::from_micros(rng.random_range(0..3_000)));
            }
            if rng.random_bool(0.1) {
                let _ = net.messages(1, ids[1]).recv(Select::Any);
            }
            let stats = net.hosts[1].stats(ids[1]).unwrap();
            assert!(stats.messages.held <= 64 << 10, "seed {seed}: {stats:?}");
            assert_eq!(net.hosts[1].len(), 1, "seed {seed}");
        }
        ended += usize::from(net.messages(1, ids[1]).ended().is_some());
        for (host, id) in ids.into_iter().enumerate() {
            net.hosts[host].release(net.now, id);
        }
        net.run_for(Duration::from_secs(30));
        assert_eq!([0, 1].map(|host| net.hosts[host].len()), [0, 0], "seed {seed}: both forget");
        assert_eq!([0, 1].map(|host| net.hosts[host].deadline()), [None, None], "seed {seed}");
    }
    assert!(ended > 100, "most of it breaks the protocol: {ended}");
}
