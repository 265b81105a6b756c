//! The TCP back end: the same messages as over UDP, cut into records of a TCP stream. `spec/tcp.md`.

mod farewell;
mod handshake;
mod intake;
mod link;
mod receipts;
#[cfg(test)]
mod tests;
