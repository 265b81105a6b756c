//! How a transport behaves: one `Config` for every back end.

use core::net::SocketAddr;
use core::time::Duration;

use crate::message::Limits;
use crate::proto::{ControllerKind, Security};

use super::{BindError, Psk, cpu};

/// What is asked for as either buffer of a UDP socket where the configuration has none.
pub(super) const UDP_BUFFER: usize = 4 << 20;

/// How a transport behaves; the same for every back end. Start from [`Config::psk`] or [`Config::insecure_plain`] and
/// change fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    pub(crate) security: Security,
    /// The security rests on a simulation's seed.
    pub(crate) simulated: bool,
    /// Sealed connections use ChaCha20-Poly1305, whatever the peer prefers.
    pub(crate) prefers_chacha: bool,
    /// Lengths, credit and queues of each connection. See [`Limits`] for units and defaults.
    pub limits: Limits,
    /// Silence after which a connection is given up; zero means never. The shorter of the two sides' counts. A third of
    /// it is the keepalive's interval, so an idle connection between two living peers stays. Resolution 1 ms, default
    /// 10 s. `spec/reliability.md`, section "Silence"; `spec/tcp.md`, section "Silence".
    pub idle_timeout: Duration,
    /// How long a call waits to be answered, and over TCP how long a caller may take to say who it is. Default 5 s.
    pub connect_timeout: Duration,
    /// How many connections may be established and not yet accepted; whoever comes then is refused as busy. 0: the
    /// transport does not listen. Default 128. `spec/reliability.md`, section "Handshake".
    pub backlog: usize,
    /// What decides how much may be under way on the UDP back end (TCP has the system's). Default NewReno (RFC 9002,
    /// section 7). `spec/reliability.md`, section "Congestion".
    pub controller: ControllerKind,
    /// How long a waiting thread looks at the socket again and again before it sleeps. This takes the kernel's wake
    /// (about 25 µs) out of every answer that comes within that time and costs a whole core meanwhile. `None`: it
    /// sleeps at once. Default `None`.
    pub busy_poll: Option<Duration>,
    /// The send buffer to ask for, bytes, of the UDP socket or of each TCP connection. The system may give less: see
    /// [`TransportStats::send_buffer`](super::TransportStats::send_buffer). `None`: 4 MiB over UDP; over TCP nothing is
    /// asked for, and the system's own tuning lets the buffer grow with the path. Default `None`.
    pub send_buffer: Option<usize>,
    /// The receive buffer to ask for, bytes, likewise. What the system gives over UDP bounds what peers may have under
    /// way, and over TCP what each peer's system may. Default `None`, which means the same as for
    /// [`send_buffer`](Self::send_buffer).
    pub receive_buffer: Option<usize>,
}

impl Config {
    /// The defaults, encrypted and authenticated by a key that both sides have: only who has it can connect, read or
    /// change anything. A transport cannot call itself: whoever sent its call back to it would pass for a peer.
    /// `spec/security.md`.
    #[must_use]
    pub fn psk(psk: &Psk) -> Self {
        Self { security: psk.security(), simulated: psk.is_simulated(), ..Self::insecure_plain() }
    }

    /// Whether real sockets may be bound with it.
    ///
    /// # Errors
    /// [`BindError::SimulatedKey`].
    pub(super) const fn check_key(&self, addr: SocketAddr) -> Result<(), BindError> {
        if self.simulated { Err(BindError::SimulatedKey { addr }) } else { Ok(()) }
    }

    /// The defaults, **without encryption or authentication**: whoever can send packets to this machine can read,
    /// forge and end every connection. For closed networks, benchmarks and tests.
    #[must_use]
    pub fn insecure_plain() -> Self {
        Self {
            security: Security::plain(),
            simulated: false,
            prefers_chacha: !cpu::has_aes(),
            limits: Limits::default(),
            idle_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            backlog: 128,
            controller: ControllerKind::default(),
            busy_poll: None,
            send_buffer: None,
            receive_buffer: None,
        }
    }
}
