//! udpair's own datagram protocol over UDP: `spec/reliability.md`.
//!
//! Sans-IO. An [`Endpoint`] is one socket's worth of connections: datagrams, the time and the application's verbs go
//! in, datagrams and events come out of [`Endpoint::poll_output`]. It routes to [`connection`]s, which are
//! [`handshake`]s first and [`link`]s then. A link routes to parts, each of which owns what it knows and returns what
//! follows from it:
//!
//! | part | knows |
//! |---|---|
//! | [`acks`] | what arrived, and when to say so |
//! | [`recovery`], [`sent`], [`reorder`], [`rtt`] | what was sent, and what became of it |
//! | [`congestion`], [`pacer`] | how much may be in flight, and how fast |
//! | [`mtu`] | how long a datagram may be |
//! | [`ecn`] | whether the path carries marks |
//! | [`idle`] | how long it has been silent |
//!
//! Of messages it knows only [`Messages`](crate::message::Messages): that they fill packets, and want to be told what
//! was acknowledged and what was lost.

pub mod acks;
mod backoff;
pub mod budget;
pub mod config;
pub mod congestion;
pub mod connection;
pub mod cookie;
pub mod counters;
pub mod ecn;
pub mod endpoint;
pub mod handshake;
pub mod idle;
pub mod link;
pub mod listener;
pub mod lists;
pub mod mtu;
pub mod pacer;
pub mod path;
pub mod recovery;
pub mod reorder;
pub mod routes;
pub mod rtt;
pub mod runs;
pub mod security;
pub mod sent;
pub mod stats;
pub mod timers;
pub mod version;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use congestion::ControllerKind;
pub use counters::{Counters, Dropped};
pub use ecn::Ecn;
pub use endpoint::{Answer, ConnectError, Endpoint, Output, Transmit};
pub use link::Drained;
pub use mtu::PathLimits;
pub use path::Path;
pub use security::{InviteId, InviteState, NO_INVITE, Security};
pub use stats::{ConnectionStats, LinkStats};
