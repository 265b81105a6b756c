//! What a channel may use of the connection while it writes a frame, and what came of it.

use super::credit::SendCredit;

/// What the connection lends to a channel while it writes a frame.
pub(super) struct Budget<'a> {
    pub(super) room: usize,
    pub(super) credit: &'a mut SendCredit,
    /// What of the connection's credit is not for this channel.
    pub(super) kept: u64,
    /// Up to this length the receiver wants a message whole.
    pub(super) whole_max: u64,
}

/// What came of an attempt to write a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// A chunk went out, and its acknowledgement is waited for.
    Chunk { message: u64, start: u64, end: u64, fin: bool },
    /// A message went out that nobody will hear of again; what it held is free.
    Unreliable { held: u64 },
    /// A RESET went out.
    Reset { message: u64 },
    /// Not in this packet.
    NoRoom,
    /// Not before the peer raises the channel's credit, or something else changes.
    Nothing,
    /// Not before the peer raises the connection's credit.
    NoConnectionCredit,
}

impl Budget<'_> {
    /// What of the connection's credit the channel may spend.
    pub(super) const fn available(&self) -> u64 {
        self.credit.available().saturating_sub(self.kept)
    }

    /// Spends `cost` of the channel's and the connection's credit where both have `need`; otherwise says which one
    /// lacks.
    pub(super) fn spend(&mut self, channel: &mut SendCredit, need: u64, cost: u64) -> Option<Filled> {
        if channel.available() < need {
            return Some(Filled::Nothing);
        }
        if self.available() < need {
            return Some(Filled::NoConnectionCredit);
        }
        channel.spend(cost);
        self.credit.spend(cost);
        None
    }
}
