//! What the two sides of a pipe say beside its content: `spec/pipe.md`, section "Control messages".
//!
//! Stateless. Any tag and bytes decode to a message or to a [`DecodeError`].

use bytes::Bytes;
use udpair::wire::{DecodeError, Reader, put_varint};

/// The channel of the content.
pub(crate) const CONTENT: u16 = 0;
/// The channel of these messages: one of the library's, so that no other program is given them.
pub(crate) const CONTROL: u16 = 65_535;
/// The version that this tool speaks.
pub(crate) const VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"udpp";
const HELLO: u16 = 1;
const END: u16 = 2;
const WRITTEN: u16 = 3;

/// What one side says to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// The first message of each side.
    Hello {
        /// The version that it speaks.
        version: u16,
    },
    /// The sender's input has ended.
    End {
        /// So many bytes of content there were.
        bytes: u64,
    },
    /// The receiver's output has all of it.
    Written {
        /// So many bytes there were.
        bytes: u64,
    },
}

impl Control {
    /// Its content tag and body.
    pub(crate) fn encode(self) -> (u16, Bytes) {
        let mut body = Vec::new();
        let tag = match self {
            Self::Hello { version } => {
                body.extend_from_slice(&MAGIC);
                body.extend_from_slice(&version.to_be_bytes());
                HELLO
            }
            Self::End { bytes } => {
                put_varint(&mut body, bytes);
                END
            }
            Self::Written { bytes } => {
                put_varint(&mut body, bytes);
                WRITTEN
            }
        };
        (tag, body.into())
    }

    /// What `tag` and `body` say.
    pub(crate) fn decode(tag: u16, body: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(body);
        let control = match tag {
            HELLO => {
                if input.array()? != MAGIC {
                    return Err(DecodeError::Value("magic"));
                }
                let version = input.u16()?;
                if version != VERSION {
                    // The rest is that version's.
                    return Ok(Self::Hello { version });
                }
                Self::Hello { version }
            }
            END => Self::End { bytes: input.varint()? },
            WRITTEN => Self::Written { bytes: input.varint()? },
            _ => return Err(DecodeError::Value("tag")),
        };
        if input.is_empty() { Ok(control) } else { Err(DecodeError::Value("surplus bytes")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_are_what_would_be_written(
            tag in 0..5_u16,
            magic in any::<bool>(),
            rest in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            let body = [if magic { &MAGIC[..] } else { b"" }, &rest].concat();
            match Control::decode(tag, &body) {
                Ok(Control::Hello { version }) if version != VERSION => prop_assert_eq!(tag, HELLO),
                Ok(control) => {
                    let (written_tag, written) = control.encode();
                    prop_assert_eq!(written_tag, tag);
                    // A number may be written longer than it need be.
                    prop_assert_eq!(Control::decode(tag, &written), Ok(control));
                }
                Err(_) => {}
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_spec() {
        for (control, tag, body) in [
            (Control::Hello { version: 1 }, 1, &b"udpp\0\x01"[..]),
            (Control::End { bytes: 0 }, 2, b"\0"),
            (Control::End { bytes: 5_000_000 }, 2, b"\x80\x4c\x4b\x40"),
            (Control::Written { bytes: 63 }, 3, b"\x3f"),
        ] {
            assert_eq!(control.encode(), (tag, Bytes::copy_from_slice(body)));
            assert_eq!(Control::decode(tag, body), Ok(control));
            for len in 0..body.len() {
                assert!(Control::decode(tag, &body[..len]).is_err(), "{tag}, cut to {len}");
            }
            assert!(Control::decode(tag, &[body, b"x"].concat()).is_err(), "{tag}, with more");
        }
        assert!(Control::decode(1, b"udpf\0\x01").is_err());
        assert!(Control::decode(4, b"").is_err());
        assert_eq!(Control::decode(1, b"udpp\0\x02news"), Ok(Control::Hello { version: 2 }));
    }
}
