//! The joining side of the plain handshake: HELLO, RETRY, HELLO2, SHARE. `spec/wire.md`, "Handshake".
//!
//! ```text
//! joiner                         listener
//!   HELLO  ------------------------>        random, hash of parameters
//!          <------------------------ RETRY  cookie: the listener keeps nothing
//!   HELLO2 ------------------------>        cookie, connection id, parameters
//!          <------------------------ SHARE  connection id, parameters: established here
//!   PING   ------------------------>        and there, on the first packet bearing its id
//! ```

use core::time::Duration;

use ring::digest;

use crate::message::End;
use crate::time::{Timer, Timestamp, earliest};
use crate::wire::{ConnectionCid, Cookie, Hello, Hello2, Mode, Packet, Params, RANDOM_LEN, Refuse, Retry, Share};

/// The first repetition comes after so long; each next after twice as long.
const REPEAT_FIRST: Duration = Duration::from_millis(20);
/// Repetitions come no further apart.
const REPEAT_LAST: Duration = Duration::from_secs(1);
/// Unanswered HELLO2 after which the cookie is taken to be no good any more.
const COOKIE_USES: u32 = 5;
/// Hints count only if nothing contradicts them for so long: anybody can forge them.
const HINT_PATIENCE: Duration = Duration::from_millis(500);

/// SHA-256 of encoded parameters, as HELLO carries it.
#[must_use]
pub fn params_hash(params: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, params).as_ref());
    hash
}

/// What the handshake came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The peer's id of the connection: our packets bear it.
    pub peer_cid: ConnectionCid,
    /// What the peer says about itself.
    pub params: Params,
    /// How long the last exchange took, where repetitions leave no doubt.
    pub round_trip: Option<Duration>,
}

/// Why it may come to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hint {
    since: Timestamp,
    end: End,
}

/// A handshake that we began.
#[derive(Clone, Debug)]
pub struct Handshake {
    random: [u8; RANDOM_LEN],
    cid: ConnectionCid,
    params: Vec<u8>,
    cookie: Option<Cookie>,
    /// True once a HELLO2 was sent: a SHARE may come, however late.
    asked: bool,
    /// Datagrams sent with the present cookie, or without one.
    sent: u32,
    sent_at: Timestamp,
    interval: Duration,
    repeat: Timer,
    give_up: Timestamp,
    hint: Option<Hint>,
}

impl Handshake {
    /// Begins; the first HELLO is due at once.
    #[must_use]
    pub fn new(
        now: Timestamp,
        random: [u8; RANDOM_LEN],
        cid: ConnectionCid,
        params: &Params,
        connect_timeout: Duration,
    ) -> Self {
        let mut encoded = Vec::new();
        params.put(&mut encoded);
        let mut repeat = Timer::default();
        repeat.arm(now);
        Self {
            random,
            cid,
            params: encoded,
            cookie: None,
            asked: false,
            sent: 0,
            sent_at: now,
            interval: REPEAT_FIRST,
            repeat,
            give_up: now + connect_timeout,
            hint: None,
        }
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

    /// When there is something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let end_at = self.hint.map_or(self.give_up, |hint| self.give_up.min(hint.since + HINT_PATIENCE));
        earliest(self.repeat.deadline(), Some(end_at))
    }

    /// The end, if it has come to that.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Option<End> {
        match self.hint {
            Some(hint) if hint.since + HINT_PATIENCE <= now || self.give_up <= now => Some(hint.end),
            _ => (self.give_up <= now).then_some(End::ConnectTimedOut),
        }
    }

    /// Appends the datagram that is due, if one is.
    pub fn poll(&mut self, now: Timestamp, out: &mut Vec<u8>) -> bool {
        if !self.repeat.fire(now) {
            return false;
        }
        if self.cookie.is_some() && self.sent >= COOKIE_USES {
            self.forget_cookie();
        }
        let (client_random, invite) = (self.random, [0; 8]);
        match self.cookie {
            None => {
                let hello = Hello { client_random, invite, params_hash: params_hash(&self.params) };
                Packet::Hello(hello).put_handshake(Mode::Plain, out);
            }
            cookie => {
                let hello = Hello2 {
                    client_random,
                    invite,
                    cookie,
                    client_cid: self.cid,
                    key_share: None,
                    params: &self.params,
                };
                Packet::Hello2(hello).put_handshake(Mode::Plain, out);
                self.asked = true;
            }
        }
        self.sent += 1;
        self.sent_at = now;
        self.repeat.arm(now + self.interval);
        self.interval = (self.interval * 2).min(REPEAT_LAST);
        true
    }

    /// The listener wants its cookie back. False when no cookie is waited for.
    pub fn on_retry(&mut self, now: Timestamp, retry: &Retry) -> bool {
        if self.cookie.is_some() {
            return false;
        }
        self.cookie = Some(retry.cookie);
        self.restart(now);
        // Somebody lives there; whether it grants anything is another matter.
        self.hint = self.hint.filter(|hint| hint.end != End::Unreachable);
        true
    }

    /// The listener grants the connection. `None` when this is no answer to what we sent.
    #[must_use]
    pub fn on_share(&self, now: Timestamp, share: &Share<'_>) -> Option<Shared> {
        if !self.asked || share.client_random != self.random || share.client_cid != self.cid {
            return None;
        }
        let params = Params::decode(share.params).ok()?;
        let round_trip = (self.cookie.is_some() && self.sent == 1).then(|| now.saturating_since(self.sent_at));
        Some(Shared { peer_cid: share.server_cid, params, round_trip })
    }

    /// The listener, or somebody who would like to pass for it, refuses.
    pub fn on_refuse(&mut self, now: Timestamp, refuse: &Refuse) {
        self.hint(now, End::Refused(refuse.code));
    }

    /// The network reports that nobody listens there.
    pub fn on_unreachable(&mut self, now: Timestamp) {
        self.hint(now, End::Unreachable);
    }

    fn hint(&mut self, now: Timestamp, end: End) {
        match &mut self.hint {
            // A busy listener is a better reason than none at all.
            Some(hint) if hint.end == End::Unreachable => hint.end = end,
            Some(_) => {}
            None => self.hint = Some(Hint { since: now, end }),
        }
    }

    fn forget_cookie(&mut self) {
        self.cookie = None;
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
    use super::*;
    use crate::wire::{COOKIE_LEN, HELLO_LEN, RefuseCode, VERSION};

    const RANDOM: [u8; RANDOM_LEN] = [3; RANDOM_LEN];
    const CID: ConnectionCid = ConnectionCid(9);
    const RETRY: Retry = Retry { client_random: RANDOM, cookie: [5; COOKIE_LEN] };
    const BUSY: Refuse = Refuse { client_random: RANDOM, code: RefuseCode::Busy, version: VERSION };

    const fn at(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    fn handshake() -> Handshake {
        Handshake::new(at(0), RANDOM, CID, &Params::default(), Duration::from_secs(5))
    }

    /// What is sent at `ms`: 'h' for HELLO, '2' for HELLO2.
    fn sent(handshake: &mut Handshake, ms: u64) -> Option<char> {
        let mut out = Vec::new();
        handshake.poll(at(ms), &mut out).then(|| match Packet::decode(&out) {
            Ok((Mode::Plain, Packet::Hello(hello))) => {
                assert_eq!(hello.client_random, RANDOM);
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

    fn share() -> Share<'static> {
        Share { client_random: RANDOM, client_cid: CID, server_cid: ConnectionCid(77), key_share: None, params: &[] }
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
        assert_eq!(handshake.on_share(at(0), &share()), None, "no cookie, no SHARE");
        /* 1 ms */
        assert!(handshake.on_retry(at(1), &RETRY));
        assert_eq!(sent(&mut handshake, 1), Some('2'));
        assert!(!handshake.on_retry(at(1), &RETRY), "one cookie is enough");
        /* 2 ms */
        let shared = handshake.on_share(at(2), &share()).unwrap();
        assert_eq!(shared.peer_cid, ConnectionCid(77));
        assert_eq!(shared.round_trip, Some(Duration::from_millis(1)));
    }

    #[test]
    fn a_repeated_hello2_leaves_the_round_trip_in_doubt() {
        let mut handshake = handshake();
        sent(&mut handshake, 0);
        handshake.on_retry(at(1), &RETRY);
        assert_eq!(times(&mut handshake, 21), [(1, '2'), (21, '2')]);
        assert_eq!(handshake.on_share(at(22), &share()).unwrap().round_trip, None);
    }

    #[test]
    fn a_cookie_that_brings_nothing_five_times_is_given_up_for_a_new_one() {
        let mut handshake = handshake();
        sent(&mut handshake, 0);
        handshake.on_retry(at(1), &RETRY);
        let kinds: String = times(&mut handshake, 700).into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(kinds, "22222hhh", "the listener may have been restarted");
        assert!(handshake.on_retry(at(701), &RETRY));
    }

    #[test]
    fn shares_for_others_are_no_answer() {
        let mut handshake = handshake();
        sent(&mut handshake, 0);
        handshake.on_retry(at(1), &RETRY);
        sent(&mut handshake, 1);
        assert!(handshake.on_share(at(2), &share()).is_some());
        assert!(handshake.on_share(at(2), &Share { client_random: [0; 16], ..share() }).is_none());
        assert!(handshake.on_share(at(2), &Share { client_cid: ConnectionCid(8), ..share() }).is_none());
        assert!(handshake.on_share(at(2), &Share { params: &[0xff], ..share() }).is_none());
    }

    #[test]
    fn a_refusal_counts_after_half_a_second_and_repetitions_go_on() {
        let mut handshake = handshake();
        sent(&mut handshake, 0);
        handshake.on_retry(at(1), &RETRY);
        sent(&mut handshake, 1);
        /*   2 ms */
        handshake.on_refuse(at(2), &BUSY);
        /* 400 ms */
        handshake.on_refuse(at(400), &BUSY); // does not put it off
        assert_eq!(times(&mut handshake, 200), [(21, '2'), (61, '2'), (141, '2')]);
        assert!(handshake.on_share(at(300), &share()).is_some(), "contradicted in time");
        assert_eq!(handshake.ended(at(501)), None);
        assert_eq!(handshake.ended(at(502)), Some(End::Refused(RefuseCode::Busy)));
    }

    #[test]
    fn unreachable_counts_after_half_a_second_of_silence() {
        let mut silent = handshake();
        silent.on_unreachable(at(1));
        assert_eq!(silent.ended(at(500)), None);
        assert_eq!(silent.ended(at(501)), Some(End::Unreachable));
        let mut answered = handshake();
        answered.on_unreachable(at(1));
        answered.on_retry(at(2), &RETRY);
        assert_eq!(answered.ended(at(501)), None);
    }

    #[test]
    fn a_connect_timeout_below_the_patience_still_tells_the_reason() {
        let mut handshake = Handshake::new(at(0), RANDOM, CID, &Params::default(), Duration::from_millis(100));
        handshake.on_refuse(at(2), &BUSY);
        assert_eq!(handshake.ended(at(99)), None);
        assert_eq!(handshake.ended(at(100)), Some(End::Refused(RefuseCode::Busy)));
    }
}
