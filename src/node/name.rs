//! Names of channels and nodes.

use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;
use std::sync::Arc;

use thiserror::Error;

/// The name of a channel or a node: 1 to [`Name::LEN_MAX`] bytes of UTF-8, compared byte by byte. Derefs to `str`;
/// clones share the bytes. `spec/node.md`, section "Control".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// It has no bytes.
    #[error("a name has at least one byte")]
    Empty,
    /// It has too many.
    #[error("a name of {len} bytes is longer than {max}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The most that goes, in bytes.
        max: usize,
    },
}

impl Name {
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 255;

    /// The name that `text` is.
    ///
    /// # Errors
    /// [`NameError`]: no byte, or too many.
    pub fn new(text: &str) -> Result<Self, NameError> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

/// Says whether `text` is a name.
pub(super) const fn check(text: &str) -> Result<(), NameError> {
    match text.len() {
        0 => Err(NameError::Empty),
        len if len > Name::LEN_MAX => Err(NameError::TooLong { len, max: Name::LEN_MAX }),
        _ => Ok(()),
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

/// Control characters escaped: a peer chose them.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { c.escape_default().fmt(f)? } else { fmt::Write::write_char(f, c)? }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_one_byte_to_255() {
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("a").unwrap(), "a");
        let longest = "é".repeat(127) + "a";
        assert_eq!(*Name::new(&longest).unwrap(), *longest);
        assert_eq!(Name::new(&(longest + "a")), Err(NameError::TooLong { len: 256, max: 255 }));
    }

    #[test]
    fn what_a_peer_calls_itself_cannot_move_the_cursor() {
        assert_eq!(Name::new("a\u{1b}[2Jé\n").unwrap().to_string(), "a\\u{1b}[2Jé\\n");
    }
}
