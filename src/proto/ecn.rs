//! Explicit congestion notification on the sending side: RFC 9000 section 13.4.2, in short.

use crate::wire::EcnCounts;

/// The ECN codepoint of a datagram (RFC 3168); a datagram without one is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// ECN-capable, first codepoint: what we send.
    Ect0,
    /// ECN-capable, second codepoint.
    Ect1,
    /// Congestion experienced.
    Ce,
}

/// Whether the path carries our marks, and what the peer has counted.
#[derive(Clone, Debug, Default)]
pub struct EcnPath {
    failed: bool,
    counted: EcnCounts,
}

impl EcnPath {
    /// The mark for the next datagram.
    #[must_use]
    pub const fn mark(&self) -> Option<Ecn> {
        if self.failed { None } else { Some(Ecn::Ect0) }
    }

    /// Whether marks arrive as they left; `None` while none was acknowledged.
    #[must_use]
    pub const fn carries(&self) -> Option<bool> {
        if self.failed {
            Some(false)
        } else if self.counted.ect0 + self.counted.ce > 0 {
            Some(true)
        } else {
            None
        }
    }

    /// An acknowledgement that raised the largest acknowledged number has newly covered `marked` packets sent with a
    /// mark. True when the network reports congestion in it.
    pub fn on_ack(&mut self, marked: u64, counts: Option<EcnCounts>) -> bool {
        if self.failed {
            return false;
        }
        let Some(counts) = counts else {
            // The peer does not see marks, or something on the way wipes them.
            self.failed = marked > 0;
            return false;
        };
        let more_ect0 = counts.ect0.saturating_sub(self.counted.ect0);
        let more_ce = counts.ce.saturating_sub(self.counted.ce);
        if more_ect0 + more_ce < marked || counts.ect1 > self.counted.ect1 {
            self.failed = true;
            return false;
        }
        self.counted = counts;
        more_ce > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(ect0: u64, ect1: u64, ce: u64) -> Option<EcnCounts> {
        Some(EcnCounts { ect0, ect1, ce })
    }

    #[test]
    fn a_path_that_carries_marks_keeps_them_and_reports_congestion_once() {
        let mut path = EcnPath::default();
        assert_eq!(path.carries(), None);
        assert!(!path.on_ack(5, counts(5, 0, 0)));
        assert_eq!(path.carries(), Some(true));
        assert!(path.on_ack(3, counts(7, 0, 1)));
        assert!(!path.on_ack(1, counts(8, 0, 1)));
        assert_eq!(path.mark(), Some(Ecn::Ect0));
    }

    #[test]
    fn a_path_that_wipes_changes_or_hides_marks_gets_none() {
        for counts in [None, counts(4, 0, 0), counts(5, 1, 0)] {
            let mut path = EcnPath::default();
            assert!(!path.on_ack(5, counts));
            assert_eq!((path.mark(), path.carries()), (None, Some(false)), "{counts:?}");
        }
    }
}
