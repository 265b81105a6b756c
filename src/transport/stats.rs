//! What a transport counts. `None` where a back end cannot know.

use core::time::Duration;

use crate::message::MessageStats;

/// What is known of one connection.
///
/// Over TCP it is the kernel that knows of round trips, losses, window and path: those fields are `None` where it does
/// not tell, before the connection is there and once its socket is closed. They count TCP's segments, while
/// `packets_sent` and `packets_received` count our records.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Round-trip time, smoothed.
    pub rtt: Option<Duration>,
    /// The least round-trip time seen lately.
    pub rtt_min: Option<Duration>,
    /// How much the round-trip time varies.
    pub rtt_variation: Option<Duration>,
    /// Bytes sent, headers of the protocol included (UDP payload, or bytes of the TCP stream).
    pub bytes_sent: Option<u64>,
    /// Bytes received, likewise.
    pub bytes_received: Option<u64>,
    /// Datagrams or records sent.
    pub packets_sent: Option<u64>,
    /// Datagrams or records received.
    pub packets_received: Option<u64>,
    /// Packets taken for lost. Over TCP: segments that the kernel sent again.
    pub packets_lost: Option<u64>,
    /// Packets that carried something sent before. Over TCP: segments that the kernel sent again.
    pub retransmits: Option<u64>,
    /// Packets taken for lost that were then acknowledged after all. Over TCP: segments that the peer's kernel said it
    /// had twice (DSACK, RFC 2883).
    pub spurious_losses: Option<u64>,
    /// The congestion window, in bytes.
    pub window: Option<u64>,
    /// Bytes sent and neither acknowledged nor taken for lost.
    pub in_flight: Option<u64>,
    /// The longest datagram that the path is known to carry, in bytes of UDP payload; over TCP too, where the kernel's
    /// path MTU is reckoned in these.
    pub path_mtu: Option<u64>,
    /// The congestion controller's name.
    pub controller: Option<String>,
    /// Whether marks of congestion (ECN) arrive as they left. `None` over TCP, and while that is not known.
    pub ecn: Option<bool>,
    /// What seals packets or records. `None` where nothing does, in plain mode and before the connection is there.
    pub cipher: Option<&'static str>,
    /// What the `message` floor counts.
    pub messages: MessageStats,
    /// What the connection's transport counts, for all its connections together.
    pub transport: TransportStats,
}

/// What is known of a transport.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TransportStats {
    /// How often a blocked thread of the transport (a caller or the keeper) came out of the kernel.
    pub wakes: Option<u64>,
    /// How often the socket passed from one waiting thread to another.
    pub lead_changes: Option<u64>,
    /// How often the keeper thread ran the timers or the socket.
    pub keeper_turns: Option<u64>,
    /// System calls that took datagrams or bytes from the kernel, those that found nothing included.
    pub receive_calls: Option<u64>,
    /// System calls that gave some to the kernel.
    pub transmit_calls: Option<u64>,
    /// Datagrams received, before any check.
    pub datagrams_received: Option<u64>,
    /// Datagrams sent.
    pub datagrams_sent: Option<u64>,
    /// Datagrams that were received and dropped, by name of the reason; only those that occurred.
    pub drops: Vec<(&'static str, u64)>,
    /// Datagrams that the system did not take for sending, for good: too long for the interface, no route, a firewall.
    pub refused_by_system: Option<u64>,
    /// Datagrams that the kernel dropped because the socket's receive buffer was full.
    pub kernel_drops: Option<u64>,
    /// Whether the kernel cuts one long buffer into datagrams (GSO).
    pub segmentation: Option<bool>,
    /// Whether the kernel joins datagrams that came in into one long buffer (GRO).
    pub coalescing: Option<bool>,
    /// The socket's send buffer, bytes: asked for. `None` where the system tunes it.
    pub send_buffer_asked: Option<usize>,
    /// The socket's send buffer, bytes: what the system gave, over TCP each connection; where the system tunes it, what
    /// it begins with.
    pub send_buffer: Option<usize>,
    /// The socket's receive buffer, bytes: asked for. `None` where the system tunes it.
    pub receive_buffer_asked: Option<usize>,
    /// The socket's receive buffer, bytes: what the system gave; likewise.
    pub receive_buffer: Option<usize>,
}
