//! Floods: of HELLOs from addresses that nobody has, and of HELLO2s from those that are there. Virtual time; every seed
//! stands in its test.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::net::{Faults, Net, address};
use crate::message::State;
use crate::proto::handshake::params_hash;
use crate::proto::listener::{REMEMBERED_MAX, SEALED_HALF_OPEN_MAX, SEALED_HALF_OPEN_PER_SOURCE_MAX};
use crate::proto::{Config, Dropped, InviteState, PathLimits, Security};
use crate::seal::{Ask, Joiner, Prs};
use crate::time::Timestamp;
use crate::wire::{ConnectionCid, Cookie, Hello, Hello2, Mode, Packet, Params};

const INVITE: [u8; 8] = [7; 8];

fn config(mode: Mode) -> Config {
    let security = match mode {
        Mode::Psk => Security::psk(INVITE, &[4; 32]),
        _ => Security::code(INVITE, Prs::words("maple-otter")),
    };
    Config { security, ..Config::default() }
}

fn params() -> Vec<u8> {
    let mut params = Vec::new();
    Params::default().put(&mut params);
    params
}

#[test]
fn a_hundred_thousand_hellos_from_random_addresses_leave_no_state_and_an_honest_guest_comes_in_meanwhile() {
    const HELLOS: u32 = 100_000;
    for mode in [Mode::Code, Mode::Psk] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut net = Net::new(1, [config(mode), config(mode)], Faults::default());
        net.strangers = true;
        let mut hello = |net: &mut Net| {
            let from = SocketAddr::from((rng.random::<[u8; 4]>(), rng.random_range(1..=u16::MAX)));
            let hello = Hello { client_random: rng.random(), invite: INVITE, params_hash: rng.random() };
            let mut bytes = Vec::new();
            Packet::Hello(hello).put_handshake(mode, &mut bytes);
            net.hosts[1].handle_datagram(net.now, from, None, &mut bytes);
        };
        let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
        let mut sent = 0;
        // A hundred of them each millisecond, in the batches in which a socket gives them.
        while sent < HELLOS {
            for _ in 0..50 {
                hello(&mut net);
                sent += 1;
            }
            net.run_for(Duration::from_micros(500));
            net.strays.clear();
            assert!(net.hosts[1].len() <= 1);
            assert!(net.hosts[1].half_open() <= 1, "but for the guest's there is no handshake");
        }
        assert_eq!(net.messages(0, id).state(), State::Open, "{mode:?}");
        assert_eq!(net.hosts[1].len(), 1);
        let counters = net.hosts[1].counters();
        assert!(counters.datagrams_received >= u64::from(HELLOS));
        assert!(counters.bytes_sent <= counters.bytes_received);
    }
}

/// Somebody who receives what is sent to an address, and asks and asks.
struct Flooder {
    from: SocketAddr,
    mode: Mode,
    cookie: Option<Cookie>,
    /// A sound HELLO2, but for the cookie and the id that make it another one.
    share: [u8; 32],
    next: u64,
}

impl Flooder {
    fn new(mode: Mode, nth: u32) -> Self {
        let [_, b, c, d] = nth.to_be_bytes();
        let from = SocketAddr::from(([172, b, c, d], 999));
        let (params, prs) = (params(), Prs::words("wrong-words"));
        let ask =
            Ask { client_random: [9; 16], invite: INVITE, cookie: None, client_cid: ConnectionCid(1), params: &params };
        let joiner = Joiner::start(mode, &prs, &ask, &[9; 64]).unwrap();
        let Ok((_, Packet::Hello2(hello))) = Packet::decode(joiner.hello()) else { panic!("no HELLO2") };
        Self { from, mode, cookie: None, share: hello.key_share.unwrap(), next: 0 }
    }

    fn hello(&self) -> Vec<u8> {
        let hello = Hello { client_random: [9; 16], invite: INVITE, params_hash: params_hash(&params()) };
        let mut bytes = Vec::new();
        Packet::Hello(hello).put_handshake(self.mode, &mut bytes);
        bytes
    }

    fn hello2(&mut self) -> Vec<u8> {
        self.next += 1;
        let (client_cid, key_share, params) = (ConnectionCid(self.next), Some(self.share), params());
        let hello = Hello2 {
            client_random: [9; 16],
            invite: INVITE,
            cookie: self.cookie,
            client_cid,
            key_share,
            params: &params,
        };
        let mut bytes = Vec::new();
        Packet::Hello2(hello).put_handshake(self.mode, &mut bytes);
        bytes
    }
}

/// A flood from so many addresses: what comes of it.
struct Flood {
    net: Net,
    per_ms: usize,
    flooders: Vec<Flooder>,
    /// When each address was sent a SHARE that it had not been sent before.
    shares: BTreeMap<IpAddr, Vec<Timestamp>>,
    asked: usize,
}

impl Flood {
    /// So many addresses that say `per_ms` HELLO2s in a millisecond, all together.
    fn new(mode: Mode, count: u32, per_ms: usize) -> Self {
        let mut net = Net::new(1, [config(mode), config(mode)], Faults::default());
        net.strangers = true;
        let flooders = (0..count).map(|nth| Flooder::new(mode, nth)).collect();
        Self { net, per_ms, flooders, shares: BTreeMap::new(), asked: 0 }
    }

    /// Another millisecond.
    fn step(&mut self) {
        // Now and then a new cookie is due.
        if self.per_ms > 0 && self.asked.is_multiple_of(5_000 * self.per_ms) {
            self.flooders.iter_mut().for_each(|flooder| flooder.cookie = None);
        }
        for _ in 0..self.per_ms {
            let count = self.flooders.len();
            let flooder = &mut self.flooders[self.asked % count];
            self.asked += 1;
            let mut bytes = if flooder.cookie.is_some() { flooder.hello2() } else { flooder.hello() };
            self.net.hosts[1].handle_datagram(self.net.now, flooder.from, None, &mut bytes);
        }
        self.net.run_for(Duration::from_millis(1));
        for (to, bytes) in core::mem::take(&mut self.net.strays) {
            let flooder = self.flooders.iter_mut().find(|flooder| flooder.from == to).expect("nobody else asked");
            match Packet::decode(&bytes) {
                Ok((_, Packet::Retry(retry))) => flooder.cookie = Some(retry.cookie),
                Ok((_, Packet::Share(_))) => self.shares.entry(to.ip()).or_default().push(self.net.now),
                other => assert!(matches!(other, Ok((_, Packet::Refuse(_)))), "{other:?}"),
            }
        }
        assert!(self.net.hosts[1].half_open() <= SEALED_HALF_OPEN_MAX);
        assert!(self.net.hosts[1].remembered() <= REMEMBERED_MAX);
    }

    fn steps(&mut self, ms: u32) {
        (0..ms).for_each(|_| self.step());
    }

    fn runs(&self) -> usize {
        self.shares.values().map(Vec::len).sum()
    }

    /// An honest guest comes, and the flood goes on. True when they are in.
    fn guest_comes_in(&mut self) -> bool {
        let now = self.net.now;
        let id = self.net.hosts[0].connect(now, address(1), PathLimits::unlimited(address(1))).unwrap();
        while self.net.hosts[0].messages(id).unwrap().ended().is_none() {
            self.step();
            if self.net.messages(0, id).state() == State::Open {
                return true;
            }
        }
        false
    }
}

#[test]
fn runs_are_limited_to_so_many_a_second_and_half_open_ones_to_so_many_of_an_address() {
    for (mode, per_second, seconds) in [(Mode::Code, 20, 5), (Mode::Psk, 1_000, 1)] {
        for count in [1, 3, 100] {
            let mut flood = Flood::new(mode, count, 5);
            flood.steps(1_000 * seconds);
            let runs = flood.runs();
            assert!(runs <= per_second * (seconds as usize + 1), "{mode:?}, {count}: {runs} runs in {seconds} s");
            assert!(runs >= 8 * seconds as usize, "{mode:?}, {count}: {runs}");
            for (source, times) in &flood.shares {
                // None gives way before it is 250 ms old, so there are no more in that time than there may be at once.
                let most = SEALED_HALF_OPEN_PER_SOURCE_MAX;
                let crowded = times.windows(most + 1).find(|of| of[most] < of[0] + Duration::from_millis(249));
                assert_eq!(crowded, None, "{mode:?}, {count}: {source}");
            }
            let counters = flood.net.hosts[1].counters();
            assert!(counters.dropped(Dropped::RunsLimited) + counters.dropped(Dropped::HalfOpenFull) > 0);
            assert_ne!(flood.net.hosts[1].invite(), Some(InviteState::Burnt), "nobody has guessed");
        }
    }
}

#[test]
fn a_flood_of_hello2_with_right_cookies_does_not_keep_an_honest_guest_out() {
    for mode in [Mode::Code, Mode::Psk] {
        // As many addresses as a network of this kind has, each with the right cookie.
        for count in [1, 8, 60] {
            let mut flood = Flood::new(mode, count, 5);
            flood.steps(1_500);
            assert!(flood.guest_comes_in(), "{mode:?}: {count} addresses");
        }
    }
}

#[test]
fn when_a_flood_ends_a_guest_comes_in_at_once() {
    for mode in [Mode::Code, Mode::Psk] {
        let mut flood = Flood::new(mode, 1_000, 20);
        flood.steps(1_500);
        flood.flooders.truncate(1);
        flood.per_ms = 0;
        flood.steps(250);
        let before = flood.net.now;
        assert!(flood.guest_comes_in());
        assert!(flood.net.now <= before + Duration::from_millis(1), "{mode:?}");
    }
}
