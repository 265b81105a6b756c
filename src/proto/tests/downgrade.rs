//! Whoever sits between two who shake hands, sealed, and changes what passes: by noise, which the checksum finds, or on
//! purpose, with a checksum made right. Two sides that are established agree in everything.

use core::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::net::{Change, Datagram, Faults, Net, address};
use crate::message::State;
use crate::proto::{Config, Dropped, InviteState, PathLimits, Security};
use crate::seal::Prs;
use crate::wire::{Mode, Packet, Params, put_crc};

const CRC_LEN: usize = 4;

fn security(mode: Mode) -> Security {
    match mode {
        Mode::Psk => Security::psk([3; 8], &[4; 32]),
        _ => Security::code([7; 8], Prs::words("maple-otter")),
    }
}

/// The types of handshake packets, as they stand in their second byte.
const HELLO: u8 = 1;
const RETRY: u8 = 2;
const HELLO2: u8 = 3;
const SHARE: u8 = 4;
const CONFIRM_J: u8 = 5;
const CONFIRM_I: u8 = 6;
const KINDS: [u8; 6] = [HELLO, RETRY, HELLO2, SHARE, CONFIRM_J, CONFIRM_I];

fn kind(bytes: &[u8]) -> Option<u8> {
    matches!(Packet::decode(bytes), Ok((_, packet)) if !matches!(packet, Packet::Sealed(..))).then(|| bytes[1])
}

/// Changes a packet but for its checksum, which is made right.
fn change(bytes: &mut Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) {
    bytes.truncate(bytes.len() - CRC_LEN);
    change(bytes);
    put_crc(bytes, 0);
}

/// What a handshake came to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// The joiner and the inviter are established.
    established: [bool; 2],
    invite: Option<InviteState>,
}

/// A handshake through `meddler`. Fails where both sides are established and differ in anything.
fn shake(mode: Mode, meddler: Option<Change>) -> (Net, Outcome) {
    // As few repetitions as may be: each is changed as the first was.
    let connect_timeout = Duration::from_millis(50);
    let config = Config { security: security(mode), connect_timeout, ..Config::default() };
    let mut net = Net::new(1, [config.clone(), config], Faults::default());
    net.change = meddler;
    let path = PathLimits::unlimited(address(1));
    let id = net.hosts[0].connect(net.now, address(1), path).unwrap();
    net.run_for(Duration::from_millis(60));
    let ours = net.hosts[0].exports(id).map(|exports| (*exports.device.expose(), *exports.exporter.expose()));
    let theirs = net.hosts[1].incoming().map(|accepted| {
        let exports = net.hosts[1].exports(accepted).expect("sealed");
        ((*exports.device.expose(), *exports.exporter.expose()), accepted)
    });
    let established = [ours.is_some(), theirs.is_some()];
    if let (Some(ours), Some((theirs, accepted))) = (ours, theirs) {
        assert_eq!(ours, theirs, "two sessions");
        // What each says is understood by the other.
        for (host, own, peer) in [(0, id, accepted), (1, accepted, id)] {
            assert_eq!(net.messages(host, own).state(), State::Open);
            net.messages(host, own).send(0, 0, vec![5; 10_000].into()).unwrap();
            net.run_for(Duration::from_millis(10));
            let got = net.messages(1 - host, peer).recv(crate::message::Select::Any).unwrap();
            assert!(got.is_some(), "what host {host} said");
        }
        let dropped = |host: usize, reason| net.hosts[host].counters().dropped(reason);
        assert_eq!([0, 1].map(|host| dropped(host, Dropped::Forged)), [0; 2], "two sessions");
    }
    let invite = net.hosts[1].invite();
    (net, Outcome { established, invite })
}

fn len_of(mode: Mode, of: u8) -> usize {
    let (net, outcome) = shake(mode, None);
    assert_eq!(outcome.established, [true; 2]);
    net.log.iter().find(|datagram| kind(&datagram.bytes) == Some(of)).expect("it was sent").bytes.len()
}

fn meddle(of: u8, mut with: impl FnMut(&mut Vec<u8>) + 'static) -> Option<Change> {
    Some(Box::new(move |datagram: &mut Datagram| {
        if kind(&datagram.bytes) == Some(of) {
            with(&mut datagram.bytes);
        }
    }))
}

#[test]
fn noise_in_a_handshake_burns_no_invite_and_establishes_nothing_that_differs() {
    for of in KINDS {
        for bit in 0..len_of(Mode::Code, of) * 8 {
            let flip = meddle(of, move |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            let (_, outcome) = shake(Mode::Code, flip);
            // The last packet comes when the inviter has its proof.
            let (established, invite) = match of {
                CONFIRM_I => ([false, true], InviteState::Used),
                _ => ([false, false], InviteState::Open),
            };
            assert_eq!(outcome, Outcome { established, invite: Some(invite) }, "packet {of}, bit {bit}");
        }
    }
}

#[test]
fn noise_in_one_copy_of_a_handshake_packet_does_not_prevent_it() {
    for mode in [Mode::Code, Mode::Psk] {
        for of in KINDS {
            for bit in (0..len_of(mode, of) * 8).step_by(97) {
                let mut first = true;
                let flip = meddle(of, move |bytes| {
                    if core::mem::take(&mut first) {
                        bytes[bit / 8] ^= 1 << (bit % 8);
                    }
                });
                assert_eq!(shake(mode, flip).1.established, [true; 2], "packet {of}, bit {bit}");
            }
        }
    }
}

#[test]
fn a_bit_changed_on_purpose_establishes_nothing_that_differs_and_burns_only_where_the_proof_is_wrong() {
    for of in KINDS {
        let len = len_of(Mode::Code, of) - CRC_LEN;
        let tag = len - crate::wire::CONFIRM_LEN;
        for bit in 0..len * 8 {
            let flip = meddle(of, move |bytes| change(bytes, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)));
            let (_, outcome) = shake(Mode::Code, flip);
            let padding = of == HELLO && bit / 8 >= 58;
            let established = match of {
                CONFIRM_I => [false, true],
                _ => [padding; 2],
            };
            let invite = match of {
                CONFIRM_J if bit / 8 >= tag => InviteState::Burnt,
                _ if established[1] => InviteState::Used,
                _ => InviteState::Open,
            };
            assert_eq!(outcome, Outcome { established, invite: Some(invite) }, "packet {of}, bit {bit}");
        }
    }
}

#[test]
fn a_handshake_packet_of_another_length_establishes_nothing_that_differs_and_burns_nothing() {
    for mode in [Mode::Code, Mode::Psk] {
        for of in KINDS {
            let len = len_of(mode, of) - CRC_LEN;
            for to in (0..len + 40).filter(|to| *to != len) {
                let cut = meddle(of, move |bytes| change(bytes, |bytes| bytes.resize(to, 0)));
                let (_, outcome) = shake(mode, cut);
                // Padding behind a packet is nothing to its receiver, unless the length is fixed or it is hashed.
                let ignored = to > len && matches!(of, RETRY | CONFIRM_J | CONFIRM_I);
                let established = if of == CONFIRM_I { [ignored, true] } else { [ignored; 2] };
                assert_eq!(outcome.established, established, "packet {of}, {to} bytes");
                assert_ne!(outcome.invite, Some(InviteState::Burnt), "packet {of}, {to} bytes");
            }
        }
    }
}

/// The parameters within a HELLO2 or a SHARE: where their length stands.
fn params_at(bytes: &[u8]) -> usize {
    let fields = if bytes[1] == HELLO2 { 18 + 8 + 1 + 40 + 8 } else { 18 + 8 + 8 };
    fields + crate::wire::KEY_SHARE_LEN
}

#[test]
fn other_parameters_are_agreed_on_by_nobody() {
    let wishes: [fn(&mut Params); 5] = [
        |params| params.prefers_chacha = true,
        |params| params.credit_connection = 1,
        |params| params.datagram_len_max = 1_200,
        |params| params.idle_timeout_ms = 1,
        |params| params.receive_buffer = 1,
    ];
    for mode in [Mode::Code, Mode::Psk] {
        for (of, wish) in [HELLO2, SHARE].into_iter().flat_map(|of| wishes.map(|wish| (of, wish))) {
            let downgrade = meddle(of, move |bytes| {
                let at = params_at(bytes);
                let len = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
                let mut params = Params::decode(&bytes[at + 2..at + 2 + len]).expect("parameters");
                wish(&mut params);
                let mut encoded = Vec::new();
                params.put(&mut encoded);
                change(bytes, |bytes| {
                    let padded = bytes.len();
                    bytes.truncate(at);
                    bytes.extend_from_slice(&u16::try_from(encoded.len()).unwrap().to_be_bytes());
                    bytes.extend_from_slice(&encoded);
                    bytes.resize(padded.max(bytes.len()), 0);
                });
                assert!(Packet::decode(bytes).is_ok(), "it is a packet still");
            });
            let (net, outcome) = shake(mode, downgrade);
            assert_eq!(outcome.established, [false; 2], "packet {of}");
            assert_ne!(outcome.invite, Some(InviteState::Burnt), "packet {of}");
            // The cookie was made for the joiner's parameters, so others do not even get an answer.
            let (host, reason) = match of {
                HELLO2 => (1, Dropped::BadCookie),
                _ => (1, Dropped::StaleHandshake),
            };
            assert!(net.hosts[host].counters().dropped(reason) > 0, "packet {of}");
        }
    }
}

#[test]
fn another_mode_or_version_is_agreed_on_by_nobody() {
    for mode in [Mode::Code, Mode::Psk] {
        for of in KINDS {
            for other in (0..=255_u8).filter(|first| first & 3 == 0 && *first != 0x10 | mode.code() << 2) {
                let downgrade = meddle(of, move |bytes| change(bytes, |bytes| bytes[0] = other));
                let (_, outcome) = shake(mode, downgrade);
                assert_eq!(outcome.established, [false, of == CONFIRM_I], "packet {of}, first byte {other:#x}");
                assert_ne!(outcome.invite, Some(InviteState::Burnt), "packet {of}, first byte {other:#x}");
            }
        }
    }
}

#[test]
fn whatever_is_changed_at_random_two_established_sides_agree() {
    let mut established = [0, 0];
    for seed in 0..if cfg!(debug_assertions) { 300 } else { 5_000 } {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let meddler: Change = Box::new(move |datagram| {
            if kind(&datagram.bytes).is_none() || rng.random_bool(0.6) {
                return;
            }
            change(&mut datagram.bytes, |bytes| {
                for _ in 0..rng.random_range(1..4) {
                    let at = rng.random_range(0..bytes.len());
                    bytes[at] = rng.random();
                }
            });
        });
        let mode = if seed % 2 == 0 { Mode::Code } else { Mode::Psk };
        let (_, outcome) = shake(mode, Some(meddler));
        assert!(!outcome.established[0] || outcome.established[1], "seed {seed}: the joiner alone");
        established[usize::from(outcome.established[0])] += 1;
    }
    assert!(established.iter().all(|count| *count > 10), "{established:?}");
}
