//! What a link does to datagrams.

use core::time::Duration;

/// A chance of one, in parts per million.
pub const MILLION: u32 = 1_000_000;

/// What a one-way link between two hosts does. Chances are in parts per million; [`MILLION`] or more is always.
///
/// The default is a faultless LAN: 50 µs, no limit on the rate, an MTU of 1,500 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// How long every datagram is under way. Default 50 µs.
    pub delay: Duration,
    /// Up to so much is added to `delay`, each value as likely as another. Datagrams do not overtake each other by
    /// it: one that would waits for the one before it. Default 0.
    pub jitter: Duration,
    /// Share of packets lost, each by itself. Default 0.
    pub loss_ppm: u32,
    /// Losses that come in bursts, beside `loss_ppm`. Default none.
    pub burst: Option<Burst>,
    /// Share of datagrams that arrive twice, the second with a jitter of its own. Default 0.
    pub duplicate_ppm: u32,
    /// Share of datagrams that are late by `reorder_delay`, so that others overtake them. Default 0.
    pub reorder_ppm: u32,
    /// How much later than else a reordered datagram arrives. Default 1 ms.
    pub reorder_delay: Duration,
    /// Share of datagrams in which one to eight bits are flipped. Default 0.
    pub flip_ppm: u32,
    /// Share of datagrams that lose their end, at any place. Default 0.
    pub truncate_ppm: u32,
    /// Bits per second, headers of IP and UDP included. Default `None`, no limit. `Some(0)` lets nothing pass.
    pub rate_bps: Option<u64>,
    /// Bytes that may wait for their turn where `rate_bps` is set, beside the packet whose turn it is; what finds no
    /// room is dropped (drop-tail). Default 256 KiB.
    pub queue_bytes: u64,
    /// A packet that must wait and finds more than so many bytes waiting, itself included, is marked "congestion
    /// experienced" (RFC 3168) if its sender understands ECN. Default `None`, never.
    pub ce_threshold_bytes: Option<u64>,
    /// The longest IP packet, in bytes, as a network interface counts it: 1,500 leaves 1,472 bytes of UDP payload
    /// over IPv4 and 1,452 over IPv6. Default 1,500.
    pub mtu: u32,
    /// What becomes of a longer one. Default: dropped.
    pub oversize: Oversize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            delay: Duration::from_micros(50),
            jitter: Duration::ZERO,
            loss_ppm: 0,
            burst: None,
            duplicate_ppm: 0,
            reorder_ppm: 0,
            reorder_delay: Duration::from_millis(1),
            flip_ppm: 0,
            truncate_ppm: 0,
            rate_bps: None,
            queue_bytes: 256 * 1024,
            ce_threshold_bytes: None,
            mtu: 1_500,
            oversize: Oversize::Drop,
        }
    }
}

/// Losses in bursts, by the model of Gilbert and Elliott: a link is in a good or a bad state, may change between them
/// before each packet, and loses packets with the chance of its state. It begins in the good one.
///
/// In the long run the share `enter_ppm / (enter_ppm + leave_ppm)` of the packets meets the bad state, and each stay
/// in it lasts `1,000,000 / leave_ppm` packets on average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Chance to go from good to bad (the model's p).
    pub enter_ppm: u32,
    /// Chance to go from bad to good (the model's r).
    pub leave_ppm: u32,
    /// Share of packets lost in the good state (the model's 1 - k).
    pub loss_good_ppm: u32,
    /// Share of packets lost in the bad state (the model's 1 - h).
    pub loss_bad_ppm: u32,
}

/// What becomes of a datagram that is longer than the MTU allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Oversize {
    /// Dropped without a word, as by a router when it may not be fragmented.
    #[default]
    Drop,
    /// Sent in IP fragments. Each is lost by itself and takes its place in the queue; when one is lost, all is.
    Fragment,
}
