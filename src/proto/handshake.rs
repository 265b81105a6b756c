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

use rand::rngs::ChaCha20Rng;
use rand::{Rng, SeedableRng};
use ring::digest;
use zeroize::Zeroizing;

use crate::message::End;
use crate::seal::{Agreed, Ask, Joiner, Session};
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
    candidates: Vec<Candidate>,
    /// Who among them answered first.
    chosen: usize,
    random: [u8; RANDOM_LEN],
    cid: ConnectionCid,
    params: Vec<u8>,
    rng: ChaCha20Rng,
    stage: Stage,
    /// True once a HELLO2 was sent: a plain SHARE may come, however late.
    asked: bool,
    /// Rounds of datagrams sent in this stage.
    sent: u32,
    sent_at: Timestamp,
    interval: Duration,
    repeat: Timer,
    give_up: Timestamp,
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
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut random = [0; RANDOM_LEN];
        rng.fill_bytes(&mut random);
        let mut repeat = Timer::default();
        repeat.arm(now);
        let sealed = security.mode().is_sealed();
        let timeout = if sealed { connect_timeout.min(SEALED_MAX) } else { connect_timeout };
        Self {
            security,
            candidates: vec![candidate],
            chosen: 0,
            random,
            cid,
            params: encoded,
            rng,
            stage: Stage::Calling(0),
            asked: false,
            sent: 0,
            sent_at: now,
            interval: REPEAT_FIRST,
            repeat,
            give_up: now + timeout,
            hint: None,
        }
    }

    /// One more who may be the one. False when that is of no use any more, or it is known already.
    pub fn add_candidate(&mut self, now: Timestamp, candidate: Candidate) -> bool {
        let calling = matches!(self.stage, Stage::Calling(_));
        if !calling || self.candidates.len() >= CANDIDATES_MAX || self.candidates.contains(&candidate) {
            return false;
        }
        self.candidates.push(candidate);
        self.restart(now);
        true
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
        &self.candidates[self.chosen]
    }

    /// True where an answer from `from` may be one to us.
    #[must_use]
    pub fn calls(&self, from: SocketAddr) -> bool {
        match self.stage {
            Stage::Calling(_) => self.candidates.iter().any(|candidate| candidate.remote == from),
            _ => self.candidate().remote == from,
        }
    }

    /// When there is something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let end_at = self.hint.map_or(self.give_up, |hint| self.give_up.min(hint.since + HINT_PATIENCE));
        earliest(self.repeat.deadline(), Some(end_at))
    }

    /// The end, if it has come to that.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Option<End> {
        match (self.hint, &self.stage) {
            (Some(hint), _) if hint.since + HINT_PATIENCE <= now || self.give_up <= now => Some(hint.end),
            _ if self.give_up > now => None,
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
                let candidate = &self.candidates[*next];
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
                self.candidates[self.chosen].remote
            }
            Stage::Asking { cookie, joiner: None } => {
                let Candidate { invite, remote, .. } = self.candidates[self.chosen];
                let (cookie, client_cid, params) = (Some(*cookie), self.cid, self.params.as_slice());
                let hello = Hello2 { client_random, invite, cookie, client_cid, key_share: None, params };
                Packet::Hello2(hello).put_handshake(mode, out);
                self.asked = true;
                remote
            }
            Stage::Confirming { agreed, .. } => {
                Packet::ConfirmJ(agreed.confirm()).put_handshake(mode, out);
                self.candidates[self.chosen].remote
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
        let Some(chosen) = self.candidates.iter().position(|candidate| candidate.remote == from) else { return false };
        let joiner = if self.security.mode().is_sealed() {
            let mut entropy = Zeroizing::new([0; 64]);
            self.rng.fill_bytes(&mut *entropy);
            let ask = Ask {
                client_random: self.random,
                invite: self.candidates[chosen].invite,
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
            self.hint = None;
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

    /// The listener, or somebody who would like to pass for it, refuses.
    pub fn on_refuse(&mut self, now: Timestamp, refuse: &Refuse) {
        if self.is_one_of_many() {
            return;
        }
        self.hint(now, End::Refused(refuse.code));
    }

    /// The network reports that nobody listens at `remote`.
    pub fn on_unreachable(&mut self, now: Timestamp, remote: SocketAddr) {
        if !self.is_one_of_many() && self.calls(remote) {
            self.hint(now, End::Unreachable);
        }
    }

    /// What one of several candidates leads to says nothing of the others.
    fn is_one_of_many(&self) -> bool {
        matches!(self.stage, Stage::Calling(_)) && self.candidates.len() > 1
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::seal::{Inviter, Prs};
    use crate::wire::{COOKIE_LEN, HELLO_LEN, VERSION};

    const CID: ConnectionCid = ConnectionCid(9);
    const RETRY: Retry = Retry { client_random: [0; RANDOM_LEN], cookie: [5; COOKIE_LEN] };
    const BUSY: Refuse = Refuse { client_random: [0; RANDOM_LEN], code: RefuseCode::Busy, version: VERSION };

    const fn at(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    const fn remote(last: u8) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 4_000)
    }

    fn candidate(last: u8) -> Candidate {
        let path = PathLimits::unlimited(remote(last));
        Candidate { remote: remote(last), path, invite: [last; 8] }
    }

    fn plain(timeout: Duration) -> Handshake {
        Handshake::new(at(0), Security::plain(), candidate(1), CID, &Params::default(), timeout, [3; 32])
    }

    fn handshake() -> Handshake {
        plain(Duration::from_secs(5))
    }

    /// What is sent at `ms`: 'h' for HELLO, '2' for HELLO2.
    fn sent(handshake: &mut Handshake, ms: u64) -> Option<char> {
        let mut out = Vec::new();
        handshake.poll(at(ms), &mut out).map(|_| match Packet::decode(&out) {
            Ok((Mode::Plain, Packet::Hello(hello))) => {
                assert_eq!(hello.client_random, handshake.random());
                assert_eq!(out.len(), HELLO_LEN);
                'h'
            }
            Ok((Mode::Plain, Packet::Hello2(hello))) => {
                assert_eq!((hello.client_cid, hello.cookie), (CID, Some(RETRY.cookie)));
                '2'
            }
            other => panic!("{other:?}"),
        })
    }

    /// Times at which something is sent, until `until`.
    fn times(handshake: &mut Handshake, until: u64) -> Vec<(u64, char)> {
        let mut times = Vec::new();
        while let Some(ms) = handshake.deadline().map(|at| at.as_micros() / 1_000).filter(|ms| *ms <= until) {
            match sent(handshake, ms) {
                Some(kind) => times.push((ms, kind)),
                None => break,
            }
        }
        times
    }

    fn share(handshake: &Handshake) -> Share<'static> {
        Share {
            client_random: handshake.random(),
            client_cid: CID,
            server_cid: ConnectionCid(77),
            key_share: None,
            params: &[],
        }
    }

    #[test]
    fn hello_is_repeated_after_20_ms_doubling_to_a_second_until_the_connect_timeout() {
        let mut handshake = handshake();
        let hellos: Vec<u64> = times(&mut handshake, 5_000).into_iter().map(|(ms, _)| ms).collect();
        assert_eq!(hellos, [0, 20, 60, 140, 300, 620, 1_260, 2_260, 3_260, 4_260]);
        assert_eq!(handshake.ended(at(4_999)), None);
        assert_eq!(handshake.ended(at(5_000)), Some(End::ConnectTimedOut));
    }

    #[test]
    fn hello_retry_hello2_share() {
        let mut handshake = handshake();
        /* 0 ms */
        assert_eq!(sent(&mut handshake, 0), Some('h'));
        assert!(handshake.on_share(at(0), &[], &share(&handshake)).is_none(), "no cookie, no SHARE");
        /* 1 ms */
        assert!(handshake.on_retry(at(1), remote(1), &RETRY));
        assert_eq!(sent(&mut handshake, 1), Some('2'));
        assert!(!handshake.on_retry(at(1), remote(1), &RETRY), "one cookie is enough");
        /* 2 ms */
        let shared = handshake.on_share(at(2), &[], &share(&handshake)).unwrap();
        assert_eq!(shared.peer_cid, ConnectionCid(77));
        assert_eq!(shared.round_trip, Some(Duration::from_millis(1)));
    }

    #[test]
    fn a_repeated_hello2_leaves_the_round_trip_in_doubt() {
        let mut handshake = handshake();
        sent(&mut handshake, 0);
        handshake.on_retry(at(1), remote(1), &RETRY);
        assert_eq!(times(&mut handshake, 21), [(1, '2'), (21, '2')]);
        assert_eq!(handshake.on_share(at(22), &[], &share(&handshake)).unwrap().round_trip, None);
    }

    #[test]
    fn a_cookie_that_brings_nothing_five_times_is_given_up_for_a_new_one() {
        let mut handshake = handshake();
        sent(&mut handshake, 0);
        handshake.on_retry(at(1), remote(1), &RETRY);
        let kinds: String = times(&mut handshake, 700).into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(kinds, "22222hhh", "the listener may have been restarted");
        assert!(handshake.on_retry(at(701), remote(1), &RETRY));
    }

    #[test]
    fn shares_for_others_are_no_answer() {
        let mut handshake = handshake();
        sent(&mut handshake, 0);
        handshake.on_retry(at(1), remote(1), &RETRY);
        sent(&mut handshake, 1);
        let share = share(&handshake);
        assert!(handshake.on_share(at(2), &[], &share).is_some());
        assert!(handshake.on_share(at(2), &[], &Share { client_random: [0; 16], ..share }).is_none());
        assert!(handshake.on_share(at(2), &[], &Share { client_cid: ConnectionCid(8), ..share }).is_none());
        assert!(handshake.on_share(at(2), &[], &Share { params: &[0xff], ..share }).is_none());
    }

    #[test]
    fn a_refusal_counts_after_half_a_second_and_repetitions_go_on() {
        let mut handshake = handshake();
        sent(&mut handshake, 0);
        handshake.on_retry(at(1), remote(1), &RETRY);
        sent(&mut handshake, 1);
        /*   2 ms */
        handshake.on_refuse(at(2), &BUSY);
        /* 400 ms */
        handshake.on_refuse(at(400), &BUSY); // does not put it off
        assert_eq!(times(&mut handshake, 200), [(21, '2'), (61, '2'), (141, '2')]);
        assert!(handshake.on_share(at(300), &[], &share(&handshake)).is_some(), "contradicted in time");
        assert_eq!(handshake.ended(at(501)), None);
        assert_eq!(handshake.ended(at(502)), Some(End::Refused(RefuseCode::Busy)));
    }

    #[test]
    fn unreachable_counts_after_half_a_second_of_silence() {
        let mut silent = handshake();
        silent.on_unreachable(at(1), remote(1));
        assert_eq!(silent.ended(at(500)), None);
        assert_eq!(silent.ended(at(501)), Some(End::Unreachable));
        let mut answered = handshake();
        answered.on_unreachable(at(1), remote(1));
        answered.on_retry(at(2), remote(1), &RETRY);
        assert_eq!(answered.ended(at(501)), None);
    }

    #[test]
    fn one_candidate_of_several_speaks_for_itself_alone() {
        let mut several = handshake();
        assert!(several.add_candidate(at(0), candidate(2)));
        several.on_unreachable(at(1), remote(1));
        several.on_refuse(at(1), &BUSY);
        assert_eq!(several.ended(at(4_999)), None);
        assert!(several.on_retry(at(4_000), remote(2), &RETRY));
        several.on_unreachable(at(4_001), remote(2));
        assert_eq!(several.ended(at(4_501)), Some(End::Unreachable), "the choice is made");
    }

    /// A code is one guess for whoever has our proof: nothing that they say afterwards may look like a failure before.
    #[test]
    fn once_a_code_is_proven_no_other_end_is_believed_than_that_the_proof_is_wrong() {
        const WRONG: Refuse = Refuse { code: RefuseCode::WrongTag, ..BUSY };
        let proving = || {
            let security = Security::code([1; 8], Prs::words("maple-otter"));
            let mut handshake =
                Handshake::new(at(0), security, candidate(1), CID, &Params::default(), Duration::from_secs(5), [3; 32]);
            handshake.on_refuse(at(0), &WRONG);
            assert_eq!(handshake.ended(at(501)), None, "nobody has a proof that could be wrong");
            assert!(handshake.on_retry(at(1), remote(1), &RETRY));
            let mut hello = Vec::new();
            handshake.poll(at(1), &mut hello);
            let Ok((mode, Packet::Hello2(asked))) = Packet::decode(&hello) else { panic!("HELLO2") };
            let ours = (ConnectionCid(7), &[][..]);
            let inviter = Inviter::answer(mode, &Prs::words("otter-maple"), (&hello, &asked), ours, &[9; 64]).unwrap();
            let Ok((_, Packet::Share(share))) = Packet::decode(inviter.share()) else { panic!("SHARE") };
            assert!(handshake.on_share(at(2), inviter.share(), &share).is_none());
            assert!(handshake.confirms(&share));
            handshake
        };
        let mut gone = proving();
        gone.on_unreachable(at(3), remote(1));
        assert_eq!(gone.ended(at(503)), Some(End::Unconfirmed));
        for code in [RefuseCode::Busy, RefuseCode::InviteUsed, RefuseCode::InviteBurnt, RefuseCode::Version] {
            let mut refused = proving();
            refused.on_refuse(at(3), &Refuse { code, ..BUSY });
            assert_eq!(refused.ended(at(503)), Some(End::Unconfirmed), "{code:?}");
        }
        let mut wrong = proving();
        wrong.on_refuse(at(3), &WRONG);
        assert_eq!(wrong.ended(at(503)), Some(End::Refused(RefuseCode::WrongTag)));
        assert_eq!(proving().ended(at(5_000)), Some(End::Unconfirmed));
    }

    #[test]
    fn a_connect_timeout_below_the_patience_still_tells_the_reason() {
        let mut handshake = plain(Duration::from_millis(100));
        handshake.on_refuse(at(2), &BUSY);
        assert_eq!(handshake.ended(at(99)), None);
        assert_eq!(handshake.ended(at(100)), Some(End::Refused(RefuseCode::Busy)));
    }
}
