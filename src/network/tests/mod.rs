//! The network as its user sees it.

mod domains;
mod faults;
mod trace;
mod world;

use core::net::SocketAddr;
use core::time::Duration;

use super::*;
use crate::time::Timestamp;

const fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn at_us(micros: u64) -> Timestamp {
    Timestamp::ZERO + us(micros)
}

/// Two hosts, and what is sent from the first to the second.
struct Pair {
    network: Network,
    a: HostId,
    b: HostId,
}

impl Pair {
    fn new(config: LinkConfig) -> Self {
        Self::seeded(1, config)
    }

    fn seeded(seed: u64, config: LinkConfig) -> Self {
        let mut network = Network::new(seed);
        let (a, b) = (network.add_host("a"), network.add_host("b"));
        network.configure(a, b, config);
        Self { network, a, b }
    }

    fn send(&mut self, now: Timestamp, bytes: &[u8]) -> Fate {
        self.send_ecn(now, None, bytes)
    }

    fn send_ecn(&mut self, now: Timestamp, ecn: Option<Ecn>, bytes: &[u8]) -> Fate {
        let (from, to) = (self.network.address(self.a, 1), self.network.address(self.b, 2));
        self.network.send(now, from, to, ecn, bytes)
    }

    /// Sends `count` numbered datagrams, one a microsecond.
    fn send_numbered(&mut self, count: u32) -> Vec<Fate> {
        (0..count).map(|n| self.send(at_us(n.into()), &n.to_be_bytes())).collect()
    }

    /// All that arrives until nothing is under way, with the times.
    fn drain(&mut self) -> Vec<(Timestamp, Delivery)> {
        drain(&mut self.network)
    }

    /// The numbers in what arrives.
    fn drain_numbers(&mut self) -> Vec<u32> {
        self.drain().iter().map(|(_, delivery)| number(&delivery.bytes)).collect()
    }
}

fn drain(network: &mut Network) -> Vec<(Timestamp, Delivery)> {
    let mut arrived = Vec::new();
    while let Some(at) = network.next_at() {
        while let Some(delivery) = network.poll(at) {
            arrived.push((at, delivery));
        }
    }
    arrived
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

/// Every fault at once.
fn rough() -> LinkConfig {
    LinkConfig {
        delay: us(300),
        jitter: us(100),
        loss_ppm: 50_000,
        burst: Some(Burst { enter_ppm: 20_000, leave_ppm: 300_000, loss_good_ppm: 0, loss_bad_ppm: 700_000 }),
        duplicate_ppm: 100_000,
        reorder_ppm: 100_000,
        reorder_delay: us(500),
        flip_ppm: 50_000,
        truncate_ppm: 50_000,
        rate_bps: Some(100_000_000),
        queue_bytes: 10_000,
        ce_threshold_bytes: Some(5_000),
        mtu: 1_000,
        oversize: Oversize::Fragment,
    }
}

/// Datagrams of many lengths, every 50 µs.
fn exercise(pair: &mut Pair) -> Vec<(Timestamp, Delivery)> {
    for n in 0..2_000_usize {
        pair.send_ecn(at_us(50 * n as u64), Some(Ecn::Ect0), &vec![n.to_le_bytes()[0]; n * 37 % 1_700]);
    }
    pair.drain()
}
