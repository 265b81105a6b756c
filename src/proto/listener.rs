//! The listening side of the plain handshake: no state before a valid cookie, bounded state after it.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::time::Timestamp;
use crate::wire::{
    ConnectionCid, Hello, Hello2, Mode, Packet, Params, RANDOM_LEN, Refuse, RefuseCode, Retry, Share, VERSION,
};

use super::cookie::CookieJar;
use super::counters::Dropped;
use super::handshake::params_hash;

/// Handshakes that may be half done at a time.
pub const HALF_OPEN_MAX: usize = 256;
/// Of these, from one source address.
pub const HALF_OPEN_PER_SOURCE_MAX: usize = 64;
/// A half-open handshake of this age gives way to another; a younger one may still be confirmed.
const EVICTED_FROM: Duration = Duration::from_millis(250);
/// How long a SHARE is kept to be repeated.
const SHARE_KEPT_FOR: Duration = Duration::from_secs(10);
/// Handshakes that are remembered, half done and done.
pub const REMEMBERED_MAX: usize = 1_024;

/// A handshake that waits for the first packet bearing its id.
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

#[derive(Clone, Debug)]
struct Attempt {
    half_open: HalfOpen,
    random: [u8; RANDOM_LEN],
    share: Vec<u8>,
    began: Timestamp,
    confirmed: bool,
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
    cookies: CookieJar,
    attempts: BTreeMap<ConnectionCid, Attempt>,
    by_random: BTreeMap<(SocketAddr, [u8; RANDOM_LEN]), ConnectionCid>,
    /// By age, the oldest first.
    ages: VecDeque<ConnectionCid>,
    half_open: usize,
    by_source: BTreeMap<IpAddr, usize>,
}

impl Listener {
    /// `secret` is 32 bytes that nobody else knows.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            cookies: CookieJar::new(secret),
            attempts: BTreeMap::new(),
            by_random: BTreeMap::new(),
            ages: VecDeque::new(),
            half_open: 0,
            by_source: BTreeMap::new(),
        }
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
    pub fn answer_hello(&self, now: Timestamp, from: SocketAddr, hello: &Hello, out: &mut Vec<u8>) {
        let cookie = self.cookies.bake(now, from, hello);
        Packet::Retry(Retry { client_random: hello.client_random, cookie }).put_handshake(Mode::Plain, out);
    }

    /// Checks HELLO2's cookie. False means that nothing else in it is worth a look.
    #[must_use]
    pub fn is_proven(&self, now: Timestamp, from: SocketAddr, hello: &Hello2<'_>) -> bool {
        let Some(cookie) = &hello.cookie else { return false };
        let params_hash = params_hash(hello.params);
        let first = Hello { client_random: hello.client_random, invite: hello.invite, params_hash };
        self.cookies.is_valid(now, from, &first, cookie)
    }

    /// Answers a proven HELLO2 with SHARE, the first or the same again. `cid` is an id for a new connection, `ours`
    /// are our encoded parameters, `room` is how many more connections may wait to be confirmed or accepted.
    #[expect(clippy::too_many_arguments, reason = "each is another part's state, none of which this part takes")]
    pub fn answer_hello2(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        hello: &Hello2<'_>,
        cid: ConnectionCid,
        ours: &[u8],
        room: usize,
        out: &mut Vec<u8>,
    ) -> Result<Granted, Dropped> {
        self.forget_old(now);
        if let Some(cid) = self.by_random.get(&(from, hello.client_random)) {
            let attempt = self.attempts.get_mut(cid).ok_or(Dropped::StaleHandshake)?;
            if attempt.half_open.peer_cid != hello.client_cid {
                return Err(Dropped::StaleHandshake);
            }
            attempt.half_open.share_sent_at = None;
            out.extend_from_slice(&attempt.share);
            return Ok(Granted::Again);
        }
        let params = Params::decode(hello.params).map_err(|_| Dropped::Malformed)?;
        self.make_room(now, from.ip(), room)?;
        let share =
            Share { client_random: hello.client_random, client_cid: hello.client_cid, server_cid: cid, params: ours };
        let mut bytes = Vec::new();
        Packet::Share(share).put_handshake(Mode::Plain, &mut bytes);
        out.extend_from_slice(&bytes);
        let half_open = HalfOpen { from, peer_cid: hello.client_cid, params, share_sent_at: Some(now) };
        let random = hello.client_random;
        self.attempts.insert(cid, Attempt { half_open, random, share: bytes, began: now, confirmed: false });
        self.by_random.insert((from, random), cid);
        self.ages.push_back(cid);
        self.half_open += 1;
        *self.by_source.entry(from.ip()).or_default() += 1;
        Ok(Granted::New)
    }

    /// The first packet bearing `cid` came from `from`: the handshake is done.
    pub fn confirm(&mut self, now: Timestamp, cid: ConnectionCid, from: SocketAddr) -> Result<HalfOpen, Dropped> {
        let attempt = self.attempts.get_mut(&cid).ok_or(Dropped::UnknownCid)?;
        if attempt.confirmed || attempt.began + SHARE_KEPT_FOR < now {
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
    pub fn refuse(client_random: [u8; RANDOM_LEN], code: RefuseCode, out: &mut Vec<u8>) {
        Packet::Refuse(Refuse { client_random, code, version: VERSION }).put_handshake(Mode::Plain, out);
    }

    fn make_room(&mut self, now: Timestamp, source: IpAddr, room: usize) -> Result<(), Dropped> {
        if self.by_source.get(&source).is_some_and(|count| *count >= HALF_OPEN_PER_SOURCE_MAX) {
            self.evict(now, Some(source)).ok_or(Dropped::HalfOpenFull)?;
        }
        if self.half_open >= HALF_OPEN_MAX {
            self.evict(now, None).ok_or(Dropped::HalfOpenFull)?;
        }
        if self.half_open >= room {
            self.evict(now, None).ok_or(Dropped::Busy)?;
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

    /// Forgets the oldest unconfirmed handshake that is old enough, of one source or of all.
    fn evict(&mut self, now: Timestamp, source: Option<IpAddr>) -> Option<()> {
        let of_source = |attempt: &Attempt| source.is_none_or(|source| attempt.half_open.from.ip() == source);
        let oldest = self
            .ages
            .iter()
            .copied()
            .find(|cid| self.attempts.get(cid).is_some_and(|attempt| !attempt.confirmed && of_source(attempt)))?;
        let began = self.attempts.get(&oldest)?.began;
        if began + EVICTED_FROM > now {
            return None;
        }
        self.forget(oldest);
        Some(())
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
        self.by_random.remove(&(attempt.half_open.from, attempt.random));
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
