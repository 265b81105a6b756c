//! What two nodes say to each other beside values: bytes and meaning, and nothing of when. `spec/node.md`, sections
//! "Control" and "Time".

use super::Name;
use crate::message::Delivery;
use crate::wire::{DecodeError, Reader};

/// The version of `spec/node.md` that is spoken here.
pub const VERSION: u8 = 1;
/// The channel of [`Control`] messages.
pub const CONTROL_CHANNEL: u16 = 65_280;
/// The channel of [`Time`] messages.
pub const TIME_CHANNEL: u16 = 65_281;
/// The names that one side of a connection may have.
pub const NAMES_MAX: usize = 4_096;

/// What a side of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Named channels and nothing else.
    Plain,
    /// One that listens and connects.
    Hub,
    /// One that is called by clients.
    Host,
    /// One that calls a host.
    Client,
}

/// What of a channel's values matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The newest.
    Latest,
    /// Every one, in order.
    Queued,
}

/// The first thing that a side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What it is.
    pub role: Role,
    /// What tells one run of a node from another; 0: nothing does.
    pub instance: u64,
    /// Its name; `None` for [`Role::Plain`].
    pub name: Option<Name>,
}

/// A message on the control channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// The greeting.
    Hello(Hello),
    /// A channel has a name from now on.
    Name {
        /// The channel's number.
        number: u16,
        /// What of its values matters.
        kind: Kind,
        /// Its name.
        name: Name,
    },
}

/// A message on the time channel. Times are in microseconds of their sender's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// What does your clock show?
    Ask {
        /// What ours shows.
        time: u64,
    },
    /// This.
    Answer {
        /// What the one that was answered said of its own.
        asked: u64,
        /// What ours shows.
        time: u64,
    },
}

const HELLO: u8 = 1;
const NAME: u8 = 2;
const ASK: u8 = 1;
const ANSWER: u8 = 2;

impl Role {
    const ALL: [(u8, Self); 4] = [(0, Self::Plain), (1, Self::Hub), (2, Self::Host), (3, Self::Client)];

    /// True when the two belong together.
    #[must_use]
    pub const fn fits(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Plain, Self::Plain)
                | (Self::Hub, Self::Hub)
                | (Self::Host, Self::Client)
                | (Self::Client, Self::Host)
        )
    }
}

impl Kind {
    const ALL: [(u8, Self); 2] = [(1, Self::Latest), (2, Self::Queued)];

    /// How messages of such a channel travel.
    #[must_use]
    pub const fn delivery(self) -> Delivery {
        match self {
            Self::Latest => Delivery::Latest,
            Self::Queued => Delivery::Ordered,
        }
    }
}

fn number_of<T: Copy + PartialEq>(all: &[(u8, T)], value: T) -> u8 {
    all.iter().find(|(_, other)| *other == value).map_or(0, |(number, _)| *number)
}

fn of_number<T: Copy>(all: &[(u8, T)], number: u8, field: &'static str) -> Result<T, DecodeError> {
    all.iter().find(|(other, _)| *other == number).map(|(_, value)| *value).ok_or(DecodeError::Value(field))
}

fn name(bytes: &[u8]) -> Result<Name, DecodeError> {
    let text = core::str::from_utf8(bytes).map_err(|_| DecodeError::Value("name"))?;
    Name::new(text).map_err(|_| DecodeError::Value("name"))
}

impl Control {
    /// The longest message on the control channel, in bytes.
    pub const LEN_MAX: usize = 11 + Name::LEN_MAX;

    /// What `bytes` mean.
    ///
    /// # Errors
    /// Anything else than the specification allows; [`DecodeError::Version`] for a HELLO of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        match input.u8()? {
            HELLO => {
                let version = input.u8()?;
                if version != VERSION {
                    return Err(DecodeError::Version(version));
                }
                let role = of_number(&Role::ALL, input.u8()?, "role")?;
                let instance = input.u64()?;
                let name = match (role, input.rest()) {
                    (Role::Plain, []) => None,
                    (Role::Plain, _) => return Err(DecodeError::Value("name")),
                    (_, rest) => Some(name(rest)?),
                };
                Ok(Self::Hello(Hello { role, instance, name }))
            }
            NAME => {
                let number = input.u16()?;
                let kind = of_number(&Kind::ALL, input.u8()?, "delivery")?;
                Ok(Self::Name { number, kind, name: name(input.rest())? })
            }
            kind => Err(DecodeError::Type(kind)),
        }
    }

    /// The bytes that mean it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::LEN_MAX);
        match self {
            Self::Hello(Hello { role, instance, name }) => {
                out.extend([HELLO, VERSION, number_of(&Role::ALL, *role)]);
                out.extend(instance.to_be_bytes());
                out.extend(name.as_deref().unwrap_or_default().bytes());
            }
            Self::Name { number, kind, name } => {
                out.push(NAME);
                out.extend(number.to_be_bytes());
                out.push(number_of(&Kind::ALL, *kind));
                out.extend(name.bytes());
            }
        }
        out
    }
}

impl Time {
    /// What `bytes` mean.
    ///
    /// # Errors
    /// Anything else than the specification allows.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let message = match input.u8()? {
            ASK => Self::Ask { time: input.u64()? },
            ANSWER => Self::Answer { asked: input.u64()?, time: input.u64()? },
            kind => return Err(DecodeError::Type(kind)),
        };
        if input.is_empty() { Ok(message) } else { Err(DecodeError::Value("surplus")) }
    }

    /// The bytes that mean it.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let (kind, times) = match self {
            Self::Ask { time } => (ASK, [Some(time), None]),
            Self::Answer { asked, time } => (ANSWER, [Some(asked), Some(time)]),
        };
        core::iter::once(kind).chain(times.into_iter().flatten().flat_map(u64::to_be_bytes)).collect()
    }
}
