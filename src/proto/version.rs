//! Handshake packets of versions that we do not speak: enough is understood to say so.
//!
//! What never changes between versions is where the version, the form, the type and `client_random` of HELLO and HELLO2
//! stand, their least length, the checksum, and all of REFUSE.

use crate::wire::{HELLO_LEN, Mode, Packet, RANDOM_LEN, Refuse, RefuseCode, VERSION, check_crc, put_crc};

const FORM_MASK: u8 = 0x03;
const FORM_HANDSHAKE: u8 = 0;
const HELLO: u8 = 1;
const HELLO2: u8 = 3;

/// Somebody would like to connect in another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownVersion {
    first: u8,
    client_random: [u8; RANDOM_LEN],
}

impl UnknownVersion {
    /// What in `datagram` holds for any version; `None` where it is no handshake packet that deserves an answer.
    #[must_use]
    pub fn decode(datagram: &[u8]) -> Option<Self> {
        if datagram.len() < HELLO_LEN {
            return None;
        }
        let body = check_crc(datagram).ok()?;
        let (&[first, kind], rest) = body.split_first_chunk()?;
        let (client_random, _) = rest.split_first_chunk()?;
        let asks = first & FORM_MASK == FORM_HANDSHAKE && (kind == HELLO || kind == HELLO2);
        asks.then_some(Self { first, client_random: *client_random })
    }

    /// Appends a REFUSE in the version of whoever asked, or it would not be understood.
    pub fn put_refuse(&self, out: &mut Vec<u8>) {
        let from = out.len();
        let refuse = Refuse { client_random: self.client_random, code: RefuseCode::Version, version: VERSION };
        Packet::Refuse(refuse).put_handshake(Mode::Plain, out);
        out[from] = self.first;
        out.truncate(out.len() - 4);
        put_crc(out, from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Hello;

    fn hello_of_version(version: u8) -> Vec<u8> {
        let hello = Hello { client_random: [7; 16], invite: [0; 8], params_hash: [0; 32] };
        let mut out = Vec::new();
        Packet::Hello(hello).put_handshake(Mode::Plain, &mut out);
        out[0] = version << 4;
        out.truncate(HELLO_LEN - 4);
        put_crc(&mut out, 0);
        out
    }

    #[test]
    fn a_hello_of_another_version_is_refused_in_that_version() {
        let unknown = UnknownVersion::decode(&hello_of_version(9)).unwrap();
        let mut out = Vec::new();
        unknown.put_refuse(&mut out);
        assert_eq!(out[0], 0x90);
        assert!(out.len() < HELLO_LEN);
        // Whoever speaks that version reads it as its own.
        out[0] = VERSION << 4;
        out.truncate(out.len() - 4);
        put_crc(&mut out, 0);
        let refuse = Refuse { client_random: [7; 16], code: RefuseCode::Version, version: VERSION };
        assert_eq!(Packet::decode(&out), Ok((Mode::Plain, Packet::Refuse(refuse))));
    }

    #[test]
    fn noise_short_packets_and_other_packets_get_no_answer() {
        let hello = hello_of_version(9);
        assert_eq!(UnknownVersion::decode(&hello[..HELLO_LEN - 1]), None);
        let mut flipped = hello.clone();
        flipped[100] ^= 1;
        assert_eq!(UnknownVersion::decode(&flipped), None);
        let mut retry = hello;
        retry[1] = 2;
        retry.truncate(HELLO_LEN - 4);
        put_crc(&mut retry, 0);
        assert_eq!(UnknownVersion::decode(&retry), None);
    }
}
