use super::*;

const SIZE: u64 = 1 << GENERATION_BITS;
const KEEP: Duration = Duration::from_secs(1);
const HEADER: [u8; 4] = *b"head";

fn pair() -> (Sealer, Opener) {
    let secret = Secret::new([7; 32]);
    (Sealer::new(Cipher::Aes256Gcm, &secret), Opener::new(Cipher::Aes256Gcm, &secret))
}

fn seal(sealer: &mut Sealer, number: u64) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    out.extend_from_slice(b"frames");
    sealer.seal(number, &mut out, 0, HEADER.len()).unwrap();
    out
}

fn open_at(opener: &mut Opener, ms: u64, number: u64, packet: &[u8]) -> Result<(), OpenError> {
    let now = Timestamp::from_nanos(ms * 1_000_000);
    let mut packet = packet.to_vec();
    opener.open(now, KEEP, number, &mut packet, HEADER.len()).map(|frames| assert_eq!(frames, b"frames"))
}

#[test]
fn the_number_says_generation_and_key_phase() {
    for (number, expected, phase) in
        [(0, 0, false), (SIZE - 1, 0, false), (SIZE, 1, true), (2 * SIZE - 1, 1, true), (2 * SIZE, 2, false)]
    {
        assert_eq!((generation(number), Generations::STANDARD.key_phase(number)), (expected, phase), "{number}");
    }
}

#[test]
fn packets_that_overtake_each_other_across_an_update_are_all_opened() {
    let (mut sealer, mut opener) = pair();
    for start in [SIZE, 2 * SIZE, 3 * SIZE] {
        let sealed: Vec<_> = (start - 3..start + 3).map(|number| (number, seal(&mut sealer, number))).collect();
        for at in [0, 3, 1, 5, 2, 4] {
            let (number, packet) = &sealed[at];
            assert_eq!(open_at(&mut opener, 0, *number, packet), Ok(()), "{number}");
        }
    }
}

#[test]
fn old_keys_are_kept_as_long_as_they_should_be() {
    let (mut sealer, mut opener) = pair();
    let old = [seal(&mut sealer, SIZE - 3), seal(&mut sealer, SIZE - 2), seal(&mut sealer, SIZE - 1)];
    let new = seal(&mut sealer, SIZE);
    assert_eq!(open_at(&mut opener, 5_000, SIZE - 3, &old[0]), Ok(()), "nothing is forgotten before an update");
    assert_eq!(open_at(&mut opener, 6_000, SIZE, &new), Ok(()));
    assert_eq!(open_at(&mut opener, 6_999, SIZE - 2, &old[1]), Ok(()));
    assert_eq!(open_at(&mut opener, 7_000, SIZE - 1, &old[2]), Err(OpenError::Forged));
    let newer = seal(&mut sealer, SIZE + 1);
    assert_eq!(open_at(&mut opener, 7_000, SIZE + 1, &newer), Ok(()));
}

#[test]
fn a_forgery_from_the_next_generation_updates_nothing() {
    let (mut sealer, mut opener) = pair();
    let packet = seal(&mut sealer, 5);
    for number in [SIZE, SIZE + 5, 2 * SIZE + 5, 500 * SIZE] {
        assert_eq!(open_at(&mut opener, 0, number, &packet), Err(OpenError::Forged));
    }
    assert_eq!((opener.newest, opener.forged()), (0, 4));
    assert_eq!(open_at(&mut opener, 60_000, 5, &packet), Ok(()));
}

#[test]
fn only_the_next_generation_is_waited_for() {
    let (mut sealer, mut opener) = pair();
    let last = seal(&mut sealer, 2 * SIZE - 1);
    let after = seal(&mut sealer, 2 * SIZE);
    assert_eq!(open_at(&mut opener, 0, 2 * SIZE, &after), Err(OpenError::Forged));
    assert_eq!(open_at(&mut opener, 0, 2 * SIZE - 1, &last), Ok(()));
    assert_eq!(open_at(&mut opener, 0, 2 * SIZE, &after), Ok(()));
}

#[test]
fn no_number_is_sealed_twice() {
    let (mut sealer, _) = pair();
    let mut out = HEADER.to_vec();
    for number in [0, 1, 7, SIZE, 3 * SIZE] {
        assert_eq!(sealer.seal(number, &mut out, 0, 4), Ok(()));
        for reused in [0, number] {
            let before = out.clone();
            assert_eq!(sealer.seal(reused, &mut out, 0, 4), Err(SealError::Reused { number: reused }));
            assert_eq!(out, before, "nothing was sealed");
        }
    }
    // No generation of so high a number is reached by counting; the limit stands before the keys.
    assert_eq!(sealer.seal(VARINT_MAX + 1, &mut out, 0, 4), Err(SealError::Exhausted));
}

#[test]
fn each_generation_has_another_key() {
    let (mut sealer, _) = pair();
    let mut seen = std::collections::BTreeSet::new();
    for generation in 0..20 {
        // The same low bits under each: what differs is the key, and the number in the nonce.
        assert!(seen.insert(seal(&mut sealer, generation * SIZE)));
        let key = derive::<32>(&sealer.next_secret, "key");
        assert!(seen.insert(key.expose().to_vec()), "a key comes again in generation {generation}");
    }
}

#[test]
fn too_many_forgeries_are_the_end() {
    let secret = Secret::new([7; 32]);
    for (cipher, max) in [(Cipher::Aes256Gcm, 1 << 52), (Cipher::ChaCha20Poly1305, 1 << 36)] {
        let (mut sealer, mut opener) = (Sealer::new(cipher, &secret), Opener::new(cipher, &secret));
        let sound = seal(&mut sealer, 0);
        opener.forged = max - 1;
        assert_eq!(open_at(&mut opener, 0, 0, &sound), Ok(()));
        assert_eq!(open_at(&mut opener, 0, 0, &HEADER), Err(OpenError::Forged));
        assert_eq!(open_at(&mut opener, 0, 0, &sound), Err(OpenError::TooManyForged));
    }
}
