//! One key: seals and opens in place, in one pass. `spec/security.md`, section "Sealed packets".

use core::fmt;

use ring::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::keys::derive;
use super::secret::Secret;
use crate::wire::{Params, SEAL_LEN};

/// What seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-256-GCM.
    Aes256Gcm,
    /// ChaCha20-Poly1305, where one side has no AES in hardware.
    ChaCha20Poly1305,
}

impl Cipher {
    /// What two sides with these parameters use, in both directions.
    #[must_use]
    pub const fn agreed(one: &Params, other: &Params) -> Self {
        if one.prefers_chacha || other.prefers_chacha { Self::ChaCha20Poly1305 } else { Self::Aes256Gcm }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "AES-256-GCM",
            Self::ChaCha20Poly1305 => "ChaCha20-Poly1305",
        }
    }

    const fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Aes256Gcm => &AES_256_GCM,
            Self::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        }
    }
}

/// The key of one generation in one direction.
struct Key {
    key: LessSafeKey,
    iv: [u8; 12],
}

impl Key {
    fn new(cipher: Cipher, secret: &Secret<32>) -> Self {
        let key = UnboundKey::new(cipher.algorithm(), derive::<32>(secret, "key").expose());
        let key = LessSafeKey::new(key.expect("both ciphers take 32 bytes"));
        Self { key, iv: *derive(secret, "iv").expose() }
    }

    /// Differs for each number: the whole of it is in there.
    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(byte, of_number)| *byte ^= of_number);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Seals. It does not know which numbers it has sealed: see [`super::generation::Sealer`].
pub(super) struct SealKey(Key);

/// Opens.
pub(super) struct OpenKey(Key);

impl SealKey {
    /// The key of the generation whose secret this is.
    #[must_use]
    pub(super) fn new(cipher: Cipher, secret: &Secret<32>) -> Self {
        Self(Key::new(cipher, secret))
    }

    /// Seals in place what begins at index `from` of `out` with a clear header of `header_len` bytes, and appends the
    /// tag. `number` must not have been sealed before.
    ///
    /// # Panics
    /// When there is no whole header.
    pub(super) fn seal(&self, number: u64, out: &mut Vec<u8>, from: usize, header_len: usize) {
        let (header, content) = out[from..].split_at_mut(header_len);
        let sealed = self.0.key.seal_in_place_separate_tag(self.0.nonce(number), Aad::from(header), content);
        let tag = sealed.expect("far shorter than the 64 GiB that a cipher takes");
        out.extend_from_slice(tag.as_ref());
    }
}

impl OpenKey {
    /// The key of the generation whose secret this is.
    #[must_use]
    pub(super) fn new(cipher: Cipher, secret: &Secret<32>) -> Self {
        Self(Key::new(cipher, secret))
    }

    /// Opens in place all of `packet` behind its clear header of `header_len` bytes; `None` where it was not sealed so
    /// with this key, and what is in `packet` then is of no use.
    pub(super) fn open<'a>(&self, number: u64, packet: &'a mut [u8], header_len: usize) -> Option<&'a [u8]> {
        if packet.len() < header_len + SEAL_LEN {
            return None;
        }
        let (header, sealed) = packet.split_at_mut(header_len);
        let opened = self.0.key.open_in_place(self.0.nonce(number), Aad::from(header), sealed);
        opened.ok().map(|content| &*content)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(..)")
    }
}

impl fmt::Debug for OpenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenKey(..)")
    }
}
