//! What became of a datagram, and the line that the trace gives it.

use core::fmt;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use crate::time::Timestamp;

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives once, or twice.
    Arrives(Arrival, Option<Arrival>),
    /// It does not arrive.
    Dropped(DropReason),
}

impl Fate {
    /// How it arrives: not at all, once or twice.
    pub fn arrivals(&self) -> impl Iterator<Item = &Arrival> {
        let (first, second) = match self {
            Self::Arrives(first, second) => (Some(first), second.as_ref()),
            Self::Dropped(_) => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// How a datagram arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Timestamp,
    /// A rule said when; the link had no say.
    pub ruled: bool,
    /// Later than its turn, so that others may have overtaken it.
    pub late: bool,
    /// Marked "congestion experienced" on the way.
    pub marked: bool,
    /// Cut to so many bytes.
    pub cut: Option<usize>,
    /// With so many flipped bits.
    pub flipped_bits: u8,
}

impl Arrival {
    /// As a rule said.
    pub(super) const fn ruled(at: Timestamp) -> Self {
        Self { at, ruled: true, late: false, marked: false, cut: None, flipped_bits: 0 }
    }
}

/// Why a datagram does not arrive. The name in the trace and in the counters is that of `Display`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// No host has its source or its destination address.
    NoRoute,
    /// A rule said so.
    Rule,
    /// The hosts are partitioned in this direction.
    Partitioned,
    /// It is longer than the link's MTU allows.
    TooLong,
    /// The link's queue had no room.
    QueueFull,
    /// Lost by itself.
    Lost,
    /// Lost by the burst model.
    LostInBurst,
    /// One of its fragments was lost, for whatever reason.
    FragmentLost,
    /// More was under way in the whole network than [`super::IN_FLIGHT_BYTES_MAX`].
    Overflow,
}

impl DropReason {
    /// One word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoRoute => "no-route",
            Self::Rule => "rule",
            Self::Partitioned => "partitioned",
            Self::TooLong => "too-long",
            Self::QueueFull => "queue-full",
            Self::Lost => "lost",
            Self::LostInBurst => "lost-in-burst",
            Self::FragmentLost => "fragment-lost",
            Self::Overflow => "overflow",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A datagram and its fate, told when it is sent. Displayed, it is the trace's line, without a line end:
///
/// ```text
/// 0.001000000 10.0.0.1:1000 10.0.0.2:2000 1200 lost
/// 0.001500000 10.0.0.1:1000 10.0.0.2:2000 1200 +0.000050000
/// 0.002000000 10.0.0.1:1000 10.0.0.2:2000 1200 +0.000050000 ce, +0.001070000 late cut=17 flipped=3
/// 0.002500000 10.0.0.2:2000 10.0.0.1:1000 unreachable +0.000050000
/// 0.003000000 10.0.0.1:1000 255.255.255.255:2000>10.0.0.2 32 +0.000050000
/// time        from          to            len  fate: a reason, or after how long it arrives and how, for each copy
/// ```
///
/// Of a datagram to everyone each host's copy has a line, with the host's address behind the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketTrace {
    /// When it was sent.
    pub at: Timestamp,
    /// Its source.
    pub from: SocketAddr,
    /// Its destination.
    pub to: SocketAddr,
    /// Which host's copy it is, where the destination is everyone's.
    pub copy_for: Option<IpAddr>,
    /// Bytes of its payload; `None` for the word that nobody listens at `from`.
    pub len: Option<usize>,
    /// What became of it.
    pub fate: Fate,
}

impl fmt::Display for PacketTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", Seconds(self.at.saturating_since(Timestamp::ZERO)), self.from, self.to)?;
        self.copy_for.map_or(Ok(()), |host| write!(f, ">{host}"))?;
        match self.len {
            Some(len) => write!(f, " {len} ")?,
            None => f.write_str(" unreachable ")?,
        }
        match self.fate {
            Fate::Dropped(reason) => f.write_str(reason.name()),
            Fate::Arrives(first, second) => {
                self.arrival(f, first)?;
                second.map_or(Ok(()), |second| f.write_str(", ").and_then(|()| self.arrival(f, second)))
            }
        }
    }
}

impl PacketTrace {
    fn arrival(&self, f: &mut fmt::Formatter<'_>, arrival: Arrival) -> fmt::Result {
        write!(f, "+{}", Seconds(arrival.at.saturating_since(self.at)))?;
        for (said, word) in [(arrival.ruled, " rule"), (arrival.late, " late"), (arrival.marked, " ce")] {
            if said {
                f.write_str(word)?;
            }
        }
        if let Some(len) = arrival.cut {
            write!(f, " cut={len}")?;
        }
        if arrival.flipped_bits > 0 {
            write!(f, " flipped={}", arrival.flipped_bits)?;
        }
        Ok(())
    }
}

/// Seconds with all nine places.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}
