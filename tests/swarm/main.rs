//! The swarm: random worlds from one seed each, checked against a model.
//!
//! A world is two to five hosts, the network between them with its faults, and applications that send, read, stop,
//! reset, close, abort and call again. Whatever happens: every reliable message comes exactly once, byte for byte, in
//! order where that was promised; nothing is invented; `Latest` never goes back; flushes and reports claim nothing that
//! the other side does not hold; memory stays bounded; and when the faults have ended everything arrives or the
//! connection has ended with a reason.
//!
//! In about half of the worlds of endpoints everything is sealed, by a shared key or by a code, with keys that are
//! updated early: no key seals two packets under one number. And at the end of each world every host receives once more
//! all that it took, and nothing comes of it.
//!
//! `UDPAIR_SEEDS=n` runs so many worlds (default 1,000; 100 in a debug build), `UDPAIR_SEED=x` one, with its plan and
//! its packets printed.

#[cfg(test)]
mod app;
#[cfg(test)]
mod carrier;
#[cfg(test)]
mod chance;
#[cfg(test)]
mod content;
#[cfg(test)]
mod endpoint;
#[cfg(test)]
mod model;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod run;
#[cfg(test)]
mod sans_io;
#[cfg(test)]
mod seals;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::run::Tally;
use crate::sans_io::Core;

const UNPOISONED: &str = "worlds panic without holding a lock";

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Runs worlds on all processors; fails at the lowest seed whose world failed.
fn swarm<C: Core>(test: &str) -> Tally {
    if let Some(seed) = number("UDPAIR_SEED") {
        return run::run::<C>(seed, true);
    }
    let count = number("UDPAIR_SEEDS").unwrap_or(if cfg!(debug_assertions) { 100 } else { 1_000 });
    let next = AtomicU64::new(0);
    let (failed, total) = (Mutex::new(Vec::new()), Mutex::new(Tally::default()));
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| run::run::<C>(seed, false))) {
                        Ok(tally) => total.lock().expect(UNPOISONED).add(tally),
                        Err(_) => {
                            failed.lock().expect(UNPOISONED).push(seed);
                            next.store(count, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect(UNPOISONED).into_iter().min();
    if let Some(seed) = failed {
        panic!(
            "the world of seed {seed} failed; replay it with\n    UDPAIR_SEED={seed} cargo test --test swarm {test}"
        );
    }
    let total = total.into_inner().expect(UNPOISONED);
    println!("{count} worlds: {total:?}");
    total
}

#[test]
fn messages_over_the_simplest_carrier() {
    let total = swarm::<carrier::Carrier>("messages_over_the_simplest_carrier");
    assert!(total.connections > 0 && total.delivered > 0 && total.claims > 0, "worlds are not empty: {total:?}");
}

#[test]
fn endpoints() {
    let total = swarm::<endpoint::Udp>("endpoints");
    assert!(total.connections > 0 && total.delivered > 0 && total.claims > 0, "worlds are not empty: {total:?}");
    if number("UDPAIR_SEED").is_none() {
        assert!(total.sealed > 0 && total.key_updates > 0 && total.replayed > 0, "nothing was sealed: {total:?}");
    }
}
