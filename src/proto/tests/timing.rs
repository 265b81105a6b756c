//! No progress waits on a long timer: whatever is lost on a link of 100 us, the connection is back in a few
//! milliseconds.

use core::cell::Cell;
use core::time::Duration;
use std::rc::Rc;

use bytes::Bytes;

use super::net::{Datagram, Faults, Net, address};
use crate::message::{Limits, Select, SendError};
use crate::proto::{Config, PathLimits};
use crate::slots::ConnectionId;
use crate::wire::Frame;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pair(configs: [Config; 2]) -> (Net, [ConnectionId; 2]) {
    let (mut net, ids) = Net::connected(1, configs, Faults::default());
    net.settle();
    // A few messages, so that the round-trip time is known.
    for _ in 0..10 {
        send(&mut net, ids, 64);
        assert!(net.run(ms(10), |net| take(net, ids[1]) == 1));
        net.run_for(ms(1));
    }
    net.log.clear();
    (net, ids)
}

fn default_pair() -> (Net, [ConnectionId; 2]) {
    pair([Config::default(), Config::default()])
}

fn send(net: &mut Net, ids: [ConnectionId; 2], len: usize) {
    net.messages(0, ids[0]).send(0, 0, Bytes::from(vec![3; len])).unwrap();
}

fn take(net: &mut Net, id: ConnectionId) -> usize {
    let mut count = 0;
    while net.messages(1, id).recv(Select::Any).unwrap().is_some() {
        count += 1;
    }
    count
}

/// How long it takes until `done`.
fn time_until(net: &mut Net, done: impl FnMut(&mut Net) -> bool) -> Duration {
    let start = net.now;
    assert!(net.run(Duration::from_secs(20), done), "it never comes to that");
    net.now.saturating_since(start)
}

#[test]
fn a_lost_tail_is_repaired_within_a_millisecond_and_twice_lost_within_three() {
    for (lost, limit_us) in [(0, 50), (1, 900), (2, 2_400), (3, 2_400), (4, 5_000)] {
        let (mut net, ids) = default_pair();
        net.lose_first(lost, 0, Datagram::asks);
        send(&mut net, ids, 64);
        let took = time_until(&mut net, |net| take(net, ids[1]) == 1);
        assert!(took <= Duration::from_micros(limit_us), "{lost} lost: {took:?}");
    }
}

#[test]
fn a_whole_flight_lost_is_repaired_in_a_few_round_trips_after_the_probe() {
    for len in [5_000, 100_000] {
        let (mut net, ids) = default_pair();
        net.faults.dead[0] = true;
        send(&mut net, ids, len);
        net.run_for(Duration::from_micros(100));
        net.faults.dead[0] = false;
        let took = time_until(&mut net, |net| take(net, ids[1]) == 1);
        assert!(took <= ms(3), "{len}: {took:?}");
    }
}

#[test]
fn an_outage_is_over_for_the_connection_soon_after_it_is_over_for_the_network() {
    for outage in [ms(1), ms(5), ms(20), ms(100), ms(500)] {
        for dead in [[true, false], [false, true], [true, true]] {
            let (mut net, ids) = default_pair();
            send(&mut net, ids, 1 << 20);
            net.run_for(Duration::from_micros(250));
            net.faults.dead = dead;
            net.run_for(outage);
            net.faults.dead = [false; 2];
            let took = time_until(&mut net, |net| take(net, ids[1]) == 1);
            // Probes back off by doubling, so the next comes at the latest as long after as the outage took.
            assert!(took <= outage + ms(30), "{outage:?} {dead:?}: {took:?}");
        }
    }
}

#[test]
fn lost_credit_is_granted_again_at_once() {
    let limits = Limits { credit_connection: 64 << 10, credit_channel: 64 << 10, ..Limits::default() };
    let config = Config { limits, ..Config::default() };
    let is_credit = |datagram: &Datagram| {
        datagram.holds(|frame| matches!(frame, Frame::CreditChannel { .. } | Frame::CreditConnection { .. }))
    };
    for (lost, limit) in [(0, ms(4)), (1, ms(6)), (3, ms(10))] {
        let (mut net, ids) = pair([Config::default(), config.clone()]);
        net.lose_first(lost, 1, is_credit);
        let (mut sent, mut taken) = (0, 0);
        let took = time_until(&mut net, |net| {
            while sent < 32 && net.messages(0, ids[0]).send(0, 0, Bytes::from(vec![1; 16 << 10])).is_ok() {
                sent += 1;
            }
            taken += take(net, ids[1]);
            taken == 32
        });
        assert!(took <= limit, "{lost} lost: {took:?}");
    }
}

#[test]
fn a_close_does_not_wait_for_lost_receipts_or_a_lost_close() {
    let is_taken = |datagram: &Datagram| datagram.holds(|frame| matches!(frame, Frame::Taken { .. }));
    let is_close = |datagram: &Datagram| datagram.holds(|frame| matches!(frame, Frame::Close { .. }));
    for (lost, limit) in [(0, ms(2)), (1, ms(3)), (2, ms(5))] {
        for (host, wanted) in [(1, is_taken as fn(&Datagram) -> bool), (0, is_close), (1, |_: &Datagram| true)] {
            let (mut net, ids) = default_pair();
            net.lose_first(lost, host, wanted);
            send(&mut net, ids, 64);
            let now = net.now;
            net.messages(0, ids[0]).close(now, 1, Duration::from_secs(5));
            let took = time_until(&mut net, |net| {
                while let Ok(Some(_)) = net.messages(1, ids[1]).recv(Select::Any) {}
                net.messages(0, ids[0]).closed()
            });
            assert!(net.messages(0, ids[0]).close_report().unwrap().all_taken());
            assert!(took <= limit, "{lost} lost of host {host}: {took:?}");
        }
    }
}

#[test]
fn a_thousand_connections_to_nowhere_do_not_hold_up_the_one_that_lives() {
    let mut net = Net::new(1, [Config::default(), Config::default()], Faults::default());
    let dead: Vec<_> = (0..1_000).map(|_| net.connect()).collect();
    let ids = net.connect();
    net.settle();
    send(&mut net, ids, 64);
    net.run_for(ms(5));
    assert_eq!(take(&mut net, ids[1]), 1);
    let cid = |datagram: &Datagram| datagram.bytes[2..10].to_vec();
    let living = net.log.iter().find(|datagram| datagram.from == 0).map(cid).unwrap();
    // Only the living connection's datagrams arrive, and of these one is lost each time that it is asked for.
    let lose = Rc::new(Cell::new(false));
    net.rule = Some(Box::new({
        let lose = Rc::clone(&lose);
        move |datagram| datagram.from == 0 && (cid(datagram) != living || lose.replace(false))
    }));
    for [client, _] in &dead {
        net.messages(0, *client).send(0, 0, Bytes::from_static(b"anybody?")).unwrap();
    }
    for wait in [ms(1), ms(3), ms(100), ms(1_000), ms(3_000)] {
        net.run_for(wait);
        lose.set(true);
        send(&mut net, ids, 64);
        let took = time_until(&mut net, |net| take(net, ids[1]) == 1);
        assert!(!lose.get());
        assert!(took <= ms(2), "{took:?} after {wait:?}");
    }
    // And they do not flood the network either.
    net.log.clear();
    net.run_for(Duration::from_secs(1));
    let sent = net.log.iter().filter(|datagram| datagram.from == 0).count();
    assert!((500..2_300).contains(&sent), "{sent} in a second");
}

#[test]
fn a_peer_that_pauses_does_not_slow_the_link_down_for_long() {
    let (mut net, ids) = default_pair();
    // The peer's process stands still for 300 ms, and everything lies in its socket meanwhile.
    net.faults.delay = ms(300);
    send(&mut net, ids, 64);
    net.run_for(Duration::from_micros(10));
    net.faults.delay = Duration::from_micros(50);
    let mut taken = 0;
    time_until(&mut net, |net| {
        taken += take(net, ids[1]);
        taken == 1
    });
    let took = time_until(&mut net, |net| {
        match net.messages(0, ids[0]).send(0, 0, Bytes::from(vec![1; 1 << 20])) {
            Ok(_) | Err(SendError::WouldBlock) => {}
            Err(error) => panic!("{error}"),
        }
        taken += take(net, ids[1]);
        taken >= 20
    });
    assert!(took <= ms(60), "20 MiB in {took:?}");
}

#[test]
fn the_first_packets_of_a_connection_may_be_lost_too() {
    // After SHARE the client's PING, and whatever is lost of the first message.
    for lost in 0..4 {
        let mut net = Net::new(1, [Config::default(), Config::default()], Faults::default());
        let client = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
        net.lose_first(lost, 0, Datagram::asks);
        let took = time_until(&mut net, |net| net.hosts[1].incoming().is_some());
        assert!(took <= ms(12), "{lost} lost: {took:?}");
        assert!(net.hosts[0].stats(client).is_some());
    }
}
