//! A listener with an invite, with a shared key or with neither, fed with anything from anywhere, while callers with
//! the right secret and with wrong ones try to come in. No address that has proven nothing gets more bytes than it
//! sent, memory is bounded, nobody comes in who does not belong, noise burns no invite, and when it is over an honest
//! caller is served.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use udpair::message::{End, Select, State};
use udpair::proto::handshake::params_hash;
use udpair::proto::listener::{HALF_OPEN_MAX, REMEMBERED_MAX, SEALED_HALF_OPEN_MAX};
use udpair::proto::{Answer, Config, Drained, Endpoint, InviteState, Output, PathLimits, Security};
use udpair::seal::Prs;
use udpair::slots::ConnectionId;
use udpair::time::Timestamp;
use udpair::wire::{
    Confirm, ConnectionCid, Cookie, HELLO_LEN, Hello, Hello2, KEY_SHARE_LEN, Mode, Packet, Params, RANDOM_LEN, Refuse,
    RefuseCode, Retry, Share, VERSION, put_crc,
};

use super::choices::Choices;

/// Callers that speak the protocol, with the right secret or a wrong one.
const CALLERS_MAX: usize = 4;
/// Datagrams in the air; beyond it they are lost.
const AIR_MAX: usize = 64;
const OUTPUTS_MAX: usize = 20_000;
const ID: [u8; 8] = [7; 8];
/// How long the longest attempt to connect lasts, and how long a handshake is remembered.
const QUIET: Duration = Duration::from_secs(11);
/// A run: the first byte says which mode.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mode = [Mode::Code, Mode::Psk, Mode::Plain][choices.below(3)];
    let mut world = World::new(mode, 1 + choices.below(64));
    while !choices.is_empty() {
        world.step(&mut choices);
        world.check();
    }
    world.settle();
}

fn security(mode: Mode, right: bool) -> Security {
    match mode {
        Mode::Plain => Security::plain(),
        Mode::Code => Security::code(ID, Prs::words(if right { "maple-otter" } else { "maple-tiger" })),
        Mode::Psk => Security::psk(ID, &[if right { 4 } else { 5 }; 32]),
    }
}

fn config(mode: Mode, right: bool, backlog: usize) -> Config {
    Config { security: security(mode, right), backlog, ..Config::default() }
}

fn listener_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 4_000))
}

fn caller_address(nth: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, u8::try_from(nth).unwrap_or(255)], 4_000))
}

fn stranger(nth: usize) -> SocketAddr {
    let [high, low] = u16::try_from(nth).unwrap_or(0).to_be_bytes();
    SocketAddr::from(([10, 9, high, low / 2], 4_000 + u16::from(low & 1)))
}

/// Somebody who calls, as the library does.
struct Caller {
    endpoint: Endpoint,
    id: ConnectionId,
    right: bool,
}

/// A datagram on its way to the listener, from this address; or from the listener to this one.
#[derive(Clone)]
struct Flight {
    to_listener: bool,
    other: SocketAddr,
    bytes: Vec<u8>,
}

/// Datagrams to who has proven nothing.
#[derive(Default)]
struct Answers {
    count: usize,
    /// Their bytes.
    len: usize,
}

struct World {
    mode: Mode,
    now: Timestamp,
    listener: Endpoint,
    callers: Vec<Caller>,
    /// What came in at the listener.
    accepted: Vec<ConnectionId>,
    air: Vec<Flight>,
    /// Bytes that the listener had from each address, and that it sent there.
    ledger: BTreeMap<SocketAddr, (usize, usize)>,
    /// The last cookie and random that an address was sent.
    cookies: BTreeMap<SocketAddr, ([u8; RANDOM_LEN], Cookie)>,
    /// What callers with the right secret sent to prove it.
    proofs: Vec<Vec<u8>>,
    /// Anything else that is to prove something has come: made with a wrong secret, by hand, or changed on purpose.
    guessed: bool,
    /// When somebody has something to do.
    next: Option<Timestamp>,
    buf: Vec<u8>,
}

impl World {
    fn new(mode: Mode, backlog: usize) -> Self {
        Self {
            mode,
            now: Timestamp::from_nanos(1_000_000_000),
            listener: Endpoint::new(config(mode, true, backlog), [1; 32]),
            callers: Vec::new(),
            accepted: Vec::new(),
            air: Vec::new(),
            ledger: BTreeMap::new(),
            cookies: BTreeMap::new(),
            proofs: Vec::new(),
            guessed: false,
            next: None,
            buf: Vec::new(),
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 16 {
            0 if self.callers.len() < CALLERS_MAX => self.call(choices.below(4) > 0),
            1..=3 => self.arrive(choices.below(AIR_MAX), |_| {}),
            4 => self.arrive_all(),
            5 => {
                let (at, bit) = (usize::from(choices.u16()), choices.below(8));
                self.arrive(choices.below(AIR_MAX), |flight| {
                    let at = at % flight.bytes.len().max(1);
                    flight.bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
                });
            }
            6 => self.arrive_forged(choices),
            7 => {
                let from = stranger(choices.below(64));
                self.arrive(choices.below(AIR_MAX), |flight| flight.other = from);
            }
            8 => self.arrive(choices.below(AIR_MAX), |flight| flight.to_listener = !flight.to_listener),
            9 => {
                if let Some(flight) = self.pick(choices.below(AIR_MAX)).map(|nth| self.air[nth].clone()) {
                    self.throw(flight);
                }
            }
            10 => drop(self.take(choices.below(AIR_MAX))),
            11 => {
                let (from, len) = (self.somebody(choices), choices.len().min(2_000));
                let bytes = choices.bytes(len).to_vec();
                self.tell(from, bytes);
            }
            12 => self.ask(choices),
            13 => self.ask_again(choices),
            14 => self.answer_caller(choices),
            _ => {
                let exponent = u32::try_from(choices.below(5)).unwrap_or(0);
                self.pass(Duration::from_micros(100 * 10u64.pow(exponent) * (1 + choices.below(9)) as u64));
            }
        }
    }

    /// A new caller, at an address of its own.
    fn call(&mut self, right: bool) {
        let nth = self.callers.len();
        let seed = [100 + u8::try_from(nth).unwrap_or(0); 32];
        let mut endpoint = Endpoint::new(config(self.mode, right, 0), seed);
        let to = listener_address();
        let id = endpoint.connect(self.now, to, PathLimits::unlimited(to)).expect("there is room");
        self.callers.push(Caller { endpoint, id, right });
        self.pump();
    }

    /// An address that anybody may claim: a caller's or a stranger's.
    fn somebody(&self, choices: &mut Choices<'_>) -> SocketAddr {
        let nth = choices.below(64);
        if nth < self.callers.len() { caller_address(nth) } else { stranger(nth) }
    }

    /// A datagram is changed, and its checksum made right.
    fn arrive_forged(&mut self, choices: &mut Choices<'_>) {
        let (at, byte) = (usize::from(choices.u16()), choices.byte());
        let len = choices.below(3).checked_sub(1).map(|_| usize::from(choices.u16()) % 600);
        let Some(mut flight) = self.take(choices.below(AIR_MAX)) else { return };
        let end = flight.bytes.len().saturating_sub(4);
        flight.bytes.truncate(end);
        flight.bytes.resize(len.unwrap_or(end), 0);
        let at = at % flight.bytes.len().max(1);
        flight.bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte);
        put_crc(&mut flight.bytes, 0);
        self.deliver(flight);
    }

    /// HELLO by hand.
    fn ask(&mut self, choices: &mut Choices<'_>) {
        let from = self.somebody(choices);
        let invite = [ID, [0; 8], [9; 8]][choices.below(3)];
        let client_random = [choices.byte(); RANDOM_LEN];
        let hello = Hello { client_random, invite, params_hash: params_hash(&params()) };
        let bytes = self.packet(&Packet::Hello(hello));
        self.tell(from, bytes);
    }

    /// HELLO2 by hand, with the cookie that the address was given or another one; or a proof.
    fn ask_again(&mut self, choices: &mut Choices<'_>) {
        let from = self.somebody(choices);
        let of = if choices.below(4) > 0 { from } else { stranger(choices.below(64)) };
        let (client_random, cookie) = self.cookies.get(&of).copied().unwrap_or(([1; RANDOM_LEN], [2; 40]));
        if self.mode.is_sealed() && choices.below(4) == 0 {
            let confirm = Confirm { client_random, run: [choices.byte(); 16], tag: [choices.byte(); 32] };
            let bytes = self.packet(&Packet::ConfirmJ(confirm));
            return self.tell(from, bytes);
        }
        let key_share = self.mode.is_sealed().then(|| {
            // Multiples of the generator of the group, the identity, and what is no point.
            let mut share: [u8; KEY_SHARE_LEN] = [choices.byte(); KEY_SHARE_LEN];
            share[KEY_SHARE_LEN - 1] &= 0x7f;
            share[0] &= 0xfe;
            if choices.flip() { [0; KEY_SHARE_LEN] } else { share }
        });
        let params = params();
        let params = if choices.below(8) == 0 { choices.bytes(20) } else { params.as_slice() };
        let client_cid = ConnectionCid(choices.byte().into());
        let (invite, cookie) = (ID, (choices.below(16) > 0).then_some(cookie));
        let hello = Hello2 { client_random, invite, cookie, client_cid, key_share, params };
        let mut bytes = self.packet(&Packet::Hello2(hello));
        if choices.below(4) == 0 {
            // Longer than it has to be: another run, whose SHARE is not longer for that.
            bytes.truncate(HELLO_LEN - 4);
            bytes.extend_from_slice(choices.bytes(3));
            put_crc(&mut bytes, 0);
        }
        self.tell(from, bytes);
    }

    /// An answer by hand, to a caller, from the listener's address or another.
    fn answer_caller(&mut self, choices: &mut Choices<'_>) {
        let nth = choices.below(CALLERS_MAX);
        if nth >= self.callers.len() {
            return;
        }
        let from = if choices.below(8) > 0 { listener_address() } else { stranger(1) };
        // What the caller calls itself stands in all that it sent, so whoever is beside it knows.
        let own = |flight: &&Flight| flight.to_listener && flight.other == caller_address(nth);
        let seen = self.air.iter().find(own).and_then(|flight| flight.bytes.get(2..2 + RANDOM_LEN)?.try_into().ok());
        let client_random = seen.unwrap_or([3; RANDOM_LEN]);
        let id = ConnectionCid(choices.byte().into());
        let key_share = self.mode.is_sealed().then(|| [choices.byte() & 0x7e; KEY_SHARE_LEN]);
        let run = [choices.byte(); 16];
        let codes = [RefuseCode::Version, RefuseCode::InviteUsed, RefuseCode::InviteBurnt, RefuseCode::Busy];
        let refuse = Refuse { client_random, code: codes[choices.below(4)], version: VERSION };
        let packet = match choices.below(4) {
            0 => Packet::Retry(Retry { client_random, cookie: [choices.byte(); 40] }),
            1 => Packet::Share(Share { client_random, client_cid: id, server_cid: id, key_share, params: &[] }),
            2 if self.mode.is_sealed() => Packet::ConfirmI(Confirm { client_random, run, tag: [choices.byte(); 32] }),
            _ => Packet::Refuse(refuse),
        };
        let mut bytes = self.packet(&packet);
        self.callers[nth].endpoint.handle_datagram(self.now, from, None, &mut bytes);
        self.pump();
    }

    fn packet(&self, packet: &Packet<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        packet.put_handshake(self.mode, &mut bytes);
        bytes
    }

    fn pick(&self, nth: usize) -> Option<usize> {
        nth.checked_rem(self.air.len())
    }

    fn take(&mut self, nth: usize) -> Option<Flight> {
        self.pick(nth).map(|nth| self.air.remove(nth))
    }

    fn throw(&mut self, flight: Flight) {
        if self.air.len() < AIR_MAX {
            self.air.push(flight);
        }
    }

    fn arrive(&mut self, nth: usize, change: impl FnOnce(&mut Flight)) {
        if let Some(mut flight) = self.take(nth) {
            change(&mut flight);
            self.deliver(flight);
        }
    }

    fn arrive_all(&mut self) {
        for flight in core::mem::take(&mut self.air) {
            self.deliver(flight);
        }
    }

    fn deliver(&mut self, Flight { to_listener, other, mut bytes }: Flight) {
        if to_listener {
            return self.tell(other, bytes);
        }
        if let Some(nth) = (0..self.callers.len()).find(|nth| caller_address(*nth) == other) {
            let endpoint = &mut self.callers[nth].endpoint;
            endpoint.handle_datagram(self.now, listener_address(), None, &mut bytes);
            endpoint.handle_batch_end(Drained::ByWaiter);
            self.pump();
        }
    }

    /// The listener gets a datagram, and says what it has to say.
    fn tell(&mut self, from: SocketAddr, mut bytes: Vec<u8>) {
        let proof = matches!(Packet::decode(&bytes), Ok((_, Packet::ConfirmJ(_))));
        self.guessed |= proof && !self.proofs.contains(&bytes);
        let asked_len = bytes.len();
        self.ledger.entry(from).or_default().0 += asked_len;
        self.listener.handle_datagram(self.now, from, None, &mut bytes);
        self.listener.handle_batch_end(Drained::ByWaiter);
        let Answers { count, len } = self.pump();
        assert!(count <= 1, "one datagram in, {count} out");
        assert!(len <= asked_len, "{from} has sent a datagram of {asked_len} bytes and gets {len}");
    }

    /// True for an address with which there is a connection: there acknowledgements and repairs may be more.
    fn is_proven(&self, address: SocketAddr) -> bool {
        self.accepted.iter().any(|id| self.listener.remote(*id) == Some(address))
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.listener.handle_timeout(self.now);
        self.callers.iter_mut().for_each(|caller| caller.endpoint.handle_timeout(self.now));
        self.pump();
    }

    /// Takes out what everybody has to say. What the listener has sent to who has proven nothing.
    fn pump(&mut self) -> Answers {
        self.next = None;
        for nth in 0..self.callers.len() {
            self.pump_caller(nth);
        }
        let mut buf = core::mem::take(&mut self.buf);
        let mut answers = Answers::default();
        for count in 0.. {
            assert!(count < OUTPUTS_MAX, "the listener never comes to rest");
            match self.listener.poll_output(self.now, &mut buf) {
                Output::Transmit(transmit) => {
                    for datagram in buf.chunks(transmit.segment.unwrap_or(transmit.len).max(1)) {
                        if !self.is_proven(transmit.to) {
                            answers.count += 1;
                            answers.len += datagram.len();
                        }
                        self.on_sent(transmit.to, datagram);
                    }
                }
                Output::Incoming => self.accept(),
                Output::Changed(_) => {}
                Output::Wait(Some(at)) if at <= self.now => self.listener.handle_timeout(self.now),
                Output::Wait(wait) => {
                    self.next = self.next.into_iter().chain(wait).min();
                    break;
                }
            }
        }
        self.buf = buf;
        answers
    }

    fn pump_caller(&mut self, nth: usize) {
        let mut buf = core::mem::take(&mut self.buf);
        for count in 0.. {
            assert!(count < OUTPUTS_MAX, "the caller never comes to rest");
            let Caller { endpoint, right, .. } = &mut self.callers[nth];
            match endpoint.poll_output(self.now, &mut buf) {
                Output::Transmit(transmit) => {
                    assert_eq!(transmit.to, listener_address());
                    for datagram in buf.chunks(transmit.segment.unwrap_or(transmit.len).max(1)) {
                        let proof = matches!(Packet::decode(datagram), Ok((_, Packet::ConfirmJ(_))));
                        if proof && *right && !self.proofs.iter().any(|known| known == datagram) {
                            self.proofs.push(datagram.to_vec());
                        }
                        let (other, bytes) = (caller_address(nth), datagram.to_vec());
                        if self.air.len() < AIR_MAX {
                            self.air.push(Flight { to_listener: true, other, bytes });
                        }
                    }
                }
                Output::Changed(_) | Output::Incoming => {}
                Output::Wait(Some(at)) if at <= self.now => endpoint.handle_timeout(self.now),
                Output::Wait(wait) => {
                    self.next = self.next.into_iter().chain(wait).min();
                    break;
                }
            }
        }
        self.buf = buf;
    }

    fn on_sent(&mut self, to: SocketAddr, datagram: &[u8]) {
        let (received, sent) = self.ledger.entry(to).or_default();
        *sent += datagram.len();
        let (received, sent) = (*received, *sent);
        assert!(sent <= received || self.is_proven(to), "{to} has sent {received} bytes and gets {sent}");
        if let Ok((_, Packet::Retry(retry))) = Packet::decode(datagram) {
            self.cookies.insert(to, (retry.client_random, retry.cookie));
        }
        self.throw(Flight { to_listener: false, other: to, bytes: datagram.to_vec() });
    }

    fn accept(&mut self) {
        while let Some(id) = self.listener.incoming() {
            self.listener.answer(self.now, id, Answer::Accept);
            self.accepted.push(id);
        }
    }

    fn check(&self) {
        let half_open_max = if self.mode.is_sealed() { SEALED_HALF_OPEN_MAX } else { HALF_OPEN_MAX };
        assert!(self.listener.half_open() <= half_open_max);
        assert!(self.listener.remembered() <= REMEMBERED_MAX);
        if self.mode.is_sealed() {
            assert!(self.accepted.len() <= self.proofs.len(), "somebody came in who did not prove anything");
        }
        let expected: &[Option<InviteState>] = match (self.mode, self.accepted.len(), self.guessed) {
            (Mode::Plain | Mode::Psk, ..) => &[None],
            (Mode::Code, 0, false) => &[Some(InviteState::Open)],
            (Mode::Code, 0, true) => &[Some(InviteState::Open), Some(InviteState::Burnt)],
            (Mode::Code, ..) => &[Some(InviteState::Used)],
        };
        assert!(expected.contains(&self.listener.invite()), "{:?}, expected {expected:?}", self.listener.invite());
        assert!(self.mode != Mode::Code || self.accepted.len() <= 1, "one guest for one invite");
    }

    /// The network does its duty for so long.
    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..100_000 {
            self.arrive_all();
            self.pump();
            if !self.air.is_empty() {
                self.now += Duration::from_micros(100);
            } else if let Some(next) = self.next.filter(|next| *next <= until) {
                self.pass(next.saturating_since(self.now));
            } else {
                self.now = self.now.max(until);
                return self.pass(Duration::ZERO);
            }
        }
        panic!("the world never falls silent");
    }

    /// Whoever disturbed is gone. Who called is served or told, and so is whoever calls then.
    fn settle(&mut self) {
        self.run_for(QUIET);
        self.check();
        let over = self.listener.invite();
        // Whoever is established, on both sides, agrees with somebody.
        for caller in &self.callers {
            let Some(ours) = caller.endpoint.exports(caller.id) else { continue };
            let same = |id: &ConnectionId| {
                let theirs = self.listener.exports(*id).expect("sealed");
                theirs.device.expose() == ours.device.expose() && theirs.exporter.expose() == ours.exporter.expose()
            };
            assert!(caller.right && self.accepted.iter().any(same), "a caller is connected with nobody");
        }
        let before = self.accepted.len();
        self.callers.truncate(CALLERS_MAX);
        let nth = self.callers.len();
        self.call(true);
        self.run_for(QUIET);
        let ended = self.callers[nth].endpoint.messages(self.callers[nth].id).and_then(|messages| messages.ended());
        match over {
            Some(InviteState::Used) => assert_eq!(ended, Some(End::Refused(RefuseCode::InviteUsed))),
            Some(InviteState::Burnt) => assert_eq!(ended, Some(End::Refused(RefuseCode::InviteBurnt))),
            Some(InviteState::Open) | None => {
                assert_eq!((ended, self.accepted.len()), (None, before + 1), "an honest caller comes in");
                self.converse(nth);
            }
        }
    }

    /// A message arrives, once and as it was.
    fn converse(&mut self, nth: usize) {
        let Caller { endpoint, id, .. } = &mut self.callers[nth];
        let messages = endpoint.messages_mut(*id).expect("held");
        assert_eq!(messages.state(), State::Open);
        messages.send(0, 0, vec![7; 3_000].into()).expect("there is room");
        self.run_for(Duration::from_millis(10));
        let id = *self.accepted.last().expect("it came in");
        let messages = self.listener.messages_mut(id).expect("held");
        assert!(messages.recv(Select::Any).expect("it is open").is_some());
        assert!(messages.recv(Select::Any).expect("it is open").is_none());
    }
}

fn params() -> Vec<u8> {
    let mut params = Vec::new();
    Params::default().put(&mut params);
    params
}
