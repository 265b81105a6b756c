//! How a node behaves.

use core::time::Duration;

use super::Reconnect;
use crate::node::ValueLimits;

/// How a node behaves. Start from the default and change fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeConfig {
    /// How many peers it may have; whoever comes then is refused. Default 1,024. Each may make this node hold what its
    /// transport's [`Limits`](crate::message::Limits) grant, by default 64 MiB that nobody has read, as much again of
    /// newest values that nobody has read, and 33 MiB that it does not take; and what was read of its newest values,
    /// [`held_len_max`](Self::held_len_max): all together 417 GiB. Queued values that are too long for one buffer come
    /// on top while they are put together: one on each channel that somebody reads, of up to
    /// [`value_len_max`](Self::value_len_max). Where peers are not to be trusted with memory, lower this or those.
    pub peers_max: usize,
    /// How long a peer may take to say who it is. Default 5 s.
    pub greet_timeout: Duration,
    /// The longest value of a queued channel that is read, in bytes. Default 64 MiB.
    pub value_len_max: u64,
    /// How many bytes of the newest values of one peer are held to be read again, of all its latest channels together,
    /// while it is there; a value with which it would be more is
    /// [`TooMuchHeld`](crate::node::ReadError::TooMuchHeld), but the value that it replaces does not count. Default 256
    /// MiB for each peer.
    pub held_len_max: u64,
    /// Whether a peer that this node called is called again when it is lost. Default: no.
    pub reconnect: Option<Reconnect>,
    /// How many bytes of what peers wrote are kept when they are there no more, to be read again: of those that left
    /// first the values go first, of one that wrote more the longest. And as many of what was written to such peers by
    /// name, for their return. Default 64 MiB.
    pub kept_len_max: usize,
    /// How long closing waits until what was written has arrived. Default 5 s.
    pub linger: Duration,
}

impl NodeConfig {
    /// For the values of each peer.
    pub(super) const fn value_limits(&self) -> ValueLimits {
        ValueLimits { value_len_max: self.value_len_max, held_len_max: self.held_len_max }
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        let ValueLimits { value_len_max, held_len_max } = ValueLimits::default();
        Self {
            peers_max: 1_024,
            greet_timeout: Duration::from_secs(5),
            value_len_max,
            held_len_max,
            reconnect: None,
            kept_len_max: 64 << 20,
            linger: Duration::from_secs(5),
        }
    }
}
