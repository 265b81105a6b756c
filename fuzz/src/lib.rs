//! What the fuzz targets do with their input. A target panics when a promise is broken.
//!
//! The same code runs under libFuzzer (`cargo +nightly fuzz run datagram`) and, over the committed corpora, in plain
//! `cargo test` on stable: `tests/corpora.rs` includes this file. A crash is replayed by copying its file into
//! `fuzz/corpus/TARGET/` and running `cargo test --test corpora`.

pub mod beacon;
pub mod choices;
pub mod connection;
pub mod datagram;
pub mod endpoints;
pub mod messages;
pub mod model;
pub mod npy;
pub mod record;
pub mod sealed;
