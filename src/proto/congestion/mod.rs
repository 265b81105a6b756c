//! Congestion control: how much may be in flight. A [`Controller`] is told what happened and gives a window.
//!
//! What is lost, and which losses make one congestion event, is decided in [`super::recovery`]; when packets go, in
//! [`super::pacer`].

mod fixed;
mod new_reno;

use core::fmt;

use crate::time::Timestamp;

use super::rtt::Rtt;

pub use fixed::Fixed;
pub use new_reno::NewReno;

/// Which controller a connection uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ControllerKind {
    /// RFC 9002 section 7: the reference. The default.
    #[default]
    NewReno,
    /// A window that never changes, for benchmarks. Unfair to everybody else on the network.
    Fixed {
        /// The window in bytes of UDP payload.
        window: u64,
    },
}

impl ControllerKind {
    /// A controller of this kind for datagrams of at most `mtu` bytes.
    #[must_use]
    pub fn build(self, mtu: u64) -> Box<dyn Controller> {
        match self {
            Self::NewReno => Box::new(NewReno::new(mtu)),
            Self::Fixed { window } => Box::new(Fixed::new(window, mtu)),
        }
    }
}

/// Packets were acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acked<'a> {
    /// When.
    pub now: Timestamp,
    /// How many bytes of them.
    pub bytes: u64,
    /// Of these, bytes sent since the last congestion event.
    pub growth_bytes: u64,
    /// Bytes in flight before they were taken off.
    pub in_flight_before: u64,
    /// The round-trip time, this acknowledgement's sample included.
    pub rtt: &'a Rtt,
}

/// Decides how many bytes may be in flight.
pub trait Controller: fmt::Debug + Send {
    /// Packets were acknowledged.
    fn on_acked(&mut self, acked: &Acked<'_>);

    /// A congestion event began: a loss or a mark of a packet sent since the last one. `persistent` when everything
    /// was lost for so long that the path must be learnt anew (RFC 9002 section 7.6).
    fn on_congestion(&mut self, now: Timestamp, persistent: bool);

    /// Every loss of the last congestion event turned out to be none.
    fn on_undo(&mut self);

    /// Datagrams may now have `mtu` bytes.
    fn on_mtu(&mut self, mtu: u64);

    /// How many bytes may be in flight.
    fn window(&self) -> u64;

    /// At how many bytes a second packets should leave, where that is not simply the window each round trip.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }

    /// Its name, for tables.
    fn name(&self) -> &'static str;
}
