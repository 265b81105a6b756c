//! Packets: one in each UDP datagram. `spec/wire.md`, section "Packets".
//!
//! ```text
//!  0        1        2              10         14            n-4        n
//! +--------+--------+--------------+----------+-------------+----------+
//! | ver mo | flags  | connection   | number   | frames ...  | CRC32    |   data
//! |  4   2 |        |  id (64 bit) | low 32 b |             | (or tag) |
//! |  fo 2  +--------+--------------+----------+-------------+----------+
//! |        | type   | fields of HELLO, RETRY, HELLO2, SHARE..| CRC32    |   handshake
//! +--------+--------+----------------------------------------+----------+
//! ```
//!
//! The checksum covers everything before it and is checked before anything else is read, save the version.

use super::codec::{DecodeError, Reader};

/// The version of the protocol that this library speaks.
pub const VERSION: u8 = 1;
/// Bytes of client randomness in a handshake.
pub const RANDOM_LEN: usize = 16;
/// Bytes of a cookie: a timestamp and an HMAC-SHA256.
pub const COOKIE_LEN: usize = 40;
/// Every HELLO datagram, and the least that a HELLO2 may have: no answer to it is longer.
pub const HELLO_LEN: usize = 256;
/// What a plain data packet adds to its frames: header and checksum.
pub const DATA_OVERHEAD: usize = 14 + CRC_LEN;

const CRC_LEN: usize = 4;
const FORM_HANDSHAKE: u8 = 0;
const FORM_DATA: u8 = 1;
const HELLO: u8 = 1;
const RETRY: u8 = 2;
const HELLO2: u8 = 3;
const SHARE: u8 = 4;
const REFUSE: u8 = 7;
const FLAG_KEY_PHASE: u8 = 0x01;

/// How a connection is secured. Fixed on both sides by the API, never negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Neither encrypted nor authenticated: CRC32 only.
    Plain,
    /// Paired by a spoken code.
    Code,
    /// Paired by a shared key.
    Psk,
}

impl Mode {
    const fn code(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Code => 1,
            Self::Psk => 2,
        }
    }
}

/// A connection id: random, chosen by the side that receives packets bearing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionCid(pub u64);

/// A cookie: proof that its bearer receives at the address that it claims.
pub type Cookie = [u8; COOKIE_LEN];

/// Opens a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Names this attempt; every answer echoes it.
    pub client_random: [u8; RANDOM_LEN],
    /// Which invite or key is meant; zero in [`Mode::Plain`].
    pub invite: [u8; 8],
    /// SHA-256 of the parameters that HELLO2 will carry.
    pub params_hash: [u8; 32],
}

/// Answers HELLO without keeping any state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// From the HELLO.
    pub client_random: [u8; RANDOM_LEN],
    /// To be returned in HELLO2.
    pub cookie: Cookie,
}

/// Asks for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello2<'a> {
    /// As in HELLO.
    pub client_random: [u8; RANDOM_LEN],
    /// As in HELLO.
    pub invite: [u8; 8],
    /// From RETRY; absent where the transport has proved the address.
    pub cookie: Option<Cookie>,
    /// The id that packets to the client must bear.
    pub client_cid: ConnectionCid,
    /// Encoded [`super::Params`].
    pub params: &'a [u8],
}

/// Grants a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share<'a> {
    /// From the HELLO2.
    pub client_random: [u8; RANDOM_LEN],
    /// From the HELLO2.
    pub client_cid: ConnectionCid,
    /// The id that packets to the server must bear.
    pub server_cid: ConnectionCid,
    /// Encoded [`super::Params`].
    pub params: &'a [u8],
}

/// Why the library on the other side refuses a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefuseCode {
    /// It does not speak the version.
    Version,
    /// The invite has been used.
    InviteUsed,
    /// Somebody guessed wrong: the invite is dead.
    InviteBurnt,
    /// The confirmation did not match.
    WrongTag,
    /// No room for another connection now.
    Busy,
}

impl RefuseCode {
    const fn code(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::InviteUsed => 2,
            Self::InviteBurnt => 3,
            Self::WrongTag => 4,
            Self::Busy => 5,
        }
    }

    const fn from_code(code: u8) -> Result<Self, DecodeError> {
        Ok(match code {
            1 => Self::Version,
            2 => Self::InviteUsed,
            3 => Self::InviteBurnt,
            4 => Self::WrongTag,
            5 => Self::Busy,
            _ => return Err(DecodeError::Value("refuse code")),
        })
    }
}

/// A hint that a handshake will come to nothing. Unkeyed, so it decides nothing alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refuse {
    /// From the packet that it answers.
    pub client_random: [u8; RANDOM_LEN],
    /// The reason.
    pub code: RefuseCode,
    /// The highest version that the refusing side speaks.
    pub version: u8,
}

/// The clear header of a data packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataHeader {
    /// How the packet is protected.
    pub mode: Mode,
    /// Which generation of keys; false in [`Mode::Plain`].
    pub key_phase: bool,
    /// The receiver's id of the connection.
    pub cid: ConnectionCid,
    /// The low 32 bits of the packet number.
    pub number_low: u32,
}

impl DataHeader {
    /// The full packet number: the one nearest to `expected` that ends in the 32 bits sent.
    #[must_use]
    pub const fn number(&self, expected: u64) -> u64 {
        const WINDOW: u64 = 1 << 32;
        let candidate = (expected & !(WINDOW - 1)) | self.number_low as u64;
        if candidate + WINDOW / 2 <= expected {
            candidate + WINDOW
        } else if candidate > expected + WINDOW / 2 && candidate >= WINDOW {
            candidate - WINDOW
        } else {
            candidate
        }
    }
}

/// One packet, checked and taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Opens a handshake.
    Hello(Hello),
    /// Answers it with a cookie.
    Retry(Retry),
    /// Asks for a connection.
    Hello2(Hello2<'a>),
    /// Grants it.
    Share(Share<'a>),
    /// A hint that there will be none.
    Refuse(Refuse),
    /// A data packet and its frames.
    Data(DataHeader, &'a [u8]),
}

impl<'a> Packet<'a> {
    /// Checks a datagram and takes it apart. Sealed modes come back as [`DecodeError::Mode`] until they exist.
    pub fn decode(datagram: &'a [u8]) -> Result<(Mode, Self), DecodeError> {
        let first = *datagram.first().ok_or(DecodeError::Truncated)?;
        if first >> 4 != VERSION {
            return Err(DecodeError::Version(first >> 4));
        }
        let mode = match first >> 2 & 3 {
            0 => Mode::Plain,
            1 => Mode::Code,
            2 => Mode::Psk,
            _ => return Err(DecodeError::Mode),
        };
        let form = first & 3;
        if form == FORM_DATA && mode != Mode::Plain {
            return Err(DecodeError::Mode);
        }
        let mut input = Reader::new(check_crc(datagram)?);
        input.u8()?;
        let packet = match form {
            FORM_DATA => {
                let flags = input.u8()?;
                if flags != 0 {
                    return Err(DecodeError::Value("flags"));
                }
                let cid = ConnectionCid(input.u64()?);
                let number_low = input.u32()?;
                Self::Data(DataHeader { mode, key_phase: flags & FLAG_KEY_PHASE != 0, cid, number_low }, input.rest())
            }
            FORM_HANDSHAKE => Self::decode_handshake(&mut input, datagram.len())?,
            _ => return Err(DecodeError::Type(first)),
        };
        Ok((mode, packet))
    }

    fn decode_handshake(input: &mut Reader<'a>, datagram_len: usize) -> Result<Self, DecodeError> {
        let kind = input.u8()?;
        let client_random = input.array()?;
        Ok(match kind {
            HELLO if datagram_len != HELLO_LEN => return Err(DecodeError::Value("hello length")),
            HELLO => Self::Hello(Hello { client_random, invite: input.array()?, params_hash: input.array()? }),
            RETRY => Self::Retry(Retry { client_random, cookie: input.array()? }),
            HELLO2 if datagram_len < HELLO_LEN => return Err(DecodeError::Value("hello length")),
            HELLO2 => {
                let invite = input.array()?;
                let cookie = match input.u8()? {
                    0 => None,
                    1 => Some(input.array()?),
                    _ => return Err(DecodeError::Value("cookie")),
                };
                let client_cid = ConnectionCid(input.u64()?);
                let params_len = usize::from(input.u16()?);
                Self::Hello2(Hello2 { client_random, invite, cookie, client_cid, params: input.bytes(params_len)? })
            }
            SHARE => {
                let client_cid = ConnectionCid(input.u64()?);
                let server_cid = ConnectionCid(input.u64()?);
                let params_len = usize::from(input.u16()?);
                Self::Share(Share { client_random, client_cid, server_cid, params: input.bytes(params_len)? })
            }
            REFUSE => {
                Self::Refuse(Refuse { client_random, code: RefuseCode::from_code(input.u8()?)?, version: input.u8()? })
            }
            _ => return Err(DecodeError::Type(kind)),
        })
    }

    /// Appends a handshake packet, padded and with its checksum.
    ///
    /// # Panics
    /// On `Data`, which is written in steps: [`start_data`], frames, [`put_crc`].
    pub fn put_handshake(&self, mode: Mode, out: &mut Vec<u8>) {
        let from = out.len();
        let first = VERSION << 4 | mode.code() << 2 | FORM_HANDSHAKE;
        let mut start = |kind, random: &[u8; RANDOM_LEN]| {
            out.extend_from_slice(&[first, kind]);
            out.extend_from_slice(random);
        };
        let mut least = 0;
        match self {
            Self::Hello(hello) => {
                start(HELLO, &hello.client_random);
                out.extend_from_slice(&hello.invite);
                out.extend_from_slice(&hello.params_hash);
                least = HELLO_LEN;
            }
            Self::Retry(retry) => {
                start(RETRY, &retry.client_random);
                out.extend_from_slice(&retry.cookie);
            }
            Self::Hello2(hello) => {
                start(HELLO2, &hello.client_random);
                out.extend_from_slice(&hello.invite);
                match &hello.cookie {
                    None => out.push(0),
                    Some(cookie) => {
                        out.push(1);
                        out.extend_from_slice(cookie);
                    }
                }
                out.extend_from_slice(&hello.client_cid.0.to_be_bytes());
                put_params(out, hello.params);
                least = HELLO_LEN;
            }
            Self::Share(share) => {
                start(SHARE, &share.client_random);
                out.extend_from_slice(&share.client_cid.0.to_be_bytes());
                out.extend_from_slice(&share.server_cid.0.to_be_bytes());
                put_params(out, share.params);
            }
            Self::Refuse(refuse) => {
                start(REFUSE, &refuse.client_random);
                out.extend_from_slice(&[refuse.code.code(), refuse.version]);
            }
            Self::Data(..) => unreachable!("written in steps"),
        }
        let padded = (from + least).saturating_sub(CRC_LEN);
        if out.len() < padded {
            out.resize(padded, 0);
        }
        put_crc(out, from);
    }
}

fn put_params(out: &mut Vec<u8>, params: &[u8]) {
    let len = u16::try_from(params.len()).expect("our own parameters take a few dozen bytes");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(params);
}

/// Appends the header of a data packet. Frames follow, then [`put_crc`] from where the header began.
pub fn start_data(out: &mut Vec<u8>, header: &DataHeader) {
    out.push(VERSION << 4 | header.mode.code() << 2 | FORM_DATA);
    out.push(if header.key_phase { FLAG_KEY_PHASE } else { 0 });
    out.extend_from_slice(&header.cid.0.to_be_bytes());
    out.extend_from_slice(&header.number_low.to_be_bytes());
}

/// Appends the CRC32 (ISO-HDLC) of everything from index `from` on.
pub fn put_crc(out: &mut Vec<u8>, from: usize) {
    let crc = crc32fast::hash(&out[from..]);
    out.extend_from_slice(&crc.to_be_bytes());
}

/// What stands before the checksum, if that is right.
pub fn check_crc(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let (body, crc) = bytes.split_last_chunk::<CRC_LEN>().ok_or(DecodeError::Truncated)?;
    if crc32fast::hash(body) == u32::from_be_bytes(*crc) { Ok(body) } else { Err(DecodeError::Checksum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(packet: Packet<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        packet.put_handshake(Mode::Plain, &mut bytes);
        assert_eq!(Packet::decode(&bytes), Ok((Mode::Plain, packet)));
        for cut in 0..bytes.len() {
            assert!(Packet::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Packet::decode(&flipped).is_err(), "bit {bit}");
        }
        bytes
    }

    #[test]
    fn handshake_packets_return_as_they_went_and_no_bit_may_flip() {
        let client_random = [7; RANDOM_LEN];
        let params = [1, 2, 3];
        let hello = Hello { client_random, invite: [1; 8], params_hash: [2; 32] };
        assert_eq!(round_trip(Packet::Hello(hello)).len(), HELLO_LEN);
        round_trip(Packet::Retry(Retry { client_random, cookie: [9; COOKIE_LEN] }));
        let client_cid = ConnectionCid(5);
        for cookie in [None, Some([4; COOKIE_LEN])] {
            let hello2 = Hello2 { client_random, invite: [0; 8], cookie, client_cid, params: &params };
            assert_eq!(round_trip(Packet::Hello2(hello2)).len(), HELLO_LEN);
        }
        round_trip(Packet::Share(Share { client_random, client_cid, server_cid: ConnectionCid(6), params: &params }));
        round_trip(Packet::Refuse(Refuse { client_random, code: RefuseCode::Busy, version: VERSION }));
    }

    #[test]
    fn a_data_packet_returns_as_it_went() {
        let header = DataHeader { mode: Mode::Plain, key_phase: false, cid: ConnectionCid(77), number_low: 3 };
        let mut bytes = vec![0xee]; // as inside a batch: the packet does not begin at 0
        start_data(&mut bytes, &header);
        bytes.extend_from_slice(b"frames");
        put_crc(&mut bytes, 1);
        assert_eq!(bytes.len(), 1 + DATA_OVERHEAD + 6);
        assert_eq!(Packet::decode(&bytes[1..]), Ok((Mode::Plain, Packet::Data(header, b"frames"))));
    }

    #[test]
    fn another_version_is_told_apart_before_the_checksum() {
        assert_eq!(Packet::decode(&[0x20, 1, 2]), Err(DecodeError::Version(2)));
    }

    #[test]
    fn packet_numbers_return_from_their_low_bits() {
        let header = |number: u64| DataHeader {
            mode: Mode::Plain,
            key_phase: false,
            cid: ConnectionCid(0),
            number_low: u32::try_from(number & 0xffff_ffff).unwrap(),
        };
        for expected in [0, 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 5, 7 << 32] {
            for distance in [0, 1, 1000, (1 << 31) - 1] {
                assert_eq!(header(expected + distance).number(expected), expected + distance);
                if expected >= distance {
                    assert_eq!(header(expected - distance).number(expected), expected - distance);
                }
            }
        }
    }
}
