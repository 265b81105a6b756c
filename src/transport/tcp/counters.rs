//! What became of callers who got no connection, and of connections whose stream cannot be trusted any more.

/// Why there was none, or is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The stream ended, was garbled, or said nothing for the connect timeout.
    Stranger,
    /// It had said nothing yet, and others came.
    Evicted,
    /// Too many connections wait to be accepted by the application.
    Busy,
    /// There are too many connections.
    TooMany,
    /// It asked for another invite or key.
    UnknownInvite,
    /// It asked for an invite that is used or burnt, or had yet to prove itself when that came about.
    InviteOver,
    /// Too many key agreements in a second.
    RunsLimited,
    /// It did not have the secret.
    WrongTag,
    /// It is ourselves: somebody passed our call back to us.
    Reflected,
    /// Its address tried a wrong key a moment ago.
    BackedOff,
    /// It was established, and then came what is no record.
    Malformed,
    /// It was established, and then came a record that the peer did not seal.
    Forged,
}

const NAMES: [&str; 12] = [
    "stranger",
    "evicted",
    "busy",
    "too_many",
    "unknown_invite",
    "invite_over",
    "runs_limited",
    "wrong_tag",
    "reflected",
    "backed_off",
    "malformed",
    "forged",
];

/// Counts since the transport was bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    counts: [u64; NAMES.len()],
}

impl Counters {
    pub(super) const fn count(&mut self, lost: Lost) {
        self.counts[lost as usize] += 1;
    }

    /// Those that occurred.
    pub(super) fn named(&self) -> Vec<(&'static str, u64)> {
        NAMES.into_iter().zip(self.counts).filter(|(_, count)| *count > 0).collect()
    }
}
