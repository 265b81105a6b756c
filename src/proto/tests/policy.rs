//! Acknowledgements: counted datagram by datagram.

use core::time::Duration;

use bytes::Bytes;

use super::net::{Faults, Net};
use crate::message::{ArrivalBody, Select};
use crate::proto::Config;
use crate::slots::ConnectionId;

fn pair(faults: Faults) -> (Net, [ConnectionId; 2]) {
    let (mut net, ids) = Net::connected(1, [Config::default(), Config::default()], faults);
    net.settle();
    (net, ids)
}

/// Takes what arrived at a host and sends it back, unless that is `last`.
fn echo(net: &mut Net, host: usize, id: ConnectionId, last: bool) -> u32 {
    let mut count = 0;
    while let Some(arrival) = net.messages(host, id).recv(Select::Any).unwrap() {
        let ArrivalBody::Whole(body) = arrival.body else { panic!("short messages come whole") };
        if !last {
            net.messages(host, id).send(0, 0, body).unwrap();
        }
        count += 1;
    }
    count
}

fn ping_pong(net: &mut Net, ids: [ConnectionId; 2], rounds: u32) {
    let mut answers = 0;
    net.messages(0, ids[0]).send(0, 0, Bytes::from_static(&[7; 64])).unwrap();
    let done = net.run(Duration::from_secs(10), |net| {
        echo(net, 1, ids[1], false);
        answers += echo(net, 0, ids[0], answers + 1 == rounds);
        answers == rounds
    });
    assert!(done, "{answers} of {rounds}");
}

#[test]
fn an_echo_takes_exactly_one_datagram_each_way() {
    let (mut net, ids) = pair(Faults::default());
    let start = net.now;
    ping_pong(&mut net, ids, 1_000);
    let sent = [0, 1].map(|host| net.log.iter().filter(|datagram| datagram.from == host).count());
    assert_eq!(sent, [1_000, 1_000]);
    assert_eq!(net.now.saturating_since(start), Duration::from_millis(100));
}

#[test]
fn bulk_is_acknowledged_once_a_batch() {
    let (mut net, ids) = pair(Faults::default());
    let start = net.now;
    net.messages(0, ids[0]).send(0, 0, Bytes::from(vec![1; 4 << 20])).unwrap();
    assert!(net.run(Duration::from_secs(1), |net| net.messages(1, ids[1]).readable(Select::Any)));
    let sent = [0, 1].map(|host| net.log.iter().filter(|datagram| datagram.from == host).count());
    // What arrives in one instant is one batch, and there is one each round trip of 100 us.
    let round_trips = usize::try_from(net.now.saturating_since(start).as_micros() / 100).unwrap() + 2;
    assert!(sent[0] > 2_800, "{sent:?}");
    assert!(sent[1] <= round_trips, "{sent:?} in {round_trips} round trips");
}

#[test]
fn a_message_is_acknowledged_at_once_whether_its_receiver_waits_or_computes() {
    for waits in [true, false] {
        let (mut net, ids) = pair(Faults::default());
        net.waits[1] = waits; // else the keeper drains for it
        let start = net.now;
        net.messages(0, ids[0]).send(0, 0, Bytes::from_static(b"hello")).unwrap();
        assert!(net.run(Duration::from_secs(1), |net| net.messages(0, ids[0]).flushed()));
        assert_eq!(net.now.saturating_since(start), Duration::from_micros(100), "{waits}");
    }
}

#[test]
fn many_short_messages_share_datagrams_both_ways() {
    let (mut net, ids) = pair(Faults::default());
    let (mut sent, mut received) = (0u32, 0u32);
    let done = net.run(Duration::from_secs(10), |net| {
        while sent < 20_000 && net.messages(0, ids[0]).send(0, 0, sent.to_be_bytes().to_vec().into()).is_ok() {
            sent += 1;
        }
        while let Some(arrival) = net.messages(1, ids[1]).recv(Select::Any).unwrap() {
            assert_eq!(arrival.body, ArrivalBody::Whole(received.to_be_bytes().to_vec().into()));
            received += 1;
        }
        received == 20_000
    });
    assert!(done, "{sent} {received}");
    let sent = [0, 1].map(|host| net.log.iter().filter(|datagram| datagram.from == host).count());
    assert!(sent[0] <= 20_000 / 90, "{sent:?}: at most 16 bytes a message");
    assert!(sent[1] <= 20, "{sent:?}");
}
