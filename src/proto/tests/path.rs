//! Paths: how long datagrams may be, how many fit, and in which order they arrive.

use core::time::Duration;

use bytes::Bytes;

use super::net::{Faults, Net};
use crate::message::{Select, SendError};
use crate::proto::{Config, LinkStats};
use crate::slots::ConnectionId;

fn roomy(receive_buffer: u64) -> Config {
    Config { receive_buffer, ..Config::default() }
}

fn link(net: &Net, ids: [ConnectionId; 2]) -> LinkStats {
    net.hosts[0].stats(ids[0]).unwrap().link.unwrap()
}

/// Sends `count` messages of 1 MiB; how long it takes. `each` looks at every step.
fn bulk(net: &mut Net, ids: [ConnectionId; 2], count: u32, mut each: impl FnMut(&mut Net)) -> Duration {
    let start = net.now;
    let body = Bytes::from(vec![9; 1 << 20]);
    let (mut sent, mut received) = (0, 0);
    let done = net.run(Duration::from_secs(60), |net| {
        while sent < count {
            match net.messages(0, ids[0]).send(0, 0, body.clone()) {
                Ok(_) => sent += 1,
                Err(SendError::WouldBlock) => break,
                Err(error) => panic!("{error}"),
            }
        }
        while net.messages(1, ids[1]).recv(Select::Any).unwrap().is_some() {
            received += 1;
        }
        each(net);
        received == count
    });
    assert!(done, "{received} of {count}: {:?}", link(net, ids));
    net.now.saturating_since(start)
}

#[test]
fn datagrams_grow_to_what_path_peer_and_buffer_allow() {
    for (mtu, buffer, expected) in [
        (65_507, 4 << 20, 65_507),
        (65_507, 1 << 20, 32_000),
        (65_507, 0, 1_472),
        (65_507, 212_992, 1_472),
        (8_972, 4 << 20, 8_972),
        (1_472, 4 << 20, 1_472),
        (1_400, 4 << 20, 1_372),
        (1_200, 4 << 20, 1_200),
    ] {
        let faults = Faults { mtu, ..Faults::default() };
        let (mut net, ids) = Net::connected(1, [roomy(4 << 20), roomy(buffer)], faults);
        net.run_for(Duration::from_millis(100));
        assert_eq!(link(&net, ids).mtu, expected, "{mtu} {buffer}");
        assert_eq!(link(&net, ids).packets_lost, 0, "a lost probe is no loss");
        bulk(&mut net, ids, 2, |_| {});
        let longest = net.log.iter().filter(|it| it.from == 0 && it.bytes.len() <= mtu).map(|it| it.bytes.len()).max();
        assert_eq!(longest, usize::try_from(expected).ok());
    }
}

#[test]
fn the_search_takes_a_round_trip_for_each_step() {
    let faults = Faults { mtu: 65_507, ..Faults::default() };
    let (mut net, ids) = Net::connected(1, [roomy(4 << 20), roomy(4 << 20)], faults);
    let start = net.now;
    assert!(net.run(Duration::from_secs(1), |net| link(net, ids).mtu == 65_507));
    assert!(net.now.saturating_since(start) <= Duration::from_micros(800), "{:?}", net.now.saturating_since(start));
}

#[test]
fn a_path_that_comes_to_swallow_long_datagrams_is_found_out() {
    for (before, after) in [(1_472, 1_300), (65_507, 1_472)] {
        let faults = Faults { mtu: before, ..Faults::default() };
        let (mut net, ids) = Net::connected(1, [roomy(4 << 20), roomy(4 << 20)], faults);
        net.run_for(Duration::from_millis(20));
        assert_eq!(link(&net, ids).mtu as usize, before);
        net.faults.mtu = after;
        let took = bulk(&mut net, ids, 2, |_| {});
        assert!(link(&net, ids).mtu as usize <= after);
        assert!(took < Duration::from_millis(150), "{before} to {after}: {took:?}");
    }
}

#[test]
fn no_more_is_in_flight_than_the_peers_buffer_holds() {
    for buffer in [0, 65_536, 212_992, 1 << 20, 4 << 20] {
        let held = if buffer == 0 { 212_992 } else { buffer };
        let faults = Faults { mtu: 65_507, delay: Duration::from_millis(1), ..Faults::default() };
        let (mut net, ids) = Net::connected(1, [roomy(4 << 20), roomy(buffer)], faults);
        bulk(&mut net, ids, 16, |_| {});
        let most = net.air_cost_most[1];
        assert!(most <= held, "{most} of {held}");
        assert!(most >= held / 2, "and it is made use of: {most} of {held}");
        assert_eq!(link(&net, ids).packets_lost, 0);
    }
}

#[test]
fn slow_start_reaches_the_buffer_in_a_few_round_trips_also_with_messages_one_after_the_other() {
    let faults = Faults { mtu: 65_507, ..Faults::default() };
    let (mut net, ids) = Net::connected(1, [roomy(4 << 20), roomy(4 << 20)], faults);
    net.settle();
    let took = bulk(&mut net, ids, 16, |_| {});
    let most = net.air_cost_most[1];
    assert!(most > (4 << 20) * 9 / 10, "{most}");
    // 16 MiB at a buffer's worth (half of 4 MiB, as a datagram counts twice) each 100 us take 0.8 ms.
    assert!(took < Duration::from_millis(2), "{took:?}");
}

#[test]
fn jitter_that_reorders_everything_costs_little() {
    for (jitter_us, limit) in [(10, 2), (50, 2), (100, 3)] {
        let mut took = [Duration::ZERO; 2];
        let mut lost = 0;
        for (at, jitter) in [0, jitter_us].into_iter().enumerate() {
            let jitter = Duration::from_micros(jitter);
            let faults = Faults { jitter, ..Faults::default() };
            let (mut net, ids) = Net::connected(3, [roomy(4 << 20), roomy(4 << 20)], faults);
            net.settle();
            took[at] = bulk(&mut net, ids, 30, |_| {});
            lost = link(&net, ids).packets_lost;
        }
        assert!(took[1] < took[0] * limit, "{jitter_us} us: {took:?}, {lost} lost in vain");
    }
}

#[test]
fn an_overflowing_queue_does_not_throw_the_search_back() {
    let faults = Faults { mtu: 65_507, ..Faults::default() };
    let (mut net, ids) = Net::connected(1, [roomy(4 << 20), roomy(4 << 20)], faults);
    net.settle();
    net.faults.buffer = 1 << 20; // the peer says 4 MiB
    let mut least = u32::MAX;
    bulk(&mut net, ids, 50, |net| least = least.min(link(net, ids).mtu));
    assert_eq!(least, 65_507);
    assert!(link(&net, ids).packets_lost > 20);
}
