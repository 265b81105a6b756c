//! Numbers about a connection.

use core::time::Duration;

use crate::message::MessageStats;
use crate::seal::Cipher;

/// What is known of the path and of the packets on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStats {
    /// Smoothed round-trip time, once measured.
    pub rtt: Option<Duration>,
    /// The least round-trip time, once measured.
    pub rtt_min: Option<Duration>,
    /// Its deviation.
    pub rtt_variance: Duration,
    /// How long an acknowledgement is waited for before the first probe.
    pub probe_timeout: Duration,
    /// How many bytes may be in flight.
    pub window: u64,
    /// How many are.
    pub in_flight: u64,
    /// How long a datagram may be, in bytes of UDP payload.
    pub mtu: u32,
    /// The congestion controller's name.
    pub controller: &'static str,
    /// Whether marks of congestion (ECN) arrive as they left; `None` while that is not known.
    pub ecn: Option<bool>,
    /// What seals packets; `None` where nothing does.
    pub cipher: Option<Cipher>,
    /// Packets sent, acknowledgements and probes included.
    pub packets_sent: u64,
    /// Packets received, without duplicates.
    pub packets_received: u64,
    /// Packets given up as lost (MTU probes aside): what they held went once more.
    pub packets_lost: u64,
    /// Probe timeouts.
    pub probes: u64,
}

/// Numbers about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Its packets; `None` before the handshake is done and after the end.
    pub link: Option<LinkStats>,
    /// Its messages.
    pub messages: MessageStats,
}
