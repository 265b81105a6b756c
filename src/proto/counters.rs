//! What became of datagrams: each one that is dropped is counted under its reason.

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Dropped {
    /// Its checksum is wrong.
    Checksum,
    /// It is no packet of ours, though its checksum may be right.
    Malformed,
    /// It is of a version that we do not speak.
    Version,
    /// It is of another mode than ours.
    Mode,
    /// It bears the id of no connection.
    UnknownCid,
    /// It bears the id of a connection, but comes from another address.
    WrongSource,
    /// A packet with its number arrived before.
    Duplicate,
    /// A handshake packet that nobody waits for.
    StaleHandshake,
    /// Its frames break the protocol: the connection ended by it.
    BadFrame,
    /// Its cookie is wrong or too old.
    BadCookie,
    /// A handshake, where nobody listens.
    NotListening,
    /// A handshake, while too many others are half done.
    HalfOpenFull,
    /// A handshake, while too many connections wait to be accepted.
    Busy,
    /// It deserved an answer, but too many wait to be sent.
    AnswersFull,
    /// It deserved a refusal, but there were too many in this second.
    RefusalsLimited,
    /// It came after the connection had ended.
    AfterEnd,
    /// It is sealed, and not by the connection's peer.
    Forged,
    /// A handshake for an invite or a key that we do not have.
    UnknownInvite,
    /// A handshake for an invite that has been used or burnt.
    InviteOver,
    /// A handshake, while there were too many key agreements in this second.
    RunsLimited,
    /// A handshake by somebody who has not our secret.
    WrongTag,
    /// A handshake that we began ourselves: somebody sent it back.
    Reflected,
    /// A handshake by somebody at an address that tried a wrong key a moment ago.
    BackedOff,
    /// It deserved an answer, and is shorter than that.
    TooShort,
}

const NAMES: [(Dropped, &str); 24] = [
    (Dropped::Checksum, "checksum"),
    (Dropped::Malformed, "malformed"),
    (Dropped::Version, "version"),
    (Dropped::Mode, "mode"),
    (Dropped::UnknownCid, "unknown_cid"),
    (Dropped::WrongSource, "wrong_source"),
    (Dropped::Duplicate, "duplicate"),
    (Dropped::StaleHandshake, "stale_handshake"),
    (Dropped::BadFrame, "bad_frame"),
    (Dropped::BadCookie, "bad_cookie"),
    (Dropped::NotListening, "not_listening"),
    (Dropped::HalfOpenFull, "half_open_full"),
    (Dropped::Busy, "busy"),
    (Dropped::AnswersFull, "answers_full"),
    (Dropped::RefusalsLimited, "refusals_limited"),
    (Dropped::AfterEnd, "after_end"),
    (Dropped::Forged, "forged"),
    (Dropped::UnknownInvite, "unknown_invite"),
    (Dropped::InviteOver, "invite_over"),
    (Dropped::RunsLimited, "runs_limited"),
    (Dropped::WrongTag, "wrong_tag"),
    (Dropped::Reflected, "reflected"),
    (Dropped::BackedOff, "backed_off"),
    (Dropped::TooShort, "too_short"),
];

/// Counts since the endpoint was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that came in.
    pub datagrams_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Datagrams that went out.
    pub datagrams_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Batches that they went out in.
    pub batches_sent: u64,
    dropped: [u64; NAMES.len()],
}

impl Counters {
    /// How many datagrams were dropped for this reason.
    #[must_use]
    pub const fn dropped(&self, reason: Dropped) -> u64 {
        self.dropped[reason as usize]
    }

    /// Every reason by name, with its count.
    pub fn iter_dropped(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        NAMES.iter().map(|(reason, name)| (*name, self.dropped(*reason)))
    }

    pub(super) const fn drop(&mut self, reason: Dropped) {
        self.dropped[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_name_and_its_place() {
        for (index, (reason, _)) in NAMES.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
        let mut counters = Counters::default();
        counters.drop(Dropped::AfterEnd);
        assert_eq!(counters.iter_dropped().filter(|(_, count)| *count > 0).collect::<Vec<_>>(), [("after_end", 1)]);
    }
}
