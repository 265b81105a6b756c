//! N-dimensional arrays as NPY bytes: `spec/content.md`, section "Arrays".

use core::fmt;
use std::borrow::Cow;

use bytemuck::{PodCastError, checked};
use bytes::Bytes;

use super::{Content, EncodeError, FromContent, IntoContent, Malformed, tag};

mod dtype;
mod element;
mod literal;
#[cfg(feature = "ndarray")]
mod nd;
mod npy;
#[cfg(test)]
mod tests;

pub use dtype::{DType, DTypeError, Endian, Kind};
pub use element::Element;
pub use npy::NpyError;

use npy::Header;

/// The most dimensions that an array has. NumPy before 2.0 reads at most 32.
pub const DIMENSIONS_MAX: usize = 64;

/// Which index runs fastest where items lie one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The last one.
    C,
    /// The first one.
    Fortran,
}

/// An n-dimensional array: a type of items, a shape, an order and the items' bytes. It *is* the bytes of an NPY file,
/// as `numpy.save` writes and `numpy.load(..., allow_pickle=False)` reads them: what came is kept as it came, and to
/// clone it, to send it on or to look at its items copies nothing.
///
/// ```
/// use udpair::content::{Array, Order};
///
/// let array = Array::from_slice(&[1.5, 2.5, 3.5, 4.5, 5.5, 6.5], &[2, 3])?;
/// assert_eq!((array.dtype().to_string().as_str(), array.shape()), ("<f8", &[2, 3][..]));
///
/// let same = Array::from_npy(array.npy().clone())?; // as from a file, or from a peer
/// assert_eq!(*same.items::<f64>()?, [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]);
/// assert!(same.items::<f32>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Array {
    npy: Bytes,
    data_at: usize,
    header: Header,
}

impl Array {
    /// Copies `items` into an array of this shape, in C order. Does not block.
    ///
    /// # Errors
    /// [`ArrayError`], where the shape takes another number of items.
    pub fn from_slice<T: Element>(items: &[T], shape: &[usize]) -> Result<Self, ArrayError> {
        Self::from_data(T::DTYPE, shape, Order::C, bytemuck::cast_slice(items))
    }

    /// Copies bytes into an array: items of `dtype` that lie in `order`. Does not block.
    ///
    /// # Errors
    /// [`ArrayError`], where the shape takes another number of bytes, or cannot be.
    pub fn from_data(dtype: DType, shape: &[usize], order: Order, data: &[u8]) -> Result<Self, ArrayError> {
        // Where both orders are the same it is C's, so that equal arrays are equal bytes.
        let order = if shape.len() < 2 { Order::C } else { order };
        let header = Header { dtype, shape: shape.to_vec(), order };
        let expected = header.data_len().ok_or(ArrayError::Shape)?;
        if expected != data.len() {
            return Err(ArrayError::Length { len: data.len(), expected });
        }
        let mut npy = header.write(data.len());
        let data_at = npy.len();
        npy.extend_from_slice(data);
        Ok(Self { npy: npy.into(), data_at, header })
    }

    /// Takes the bytes of an NPY file, of version 1.0, 2.0 or 3.0. Copies nothing, executes nothing. Does not block.
    ///
    /// # Errors
    /// [`NpyError`], where they are no such file or its items are no numbers.
    pub fn from_npy(npy: Bytes) -> Result<Self, NpyError> {
        let (header, data_at) = Header::read(&npy)?;
        let (len, expected) = (npy.len() - data_at, header.data_len().ok_or(NpyError::Shape)?);
        if len != expected {
            return Err(NpyError::Length { len, expected });
        }
        Ok(Self { npy, data_at, header })
    }

    /// The bytes of the NPY file.
    #[must_use]
    pub const fn npy(&self) -> &Bytes {
        &self.npy
    }

    /// What the items are.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.header.dtype
    }

    /// The lengths of the dimensions; none of them where the array is a single item.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// In which order the items lie.
    #[must_use]
    pub const fn order(&self) -> Order {
        self.header.order
    }

    /// How many items there are: the product of the lengths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data().len() / self.dtype().size()
    }

    /// True where there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data().is_empty()
    }

    /// The items' bytes, one item behind the other.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.npy[self.data_at..]
    }

    /// The items, in the order in which they lie, without a copy.
    ///
    /// # Errors
    /// [`ItemsError`]: they are of another type, or their bytes are of the other order, or they do not lie where this
    /// machine can look at them. [`items`](Self::items) copies in the latter two cases.
    pub fn as_slice<T: Element>(&self) -> Result<&[T], ItemsError> {
        self.check::<T>()?;
        if self.is_empty() {
            return Ok(&[]);
        }
        if !self.dtype().is_native() {
            return Err(ItemsError::Endian { dtype: self.dtype() });
        }
        checked::try_cast_slice(self.data()).map_err(|error| match error {
            checked::CheckedCastError::InvalidBitPattern => ItemsError::Value,
            checked::CheckedCastError::PodCastError(
                PodCastError::TargetAlignmentGreaterAndInputNotAligned
                | PodCastError::AlignmentMismatch
                | PodCastError::SizeMismatch
                | PodCastError::OutputSliceWouldHaveSlop,
            ) => ItemsError::Unaligned,
        })
    }

    /// The items, in the order in which they lie and with their bytes as this machine has them: without a copy where
    /// they lie suitably, as they usually do.
    ///
    /// # Errors
    /// [`ItemsError::Type`]; [`ItemsError::Value`], which only truth values can have.
    pub fn items<T: Element>(&self) -> Result<Cow<'_, [T]>, ItemsError> {
        match self.as_slice() {
            Ok(items) => Ok(Cow::Borrowed(items)),
            Err(ItemsError::Unaligned | ItemsError::Endian { .. }) => self.copy_items().map(Cow::Owned),
            Err(error) => Err(error),
        }
    }

    fn check<T: Element>(&self) -> Result<(), ItemsError> {
        let dtype = self.dtype();
        if dtype.to_native() == T::DTYPE { Ok(()) } else { Err(ItemsError::Type { dtype, wanted: T::DTYPE }) }
    }

    /// Copies items of the right type, turning their bytes round where need be.
    fn copy_items<T: Element>(&self) -> Result<Vec<T>, ItemsError> {
        let (size, part_size, swap) = (self.dtype().size(), self.dtype().part_size(), !self.dtype().is_native());
        let mut items = Vec::with_capacity(self.len());
        let mut place = [0; 32];
        let place = &mut place[..size];
        for item in self.data().chunks_exact(size) {
            place.copy_from_slice(item);
            if swap {
                place.chunks_exact_mut(part_size).for_each(<[u8]>::reverse);
            }
            items.push(checked::try_pod_read_unaligned(place).map_err(|_| ItemsError::Value)?);
        }
        Ok(items)
    }
}

/// Equal where type, shape, order and the items' bytes are.
impl PartialEq for Array {
    fn eq(&self, other: &Self) -> bool {
        self.header == other.header && self.data() == other.data()
    }
}

impl Eq for Array {}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array")
            .field("dtype", &format_args!("{}", self.dtype()))
            .field("shape", &self.shape())
            .field("order", &self.order())
            .finish_non_exhaustive()
    }
}

impl IntoContent for Array {
    fn into_content(self) -> Result<Content, EncodeError> {
        Ok(Content { tag: tag::ARRAY, body: self.npy })
    }
}

impl IntoContent for &Array {
    fn into_content(self) -> Result<Content, EncodeError> {
        self.clone().into_content()
    }
}

impl FromContent for Array {
    const TAGS: Option<&'static [u16]> = Some(&[tag::ARRAY]);

    fn from_content(content: Content) -> Result<Self, Malformed> {
        Self::from_npy(content.body.clone()).map_err(|error| content.malformed(error))
    }
}

/// Why items make no array of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// More than [`DIMENSIONS_MAX`] dimensions, or more bytes than this machine can hold.
    #[error("an array cannot have this shape")]
    Shape,
    /// The shape takes another number of items.
    #[error("{len} bytes of items where the shape takes {expected}")]
    Length {
        /// The bytes that there are.
        len: usize,
        /// The bytes that the shape takes.
        expected: usize,
    },
}

/// Why an array's items cannot be had as a Rust type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemsError {
    /// They are of another type.
    #[error("the items are {dtype}, not {wanted}")]
    Type {
        /// What they are.
        dtype: DType,
        /// What was asked for, in this machine's order of bytes.
        wanted: DType,
    },
    /// Their bytes are not in this machine's order.
    #[error("the bytes of {dtype} are in the other order than this machine's")]
    Endian {
        /// What they are.
        dtype: DType,
    },
    /// They begin where this machine cannot look at them as items.
    #[error("the items are not aligned")]
    Unaligned,
    /// A truth value is neither 0 nor 1.
    #[error("a truth value is neither 0 nor 1")]
    Value,
}
