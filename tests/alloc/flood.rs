//! What a flood of handshakes from addresses that nobody has takes of memory and of the processor.

use core::time::Duration;
use std::net::SocketAddr;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use udpair::proto::{Config, Endpoint, Output, Security};
use udpair::seal::Prs;
use udpair::time::Timestamp;
use udpair::wire::{Hello, Packet};

use crate::{allocations, held};

const HELLOS: u64 = 100_000;
const INVITE: [u8; 8] = [7; 8];
/// What may wait to be sent: 256 answers of 62 bytes and their addresses, with what an allocator and a queue take for
/// each.
const WAITING_MAX: i64 = 256 * 288;
/// What a HELLO takes for a moment: its answer.
const ALLOCATIONS_EACH_MAX: u64 = 1;

fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).expect("below a second"))
}

/// How many datagrams a socket gives at once.
const BATCH: u64 = 50;

/// HELLOs from random addresses, answered or not as the socket lets them go. From a seed, so that a run replays it.
fn flood(security: Security, hellos: u64, drained: bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mode = security.mode();
    let mut endpoint = Endpoint::new(Config { security, ..Config::default() }, [1; 32]);
    let mut batch =
        vec![(SocketAddr::from(([0; 4], 0)), Vec::with_capacity(256)); usize::try_from(BATCH).expect("few")];
    let mut buf = Vec::with_capacity(2_000);
    let (held_before, allocations_before) = (held(), allocations());
    let (mut spent, mut most) = (Duration::ZERO, 0);
    for n in 0..hellos / BATCH {
        let now = Timestamp::from_nanos(1_000_000_000 + n * BATCH * 10_000);
        for (from, bytes) in &mut batch {
            *from = SocketAddr::from((rng.random::<[u8; 4]>(), rng.random_range(1..=u16::MAX)));
            let hello = Hello { client_random: rng.random(), invite: INVITE, params_hash: rng.random() };
            bytes.clear();
            Packet::Hello(hello).put_handshake(mode, bytes);
        }
        let before = cpu_time();
        for (from, bytes) in &mut batch {
            endpoint.handle_datagram(now, *from, None, bytes);
            most = most.max(held() - held_before);
        }
        while drained && matches!(endpoint.poll_output(now, &mut buf), Output::Transmit(_)) {}
        spent += cpu_time() - before;
    }
    let each = (allocations() - allocations_before) / hellos;
    let named: Vec<_> = endpoint.counters().iter_dropped().filter(|(_, count)| *count > 0).collect();
    println!(
        "{mode:?}, {}: {:.2} us of CPU and {each} allocations for each of {hellos} HELLOs, {most} bytes at most",
        if drained { "answered" } else { "not answered" },
        spent.as_secs_f64() * 1e6 / hellos as f64,
    );
    assert!(most <= WAITING_MAX, "{most} bytes");
    assert!(each <= ALLOCATIONS_EACH_MAX, "{each} allocations for each");
    assert_eq!((endpoint.len(), endpoint.half_open(), endpoint.remembered()), (0, 0, 0));
    if drained {
        assert_eq!((endpoint.counters().datagrams_sent, named), (hellos, vec![]), "each is answered");
    } else {
        assert_eq!(named, [("answers_full", hellos - 256)]);
    }
}

#[test]
fn a_hundred_thousand_hellos_from_random_addresses_take_no_memory_and_hardly_any_time() {
    let (code, psk) = (Security::code(INVITE, Prs::words("maple-otter")), Security::psk(INVITE, &[4; 32]));
    flood(code.clone(), HELLOS, true);
    let others = if cfg!(debug_assertions) { HELLOS / 10 } else { HELLOS };
    flood(code, others, false);
    flood(psk, others, true);
    flood(Security::plain(), others, true);
}
