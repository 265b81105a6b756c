//! Much data, and many messages, over good and bad networks.

use core::time::Duration;

use bytes::Bytes;

use super::net::{Faults, Net};
use crate::message::{ArrivalBody, Select, SendError};
use crate::proto::{Config, ConnectionStats};
use crate::slots::ConnectionId;

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
