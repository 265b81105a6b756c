//! Keys by a code or a shared key, and what is sealed with them: `spec/security.md`.
//!
//! - [`Joiner`] and [`Inviter`]: the cryptographic part of a handshake, packets in and packets out.
//! - [`Protection`]: what an established connection puts around its packets or records, in every mode.
//! - Below them the key agreement (`cpace`), what is derived from it (`keys`), one key (`packet`) and the generations
//!   of them (`generation`).
//!
//! Randomness and time are arguments. It knows no timer, cookie, address or socket, and not what frames mean. Secrets
//! are wiped when dropped, as far as they are held here: what `ring` makes of them it does not wipe.

mod cpace;
mod entropy;
#[doc(hidden)] // for the golden vectors: whoever seals by hand has to keep the numbers apart
pub mod generation;
pub mod handshake;
#[doc(hidden)] // for the golden vectors
pub mod keys;
mod packet;
pub mod protection;
mod secret;

pub use entropy::Entropy;
pub use generation::Generations;
pub use handshake::{Agreed, Ask, Exports, HandshakeError, Inviter, Joiner, Session};
pub use packet::Cipher;
pub use protection::{OpenError, Protection, SealError};
pub use secret::{Prs, Secret};

#[cfg(test)]
mod tests;
