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
