//! How connections end.

use core::time::Duration;

use bytes::Bytes;

use super::net::{Faults, Net};
use crate::message::{End, Select};
use crate::proto::Config;
use crate::slots::ConnectionId;

fn pair(seed: u64, faults: Faults) -> (Net, [ConnectionId; 2]) {
    let (mut net, ids) = Net::connected(seed, [Config::default(), Config::default()], faults);
    net.settle();
    (net, ids)
}

#[test]
fn a_close_reports_what_was_taken_and_both_sides_forget() {
    for loss_percent in [0, 10, 30] {
        for seed in 0..50 {
            let (mut net, ids) = pair(seed, Faults { loss_percent, ..Faults::default() });
            for _ in 0..10 {
                net.messages(0, ids[0]).send(0, 0, Bytes::from_static(b"hello")).unwrap();
            }
            let now = net.now;
            net.messages(0, ids[0]).close(now, 17, Duration::from_secs(5));
            let mut taken = 0;
            let done = net.run(Duration::from_secs(20), |net| {
                while let Ok(Some(_)) = net.messages(1, ids[1]).recv(Select::Any) {
                    taken += 1;
                }
                net.messages(0, ids[0]).closed()
            });
            assert!(done, "seed {seed} at {loss_percent} %");
            assert_eq!(taken, 10);
            let report = net.messages(0, ids[0]).close_report().unwrap().clone();
            assert!(report.all_taken(), "{report:?}");
            assert_eq!(net.messages(1, ids[1]).recv(Select::Any), Err(End::ClosedByPeer { code: 17 }));
            for (host, id) in ids.into_iter().enumerate() {
                net.hosts[host].release(net.now, id);
            }
            net.run_for(Duration::from_secs(3));
            for host in 0..2 {
                assert_eq!(net.hosts[host].len(), 0, "host {host}, seed {seed} at {loss_percent} %");
                assert_eq!(net.hosts[host].deadline(), None);
            }
        }
    }
}

#[test]
fn a_quiet_connection_stays_alive_by_a_datagram_each_third_of_the_timeout() {
    let (mut net, ids) = pair(1, Faults::default());
    net.run_for(Duration::from_secs(60));
    for (host, id) in ids.into_iter().enumerate() {
        assert_eq!(net.messages(host, id).ended(), None);
    }
    let asking = net.log.iter().filter(|datagram| datagram.asks()).count();
    assert!((17..=20).contains(&asking), "one of the two asks, the other answers: {asking} of {}", net.log.len());
    assert!(net.log.len() <= 2 * asking);
}

#[test]
fn a_peer_that_vanishes_is_given_up_ten_seconds_after_it_was_last_heard() {
    for dead in [[true, false], [false, true], [true, true]] {
        for busy in [false, true] {
            let (mut net, ids) = pair(1, Faults::default());
            net.faults.dead = dead;
            let start = net.now;
            if busy {
                net.messages(0, ids[0]).send(0, 0, Bytes::from(vec![1; 100_000])).unwrap();
            }
            assert!(net.run(Duration::from_secs(60), |net| net.messages(0, ids[0]).ended().is_some()));
            assert_eq!(net.messages(0, ids[0]).ended(), Some(End::TimedOut));
            let took = net.now.saturating_since(start);
            // The peer's own signs of life may still arrive, until it gives up in its turn.
            let most_ms = if dead == [true, false] { 20_000 } else { 10_000 };
            let limits = Duration::from_millis(9_900)..=Duration::from_millis(most_ms);
            assert!(limits.contains(&took), "{dead:?} {busy}: {took:?}");
            // Probing a dead peer costs a few dozen datagrams, not thousands.
            let sent = net.log.iter().filter(|datagram| datagram.from == 0).count();
            assert!(sent < 200, "{sent}");
        }
    }
}
