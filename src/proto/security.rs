//! How an endpoint's connections are secured, and who may try to share its secret. `spec/security.md`.

use std::net::IpAddr;

use crate::seal::Prs;
use crate::time::Timestamp;
use crate::wire::{Mode, RefuseCode};

use super::backoff::Backoff;
use super::counters::Dropped;
use super::runs::Runs;

/// Key agreements a second for an invite: there is one secret and twenty bits of it.
const CODE_RUNS_PER_SECOND: u32 = 20;
/// Key agreements a second for shared keys.
const PSK_RUNS_PER_SECOND: u32 = 1_000;
/// Handshakes in plain mode cost nothing worth counting.
const PLAIN_RUNS_PER_SECOND: u32 = 1_000_000;

/// The id of an invite, or of a shared key.
pub type InviteId = [u8; 8];

/// Names no invite: whoever was given an address instead asks for the one that there is.
pub const NO_INVITE: InviteId = [0; 8];

/// How connections are secured. Set by the application on both sides, and never negotiated.
#[derive(Clone, Debug)]
pub struct Security {
    mode: Mode,
    id: InviteId,
    prs: Prs,
    ends_at: Option<Timestamp>,
}

impl Security {
    /// Neither encrypted nor authenticated.
    #[must_use]
    pub fn plain() -> Self {
        Self { mode: Mode::Plain, id: NO_INVITE, prs: Prs::words(""), ends_at: None }
    }

    /// By the words of a code: as the inviter under the id of its invite, as a joiner under [`NO_INVITE`].
    #[must_use]
    pub const fn code(id: InviteId, words: Prs) -> Self {
        Self { mode: Mode::Code, id, prs: words, ends_at: None }
    }

    /// By a key that both sides have, under an id that both know it by.
    #[must_use]
    pub fn psk(id: InviteId, key: &[u8; 32]) -> Self {
        Self { mode: Mode::Psk, id, prs: Prs::key(key), ends_at: None }
    }

    /// As the inviter: nobody comes by the invite from `end` on.
    #[must_use]
    pub const fn until(mut self, end: Timestamp) -> Self {
        self.ends_at = Some(end);
        self
    }

    /// The mode of every packet.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The invite or the key.
    #[must_use]
    pub const fn id(&self) -> InviteId {
        self.id
    }

    /// What both sides know.
    #[must_use]
    pub const fn prs(&self) -> &Prs {
        &self.prs
    }
}

impl Default for Security {
    fn default() -> Self {
        Self::plain()
    }
}

/// What became of an invite. One that is not open stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteState {
    /// Whoever knows the words may come.
    Open,
    /// Somebody came.
    Used,
    /// Somebody tried wrong words.
    Burnt,
}

/// Why a handshake is not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason to count.
    pub dropped: Dropped,
    /// The reason to tell, if one is told.
    pub code: Option<RefuseCode>,
}

/// Lets handshakes in, so many a second; and where there is one invite, one guest and one guess.
#[derive(Debug)]
pub struct Guard {
    security: Security,
    state: InviteState,
    runs: Runs,
    backoff: Backoff,
}

impl Guard {
    /// Nobody came yet.
    #[must_use]
    pub fn new(security: Security) -> Self {
        let per_second = match security.mode {
            Mode::Plain => PLAIN_RUNS_PER_SECOND,
            Mode::Code => CODE_RUNS_PER_SECOND,
            Mode::Psk => PSK_RUNS_PER_SECOND,
        };
        Self { security, state: InviteState::Open, runs: Runs::new(per_second), backoff: Backoff::default() }
    }

    /// What is guarded.
    #[must_use]
    pub const fn security(&self) -> &Security {
        &self.security
    }

    /// What became of the invite; `None` where there is none.
    #[must_use]
    pub fn invite(&self) -> Option<InviteState> {
        (self.security.mode == Mode::Code).then_some(self.state)
    }

    /// What is told to whoever comes by the invite at `now`, where it lets nobody in any more.
    #[must_use]
    pub fn over(&self, now: Timestamp) -> Option<RefuseCode> {
        match self.state {
            InviteState::Used => Some(RefuseCode::InviteUsed),
            InviteState::Burnt => Some(RefuseCode::InviteBurnt),
            InviteState::Open => self.security.ends_at.filter(|end| *end <= now).map(|_| RefuseCode::InviteUsed),
        }
    }

    /// Whether a handshake that asks for `invite` may go on. An invite that is not ours is not talked about.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, now: Timestamp, invite: &InviteId) -> Result<(), Refusal> {
        let asked = match self.security.mode {
            Mode::Plain => return Ok(()),
            Mode::Code => *invite == self.security.id || *invite == NO_INVITE,
            Mode::Psk => *invite == self.security.id,
        };
        if !asked {
            return Err(Refusal { dropped: Dropped::UnknownInvite, code: None });
        }
        self.over(now).map_or(Ok(()), |code| Err(Refusal { dropped: Dropped::InviteOver, code: Some(code) }))
    }

    /// As [`check`](Self::check), for one key agreement more, with somebody at `source`.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&mut self, now: Timestamp, source: IpAddr, invite: &InviteId) -> Result<(), Refusal> {
        self.check(now, invite)?;
        if self.backoff.holds(now, source) {
            return Err(Refusal { dropped: Dropped::BackedOff, code: None });
        }
        if self.runs.take(now, source) { Ok(()) } else { Err(Refusal { dropped: Dropped::RunsLimited, code: None }) }
    }

    /// Somebody proved to have the secret.
    pub fn on_right(&mut self) {
        if self.security.mode == Mode::Code {
            self.state = InviteState::Used;
        }
    }

    /// Somebody at `source` tried another secret.
    pub fn on_wrong(&mut self, now: Timestamp, source: IpAddr) {
        match self.security.mode {
            Mode::Code if self.state == InviteState::Open => self.state = InviteState::Burnt,
            Mode::Psk => self.backoff.on_wrong(now, source),
            Mode::Code | Mode::Plain => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::net::Ipv4Addr;

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(5_000_000_000);
    const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    fn invite() -> Guard {
        Guard::new(Security::code([7; 8], Prs::words("maple-otter")))
    }

    fn told(guard: &Guard, id: InviteId) -> Option<RefuseCode> {
        guard.check(NOW, &id).expect_err("refused").code
    }

    #[test]
    fn one_guest_or_one_wrong_guess_and_an_invite_is_over() {
        let mut used = invite();
        assert_eq!([used.check(NOW, &[7; 8]), used.check(NOW, &NO_INVITE)], [Ok(()); 2]);
        used.on_right();
        assert_eq!(told(&used, [7; 8]), Some(RefuseCode::InviteUsed));
        used.on_wrong(NOW, SOURCE);
        assert_eq!(used.invite(), Some(InviteState::Used), "nobody burns what is used");
        let mut burnt = invite();
        burnt.on_wrong(NOW, SOURCE);
        assert_eq!(told(&burnt, [7; 8]), Some(RefuseCode::InviteBurnt));
        assert_eq!(burnt.invite(), Some(InviteState::Burnt));
    }

    #[test]
    fn nobody_comes_by_an_invite_whose_time_is_over() {
        let words = Security::code([7; 8], Prs::words("maple-otter"));
        let last = NOW + Duration::from_nanos(1);
        let mut guard = Guard::new(words.until(last));
        assert_eq!((guard.check(NOW, &[7; 8]), guard.over(NOW)), (Ok(()), None));
        let over = Refusal { dropped: Dropped::InviteOver, code: Some(RefuseCode::InviteUsed) };
        assert_eq!((guard.check(last, &[7; 8]), guard.check(last, &NO_INVITE)), (Err(over), Err(over)));
        assert_eq!(guard.admit(last, [10, 0, 0, 1].into(), &[7; 8]), Err(over));
        guard.on_wrong(NOW, SOURCE);
        assert_eq!(guard.over(last), Some(RefuseCode::InviteBurnt), "which was before");
    }

    #[test]
    fn an_invite_that_is_not_ours_is_not_talked_about() {
        let mut guard = invite();
        guard.on_wrong(NOW, SOURCE);
        assert_eq!(told(&guard, [8; 8]), None);
        let key = Guard::new(Security::psk([7; 8], &[1; 32]));
        assert_eq!(told(&key, NO_INVITE), None, "a key has an id");
    }

    #[test]
    fn a_key_lives_through_wrong_guesses() {
        let mut guard = Guard::new(Security::psk([7; 8], &[1; 32]));
        guard.on_wrong(NOW, SOURCE);
        guard.on_right();
        assert_eq!((guard.check(NOW, &[7; 8]), guard.invite()), (Ok(()), None));
        let waits = Refusal { dropped: Dropped::BackedOff, code: None };
        assert_eq!(guard.admit(NOW, SOURCE, &[7; 8]), Err(waits), "but whoever tried waits");
        assert_eq!(guard.admit(NOW, [10, 0, 0, 2].into(), &[7; 8]), Ok(()));
    }

    #[test]
    fn twenty_key_agreements_a_second_for_an_invite() {
        let mut guard = invite();
        let source = |n: u8| IpAddr::from([10, 0, 0, n]);
        let admitted = (0..100).filter(|n| guard.admit(NOW, source(*n), &[7; 8]).is_ok()).count();
        assert_eq!(admitted, 20);
        assert_eq!(guard.admit(NOW, source(200), &[7; 8]).expect_err("limited").dropped, Dropped::RunsLimited);
    }
}
