//! Rust's types that items of an array can be.

use bytemuck::{CheckedBitPattern, NoUninit};

use super::{DType, Kind};

/// A Rust type whose values are what NumPy's items of one type are, byte for byte: `bool`, the integers and floats up
/// to 64 bits and, as complex numbers, pairs of floats (`[f32; 2]`, `[f64; 2]`; with feature `ndarray` also
/// `num_complex::Complex`). Items of other types (`f2`, `long double`) can be had as bytes.
///
/// Sealed: that the bytes match is this crate's promise.
pub trait Element: NoUninit + CheckedBitPattern + PartialEq + sealed::Sealed {
    /// The type of its items, in this machine's order of bytes.
    const DTYPE: DType;
}

mod sealed {
    /// Nobody else can implement it.
    pub trait Sealed {}
}

macro_rules! elements {
    ($($type:ty: $kind:ident;)*) => { $(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: DType = DType::native(Kind::$kind, size_of::<$type>());
        }
    )* };
}

elements! {
    bool: Bool;
    i8: Int;
    i16: Int;
    i32: Int;
    i64: Int;
    u8: Uint;
    u16: Uint;
    u32: Uint;
    u64: Uint;
    f32: Float;
    f64: Float;
    [f32; 2]: Complex;
    [f64; 2]: Complex;
}

#[cfg(feature = "ndarray")]
elements! {
    num_complex::Complex<f32>: Complex;
    num_complex::Complex<f64>: Complex;
}
