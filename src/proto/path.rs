//! Between which two addresses a datagram travels.

use std::net::{IpAddr, SocketAddr};

/// The peer's address, and which of ours it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The peer's.
    pub remote: SocketAddr,
    /// Ours, where there are several and the network tells: what goes back must come from there.
    pub local: Option<IpAddr>,
}

impl From<SocketAddr> for Path {
    /// From an endpoint that has one address only.
    fn from(remote: SocketAddr) -> Self {
        Self { remote, local: None }
    }
}
