//! Any bytes are a beacon or an error. An inviter and a joiner, fed with beacons from anywhere beside each other's: no
//! address gets more bytes than it sent, what is for everyone goes by the clock, tables keep their limits, and when it
//! is over they find each other.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use udpair::pairing::{
    ANSWERS_BURST, ANSWERS_PER_SECOND, ASKING, ASKS, BEACON_LEN, BURST, BURST_DISTANCE, Beacon, CANDIDATES_MAX,
    Carrier, Destination, INVITES_PER_HOST_MAX, InterfaceId, InviteId, Inviting, InvitingEvent, Machine,
    NAMEPLATE_TRIES_MAX, Nameplate, Offer, Say, SeekId, Seeking, SeekingEvent, WAYS_PER_HOST_MAX,
};
use udpair::time::Timestamp;
use udpair::wire::{DecodeError, put_crc};

use super::choices::Choices;

const INTERFACE: InterfaceId = InterfaceId(1);
const PORT: u16 = 5_000;
const INVITE: InviteId = InviteId([7; 8]);
/// What one machine may say to everyone in a second, at the most: a burst and what comes after one.
const PER_SECOND_MAX: u64 = 2 * BURST.len() as u64;

/// A run.
pub fn run(data: &[u8]) {
    beacon(data);
    beacon(&repaired(data));
    let mut choices = Choices::new(data);
    let mut world = World::new(&mut choices);
    while !choices.is_empty() {
        world.step(&mut choices);
        world.check();
    }
    world.settle();
}

/// The bytes as a beacon as far as that can be had: magic, length and checksum right.
fn repaired(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    bytes.resize(BEACON_LEN - 4, 0);
    bytes[..4].copy_from_slice(b"udpr");
    put_crc(&mut bytes, 0);
    bytes
}

/// Checks a datagram.
fn beacon(datagram: &[u8]) {
    match Beacon::decode(datagram) {
        Ok(beacon) => assert_eq!(beacon.encode(), *datagram, "a beacon has one form only"),
        Err(DecodeError::Truncated) => assert!(datagram.len() < BEACON_LEN),
        Err(_) => assert!(datagram.len() >= BEACON_LEN),
    }
}

/// What a machine has been told and has said.
#[derive(Debug, Default)]
struct Ledger {
    /// Bytes of each address, there and back.
    by_address: BTreeMap<SocketAddr, (usize, usize)>,
    to_everyone: u64,
    answers: u64,
}

struct World {
    now: Timestamp,
    began: Timestamp,
    inviting: Inviting,
    seeking: Seeking,
    ledgers: [Ledger; 2],
    held: Option<(Nameplate, bool)>,
    taken: u32,
    found: usize,
    /// The last that each of the two has said, the inviter and the joiner.
    said: [Option<[u8; BEACON_LEN]>; 2],
}

fn address(nth: usize) -> SocketAddr {
    match nth {
        0 => SocketAddr::from(([255, 255, 255, 255], 9)),
        1 => SocketAddr::from(([10, 0, 0, 1], 0)),
        2 => SocketAddr::from(([0xfe80, 0, 0, 0, 0, 0, 0, 1], 40_000)),
        _ => SocketAddr::from(([10, 0, 0, u8::try_from(nth / 2).unwrap_or(9)], 40_000 + u16::from(nth & 1 == 0))),
    }
}

const fn own_address(side: usize) -> SocketAddr {
    let last = if side == 0 { 201 } else { 202 };
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, last)), 41_000)
}

fn nameplate(number: u8) -> Nameplate {
    Nameplate::new(number % 100).expect("below 100")
}

impl World {
    fn new(choices: &mut Choices<'_>) -> Self {
        let now = Timestamp::from_nanos(1_000_000_000);
        let first = nameplate(choices.byte());
        let offer = Offer { invite: INVITE, carrier: Carrier::Udp, port: PORT };
        Self {
            now,
            began: now,
            inviting: Inviting::new(now, first, offer, [1; 32]),
            seeking: Seeking::new(now, first, [2; 32]),
            ledgers: <[Ledger; 2]>::default(),
            held: None,
            taken: 0,
            found: 0,
            said: [None; 2],
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let op = choices.byte();
        let (side, from) = (usize::from(op & 1), address(choices.below(64)));
        match op >> 1 & 7 {
            0 => {
                let len = if choices.flip() { BEACON_LEN } else { choices.below(40) };
                let bytes = choices.bytes(len).to_vec();
                self.tell(side, from, &bytes);
            }
            1 | 2 => {
                let bytes = self.compose(choices).encode();
                self.tell(side, from, &bytes);
            }
            3 => {
                // What one of them said, to the other or back to itself, from where it came or from elsewhere, with a
                // byte changed or as it was.
                let by = choices.below(2);
                if let Some(mut said) = self.said[by] {
                    let from = if choices.flip() { own_address(by) } else { from };
                    if choices.below(4) == 0 {
                        said[choices.below(BEACON_LEN - 4)] = choices.byte();
                        said = repaired(&said[..BEACON_LEN - 4]).try_into().expect("32 bytes");
                    }
                    self.tell(side, from, &said);
                }
            }
            4 => {
                match side {
                    0 => self.inviting.handle_new_interface(self.now),
                    _ => self.seeking.handle_new_interface(self.now),
                }
                self.pump(None);
            }
            _ => {
                let exponent = u32::try_from(choices.below(5)).unwrap_or(0);
                self.pass(Duration::from_micros(100 * 10u64.pow(exponent) * (1 + choices.below(9)) as u64));
            }
        }
    }

    /// A sound beacon, near to what matters here.
    fn compose(&self, choices: &mut Choices<'_>) -> Beacon {
        let held = self.held.map(|(nameplate, _)| nameplate.number());
        let number = match choices.below(3) {
            0 => choices.byte(),
            // What they have just said of their own nameplate, or the joiner's.
            1 => self.said[0].map_or(0, |said| said[6]),
            _ => held.unwrap_or_else(|| self.said[1].map_or(0, |said| said[6])),
        };
        let id = |byte: u8| [byte.max(1); 8];
        let seek = SeekId(id(choices.byte()));
        let echo = match choices.below(3) {
            0 => None,
            1 => Some(seek),
            _ => self.said[1].and_then(|said| said[16..24].try_into().ok()).map(SeekId),
        };
        let invite = InviteId(id(choices.byte()));
        let carrier = if choices.flip() { Carrier::Udp } else { Carrier::Tcp };
        let say = match choices.below(4) {
            0 => Say::Seek(seek),
            1 => Say::Offer(Offer { invite, carrier, port: choices.u16().max(1) }, echo),
            2 => Say::Ask(invite),
            _ => Say::Taken { invite, asked: if choices.flip() { INVITE } else { invite } },
        };
        Beacon { nameplate: nameplate(number), say }
    }

    fn tell(&mut self, side: usize, from: SocketAddr, bytes: &[u8]) {
        self.ledgers[side].by_address.entry(from).or_default().0 += bytes.len();
        match side {
            0 => self.inviting.handle_beacon(self.now, from, INTERFACE, bytes),
            _ => self.seeking.handle_beacon(self.now, from, INTERFACE, bytes),
        }
        self.pump(Some((side, from)));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for count in 0.. {
            assert!(count < 16, "deadlines that stay");
            self.inviting.handle_timeout(self.now);
            self.seeking.handle_timeout(self.now);
            self.pump(None);
            let deadlines = [self.inviting.deadline(), self.seeking.deadline()];
            if deadlines.into_iter().flatten().all(|at| at > self.now) {
                break;
            }
        }
    }

    /// Takes out what both have to say. `asked` is who has just been told something, and by whom.
    fn pump(&mut self, asked: Option<(usize, SocketAddr)>) {
        for side in 0..2 {
            let mut answers = 0;
            for count in 0.. {
                assert!(count < 64, "more than a few beacons at once");
                let transmit = match side {
                    0 => self.inviting.poll_transmit(),
                    _ => self.seeking.poll_transmit(),
                };
                let Some(transmit) = transmit else { break };
                let beacon = Beacon::decode(&transmit.beacon).expect("what is said is sound");
                assert!(side == 1 || !matches!(beacon.say, Say::Seek(_)));
                assert!(side == 0 || matches!(beacon.say, Say::Seek(_)), "a joiner only asks");
                let ledger = &mut self.ledgers[side];
                match transmit.to {
                    Destination::Everyone => {
                        ledger.to_everyone += 1;
                        self.said[side] = Some(transmit.beacon);
                    }
                    Destination::Back { to, interface } => {
                        answers += 1;
                        assert_eq!((Some((side, to)), interface), (asked, INTERFACE), "an answer goes to who asked");
                        ledger.answers += 1;
                        let (received, sent) = ledger.by_address.entry(to).or_default();
                        *sent += transmit.beacon.len();
                        assert!(*sent <= *received, "{to} has sent {received} bytes and gets {sent}");
                    }
                }
            }
            assert!(answers <= 1, "{answers} answers to one beacon");
        }
        self.events();
    }

    fn events(&mut self) {
        while let Some(event) = self.inviting.poll_event() {
            match event {
                InvitingEvent::Held { nameplate, asked } => {
                    assert_eq!(self.held.replace((nameplate, asked)), None, "it is held for good");
                }
                InvitingEvent::Taken { .. } => self.taken += 1,
                InvitingEvent::Crossed => assert!(self.held.is_some()),
                _ => {}
            }
        }
        while let Some(event) = self.seeking.poll_event() {
            if let SeekingEvent::Found(candidate) = event {
                assert_eq!(self.seeking.found().last(), Some(&candidate), "told when it is found");
                self.found += 1;
            }
        }
    }

    fn check(&self) {
        let found = self.seeking.found();
        // Some give way to others, and stay told.
        assert!(found.len() <= self.found && self.found <= CANDIDATES_MAX);
        let mut invites: BTreeMap<InviteId, Vec<SocketAddr>> = BTreeMap::new();
        found.iter().for_each(|candidate| invites.entry(candidate.invite).or_default().push(candidate.address));
        for candidate in found {
            let of_host = |ways: &&Vec<SocketAddr>| ways.iter().any(|way| way.ip() == candidate.address.ip());
            assert!(invites.values().filter(of_host).count() <= INVITES_PER_HOST_MAX);
            let ways = invites[&candidate.invite].iter().filter(|way| way.ip() == candidate.address.ip());
            assert!(ways.count() <= WAYS_PER_HOST_MAX);
        }
        assert!(self.taken <= NAMEPLATE_TRIES_MAX);
        assert_eq!(self.inviting.nameplate(), self.held.map(|(nameplate, _)| nameplate));
        let seconds = self.now.saturating_since(self.began).as_secs() + 1;
        // Whatever comes leads to something, or is counted.
        let led_to = [u64::from(self.taken), self.found as u64];
        let counters = [self.inviting.counters(), self.seeking.counters()];
        for ((ledger, counters), led_to) in self.ledgers.iter().zip(counters).zip(led_to) {
            assert_eq!((ledger.answers, ledger.to_everyone), (counters.answered, counters.sent_to_everyone));
            assert!(ledger.answers <= u64::from(ANSWERS_BURST) + seconds * u64::from(ANSWERS_PER_SECOND));
            let asks = ASKS.len() as u64 * (1 + u64::from(self.taken));
            assert!(ledger.to_everyone <= asks + seconds * PER_SECOND_MAX, "{} in {seconds} s", ledger.to_everyone);
            let dropped: u64 = counters.iter_dropped().map(|(_, count)| count).sum();
            assert_eq!(counters.received, counters.answered + dropped + led_to);
        }
    }

    /// They alone, for as long as it takes.
    fn settle(&mut self) {
        let until = self.now + (NAMEPLATE_TRIES_MAX + 1) * ASKING + BURST_DISTANCE;
        while self.held.is_none() {
            let next = self.inviting.deadline().expect("it has something to do");
            assert!(next <= until, "nobody claims anything any more, and it holds no nameplate");
            self.pass(next.saturating_since(self.now));
        }
        let (nameplate, _) = self.held.expect("held");
        let mut joiner = Seeking::new(self.now, nameplate, [3; 32]);
        let until = self.now + 3 * BURST_DISTANCE;
        while !joiner.found().iter().any(|candidate| candidate.invite == INVITE) {
            let deadlines = [self.inviting.deadline(), joiner.deadline()];
            let next = deadlines.into_iter().flatten().min().expect("both have");
            assert!(next <= until, "they do not find each other");
            self.now = self.now.max(next);
            joiner.handle_timeout(self.now);
            self.inviting.handle_timeout(self.now);
            while let Some(question) = joiner.poll_transmit() {
                self.inviting.handle_beacon(self.now, own_address(1), INTERFACE, &question.beacon);
            }
            while let Some(answer) = self.inviting.poll_transmit() {
                joiner.handle_beacon(self.now, own_address(0), INTERFACE, &answer.beacon);
            }
        }
        let found = joiner.found()[0];
        assert_eq!((found.address, found.carrier), (SocketAddr::new(own_address(0).ip(), PORT), Carrier::Udp));
    }
}
