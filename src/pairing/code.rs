//! The spoken code: `42-maple-otter`, a public nameplate and two secret words.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use super::beacon::InviteId;
use super::words::{UnknownWord, Words};

/// How many nameplates codes have.
pub const NAMEPLATES: u8 = 100;
/// How many nameplates known devices have, from [`NAMEPLATES`] on.
const DEVICE_NAMEPLATES: u8 = 100;
/// The longest text that is looked at as a code, in bytes.
const TEXT_LEN_MAX: usize = 512;

/// The public number of an invite: what beacons are tagged with. 00 to 99 in a code, 100 to 199 for devices that know
/// each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nameplate(u8);

impl Nameplate {
    /// The nameplate `number` of a code; `None` from 100 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < NAMEPLATES { Some(Self(number)) } else { None }
    }

    /// A nameplate drawn with `entropy`.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 4]) -> Self {
        // Not a secret: that 4294967296 is no multiple of 100 does not matter.
        let number = u32::from_be_bytes(entropy) % u32::from(NAMEPLATES);
        Self(u8::try_from(number).expect("below 100"))
    }

    /// The nameplate under which the device of this id is looked for: no code's. `spec/pairing.md`, section "Known
    /// devices".
    #[must_use]
    pub fn of_device(id: InviteId) -> Self {
        Self(NAMEPLATES + id.0[0] % DEVICE_NAMEPLATES)
    }

    /// True for one that no code has.
    #[must_use]
    pub const fn is_device(self) -> bool {
        self.0 >= NAMEPLATES
    }

    /// What a beacon may be tagged with; `None` from 200 on.
    pub(super) const fn in_beacon(number: u8) -> Option<Self> {
        if number < NAMEPLATES + DEVICE_NAMEPLATES { Some(Self(number)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    fn parse(typed: &str) -> Option<Self> {
        let digits = typed.len() <= 2 && typed.bytes().all(|byte| byte.is_ascii_digit());
        typed.parse().ok().filter(|_| digits).and_then(Self::new)
    }
}

impl fmt::Display for Nameplate {
    /// Two digits, or three for a device.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

/// A code. `Display` gives it as it is spoken; `Debug` keeps the words to itself, and they are erased when it is
/// dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Which invite.
    pub nameplate: Nameplate,
    /// What only the two sides know.
    pub words: Words,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.nameplate, self.words)
    }
}

/// Why a text is no code. Found out locally: nothing was sent, and no invite was burnt.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodeError {
    /// It has not three parts: a number and two words.
    #[error("a code is a number and two words, as in 42-maple-otter")]
    Form,
    /// It does not begin with a number of one or two digits.
    #[error("a code begins with a number from 00 to 99")]
    Nameplate,
    /// A word is not in the list.
    #[error(transparent)]
    Word(UnknownWord),
    /// What follows the @ is no address.
    #[error("what follows the @ is no address with a port, as in 42-maple-otter@192.168.1.20:7000")]
    Address,
}

impl FromStr for Code {
    type Err = CodeError;

    /// In any case, with blanks, points, commas, underscores or any sort of dash between the parts; `7` is `07`.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let [nameplate, first, second] = parts(text)?;
        let nameplate = Nameplate::parse(nameplate).ok_or(CodeError::Nameplate)?;
        Ok(Self { nameplate, words: Words::find([first, second]).map_err(CodeError::Word)? })
    }
}

/// The words alone, as lenient.
impl FromStr for Words {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        Self::find(parts(text)?).map_err(CodeError::Word)
    }
}

/// The `N` parts that a text has.
fn parts<const N: usize>(text: &str) -> Result<[&str; N], CodeError> {
    if text.len() > TEXT_LEN_MAX {
        return Err(CodeError::Form);
    }
    let mut found = [""; N];
    let mut parts = text.split(is_separator).filter(|part| !part.is_empty());
    for place in &mut found {
        *place = parts.next().ok_or(CodeError::Form)?;
    }
    if parts.next().is_some() { Err(CodeError::Form) } else { Ok(found) }
}

/// What may stand between the parts: what people type, and what word processors make of it.
fn is_separator(c: char) -> bool {
    let is_dash =
        matches!(c, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}');
    // Invisible ones come along with what is copied.
    is_dash || c.is_whitespace() || matches!(c, '.' | ',' | '_' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_code(text: &str) {
        let code: Code = text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(code.to_string(), "42-maple-otter", "{text:?}");
    }

    #[test]
    fn codes_are_read_as_people_write_them() {
        is_code("42-maple-otter");
        is_code(" 42 Maple OTTER\n");
        is_code("42.maple.otter.");
        is_code("42, maple, otter");
        is_code("42_maple_otter");
        is_code("42 - maple - otter");
        is_code("42\u{2013}maple\u{2014}otter"); // en and em dash
        is_code("42\u{2212}maple\u{2011}otter"); // minus, hyphen that does not break
        is_code("\u{feff}42\u{a0}maple\u{3000}otter"); // blanks that do not break, or are wide
        assert_eq!("7 maple otter".parse::<Code>().unwrap().to_string(), "07-maple-otter");
    }

    #[test]
    fn what_is_no_code_is_refused_by_name() {
        for text in ["", "42", "42-maple", "42-maple-otter-otter", "42mapleotter", &"a ".repeat(300)] {
            assert_eq!(text.parse::<Code>(), Err(CodeError::Form), "{text:?}");
        }
        for text in ["maple-otter-42", "100-maple-otter", "042-maple-otter", "+4-maple-otter", "\u{664}-maple-otter"] {
            assert_eq!(text.parse::<Code>(), Err(CodeError::Nameplate), "{text:?}");
        }
        for text in ["42-mapel-otter", "42-maple-ottr"] {
            assert!(matches!(text.parse::<Code>(), Err(CodeError::Word(_))), "{text:?}");
        }
    }

    #[test]
    fn every_code_is_read_as_it_is_written() {
        for number in 0..NAMEPLATES {
            let nameplate = Nameplate::new(number).unwrap();
            for entropy in [[0; 4], [0xff; 4], [number, 77, number, 99]] {
                let code = Code { nameplate, words: Words::from_entropy(entropy) };
                assert_eq!(code.to_string().parse::<Code>(), Ok(code.clone()));
                assert_eq!(code.words.to_string().parse::<Words>(), Ok(code.words));
            }
        }
        assert_eq!(Nameplate::new(NAMEPLATES), None);
        assert_eq!(Nameplate::from_entropy([0, 0, 0, 100]).number(), 0);
        assert_eq!(Nameplate::from_entropy([0xff; 4]).number(), 95);
        for id in 0..=u8::MAX {
            assert!((100..200).contains(&Nameplate::of_device(InviteId([id; 8])).number()));
        }
    }

    #[test]
    fn the_words_of_a_code_are_not_debugged() {
        let code: Code = "42-maple-otter".parse().unwrap();
        assert_eq!(format!("{code:?}"), "Code { nameplate: Nameplate(42), words: Words(..) }");
        let error = "42-mapel-otter".parse::<Code>().unwrap_err();
        assert!(!format!("{error:?}").contains("map"), "{error:?}");
    }
}
