//! Who is established, and who is not.

use super::{INVITER_CID, inviter, joiner, offer};
use crate::seal::{Confirmed, HandshakeError, Inviter, Joiner, Prs, Session};
use crate::wire::{Confirm, HELLO_LEN, Hello2, Mode, Packet, Params, Share, put_crc};

/// The packet with its checksum made right.
fn repaired(mut packet: Vec<u8>) -> Vec<u8> {
    packet.truncate(packet.len() - 4);
    put_crc(&mut packet, 0);
    packet
}

/// Runs a handshake in which `change` may do something to each packet; 0 is HELLO2. Gives what each side came to.
fn run(
    [of_joiner, of_inviter]: [&str; 2],
    change: impl Fn(usize, &[u8]) -> Vec<u8>,
) -> (Result<Session, HandshakeError>, Result<Session, HandshakeError>) {
    let mut joiner = joiner(Mode::Code, of_joiner);
    let mut inviter = match inviter(Mode::Code, of_inviter, &change(0, joiner.hello2())) {
        Ok(inviter) => inviter,
        Err(error) => return (Err(HandshakeError::Stale), Err(error)),
    };
    if let Err(error) = joiner.on_share(&change(1, inviter.share())) {
        return (Err(error), Err(HandshakeError::Stale));
    }
    let theirs = match inviter.on_confirm(&change(2, joiner.confirm().unwrap())) {
        Ok(Confirmed::Established(session)) => *session,
        Ok(Confirmed::Again) => panic!("it is the first"),
        Err(error) => return (Err(HandshakeError::Stale), Err(error)),
    };
    (joiner.on_confirm(&change(3, inviter.confirm().unwrap())), Ok(theirs))
}

fn unchanged(_: usize, packet: &[u8]) -> Vec<u8> {
    packet.to_vec()
}

#[test]
fn who_knows_the_words_is_established_with_the_same_keys() {
    let (ours, theirs) = run(["maple-otter"; 2], unchanged);
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(ours.exporter.expose(), theirs.exporter.expose());
    assert_eq!(ours.device.expose(), theirs.device.expose());
    assert_ne!(ours.exporter.expose(), ours.device.expose());
}

#[test]
fn answers_are_not_longer_than_what_they_answer() {
    let mut joiner = joiner(Mode::Psk, "");
    let mut inviter = inviter(Mode::Psk, "", joiner.hello2()).unwrap();
    assert_eq!(joiner.hello2().len(), HELLO_LEN);
    assert!(inviter.share().len() <= HELLO_LEN);
    joiner.on_share(inviter.share()).unwrap();
    inviter.on_confirm(joiner.confirm().unwrap()).unwrap();
    assert_eq!(inviter.confirm().unwrap().len(), joiner.confirm().unwrap().len());
}

#[test]
fn wrong_words_give_other_tags_on_both_sides() {
    let (_, theirs) = run(["maple-otter", "maple-ocean"], unchanged);
    assert_eq!(theirs.unwrap_err(), HandshakeError::WrongTag);

    // An inviter that guesses wrong and confirms all the same: another one's keys.
    let mut joiner = joiner(Mode::Code, "maple-otter");
    let share = inviter(Mode::Code, "maple-ocean", joiner.hello2()).unwrap().share().to_vec();
    joiner.on_share(&share).unwrap();
    let mut other = super::joiner(Mode::Code, "maple-ocean");
    let mut guess = inviter(Mode::Code, "maple-ocean", other.hello2()).unwrap();
    other.on_share(guess.share()).unwrap();
    guess.on_confirm(other.confirm().unwrap()).unwrap();
    assert_ne!(joiner.confirm(), other.confirm());
    assert_eq!(joiner.on_confirm(guess.confirm().unwrap()).unwrap_err(), HandshakeError::WrongTag);
}

#[test]
fn one_wrong_tag_ends_an_inviters_run() {
    let mut joiner = joiner(Mode::Code, "maple-otter");
    let mut inviter = inviter(Mode::Code, "maple-otter", joiner.hello2()).unwrap();
    joiner.on_share(inviter.share()).unwrap();
    let right = joiner.confirm().unwrap().to_vec();
    let mut wrong = right.clone();
    wrong[20] ^= 1;
    assert_eq!(inviter.on_confirm(&repaired(wrong)).unwrap_err(), HandshakeError::WrongTag);
    assert_eq!(inviter.on_confirm(&right).unwrap_err(), HandshakeError::Stale);
    assert!(inviter.confirm().is_none());
}

#[test]
fn nobody_is_established_twice_and_a_lost_confirmation_goes_again() {
    let mut joiner = joiner(Mode::Code, "maple-otter");
    let mut inviter = inviter(Mode::Code, "maple-otter", joiner.hello2()).unwrap();
    assert!(joiner.confirm().is_none() && inviter.confirm().is_none(), "nothing keyed before it is due");
    joiner.on_share(inviter.share()).unwrap();
    assert_eq!(joiner.on_share(inviter.share()).unwrap_err(), HandshakeError::Stale);
    let confirm_j = joiner.confirm().unwrap().to_vec();
    inviter.on_confirm(&confirm_j).unwrap();
    let confirm_i = inviter.confirm().unwrap().to_vec();
    assert!(matches!(inviter.on_confirm(&confirm_j), Ok(Confirmed::Again)));
    assert_eq!(inviter.confirm(), Some(confirm_i.as_slice()));
    joiner.on_confirm(&confirm_i).unwrap();
    assert_eq!(joiner.on_confirm(&confirm_i).unwrap_err(), HandshakeError::Stale);
}

#[test]
fn no_bit_of_any_packet_may_flip() {
    let lens = core::cell::RefCell::new(Vec::new());
    let seen = run(["maple-otter"; 2], |_, packet| {
        lens.borrow_mut().push(packet.len());
        packet.to_vec()
    });
    assert!(seen.0.is_ok() && seen.1.is_ok());
    for (packet, len) in lens.into_inner().into_iter().enumerate() {
        let bits = len * 8;
        for bit in 0..bits {
            for repair in [false, true] {
                let flip = |at: usize, bytes: &[u8]| {
                    let mut bytes = bytes.to_vec();
                    if at == packet {
                        assert_eq!(bytes.len() * 8, bits);
                        bytes[bit / 8] ^= 1 << (bit % 8);
                        if repair && bit < bits - 32 {
                            bytes = repaired(bytes);
                        }
                    }
                    bytes
                };
                let (ours, theirs) = run(["maple-otter"; 2], flip);
                assert!(ours.is_err(), "packet {packet}, bit {bit}: the joiner is established");
                // Only the last packet comes when the inviter knows already, and says nothing that it does not know.
                assert!(theirs.is_err() || packet == 3, "packet {packet}, bit {bit}: the inviter is established");
            }
        }
    }
}

#[test]
fn ones_own_packets_come_back_in_vain() {
    let mut joiner = joiner(Mode::Code, "maple-otter");
    let Ok((_, Packet::Hello2(hello))) = Packet::decode(joiner.hello2()) else { panic!() };
    let Hello2 { client_random, client_cid, key_share, params, .. } = hello;
    let mut mirrored = Vec::new();
    let share = Share { client_random, client_cid, server_cid: INVITER_CID, key_share, params };
    Packet::Share(share).put_handshake(Mode::Code, &mut mirrored);
    assert_eq!(joiner.on_share(&mirrored).unwrap_err(), HandshakeError::KeyShare);
    let hello2 = joiner.hello2().to_vec();
    assert_eq!(joiner.on_share(&hello2).unwrap_err(), HandshakeError::Stale);

    let share = inviter(Mode::Code, "maple-otter", joiner.hello2()).unwrap().share().to_vec();
    joiner.on_share(&share).unwrap();
    let Ok((_, Packet::ConfirmJ(Confirm { client_random, tag }))) = Packet::decode(joiner.confirm().unwrap()) else {
        panic!()
    };
    let mut mirrored = Vec::new();
    Packet::ConfirmI(Confirm { client_random, tag }).put_handshake(Mode::Code, &mut mirrored);
    assert_eq!(joiner.on_confirm(&mirrored).unwrap_err(), HandshakeError::WrongTag);
}

#[test]
fn the_mode_cannot_be_changed_on_the_way() {
    let joiner = joiner(Mode::Code, "same");
    let mut as_psk = joiner.hello2().to_vec();
    as_psk[0] = 0x18;
    let as_psk = repaired(as_psk);
    assert_eq!(inviter(Mode::Code, "same", &as_psk).unwrap_err(), HandshakeError::Stale);
    // Even where both sides have the same secret, and somebody makes each believe in another mode.
    let share = inviter(Mode::Psk, "same", &as_psk).unwrap().share().to_vec();
    let mut as_code = share.clone();
    as_code[0] = 0x14;
    let mut joiner = super::joiner(Mode::Code, "same");
    assert_eq!(joiner.on_share(&share).unwrap_err(), HandshakeError::Stale);
    joiner.on_share(&repaired(as_code)).unwrap();
    let mut confirm = joiner.confirm().unwrap().to_vec();
    confirm[0] = 0x18;
    let mut psk = inviter(Mode::Psk, "same", &as_psk).unwrap();
    assert_eq!(psk.on_confirm(&repaired(confirm)).unwrap_err(), HandshakeError::WrongTag);
}

#[test]
fn the_cipher_cannot_be_chosen_on_the_way() {
    let params = Params { prefers_chacha: true, ..Params::default() };
    let prs = Prs::words("maple-otter");
    let mut joiner = Joiner::new(&offer(Mode::Code, &params), &prs, &[4; 64]);
    let Ok((_, Packet::Hello2(hello))) = Packet::decode(joiner.hello2()) else { panic!() };
    let mut without = Vec::new();
    Params::default().put(&mut without);
    let mut changed = Vec::new();
    Packet::Hello2(Hello2 { params: &without, ..hello }).put_handshake(Mode::Code, &mut changed);
    let mut inviter = Inviter::new(Mode::Code, &prs, &changed, INVITER_CID, &Params::default(), &[5; 64]).unwrap();
    joiner.on_share(inviter.share()).unwrap();
    assert_eq!(inviter.on_confirm(joiner.confirm().unwrap()).unwrap_err(), HandshakeError::WrongTag);
}

#[test]
fn another_attempts_answers_are_not_for_this_one() {
    let prs = Prs::words("maple-otter");
    let params = Params::default();
    let mut joiner = joiner(Mode::Code, "maple-otter");
    let other = Joiner::new(&super::Offer { client_random: [7; 16], ..offer(Mode::Code, &params) }, &prs, &[4; 64]);
    let share = inviter(Mode::Code, "maple-otter", other.hello2()).unwrap().share().to_vec();
    assert_eq!(joiner.on_share(&share).unwrap_err(), HandshakeError::Stale);
    // The same scalar, another cookie: another generator, so another share.
    let cookie = Joiner::new(&super::Offer { cookie: None, ..offer(Mode::Code, &params) }, &prs, &[4; 64]);
    let share_of = |joiner: &Joiner| match Packet::decode(joiner.hello2()) {
        Ok((_, Packet::Hello2(hello))) => hello.key_share,
        _ => None,
    };
    assert_ne!(share_of(&joiner), share_of(&cookie));
}

#[test]
fn secrets_are_not_printed() {
    let prs = Prs::words("maple-otter");
    let (ours, theirs) = run(["maple-otter"; 2], unchanged);
    let joiner = joiner(Mode::Code, "maple-otter");
    let text = format!("{prs:?} {joiner:?} {:?} {:?}", ours.unwrap(), theirs.unwrap());
    assert!(!text.contains("maple") && !text.contains("109, 97, 112"), "{text}");
    assert!(text.contains("Run(..)") && text.contains("Secret(..)") && text.contains("SealKey(..)"));
}
