//! How long a pairing takes once both sides have started, whichever was first. The figures are printed; what is
//! asserted is that each pairing succeeds. `UDPAIR_FULL=1` makes 200 of each kind, else few, and asserts their 99th
//! percentile, too.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::CARRIERS;
use super::guest::Guest;
use crate::full;
use crate::net::Net;

/// A joiner that is first looks for so long, at most, until its inviter comes: past its burst, into its slow beacons.
const HEAD_START_MAX: Duration = Duration::from_millis(600);

/// What is asserted of 200.
const P99_MAX: Duration = Duration::from_millis(250);

/// Who is first.
#[derive(Clone, Copy, Debug)]
enum First {
    Inviter,
    Joiner,
}

#[test]
fn on_loopback() {
    measure("loopback", &mut Guest::on_loopback("inviter"), &mut Guest::on_loopback("joiner"));
}

#[test]
fn between_two_hosts_on_a_bridge() {
    let Some(net) = Net::bridge(2) else { return };
    measure("bridge", &mut Guest::on(&net, 0, "inviter"), &mut Guest::on(&net, 1, "joiner"));
}

fn measure(place: &str, inviter: &mut Guest, joiner: &mut Guest) {
    let count = if full() { 200 } else { 6 };
    for carrier in CARRIERS {
        for first in [First::Inviter, First::Joiner] {
            let pairings = (0..count).map(|at| {
                // Spread evenly, and not in order.
                pair(inviter, joiner, carrier, first, HEAD_START_MAX * (at * 37 % count) / count)
            });
            let mut took: Vec<Duration> = pairings.collect();
            took.sort_unstable();
            let percentile = |percent: usize| took[(took.len() * percent).div_ceil(100) - 1];
            println!(
                "{place}, {carrier}, {first:?} first: {count} pairings, p50 {:.1?}, p99 {:.1?}, max {:.1?}",
                percentile(50),
                percentile(99),
                percentile(100)
            );
            // Of few there is no percentile, and nothing else is to run beside it.
            assert!(!full() || percentile(99) < P99_MAX, "{place}, {carrier}, {first:?} first: {:?}", percentile(99));
        }
    }
}

/// From when the later side was told to begin to when both have said that they are connected.
fn pair(inviter: &mut Guest, joiner: &mut Guest, carrier: &str, first: First, head_start: Duration) -> Duration {
    let (code, _) = inviter.invite(carrier);
    let began = match first {
        First::Inviter => {
            inviter.begin_accept();
            let began = Instant::now();
            joiner.begin_join(&["join", &code]);
            began
        }
        First::Joiner => {
            joiner.begin_join(&["join", &code]);
            let (_never, ticks) = mpsc::channel::<()>();
            let _ = ticks.recv_timeout(head_start);
            assert!(joiner.is_silent(), "nobody invites yet");
            let began = Instant::now();
            inviter.begin_accept();
            began
        }
    };
    inviter.hear("accepted");
    joiner.hear("joined");
    let took = began.elapsed();
    inviter.hear("closed");
    assert_eq!(joiner.hear("met"), "inviter");
    took
}
