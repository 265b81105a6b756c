//! Reliable, low-latency messages between machines on one network, over UDP or TCP.
#![warn(clippy::disallowed_methods, clippy::unwrap_used)]
// The floors; a module uses only those below it (tests/tidy.rs keeps it). Lowest first:
// time, slots | wire | message | proto, sim | transport
pub mod message;
pub mod proto;
pub mod sim;
pub mod slots;
pub mod time;
pub mod transport;
pub mod wire;

pub use transport::{Config, Connection, Listener, Message, Transport, tcp, udp};
