//! Cookies, half-open handshakes and their limits.

use super::*;
use crate::wire::{Cookie, HELLO_LEN};

const OURS: &[u8] = &[1, 5];
const MANY: usize = 100_000;

const fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

fn source(host: u16, port: u16) -> SocketAddr {
    let [high, low] = host.to_be_bytes();
    SocketAddr::from(([10, 0, high, low], port))
}

fn random(n: usize) -> [u8; RANDOM_LEN] {
    u128::try_from(n).unwrap().to_be_bytes()
}

struct Desk {
    listener: Listener,
    next_cid: u64,
}

impl Desk {
    fn new() -> Self {
        Self { listener: Listener::new(&[1; 32], Security::plain()), next_cid: 1 }
    }

    fn cookie(&self, now: Timestamp, from: SocketAddr, random: [u8; RANDOM_LEN]) -> Cookie {
        let hello = Hello { client_random: random, invite: [0; 8], params_hash: params_hash(&[]) };
        let mut out = Vec::new();
        self.listener.answer_hello(now, from, &hello, &mut out).unwrap();
        assert!(out.len() <= HELLO_LEN, "bytes out <= bytes in");
        match Packet::decode(&out) {
            Ok((Mode::Plain, Packet::Retry(retry))) => {
                assert_eq!(retry.client_random, random);
                retry.cookie
            }
            other => panic!("{other:?}"),
        }
    }

    /// A whole HELLO and HELLO2; what came of it and the SHARE.
    fn ask(&mut self, ms: u64, from: SocketAddr, n: usize, room: usize) -> (Result<Granted, Dropped>, Vec<u8>) {
        let now = at(ms);
        let client_random = random(n);
        let cookie = Some(self.cookie(now, from, client_random));
        let hello = Hello2 {
            client_random,
            invite: [0; 8],
            cookie,
            client_cid: ConnectionCid(5),
            key_share: None,
            params: &[],
        };
        assert!(self.listener.is_proven(now, from, &hello));
        let mut out = Vec::new();
        self.next_cid += 1;
        let cid = ConnectionCid(self.next_cid);
        let asked = Asked { from, packet: &[], hello: &hello, cid, ours: OURS, room, entropy: &[0; 64] };
        let granted = self.listener.answer_hello2(now, &asked, &mut out).map_err(|refusal| refusal.dropped);
        assert!(out.len() <= HELLO_LEN, "bytes out <= bytes in");
        (granted, out)
    }
}

fn cid_of(share: &[u8]) -> ConnectionCid {
    match Packet::decode(share) {
        Ok((Mode::Plain, Packet::Share(share))) => share.server_cid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hello_leaves_no_state_behind() {
    let desk = Desk::new();
    for n in 0..1_000 {
        desk.cookie(at(0), source(1, 1), random(n));
    }
    assert_eq!(desk.listener.attempts.len(), 0);
}

#[test]
fn a_hello2_without_cookie_or_with_a_stolen_one_proves_nothing() {
    let desk = Desk::new();
    let cookie = desk.cookie(at(0), source(1, 1), random(1));
    let hello = |cookie| Hello2 {
        client_random: random(1),
        invite: [0; 8],
        cookie,
        client_cid: ConnectionCid(5),
        key_share: None,
        params: &[],
    };
    assert!(desk.listener.is_proven(at(1), source(1, 1), &hello(Some(cookie))));
    assert!(!desk.listener.is_proven(at(1), source(1, 1), &hello(None)));
    assert!(!desk.listener.is_proven(at(1), source(2, 1), &hello(Some(cookie))));
    let other = Hello2 { params: &[1, 9], ..hello(Some(cookie)) };
    assert!(!desk.listener.is_proven(at(1), source(1, 1), &other), "other parameters than those hashed in HELLO");
}

#[test]
fn a_repeated_hello2_gets_the_same_share_byte_for_byte_for_ten_seconds() {
    let mut desk = Desk::new();
    let (granted, share) = desk.ask(0, source(1, 1), 1, MANY);
    assert_eq!(granted, Ok(Granted::New));
    assert_eq!(desk.ask(10_000, source(1, 1), 1, MANY), (Ok(Granted::Again), share.clone()));
    assert_eq!(desk.listener.half_open(), 1);
    let (granted, other) = desk.ask(10_001, source(1, 1), 1, MANY);
    assert_eq!(granted, Ok(Granted::New));
    assert_ne!(other, share);
    assert_eq!(desk.listener.half_open(), 1, "the old one is forgotten");
}

#[test]
fn the_first_packet_from_the_right_address_confirms_once() {
    let mut desk = Desk::new();
    let cid = cid_of(&desk.ask(0, source(1, 1), 1, MANY).1);
    assert_eq!(desk.listener.confirm(at(1), cid, source(1, 2)).unwrap_err(), Dropped::WrongSource);
    assert_eq!(desk.listener.confirm(at(1), ConnectionCid(999), source(1, 1)).unwrap_err(), Dropped::UnknownCid);
    let half_open = desk.listener.confirm(at(1), cid, source(1, 1)).unwrap();
    assert_eq!((half_open.peer_cid, half_open.share_sent_at), (ConnectionCid(5), Some(at(0))));
    assert_eq!(desk.listener.half_open(), 0);
    assert_eq!(desk.listener.confirm(at(1), cid, source(1, 1)).unwrap_err(), Dropped::UnknownCid);
    // A HELLO2 that was late in the network still gets its SHARE and fills no slot.
    assert_eq!(desk.ask(5, source(1, 1), 1, MANY).0, Ok(Granted::Again));
    assert_eq!(desk.listener.half_open(), 0);
}

#[test]
fn an_address_has_64_half_open_handshakes_and_the_oldest_gives_way_after_250_ms() {
    let mut desk = Desk::new();
    for n in 0..HALF_OPEN_PER_SOURCE_MAX {
        assert_eq!(desk.ask(n as u64, source(1, 1), n, MANY).0, Ok(Granted::New));
    }
    assert_eq!(desk.ask(249, source(1, 1), 900, MANY).0, Err(Dropped::HalfOpenFull));
    assert_eq!(desk.ask(249, source(2, 1), 901, MANY).0, Ok(Granted::New), "another address");
    assert_eq!(desk.ask(250, source(1, 1), 900, MANY).0, Ok(Granted::New));
    assert_eq!(desk.ask(250, source(1, 1), 902, MANY).0, Err(Dropped::HalfOpenFull), "the next is 249 ms old");
    assert_eq!(desk.listener.half_open(), HALF_OPEN_PER_SOURCE_MAX + 1);
}

#[test]
fn there_are_256_half_open_handshakes_in_all() {
    let mut desk = Desk::new();
    for n in 0..HALF_OPEN_MAX {
        let host = u16::try_from(n).unwrap();
        assert_eq!(desk.ask(0, source(host, 1), n, MANY).0, Ok(Granted::New));
    }
    assert_eq!(desk.ask(249, source(1_000, 1), 900, MANY).0, Err(Dropped::HalfOpenFull));
    assert_eq!(desk.ask(250, source(1_000, 1), 900, MANY).0, Ok(Granted::New));
    assert_eq!(desk.listener.half_open(), HALF_OPEN_MAX);
}

#[test]
fn beyond_the_backlog_it_is_busy_until_a_half_open_one_is_old() {
    let mut desk = Desk::new();
    assert_eq!(desk.ask(0, source(1, 1), 0, 2).0, Ok(Granted::New));
    assert_eq!(desk.ask(0, source(1, 1), 1, 2).0, Ok(Granted::New));
    assert_eq!(desk.ask(0, source(1, 1), 2, 2).0, Err(Dropped::Busy));
    assert_eq!(desk.ask(250, source(1, 1), 2, 2).0, Ok(Granted::New));
    assert_eq!(desk.ask(600, source(1, 1), 3, 0).0, Err(Dropped::Busy), "no room at all");
}

#[test]
fn memory_of_done_handshakes_is_bounded() {
    let mut desk = Desk::new();
    for n in 0..3 * REMEMBERED_MAX {
        let from = source(u16::try_from(n).unwrap(), 1);
        let (granted, share) = desk.ask(0, from, n, MANY);
        assert_eq!(granted, Ok(Granted::New));
        desk.listener.confirm(at(0), cid_of(&share), from).unwrap();
        assert!(desk.listener.attempts.len() <= REMEMBERED_MAX);
        assert_eq!(desk.listener.ages.len(), desk.listener.attempts.len());
        assert_eq!(desk.listener.by_hello.len(), desk.listener.attempts.len());
    }
    assert!(desk.listener.by_source.is_empty());
}

#[test]
fn a_hello2_without_a_sound_key_share_takes_nobodys_place() {
    let security = Security::psk([1; 8], &[2; 32]);
    let mut listener = Listener::new(&[1; 32], security.clone());
    let mut next = 1;
    let mut ask = |ms: u64, sound: bool| {
        next += 1;
        let (from, cid, client_random) = (source(1, 1), ConnectionCid(next), random(usize::try_from(next).unwrap()));
        let ask = crate::seal::Ask {
            client_random,
            invite: [1; 8],
            cookie: None,
            client_cid: ConnectionCid(5),
            params: OURS,
        };
        let joiner = crate::seal::Joiner::start(Mode::Psk, security.prs(), &ask, &[3; 64]).unwrap();
        let Ok((_, Packet::Hello2(hello))) = Packet::decode(joiner.hello()) else { panic!("HELLO2") };
        let key_share = if sound { hello.key_share } else { Some([0xff; 32]) };
        let hello = Hello2 { key_share, ..hello };
        let asked =
            Asked { from, packet: joiner.hello(), hello: &hello, cid, ours: OURS, room: MANY, entropy: &[4; 64] };
        let granted = listener.answer_hello2(at(ms), &asked, &mut Vec::new()).map_err(|refusal| refusal.dropped);
        (granted, listener.half_open())
    };
    for count in 1..=SEALED_HALF_OPEN_PER_SOURCE_MAX {
        assert_eq!(ask(0, true), (Ok(Granted::New), count));
    }
    assert_eq!(ask(300, false), (Err(Dropped::Malformed), SEALED_HALF_OPEN_PER_SOURCE_MAX));
    assert_eq!(ask(300, true), (Ok(Granted::New), SEALED_HALF_OPEN_PER_SOURCE_MAX), "the oldest has given way");
}
