//! Replays the fuzz corpora: the targets of `fuzz/`, over every input that was found worth keeping.
//!
//! A crash that the fuzzer found is copied into `fuzz/corpus/TARGET/` and replayed from then on, here and on stable.
//! One file alone: `CORPUS=endpoints/name cargo test --test corpora`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library for the fuzzer, a module here")]
mod targets;

/// The committed inputs together, in bytes: seeds, not a fuzzer's whole memory.
const CORPORA_LEN_MAX: u64 = 300 * 1024;

/// Runs a target over its corpus, and over nothing and noise.
fn replay(target: &str, run: fn(&[u8])) {
    let only = std::env::var("CORPUS").ok();
    if only.is_none() {
        run(&[]);
        (0..64).for_each(|seed| run(&noise(seed)));
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{target} has no corpus");
    let mut failed = Vec::new();
    for path in paths {
        let name = format!("{target}/{}", path.file_name().expect("a file").to_string_lossy());
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let data = fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        if catch_unwind(AssertUnwindSafe(|| run(&data))).is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "replay one by CORPUS=NAME cargo test --test corpora: {failed:?}");
}

/// Bytes that change with the seed, always the same for it; a few hundred of them.
fn noise(seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let len = 16 * (seed as usize % 32);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn datagram() {
    replay("datagram", targets::datagram::run);
}

#[test]
fn record() {
    replay("record", targets::record::run);
}

#[test]
fn npy() {
    replay("npy", targets::npy::run);
}

#[test]
fn messages() {
    replay("messages", targets::messages::run);
}

#[test]
fn connection() {
    replay("connection", targets::connection::run);
}

#[test]
fn endpoints() {
    replay("endpoints", targets::endpoints::run);
}

#[test]
fn sealed() {
    replay("sealed", targets::sealed::run);
}

#[test]
fn beacon() {
    replay("beacon", targets::beacon::run);
}

#[test]
fn the_corpora_are_small() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut len = 0;
    for target in fs::read_dir(&dir).expect("corpora").map(|entry| entry.expect("readable").path()) {
        len += fs::read_dir(target)
            .expect("a corpus")
            .map(|file| file.expect("readable").metadata().map_or(0, |it| it.len()))
            .sum::<u64>();
    }
    assert!(len > 0 && len <= CORPORA_LEN_MAX, "{len} bytes of corpora");
}
