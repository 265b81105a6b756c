//! The UDP back end: `proto` over one socket.
//!
//! `io` makes the system calls, `core` is the endpoint with its outbox. What is peculiar about sockets is in
//! `errors` (what ICMP says), `path` (what the interface allows) and `drops` (what the kernel threw away).

mod core;
mod drops;
mod errors;
mod io;
mod outbox;
mod path;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

pub(super) use self::core::{Call, UdpCore};
use self::io::{UdpIo, UdpRx, UdpTx};
pub(super) use self::outbox::Outbox;
use super::driven::{Driven, Joining, LEASE, Verbs};
use super::{BindError, Config, Transport, random};
use crate::proto;

/// Binds a transport over UDP to `addr`; port 0 lets the system choose one. An unspecified IPv6 address (`[::]`) also
/// takes IPv4 peers.
///
/// It has one thread of its own, the keeper, and at most 2 MiB of receive buffers, which cost memory only once they are
/// needed. Does not block.
///
/// # Errors
/// See [`BindError`].
pub fn bind(addr: SocketAddr, config: Config) -> Result<Arc<dyn Transport>, BindError> {
    let joining: Arc<dyn Joining> = open(addr, &config)?;
    Ok(joining)
}

/// As [`bind`], for pairing.
pub(super) fn open(addr: SocketAddr, config: &Config) -> Result<Arc<dyn Joining>, BindError> {
    config.check_key(addr)?;
    let failed = |error| BindError::from_io(addr, error);
    let io = UdpIo::bind(addr, config).map_err(failed)?;
    let seed = random::seed().map_err(failed)?;
    let endpoint = proto::Config {
        security: config.security.clone(),
        limits: config.limits,
        idle_timeout: config.idle_timeout,
        connect_timeout: config.connect_timeout,
        ack_delay_max: LEASE,
        backlog: config.backlog,
        controller: config.controller,
        receive_buffer: io.receive_buffer() as u64,
        prefers_chacha: config.prefers_chacha,
        ..proto::Config::default()
    };
    let core = UdpCore::new(endpoint, &seed, io.is_dual(), config.backlog > 0);
    let tokens = (UdpRx::new(), UdpTx::default());
    let driven = Driven::start(io, core, tokens, config.limits.mended(), config.busy_poll).map_err(failed)?;
    Ok(Arc::new(Verbs(driven)))
}
