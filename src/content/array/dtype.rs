//! What the items of an array are.

use core::fmt;
use core::str::FromStr;

/// What kind of number an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A truth value: 0 or 1, in one byte.
    Bool,
    /// A signed integer of 1, 2, 4 or 8 bytes.
    Int,
    /// An unsigned integer of 1, 2, 4 or 8 bytes.
    Uint,
    /// A floating-point number of 2, 4 or 8 bytes, or 16: what the sender's C calls `long double`.
    Float,
    /// A complex number of 8, 16 or 32 bytes: the real part, then the imaginary part.
    Complex,
}

/// Which end of an item comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// The least significant byte.
    Little,
    /// The most significant byte.
    Big,
}

impl Endian {
    /// This machine's.
    pub const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
}

/// The type of an array's items: kind, size and order of bytes, as NumPy's `dtype`. Written and parsed as NumPy does:
/// `<f8`, `>i4`, `|u1`. `spec/content.md`, section "Item types".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DType {
    kind: Kind,
    size: u8,
    /// `None` where there is only one byte.
    endian: Option<Endian>,
}

impl DType {
    /// Items of a kind, of `size` bytes; of a single byte `endian` does not matter. `None` where there is no such type.
    #[must_use]
    pub const fn new(kind: Kind, size: usize, endian: Endian) -> Option<Self> {
        let endian = if size == 1 { None } else { Some(endian) };
        let size = match (kind, size) {
            (Kind::Bool | Kind::Int | Kind::Uint, 1) => 1,
            (Kind::Int | Kind::Uint | Kind::Float, 2) => 2,
            (Kind::Int | Kind::Uint | Kind::Float, 4) => 4,
            (Kind::Int | Kind::Uint | Kind::Float | Kind::Complex, 8) => 8,
            (Kind::Float | Kind::Complex, 16) => 16,
            (Kind::Complex, 32) => 32,
            _ => return None,
        };
        Some(Self { kind, size, endian })
    }

    /// As [`new`](Self::new), in this machine's order; for types that are there.
    pub(super) const fn native(kind: Kind, size: usize) -> Self {
        Self::new(kind, size, Endian::NATIVE).expect("written down only for types that are there")
    }

    /// What kind of number.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// The size of an item in bytes: 1 to 32.
    #[must_use]
    pub const fn size(self) -> usize {
        self.size as usize
    }

    /// The order of bytes; `None` where an item is a single byte.
    #[must_use]
    pub const fn endian(self) -> Option<Endian> {
        self.endian
    }

    /// True where an item's bytes stand as this machine has them.
    #[must_use]
    pub fn is_native(self) -> bool {
        self.endian.is_none_or(|endian| endian == Endian::NATIVE)
    }

    /// The same type in this machine's order.
    #[must_use]
    pub(super) const fn to_native(self) -> Self {
        Self::native(self.kind, self.size())
    }

    /// How many bytes belong together when their order is turned round.
    pub(super) const fn part_size(self) -> usize {
        match self.kind {
            Kind::Complex => self.size() / 2,
            _ => self.size(),
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.endian {
            None => '|',
            Some(Endian::Little) => '<',
            Some(Endian::Big) => '>',
        };
        let kind = match self.kind {
            Kind::Bool => 'b',
            Kind::Int => 'i',
            Kind::Uint => 'u',
            Kind::Float => 'f',
            Kind::Complex => 'c',
        };
        write!(f, "{sign}{kind}{}", self.size)
    }
}

/// Why a type of items cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DTypeError {
    /// Python objects: to read them would run the sender's code.
    #[error("the items are Python objects, which are never read")]
    Object,
    /// Not a number of a known kind and size.
    #[error("there are no arrays of items of type {descr:?} here")]
    Unknown {
        /// What was named, its beginning where it is long.
        descr: String,
    },
}

impl DTypeError {
    /// Room for a type's name in an error.
    const DESCR_LEN_MAX: usize = 32;

    pub(super) fn unknown(descr: &str) -> Self {
        Self::Unknown { descr: descr.chars().take(Self::DESCR_LEN_MAX).collect() }
    }
}

impl FromStr for DType {
    type Err = DTypeError;

    fn from_str(descr: &str) -> Result<Self, DTypeError> {
        let unknown = || DTypeError::unknown(descr);
        let bare = descr.strip_prefix(['<', '>', '|', '=']).unwrap_or(descr);
        if bare.starts_with('O') {
            return Err(DTypeError::Object);
        }
        let mut chars = descr.chars();
        let (sign, kind, size) = (chars.next(), chars.next(), chars.as_str());
        let kind = match kind {
            Some('b') => Kind::Bool,
            Some('i') => Kind::Int,
            Some('u') => Kind::Uint,
            Some('f') => Kind::Float,
            Some('c') => Kind::Complex,
            _ => return Err(unknown()),
        };
        let size = match size {
            "1" => 1,
            "2" => 2,
            "4" => 4,
            "8" => 8,
            "16" => 16,
            "32" => 32,
            _ => return Err(unknown()),
        };
        let endian = match sign {
            Some('<') => Endian::Little,
            Some('>') => Endian::Big,
            // Of one byte it does not matter.
            Some('|') if size == 1 => Endian::Little,
            _ => return Err(unknown()),
        };
        Self::new(kind, size, endian).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_written_as_it_is_read() {
        let kinds = [Kind::Bool, Kind::Int, Kind::Uint, Kind::Float, Kind::Complex];
        let mut found = 0;
        for kind in kinds {
            for size in 0..=64 {
                for endian in [Endian::Little, Endian::Big] {
                    let Some(dtype) = DType::new(kind, size, endian) else { continue };
                    assert_eq!(dtype.to_string().parse(), Ok(dtype));
                    assert_eq!((dtype.kind(), dtype.size()), (kind, size));
                    assert_eq!(dtype.endian(), (size > 1).then_some(endian));
                    assert_eq!(dtype.is_native(), size == 1 || endian == Endian::NATIVE);
                    found += 1;
                }
            }
        }
        assert_eq!(found, 2 * (1 + 4 + 4 + 4 + 3));
    }

    #[test]
    fn one_byte_has_no_order_whatever_the_sign() {
        for descr in ["|u1", "<u1", ">u1"] {
            assert_eq!(descr.parse::<DType>().unwrap().to_string(), "|u1");
        }
        for descr in ["|u2", "=u2", "=u1", "u1", "u", "", "<", "<f", "<f3", "<f08", "<b2", "<c4", "<f32", "<f8 ", "<U3"]
        {
            assert_eq!(descr.parse::<DType>(), Err(DTypeError::Unknown { descr: descr.to_owned() }));
        }
        for descr in ["|S5", "<U5", "<M8[ns]", "<m8", "|V8"] {
            assert_eq!(descr.parse::<DType>(), Err(DTypeError::unknown(descr)));
        }
        for descr in ["|O", "O", "|O8", "<O", "=Object"] {
            assert_eq!(descr.parse::<DType>(), Err(DTypeError::Object));
        }
        let long = "é".repeat(10_000);
        assert_eq!(long.parse::<DType>(), Err(DTypeError::Unknown { descr: "é".repeat(32) }));
    }
}
