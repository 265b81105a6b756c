//! The joining side of a handshake, alone.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::message::End;
use crate::proto::Security;
use crate::proto::handshake::{Candidate, Handshake};
use crate::proto::mtu::PathLimits;
use crate::seal::{Inviter, Prs};
use crate::time::Timestamp;
use crate::wire::{
    COOKIE_LEN, ConnectionCid, HELLO_LEN, Mode, Packet, Params, RANDOM_LEN, Refuse, RefuseCode, Retry, Share, VERSION,
};

const CID: ConnectionCid = ConnectionCid(9);
const RETRY: Retry = Retry { client_random: [0; RANDOM_LEN], cookie: [5; COOKIE_LEN] };
const BUSY: Refuse = Refuse { client_random: [0; RANDOM_LEN], code: RefuseCode::Busy, version: VERSION };

const fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

const fn remote(last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 4_000)
}

fn candidate(last: u8) -> Candidate {
    let path = PathLimits::unlimited(remote(last));
    Candidate { remote: remote(last), path, invite: [last; 8] }
}

fn plain(timeout: Duration) -> Handshake {
    Handshake::new(at(0), Security::plain(), candidate(1), CID, &Params::default(), timeout, [3; 32])
}

fn handshake() -> Handshake {
    plain(Duration::from_secs(5))
}

/// What is sent at `ms`: 'h' for HELLO, '2' for HELLO2.
fn sent(handshake: &mut Handshake, ms: u64) -> Option<char> {
    let mut out = Vec::new();
    handshake.poll(at(ms), &mut out).map(|_| match Packet::decode(&out) {
        Ok((Mode::Plain, Packet::Hello(hello))) => {
            assert_eq!(hello.client_random, handshake.random());
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

fn share(handshake: &Handshake) -> Share<'static> {
    Share {
        client_random: handshake.random(),
        client_cid: CID,
        server_cid: ConnectionCid(77),
        key_share: None,
        params: &[],
    }
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
    assert!(handshake.on_share(at(0), &[], &share(&handshake)).is_none(), "no cookie, no SHARE");
    /* 1 ms */
    assert!(handshake.on_retry(at(1), remote(1), &RETRY));
    assert_eq!(sent(&mut handshake, 1), Some('2'));
    assert!(!handshake.on_retry(at(1), remote(1), &RETRY), "one cookie is enough");
    /* 2 ms */
    let shared = handshake.on_share(at(2), &[], &share(&handshake)).unwrap();
    assert_eq!(shared.peer_cid, ConnectionCid(77));
    assert_eq!(shared.round_trip, Some(Duration::from_millis(1)));
}

#[test]
fn a_repeated_hello2_leaves_the_round_trip_in_doubt() {
    let mut handshake = handshake();
    sent(&mut handshake, 0);
    handshake.on_retry(at(1), remote(1), &RETRY);
    assert_eq!(times(&mut handshake, 21), [(1, '2'), (21, '2')]);
    assert_eq!(handshake.on_share(at(22), &[], &share(&handshake)).unwrap().round_trip, None);
}

#[test]
fn a_cookie_that_brings_nothing_five_times_is_given_up_for_a_new_one() {
    let mut handshake = handshake();
    sent(&mut handshake, 0);
    handshake.on_retry(at(1), remote(1), &RETRY);
    let kinds: String = times(&mut handshake, 700).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, "22222hhh", "the listener may have been restarted");
    assert!(handshake.on_retry(at(701), remote(1), &RETRY));
}

#[test]
fn shares_for_others_are_no_answer() {
    let mut handshake = handshake();
    sent(&mut handshake, 0);
    handshake.on_retry(at(1), remote(1), &RETRY);
    sent(&mut handshake, 1);
    let share = share(&handshake);
    assert!(handshake.on_share(at(2), &[], &share).is_some());
    assert!(handshake.on_share(at(2), &[], &Share { client_random: [0; 16], ..share }).is_none());
    assert!(handshake.on_share(at(2), &[], &Share { client_cid: ConnectionCid(8), ..share }).is_none());
    assert!(handshake.on_share(at(2), &[], &Share { params: &[0xff], ..share }).is_none());
}

#[test]
fn a_refusal_counts_after_half_a_second_and_repetitions_go_on() {
    let mut handshake = handshake();
    sent(&mut handshake, 0);
    handshake.on_retry(at(1), remote(1), &RETRY);
    sent(&mut handshake, 1);
    /*   2 ms */
    handshake.on_refuse(at(2), remote(1), &BUSY);
    /* 400 ms */
    handshake.on_refuse(at(400), remote(1), &BUSY); // does not put it off
    assert_eq!(times(&mut handshake, 200), [(21, '2'), (61, '2'), (141, '2')]);
    assert!(handshake.on_share(at(300), &[], &share(&handshake)).is_some(), "contradicted in time");
    assert_eq!(handshake.ended(at(501)), None);
    assert_eq!(handshake.ended(at(502)), Some(End::Refused(RefuseCode::Busy)));
}

#[test]
fn unreachable_counts_after_half_a_second_of_silence() {
    let mut silent = handshake();
    silent.on_unreachable(at(1), remote(1));
    assert_eq!(silent.ended(at(500)), None);
    assert_eq!(silent.ended(at(501)), Some(End::Unreachable));
    let mut answered = handshake();
    answered.on_unreachable(at(1), remote(1));
    answered.on_retry(at(2), remote(1), &RETRY);
    assert_eq!(answered.ended(at(501)), None);
}

#[test]
fn one_candidate_of_several_speaks_for_itself_alone() {
    let mut several = handshake();
    assert!(several.add_candidate(at(0), candidate(2)));
    several.on_unreachable(at(1), remote(1));
    several.on_refuse(at(1), remote(1), &BUSY);
    assert_eq!(several.ended(at(4_999)), None);
    assert!(several.on_retry(at(4_000), remote(2), &RETRY));
    several.on_unreachable(at(4_001), remote(2));
    assert_eq!(several.ended(at(4_501)), Some(End::Unreachable), "the choice is made");
}

#[test]
fn when_all_candidates_refuse_that_is_the_end_unless_one_more_is_found_or_one_answers_after_all() {
    let refused = || {
        let mut several = handshake();
        assert!(several.add_candidate(at(0), candidate(2)));
        several.on_refuse(at(1), remote(1), &BUSY);
        several.on_refuse(at(2), remote(2), &BUSY);
        several
    };
    assert_eq!(refused().ended(at(502)), Some(End::Refused(RefuseCode::Busy)));
    let mut more = refused();
    assert!(more.add_candidate(at(3), candidate(3)));
    assert_eq!(more.ended(at(4_999)), None);
    more.on_refuse(at(4_000), remote(3), &BUSY);
    assert_eq!(more.ended(at(4_500)), Some(End::Refused(RefuseCode::Busy)));
    assert!(refused().on_retry(at(3), remote(1), &RETRY), "the refusal was somebody else's");
}

/// A code is one guess for whoever has our proof: nothing that they say afterwards may look like a failure before.
#[test]
fn once_a_code_is_proven_no_other_end_is_believed_than_that_the_proof_is_wrong() {
    const WRONG: Refuse = Refuse { code: RefuseCode::WrongTag, ..BUSY };
    let proving = || {
        let security = Security::code([1; 8], Prs::words("maple-otter"));
        let mut handshake =
            Handshake::new(at(0), security, candidate(1), CID, &Params::default(), Duration::from_secs(5), [3; 32]);
        handshake.on_refuse(at(0), remote(1), &WRONG);
        assert_eq!(handshake.ended(at(501)), None, "nobody has a proof that could be wrong");
        assert!(handshake.on_retry(at(1), remote(1), &RETRY));
        let mut hello = Vec::new();
        handshake.poll(at(1), &mut hello);
        let Ok((mode, Packet::Hello2(asked))) = Packet::decode(&hello) else { panic!("HELLO2") };
        let ours = (ConnectionCid(7), &[][..]);
        let inviter = Inviter::answer(mode, &Prs::words("otter-maple"), (&hello, &asked), ours, &[9; 64]).unwrap();
        let Ok((_, Packet::Share(share))) = Packet::decode(inviter.share()) else { panic!("SHARE") };
        assert!(handshake.on_share(at(2), inviter.share(), &share).is_none());
        assert!(handshake.confirms(&share));
        handshake
    };
    let mut hurried = proving();
    hurried.hurry(at(3), Duration::from_secs(1));
    assert_eq!((hurried.ended(at(4_999)), hurried.ended(at(5_000))), (None, Some(End::Unconfirmed)), "no way back");
    let mut gone = proving();
    gone.on_unreachable(at(3), remote(1));
    assert_eq!(gone.ended(at(503)), Some(End::Unconfirmed));
    for code in [RefuseCode::Busy, RefuseCode::InviteUsed, RefuseCode::InviteBurnt, RefuseCode::Version] {
        let mut refused = proving();
        refused.on_refuse(at(3), remote(1), &Refuse { code, ..BUSY });
        assert_eq!(refused.ended(at(503)), Some(End::Unconfirmed), "{code:?}");
    }
    let mut wrong = proving();
    wrong.on_refuse(at(3), remote(1), &WRONG);
    assert_eq!(wrong.ended(at(503)), Some(End::Refused(RefuseCode::WrongTag)));
    assert_eq!(proving().ended(at(5_000)), Some(End::Unconfirmed));
}

#[test]
fn who_is_hurried_ends_soon_unless_an_answer_to_the_call_comes() {
    let mut silent = handshake();
    silent.hurry(at(100), Duration::from_secs(1));
    silent.hurry(at(900), Duration::from_secs(1)); // does not put it off
    assert_eq!(silent.deadline(), Some(at(0)));
    assert!(silent.on_retry(at(101), remote(1), &RETRY), "an address that answers may say no more");
    assert_eq!((silent.ended(at(1_099)), silent.ended(at(1_100))), (None, Some(End::ConnectTimedOut)));
}

#[test]
fn a_connect_timeout_below_the_patience_still_tells_the_reason() {
    let mut handshake = plain(Duration::from_millis(100));
    handshake.on_refuse(at(2), remote(1), &BUSY);
    assert_eq!(handshake.ended(at(99)), None);
    assert_eq!(handshake.ended(at(100)), Some(End::Refused(RefuseCode::Busy)));
}
