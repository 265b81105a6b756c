//! Images: files as they are, or pixels. `spec/content.md`, section "Images".

use core::fmt;

use bytes::Bytes;

use super::{Array, ArrayError, Content, Element, EncodeError, FromContent, IntoContent, Kind, Malformed, Order, tag};

#[cfg(feature = "image")]
mod pixels;

#[cfg(feature = "image")]
pub use pixels::DecodeImageError;

/// What PNG files begin with.
const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// What JPEG files begin with.
const JPEG_SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// How an image is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageFormat {
    /// A PNG file.
    Png,
    /// A JPEG file.
    Jpeg,
    /// Pixels: an array of rows, columns and components.
    Pixels,
}

/// An image: a PNG or JPEG file, which is passed through as it is, or pixels. To encode and decode files takes feature
/// `image`, or whatever the application has for it; to send and receive them takes nothing.
///
/// ```
/// use udpair::content::Image;
///
/// let grey = vec![128_u8; 640 * 480 * 3];
/// let image = Image::from_pixels(&grey, 640, 480, 3)?;
/// assert_eq!(image.pixels().map(|array| array.shape()), Some(&[480, 640, 3][..]));
/// # Ok::<(), udpair::content::ArrayError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    held: Held,
}

#[derive(Clone, PartialEq, Eq)]
enum Held {
    Png(Bytes),
    Jpeg(Bytes),
    Pixels(Array),
}

impl Image {
    /// Takes the bytes of a PNG or JPEG file, whichever they are. Only their beginning is looked at.
    ///
    /// # Errors
    /// [`ImageError::Signature`].
    pub fn from_file(bytes: impl Into<Bytes>) -> Result<Self, ImageError> {
        let bytes = bytes.into();
        let held = if bytes.starts_with(PNG_SIGNATURE) {
            Held::Png(bytes)
        } else if bytes.starts_with(JPEG_SIGNATURE) {
            Held::Jpeg(bytes)
        } else {
            return Err(ImageError::Signature);
        };
        Ok(Self { held })
    }

    /// Copies pixels: row by row from the top, in each from the left, `components` items for each pixel (1 grey, 2 grey
    /// and alpha, 3 red, green and blue, 4 with alpha) of which the full light is 255, 65,535 or 1.0.
    ///
    /// # Errors
    /// [`ArrayError`], where that takes another number of items, or components are not 1 to 4.
    pub fn from_pixels<T: PixelItem>(
        items: &[T],
        width: usize,
        height: usize,
        components: usize,
    ) -> Result<Self, ArrayError> {
        let array = Array::from_slice(items, &[height, width, components])?;
        Self::from_array(array).map_err(|_| ArrayError::Shape)
    }

    /// Takes an array of rows, columns and, unless they are single items, components, as in
    /// [`from_pixels`](Self::from_pixels).
    ///
    /// # Errors
    /// [`ImageError::Pixels`].
    pub fn from_array(array: Array) -> Result<Self, ImageError> {
        let known = match (array.dtype().kind(), array.dtype().size()) {
            (Kind::Uint, 1 | 2) | (Kind::Float, 4) => array.order() == Order::C,
            _ => false,
        };
        match array.shape() {
            [_, _] | [_, _, 1..=4] if known => Ok(Self { held: Held::Pixels(array) }),
            _ => Err(ImageError::Pixels),
        }
    }

    /// How it is there.
    #[must_use]
    pub const fn format(&self) -> ImageFormat {
        match self.held {
            Held::Png(_) => ImageFormat::Png,
            Held::Jpeg(_) => ImageFormat::Jpeg,
            Held::Pixels(_) => ImageFormat::Pixels,
        }
    }

    /// The bytes of the file; `None` where it is pixels.
    #[must_use]
    pub const fn file(&self) -> Option<&Bytes> {
        match &self.held {
            Held::Png(bytes) | Held::Jpeg(bytes) => Some(bytes),
            Held::Pixels(_) => None,
        }
    }

    /// The pixels: height, width and, if there are three dimensions, components. `None` where it is a file.
    #[must_use]
    pub const fn pixels(&self) -> Option<&Array> {
        match &self.held {
            Held::Pixels(array) => Some(array),
            Held::Png(_) | Held::Jpeg(_) => None,
        }
    }
}

/// What components of pixels can be: `u8`, `u16` and `f32`.
pub trait PixelItem: Element {}

impl PixelItem for u8 {}
impl PixelItem for u16 {}
impl PixelItem for f32 {}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Image");
        out.field("format", &self.format());
        match &self.held {
            Held::Png(bytes) | Held::Jpeg(bytes) => out.field("len", &bytes.len()),
            Held::Pixels(array) => out.field("pixels", array),
        };
        out.finish_non_exhaustive()
    }
}

/// Without a copy.
impl IntoContent for Image {
    fn into_content(self) -> Result<Content, EncodeError> {
        match self.held {
            Held::Png(body) => Ok(Content { tag: tag::PNG, body }),
            Held::Jpeg(body) => Ok(Content { tag: tag::JPEG, body }),
            Held::Pixels(array) => array.into_content(),
        }
    }
}

/// Without a copy.
impl IntoContent for &Image {
    fn into_content(self) -> Result<Content, EncodeError> {
        self.clone().into_content()
    }
}

impl From<&Self> for Image {
    fn from(image: &Self) -> Self {
        image.clone()
    }
}

/// Without a copy.
impl FromContent for Image {
    const TAGS: Option<&'static [u16]> = Some(&[tag::PNG, tag::JPEG, tag::ARRAY]);

    fn from_content(content: Content) -> Result<Self, Malformed> {
        if content.tag == tag::ARRAY {
            let array = Array::from_content(content.clone())?;
            return Self::from_array(array).map_err(|error| content.malformed(error));
        }
        let format = if content.tag == tag::PNG { ImageFormat::Png } else { ImageFormat::Jpeg };
        match Self::from_file(content.body.clone()) {
            Ok(image) if image.format() == format => Ok(image),
            _ => Err(content.malformed(ImageError::Signature)),
        }
    }
}

/// Why something is no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// It does not begin as a PNG or JPEG file does, or not as the one that it was sent as.
    #[error("this is no PNG or JPEG file")]
    Signature,
    /// It is an array, and not one of rows, columns and components from the top left: `u1`, `u2` or `f4` in C order.
    #[error("this array is no image")]
    Pixels,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::DecodeError;

    #[test]
    fn files_are_known_by_their_beginning_and_passed_through() {
        let png = [PNG_SIGNATURE, b"whatever"].concat();
        let jpeg = [JPEG_SIGNATURE, b"\xe0"].concat();
        for (file, format, tag) in [(png, ImageFormat::Png, 3), (jpeg, ImageFormat::Jpeg, 4)] {
            let image = Image::from_file(file.clone()).unwrap();
            assert_eq!((image.format(), image.pixels()), (format, None));
            let content = image.into_content().unwrap();
            assert_eq!((content.tag, &content.body[..]), (tag, &file[..]));
            let image: Image = content.get().unwrap();
            assert_eq!((image.format(), image.file()), (format, Some(&content.body)));
            // Under the other's tag, or cut off.
            for (tag, len) in [(7 - tag, file.len()), (tag, 2), (tag, 0)] {
                let wrong = Content { tag, body: content.body.slice(..len) };
                let malformed = Image::from_content(wrong.clone()).unwrap_err();
                assert!(matches!(malformed.source, DecodeError::Image(ImageError::Signature)));
                assert_eq!(malformed.content, wrong);
            }
        }
        for bytes in [&b""[..], b"\x89PNG\r\n\x1a", b"\xff\xd8", b"GIF89a", b"\x93NUMPY"] {
            assert_eq!(Image::from_file(bytes), Err(ImageError::Signature), "{bytes:?}");
        }
    }

    #[test]
    fn arrays_of_rows_columns_and_components_are_images_and_others_are_not() {
        let array = |descr: &str, shape: &[usize], order| {
            let dtype: crate::content::DType = descr.parse().unwrap();
            Array::from_data(dtype, shape, order, &vec![0; shape.iter().product::<usize>() * dtype.size()]).unwrap()
        };
        for descr in ["|u1", "<u2", ">u2", "<f4", ">f4"] {
            for shape in [&[2, 3][..], &[2, 3, 1], &[2, 3, 2], &[2, 3, 3], &[2, 3, 4], &[0, 0, 3]] {
                let pixels = array(descr, shape, Order::C);
                let content = (&pixels).into_content().unwrap();
                assert_eq!(content.get::<Image>().unwrap().pixels(), Some(&pixels));
            }
        }
        for (descr, shape, order) in [
            ("|u1", &[3][..], Order::C),
            ("|u1", &[2, 3, 0], Order::C),
            ("|u1", &[2, 3, 5], Order::C),
            ("|u1", &[2, 3, 3, 1], Order::C),
            ("|u1", &[2, 3, 3], Order::Fortran),
            ("|i1", &[2, 3, 3], Order::C),
            ("<f8", &[2, 3, 3], Order::C),
            ("|b1", &[2, 3, 3], Order::C),
        ] {
            let content = array(descr, shape, order).into_content().unwrap();
            assert!(matches!(content.get::<Image>(), Err(DecodeError::Image(ImageError::Pixels))), "{descr} {shape:?}");
            assert!(content.get::<Array>().is_ok());
        }
        assert_eq!(Image::from_pixels(&[0_u8; 24], 4, 2, 3).unwrap().pixels().unwrap().shape(), [2, 4, 3]);
        assert_eq!(Image::from_pixels(&[0_u8; 40], 4, 2, 5), Err(ArrayError::Shape));
        assert_eq!(Image::from_pixels(&[0_u8; 24], 4, 2, 4), Err(ArrayError::Length { len: 24, expected: 32 }));
    }
}
