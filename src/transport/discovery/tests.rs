//! Two sides on the loopback interface, each driven by turns on one thread.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::pairing::{
    BEACON_LEN, Beacon, Candidate, Carrier, DISCOVERY_PORT, InviteId, InvitingEvent, NAMEPLATES, Say, SeekId,
    SeekingEvent,
};
use crate::transport::clock;

/// Other runs of these tests may be on the machine at the same time, and share the port: nameplates are theirs as well.
static COUNT: AtomicU32 = AtomicU32::new(0);
const PATIENCE: Duration = Duration::from_secs(20);
const TURN: Duration = Duration::from_millis(2);

fn unique() -> u32 {
    std::process::id().wrapping_mul(1_000).wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed))
}

fn a_nameplate() -> Nameplate {
    Nameplate::from_entropy(unique().wrapping_mul(37).to_be_bytes())
}

fn an_offer(carrier: Carrier) -> Offer {
    let id = (u64::from(unique()) << 8 | 1).to_be_bytes();
    Offer { invite: InviteId(id), carrier, port: 4_321 }
}

fn on_lo() -> DiscoveryOptions {
    DiscoveryOptions { interface: Some("lo".to_owned()) }
}

fn inviting(nameplate: Nameplate, offer: Offer) -> Discovery<Inviting> {
    Discovery::inviting(on_lo(), nameplate, offer).unwrap()
}

fn seeking(nameplate: Nameplate) -> Discovery<Seeking> {
    Discovery::seeking(on_lo(), nameplate).unwrap()
}

fn turn<M: Machine>(discovery: &mut Discovery<M>) -> Option<M::Event> {
    match discovery.poll(discovery.now() + TURN) {
        Ok(event) => Some(event),
        Err(PollError::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

fn hold(inviter: &mut Discovery<Inviting>) -> Nameplate {
    let end = inviter.now() + PATIENCE;
    loop {
        if let InvitingEvent::Held { nameplate, .. } = inviter.poll(end).expect("a nameplate in time") {
            return nameplate;
        }
    }
}

/// Drives both until the joiner has found the inviter's offer.
fn find(joiner: &mut Discovery<Seeking>, inviter: &mut Discovery<Inviting>, offer: Offer) -> Candidate {
    let end = joiner.now() + PATIENCE;
    while joiner.now() < end {
        turn(inviter);
        if let Some(SeekingEvent::Found(candidate)) = turn(joiner)
            && candidate.invite == offer.invite
        {
            return candidate;
        }
    }
    panic!("not found: {:?} {:?} {:?}", joiner.report(), joiner.machine(), inviter.report());
}

fn check(candidate: Candidate, offer: Offer) {
    assert_eq!(candidate.carrier, offer.carrier);
    assert_eq!(candidate.address.port(), offer.port);
    assert!(candidate.address.ip().is_loopback(), "{candidate:?}");
}

#[test]
fn a_joiner_finds_an_invite_that_was_there_before() {
    let offer = an_offer(Carrier::Tcp);
    let mut inviter = inviting(a_nameplate(), offer);
    let mut joiner = seeking(hold(&mut inviter));
    check(find(&mut joiner, &mut inviter, offer), offer);
    assert_eq!(joiner.report().interfaces, ["lo"]);
}

#[test]
fn a_joiner_that_was_there_before_finds_an_invite() {
    // Another run may have the nameplate: then another one is tried.
    for _ in 0..10 {
        let (nameplate, offer) = (a_nameplate(), an_offer(Carrier::Udp));
        let mut joiner = seeking(nameplate);
        turn(&mut joiner);
        let mut inviter = inviting(nameplate, offer);
        if hold(&mut inviter) == nameplate {
            check(find(&mut joiner, &mut inviter, offer), offer);
            return;
        }
    }
    panic!("every nameplate was taken");
}

#[test]
fn two_invites_at_once_hold_two_nameplates_and_each_is_found() {
    let offers = [an_offer(Carrier::Udp), an_offer(Carrier::Tcp)];
    let nameplate = a_nameplate();
    let [mut first, mut second] = offers.map(|offer| inviting(nameplate, offer));
    let end = first.now() + PATIENCE;
    while first.now() < end && (first.machine().nameplate().is_none() || second.machine().nameplate().is_none()) {
        turn(&mut first);
        turn(&mut second);
    }
    let held = [&first, &second].map(|inviter| inviter.machine().nameplate().expect("a nameplate in time"));
    assert_ne!(held[0], held[1]);
    let [mut of_first, mut of_second] = held.map(seeking);
    check(find(&mut of_first, &mut first, offers[0]), offers[0]);
    check(find(&mut of_second, &mut second, offers[1]), offers[1]);
}

#[test]
fn an_invite_is_not_found_under_another_nameplate() {
    let offer = an_offer(Carrier::Udp);
    let mut inviter = inviting(a_nameplate(), offer);
    let held = hold(&mut inviter).number();
    let other = Nameplate::new((held + 1) % NAMEPLATES).unwrap();
    let mut joiner = seeking(other);
    // Beacons that a stalled machine missed are not made up for: counted, not timed.
    let end = joiner.now() + PATIENCE;
    while joiner.machine().counters().sent_to_everyone < 3 {
        assert!(joiner.now() < end, "no beacons: {:?}", joiner.report());
        turn(&mut joiner);
        turn(&mut inviter);
    }
    turn(&mut joiner);
    assert!(joiner.machine().found().iter().all(|candidate| candidate.invite != offer.invite));
}

/// A program that asks for a nameplate, so many hops away.
fn ask_from_afar(hops: u32, nameplate: Nameplate, seek: SeekId) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_ttl(255 - hops).unwrap();
    socket.set_nonblocking(true).unwrap();
    let to = (Ipv4Addr::new(127, 255, 255, 255), DISCOVERY_PORT);
    socket.send_to(&Beacon { nameplate, say: Say::Seek(seek) }.encode(), to).unwrap();
    socket
}

#[test]
fn what_a_router_passed_on_is_counted_and_not_answered() {
    let offer = an_offer(Carrier::Udp);
    let mut inviter = inviting(a_nameplate(), offer);
    let nameplate = hold(&mut inviter);
    let far = ask_from_afar(1, nameplate, SeekId([1; 8]));
    let near = ask_from_afar(0, nameplate, SeekId([2; 8]));
    let mut buffer = [0; BEACON_LEN];
    let end = inviter.now() + PATIENCE;
    while near.recv(&mut buffer).is_err() {
        assert!(inviter.now() < end, "no answer");
        turn(&mut inviter);
    }
    assert_eq!(Beacon::decode(&buffer).unwrap().say, Say::Offer(offer, Some(SeekId([2; 8]))));
    assert!(far.recv(&mut buffer).is_err());
    assert!(inviter.report().off_link > 0);
}

#[test]
fn an_interface_that_does_not_exist_is_refused_by_name() {
    let options = DiscoveryOptions { interface: Some("nowhere7".to_owned()) };
    let error = Discovery::seeking(options, a_nameplate()).unwrap_err();
    assert_eq!(error.to_string(), "there is no interface nowhere7");
}

#[test]
fn a_waker_ends_the_wait_of_now_and_the_one_to_come() {
    let mut joiner = seeking(a_nameplate());
    let waker = joiner.waker();
    let end = joiner.now() + PATIENCE;
    waker.wake_by_ref();
    // What other runs offer under the same nameplate may be found meanwhile.
    let mut ended = |until| core::iter::repeat_with(|| joiner.poll(until)).find_map(Result::err);
    assert_eq!(ended(end), Some(PollError::Woken));
    let thread = clock::spawn("waker", Box::new(move || waker.wake())).unwrap();
    assert_eq!(ended(end), Some(PollError::Woken));
    thread.join().unwrap();
    assert_eq!(ended(Timestamp::ZERO), Some(PollError::TimedOut), "it is over");
}

#[test]
fn what_the_system_lists_has_the_loopback_interface_in_it() {
    let found = interfaces().unwrap();
    let lo = found.iter().find(|interface| interface.name == "lo").unwrap();
    assert!(lo.up && lo.loopback && lo.id != InterfaceId(0), "{lo:?}");
    assert!(lo.has("127.0.0.1".parse().unwrap()));
}
