//! What is peculiar to the TCP back end: peers written by hand from `spec/tcp.md`, broken ones, the system's limits.
//! What it shares with the others is in the conformance suite.

mod calling;
mod descriptors;
mod flood;
mod hostile;
#[path = "../loopback/mod.rs"]
mod loopback;
mod raw;
mod records;
#[expect(dead_code, reason = "it can relay datagrams, too")]
#[path = "../relay/mod.rs"]
mod relay;
mod sealed;
