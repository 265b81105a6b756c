//! The header of an NPY file: `spec/content.md`, section "Arrays".

use core::fmt::Write as _;

use super::literal::{Integer, Literal, Malformed};
use super::{DIMENSIONS_MAX, DType, DTypeError, Order};

/// What every NPY file begins with.
const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// The longest header, in bytes: what NumPy reads without being asked to trust the file.
const HEADER_LEN_MAX: usize = 10_000;
/// Data begins at a multiple of this, in bytes.
const ALIGNMENT: usize = 64;
/// Magic, version and length of a header of version 1.0.
const PRELUDE_LEN: usize = MAGIC.len() + 2 + 2;

/// Why bytes are no array.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// They end inside the header.
    #[error("the array ends inside its header")]
    Truncated,
    /// They do not begin as an NPY file does.
    #[error("this is no NPY file")]
    Magic,
    /// The format's version is not known.
    #[error("NPY version {major}.{minor} is not known")]
    Version {
        /// The version's first part.
        major: u8,
        /// Its second part.
        minor: u8,
    },
    /// The header is too long, or not written as it must be.
    #[error("the NPY header is malformed")]
    Header,
    /// The items are of a type that cannot be had.
    #[error(transparent)]
    DType(#[from] DTypeError),
    /// Too many dimensions, or more items than a machine can hold.
    #[error("an array cannot have this shape")]
    Shape,
    /// Not as much data as the shape takes.
    #[error("{len} bytes of data where the shape takes {expected}")]
    Length {
        /// The bytes behind the header.
        len: usize,
        /// What the header says.
        expected: usize,
    },
}

impl From<Malformed> for NpyError {
    fn from(_: Malformed) -> Self {
        Self::Header
    }
}

/// What stands before the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) dtype: DType,
    pub(super) shape: Vec<usize>,
    pub(super) order: Order,
}

impl Header {
    /// Reads the header of an NPY file, and says where its data begins. Nothing is set apart for that.
    pub(super) fn read(npy: &[u8]) -> Result<(Self, usize), NpyError> {
        let common = npy.len().min(MAGIC.len());
        if npy[..common] != MAGIC[..common] {
            return Err(NpyError::Magic);
        }
        let rest = npy.get(MAGIC.len()..).ok_or(NpyError::Truncated)?;
        let ([major, minor], rest) = rest.split_first_chunk().ok_or(NpyError::Truncated)?;
        let (len, rest) = match (major, minor) {
            (1, 0) => {
                let (len, rest) = rest.split_first_chunk().ok_or(NpyError::Truncated)?;
                (usize::from(u16::from_le_bytes(*len)), rest)
            }
            (2 | 3, 0) => {
                let (len, rest) = rest.split_first_chunk().ok_or(NpyError::Truncated)?;
                (usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX), rest)
            }
            (major, minor) => return Err(NpyError::Version { major: *major, minor: *minor }),
        };
        if len > HEADER_LEN_MAX {
            return Err(NpyError::Header);
        }
        let header = rest.get(..len).ok_or(NpyError::Truncated)?;
        Ok((Self::parse(header)?, npy.len() - rest.len() + len))
    }

    /// Reads the dictionary.
    fn parse(text: &[u8]) -> Result<Self, NpyError> {
        let mut text = Literal::new(text);
        let (mut dtype, mut shape, mut order) = (None, None, None);
        text.expect(b'{')?;
        while !text.takes(b'}') {
            let key = text.string()?;
            text.expect(b':')?;
            let again = match key {
                "descr" => dtype.replace(Self::descr(&mut text)?).is_some(),
                "fortran_order" => order.replace(text.truth()?).is_some(),
                "shape" => shape.replace(Self::shape(&mut text)?).is_some(),
                _ => true,
            };
            if again {
                return Err(NpyError::Header);
            }
            if !text.takes(b',') {
                text.expect(b'}')?;
                break;
            }
        }
        let (Some(dtype), Some(shape), Some(fortran), true) = (dtype, shape, order, text.is_over()) else {
            return Err(NpyError::Header);
        };
        let header = Self { dtype, shape, order: if fortran { Order::Fortran } else { Order::C } };
        header.data_len().ok_or(NpyError::Shape)?;
        Ok(header)
    }

    fn descr(text: &mut Literal<'_>) -> Result<DType, NpyError> {
        // Records are lists, and with a shape tuples.
        match text.peek() {
            Some(b'[' | b'(') => Err(DTypeError::unknown("a record").into()),
            _ => Ok(text.string()?.parse()?),
        }
    }

    fn shape(text: &mut Literal<'_>) -> Result<Vec<usize>, NpyError> {
        let mut shape = Vec::new();
        text.tuple(|item| {
            let Integer::Value(value) = item else { return Err(NpyError::Shape) };
            if shape.len() == DIMENSIONS_MAX {
                return Err(NpyError::Shape);
            }
            shape.push(usize::try_from(value).map_err(|_| NpyError::Shape)?);
            Ok(())
        })?;
        Ok(shape)
    }

    /// How many bytes of data there must be; `None` where the shape cannot be.
    pub(super) fn data_len(&self) -> Option<usize> {
        data_len(self.dtype, &self.shape)
    }

    /// Writes what stands before the data, and leaves room for it.
    pub(super) fn write(&self, data_len: usize) -> Vec<u8> {
        let fortran = if self.order == Order::Fortran && self.shape.len() > 1 { "True" } else { "False" };
        let mut text = format!("{{'descr': '{}', 'fortran_order': {fortran}, 'shape': (", self.dtype);
        for (at, len) in self.shape.iter().enumerate() {
            let comma = match self.shape.len() {
                1 => ",",
                dimensions if at + 1 < dimensions => ", ",
                _ => "",
            };
            write!(text, "{len}{comma}").expect("a string takes everything");
        }
        text.push_str("), }");
        let data_at = (PRELUDE_LEN + text.len() + 1).next_multiple_of(ALIGNMENT);
        let len = u16::try_from(data_at - PRELUDE_LEN).expect("64 lengths of 20 digits are less than 10,000 bytes");
        let mut npy = Vec::with_capacity(data_at.saturating_add(data_len));
        npy.extend_from_slice(&MAGIC);
        npy.extend_from_slice(&[1, 0]);
        npy.extend_from_slice(&len.to_le_bytes());
        npy.extend_from_slice(text.as_bytes());
        npy.resize(data_at - 1, b' ');
        npy.push(b'\n');
        npy
    }
}

/// How many bytes of data such an array has. `None` where there are too many dimensions, or more bytes than fit.
fn data_len(dtype: DType, shape: &[usize]) -> Option<usize> {
    if shape.len() > DIMENSIONS_MAX {
        return None;
    }
    // Lengths of 0 are left out, so that what is no array with another length is none with that one either.
    let lengths = shape.iter().filter(|len| **len > 0);
    let len = lengths.copied().try_fold(dtype.size(), usize::checked_mul)?;
    isize::try_from(len).ok()?;
    Some(if shape.contains(&0) { 0 } else { len })
}
