//! Beacons: the datagrams by which the two sides of a pairing find each other. `spec/pairing.md`, section "Beacons".
//!
//! ```text
//!  0        4         5      6           7         8           16        24     26     28      32
//! +--------+---------+------+-----------+---------+-----------+---------+------+------+-------+
//! | "udpr" | version | type | nameplate | carrier | invite    | seek    | port | 0 0  | CRC32 |
//! +--------+---------+------+-----------+---------+-----------+---------+------+------+-------+
//! ```
//!
//! All are of one length, so that no answer is longer than its question. Nothing in them comes from the words.

use crate::wire::{DecodeError, Reader, VERSION, check_crc, put_crc};

use super::code::Nameplate;

/// The length of every beacon, in every version of the protocol.
pub const BEACON_LEN: usize = 32;

const MAGIC: [u8; 4] = *b"udpr";
const SEEK: u8 = 1;
const OFFER: u8 = 2;
const ASK: u8 = 3;
const TAKEN: u8 = 4;

/// The random id of an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InviteId(pub [u8; 8]);

/// The random id of one search; never all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeekId(pub [u8; 8]);

/// What the conversation after an invite is carried by. The inviter chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// Packets over UDP.
    Udp,
    /// Records over TCP.
    Tcp,
}

/// What an inviter offers: the same in every OFFER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which invite.
    pub invite: InviteId,
    /// What the conversation is carried by.
    pub carrier: Carrier,
    /// The port that it is on, at the address that the beacon comes from; not 0.
    pub port: u16,
}

/// What a beacon says about its nameplate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// A joiner asks: who offers it?
    Seek(SeekId),
    /// An inviter says: I do. Where it answers a SEEK it echoes its id.
    Offer(Offer, Option<SeekId>),
    /// An inviter to be asks: does another invite have it?
    Ask(InviteId),
    /// Another inviter answers: mine does. `asked` is echoed from the ASK.
    Taken {
        /// The answering side's own.
        invite: InviteId,
        /// From the question.
        asked: InviteId,
    },
}

/// One beacon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// What it is about.
    pub nameplate: Nameplate,
    /// What it says.
    pub say: Say,
}

/// What any version of the protocol lets everyone read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: u8,
    pub(super) kind: Kind,
    pub(super) nameplate: u8,
}

/// The types whose meaning other versions keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Seek,
    Offer,
    Other,
}

impl Beacon {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; BEACON_LEN] {
        const ZERO: [u8; 8] = [0; 8];
        let (kind, carrier, invite, seek, port) = match self.say {
            Say::Seek(seek) => (SEEK, 0, ZERO, seek.0, 0),
            Say::Offer(offer, echo) => {
                let carrier = match offer.carrier {
                    Carrier::Udp => 1,
                    Carrier::Tcp => 2,
                };
                (OFFER, carrier, offer.invite.0, echo.map_or(ZERO, |seek| seek.0), offer.port)
            }
            Say::Ask(invite) => (ASK, 0, invite.0, ZERO, 0),
            Say::Taken { invite, asked } => (TAKEN, 0, invite.0, asked.0, 0),
        };
        let mut bytes = Vec::with_capacity(BEACON_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, kind, self.nameplate.number(), carrier]);
        bytes.extend_from_slice(&invite);
        bytes.extend_from_slice(&seek);
        bytes.extend_from_slice(&port.to_be_bytes());
        bytes.extend_from_slice(&[0; 2]);
        put_crc(&mut bytes, 0);
        bytes.try_into().expect("the fields above take 28 bytes")
    }

    /// Checks a datagram and takes it apart.
    ///
    /// # Errors
    /// What is wrong with it, in the order of `spec/pairing.md`, section "Beacons".
    pub fn decode(datagram: &[u8]) -> Result<Self, DecodeError> {
        let mut input = body(datagram)?;
        let version = input.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let kind = input.u8()?;
        let nameplate = Nameplate::in_beacon(input.u8()?);
        let carrier = input.u8()?;
        let (invite, seek) = (input.array()?, input.array()?);
        let port = input.u16()?;
        let rest = input.u16()?;
        if !(SEEK..=TAKEN).contains(&kind) {
            return Err(DecodeError::Type(kind));
        }
        // Nobody asks whether a device's is taken.
        let asks = matches!(kind, ASK | TAKEN);
        let nameplate =
            nameplate.filter(|nameplate| !(asks && nameplate.is_device())).ok_or(DecodeError::Value("nameplate"))?;
        let carrier = match carrier {
            0 if kind != OFFER => None,
            1 if kind == OFFER => Some(Carrier::Udp),
            2 if kind == OFFER => Some(Carrier::Tcp),
            _ => return Err(DecodeError::Value("carrier")),
        };
        let has_invite = invite != [0; 8];
        let has_seek = seek != [0; 8];
        if has_invite != (kind != SEEK) {
            return Err(DecodeError::Value("invite"));
        }
        if (kind == ASK && has_seek) || (matches!(kind, SEEK | TAKEN) && !has_seek) {
            return Err(DecodeError::Value("seek"));
        }
        if (port != 0) != (kind == OFFER) {
            return Err(DecodeError::Value("port"));
        }
        if rest != 0 {
            return Err(DecodeError::Value("reserved"));
        }
        let say = match (kind, carrier) {
            (OFFER, Some(carrier)) => {
                Say::Offer(Offer { invite: InviteId(invite), carrier, port }, has_seek.then_some(SeekId(seek)))
            }
            (ASK, _) => Say::Ask(InviteId(invite)),
            (TAKEN, _) => Say::Taken { invite: InviteId(invite), asked: InviteId(seek) },
            _ => Say::Seek(SeekId(seek)),
        };
        Ok(Self { nameplate, say })
    }
}

impl Head {
    /// The head of a beacon of any version; `None` where it is no beacon.
    pub(super) fn decode(datagram: &[u8]) -> Option<Self> {
        let mut input = body(datagram).ok()?;
        let (version, kind, nameplate) = (input.u8().ok()?, input.u8().ok()?, input.u8().ok()?);
        let kind = match kind {
            SEEK => Kind::Seek,
            OFFER => Kind::Offer,
            _ => Kind::Other,
        };
        Some(Self { version, kind, nameplate })
    }
}

/// What stands between magic and checksum, where these and the length are right.
fn body(datagram: &[u8]) -> Result<Reader<'_>, DecodeError> {
    if datagram.len() < BEACON_LEN {
        return Err(DecodeError::Truncated);
    }
    if datagram.len() > BEACON_LEN {
        return Err(DecodeError::Value("beacon length"));
    }
    let rest = datagram.strip_prefix(&MAGIC).ok_or(DecodeError::Value("magic"))?;
    check_crc(datagram)?;
    Ok(Reader::new(rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_id() -> impl Strategy<Value = [u8; 8]> {
        any::<[u8; 8]>().prop_filter("zero is none", |id| *id != [0; 8])
    }

    fn any_beacon() -> impl Strategy<Value = Beacon> {
        let offer = (any_id(), any::<bool>(), 1..=u16::MAX).prop_map(|(invite, tcp, port)| Offer {
            invite: InviteId(invite),
            carrier: if tcp { Carrier::Tcp } else { Carrier::Udp },
            port,
        });
        let say = prop_oneof![
            any_id().prop_map(|id| Say::Seek(SeekId(id))),
            (offer, proptest::option::of(any_id())).prop_map(|(offer, echo)| Say::Offer(offer, echo.map(SeekId))),
            any_id().prop_map(|id| Say::Ask(InviteId(id))),
            (any_id(), any_id())
                .prop_map(|(invite, asked)| Say::Taken { invite: InviteId(invite), asked: InviteId(asked) }),
        ];
        (0..200u8, say).prop_map(|(number, say)| {
            let number = if matches!(say, Say::Ask(_) | Say::Taken { .. }) { number % 100 } else { number };
            Beacon { nameplate: Nameplate::in_beacon(number).unwrap(), say }
        })
    }

    proptest! {
        #[test]
        fn a_beacon_returns_as_it_went_and_no_bit_may_flip(beacon in any_beacon()) {
            let bytes = beacon.encode();
            prop_assert_eq!(Beacon::decode(&bytes), Ok(beacon));
            for bit in 0..BEACON_LEN * 8 {
                let mut flipped = bytes;
                flipped[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(Beacon::decode(&flipped).is_err(), "bit {}", bit);
            }
            for len in 0..BEACON_LEN {
                prop_assert_eq!(Beacon::decode(&bytes[..len]), Err(DecodeError::Truncated));
            }
        }

        #[test]
        fn whatever_decodes_is_written_as_it_was(mut bytes in any::<[u8; 28]>(), kind in 0..6u8, mask in any::<u8>()) {
            bytes[..4].copy_from_slice(&MAGIC);
            bytes[4] = VERSION;
            bytes[5] = kind;
            bytes[6] %= 201;
            bytes[7] %= 3;
            // Fields that are zero in some types only.
            for (bit, range) in [(0, 8..16), (1, 16..24), (2, 24..26), (3, 26..28)] {
                if mask >> bit & 1 == 1 {
                    bytes[range].fill(0);
                }
            }
            let mut datagram = bytes.to_vec();
            put_crc(&mut datagram, 0);
            if let Ok(beacon) = Beacon::decode(&datagram) {
                prop_assert_eq!(beacon.encode().to_vec(), datagram);
            }
        }
    }

    #[test]
    fn what_every_version_keeps_is_read_from_another_version() {
        let beacon = Beacon { nameplate: Nameplate::new(42).unwrap(), say: Say::Seek(SeekId([7; 8])) };
        let mut bytes = beacon.encode()[..28].to_vec();
        bytes[4] = 9;
        bytes[26] = 1; // another version may use what is reserved
        put_crc(&mut bytes, 0);
        assert_eq!(Beacon::decode(&bytes), Err(DecodeError::Version(9)));
        assert_eq!(Head::decode(&bytes), Some(Head { version: 9, kind: Kind::Seek, nameplate: 42 }));
        assert_eq!(Head::decode(&bytes[..31]), None);
    }
}
