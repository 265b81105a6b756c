//! Where an item belongs below the receiver's directory: `spec/files.md`, section "Paths".

use std::fmt;

/// Bytes in a component, at most.
pub(crate) const COMPONENT_LEN_MAX: usize = 255;
/// Bytes in a name, at most.
pub(crate) const NAME_LEN_MAX: usize = 4_096;
/// Components in a name, at most.
pub(crate) const DEPTH_MAX: usize = 128;
/// What a receiver calls a file that is not whole yet: between these two stands what tells it from others.
const PARTIAL: (&str, &str) = (".udpair-", ".part");

/// A relative path that stays below where it starts: one or more components, none of which can lead up, out or
/// nowhere. Bytes, in no particular encoding; shown with everything escaped that a terminal might obey.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Name(Vec<u8>);

/// Why bytes are no [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// Nothing, or nothing between two slashes, or a slash at either end.
    #[error("the path has an empty part")]
    Empty,
    /// A component is `.` or `..`.
    #[error("the path has a part \".\" or \"..\"")]
    Dots,
    /// A component holds a NUL.
    #[error("the path has a NUL")]
    Nul,
    /// A component has more than [`COMPONENT_LEN_MAX`] bytes.
    #[error("a part of the path has {len} bytes, more than 255")]
    ComponentTooLong {
        /// What it has.
        len: usize,
    },
    /// The whole has more than [`NAME_LEN_MAX`] bytes.
    #[error("the path has {len} bytes, more than 4096")]
    TooLong {
        /// What it has.
        len: usize,
    },
    /// There are more than [`DEPTH_MAX`] components.
    #[error("the path has more than 128 parts")]
    TooDeep,
    /// A component is named as what is not whole yet: whoever offers it would take another sender's file away.
    #[error("a part of the path is named as a receiver's partial files are (.udpair-*.part)")]
    Partial,
}

impl Name {
    /// Takes `path` where it is allowed.
    pub(crate) fn parse(path: &[u8]) -> Result<Self, NameError> {
        if path.len() > NAME_LEN_MAX {
            return Err(NameError::TooLong { len: path.len() });
        }
        for (depth, component) in path.split(|&byte| byte == b'/').enumerate() {
            match component {
                [] => return Err(NameError::Empty),
                b"." | b".." => return Err(NameError::Dots),
                _ if component.contains(&0) => return Err(NameError::Nul),
                _ if component.len() > COMPONENT_LEN_MAX => {
                    return Err(NameError::ComponentTooLong { len: component.len() });
                }
                _ if depth == DEPTH_MAX => return Err(NameError::TooDeep),
                _ if is_partial(component) => return Err(NameError::Partial),
                _ => (),
            }
        }
        Ok(Self(path.to_vec()))
    }

    /// This name with one component more.
    pub(crate) fn join(&self, component: &[u8]) -> Result<Self, NameError> {
        if component.contains(&b'/') {
            return Err(NameError::Empty);
        }
        Self::parse(&[&self.0, b"/".as_slice(), component].concat())
    }

    /// All of it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What stands before the last component (nothing at the top), and the last component.
    pub(crate) fn split(&self) -> (&[u8], &[u8]) {
        match self.0.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (&[], &self.0),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Escaped(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// The name of a file that is not whole yet; no [`Name`] has it.
pub(crate) fn partial_name(what: &dyn fmt::Display) -> Vec<u8> {
    format!("{}{what}{}", PARTIAL.0, PARTIAL.1).into_bytes()
}

/// True for such a name, and for one that some file system takes for the same.
fn is_partial(component: &[u8]) -> bool {
    let (first, last) = (PARTIAL.0.as_bytes(), PARTIAL.1.as_bytes());
    let Some((head, rest)) = component.split_at_checked(first.len()) else { return false };
    // FAT drops these at the end of a name.
    let trailing = rest.iter().rev().take_while(|byte| matches!(byte, b'.' | b' ')).count();
    let rest = &rest[..rest.len() - trailing];
    let Some((_, tail)) = rest.len().checked_sub(last.len()).and_then(|at| rest.split_at_checked(at)) else {
        return false;
    };
    head.eq_ignore_ascii_case(first) && tail.eq_ignore_ascii_case(last)
}

/// Bytes of the peer's or the disk's choosing, shown so that a terminal obeys nothing in them and that different
/// bytes look different.
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    '\'' | '"' => write!(f, "{char}")?,
                    _ => write!(f, "{}", char.escape_debug())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn what_is_allowed() {
        for good in [&b"a"[..], b"a/b/c", b"...", b"..a", b"a..", b" ", b"-rf", b"\xff\xfe", b"a\\..\\b", b"C:"] {
            assert_eq!(Name::parse(good).unwrap().as_bytes(), good);
        }
    }

    #[test]
    fn what_is_refused() {
        use NameError::{Dots, Empty, Nul};
        for (bad, why) in [
            (&b""[..], Empty),
            (b"/", Empty),
            (b"/etc/passwd", Empty),
            (b"a/", Empty),
            (b"a//b", Empty),
            (b".", Dots),
            (b"..", Dots),
            (b"../a", Dots),
            (b"a/../b", Dots),
            (b"a/./b", Dots),
            (b"a/..", Dots),
            (b"\0", Nul),
            (b"a/b\0c", Nul),
        ] {
            assert_eq!(Name::parse(bad), Err(why), "{}", Escaped(bad));
        }
    }

    #[test]
    fn names_of_partial_files_are_refused_wherever_they_stand() {
        let own = String::from_utf8(partial_name(&"7-0")).unwrap();
        assert_eq!(own, ".udpair-7-0.part");
        for bad in [own.as_str(), ".udpair-.part", ".UDpair-7-0.PART", ".udpair-7-0.part. ."] {
            for path in [bad.to_owned(), format!("{bad}/a"), format!("a/{bad}"), format!("a/{bad}/b")] {
                assert_eq!(Name::parse(path.as_bytes()), Err(NameError::Partial), "{path}");
            }
            assert_eq!(Name::parse(b"a").unwrap().join(bad.as_bytes()), Err(NameError::Partial));
        }
        for good in [".udpair-7-0", ".udpair-7-0.parts", "x.udpair-7-0.part", "7-0.part", ".udpair-", ".udpair.part"] {
            assert!(Name::parse(good.as_bytes()).is_ok(), "{good}");
        }
    }

    #[test]
    fn limits_hold_at_their_borders() {
        let component = |len| Name::parse(&vec![b'a'; len]).map(|_| ());
        assert_eq!(component(COMPONENT_LEN_MAX), Ok(()));
        assert_eq!(component(256), Err(NameError::ComponentTooLong { len: 256 }));
        let depth = |count| Name::parse(vec!["a"; count].join("/").as_bytes()).map(|_| ());
        assert_eq!(depth(DEPTH_MAX), Ok(()));
        assert_eq!(depth(DEPTH_MAX + 1), Err(NameError::TooDeep));
        let mut path = vec![vec![b'a'; COMPONENT_LEN_MAX]; 16].join(&b'/');
        assert_eq!(path.len(), NAME_LEN_MAX - 1);
        assert!(Name::parse(&path).is_ok());
        path.extend_from_slice(b"/b");
        assert_eq!(Name::parse(&path), Err(NameError::TooLong { len: NAME_LEN_MAX + 1 }));
    }

    #[test]
    fn joining_and_splitting() {
        let name = Name::parse(b"a").unwrap();
        assert_eq!(name.split(), (&b""[..], &b"a"[..]));
        let name = name.join(b"b").unwrap().join(b"c").unwrap();
        assert_eq!(name.split(), (&b"a/b"[..], &b"c"[..]));
        for bad in [&b""[..], b".", b"..", b"x/y", b"/", b"\0"] {
            assert!(name.join(bad).is_err(), "{}", Escaped(bad));
        }
    }

    #[test]
    fn a_terminal_obeys_nothing_in_a_name() {
        let name = Name::parse("r\u{1b}[2J\r\n\u{202e}ä'\"\\ \u{e9}".as_bytes()).unwrap().join(b"\xff").unwrap();
        assert_eq!(name.to_string(), "r\\u{1b}[2J\\r\\n\\u{202e}ä'\"\\\\ é/\\xff");
    }

    proptest! {
        #[test]
        fn a_name_never_leads_out(path in proptest::collection::vec(
            prop_oneof![Just(b'/'), Just(b'.'), Just(0u8), any::<u8>()], 0..12)
        ) {
            use std::os::unix::ffi::OsStrExt;
            if let Ok(name) = Name::parse(&path) {
                let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert!(path.components().count() >= 1);
            }
        }
    }
}
