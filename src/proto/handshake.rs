//! The joining side of the handshake. `spec/wire.md`, "Handshake", and `spec/security.md`, "Handshake".
//!
//! ```text
//! joiner                         listener
//!   HELLO  ------------------------>        random, hash of parameters; to every candidate
//!          <------------------------ RETRY  cookie: the listener keeps nothing; the first to answer is chosen
//!   HELLO2 ------------------------>        cookie, connection id, parameters
//!          <------------------------ SHARE  connection id, parameters: established here in plain mode
//!   PING   ------------------------>        and there, on the first packet bearing its id
//!
//!   CONFIRM_J ---------------------->       in sealed modes: established there
//!          <------------------------ CONFIRM_I   and here
//! ```

use core::time::Duration;
use std::net::SocketAddr;

use ring::digest;

use crate::message::End;
use crate::seal::{Agreed, Ask, Entropy, Joiner, Session};
use crate::time::{Timer, Timestamp, earliest};
use crate::wire::{
    Confirm, ConnectionCid, Cookie, Hello, Hello2, Mode, Packet, Params, RANDOM_LEN, Refuse, RefuseCode, Retry, Share,
};

use super::mtu::PathLimits;
use super::security::{InviteId, Security};

/// The first repetition comes after so long; each next after twice as long.
const REPEAT_FIRST: Duration = Duration::from_millis(20);
/// Repetitions come no further apart.
const REPEAT_LAST: Duration = Duration::from_secs(1);
/// Unanswered HELLO2 after which the cookie is taken to be no good any more.
const COOKIE_USES: u32 = 5;
/// Hints count only if nothing contradicts them for so long: anybody can forge them.
const HINT_PATIENCE: Duration = Duration::from_millis(500);
/// How long an attempt lasts in sealed modes at most: as long as its one cookie is good.
const SEALED_MAX: Duration = Duration::from_secs(10);
/// Addresses that are tried at once.
pub const CANDIDATES_MAX: usize = 32;

/// SHA-256 of encoded parameters, as HELLO carries it.
#[must_use]
pub fn params_hash(params: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, params).as_ref());
    hash
}

/// Somebody who may be the one to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub remote: SocketAddr,
    /// What the way there allows.
    pub path: PathLimits,
    /// Which invite or key to ask for.
    pub invite: InviteId,
}

/// What the handshake came to.
#[derive(Debug)]
pub struct Shared {
    /// The peer's id of the connection: our packets bear it.
    pub peer_cid: ConnectionCid,
    /// What the peer says about itself.
    pub params: Params,
    /// How long the last exchange took, where repetitions leave no doubt.
    pub round_trip: Option<Duration>,
    /// The keys, in sealed modes.
    pub session: Option<Session>,
}

/// Why it may come to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hint {
    since: Timestamp,
    end: End,
}

/// A candidate that is called.
#[derive(Debug)]
struct Called {
    candidate: Candidate,
    /// Why it seems to be of no use.
    lost: Option<End>,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// HELLO goes to all candidates; the next of them.
    Calling(usize),
    /// HELLO2 goes to the one that was chosen. `joiner` in sealed modes.
    Asking { cookie: Cookie, joiner: Option<Box<Joiner>> },
    /// CONFIRM_J goes there, and there is no way back: a code is proven to one only.
    Confirming { agreed: Box<Agreed>, peer_cid: ConnectionCid, params: Params },
}

/// A handshake that we began.
#[derive(Debug)]
pub struct Handshake {
    security: Security,
    candidates: Vec<Called>,
    /// Who among them answered first.
    chosen: usize,
    random: [u8; RANDOM_LEN],
    cid: ConnectionCid,
    params: Vec<u8>,
    entropy: Entropy,
    stage: Stage,
    /// True once a HELLO2 was sent: a plain SHARE may come, however late.
    asked: bool,
    /// Rounds of datagrams sent in this stage.
    sent: u32,
    sent_at: Timestamp,
    interval: Duration,
    repeat: Timer,
    give_up: Timestamp,
    /// The end before our proof is out, where there are others to be tried.
    hurried: Option<Timestamp>,
    hint: Option<Hint>,
}

impl Handshake {
    /// Begins; the first HELLO is due at once. `seed` is for the key agreement.
    #[must_use]
    pub fn new(
        now: Timestamp,
        security: Security,
        candidate: Candidate,
        cid: ConnectionCid,
        params: &Params,
        connect_timeout: Duration,
        seed: [u8; 32],
    ) -> Self {
        let mut encoded = Vec::new();
        params.put(&mut encoded);
        let mut entropy = Entropy::new(seed);
        let random = *entropy.draw();
        let mut repeat = Timer::default();
        repeat.arm(now);
        let sealed = security.mode().is_sealed();
        let timeout = if sealed { connect_timeout.min(SEALED_MAX) } else { connect_timeout };
        Self {
            security,
            candidates: vec![Called { candidate, lost: None }],
            chosen: 0,
            random,
            cid,
            params: encoded,
            entropy,
            stage: Stage::Calling(0),
            asked: false,
            sent: 0,
            sent_at: now,
            interval: REPEAT_FIRST,
            repeat,
            give_up: now + timeout,
            hurried: None,
            hint: None,
        }
    }

    /// One more who may be the one. False when that is of no use any more, or it is known already.
    pub fn add_candidate(&mut self, now: Timestamp, candidate: Candidate) -> bool {
        let calling = matches!(self.stage, Stage::Calling(_));
        let known = self.candidates.iter().any(|called| called.candidate == candidate);
        if !calling || self.candidates.len() >= CANDIDATES_MAX || known {
            return false;
        }
        self.candidates.push(Called { candidate, lost: None });
        // That was of the others.
        self.hint = None;
        self.restart(now);
        true
    }

    /// There are others to be tried: this is to end within `patience`, unless our proof goes out before.
    pub fn hurry(&mut self, now: Timestamp, patience: Duration) {
        if !matches!(self.stage, Stage::Confirming { .. }) {
            self.hurried.get_or_insert(now + patience);
        }
    }

    /// When it is given up, as far as it has come.
    fn gives_up_at(&self) -> Timestamp {
        self.hurried.map_or(self.give_up, |hurried| self.give_up.min(hurried))
    }

    /// What names the attempt.
    #[must_use]
    pub const fn random(&self) -> [u8; RANDOM_LEN] {
        self.random
    }

    /// The id that packets to us will bear.
    #[must_use]
    pub const fn cid(&self) -> ConnectionCid {
        self.cid
    }

    /// Who was chosen, or would be tried first.
    #[must_use]
    pub fn candidate(&self) -> &Candidate {
        &self.candidates[self.chosen].candidate
    }

    /// True where an answer from `from` may be one to us.
    #[must_use]
    pub fn calls(&self, from: SocketAddr) -> bool {
        match self.stage {
            Stage::Calling(_) => self.candidates.iter().any(|called| called.candidate.remote == from),
            _ => self.candidate().remote == from,
        }
    }

    /// When there is something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let give_up = self.gives_up_at();
        let end_at = self.hint.map_or(give_up, |hint| give_up.min(hint.since + HINT_PATIENCE));
        earliest(self.repeat.deadline(), Some(end_at))
    }

    /// The end, if it has come to that.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Option<End> {
        let give_up = self.gives_up_at();
        match (self.hint, &self.stage) {
            (Some(hint), _) if hint.since + HINT_PATIENCE <= now || give_up <= now => Some(hint.end),
            _ if give_up > now => None,
            (_, Stage::Confirming { .. }) => Some(End::Unconfirmed),
            _ => Some(End::ConnectTimedOut),
        }
    }

    /// Appends the datagram that is due, if one is, and says where it goes.
    pub fn poll(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Option<SocketAddr> {
        if !self.repeat.fire(now) {
            return None;
        }
        // A second HELLO2 of a sealed attempt would let a late SHARE for the first be taken for the second's.
        if matches!(self.stage, Stage::Asking { joiner: None, .. }) && self.sent >= COOKIE_USES {
            self.forget_cookie();
        }
        let (mode, client_random) = (self.security.mode(), self.random);
        let to = match &mut self.stage {
            Stage::Calling(next) => {
                let candidate = self.candidates[*next].candidate;
                let hello = Hello { client_random, invite: candidate.invite, params_hash: params_hash(&self.params) };
                Packet::Hello(hello).put_handshake(mode, out);
                *next = (*next + 1) % self.candidates.len();
                if *next != 0 {
                    // The others follow at once.
                    self.repeat.arm(now);
                    return Some(candidate.remote);
                }
                candidate.remote
            }
            Stage::Asking { joiner: Some(joiner), .. } => {
                out.extend_from_slice(joiner.hello());
                self.candidates[self.chosen].candidate.remote
            }
            Stage::Asking { cookie, joiner: None } => {
                let Candidate { invite, remote, .. } = self.candidates[self.chosen].candidate;
                let (cookie, client_cid, params) = (Some(*cookie), self.cid, self.params.as_slice());
                let hello = Hello2 { client_random, invite, cookie, client_cid, key_share: None, params };
                Packet::Hello2(hello).put_handshake(mode, out);
                self.asked = true;
                remote
            }
            Stage::Confirming { agreed, .. } => {
                Packet::ConfirmJ(agreed.confirm()).put_handshake(mode, out);
                self.candidates[self.chosen].candidate.remote
            }
        };
        self.sent += 1;
        self.sent_at = now;
        self.repeat.arm(now + self.interval);
        self.interval = (self.interval * 2).min(REPEAT_LAST);
        Some(to)
    }

    /// A listener wants its cookie back: it is chosen. False when no cookie is waited for.
    pub fn on_retry(&mut self, now: Timestamp, from: SocketAddr, retry: &Retry) -> bool {
        if !matches!(self.stage, Stage::Calling(_)) {
            return false;
        }
        let Some(chosen) = self.candidates.iter().position(|called| called.candidate.remote == from) else {
            return false;
        };
        let joiner = if self.security.mode().is_sealed() {
            let entropy = self.entropy.draw();
            let ask = Ask {
                client_random: self.random,
                invite: self.candidates[chosen].candidate.invite,
                cookie: Some(retry.cookie),
                client_cid: self.cid,
                params: &self.params,
            };
            match Joiner::start(self.security.mode(), self.security.prs(), &ask, &entropy) {
                Ok(joiner) => Some(Box::new(joiner)),
                Err(_) => return false,
            }
        } else {
            None
        };
        self.chosen = chosen;
        self.stage = Stage::Asking { cookie: retry.cookie, joiner };
        self.restart(now);
        // Somebody lives there; whether it grants anything is another matter.
        self.hint = self.hint.filter(|hint| hint.end != End::Unreachable);
        true
    }

    /// The listener grants the connection, or in sealed modes would to whoever proves to have the secret: `None` then,
    /// and when this is no answer to what we sent. `packet` is all of it.
    pub fn on_share(&mut self, now: Timestamp, packet: &[u8], share: &Share<'_>) -> Option<Shared> {
        if share.client_random != self.random || share.client_cid != self.cid {
            return None;
        }
        let params = Params::decode(share.params).ok()?;
        if self.security.mode().is_sealed() {
            let Stage::Asking { joiner: Some(joiner), .. } = &self.stage else { return None };
            let agreed = Box::new(joiner.on_share(packet, share).ok()?);
            self.stage = Stage::Confirming { agreed, peer_cid: share.server_cid, params };
            (self.hint, self.hurried) = (None, None);
            self.restart(now);
            return None;
        }
        let in_time = matches!(self.stage, Stage::Asking { .. }) && self.sent == 1;
        let round_trip = in_time.then(|| now.saturating_since(self.sent_at));
        self.asked.then_some(Shared { peer_cid: share.server_cid, params, round_trip, session: None })
    }

    /// True where `share` is the one that our secret is being proven to, or was just now.
    #[must_use]
    pub fn confirms(&self, share: &Share<'_>) -> bool {
        matches!(self.stage, Stage::Confirming { peer_cid, .. } if peer_cid == share.server_cid)
            && share.client_random == self.random
    }

    /// The listener proves that it has the secret. `None` where it does not.
    pub fn on_confirm(&mut self, now: Timestamp, confirm: &Confirm) -> Option<Shared> {
        let Stage::Confirming { agreed, peer_cid, params } = &self.stage else { return None };
        let session = agreed.on_confirm(confirm).ok()?;
        let round_trip = (self.sent == 1).then(|| now.saturating_since(self.sent_at));
        Some(Shared { peer_cid: *peer_cid, params: *params, round_trip, session: Some(session) })
    }

    /// The listener at `from`, or somebody who would like to pass for it, refuses.
    pub fn on_refuse(&mut self, now: Timestamp, from: SocketAddr, refuse: &Refuse) {
        self.lose(now, from, End::Refused(refuse.code));
    }

    /// The network reports that nobody listens at `remote`.
    pub fn on_unreachable(&mut self, now: Timestamp, remote: SocketAddr) {
        self.lose(now, remote, End::Unreachable);
    }

    /// It seems that nothing comes of calling `remote`: where several are called that says nothing of the others.
    fn lose(&mut self, now: Timestamp, remote: SocketAddr, end: End) {
        if !self.calls(remote) {
            return;
        }
        if matches!(self.stage, Stage::Calling(_)) {
            let of_it = self.candidates.iter_mut().filter(|called| called.candidate.remote == remote);
            of_it.for_each(|called| called.lost = Some(end));
            if self.candidates.iter().any(|called| called.lost.is_none()) {
                return;
            }
            // Of several reasons that of the one who may have us later.
            let busy = End::Refused(RefuseCode::Busy);
            let is_busy = self.candidates.iter().any(|called| called.lost == Some(busy));
            return self.hint(now, if is_busy { busy } else { end });
        }
        self.hint(now, end);
    }

    fn hint(&mut self, now: Timestamp, end: End) {
        let Some(end) = self.believed(end) else { return };
        match &mut self.hint {
            // A busy listener is a better reason than none at all.
            Some(hint) if hint.end == End::Unreachable => hint.end = end,
            Some(_) => {}
            None => self.hint = Some(Hint { since: now, end }),
        }
    }

    /// What an end that somebody reports comes to. In the mode code it matters whether our proof is out: whoever has it
    /// has had a guess at the words, so that no reason of theirs may lead to another attempt; and who has it not yet
    /// cannot know that it is wrong.
    fn believed(&self, end: End) -> Option<End> {
        let proven = matches!(self.stage, Stage::Confirming { .. });
        match end {
            End::Refused(RefuseCode::WrongTag) => proven.then_some(end),
            _ if proven && self.security.mode() == Mode::Code => Some(End::Unconfirmed),
            _ => Some(end),
        }
    }

    fn forget_cookie(&mut self) {
        self.stage = Stage::Calling(0);
        self.sent = 0;
        self.interval = REPEAT_FIRST;
    }

    fn restart(&mut self, now: Timestamp) {
        self.sent = 0;
        self.interval = REPEAT_FIRST;
        self.repeat.arm(now);
    }
}
