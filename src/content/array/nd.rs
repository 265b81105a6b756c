//! Arrays of the crate `ndarray`.

use ndarray::{ArrayBase, ArrayViewD, Data, Dimension, IxDyn, ShapeBuilder, ShapeError};

use super::{Array, ArrayError, Element, ItemsError, Order};
use crate::content::{Content, DecodeError, EncodeError, FromContent, IntoContent, Malformed};

impl Array {
    /// The items as an array of `ndarray`'s, without a copy.
    ///
    /// # Errors
    /// As [`as_slice`](Self::as_slice).
    pub fn as_ndarray<T: Element>(&self) -> Result<ArrayViewD<'_, T>, ItemsError> {
        let items = self.as_slice()?;
        Ok(ArrayViewD::from_shape(self.dimensions(), items).expect("as many items as the shape takes"))
    }

    fn dimensions(&self) -> ndarray::StrideShape<IxDyn> {
        IxDyn(self.shape()).set_f(self.order() == Order::Fortran).into()
    }

    /// The items, copied, as an array of `ndarray`'s with as many dimensions as `D` has. It keeps its order.
    ///
    /// # Errors
    /// [`ItemsError`], or that there is another number of dimensions.
    pub fn to_ndarray<T: Element, D: Dimension>(&self) -> Result<ndarray::Array<T, D>, DecodeError> {
        let items = self.items::<T>().map_err(|error| DecodeError::Items(error.into()))?;
        let array = ndarray::ArrayD::from_shape_vec(self.dimensions(), items.into_owned());
        let array = array.and_then(ndarray::ArrayD::into_dimensionality);
        array.map_err(|error: ShapeError| DecodeError::Items(error.into()))
    }
}

/// With one copy, in Fortran order where the array is, else in C order.
impl<S: Data<Elem: Element>, D: Dimension> TryFrom<&ArrayBase<S, D>> for Array {
    type Error = ArrayError;

    fn try_from(array: &ArrayBase<S, D>) -> Result<Self, ArrayError> {
        let dtype = <S::Elem as Element>::DTYPE;
        if let Some(items) = array.as_slice() {
            return Self::from_data(dtype, array.shape(), Order::C, bytemuck::cast_slice(items));
        }
        let turned = array.t();
        if let Some(items) = turned.as_slice() {
            return Self::from_data(dtype, array.shape(), Order::Fortran, bytemuck::cast_slice(items));
        }
        // It is a part of a larger one, or turned round: item by item.
        let header = super::Header { dtype, shape: array.shape().to_vec(), order: Order::C };
        let len = header.data_len().ok_or(ArrayError::Shape)?;
        let mut npy = header.write(len);
        let data_at = npy.len();
        array.iter().for_each(|item| npy.extend_from_slice(bytemuck::bytes_of(item)));
        Ok(Self { npy: npy.into(), data_at, header })
    }
}

/// With one copy.
impl<S: Data<Elem: Element>, D: Dimension> IntoContent for &ArrayBase<S, D> {
    fn into_content(self) -> Result<Content, EncodeError> {
        Array::try_from(self)?.into_content()
    }
}

/// With one copy.
impl<S: Data<Elem: Element>, D: Dimension> IntoContent for ArrayBase<S, D> {
    fn into_content(self) -> Result<Content, EncodeError> {
        (&self).into_content()
    }
}

/// With one copy.
impl<T: Element, D: Dimension> FromContent for ndarray::Array<T, D> {
    const TAGS: Option<&'static [u16]> = Array::TAGS;

    fn from_content(content: Content) -> Result<Self, Malformed> {
        let array = Array::from_content(content.clone())?;
        array.to_ndarray().map_err(|error| content.malformed(error))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array0, Array1, Array2, Array3, ArrayD, Axis, s};

    use super::*;

    fn back<T: Element + core::fmt::Debug, D: Dimension>(array: &ndarray::Array<T, D>, order: Order) {
        let content = array.into_content().unwrap();
        let untyped = content.get::<Array>().unwrap();
        assert_eq!((untyped.shape(), untyped.order()), (array.shape(), order));
        assert_eq!(untyped.as_ndarray::<T>().unwrap(), array.view().into_dyn());
        assert_eq!(content.get::<ndarray::Array<T, D>>().unwrap(), array);
    }

    #[test]
    fn arrays_of_every_layout_come_back() {
        let plain = Array3::from_shape_fn((3, 4, 5), |(x, y, z)| x * 100 + y * 10 + z).mapv(|item| item as u64);
        back(&plain, Order::C);
        back(&plain.t().to_owned(), Order::Fortran);
        back(&Array3::from_shape_vec((3, 4, 5).f(), (0..60_i16).collect()).unwrap(), Order::Fortran);
        back(&Array0::from_elem((), 1.5_f64), Order::C);
        back(&Array1::<f32>::from_vec(vec![]), Order::C);
        back(&Array2::<bool>::from_elem((0, 3), true), Order::C);
        back(&Array2::from_elem((2, 2), num_complex::Complex::new(1.0_f64, -2.0)), Order::C);
        for part in [
            plain.slice(s![..;2, 1..3, ..]),
            plain.slice(s![.., ..;-1, ..]),
            plain.index_axis(Axis(1), 2).insert_axis(Axis(0)),
        ] {
            let content = (&part).into_content().unwrap();
            assert_eq!(content.get::<Array3<u64>>().unwrap(), part);
            assert_eq!(part.into_content().unwrap(), content);
        }
    }

    #[test]
    fn other_dimensions_or_items_are_told() {
        let content = Array2::<f64>::zeros((2, 3)).into_content().unwrap();
        assert!(content.get::<ArrayD<f64>>().is_ok());
        let malformed = Array3::<f64>::from_content(content.clone()).unwrap_err();
        assert!(matches!(malformed.source, DecodeError::Items(_)));
        assert_eq!(malformed.content, content);
        assert!(matches!(content.get::<Array2<f32>>(), Err(DecodeError::Items(_))));
    }

    #[test]
    fn bytes_of_the_other_order_are_turned_round() {
        let other = if cfg!(target_endian = "big") { "<i2" } else { ">i2" };
        let data: Vec<u8> =
            [1_i16, -2, 300, 4, 5, -6].iter().flat_map(|item| item.swap_bytes().to_ne_bytes()).collect();
        let array = Array::from_data(other.parse().unwrap(), &[2, 3], Order::Fortran, &data).unwrap();
        assert!(array.as_ndarray::<i16>().is_err());
        let expected = ndarray::arr2(&[[1_i16, 300, 5], [-2, 4, -6]]);
        assert_eq!(array.to_ndarray::<i16, ndarray::Ix2>().unwrap(), expected);
    }
}
