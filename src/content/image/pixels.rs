//! Images of the crate `image`: files are decoded, pixels taken as they are.

use std::io::Cursor;

use image::{DynamicImage, ImageBuffer, ImageReader, Limits, Pixel};

use super::{Held, Image, PixelItem};
use crate::content::{Array, Content, DecodeError, EncodeError, FromContent, IntoContent, ItemsError, Malformed};

/// What decoding a file may take, in bytes: a picture of 8,192 x 8,192 pixels with four components of a byte.
const DECODED_LEN_MAX: u64 = 256 << 20;

/// Why an image cannot be had as pixels.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeImageError {
    /// The file is damaged, or takes more than 256 MiB when it is decoded.
    #[error("the file cannot be decoded")]
    File(#[from] image::ImageError),
    /// The crate `image` has no such pixels: floats of one or two components, or more of them than 32 bits count.
    #[error("pixels of this kind are not supported")]
    Unsupported,
    /// The items cannot be had.
    #[error(transparent)]
    Items(#[from] ItemsError),
}

impl Image {
    /// The image as the crate `image` has it: a file is decoded (into at most 256 MiB), pixels are copied. Does not
    /// block, but decoding takes its time.
    ///
    /// # Errors
    /// [`DecodeImageError`].
    pub fn decode(&self) -> Result<DynamicImage, DecodeImageError> {
        let (bytes, format) = match &self.held {
            Held::Png(bytes) => (bytes, image::ImageFormat::Png),
            Held::Jpeg(bytes) => (bytes, image::ImageFormat::Jpeg),
            Held::Pixels(array) => return from_array(array),
        };
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::default();
        limits.max_alloc = Some(DECODED_LEN_MAX);
        reader.limits(limits);
        Ok(reader.decode()?)
    }
}

fn from_array(array: &Array) -> Result<DynamicImage, DecodeImageError> {
    let components = array.shape().get(2).copied().unwrap_or(1);
    let size = array.dtype().size();
    match (size, components) {
        (1, 1) => buffer(array).map(DynamicImage::ImageLuma8),
        (1, 2) => buffer(array).map(DynamicImage::ImageLumaA8),
        (1, 3) => buffer(array).map(DynamicImage::ImageRgb8),
        (1, 4) => buffer(array).map(DynamicImage::ImageRgba8),
        (2, 1) => buffer(array).map(DynamicImage::ImageLuma16),
        (2, 2) => buffer(array).map(DynamicImage::ImageLumaA16),
        (2, 3) => buffer(array).map(DynamicImage::ImageRgb16),
        (2, 4) => buffer(array).map(DynamicImage::ImageRgba16),
        (4, 3) => buffer(array).map(DynamicImage::ImageRgb32F),
        (4, 4) => buffer(array).map(DynamicImage::ImageRgba32F),
        _ => Err(DecodeImageError::Unsupported),
    }
}

fn buffer<P>(array: &Array) -> Result<ImageBuffer<P, Vec<P::Subpixel>>, DecodeImageError>
where
    P: Pixel<Subpixel: PixelItem>,
{
    let length = |at: usize| u32::try_from(array.shape()[at]).map_err(|_| DecodeImageError::Unsupported);
    let items = array.items::<P::Subpixel>()?.into_owned();
    ImageBuffer::from_raw(length(1)?, length(0)?, items).ok_or(DecodeImageError::Unsupported)
}

fn to_array<P>(buffer: &ImageBuffer<P, Vec<P::Subpixel>>) -> Image
where
    P: Pixel<Subpixel: PixelItem>,
{
    let (width, height) = (buffer.width() as usize, buffer.height() as usize);
    // What is behind the last pixel belongs to none.
    let items = &buffer.as_raw()[..width * height * usize::from(P::CHANNEL_COUNT)];
    Image::from_pixels(items, width, height, P::CHANNEL_COUNT.into()).expect("as many items as the picture has")
}

/// Its pixels, with one copy.
impl From<&DynamicImage> for Image {
    fn from(image: &DynamicImage) -> Self {
        match image {
            DynamicImage::ImageLuma8(buffer) => to_array(buffer),
            DynamicImage::ImageLumaA8(buffer) => to_array(buffer),
            DynamicImage::ImageRgb8(buffer) => to_array(buffer),
            DynamicImage::ImageRgba8(buffer) => to_array(buffer),
            DynamicImage::ImageLuma16(buffer) => to_array(buffer),
            DynamicImage::ImageLumaA16(buffer) => to_array(buffer),
            DynamicImage::ImageRgb16(buffer) => to_array(buffer),
            DynamicImage::ImageRgba16(buffer) => to_array(buffer),
            DynamicImage::ImageRgb32F(buffer) => to_array(buffer),
            DynamicImage::ImageRgba32F(buffer) => to_array(buffer),
            // What later versions of the crate may have.
            other => to_array(&other.to_rgba32f()),
        }
    }
}

/// Its pixels, with one copy.
impl From<DynamicImage> for Image {
    fn from(image: DynamicImage) -> Self {
        (&image).into()
    }
}

/// Its pixels, with one copy.
impl IntoContent for &DynamicImage {
    fn into_content(self) -> Result<Content, EncodeError> {
        Image::from(self).into_content()
    }
}

/// Its pixels, with one copy.
impl IntoContent for DynamicImage {
    fn into_content(self) -> Result<Content, EncodeError> {
        (&self).into_content()
    }
}

/// Decoded, as by [`Image::decode`].
impl FromContent for DynamicImage {
    const TAGS: Option<&'static [u16]> = Image::TAGS;

    fn from_content(content: Content) -> Result<Self, Malformed> {
        let image = Image::from_content(content.clone())?;
        image.decode().map_err(|error| content.malformed(DecodeError::Other(error.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::ImageFormat;

    fn picture() -> DynamicImage {
        let pixel = |x: u32, y: u32| image::Rgb([x, y, x ^ y].map(|value| u8::try_from(value & 0xff).unwrap()));
        ImageBuffer::from_fn(31, 17, pixel).into()
    }

    fn file(format: image::ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn pixels_of_every_kind_come_back() {
        let picture = picture();
        for image in [
            DynamicImage::ImageLuma8(picture.to_luma8()),
            DynamicImage::ImageLumaA8(picture.to_luma_alpha8()),
            DynamicImage::ImageRgb8(picture.to_rgb8()),
            DynamicImage::ImageRgba8(picture.to_rgba8()),
            DynamicImage::ImageLuma16(picture.to_luma16()),
            DynamicImage::ImageLumaA16(picture.to_luma_alpha16()),
            DynamicImage::ImageRgb16(picture.to_rgb16()),
            DynamicImage::ImageRgba16(picture.to_rgba16()),
            DynamicImage::ImageRgb32F(picture.to_rgb32f()),
            DynamicImage::ImageRgba32F(picture.to_rgba32f()),
        ] {
            let content = (&image).into_content().unwrap();
            assert_eq!(content.get::<Image>().unwrap().format(), ImageFormat::Pixels);
            assert_eq!(content.get::<DynamicImage>().unwrap(), image);
        }
        let flat = Array::from_slice(&[1_u8, 2, 3, 4, 5, 6], &[2, 3]).unwrap().into_content().unwrap();
        assert_eq!(flat.get::<DynamicImage>().unwrap().to_luma8().get_pixel(2, 1).0, [6]);
        let grey = Image::from_pixels(&[0.5_f32; 6], 3, 2, 1).unwrap();
        assert!(matches!(grey.decode(), Err(DecodeImageError::Unsupported)));
    }

    #[test]
    fn files_are_passed_through_and_decoded_when_asked() {
        let png = file(image::ImageFormat::Png);
        let image = Image::from_file(png.clone()).unwrap();
        assert_eq!((image.format(), &image.file().unwrap()[..]), (ImageFormat::Png, &png[..]));
        assert_eq!(image.decode().unwrap(), picture());
        let jpeg = file(image::ImageFormat::Jpeg);
        let image = Image::from_file(jpeg.clone()).unwrap();
        let content = image.into_content().unwrap();
        assert_eq!((content.tag, &content.body[..]), (4, &jpeg[..]));
        assert_eq!(content.get::<DynamicImage>().unwrap().to_rgb8().dimensions(), (31, 17));
    }

    #[test]
    fn damaged_files_are_told_and_large_claims_take_no_memory() {
        for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg] {
            let bytes = file(format);
            let cut = Image::from_file(bytes[..bytes.len() / 3].to_vec()).unwrap();
            assert!(matches!(cut.decode(), Err(DecodeImageError::File(_))), "{format:?}");
        }
        // A picture of 2^31 - 1 pixels in each direction, by its header.
        let mut png = file(image::ImageFormat::Png);
        png[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        let sum = crc32fast::hash(&png[12..29]).to_be_bytes();
        png[29..33].copy_from_slice(&sum);
        assert!(matches!(Image::from_file(png).unwrap().decode(), Err(DecodeImageError::File(_))));
    }
}
