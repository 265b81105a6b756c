//! What became of beacons: each one that is dropped is counted under its reason.

/// Why a beacon was dropped, or what came of it had no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Dropped {
    /// Its checksum is wrong.
    Checksum,
    /// It is no beacon.
    Malformed,
    /// It is of a version that we do not speak.
    Version,
    /// It comes from where no host is: a group, everybody, port 0.
    BadSource,
    /// It is our own, come back.
    Own,
    /// It is about another nameplate.
    OtherNameplate,
    /// It answers a question that we did not ask.
    WrongEcho,
    /// It is not for our side of the pairing.
    NotForUs,
    /// The same was answered, or found, a moment ago: a copy over another way.
    Repeated,
    /// It deserved an answer, but there were too many in this second.
    AnswersLimited,
    /// It offers, but too many offers are known already.
    OffersFull,
    /// Another invite has our nameplate, too, and we heard of it too late.
    Crossed,
}

const NAMES: [(Dropped, &str); 12] = [
    (Dropped::Checksum, "checksum"),
    (Dropped::Malformed, "malformed"),
    (Dropped::Version, "version"),
    (Dropped::BadSource, "bad_source"),
    (Dropped::Own, "own"),
    (Dropped::OtherNameplate, "other_nameplate"),
    (Dropped::WrongEcho, "wrong_echo"),
    (Dropped::NotForUs, "not_for_us"),
    (Dropped::Repeated, "repeated"),
    (Dropped::AnswersLimited, "answers_limited"),
    (Dropped::OffersFull, "offers_full"),
    (Dropped::Crossed, "crossed"),
];

/// Counts since the machine was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that came in.
    pub received: u64,
    /// Beacons for everyone; each leaves in one copy for each way to reach everyone.
    pub sent_to_everyone: u64,
    /// Answers to one host.
    pub answered: u64,
    dropped: [u64; NAMES.len()],
}

impl Counters {
    /// How many beacons were dropped for this reason.
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
        counters.drop(Dropped::Crossed);
        assert_eq!(counters.iter_dropped().filter(|(_, count)| *count > 0).collect::<Vec<_>>(), [("crossed", 1)]);
    }
}
