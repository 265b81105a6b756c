//! Credit: how much a sender may have under way that the receiving application has not taken.
//!
//! Both ends count the same: a message costs [`super::MESSAGE_COST`] when it begins and a byte for each byte up to its
//! highest offset sent. The receiver gives cost back when the application took the bytes, by raising the limit.

use crate::wire::VARINT_MAX;

/// The sender's end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SendCredit {
    used: u64,
    limit: u64,
}

impl SendCredit {
    pub(super) const fn available(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Spends what the caller found [`available`](Self::available).
    pub(super) fn spend(&mut self, cost: u64) {
        self.used += cost;
        debug_assert!(self.used <= self.limit, "spent more than the peer granted");
    }

    /// The peer's word, which may be older than one that overtook it. True when it brought something new.
    pub(super) const fn raise(&mut self, limit: u64) -> bool {
        let more = limit > self.limit;
        if more {
            self.limit = limit;
        }
        more
    }
}

/// The receiver's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiveCredit {
    window: u64,
    charged: u64,
    released: u64,
    advertised: u64,
}

impl ReceiveCredit {
    /// Grants `window` from the start, as the handshake says.
    pub(super) const fn new(window: u64) -> Self {
        Self { window, charged: 0, released: 0, advertised: window }
    }

    /// The peer spent `cost`. False when it had not so much.
    pub(super) const fn charge(&mut self, cost: u64) -> bool {
        match self.charged.checked_add(cost) {
            Some(charged) if charged <= self.advertised => {
                self.charged = charged;
                true
            }
            _ => false,
        }
    }

    /// The application took what had cost `cost`.
    pub(super) const fn release(&mut self, cost: u64) {
        self.released += cost;
    }

    /// True when an eighth of the window can be granted anew: often enough to keep a sender going, seldom enough to
    /// cost nothing. What is held back meanwhile is why a whole message may be three quarters of a window at most.
    pub(super) const fn due(&self) -> bool {
        self.limit() - self.advertised >= self.window / 8
    }

    /// A limit that no frame can tell is none that could be announced: the peer has spent all that there is.
    const fn limit(&self) -> u64 {
        let limit = self.released.saturating_add(self.window);
        if limit > VARINT_MAX { VARINT_MAX } else { limit }
    }

    /// The limit to tell the peer now.
    pub(super) const fn advertise(&mut self) -> u64 {
        self.advertised = self.limit();
        self.advertised
    }

    /// What the peer sent and the application has not taken.
    pub(super) const fn held(&self) -> u64 {
        self.charged - self.released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_may_spend_its_credit_to_the_last_byte_and_not_beyond() {
        let mut credit = ReceiveCredit::new(100);
        assert!(credit.charge(100));
        assert!(!credit.charge(1));
        assert!(!credit.charge(u64::MAX));
        credit.release(11);
        assert!(!credit.due());
        credit.release(1);
        assert!(credit.due());
        assert_eq!(credit.advertise(), 112);
        assert!(!credit.due());
        assert!(credit.charge(12));
        assert!(!credit.charge(1));
        assert_eq!(credit.held(), 100);
    }

    #[test]
    fn a_peer_that_spends_and_gets_back_without_end_never_brings_the_limit_beyond_what_a_frame_can_tell() {
        let window = VARINT_MAX / 4;
        let mut credit = ReceiveCredit::new(window);
        let mut spent = 0;
        while credit.charge(window) {
            credit.release(window);
            assert!(credit.advertise() <= VARINT_MAX);
            spent += 1;
        }
        assert_eq!(spent, 4);
        assert!(!credit.due());
    }

    #[test]
    fn an_older_limit_takes_nothing_away() {
        let mut credit = SendCredit::default();
        assert!(credit.raise(10));
        assert!(!credit.raise(5));
        credit.spend(4);
        assert_eq!(credit.available(), 6);
    }
}
