//! What channels and nodes show under load: figures are printed, outcomes asserted. Small in a debug build; whole with
//! `cargo test --release --all-features --test load -- --nocapture --test-threads=1`.

mod freshness;
mod heap;
mod leaks;
mod numbers;

/// Whether the runs are as large as the claims.
const FULL: bool = !cfg!(debug_assertions);
