//! What channels and nodes show under load: figures are printed, outcomes asserted. Small in a debug build; whole with
//! `cargo test --release --all-features --test load -- --nocapture --test-threads=1`.

mod child;
mod freshness;
mod heap;
mod images;
mod leaks;
mod numbers;
mod stalled;

/// Whether the runs are as large as the claims.
const FULL: bool = !cfg!(debug_assertions);
