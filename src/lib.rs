//! Reliable, low-latency messages between machines on one network, over UDP or TCP.
// The floors, lowest first; a module uses only those above its line here (tests/tidy.rs keeps it).
pub mod time;
pub mod wire;

pub mod transport;

pub use transport::{Config, Connection, Listener, Message, Transport};
