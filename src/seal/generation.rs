//! One direction's keys, one after the other. `spec/security.md`, sections "Generations" and "Key updates".
//!
//! ```text
//! number      0 ... 2^22-1 | 2^22 ... 2*2^22-1 | ...
//! generation  0            | 1                 | ...
//! key phase   0            | 1                 | 0 ...
//! ```

use core::time::Duration;

use super::keys::derive;
use super::packet::{Cipher, OpenKey, SealKey};
use super::secret::Secret;
use crate::time::{Timer, Timestamp};
use crate::wire::VARINT_MAX;

/// How many numbers a generation has, as a power of two.
const GENERATION_BITS: u32 = 22;

/// How numbers are divided into generations: the protocol's way, unless a test wants keys to be updated early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generations {
    bits: u32,
}

impl Generations {
    /// The protocol's: 2^22 numbers each.
    pub const STANDARD: Self = Self { bits: GENERATION_BITS };

    #[doc(hidden)]
    /// 2^`bits` numbers each, for tests: nobody who speaks the protocol understands what is sealed so, nor does
    /// anybody else who has not the same.
    ///
    /// # Panics
    /// From 23 on: no key may seal so much.
    #[must_use]
    pub const fn short(bits: u32) -> Self {
        assert!(bits <= GENERATION_BITS, "more than a key may seal");
        Self { bits }
    }

    /// The generation in which a packet of this number is sealed.
    #[must_use]
    pub const fn of(self, number: u64) -> u64 {
        number >> self.bits
    }

    /// The key phase in its header.
    #[must_use]
    pub const fn key_phase(self, number: u64) -> bool {
        self.of(number) & 1 != 0
    }
}

impl Default for Generations {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// The generation in which a packet of this number is sealed.
#[must_use]
pub const fn generation(number: u64) -> u64 {
    Generations::STANDARD.of(number)
}

/// Why something cannot be sealed. The connection is over: nothing else can be said on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The number, or a higher one, was sealed before; to seal two things with it would give both away.
    #[error("number {number} was sealed before")]
    Reused {
        /// Which.
        number: u64,
    },
    /// There are no more numbers.
    #[error("all numbers are used up")]
    Exhausted,
}

/// Why something was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It was not sealed by the peer, or so long ago or far ahead that its key is not there. To be dropped.
    #[error("not sealed by the peer")]
    Forged,
    /// So many things were forged that one may be taken for true soon. The connection is over.
    #[error("too many forgeries")]
    TooManyForged,
}

/// Seals one direction.
#[derive(Debug)]
pub struct Sealer {
    cipher: Cipher,
    generations: Generations,
    key: SealKey,
    generation: u64,
    next_secret: Secret<32>,
    /// The least number that was not sealed yet.
    least: u64,
}

impl Sealer {
    /// `secret` is the direction's first.
    #[must_use]
    pub fn new(cipher: Cipher, secret: &Secret<32>) -> Self {
        let key = SealKey::new(cipher, secret);
        let generations = Generations::STANDARD;
        Self { cipher, generations, key, generation: 0, next_secret: derive(secret, "ku"), least: 0 }
    }

    /// The same with other generations, where nothing was sealed yet.
    #[must_use]
    pub fn with_generations(self, generations: Generations) -> Self {
        Self { generations, ..self }
    }

    /// What it seals with.
    #[must_use]
    pub const fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Seals as [`SealKey::seal`] does, with the key of the number's generation. Numbers ascend.
    pub fn seal(&mut self, number: u64, out: &mut Vec<u8>, from: usize, header_len: usize) -> Result<(), SealError> {
        if number < self.least {
            return Err(SealError::Reused { number });
        }
        if number > VARINT_MAX {
            return Err(SealError::Exhausted);
        }
        while self.generation < self.generations.of(number) {
            self.key = SealKey::new(self.cipher, &self.next_secret);
            self.next_secret = derive(&self.next_secret, "ku");
            self.generation += 1;
        }
        self.least = number + 1;
        self.key.seal(number, out, from, header_len);
        Ok(())
    }
}

/// Opens one direction.
#[derive(Debug)]
pub struct Opener {
    cipher: Cipher,
    generations: Generations,
    /// The newest generation that anything authentic came in.
    newest: u64,
    previous: Option<OpenKey>,
    current: OpenKey,
    /// Ready, so that a forgery costs no more than to try it.
    next: OpenKey,
    /// Of the generation behind the next.
    later_secret: Secret<32>,
    forget_previous: Timer,
    forged: u64,
}

impl Opener {
    /// `secret` is the direction's first.
    #[must_use]
    pub fn new(cipher: Cipher, secret: &Secret<32>) -> Self {
        let second = derive(secret, "ku");
        Self {
            cipher,
            generations: Generations::STANDARD,
            newest: 0,
            previous: None,
            current: OpenKey::new(cipher, secret),
            next: OpenKey::new(cipher, &second),
            later_secret: derive(&second, "ku"),
            forget_previous: Timer::default(),
            forged: 0,
        }
    }

    /// The same with other generations, where nothing was opened yet.
    #[must_use]
    pub fn with_generations(self, generations: Generations) -> Self {
        Self { generations, ..self }
    }

    /// How many things were not opened.
    #[must_use]
    pub const fn forged(&self) -> u64 {
        self.forged
    }

    /// Opens as [`OpenKey::open`] does. What opens the first packet of a generation forgets the one before after
    /// `keep`, max(3 PTO, 1 s) where the network may hold something back. Whether the number was received before is
    /// for the caller, before; to note it, afterwards.
    pub fn open<'a>(
        &mut self,
        now: Timestamp,
        keep: Duration,
        number: u64,
        packet: &'a mut [u8],
        header_len: usize,
    ) -> Result<&'a [u8], OpenError> {
        if self.forget_previous.fire(now) {
            self.previous = None;
        }
        if self.forged >= self.forged_max() {
            return Err(OpenError::TooManyForged);
        }
        let generation = self.generations.of(number);
        let key = match generation.checked_sub(self.newest) {
            None if generation + 1 == self.newest => self.previous.as_ref(),
            None => None,
            Some(0) => Some(&self.current),
            Some(1) => Some(&self.next),
            Some(_) => None,
        };
        let opened = key.and_then(|key| key.open(number, packet, header_len));
        match opened {
            None => self.forged += 1,
            Some(_) if generation > self.newest => self.advance(now, keep),
            Some(_) => {}
        }
        opened.ok_or(OpenError::Forged)
    }

    /// Counts something as forged that was not even tried.
    pub(super) const fn count_forged(&mut self) {
        self.forged += 1;
    }

    fn advance(&mut self, now: Timestamp, keep: Duration) {
        let next = OpenKey::new(self.cipher, &self.later_secret);
        let current = core::mem::replace(&mut self.next, next);
        let previous = core::mem::replace(&mut self.current, current);
        self.previous = (!keep.is_zero()).then_some(previous);
        self.forget_previous.arm(now + keep);
        self.later_secret = derive(&self.later_secret, "ku");
        self.newest += 1;
    }

    const fn forged_max(&self) -> u64 {
        match self.cipher {
            Cipher::Aes256Gcm => 1 << 52,
            Cipher::ChaCha20Poly1305 => 1 << 36,
        }
    }
}

#[cfg(test)]
#[path = "tests/generation.rs"]
mod tests;
