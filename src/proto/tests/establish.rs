//! Handshakes: under loss, refused, forged, flooded.

use super::net::{Faults, Net, address};
use core::time::Duration;

use crate::message::{End, State};
use crate::proto::{Config, Dropped, PathLimits};

fn default_pair(seed: u64, faults: Faults) -> Net {
    Net::new(seed, [Config::default(), Config::default()], faults)
}

#[test]
fn a_connection_is_established_after_two_round_trips() {
    let mut net = default_pair(1, Faults::default());
    let start = net.now;
    let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
    assert!(net.run(Duration::from_secs(1), |net| net.hosts[0].messages(id).unwrap().state() == State::Open));
    assert_eq!(net.now.saturating_since(start), Duration::from_micros(200));
    assert!(net.run(Duration::from_secs(1), |net| net.hosts[1].incoming().is_some()));
    assert_eq!(net.now.saturating_since(start), Duration::from_micros(250), "on the first packet");
}

#[test]
fn handshakes_succeed_under_any_loss_and_duplication() {
    for seed in 0..200 {
        let faults =
            Faults { loss_percent: 30, duplicate_percent: 30, jitter: Duration::from_millis(1), ..Faults::default() };
        let (mut net, ids) = Net::connected(seed, [Config::default(), Config::default()], faults);
        net.run_for(Duration::from_secs(2));
        for (host, id) in ids.into_iter().enumerate() {
            assert_eq!(net.messages(host, id).state(), State::Open, "seed {seed}");
            assert_eq!(net.hosts[host].len(), 1, "seed {seed}: one connection only");
        }
    }
}

#[test]
fn nobody_there_is_a_timeout() {
    let mut net = default_pair(1, Faults { dead: [true, true], ..Faults::default() });
    let start = net.now;
    let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
    net.run(Duration::from_secs(60), |net| net.hosts[0].messages(id).unwrap().ended().is_some());
    assert_eq!(net.hosts[0].messages(id).unwrap().ended(), Some(End::ConnectTimedOut));
    assert_eq!(net.now.saturating_since(start), Duration::from_secs(5));
    net.hosts[0].release(net.now, id);
    net.pump(0);
    assert_eq!(net.hosts[0].len(), 0);
    assert_eq!(net.hosts[0].deadline(), None);
}

#[test]
fn an_endpoint_that_does_not_listen_answers_nothing() {
    let config = Config { backlog: 0, ..Config::default() };
    let mut net = Net::new(1, [Config::default(), config], Faults::default());
    let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
    net.run_for(Duration::from_secs(6));
    assert_eq!(net.hosts[0].messages(id).unwrap().ended(), Some(End::ConnectTimedOut));
    assert!(net.log.iter().all(|datagram| datagram.from == 0));
    assert!(net.hosts[1].counters().dropped(Dropped::NotListening) > 0);
}
