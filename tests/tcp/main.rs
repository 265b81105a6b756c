//! What is peculiar to the TCP back end: peers written from `spec/tcp.md` by hand, broken ones, and the system's limits.
//! What it shares with the others is in the conformance suite.

mod calling;
mod descriptors;
mod hostile;
mod raw;
mod records;
