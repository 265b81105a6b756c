use pakery_cpace::{CpaceInitiator, CpaceMode, CpaceResponder};
use pakery_crypto::CpaceRistretto255;
use rand::rngs::ChaCha20Rng;
use rand::{Rng, SeedableRng};

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

// The vectors of the draft's appendix on ristretto255 and SHA-512.
const PRS: &[u8] = b"Password";
const CI: &[u8] = b"oc\x0bB_responder\x0bA_initiator";
const SID: &str = "7e4b4791d6a8ef019b936c79fb7f2c57";
const YA: &str = "da3d23700a9e5699258aef94dc060dfda5ebb61f02a5ea77fad53f4ff0976d08";
const YB: &str = "d2316b454718c35362d83d69df6320f38578ed5984651435e2949762d900b80d";
const SHARE_A: &str = "d40fb265a7abeaee7939d91a585fe59f7053f982c296ec413c624c669308f87a";
const SHARE_B: &str = "08bcf6e9777a9c313a3db6daa510f2d398403319c2341bd506a92e672eb7e307";

fn run(scalar: &str) -> Run {
    let scalar = Scalar::from_canonical_bytes(array(scalar)).unwrap();
    Run::with_scalar(PRS, CI, &hex(SID), scalar)
}

#[test]
fn lengths_go_before_parts_as_in_the_draft() {
    assert_eq!(lv_cat(&[b"1234", b"5", b"", b"678"]), hex("043132333401350003363738"));
    let bytes: Vec<u8> = (0..128).collect();
    assert_eq!(lv_cat(&[&bytes[..127]])[..2], hex("7f00"));
    assert_eq!(lv_cat(&[&bytes])[..4], hex("80010001"));
    assert_eq!(lv_cat(&[&[0; 300]])[..3], hex("ac0200"));
}

#[test]
fn the_generator_of_the_draft() {
    let string = generator_string(PRS, CI, &hex(SID));
    assert_eq!(string.len(), 172);
    assert_eq!(string[..27], *b"\x11CPaceRistretto255\x08Password");
    assert_eq!(string[27], 100, "zeros to the end of the hash's block");
    let expected = "a6fc82c3b8968fbb2e06fee81ca858586dea50d248f0c7ca6a18b0902a30b36b";
    assert_eq!(generator(PRS, CI, &hex(SID)).compress().to_bytes(), array(expected));
}

#[test]
fn shares_and_key_of_the_draft() {
    let (a, b) = (run(YA), run(YB));
    assert_eq!(*a.share(), array(SHARE_A));
    assert_eq!(*b.share(), array(SHARE_B));
    let isk = "4c5469a16b2364c4b944ebc1a79e51d1674ad47db26e8718154f59faebfaa52d
               8346f30aa58377117eb20d527f2cbc5c76381f7fd372e89df8239f87f2e02ed1";
    let of_a = a.finish(Role::Initiator, b"ADa", Bound { share: b.share(), data: b"ADb" }).unwrap();
    let of_b = b.finish(Role::Responder, b"ADb", Bound { share: a.share(), data: b"ADa" }).unwrap();
    assert_eq!(*of_a.expose(), array(isk));
    assert_eq!(*of_b.expose(), array(isk));
}

#[test]
fn what_is_no_share_is_refused_as_in_the_draft() {
    let scalar =
        Scalar::from_canonical_bytes(array("7cd0e075fa7955ba52c02759a6c90dbbfc10e6d40aea8d283e407d88cf538a05"));
    let run = Run::with_scalar(PRS, CI, &hex(SID), scalar.unwrap());
    let finish = |share: KeyShare| run.finish(Role::Initiator, b"", Bound { share: &share, data: b"" });
    let sound = "2c3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c";
    assert!(finish(array(sound)).is_some());
    assert!(finish(array(&sound.replacen("2c", "2b", 1))).is_none(), "does not decode");
    assert!(finish([0; 32]).is_none(), "the identity");
    assert!(finish([0xff; 32]).is_none(), "not canonical");
}

#[test]
fn another_implementation_agrees_in_both_roles() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    for round in 0_usize..40 {
        let mut bytes = |len: usize| {
            let mut bytes = vec![0; len];
            rng.fill_bytes(&mut bytes);
            bytes
        };
        // Secrets around the length of the hash's block, and data beyond what one byte of length says.
        let (prs, ci, sid) = (vec![b'a'; round * 5], bytes(round * 7), bytes(16));
        let (ad_a, ad_b) = (bytes(round * 9), bytes(300 - round));
        let entropy: [u8; 64] = bytes(64).try_into().unwrap();
        let scalar = Scalar::from_bytes_mod_order_wide(&entropy);
        let ours = Run::with_scalar(&prs, &ci, &sid, scalar);

        let (share, theirs) = CpaceInitiator::<CpaceRistretto255>::start(&prs, &ci, &sid, &ad_a, &mut rng).unwrap();
        let peer = Bound { share: &share.try_into().unwrap(), data: &ad_a };
        let isk = ours.finish(Role::Responder, &ad_b, peer).unwrap();
        let output = theirs.finish(ours.share(), &ad_b, CpaceMode::InitiatorResponder).unwrap();
        assert_eq!(output.isk.as_bytes(), isk.expose(), "round {round}, we respond");

        let mode = CpaceMode::InitiatorResponder;
        let (share, output) =
            CpaceResponder::<CpaceRistretto255>::respond(ours.share(), &prs, &ci, &sid, &ad_a, &ad_b, mode, &mut rng)
                .unwrap();
        let peer = Bound { share: &share.try_into().unwrap(), data: &ad_b };
        let isk = ours.finish(Role::Initiator, &ad_a, peer).unwrap();
        assert_eq!(output.isk.as_bytes(), isk.expose(), "round {round}, we initiate");
    }
}
