//! Whoever changes, cuts, turns round or sends again what two sealed sides write into a stream. Nothing comes of it but
//! that stream's end.

use super::pair::{CALLER, LISTENER, Pair, Side, answer, answer_with, call_as, config, entropy, feed};
use crate::message::{End, Select, State};
use crate::proto::security::{Guard, InviteState, Security};
use crate::seal::Prs;
use crate::transport::tcp::counters::Lost;
use crate::transport::tcp::link::Link;
use crate::wire::{Mode, Packet, RECORD_HEADER_LEN, RECORD_OVERHEAD, Record, RecordKind, put_crc};

const CRC_LEN: usize = 4;

fn securities() -> [Security; 2] {
    [Security::code([7; 8], Prs::words("maple-otter")), Security::psk([3; 8], &[4; 32])]
}

fn pair(security: &Security) -> Pair {
    Pair::secured(config(), [security.clone(), security.clone()])
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// A session's steps, each of which writes a record: of the handshake first, then of frames.
const STEPS: [(usize, Option<&str>); 7] = [
    (CALLER, None),
    (LISTENER, None),
    (CALLER, None),
    (LISTENER, None),
    (CALLER, Some("first")),
    (LISTENER, Some("second, and longer")),
    (CALLER, Some("third")),
];
const CONFIRM_I: usize = 3;
const HANDSHAKE_END: usize = 4;

/// Handshakes with a code, which noise might burn; what follows is the same in both modes.
fn steps() -> impl Iterator<Item = (usize, Security)> {
    (0..STEPS.len()).map(|step| (step, securities()[usize::from(step >= HANDSHAKE_END)].clone()))
}

/// A pair before step `step`, and what that step writes.
fn before(security: &Security, step: usize) -> (Pair, usize, Vec<u8>) {
    let mut pair = pair(security);
    for (at, (from, says)) in STEPS.into_iter().enumerate() {
        if let Some(says) = says {
            pair.sides[from].send(says);
        }
        pair.sides[from].poll(pair.now);
        let (bytes, _) = pair.sides[from].take(usize::MAX);
        assert!(!bytes.is_empty(), "step {at} says something");
        if at == step {
            return (pair, from, bytes);
        }
        give(&mut pair, from, &bytes);
        if says.is_some() {
            assert!(pair.sides[1 - from].recv_whole().is_some(), "step {at}");
        }
    }
    panic!("there is no step {step}");
}

fn give(pair: &mut Pair, from: usize, bytes: &[u8]) {
    let to = &mut pair.sides[1 - from];
    feed(&mut to.link, pair.now, bytes);
    answer(&mut pair.guard, &mut to.link, pair.now);
}

/// What the receiver of `bytes`, which the sender did not write so, makes of the stream: it ends.
fn check_ends(security: &Security, step: usize, bytes: &[u8], what: &str) -> (Pair, Option<Lost>) {
    let (mut pair, from, _) = before(security, step);
    give(&mut pair, from, bytes);
    let side = &mut pair.sides[1 - from];
    assert!(!side.link.messages().readable(Select::Any) || side.link.messages().ended().is_some(), "{what}");
    let lost = side.link.take_lost();
    // A length made longer waits for what never comes; the end of the stream tells.
    side.link.handle_end_of_stream();
    let ended = side.link.messages().ended();
    let unproven = if step == CONFIRM_I { End::Unconfirmed } else { End::Broken };
    assert_eq!(ended, Some(unproven), "step {step}, {what}");
    assert!(side.link.is_gone());
    side.poll(pair.now);
    assert_eq!(side.out, [], "step {step}, {what}: nobody is told anything");
    (pair, lost)
}

#[test]
fn every_bit_of_every_record_ends_its_stream_when_it_flips() {
    for (step, security) in steps() {
        let (_, _, bytes) = before(&security, step);
        for bit in 0..bytes.len() * 8 {
            let (pair, lost) = check_ends(&security, step, &flipped(&bytes, bit), &format!("bit {bit}"));
            // Noise is no guess.
            assert_ne!(pair.guard.invite(), Some(InviteState::Burnt), "step {step}, bit {bit}");
            let expected: &[Option<Lost>] = match bit / 8 {
                _ if step < HANDSHAKE_END => &[None],
                // Of another version, mode or form; or a handshake record, whose checksum is wrong.
                0 | 1 => &[Some(Lost::Malformed)],
                2 | 3 => &[Some(Lost::Forged), None],
                _ => &[Some(Lost::Forged)],
            };
            assert!(expected.contains(&lost), "step {step}, bit {bit}: {lost:?}");
        }
    }
}

#[test]
fn a_stream_that_ends_inside_a_record_is_broken() {
    for (step, security) in steps() {
        let (_, _, bytes) = before(&security, step);
        for cut in 0..bytes.len() {
            let (pair, _) = check_ends(&security, step, &bytes[..cut], &format!("cut at {cut}"));
            assert_ne!(pair.guard.invite(), Some(InviteState::Burnt), "step {step}, cut at {cut}");
        }
    }
}

/// The record with its handshake packet changed, and both checksums made right.
fn changed(record: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let end = record.len() - (RECORD_OVERHEAD - RECORD_HEADER_LEN);
    let mut packet = record[RECORD_HEADER_LEN..end - CRC_LEN].to_vec();
    change(&mut packet);
    put_crc(&mut packet, 0);
    let mut out = Vec::new();
    crate::wire::start_record(&mut out, mode_of(record), RecordKind::Handshake);
    out.extend(packet);
    crate::wire::finish_record(&mut out, 0);
    out
}

fn mode_of(record: &[u8]) -> Mode {
    [Mode::Code, Mode::Psk]
        .into_iter()
        .find(|mode| matches!(Record::decode(*mode, record), Ok(Some(_))))
        .expect("a record of a sealed mode")
}

#[test]
fn a_bit_of_a_handshake_changed_on_purpose_establishes_nothing_that_differs() {
    let security = &securities()[0];
    for step in 0..HANDSHAKE_END {
        let (_, _, record) = before(security, step);
        let len = record.len() - RECORD_OVERHEAD - CRC_LEN;
        let tag = len - crate::wire::CONFIRM_LEN;
        for bit in 0..len * 8 {
            let (mut pair, from, _) = before(security, step);
            let bytes = changed(&record, |packet| packet[bit / 8] ^= 1 << (bit % 8));
            give(&mut pair, from, &bytes);
            // What follows goes through as it is.
            pair.run();
            let came = pair.sides.each_ref().map(|side| side.link.exports().is_some());
            assert_eq!(came, [false, step == CONFIRM_I], "step {step}, bit {bit}");
            assert!(pair.sides.iter().all(|side| side.link.messages().state() != State::Open));
            let guessed = step == 2 && bit / 8 >= tag;
            let invite = match (guessed, step) {
                (true, _) => InviteState::Burnt,
                (_, CONFIRM_I) => InviteState::Used,
                _ => InviteState::Open,
            };
            assert_eq!(pair.guard.invite(), Some(invite), "step {step}, bit {bit}");
        }
    }
}

#[test]
fn records_in_another_order_or_twice_or_with_one_left_out_end_the_stream() {
    for security in securities() {
        let orders: [&[usize]; 5] = [&[1], &[1, 0, 2], &[0, 0], &[0, 2], &[0, 1, 1]];
        for order in orders {
            let (mut pair, from, first) = before(&security, HANDSHAKE_END);
            let mut records = vec![first];
            for text in ["second", "third"] {
                pair.sides[from].send(text);
                pair.sides[from].poll(pair.now);
                records.push(pair.sides[from].take(usize::MAX).0);
            }
            for at in order {
                give(&mut pair, from, &records[*at]);
            }
            let link = &mut pair.sides[1 - from].link;
            assert_eq!(link.messages().ended(), Some(End::Broken), "{order:?}");
            assert_eq!(link.take_lost(), Some(Lost::Forged), "{order:?}");
        }
    }
}

#[test]
fn what_a_side_wrote_means_nothing_to_itself() {
    for security in securities() {
        for step in 0..STEPS.len() {
            let (mut pair, from, bytes) = before(&security, step);
            let side = &mut pair.sides[from];
            feed(&mut side.link, pair.now, &bytes);
            let end = if step == 2 { End::Unconfirmed } else { End::Broken };
            // The listener's own HELLO2 there is not: whoever listens, listens for them.
            assert_eq!(side.link.messages().ended(), Some(end), "step {step}");
            assert_ne!(pair.guard.invite(), Some(InviteState::Burnt));
        }
    }
}

#[test]
fn a_recorded_stream_means_nothing_to_another_with_the_same_secret() {
    for security in securities() {
        let mut pair = pair(&security);
        let mut streams = [Vec::new(), Vec::new()];
        for (from, says) in STEPS {
            if let Some(says) = says {
                pair.sides[from].send(says);
            }
            pair.sides[from].poll(pair.now);
            let (bytes, _) = pair.sides[from].take(usize::MAX);
            give(&mut pair, from, &bytes);
            streams[from].push(bytes);
        }
        // To a listener: HELLO2 is as good as any, but SHARE is another, and so is what the proof must be.
        let mut listener = Side::new(Link::listen(pair.now, config(), security.mode()));
        let mut guard = Guard::new(security.clone());
        for (at, bytes) in streams[CALLER].iter().enumerate() {
            feed(&mut listener.link, pair.now, bytes);
            answer_with(&mut guard, &mut listener.link, pair.now, &entropy(99));
            listener.poll(pair.now);
            assert_eq!(listener.link.is_gone(), at > 0, "record {at}");
        }
        assert_ne!(guard.invite(), Some(InviteState::Used), "nobody came in");
        assert_ne!(guard.invite(), Some(InviteState::Burnt), "and nobody guessed");
        let Ok(Some(share)) = Record::decode(security.mode(), &listener.out) else { panic!("a SHARE") };
        assert!(matches!(Packet::decode(share.body), Ok((_, Packet::Share(_)))));
        assert_eq!(listener.out.len(), share.len, "and nothing else");
        // To a caller: SHARE is for another call.
        let mut caller = Side::new(call_as(pair.now, config(), &security, [6; 16]));
        feed(&mut caller.link, pair.now, &streams[LISTENER].concat());
        assert_eq!(caller.link.messages().ended(), Some(End::Broken));
    }
}
