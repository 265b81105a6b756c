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
