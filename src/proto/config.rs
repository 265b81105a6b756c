//! What an endpoint is set up with.

use core::time::Duration;

use crate::message::Limits;
use crate::seal::Generations;

use super::congestion::ControllerKind;
use super::mtu::PathLimits;
use super::security::Security;

/// How an endpoint behaves. Every connection of it is the same in this.
#[derive(Clone, Debug)]
pub struct Config {
    /// How connections are secured. Default: they are not.
    pub security: Security,
    /// What each connection may hold.
    pub limits: Limits,
    /// Silence after which a connection is given up. Keep-alives go after a third of it. Default 10 s; zero is never.
    pub idle_timeout: Duration,
    /// How long to try to connect. Default 5 s.
    pub connect_timeout: Duration,
    /// How long an acknowledgement may be held back, at most: what the driver's timers can keep. Default 0.5 ms.
    pub ack_delay_max: Duration,
    /// How many incoming connections may wait to be answered or to be confirmed; a further one is refused as busy.
    /// Default 128; with 0 the endpoint does not listen.
    pub backlog: usize,
    /// Connections in all. Default 16,384.
    pub connections_max: usize,
    /// Congestion control. Default NewReno.
    pub controller: ControllerKind,
    /// What the socket's receive buffer really holds, in bytes; 0 where that is unknown. Default 0.
    pub receive_buffer: u64,
    /// The longest datagram that the driver receives, in bytes. Default 65,507, at least 1,200.
    pub datagram_len_max: u32,
    /// What the way to those who connect to us allows; for those to whom we connect it is said with the call.
    /// Default: what UDP itself does.
    pub accept_path: PathLimits,
    /// How exactly the driver's timers fire. Default 0.1 ms.
    pub granularity: Duration,
    /// After how many packets keys are updated in sealed modes. Default: the protocol's 2^22; another value is for
    /// tests, and both sides must have the same.
    pub generations: Generations,
    /// This machine has no AES in hardware: sealed connections use ChaCha20-Poly1305. Default false.
    pub prefers_chacha: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            security: Security::plain(),
            limits: Limits::default(),
            idle_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            ack_delay_max: Duration::from_micros(500),
            backlog: 128,
            connections_max: 16_384,
            controller: ControllerKind::default(),
            receive_buffer: 0,
            datagram_len_max: 65_507,
            accept_path: PathLimits { datagram_len_max: 65_507 },
            granularity: Duration::from_micros(100),
            generations: Generations::STANDARD,
            prefers_chacha: false,
        }
    }
}
