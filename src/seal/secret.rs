//! Bytes that nobody may see: wiped when dropped, never printed.

use core::fmt;

use zeroize::Zeroizing;

/// A secret of `N` bytes.
#[derive(Clone)]
pub struct Secret<const N: usize>(Zeroizing<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Holds `bytes`; the caller's copy is the caller's to wipe.
    #[must_use]
    pub fn new(bytes: [u8; N]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// A secret that `fill` writes.
    pub(super) fn filled(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self::new([0; N]);
        fill(&mut secret.0);
        secret
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What both sides know before they meet. Nothing but the key agreement may see it.
#[derive(Clone)]
pub struct Prs(Zeroizing<Vec<u8>>);

impl Prs {
    /// The words of a code, in lower case and joined by one hyphen.
    #[must_use]
    pub fn words(words: &str) -> Self {
        Self(Zeroizing::new(words.as_bytes().to_vec()))
    }

    /// A shared key.
    #[must_use]
    pub fn key(key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(key.to_vec()))
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Prs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prs(..)")
    }
}
