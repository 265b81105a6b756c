//! Keys and what is sealed with them, in both directions.

use core::time::Duration;
use std::collections::BTreeMap;

use udpair::seal::generation::{Opener, Sealer, generation};
use udpair::seal::keys::{Confirmation, SessionKeys, Transcript};
use udpair::seal::{Cipher, Secret};
use udpair::time::Timestamp;

use super::format::{bytes, load};

const CIPHERS: [(&str, Cipher); 2] =
    [("aes-256-gcm", Cipher::Aes256Gcm), ("chacha20-poly1305", Cipher::ChaCha20Poly1305)];

fn fields(line: &str) -> BTreeMap<&str, &str> {
    line.split(' ').filter_map(|field| field.split_once('=')).collect()
}

#[test]
fn keys() {
    let vectors = load("keys.txt");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let (session, keys) = (fields(&vector.is[0]), fields(&vector.is[1]));
        let without_crc = |name| {
            let packet = bytes(session[name]);
            packet[..packet.len() - 4].to_vec()
        };
        let transcript = Transcript::new(&without_crc("hello2"), &without_crc("share"));
        let isk: [u8; 64] = vector.bytes.try_into().expect("64 bytes");
        let found = SessionKeys::new(transcript, &Secret::new(isk));
        for (name, value) in [
            ("confirm_j_tag", found.tag(Confirmation::J)),
            ("confirm_i_tag", found.tag(Confirmation::I)),
            ("j2i", *found.j2i.expose()),
            ("i2j", *found.i2j.expose()),
            ("exporter", *found.exporter.expose()),
            ("device", *found.device.expose()),
        ] {
            assert_eq!(value.as_slice(), bytes(keys[name]), "{}: {name}", vector.name);
        }
    }
}

#[test]
fn sealed() {
    let vectors = load("sealed.txt");
    assert!(vectors.len() >= 12);
    for vector in vectors {
        let opened = fields(&vector.is[0]);
        let (_, cipher) = CIPHERS.into_iter().find(|(name, _)| *name == opened["cipher"]).expect("a cipher");
        let secret = Secret::new(bytes(opened["secret"]).try_into().expect("32 bytes"));
        let number: u64 = opened["number"].parse().expect("a number");
        let header_len: usize = opened["header"].parse().expect("a length");
        let frames = bytes(opened["frames"]);

        let mut out = vector.bytes[..header_len].to_vec();
        out.extend_from_slice(&frames);
        Sealer::new(cipher, &secret).seal(number, &mut out, 0, header_len).expect("the first");
        assert_eq!(out, vector.bytes, "{} sealed", vector.name);

        // A receiver that has seen nothing yet waits for the first two generations.
        let result = Opener::new(cipher, &secret).open(Timestamp::ZERO, Duration::ZERO, number, &mut out, header_len);
        let expected = (generation(number) <= 1).then_some(frames.as_slice());
        assert_eq!(result.ok(), expected, "{} opened", vector.name);
    }
}
