//! Packets: one in each UDP datagram. `spec/wire.md`, section "Packets".
//!
//! ```text
//!  0        1        2              10         14            n-4        n
//! +--------+--------+--------------+----------+-------------+----------+
//! | ver mo | flags  | connection   | number   | frames ...  | CRC32    |   data
//! |  4   2 |        |  id (64 bit) | low 32 b | (or sealed) | (or tag) |
//! |  fo 2  +--------+--------------+----------+-------------+----------+
//! |        | type   | fields of HELLO, RETRY, HELLO2, SHARE..| CRC32    |   handshake
//! +--------+--------+----------------------------------------+----------+
//! ```
//!
//! The checksum covers everything before it and is checked before anything else is read, save the version. Data packets
//! of sealed modes have a tag in its place, which this floor does not judge.

use core::fmt;

use super::codec::{DecodeError, Reader};

/// The version of the protocol that this library speaks.
pub const VERSION: u8 = 1;
/// Bytes of client randomness in a handshake.
pub const RANDOM_LEN: usize = 16;
/// Bytes of a cookie: a timestamp and an HMAC-SHA256.
pub const COOKIE_LEN: usize = 40;
/// Every HELLO datagram, and the least that a HELLO2 may have: no answer to it is longer.
pub const HELLO_LEN: usize = 256;
/// Bytes of a data packet's clear header; in sealed modes it is authenticated with what follows.
pub const DATA_HEADER_LEN: usize = 14;
/// What a plain data packet adds to its frames: header and checksum.
pub const DATA_OVERHEAD: usize = DATA_HEADER_LEN + CRC_LEN;
/// Bytes of a public share of the key agreement.
pub const KEY_SHARE_LEN: usize = 32;
/// Bytes that name a run in CONFIRM_J and CONFIRM_I.
pub const RUN_ID_LEN: usize = 16;
/// Bytes of the tag in CONFIRM_J and CONFIRM_I.
pub const CONFIRM_LEN: usize = 32;
/// Bytes of the tag at the end of what is sealed.
pub const SEAL_LEN: usize = 16;

pub(super) const CRC_LEN: usize = 4;
const FORM_HANDSHAKE: u8 = 0;
const FORM_DATA: u8 = 1;
const HELLO: u8 = 1;
const RETRY: u8 = 2;
const HELLO2: u8 = 3;
const SHARE: u8 = 4;
const CONFIRM_J: u8 = 5;
const CONFIRM_I: u8 = 6;
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
    /// The mode in a first byte.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Code => 1,
            Self::Psk => 2,
        }
    }

    /// True where packets are encrypted and authenticated.
    #[must_use]
    pub const fn is_sealed(self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// Bytes at the end of a data packet, or of a record of frames: a checksum or a tag.
    #[must_use]
    pub const fn trailer_len(self) -> usize {
        if self.is_sealed() { SEAL_LEN } else { CRC_LEN }
    }

    pub(super) const fn from_first(first: u8) -> Result<Self, DecodeError> {
        Ok(match first >> 2 & 3 {
            0 => Self::Plain,
            1 => Self::Code,
            2 => Self::Psk,
            _ => return Err(DecodeError::Mode),
        })
    }
}

/// A connection id: random, chosen by the side that receives packets bearing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionCid(pub u64);

/// A cookie: proof that its bearer receives at the address that it claims.
pub type Cookie = [u8; COOKIE_LEN];

/// A public share of the key agreement. Any bytes may stand there: whether they are one is for whoever uses them.
pub type KeyShare = [u8; KEY_SHARE_LEN];

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
    /// In sealed modes, and in no other.
    pub key_share: Option<KeyShare>,
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
    /// In sealed modes, and in no other.
    pub key_share: Option<KeyShare>,
    /// Encoded [`super::Params`].
    pub params: &'a [u8],
}

/// Proof that whoever sends it has the session's key. In sealed modes only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// As in HELLO2.
    pub client_random: [u8; RANDOM_LEN],
    /// Which HELLO2 and SHARE the sender has seen: a proof about others is not judged.
    pub run: [u8; RUN_ID_LEN],
    /// The proof.
    pub tag: [u8; CONFIRM_LEN],
}

/// Why the library on the other side refuses a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefuseCode {
    /// It does not speak the version.
    Version,
    /// The invite has been used, or its time is over.
    InviteUsed,
    /// Somebody guessed wrong: the invite is dead.
    InviteBurnt,
    /// The confirmation did not match.
    WrongTag,
    /// No room for another connection now.
    Busy,
}

impl fmt::Display for RefuseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "it does not speak our version of the protocol",
            Self::InviteUsed => "the invite has been used",
            Self::InviteBurnt => "somebody guessed wrong, and the invite is dead",
            Self::WrongTag => "it has another secret",
            Self::Busy => "it has no room for another connection now",
        })
    }
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
    /// The client has the key.
    ConfirmJ(Confirm),
    /// So has the server.
    ConfirmI(Confirm),
    /// A hint that there will be none.
    Refuse(Refuse),
    /// A data packet of [`Mode::Plain`] and its frames.
    Data(DataHeader, &'a [u8]),
    /// A data packet of a sealed mode, and what is sealed in it, the tag included. Nothing of it was judged yet, the
    /// header neither; the [`DATA_HEADER_LEN`] bytes before are to be authenticated with it.
    Sealed(DataHeader, &'a [u8]),
}

impl<'a> Packet<'a> {
    /// Checks a datagram and takes it apart; what is sealed stays sealed.
    pub fn decode(datagram: &'a [u8]) -> Result<(Mode, Self), DecodeError> {
        let first = *datagram.first().ok_or(DecodeError::Truncated)?;
        if first >> 4 != VERSION {
            return Err(DecodeError::Version(first >> 4));
        }
        let mode = Mode::from_first(first)?;
        let form = first & 3;
        let content = if form == FORM_DATA && mode.is_sealed() { datagram } else { check_crc(datagram)? };
        let mut input = Reader::new(content);
        input.u8()?;
        let packet = match form {
            FORM_DATA => Self::decode_data(&mut input, mode)?,
            FORM_HANDSHAKE => Self::decode_handshake(&mut input, mode, datagram.len())?,
            _ => return Err(DecodeError::Type(first)),
        };
        Ok((mode, packet))
    }

    fn decode_data(input: &mut Reader<'a>, mode: Mode) -> Result<Self, DecodeError> {
        let flags = input.u8()?;
        if flags & !(if mode.is_sealed() { FLAG_KEY_PHASE } else { 0 }) != 0 {
            return Err(DecodeError::Value("flags"));
        }
        let cid = ConnectionCid(input.u64()?);
        let number_low = input.u32()?;
        let header = DataHeader { mode, key_phase: flags & FLAG_KEY_PHASE != 0, cid, number_low };
        if !mode.is_sealed() {
            return Ok(Self::Data(header, input.rest()));
        }
        if input.rest().len() < SEAL_LEN {
            return Err(DecodeError::Truncated);
        }
        Ok(Self::Sealed(header, input.rest()))
    }

    fn decode_handshake(input: &mut Reader<'a>, mode: Mode, datagram_len: usize) -> Result<Self, DecodeError> {
        let kind = input.u8()?;
        let client_random = input.array()?;
        let key_share = |input: &mut Reader<'a>| mode.is_sealed().then(|| input.array()).transpose();
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
                let key_share = key_share(input)?;
                let params_len = usize::from(input.u16()?);
                let params = input.bytes(params_len)?;
                Self::Hello2(Hello2 { client_random, invite, cookie, client_cid, key_share, params })
            }
            SHARE => {
                let client_cid = ConnectionCid(input.u64()?);
                let server_cid = ConnectionCid(input.u64()?);
                let key_share = key_share(input)?;
                let params_len = usize::from(input.u16()?);
                let params = input.bytes(params_len)?;
                Self::Share(Share { client_random, client_cid, server_cid, key_share, params })
            }
            CONFIRM_J if mode.is_sealed() => Self::ConfirmJ(Self::decode_confirm(input, client_random)?),
            CONFIRM_I if mode.is_sealed() => Self::ConfirmI(Self::decode_confirm(input, client_random)?),
            REFUSE => {
                Self::Refuse(Refuse { client_random, code: RefuseCode::from_code(input.u8()?)?, version: input.u8()? })
            }
            _ => return Err(DecodeError::Type(kind)),
        })
    }

    fn decode_confirm(input: &mut Reader<'a>, client_random: [u8; RANDOM_LEN]) -> Result<Confirm, DecodeError> {
        Ok(Confirm { client_random, run: input.array()?, tag: input.array()? })
    }

    /// Appends a handshake packet, padded and with its checksum.
    ///
    /// # Panics
    /// On `Data` and `Sealed`, which are written in steps: [`start_data`], frames, and [`put_crc`] or a tag. On a key
    /// share or a confirmation in [`Mode::Plain`], and on a missing key share in another mode.
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
                put_key_share(out, mode, hello.key_share.as_ref());
                put_params(out, hello.params);
                least = HELLO_LEN;
            }
            Self::Share(share) => {
                start(SHARE, &share.client_random);
                out.extend_from_slice(&share.client_cid.0.to_be_bytes());
                out.extend_from_slice(&share.server_cid.0.to_be_bytes());
                put_key_share(out, mode, share.key_share.as_ref());
                put_params(out, share.params);
            }
            Self::ConfirmJ(confirm) | Self::ConfirmI(confirm) => {
                assert!(mode.is_sealed(), "there is nothing to confirm");
                start(if matches!(self, Self::ConfirmJ(_)) { CONFIRM_J } else { CONFIRM_I }, &confirm.client_random);
                out.extend_from_slice(&confirm.run);
                out.extend_from_slice(&confirm.tag);
            }
            Self::Refuse(refuse) => {
                start(REFUSE, &refuse.client_random);
                out.extend_from_slice(&[refuse.code.code(), refuse.version]);
            }
            Self::Data(..) | Self::Sealed(..) => unreachable!("written in steps"),
        }
        let padded = (from + least).saturating_sub(CRC_LEN);
        if out.len() < padded {
            out.resize(padded, 0);
        }
        put_crc(out, from);
    }
}

fn put_key_share(out: &mut Vec<u8>, mode: Mode, share: Option<&KeyShare>) {
    assert_eq!(share.is_some(), mode.is_sealed(), "a key share in sealed modes, and in no other");
    out.extend_from_slice(share.map_or(&[], KeyShare::as_slice));
}

fn put_params(out: &mut Vec<u8>, params: &[u8]) {
    let len = u16::try_from(params.len()).expect("our own parameters take a few dozen bytes");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(params);
}

/// Appends the header of a data packet. Frames follow, then [`put_crc`] from where the header began, or in sealed modes
/// the tag.
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

    fn round_trip(mode: Mode, packet: Packet<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        packet.put_handshake(mode, &mut bytes);
        assert_eq!(Packet::decode(&bytes), Ok((mode, packet)));
        for cut in 0..bytes.len() {
            assert!(Packet::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // What is sealed is not judged here: a handshake packet can be taken for such, and is none.
            assert!(!matches!(Packet::decode(&flipped), Ok((_, it)) if !matches!(it, Packet::Sealed(..))), "bit {bit}");
        }
        bytes
    }

    #[test]
    fn handshake_packets_return_as_they_went_and_no_bit_may_flip() {
        let client_random = [7; RANDOM_LEN];
        let params = [1, 2, 3];
        for mode in [Mode::Plain, Mode::Code, Mode::Psk] {
            let key_share = mode.is_sealed().then_some([8; KEY_SHARE_LEN]);
            let hello = Hello { client_random, invite: [1; 8], params_hash: [2; 32] };
            assert_eq!(round_trip(mode, Packet::Hello(hello)).len(), HELLO_LEN);
            round_trip(mode, Packet::Retry(Retry { client_random, cookie: [9; COOKIE_LEN] }));
            let (client_cid, server_cid) = (ConnectionCid(5), ConnectionCid(6));
            for cookie in [None, Some([4; COOKIE_LEN])] {
                let hello2 = Hello2 { client_random, invite: [0; 8], cookie, client_cid, key_share, params: &params };
                assert_eq!(round_trip(mode, Packet::Hello2(hello2)).len(), HELLO_LEN);
            }
            let share = Share { client_random, client_cid, server_cid, key_share, params: &params };
            round_trip(mode, Packet::Share(share));
            round_trip(mode, Packet::Refuse(Refuse { client_random, code: RefuseCode::Busy, version: VERSION }));
        }
    }

    #[test]
    fn confirmations_return_as_they_went_and_plain_knows_none() {
        let confirm = Confirm { client_random: [7; RANDOM_LEN], run: [5; RUN_ID_LEN], tag: [3; CONFIRM_LEN] };
        for packet in [Packet::ConfirmJ(confirm), Packet::ConfirmI(confirm)] {
            let mut bytes = round_trip(Mode::Code, packet);
            round_trip(Mode::Psk, packet);
            assert_eq!(bytes.len(), 70);
            bytes[0] = VERSION << 4;
            bytes.truncate(66);
            put_crc(&mut bytes, 0);
            assert_eq!(Packet::decode(&bytes), Err(DecodeError::Type(bytes[1])));
        }
    }

    #[test]
    fn a_data_packet_returns_as_it_went() {
        let header = DataHeader { mode: Mode::Plain, key_phase: false, cid: ConnectionCid(77), number_low: 3 };
        let mut bytes = vec![0xee]; // as inside a batch: the packet does not begin at 0
        start_data(&mut bytes, &header);
        assert_eq!(bytes.len(), 1 + DATA_HEADER_LEN);
        bytes.extend_from_slice(b"frames");
        put_crc(&mut bytes, 1);
        assert_eq!(bytes.len(), 1 + DATA_OVERHEAD + 6);
        assert_eq!(Packet::decode(&bytes[1..]), Ok((Mode::Plain, Packet::Data(header, b"frames"))));
    }

    #[test]
    fn a_sealed_data_packet_comes_back_unopened() {
        for (mode, key_phase) in [(Mode::Code, false), (Mode::Psk, true)] {
            let header = DataHeader { mode, key_phase, cid: ConnectionCid(77), number_low: 3 };
            let mut bytes = Vec::new();
            start_data(&mut bytes, &header);
            bytes.extend_from_slice(&[0xab; SEAL_LEN - 1]);
            assert_eq!(Packet::decode(&bytes), Err(DecodeError::Truncated));
            bytes.push(0xab);
            assert_eq!(Packet::decode(&bytes), Ok((mode, Packet::Sealed(header, &[0xab; SEAL_LEN]))));
            bytes[1] |= 2;
            assert_eq!(Packet::decode(&bytes), Err(DecodeError::Value("flags")));
        }
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
