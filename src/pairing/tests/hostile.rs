//! Beacons that lie, flood, or are none.

use core::net::SocketAddr;
use core::time::Duration;

use proptest::prelude::*;

use super::medium::{Faults, Medium, at, invite_id, nameplate};
use crate::pairing::*;

fn offer(number: u8, id: u8, echo: Option<SeekId>) -> [u8; BEACON_LEN] {
    let offer = Offer { invite: invite_id(id), carrier: Carrier::Tcp, port: 80 };
    Beacon { nameplate: nameplate(number), say: Say::Offer(offer, echo) }.encode()
}

fn stranger(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from(([172, 16, high, low], 40_000))
}

#[test]
fn a_flood_of_offers_fills_its_room_and_no_more() {
    let mut medium = Medium::new(1, Faults::default());
    let joiner = medium.seek(42);
    let dropped = |medium: &Medium| medium.processes[joiner].side.counters().dropped(Dropped::OffersFull);
    for number in 0..1_000_u16 {
        let id = u8::try_from(number % 250 + 1).unwrap();
        medium.inject(joiner, stranger(number), &offer(42, id, None));
    }
    assert_eq!((medium.found(joiner).len(), dropped(&medium)), (UNASKED_MAX, 1_000 - UNASKED_MAX as u64));
    // Who answers the question itself finds room all the same.
    medium.run_until(at(5));
    let asked = medium.log.iter().find_map(|(.., beacon)| match beacon.say {
        Say::Seek(seek) => Some(seek),
        _ => None,
    });
    for number in 2_000..3_000_u16 {
        medium.inject(joiner, stranger(number), &offer(42, 251, asked));
    }
    assert_eq!(medium.found(joiner).len(), CANDIDATES_MAX);
    assert_eq!(dropped(&medium), 2_000 - CANDIDATES_MAX as u64);
}

#[test]
fn one_host_does_not_take_the_room_of_all() {
    let mut medium = Medium::new(1, Faults::default());
    let joiner = medium.seek(42);
    for id in 1..200 {
        medium.inject(joiner, stranger(1), &offer(42, id, None));
    }
    assert_eq!(medium.found(joiner).len(), INVITES_PER_HOST_MAX);
    // Nor with one invite, the honest one's, and many ports.
    for port in 1..200 {
        let many = Offer { invite: invite_id(222), carrier: Carrier::Udp, port };
        let say = Say::Offer(many, None);
        medium.inject(joiner, stranger(3), &Beacon { nameplate: nameplate(42), say }.encode());
    }
    assert_eq!(medium.found(joiner).len(), INVITES_PER_HOST_MAX + WAYS_PER_HOST_MAX);
    medium.inject(joiner, stranger(2), &offer(42, 222, None));
    assert_eq!(medium.found(joiner).last().unwrap().invite, invite_id(222));
}

#[test]
fn an_answer_to_another_question_is_dropped() {
    let mut medium = Medium::new(1, Faults::default());
    let joiner = medium.seek(42);
    medium.inject(joiner, stranger(1), &offer(42, 1, Some(SeekId([9; 8]))));
    assert_eq!(medium.found(joiner), []);
    assert_eq!(medium.processes[joiner].side.counters().dropped(Dropped::WrongEcho), 1);
    let taken = Say::Taken { invite: invite_id(5), asked: invite_id(9) };
    let inviter = medium.invite(42, 1);
    medium.inject(inviter, stranger(1), &Beacon { nameplate: nameplate(42), say: taken }.encode());
    assert_eq!(medium.processes[inviter].side.counters().dropped(Dropped::WrongEcho), 1);
    medium.run_until(at(100));
    assert_eq!(medium.inviting(inviter).nameplate(), Some(nameplate(42)));
}

#[test]
fn who_claims_every_nameplate_delays_an_invite_and_does_not_prevent_it() {
    let mut medium = Medium::new(1, Faults::default());
    let inviter = medium.invite(42, 7);
    for number in 0..100 {
        let say = Say::Taken { invite: invite_id(1), asked: invite_id(7) };
        // Until it holds one: the claim comes whenever it asks.
        for _ in 0..2 {
            medium.inject(inviter, stranger(1), &Beacon { nameplate: nameplate(number), say }.encode());
        }
        let now = medium.now + Duration::from_millis(1);
        medium.run_until(now);
    }
    let claim_all = |medium: &mut Medium| {
        for number in 0..100 {
            let say = Say::Taken { invite: invite_id(1), asked: invite_id(7) };
            medium.inject(inviter, stranger(1), &Beacon { nameplate: nameplate(number), say }.encode());
        }
    };
    for _ in 0..20 {
        claim_all(&mut medium);
    }
    let held = medium.processes[inviter].invited.iter().find_map(|(_, event)| match event {
        InvitingEvent::Held { nameplate, asked } => Some((*nameplate, *asked)),
        _ => None,
    });
    let (nameplate, asked) = held.expect("it holds one");
    assert!(!asked);
    let taken = medium.processes[inviter].invited.iter().filter(|(_, e)| matches!(e, InvitingEvent::Taken { .. }));
    assert_eq!(taken.count(), NAMEPLATE_TRIES_MAX as usize);
    let joiner = medium.seek(nameplate.number());
    let end = medium.now + Duration::from_millis(100);
    medium.run_until(end);
    assert_eq!(medium.found(joiner)[0].invite, invite_id(7), "and is found");
}

#[test]
fn questions_never_get_more_bytes_than_they_have() {
    let mut medium = Medium::new(1, Faults::default());
    let inviter = medium.invite(42, 7);
    medium.run_until(at(10_000));
    let before = medium.log.len();
    let questions = 10_000_u16;
    for number in 0..questions {
        let say = Say::Seek(SeekId(u64::from(number + 1).to_be_bytes()));
        medium.inject(inviter, stranger(number), &Beacon { nameplate: nameplate(42), say }.encode());
    }
    let answered = medium.log.len() - before;
    assert_eq!(answered, ANSWERS_BURST as usize, "what comes at once");
    let counters = medium.processes[inviter].side.counters();
    assert_eq!(counters.dropped(Dropped::AnswersLimited), u64::from(questions) - u64::from(ANSWERS_BURST));
    // And what is for everyone goes by the clock, not by what was asked.
    let seconds = 20;
    for tick in 0..seconds * 100 {
        let say = Say::Seek(SeekId([7; 8]));
        medium.inject(inviter, stranger(1), &Beacon { nameplate: nameplate(42), say }.encode());
        medium.run_until(at(10_000 + tick * 10));
    }
    let to_all = medium.log[before..].iter().filter(|(_, _, to, _)| *to == Destination::Everyone).count();
    assert!(to_all <= usize::try_from(seconds).unwrap() * (BURST.len() + 1), "{to_all} in {seconds} s");
}

#[test]
fn another_version_is_told_once_and_by_name() {
    let mut medium = Medium::new(1, Faults::default());
    let joiner = medium.seek(42);
    let inviter = medium.invite(42, 1);
    medium.run_until(at(100));
    let other = |bytes: [u8; BEACON_LEN]| {
        let mut bytes = bytes[..BEACON_LEN - 4].to_vec();
        bytes[4] = 3;
        crate::wire::put_crc(&mut bytes, 0);
        bytes
    };
    let seek = Beacon { nameplate: nameplate(42), say: Say::Seek(SeekId([1; 8])) }.encode();
    for _ in 0..3 {
        medium.inject(joiner, stranger(1), &other(offer(42, 9, None)));
        medium.inject(joiner, stranger(1), &other(offer(43, 9, None)));
        medium.inject(joiner, stranger(1), &other(seek));
        medium.inject(inviter, stranger(1), &other(seek));
    }
    let told = medium.processes[joiner].sought.iter().filter(|(_, e)| *e == SeekingEvent::OtherVersion { version: 3 });
    assert_eq!(told.count(), 1);
    let told =
        medium.processes[inviter].invited.iter().filter(|(_, e)| *e == InvitingEvent::OtherVersion { version: 3 });
    assert_eq!(told.count(), 1);
    assert_eq!(medium.processes[inviter].side.counters().answered, 0);
}

#[test]
fn what_comes_from_no_host_is_dropped() {
    let mut medium = Medium::new(1, Faults::default());
    let joiner = medium.seek(42);
    for from in ["255.255.255.255:9", "0.0.0.0:9", "[ff02::1]:9", "10.0.0.1:0"] {
        medium.inject(joiner, from.parse().unwrap(), &offer(42, 1, None));
    }
    assert_eq!(medium.processes[joiner].side.counters().dropped(Dropped::BadSource), 4);
    assert_eq!(medium.found(joiner), []);
}

proptest! {
    /// Any bytes from anywhere, sound beacons among them: nothing panics, every datagram has its counter, tables keep
    /// their limits, and answers keep their rate.
    #[test]
    fn any_beacons_are_counted_and_bounded(
        datagrams in proptest::collection::vec((any::<[u8; 28]>(), 0..5u8, 0..4u16, any::<bool>(), 0..40u64), 1..200)
    ) {
        let mut medium = Medium::new(7, Faults::default());
        let (joiner, inviter) = (medium.seek(1), medium.invite(1, 7));
        for (mut bytes, kind, from, sound, wait) in datagrams {
            bytes[..4].copy_from_slice(b"udpr");
            bytes[4] = 1;
            bytes[5] = kind;
            bytes[6] %= 3;
            bytes[7] = if kind == 2 { 1 + bytes[7] % 2 } else { 0 };
            bytes[26..].fill(0);
            match kind {
                1 => { bytes[8..16].fill(0); bytes[24..26].fill(0); }
                3 => { bytes[16..26].fill(0); }
                4 => { bytes[16..24].fill(7); bytes[24..26].fill(0); }
                _ => bytes[16..24].fill(0),
            }
            let mut datagram = bytes.to_vec();
            crate::wire::put_crc(&mut datagram, 0);
            if !sound {
                let at = usize::from(bytes[9]) % datagram.len();
                datagram[at] ^= 1 | bytes[10];
            }
            for to in [joiner, inviter] {
                medium.inject(to, stranger(from), &datagram);
            }
            let next = medium.now + Duration::from_millis(wait);
            medium.run_until(next);
        }
        prop_assert!(medium.found(joiner).len() <= CANDIDATES_MAX);
        let counters = medium.processes[joiner].side.counters();
        let dropped: u64 = counters.iter_dropped().map(|(_, count)| count).sum();
        prop_assert_eq!(counters.received, dropped + medium.found(joiner).len() as u64);
        let counters = medium.processes[inviter].side.counters();
        let seconds = medium.now.as_nanos() / 1_000_000_000 + 1;
        prop_assert!(counters.answered <= u64::from(ANSWERS_BURST) + seconds * u64::from(ANSWERS_PER_SECOND));
    }
}
