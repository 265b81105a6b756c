//! Sealed endpoints: right and wrong secrets, losses, forgeries, replays, key updates.

use core::time::Duration;

use super::net::{Faults, Net, address};

use crate::message::{ArrivalBody, End, Select, State};
use crate::proto::handshake::Candidate;
use crate::proto::{Config, Dropped, Endpoint, InviteState, PathLimits, Security};
use crate::seal::Prs;
use crate::slots::ConnectionId;
use crate::wire::{Mode, Packet, RefuseCode, put_crc};

const INVITE: [u8; 8] = [7; 8];

fn code(words: &str) -> Config {
    Config { security: Security::code(INVITE, Prs::words(words)), ..Config::default() }
}

fn psk(id: u8, key: u8) -> Config {
    Config { security: Security::psk([id; 8], &[key; 32]), ..Config::default() }
}

fn connect(net: &mut Net) -> ConnectionId {
    net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap()
}

fn ended(net: &Net, id: ConnectionId) -> Option<End> {
    net.hosts[0].messages(id).unwrap().ended()
}

/// The other host with other words, as it is told.
fn guess(words: &str) -> (Net, ConnectionId) {
    let mut net = Net::new(1, [code(words), code("maple-otter")], Faults::default());
    let id = connect(&mut net);
    net.run_for(Duration::from_secs(6));
    (net, id)
}

#[test]
fn the_same_words_connect_after_three_round_trips_and_messages_flow() {
    let mut net = Net::new(1, [code("maple-otter"), code("maple-otter")], Faults::default());
    let start = net.now;
    let id = connect(&mut net);
    assert!(net.run(Duration::from_secs(1), |net| net.hosts[0].messages(id).unwrap().state() == State::Open));
    assert_eq!(net.now.saturating_since(start), Duration::from_micros(300));
    let accepted = net.hosts[1].incoming().expect("before that");
    let same = |host: usize, id| net.hosts[host].exports(id).map(|exports| *exports.device.expose());
    assert_eq!(same(0, id), same(1, accepted));
    assert_eq!(net.hosts[1].invite(), Some(InviteState::Used));
    net.hosts[0].messages_mut(id).unwrap().send(0, 0, vec![5; 300_000].into()).unwrap();
    net.log.clear();
    net.run_for(Duration::from_millis(100));
    let arrival = net.hosts[1].messages_mut(accepted).unwrap().recv(Select::Any).unwrap().expect("a message");
    assert!(matches!(arrival.body, ArrivalBody::Whole(body) if body == vec![5; 300_000]));
    assert!(net.log.len() > 200);
    for datagram in &net.log {
        assert!(matches!(Packet::decode(&datagram.bytes), Ok((Mode::Code, Packet::Sealed(..)))));
        assert!(!datagram.bytes.windows(16).any(|window| window == [5; 16]), "plaintext");
    }
}

#[test]
fn sealed_handshakes_succeed_under_any_loss_and_duplication() {
    for seed in 0..60 {
        let faults =
            Faults { loss_percent: 30, duplicate_percent: 30, jitter: Duration::from_millis(1), ..Faults::default() };
        for config in [code("maple-otter"), psk(3, 4)] {
            let (mut net, ids) = Net::connected(seed, [config.clone(), config], faults.clone());
            net.run_for(Duration::from_secs(2));
            for (host, id) in ids.into_iter().enumerate() {
                assert_eq!(net.messages(host, id).state(), State::Open, "seed {seed}");
                assert_eq!(net.hosts[host].len(), 1, "seed {seed}: one connection only");
            }
        }
    }
}

#[test]
fn wrong_words_burn_the_invite_tell_both_and_reveal_nothing_keyed() {
    let (mut net, id) = guess("maple-tiger");
    assert_eq!(ended(&net, id), Some(End::Refused(RefuseCode::WrongTag)));
    assert_eq!(net.hosts[1].invite(), Some(InviteState::Burnt));
    assert_eq!(net.hosts[1].counters().dropped(Dropped::WrongTag), 1);
    assert!(net.hosts[1].incoming().is_none());
    let keyed = |bytes: &[u8]| matches!(Packet::decode(bytes), Ok((_, Packet::ConfirmI(_) | Packet::Sealed(..))));
    assert!(!net.log.iter().any(|datagram| datagram.from == 1 && keyed(&datagram.bytes)));
    // Even the right words come too late.
    let right = Security::code([0; 8], Prs::words("maple-otter"));
    let path = PathLimits::unlimited(address(1));
    let candidate = Candidate { remote: address(1), path, invite: INVITE };
    let late = net.hosts[0].join(net.now, right, candidate).unwrap();
    net.run_for(Duration::from_secs(6));
    assert_eq!(ended(&net, late), Some(End::Refused(RefuseCode::InviteBurnt)));
}

#[test]
fn wrong_words_are_told_even_where_the_first_refusal_is_lost() {
    let mut net = Net::new(1, [code("maple-tiger"), code("maple-otter")], Faults::default());
    let mut lost = 0;
    net.rule = Some(Box::new(move |datagram| {
        let refusal = matches!(Packet::decode(&datagram.bytes), Ok((_, Packet::Refuse(_))));
        lost += u32::from(refusal);
        refusal && lost <= 2
    }));
    let id = connect(&mut net);
    net.run_for(Duration::from_secs(6));
    assert_eq!(ended(&net, id), Some(End::Refused(RefuseCode::WrongTag)));
}

#[test]
fn whoever_passes_a_handshake_on_and_changes_it_does_not_burn_the_invite_with_the_joiners_own_proof() {
    // The SHARE that arrives is another one than that which was sent: as if a byte of padding had been added.
    let mut net = Net::new(1, [code("maple-otter"), code("maple-otter")], Faults::default());
    let id = connect(&mut net);
    let is_share = |bytes: &[u8]| matches!(Packet::decode(bytes), Ok((_, Packet::Share(_))));
    net.rule = Some(Box::new(move |datagram| is_share(&datagram.bytes)));
    net.run_for(Duration::from_millis(1));
    let mut share = net.log.iter().find(|datagram| is_share(&datagram.bytes)).expect("a SHARE").bytes.clone();
    share.truncate(share.len() - 4);
    share.push(0);
    put_crc(&mut share, 0);
    net.hosts[0].handle_datagram(net.now, address(1), None, &mut share);
    net.run_for(Duration::from_secs(6));
    assert_eq!(ended(&net, id), Some(End::Unconfirmed));
    assert!(net.hosts[1].counters().dropped(Dropped::StaleHandshake) > 0);
    assert_eq!(net.hosts[1].invite(), Some(InviteState::Open));
    net.rule = None;
    let again = connect(&mut net);
    net.run_for(Duration::from_millis(10));
    assert_eq!(net.hosts[0].messages(again).unwrap().state(), State::Open, "the same code, typed again");
}

#[test]
fn a_second_guest_is_told_that_the_invite_is_used_and_the_first_stays() {
    let mut net = Net::new(1, [code("maple-otter"), code("maple-otter")], Faults::default());
    let first = connect(&mut net);
    net.run_for(Duration::from_millis(10));
    let second = connect(&mut net);
    net.run_for(Duration::from_secs(6));
    assert_eq!(ended(&net, second), Some(End::Refused(RefuseCode::InviteUsed)));
    assert_eq!(ended(&net, first), None);
}

/// The other host comes by an invite that ends so long after the beginning; SHARE reaches it `share_late`.
fn come_by_an_invite_that_ends(after: Duration, share_late: bool) -> (Net, Option<End>) {
    let mut inviter = code("maple-otter");
    let mut net = Net::new(1, [code("maple-otter"), inviter.clone()], Faults::default());
    inviter.security = inviter.security.until(net.now + after);
    net.hosts[1] = Endpoint::new(inviter, [2; 32]);
    let id = connect(&mut net);
    if share_late {
        net.rule = Some(Box::new(|datagram| matches!(Packet::decode(&datagram.bytes), Ok((_, Packet::Share(_))))));
        net.run_for(after);
        net.rule = None;
    }
    net.run_for(Duration::from_secs(6));
    let end = ended(&net, id);
    (net, end)
}

#[test]
fn an_invite_ends_by_itself_whoever_waits_for_a_guest() {
    // HELLO arrives at 50 us, and CONFIRM_J at 250.
    let (net, end) = come_by_an_invite_that_ends(Duration::from_micros(251), false);
    assert_eq!((end, net.hosts[1].invite()), (None, Some(InviteState::Used)));
    let (mut net, end) = come_by_an_invite_that_ends(Duration::from_micros(50), false);
    assert_eq!(end, Some(End::Refused(RefuseCode::InviteUsed)));
    assert!(net.hosts[1].incoming().is_none());
    // Of a proof that comes too late its joiner believes nothing but that it got nobody in.
    for (after, late) in [(Duration::from_micros(250), false), (Duration::from_millis(300), true)] {
        let (mut net, end) = come_by_an_invite_that_ends(after, late);
        assert_eq!(end, Some(End::Unconfirmed), "{after:?}");
        assert!(net.hosts[1].incoming().is_none());
    }
}

#[test]
fn an_invite_that_is_not_there_gets_no_answer_at_all() {
    let mut net = Net::new(1, [code("maple-otter"), code("maple-otter")], Faults::default());
    let candidate = Candidate { remote: address(1), path: PathLimits::unlimited(address(1)), invite: [9; 8] };
    let id = net.hosts[0].join(net.now, Security::code([0; 8], Prs::words("maple-otter")), candidate).unwrap();
    net.run_for(Duration::from_secs(6));
    assert_eq!(ended(&net, id), Some(End::ConnectTimedOut));
    assert!(net.log.iter().all(|datagram| datagram.from == 0));
    assert!(net.hosts[1].counters().dropped(Dropped::UnknownInvite) > 0);
}

#[test]
fn a_wrong_key_is_refused_and_the_right_one_still_comes_in() {
    let mut net = Net::new(1, [psk(3, 5), psk(3, 4)], Faults::default());
    let wrong = connect(&mut net);
    net.run_for(Duration::from_secs(6));
    assert_eq!(ended(&net, wrong), Some(End::Refused(RefuseCode::WrongTag)));
    let path = PathLimits::unlimited(address(1));
    let candidate = Candidate { remote: address(1), path, invite: [3; 8] };
    let right = net.hosts[0].join(net.now, Security::psk([3; 8], &[4; 32]), candidate).unwrap();
    net.run_for(Duration::from_millis(10));
    assert_eq!(net.hosts[0].messages(right).unwrap().state(), State::Open);
}

#[test]
fn modes_never_meet() {
    for (ours, theirs) in [(Config::default(), code("a-b")), (psk(3, 4), Config::default()), (psk(7, 1), code("a-b"))] {
        let mut net = Net::new(1, [ours, theirs], Faults::default());
        let id = connect(&mut net);
        net.run_for(Duration::from_secs(6));
        assert_eq!(ended(&net, id), Some(End::ConnectTimedOut));
        assert!(net.hosts[1].counters().dropped(Dropped::Mode) > 0);
        assert!(net.log.iter().all(|datagram| datagram.from == 0));
    }
}

#[test]
fn whoever_answers_without_proof_costs_the_attempt_and_is_named() {
    let mut net = Net::new(1, [code("maple-otter"), code("maple-otter")], Faults::default());
    // CONFIRM_I never comes, as from a responder who cannot make it.
    net.rule = Some(Box::new(|datagram| matches!(Packet::decode(&datagram.bytes), Ok((_, Packet::ConfirmI(_))))));
    let id = connect(&mut net);
    net.run_for(Duration::from_secs(6));
    assert_eq!(ended(&net, id), Some(End::Unconfirmed));
    let confirms: Vec<Vec<u8>> = net
        .log
        .iter()
        .filter(|datagram| matches!(Packet::decode(&datagram.bytes), Ok((_, Packet::ConfirmJ(_)))))
        .map(|datagram| datagram.bytes.clone())
        .collect();
    assert!(confirms.len() > 3 && confirms.iter().all(|bytes| *bytes == confirms[0]), "the same one each time");
}

#[test]
fn of_several_candidates_the_one_that_answers_is_connected_to() {
    let mut net = Net::new(1, [code("maple-otter"), code("maple-otter")], Faults::default());
    net.strangers = true;
    let nobody = std::net::SocketAddr::from(([10, 0, 0, 77], 4_000));
    let candidate = |remote| Candidate { remote, path: PathLimits::unlimited(remote), invite: INVITE };
    let security = Security::code([0; 8], Prs::words("maple-otter"));
    let id = net.hosts[0].join(net.now, security, candidate(nobody)).unwrap();
    net.run_for(Duration::from_millis(1));
    assert!(net.hosts[0].add_candidate(net.now, id, candidate(address(1))));
    assert!(!net.hosts[0].add_candidate(net.now, id, candidate(address(1))), "known already");
    net.run_for(Duration::from_millis(10));
    assert_eq!(net.hosts[0].messages(id).unwrap().state(), State::Open);
    assert_eq!(net.hosts[0].remote(id), Some(address(1)));
}

#[test]
fn whoever_tries_wrong_keys_one_after_another_waits_and_then_the_right_one_comes_in() {
    let mut net = Net::new(1, [psk(3, 5), psk(3, 4)], Faults::default());
    // Three round trips, and after the first wrong key 125 ms, then 250: HELLO2 is repeated meanwhile.
    for (tried, least_ms) in [(1, 0), (2, 125), (3, 250)] {
        let began = net.now;
        let wrong = connect(&mut net);
        assert!(net.run(Duration::from_secs(3), |net| net.hosts[1].counters().dropped(Dropped::WrongTag) == tried));
        assert!(net.now.saturating_since(began) >= Duration::from_millis(least_ms), "{tried}");
        net.hosts[0].release(net.now, wrong);
    }
    assert!(net.hosts[1].counters().dropped(Dropped::BackedOff) > 0);
    let candidate = Candidate { remote: address(1), path: PathLimits::unlimited(address(1)), invite: [3; 8] };
    let right = net.hosts[0].join(net.now, Security::psk([3; 8], &[4; 32]), candidate).unwrap();
    assert!(net.run(Duration::from_secs(3), |net| net.hosts[0].messages(right).unwrap().state() == State::Open));
}
