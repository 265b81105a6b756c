//! Pairing by a spoken code, without any I/O: the code itself, and how from its public number the two sides find each
//! other on a network. `spec/pairing.md`.
//!
//! [`Inviting`] and [`Seeking`] are the two sides of discovery. They are told the time, what came in and by which
//! interface, and say what to send to whom; [`Machine`] is what they are to whoever drives them. It ends with a set of
//! candidates: who of them knows the words is not found out here. Nothing here sends the words, a hash of them, or
//! anything else that comes from them.

mod answers;
mod beacon;
mod burst;
mod code;
mod counters;
mod found;
mod interface;
mod inviting;
mod machine;
mod place;
mod seeking;
#[cfg(test)]
mod tests;
mod words;

pub use answers::{ANSWERS_BURST, ANSWERS_PER_SECOND};
pub use beacon::{BEACON_LEN, Beacon, Carrier, InviteId, Offer, Say, SeekId};
pub use burst::{BURST, BURST_DISTANCE, SLOW};
pub use code::{Code, CodeError, NAMEPLATES, Nameplate};
pub use counters::{Counters, Dropped};
pub use found::{CANDIDATES_MAX, CANDIDATES_RESERVED, Candidate, INVITES_PER_HOST_MAX, UNASKED_MAX, WAYS_PER_HOST_MAX};
pub use interface::{
    DISCOVERY_GROUP, DISCOVERY_GROUP_V4, DISCOVERY_PORT, Interface, InterfaceAddress, InterfaceId, Target,
};
pub use inviting::{ASKING, ASKS, Inviting, InvitingEvent, NAMEPLATE_TRIES_MAX};
pub use machine::{Destination, Machine, Transmit};
pub use place::{CodeAt, Host, HostNumber};
pub use seeking::{Seeking, SeekingEvent};
pub use words::{UnknownWord, WORDS_LEN, Words};
