//! The `udpair` tool.
fn main() {}
