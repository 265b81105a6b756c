//! Pairing between processes on hosts made of network namespaces: who finds whom, over what, and what is said where
//! nobody can.

mod doctor;
mod finding;
mod guest;
mod hostile;
mod latency;
mod reasons;

use std::time::Duration;

/// Longer than anything takes: only a bug waits for it.
const STUCK: Duration = Duration::from_secs(60);
/// For what fails only by waiting, in milliseconds.
const SHORT: &str = "700";

/// What a conversation can be carried by.
const CARRIERS: [&str; 2] = ["udp", "tcp"];
