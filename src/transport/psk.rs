//! A key that two sides share, so that they need no code to meet again.

use core::fmt;
use core::str::FromStr;

use rand::Rng;
use ring::digest;
use zeroize::{Zeroize, Zeroizing};

use super::random;
use crate::proto::{InviteId, NO_INVITE, Security};
use crate::seal::Secret;

const ID_LEN: usize = 8;
const KEY_LEN: usize = 32;

/// A shared key and the id by which both sides know it. `Debug` shows neither; the key is erased when it is dropped.
///
/// As a text ([`to_text`](Self::to_text), `parse`) it is 80 hexadecimal digits. Whoever has that text can be either
/// side: keep it in a file that only its owner can read.
#[derive(Clone)]
pub struct Psk {
    id: InviteId,
    key: Secret<KEY_LEN>,
    /// Whoever has the seed of a simulation has it, too.
    simulated: bool,
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 80 hexadecimal digits, the first 16 not all zeros")]
pub struct ParsePskError;

impl Psk {
    /// A new key. Does not block.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn generate() -> std::io::Result<Self> {
        let mut bytes = Zeroizing::new([0; ID_LEN + KEY_LEN]);
        random::fill(&mut *bytes)?;
        Ok(Self::from_bytes(&bytes))
    }

    fn from_bytes(bytes: &[u8; ID_LEN + KEY_LEN]) -> Self {
        let (mut id, mut key) = ([0; ID_LEN], [0; KEY_LEN]);
        id.copy_from_slice(&bytes[..ID_LEN]);
        key.copy_from_slice(&bytes[ID_LEN..]);
        let psk = Self { id, key: Secret::new(key), simulated: false };
        key.zeroize();
        psk
    }

    /// The key that two sides of a connection derived.
    pub(super) fn of_device(key: &Secret<KEY_LEN>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"udpair 1 device id");
        context.update(key.expose());
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&context.finish().as_ref()[..ID_LEN]);
        Self { id, key: key.clone(), simulated: false }
    }

    /// A key that `chance` makes, for its simulation alone.
    pub(super) fn simulated(chance: &mut impl Rng) -> Self {
        let mut bytes = Zeroizing::new([0; ID_LEN + KEY_LEN]);
        chance.fill_bytes(&mut *bytes);
        Self::from_bytes(&bytes).into_simulated()
    }

    /// The same, for a simulation alone.
    pub(super) fn into_simulated(self) -> Self {
        Self { simulated: true, ..self }
    }

    /// True where real sockets must not be bound with it.
    pub(super) const fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// As a text, to be kept.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let digits =
            |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
        // Room for all of it at once: nothing is left behind where a shorter text was.
        let mut text = Zeroizing::new(String::with_capacity(2 * (ID_LEN + KEY_LEN)));
        text.extend(self.id.iter().chain(self.key.expose()).flat_map(digits));
        text
    }

    /// By which both sides know it; not secret.
    pub(super) const fn id(&self) -> InviteId {
        self.id
    }

    pub(super) fn security(&self) -> Security {
        Security::psk(self.id, self.key.expose())
    }
}

impl FromStr for Psk {
    type Err = ParsePskError;

    fn from_str(text: &str) -> Result<Self, ParsePskError> {
        let text = text.trim().as_bytes();
        let mut bytes = Zeroizing::new([0; ID_LEN + KEY_LEN]);
        if text.len() != 2 * bytes.len() {
            return Err(ParsePskError);
        }
        let digit = |ascii: u8| char::from(ascii).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(ParsePskError) };
            *byte = high << 4 | low;
        }
        let psk = Self::from_bytes(&bytes);
        // That id means none.
        if psk.id == NO_INVITE { Err(ParsePskError) } else { Ok(psk) }
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_returns_from_its_text_and_nothing_else_does() {
        let psk = Psk::generate().unwrap();
        let text = psk.to_text();
        let back: Psk = format!(" {}\n", *text).parse().unwrap();
        assert_eq!((back.id, back.key.expose()), (psk.id, psk.key.expose()));
        assert!(!format!("{psk:?}").contains(&text[..8]));
        let no_id = format!("{:016}{}", 0, &text[16..]);
        for bad in ["", &no_id, &text[1..], &text.replace(|c: char| c.is_ascii_digit(), "g"), &format!("{}00", *text)] {
            assert!(bad.parse::<Psk>().is_err(), "{bad}");
        }
    }
}
