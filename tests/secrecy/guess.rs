//! Somebody guesses the words of a code: both sides are told, the invite is burnt, and the guess has brought one bit.

use std::collections::BTreeSet;
use std::time::Duration;

use udpair::pairing::{Carrier, Words};
use udpair::transport::pairing::{InviteError, JoinError};
use udpair::wire::{Confirm, Mode, Packet, Record, Refuse, RefuseCode, Share};
use udpair::{Connection, Invite};

use crate::relay::{Relay, Seen, Side};
use crate::{CARRIERS, relay, session};

const STUCK: Duration = Duration::from_secs(60);

/// How much of a guess is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    Right,
    FirstWord,
    Nothing,
}

fn guessed(words: &Words, guess: Guess) -> String {
    let right = words.to_string();
    let (first, second) = right.split_once('-').expect("two words");
    let others = || (0..=255_u8).map(|n| Words::from_entropy([n; 4]).to_string());
    let other = others()
        .find(|other| other.split_once('-').is_some_and(|(one, two)| one != first && two != second))
        .expect("there are other words");
    match guess {
        Guess::Right => right.clone(),
        Guess::FirstWord => format!("{first}-{}", other.split_once('-').expect("two words").1),
        Guess::Nothing => other,
    }
}

/// What came of a guess, and what passed.
struct Outcome {
    joined: Result<Connection, JoinError>,
    accepted: Result<Connection, InviteError>,
    invite: Invite,
    relay: Relay,
}

/// A code of which so much is guessed, through a relay.
fn attempt(carrier: Carrier, guess: Guess) -> Outcome {
    let mut invite = session::pairing(carrier).invite_on(0).expect("an invite");
    let relay = relay(carrier, ([127, 0, 0, 1], invite.local_addr().port()).into());
    let code = format!("{}-{}", invite.code().nameplate, guessed(&invite.code().words, guess));
    let inviter = std::thread::spawn(move || {
        let accepted = invite.accept_timeout(STUCK);
        (accepted, invite)
    });
    let joined = session::pairing(carrier).join_at(relay.addr, &code);
    let (accepted, invite) = inviter.join().expect("it waits in peace");
    Outcome { joined, accepted, invite, relay }
}

/// The handshake packets of one side, each once however often it was sent.
fn packets(carrier: Carrier, seen: &Seen, of: Side) -> Vec<Vec<u8>> {
    let of_side = seen.iter().filter(|(side, _)| *side == of).map(|(_, bytes)| bytes);
    let mut packets = Vec::new();
    if carrier == Carrier::Udp {
        packets.extend(of_side.cloned());
    } else {
        let stream: Vec<u8> = of_side.flatten().copied().collect();
        let mut rest = &stream[..];
        while let Ok(Some(record)) = Record::decode(Mode::Code, rest) {
            packets.push(record.body.to_vec());
            rest = &rest[record.len..];
        }
    }
    // Frames of a connection that came about are not of interest.
    packets.retain(|packet| matches!(Packet::decode(packet), Ok((_, it)) if !matches!(it, Packet::Sealed(..))));
    let mut known = BTreeSet::new();
    packets.retain(|packet| known.insert(packet.clone()));
    packets
}

/// The first of each type: where the machine is busy, a question and its answer go more often, with other cookies.
fn first_of_each_type(mut packets: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut known = BTreeSet::new();
    packets.retain(|packet| known.insert(packet[1]));
    packets
}

/// What the inviter has said before anybody had proven anything.
fn before_proof(carrier: Carrier, seen: &Seen) -> Vec<Vec<u8>> {
    let mut said = first_of_each_type(packets(carrier, seen, Side::Listener));
    said.truncate(if carrier == Carrier::Udp { 2 } else { 1 });
    said
}

/// RETRY and SHARE have these fields, and beside them no bit. What of them depends on the words is the share alone.
fn assert_nothing_keyed(packet: &[u8], params: &mut Option<Vec<u8>>) {
    let (mode, decoded) = Packet::decode(packet).expect("a packet");
    let mut again = Vec::new();
    decoded.put_handshake(mode, &mut again);
    assert_eq!(again, packet, "nothing stands beside the fields");
    match decoded {
        Packet::Retry(_) => {}
        Packet::Share(Share { params: ours, .. }) => {
            assert_eq!(params.get_or_insert_with(|| ours.to_vec()), ours, "the same for everybody");
        }
        other => panic!("{other:?} before anything was proven"),
    }
}

#[test]
fn a_wrong_guess_is_told_to_both_and_brings_nothing_but_that_it_was_wrong() {
    for carrier in CARRIERS {
        let mut params = None;
        let mut lens = Vec::new();
        let mut refusals = Vec::new();
        for guess in [Guess::Right, Guess::FirstWord, Guess::Nothing] {
            let Outcome { joined, accepted, mut invite, relay } = attempt(carrier, guess);
            let seen = relay.seen();
            let said = before_proof(carrier, &seen);
            said.iter().for_each(|packet| assert_nothing_keyed(packet, &mut params));
            lens.push(said.iter().map(Vec::len).collect::<Vec<_>>());
            let proofs = packets(carrier, &seen, Side::Caller)
                .iter()
                .filter(|packet| matches!(Packet::decode(packet), Ok((_, Packet::ConfirmJ(Confirm { .. })))))
                .count();
            assert_eq!(proofs, 1, "one guess for one code");
            let last = packets(carrier, &seen, Side::Listener).pop().expect("an answer");
            if guess == Guess::Right {
                assert!(joined.is_ok() && accepted.is_ok());
                assert!(matches!(Packet::decode(&last), Ok((_, Packet::ConfirmI(_)))));
                continue;
            }
            assert!(matches!(joined, Err(JoinError::WrongWords)), "{:?}: {guess:?}", joined.err());
            assert!(matches!(accepted, Err(InviteError::Burnt)), "{:?}: {guess:?}", accepted.err());
            let Ok((_, Packet::Refuse(refuse))) = Packet::decode(&last) else { panic!("no REFUSE") };
            refusals.push(Refuse { client_random: [0; 16], ..refuse });
            // Whoever comes now, with whatever words, hears one thing.
            let address = ([127, 0, 0, 1], invite.local_addr().port()).into();
            for words in [guessed(&invite.code().words, Guess::Right), guessed(&invite.code().words, guess)] {
                let code = format!("{}-{words}", invite.code().nameplate);
                let error = session::pairing(carrier).join_at(address, &code).expect_err("it is burnt");
                assert!(matches!(error, JoinError::Burnt), "{error}");
            }
            assert!(matches!(invite.accept_timeout(Duration::from_millis(1)), Err(InviteError::Burnt)));
            // Another invite works at once, while the burnt one is still there.
            let again = attempt(carrier, Guess::Right);
            assert!(again.joined.is_ok() && again.accepted.is_ok(), "{guess:?}");
        }
        // However much of the guess was right.
        assert_eq!(lens[1..], [lens[0].clone(), lens[0].clone()], "as many bytes for each");
        let wrong = Refuse { client_random: [0; 16], code: RefuseCode::WrongTag, version: refusals[0].version };
        assert_eq!(refusals, [wrong, wrong]);
    }
}

#[test]
fn whoever_listens_cannot_tell_a_wrong_guess_by_what_the_guesser_sends() {
    for carrier in CARRIERS {
        let sent = [Guess::Right, Guess::Nothing].map(|guess| {
            let Outcome { relay, .. } = attempt(carrier, guess);
            let sent = first_of_each_type(packets(carrier, &relay.seen(), Side::Caller));
            sent.iter().map(|packet| (packet[1], packet.len())).collect::<Vec<_>>()
        });
        assert_eq!(sent[0], sent[1]);
    }
}
