//! How long the values of one peer may be that are read.

/// How long the values of one peer may be that are read: of a connection, for
/// [`Channels::with_limits`](super::Channels::with_limits). Start from the default and change fields. A node has the
/// same in its [`NodeConfig`](super::NodeConfig).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValueLimits {
    /// The longest value of a queued channel that is read, in bytes; a longer one is
    /// [`TooLarge`](super::ReadError::TooLarge). Default 64 MiB. Values of latest channels are no longer than 7/16 of
    /// [`Limits::credit_channel`](crate::message::Limits::credit_channel) anyhow.
    pub value_len_max: u64,
    /// How many bytes of newest values are held to be read again, of all latest channels together, beside what nobody
    /// has read; one with which it would be more is [`TooMuchHeld`](super::ReadError::TooMuchHeld), but the value that
    /// it replaces does not count. Default 256 MiB.
    pub held_len_max: u64,
}

impl Default for ValueLimits {
    fn default() -> Self {
        Self { value_len_max: 64 << 20, held_len_max: 256 << 20 }
    }
}
