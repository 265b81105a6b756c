//! What a connection costs in protocol work, both ends together on one core: no socket, no thread, no clock.

mod pair;

use core::time::Duration;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use udpair::proto::Security;

use pair::Pair;

const MESSAGE: &[u8] = &[7; 64];
const BULK_LEN: usize = 1 << 20;
/// Different messages in turn, so that the sender does not read the same megabyte over and over.
const BULK_SOURCES: usize = 16;
const MANY: u64 = 1_000;

/// The time that this thread has had the processor for. On a busy machine it says more than the clock does.
#[cfg(unix)]
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).expect("below a second"))
}

/// The time of the clock, where nothing better is at hand.
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn cpu_time() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

fn timed(iterations: u64, mut work: impl FnMut()) -> Duration {
    let start = cpu_time();
    for _ in 0..iterations {
        work();
    }
    cpu_time() - start
}

/// What a figure of a plain connection is called, and how that of a sealed one.
fn securities() -> [(&'static str, Security); 2] {
    [("", Security::plain()), (" sealed", Security::psk([3; 8], &[4; 32]))]
}

fn echo(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("echo");
    for (sealed, security) in securities() {
        let mut pair = Pair::new(1_472, security);
        group.bench_function(format!("64{sealed}"), |bencher| {
            bencher.iter_custom(|iterations| {
                timed(iterations, || {
                    pair.messages(0).send(0, 0, Bytes::from_static(MESSAGE)).expect("there is room");
                    while pair.deliver(0) {}
                    let body = pair.recv_whole(1).expect("it arrived");
                    pair.messages(1).send(0, 0, body).expect("there is room");
                    while pair.deliver(1) {}
                    black_box(pair.recv_whole(0).expect("it came back"));
                })
            });
        });
    }
}

fn bulk(criterion: &mut Criterion) {
    let sources: Vec<Bytes> = (0..BULK_SOURCES).map(|n| vec![u8::try_from(n).unwrap_or(0); BULK_LEN].into()).collect();
    let mut group = criterion.benchmark_group("bulk");
    group.throughput(Throughput::Bytes(BULK_LEN as u64));
    for (datagram_len, (sealed, security)) in
        [1_472, 65_507].into_iter().flat_map(|len| securities().map(|it| (len, it)))
    {
        let mut pair = Pair::new(datagram_len, security);
        let mut turn = sources.iter().cycle();
        group.bench_function(format!("{datagram_len}{sealed}"), |bencher| {
            bencher.iter_custom(|iterations| {
                timed(iterations, || {
                    // Two under way at a time: the pipe never runs dry.
                    while pair.messages(0).stats().queued < 2 * BULK_LEN as u64 {
                        let body = turn.next().expect("for ever").clone();
                        pair.messages(0).send(0, 0, body).expect("there is room");
                    }
                    let body = loop {
                        pair.exchange();
                        if let Some(body) = pair.recv_whole(1) {
                            break body;
                        }
                    };
                    assert_eq!(black_box(body).len(), BULK_LEN);
                })
            });
        });
    }
}

fn many(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("many");
    group.throughput(Throughput::Elements(MANY));
    for datagram_len in [1_472, 65_507] {
        let mut pair = Pair::new(datagram_len, Security::plain());
        group.bench_function(format!("64 in {datagram_len}"), |bencher| {
            bencher.iter_custom(|iterations| {
                timed(iterations, || {
                    for _ in 0..MANY {
                        pair.messages(0).send(0, 0, Bytes::from_static(MESSAGE)).expect("there is room");
                    }
                    let mut received = 0;
                    while received < MANY {
                        pair.exchange();
                        while let Some(body) = pair.recv_whole(1) {
                            black_box(body);
                            received += 1;
                        }
                    }
                })
            });
        });
    }
}

criterion_group!(benches, echo, bulk, many);
criterion_main!(benches);
