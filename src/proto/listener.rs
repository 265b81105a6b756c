//! The listening side of the handshake: no state and no curve before a valid cookie, bounded state after it.
//! `spec/wire.md`, "Handshake", and `spec/security.md`, "Handshake".

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use ring::digest;

use crate::seal::{HandshakeError, Inviter, Session};
use crate::time::Timestamp;
use crate::wire::{
    Confirm, ConnectionCid, Hello, Hello2, Mode, Packet, Params, RANDOM_LEN, RUN_ID_LEN, Refuse, RefuseCode, Retry,
    Share, VERSION,
};

use super::cookie::CookieJar;
use super::counters::Dropped;
use super::handshake::params_hash;
use super::security::{Guard, InviteState, Refusal, Security};

/// Handshakes that may be half done at a time.
pub const HALF_OPEN_MAX: usize = 256;
/// Of these, from one source address.
pub const HALF_OPEN_PER_SOURCE_MAX: usize = 64;
/// As these, in sealed modes, where each has cost a key agreement.
pub const SEALED_HALF_OPEN_MAX: usize = 64;
/// Of these, from one source address.
pub const SEALED_HALF_OPEN_PER_SOURCE_MAX: usize = 8;
/// A half-open handshake of this age gives way to another; a younger one may still be confirmed.
const EVICTED_FROM: Duration = Duration::from_millis(250);
/// How long a SHARE is kept to be repeated.
const SHARE_KEPT_FOR: Duration = Duration::from_secs(10);
/// Handshakes that are remembered, half done and done.
pub const REMEMBERED_MAX: usize = 1_024;

/// A handshake that waits for the first packet bearing its id, or in sealed modes for CONFIRM_J.
#[derive(Clone, Debug)]
pub struct HalfOpen {
    /// The peer's address.
    pub from: SocketAddr,
    /// The peer's id of the connection: our packets bear it.
    pub peer_cid: ConnectionCid,
    /// What the peer says about itself.
    pub params: Params,
    /// When SHARE was first sent, unless it was repeated.
    pub share_sent_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Attempt {
    half_open: HalfOpen,
    key: HelloKey,
    run: Option<[u8; RUN_ID_LEN]>,
    share: Vec<u8>,
    began: Timestamp,
    /// It is no longer half done.
    confirmed: bool,
    proof: Proof,
}

/// What the caller has to prove, and how far that has come.
#[derive(Debug)]
enum Proof {
    /// That it has seen SHARE.
    Plain,
    /// That it has the secret.
    Awaited(Box<Inviter>),
    /// It had. CONFIRM_J and the CONFIRM_I for it, to be repeated.
    Given(Confirm, Vec<u8>),
    /// It had not, or somebody else had not or came first: the reason, to be repeated.
    Refused(RefuseCode),
}

/// What a repeated HELLO2 is known by.
type HelloKey = [u8; RANDOM_LEN];

/// A HELLO2 whose cookie was right, and what the endpoint has for it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Where it came from.
    pub from: SocketAddr,
    /// All of it.
    pub packet: &'a [u8],
    /// What it says.
    pub hello: &'a Hello2<'a>,
    /// An id for a new connection.
    pub cid: ConnectionCid,
    /// Our parameters, encoded.
    pub ours: &'a [u8],
    /// How many more connections may wait to be confirmed or accepted.
    pub room: usize,
    /// Random bytes that are used for nothing else.
    pub entropy: &'a [u8; 64],
}

/// What a CONFIRM_J came to.
#[derive(Debug)]
pub enum Confirmed {
    /// A connection, the one that was granted under this id. CONFIRM_I tells the caller.
    New(ConnectionCid, HalfOpen, Box<Session>),
    /// The same CONFIRM_I again.
    Again,
}

/// What a HELLO2 came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// A SHARE, the first.
    New,
    /// The same SHARE again.
    Again,
}

/// The listening side of all handshakes of an endpoint.
#[derive(Debug)]
pub struct Listener {
    guard: Guard,
    cookies: CookieJar,
    attempts: BTreeMap<ConnectionCid, Attempt>,
    /// By what names a HELLO2: in plain mode its `client_random`, else every byte of it.
    by_hello: BTreeMap<(SocketAddr, HelloKey), ConnectionCid>,
    /// By what names a run, in sealed modes.
    by_run: BTreeMap<(SocketAddr, [u8; RUN_ID_LEN]), ConnectionCid>,
    /// By age, the oldest first.
    ages: VecDeque<ConnectionCid>,
    half_open: usize,
    by_source: BTreeMap<IpAddr, usize>,
}

impl Listener {
    /// `secret` is 32 bytes that nobody else knows.
    #[must_use]
    pub fn new(secret: &[u8; 32], security: Security) -> Self {
        Self {
            guard: Guard::new(security),
            cookies: CookieJar::new(secret),
            attempts: BTreeMap::new(),
            by_hello: BTreeMap::new(),
            by_run: BTreeMap::new(),
            ages: VecDeque::new(),
            half_open: 0,
            by_source: BTreeMap::new(),
        }
    }

    /// What became of the invite; `None` where there is none.
    #[must_use]
    pub fn invite(&self) -> Option<InviteState> {
        self.guard.invite()
    }

    const fn mode(&self) -> Mode {
        self.guard.security().mode()
    }

    /// How many handshakes are half done.
    #[must_use]
    pub const fn half_open(&self) -> usize {
        self.half_open
    }

    /// How many handshakes are remembered, half done and done.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.attempts.len()
    }

    /// True when `cid` names a handshake.
    #[must_use]
    pub fn knows(&self, cid: ConnectionCid) -> bool {
        self.attempts.contains_key(&cid)
    }

    /// Answers HELLO with RETRY and keeps nothing.
    ///
    /// # Errors
    /// Where it asks for an invite that is over, or not ours.
    pub fn answer_hello(
        &self,
        now: Timestamp,
        from: SocketAddr,
        hello: &Hello,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.guard.check(now, &hello.invite)?;
        let cookie = self.cookies.bake(now, from, hello);
        Packet::Retry(Retry { client_random: hello.client_random, cookie }).put_handshake(self.mode(), out);
        Ok(())
    }

    /// Checks HELLO2's cookie. False means that nothing else in it is worth a look.
    #[must_use]
    pub fn is_proven(&self, now: Timestamp, from: SocketAddr, hello: &Hello2<'_>) -> bool {
        let Some(cookie) = &hello.cookie else { return false };
        let params_hash = params_hash(hello.params);
        let first = Hello { client_random: hello.client_random, invite: hello.invite, params_hash };
        self.cookies.is_valid(now, from, &first, cookie)
    }

    /// Answers a proven HELLO2 with SHARE, the first or the same again.
    ///
    /// # Errors
    /// Why not.
    pub fn answer_hello2(&mut self, now: Timestamp, asked: &Asked<'_>, out: &mut Vec<u8>) -> Result<Granted, Refusal> {
        let silent = |dropped| Refusal { dropped, code: None };
        self.forget_old(now);
        let Asked { from, packet, hello, cid, ours, room, entropy } = *asked;
        let key = self.hello_key(packet, hello);
        if let Some(cid) = self.by_hello.get(&(from, key)) {
            let attempt = self.attempts.get_mut(cid).ok_or(silent(Dropped::StaleHandshake))?;
            if attempt.half_open.peer_cid != hello.client_cid {
                return Err(silent(Dropped::StaleHandshake));
            }
            if let Proof::Refused(code) = attempt.proof {
                return Err(Refusal { dropped: Dropped::InviteOver, code: Some(code) });
            }
            attempt.half_open.share_sent_at = None;
            out.extend_from_slice(&attempt.share);
            return Ok(Granted::Again);
        }
        let params = Params::decode(hello.params).map_err(|_| silent(Dropped::Malformed))?;
        self.guard.check(now, &hello.invite)?;
        if self.mode().is_sealed() {
            // First of all, so that whoever asks more often than that costs nothing more, and no others their places.
            self.guard.admit(now, from.ip(), &hello.invite)?;
            if !Inviter::can_answer(hello) {
                return Err(silent(Dropped::Malformed)); // and nobody gives way to it
            }
        }
        let busy = |dropped| Refusal { dropped, code: Some(RefuseCode::Busy) };
        self.make_room(now, from.ip(), room).map_err(busy)?;
        let (client_random, client_cid) = (hello.client_random, hello.client_cid);
        let mut run = None;
        let (share, proof) = if self.mode().is_sealed() {
            let prs = self.guard.security().prs();
            let inviter = Inviter::answer(self.mode(), prs, (packet, hello), (cid, ours), entropy)
                .map_err(|_| silent(Dropped::Malformed))?;
            run = Some(inviter.run_id());
            (inviter.share().to_vec(), Proof::Awaited(Box::new(inviter)))
        } else {
            let share = Share { client_random, client_cid, server_cid: cid, key_share: None, params: ours };
            let mut bytes = Vec::new();
            Packet::Share(share).put_handshake(Mode::Plain, &mut bytes);
            (bytes, Proof::Plain)
        };
        out.extend_from_slice(&share);
        let half_open = HalfOpen { from, peer_cid: client_cid, params, share_sent_at: Some(now) };
        let attempt = Attempt { half_open, key, run, share, began: now, confirmed: false, proof };
        self.attempts.insert(cid, attempt);
        self.by_hello.insert((from, key), cid);
        if let Some(run) = run {
            self.by_run.insert((from, run), cid);
        }
        self.ages.push_back(cid);
        self.half_open += 1;
        *self.by_source.entry(from.ip()).or_default() += 1;
        Ok(Granted::New)
    }

    /// CONFIRM_J came from `from`. A right one is answered with CONFIRM_I; a wrong one ends the attempt, and in code
    /// mode all attempts and the invite.
    ///
    /// # Errors
    /// Why it is not answered so.
    pub fn confirm_sealed(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        confirm: &Confirm,
        out: &mut Vec<u8>,
    ) -> Result<Confirmed, Refusal> {
        let stale = Refusal { dropped: Dropped::StaleHandshake, code: None };
        self.forget_old(now);
        // One that speaks of other packets than ours is somebody's who passed them on and changed them.
        let cid = *self.by_run.get(&(from, confirm.run)).ok_or(stale)?;
        let mode = self.mode();
        let attempt = self.attempts.get_mut(&cid).ok_or(stale)?;
        let inviter = match &attempt.proof {
            Proof::Plain => return Err(stale),
            Proof::Given(given, answer) if given == confirm => {
                out.extend_from_slice(answer);
                return Ok(Confirmed::Again);
            }
            Proof::Given(..) => return Err(stale),
            Proof::Refused(code) => return Err(Refusal { dropped: Dropped::InviteOver, code: Some(*code) }),
            Proof::Awaited(inviter) => inviter,
        };
        if let Some(code) = self.guard.over(now) {
            self.end(cid, code);
            return Err(Refusal { dropped: Dropped::InviteOver, code: Some(code) });
        }
        match inviter.on_confirm(confirm) {
            Ok((session, answer)) => {
                let mut bytes = Vec::new();
                Packet::ConfirmI(answer).put_handshake(mode, &mut bytes);
                out.extend_from_slice(&bytes);
                attempt.proof = Proof::Given(*confirm, bytes);
                attempt.confirmed = true;
                let half_open = attempt.half_open.clone();
                self.guard.on_right();
                self.uncount(from.ip());
                // Of several who know the words the first has come, and there is room for one.
                self.refuse_others(now);
                Ok(Confirmed::New(cid, half_open, Box::new(session)))
            }
            Err(HandshakeError::WrongTag) => {
                self.guard.on_wrong(now, from.ip());
                self.end(cid, RefuseCode::WrongTag);
                self.refuse_others(now);
                Err(Refusal { dropped: Dropped::WrongTag, code: Some(RefuseCode::WrongTag) })
            }
            Err(_) => Err(stale),
        }
    }

    /// Where the invite is over, so are all handshakes for it that are not done. They are remembered for as long as a
    /// repetition may come, which is told why.
    fn refuse_others(&mut self, now: Timestamp) {
        let Some(code) = self.guard.over(now) else { return };
        let open = |(cid, attempt): (&ConnectionCid, &Attempt)| (!attempt.confirmed).then_some(*cid);
        let cids: Vec<ConnectionCid> = self.attempts.iter().filter_map(open).collect();
        cids.into_iter().for_each(|cid| self.end(cid, code));
    }

    fn end(&mut self, cid: ConnectionCid, code: RefuseCode) {
        let Some(attempt) = self.attempts.get_mut(&cid).filter(|attempt| !attempt.confirmed) else { return };
        attempt.proof = Proof::Refused(code);
        attempt.confirmed = true;
        let source = attempt.half_open.from.ip();
        self.uncount(source);
    }

    fn hello_key(&self, packet: &[u8], hello: &Hello2<'_>) -> HelloKey {
        if !self.mode().is_sealed() {
            return hello.client_random;
        }
        let mut key = HelloKey::default();
        key.copy_from_slice(&digest::digest(&digest::SHA256, packet).as_ref()[..RANDOM_LEN]);
        key
    }

    /// The first packet bearing `cid` came from `from`: the handshake is done.
    pub fn confirm(&mut self, now: Timestamp, cid: ConnectionCid, from: SocketAddr) -> Result<HalfOpen, Dropped> {
        let attempt = self.attempts.get_mut(&cid).ok_or(Dropped::UnknownCid)?;
        let plain = matches!(attempt.proof, Proof::Plain);
        if !plain || attempt.confirmed || attempt.began + SHARE_KEPT_FOR < now {
            return Err(Dropped::UnknownCid); // done before, and the connection is gone
        }
        if attempt.half_open.from != from {
            return Err(Dropped::WrongSource);
        }
        attempt.confirmed = true;
        let half_open = attempt.half_open.clone();
        self.uncount(from.ip());
        Ok(half_open)
    }

    /// Appends a REFUSE.
    pub fn refuse(&self, client_random: [u8; RANDOM_LEN], code: RefuseCode, out: &mut Vec<u8>) {
        Packet::Refuse(Refuse { client_random, code, version: VERSION }).put_handshake(self.mode(), out);
    }

    fn make_room(&mut self, now: Timestamp, source: IpAddr, room: usize) -> Result<(), Dropped> {
        let (most, most_of_source) = if self.mode().is_sealed() {
            (SEALED_HALF_OPEN_MAX, SEALED_HALF_OPEN_PER_SOURCE_MAX)
        } else {
            (HALF_OPEN_MAX, HALF_OPEN_PER_SOURCE_MAX)
        };
        if self.by_source.get(&source).is_some_and(|count| *count >= most_of_source) {
            self.evict(now, Some(source)).ok_or(Dropped::HalfOpenFull)?;
        }
        if self.half_open >= most {
            self.evict_for(now, source).ok_or(Dropped::HalfOpenFull)?;
        }
        if self.half_open >= room {
            self.evict_for(now, source).ok_or(Dropped::Busy)?;
        }
        if self.half_open >= room {
            return Err(Dropped::Busy);
        }
        if self.attempts.len() >= REMEMBERED_MAX
            && let Some(oldest) = self.ages.iter().position(|cid| self.attempts.get(cid).is_some_and(|it| it.confirmed))
        {
            let cid = self.ages[oldest];
            self.forget(cid);
        }
        Ok(())
    }

    /// Forgets a handshake for one with `source`: the oldest one of the source that has the most, where these are so
    /// many that it still has more afterwards; else the oldest of all, if it is old enough.
    fn evict_for(&mut self, now: Timestamp, source: IpAddr) -> Option<()> {
        let own = self.by_source.get(&source).copied().unwrap_or_default();
        let most = self.by_source.iter().max_by_key(|(_, count)| **count).filter(|(_, count)| **count > own + 1);
        if let Some((greedy, _)) = most {
            let oldest = self.oldest(Some(*greedy))?;
            self.forget(oldest);
            return Some(());
        }
        self.evict(now, None)
    }

    /// Forgets the oldest unconfirmed handshake, of one source or of all, if it is old enough.
    fn evict(&mut self, now: Timestamp, source: Option<IpAddr>) -> Option<()> {
        let oldest = self.oldest(source)?;
        let began = self.attempts.get(&oldest)?.began;
        if began + EVICTED_FROM > now {
            return None;
        }
        self.forget(oldest);
        Some(())
    }

    fn oldest(&self, source: Option<IpAddr>) -> Option<ConnectionCid> {
        let of_source = |attempt: &Attempt| source.is_none_or(|source| attempt.half_open.from.ip() == source);
        let mut ages = self.ages.iter().copied();
        ages.find(|cid| self.attempts.get(cid).is_some_and(|attempt| !attempt.confirmed && of_source(attempt)))
    }

    fn forget_old(&mut self, now: Timestamp) {
        while let Some(cid) = self.ages.front().copied() {
            match self.attempts.get(&cid) {
                Some(attempt) if attempt.began + SHARE_KEPT_FOR >= now => break,
                _ => self.forget(cid),
            }
        }
    }

    fn forget(&mut self, cid: ConnectionCid) {
        if let Some(at) = self.ages.iter().position(|held| *held == cid) {
            self.ages.remove(at);
        }
        let Some(attempt) = self.attempts.remove(&cid) else { return };
        self.by_hello.remove(&(attempt.half_open.from, attempt.key));
        if let Some(run) = attempt.run {
            self.by_run.remove(&(attempt.half_open.from, run));
        }
        if !attempt.confirmed {
            self.uncount(attempt.half_open.from.ip());
        }
    }

    fn uncount(&mut self, source: IpAddr) {
        self.half_open -= 1;
        if let Some(count) = self.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/listener.rs"]
mod tests;
