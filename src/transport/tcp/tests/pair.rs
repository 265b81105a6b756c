//! What the tests stand on.

use core::time::Duration;

use bytes::Bytes;

use crate::message::{Arrival, ArrivalBody, End, Limits, Select, State};
use crate::proto::Security;
use crate::proto::security::{Guard, Refusal};
use crate::time::Timestamp;
use crate::transport::tcp::farewell::Socket;
use crate::transport::tcp::handshake::{Identity, Question, ScalarBytes};
use crate::transport::tcp::link::{Link, LinkConfig};
use crate::wire::{ConnectionCid, RANDOM_LEN, RefuseCode};

pub(super) const CALLER: usize = 0;
pub(super) const LISTENER: usize = 1;

pub(super) const fn ms(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

pub(super) fn config() -> LinkConfig {
    LinkConfig {
        limits: Limits {
            message_len_max: 300_000,
            credit_connection: 2_000_000,
            credit_channel: 1_000_000,
            send_queue: 1_000_000,
        },
        idle_timeout: Duration::from_secs(9),
        connect_timeout: Duration::from_secs(5),
        prefers_chacha: false,
    }
}

pub(super) const fn identity() -> Identity {
    Identity { random: [7; RANDOM_LEN], cid: ConnectionCid(77) }
}

pub(super) fn entropy(seed: u8) -> ScalarBytes {
    ScalarBytes::new([seed; 64])
}

/// A call with `security`, and for its invite.
pub(super) fn call(now: Timestamp, config: LinkConfig, security: &Security) -> Link {
    call_as(now, config, security, identity().random)
}

/// One that bears another name.
pub(super) fn call_as(now: Timestamp, config: LinkConfig, security: &Security, random: [u8; RANDOM_LEN]) -> Link {
    Link::call(now, config, (security, security.id()), Identity { random, ..identity() }, &entropy(1))
}

/// Gives a link what was read.
pub(super) fn feed(link: &mut Link, now: Timestamp, bytes: &[u8]) {
    link.handle_bytes(now, &mut bytes.to_vec());
}

/// Answers what a listening link waits to be told, where there is room for everybody.
pub(super) fn answer(guard: &mut Guard, link: &mut Link, now: Timestamp) {
    answer_with(guard, link, now, &entropy(2));
}

/// The same, with another share.
pub(super) fn answer_with(guard: &mut Guard, link: &mut Link, now: Timestamp, entropy: &ScalarBytes) {
    match link.question() {
        None => {}
        Some(Question::Asks(invite, _)) => match guard.check(now, &invite) {
            Ok(()) => link.grant(now, ConnectionCid(88), guard.security().prs(), entropy),
            Err(Refusal { code: Some(code), .. }) => link.refuse(now, code),
            Err(_) => link.fail(End::Broken),
        },
        Some(Question::Proven) => {
            guard.on_right();
            link.admit(now);
        }
        Some(Question::Disproven) => {
            guard.on_wrong(now, [10, 0, 0, 1].into());
            link.refuse(now, RefuseCode::WrongTag);
        }
    }
}

pub(super) fn content(seed: usize, len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from((at * 7 + seed * 13) % 251).unwrap()).collect()
}

/// A link and what it has made and not yet sent.
pub(super) struct Side {
    pub(super) link: Link,
    pub(super) out: Vec<u8>,
    shut: bool,
}

impl Side {
    pub(super) const fn new(link: Link) -> Self {
        Self { link, out: Vec::new(), shut: false }
    }

    pub(super) fn poll(&mut self, now: Timestamp) {
        let mut sent = Vec::new();
        self.link.poll_output(now, &mut self.out, &mut sent);
        assert!(sent.is_empty());
    }

    /// Takes at most `len` bytes of what is to be sent. True with them when the stream ends behind them.
    pub(super) fn take(&mut self, len: usize) -> (Vec<u8>, bool) {
        let rest = self.out.split_off(len.min(self.out.len()));
        let taken = core::mem::replace(&mut self.out, rest);
        let mut ends = false;
        if self.out.is_empty() {
            ends = match self.link.on_written() {
                Socket::Keep => false,
                Socket::Shut => true,
                Socket::Drop => !self.shut,
            };
            self.shut |= ends;
        }
        (taken, ends)
    }

    pub(super) fn recv(&mut self) -> Option<Arrival> {
        self.link.messages_mut().recv(Select::Any).unwrap()
    }

    pub(super) fn recv_whole(&mut self) -> Option<Bytes> {
        let ArrivalBody::Whole(body) = self.recv()?.body else { panic!("a stream") };
        Some(body)
    }

    pub(super) fn send(&mut self, body: impl Into<Bytes>) {
        self.link.messages_mut().send(0, 0, body.into()).unwrap();
    }
}

/// A caller and a listener.
pub(super) struct Pair {
    pub(super) now: Timestamp,
    pub(super) sides: [Side; 2],
    pub(super) guard: Guard,
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with(config())
    }

    pub(super) fn with(config: LinkConfig) -> Self {
        Self::secured(config, [Security::plain(), Security::plain()])
    }

    /// The caller's security and the listener's.
    pub(super) fn secured(config: LinkConfig, [caller, listener]: [Security; 2]) -> Self {
        let now = Timestamp::ZERO;
        let sides = [call(now, config, &caller), Link::listen(now, config, listener.mode())].map(Side::new);
        Self { now, sides, guard: Guard::new(listener) }
    }

    /// A pair that has shaken hands.
    pub(super) fn established() -> Self {
        Self::new().shaken()
    }

    /// Shakes hands.
    pub(super) fn shaken(mut self) -> Self {
        self.run();
        assert!(self.sides.iter().all(|side| side.link.messages().state() == State::Open));
        self
    }

    /// Carries at most `len` bytes from one side to the other. False where there was nothing to carry.
    pub(super) fn carry(&mut self, from: usize, len: usize) -> bool {
        self.sides[from].poll(self.now);
        let (bytes, ends) = self.sides[from].take(len);
        let to = &mut self.sides[1 - from];
        if !bytes.is_empty() {
            feed(&mut to.link, self.now, &bytes);
        }
        answer(&mut self.guard, &mut to.link, self.now);
        if ends {
            to.link.handle_end_of_stream();
        }
        !bytes.is_empty() || ends
    }

    /// Carries everything, in pieces of at most `len` bytes, until both are silent.
    pub(super) fn run_in_pieces(&mut self, len: usize) {
        for _ in 0..1_000_000 {
            let [there, back] = [CALLER, LISTENER].map(|from| self.carry(from, len));
            if !there && !back {
                return;
            }
        }
        panic!("the pair never falls silent");
    }

    pub(super) fn run(&mut self) {
        self.run_in_pieces(usize::MAX);
    }

    /// Lets time pass to `now`, each side's deadlines on their way, and carries what comes of it.
    pub(super) fn run_to(&mut self, now: Timestamp) {
        self.run();
        while let Some((at, side)) =
            (0..2).filter_map(|side| Some((self.sides[side].link.deadline()?, side))).min().filter(|(at, _)| *at <= now)
        {
            self.now = self.now.max(at);
            self.sides[side].link.handle_timeout(self.now);
            assert!(self.sides[side].link.deadline().is_none_or(|deadline| deadline > at), "a deadline that stays");
            self.run();
        }
        self.now = now;
    }
}
