//! Much data, and many messages, over good and bad networks.

use core::time::Duration;
use std::collections::BTreeSet;

use bytes::Bytes;

use super::net::{Faults, Net};
use crate::message::{ArrivalBody, Select, SendError};
use crate::proto::{Config, ConnectionStats, Dropped, Security};
use crate::seal::Generations;
use crate::slots::ConnectionId;
use crate::wire::Packet;

/// Byte `at` of message `id`, so that every misplaced byte shows.
fn byte(id: u64, at: usize) -> u8 {
    let [low, ..] = (id.wrapping_mul(31) ^ (at as u64).wrapping_mul(2_654_435_761) >> 7).to_le_bytes();
    low
}

fn content(id: u64, len: usize) -> Bytes {
    (0..len).map(|at| byte(id, at)).collect()
}

/// Sends `count` messages of `len` bytes in order from host 0 to host 1 and checks every byte.
fn transfer(net: &mut Net, ids: [ConnectionId; 2], count: u64, len: usize) -> ConnectionStats {
    let (mut sent, mut received) = (0, 0);
    let done = net.run(Duration::from_secs(300), |net| {
        while sent < count {
            match net.messages(0, ids[0]).send(0, 0, content(sent, len)) {
                Ok(id) => assert_eq!(id.0, sent),
                Err(SendError::WouldBlock) => break,
                Err(error) => panic!("{error}"),
            }
            sent += 1;
        }
        while let Some(arrival) = net.messages(1, ids[1]).recv(Select::Any).unwrap() {
            assert_eq!(arrival.id.0, received);
            assert_eq!(arrival.body, ArrivalBody::Whole(content(received, len)));
            received += 1;
        }
        received == count && net.messages(0, ids[0]).flushed()
    });
    assert!(done, "sent {sent}, received {received} of {count}: {:?}", net.hosts[0].stats(ids[0]));
    net.hosts[0].stats(ids[0]).unwrap()
}

#[test]
fn ten_megabytes_arrive_in_order_at_any_loss() {
    for loss_percent in [0, 1, 5, 20] {
        let faults = Faults { loss_percent, ..Faults::default() };
        let (mut net, ids) = Net::connected(7, [Config::default(), Config::default()], faults);
        let start = net.now;
        let stats = transfer(&mut net, ids, 10, 1 << 20);
        let link = stats.link.unwrap();
        let took = net.now.saturating_since(start);
        eprintln!("{loss_percent} %: {took:?} {link:?}");
        assert_eq!(link.packets_lost == 0, loss_percent == 0);
        assert!(took < Duration::from_millis(200 * u64::from(1 + loss_percent)), "{took:?} at {loss_percent} %");
    }
}

#[test]
fn keys_are_updated_again_and_again_under_loss_and_reordering() {
    for (loss_percent, seed) in [(0, 1), (1, 2), (5, 3), (20, 4)] {
        let generations = Generations::short(8);
        let security = Security::psk([3; 8], &[4; 32]);
        let config = Config { security, generations, ..Config::default() };
        let jitter = Duration::from_micros(200);
        let faults = Faults { loss_percent, duplicate_percent: 5, jitter, ..Faults::default() };
        let (mut net, ids) = Net::connected(seed, [config.clone(), config], faults);
        transfer(&mut net, ids, 3, 1 << 20);
        let mut numbers = BTreeSet::new();
        for datagram in &net.log {
            if let Ok((_, Packet::Sealed(header, _))) = Packet::decode(&datagram.bytes) {
                let number = header.number(0);
                assert_eq!(header.key_phase, generations.key_phase(number), "{header:?}");
                assert!(numbers.insert((datagram.from, number)), "seed {seed}: {number} was sealed twice");
            }
        }
        for from in 0..2 {
            let updates = numbers.iter().filter(|(by, _)| *by == from).map(|(_, number)| generations.of(*number)).max();
            eprintln!("{loss_percent} %: host {from} updated its keys {updates:?} times");
            assert!(updates >= Some(if from == 0 { 8 } else { 4 }), "seed {seed}: host {from}, {updates:?}");
        }
        // What was lost is gone; nothing else was refused.
        let forged = [0, 1].map(|host| net.hosts[host].counters().dropped(Dropped::Forged));
        assert_eq!(forged, [0, 0], "seed {seed}");
    }
}
