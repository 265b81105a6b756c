//! udpair's own datagram protocol over UDP: `spec/reliability.md`.

pub mod acks;
pub mod congestion;
pub mod cookie;
pub mod ecn;
pub mod idle;
pub mod mtu;
pub mod pacer;
pub mod recovery;
pub mod reorder;
pub mod rtt;
pub mod sent;
