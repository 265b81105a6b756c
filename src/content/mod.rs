//! What messages hold: text, bytes, n-dimensional arrays, images and values of any type that serde knows.
//!
//! A message carries what it is as its content tag. Asking for another kind than what is next says so and leaves it
//! where it is; whatever is received is there to its last byte, or not at all. `spec/content.md` has the bytes.
//!
//! On a [`Connection`](crate::Connection) there is a pair of methods for each kind; [`Connection::on`] does the same on
//! one channel, for at most some time, or without waiting:
//!
//! ```
//! # use udpair::{Config, Connection, Listener, udp};
//! # let any = "127.0.0.1:0".parse()?;
//! # let listener = Listener::new(udp::bind(any, Config::insecure_plain())?);
//! # let here = Connection::connect(&udp::bind(any, Config::insecure_plain())?, listener.local_addr())?;
//! # let there = listener.accept()?;
//! here.send_text("a line of text")?;
//! here.send_array(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
//! here.on(7).send_bytes("on a channel of its own")?;
//!
//! assert!(there.recv_array().is_err(), "text is next, and stays next");
//! assert_eq!(there.recv_text()?, "a line of text");
//! assert_eq!(there.recv_array()?.shape(), [2, 3]);
//! assert_eq!(there.on(7).within(std::time::Duration::from_secs(1)).recv_bytes()?, "on a channel of its own");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Types of an application's own become content by [`IntoContent`] and [`FromContent`], with a tag from
//! [`tag::APPLICATION_MIN`] on.
//!
//! This floor knows the handles of the transport and nothing below them.
//!
//! [`Connection::on`]: crate::Connection::on

use bytes::Bytes;

mod array;
mod contents;
mod error;
mod image;
mod text;
#[cfg(feature = "serde")]
mod value;

pub use array::{
    Array, ArrayError, DIMENSIONS_MAX, DType, DTypeError, Element, Endian, ItemsError, Kind, NpyError, Order,
};
pub use contents::{CONTENT_LEN_MAX, Contents};
pub use error::{DecodeError, EncodeError, Malformed, RecvContentError, SendContentError};
#[cfg(feature = "image")]
pub use image::DecodeImageError;
pub use image::{Image, ImageError, ImageFormat, PixelItem};
#[cfg(feature = "serde")]
pub use value::Value;

/// What content tags mean: `spec/content.md`, section "Tags".
pub mod tag {
    /// Bytes that are nothing in particular; also what [`Connection::send`](crate::Connection::send) sends.
    pub const BYTES: u16 = 0;
    /// Text in UTF-8.
    pub const TEXT: u16 = 1;
    /// An n-dimensional array as an NPY file.
    pub const ARRAY: u16 = 2;
    /// An image as a PNG file.
    pub const PNG: u16 = 3;
    /// An image as a JPEG file.
    pub const JPEG: u16 = 4;
    /// A value in MessagePack.
    pub const VALUE: u16 = 5;
    /// From here on tags are the applications'; those below that are not named here are reserved.
    pub const APPLICATION_MIN: u16 = 32_768;

    /// What a tag is called, for people.
    #[must_use]
    pub const fn name(tag: u16) -> &'static str {
        match tag {
            BYTES => "bytes",
            TEXT => "text",
            ARRAY => "an array",
            PNG => "a PNG image",
            JPEG => "a JPEG image",
            VALUE => "a value",
            APPLICATION_MIN.. => "of an application's own kind",
            _ => "of a kind not known here",
        }
    }
}

/// The content of a message: its bytes, and what they are. Cheap to clone: it can be kept, sent again, and looked at as
/// often as wanted. Received as it is, it is a message of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What the bytes are: see [`tag`].
    pub tag: u16,
    /// All of them.
    pub body: Bytes,
}

impl Content {
    /// What it holds, if it is a `T`. Does not block.
    ///
    /// # Errors
    /// [`DecodeError::Tag`] where it is something else; else what is wrong with it.
    pub fn get<T: FromContent>(&self) -> Result<T, DecodeError> {
        if T::TAGS.is_some_and(|tags| !tags.contains(&self.tag)) {
            return Err(DecodeError::Tag { tag: self.tag });
        }
        T::from_content(self.clone()).map_err(|malformed| malformed.source)
    }

    /// The content handed back, with what is wrong with it; for implementors of [`FromContent`].
    #[must_use]
    pub fn malformed(self, source: impl Into<DecodeError>) -> Malformed {
        Malformed { content: self, source: source.into() }
    }
}

/// What can be sent: becomes bytes and a tag. With at most one copy for what is here.
pub trait IntoContent {
    /// Does not block.
    ///
    /// # Errors
    /// What cannot be sent as what it claims to be; nothing was sent then.
    fn into_content(self) -> Result<Content, EncodeError>;
}

/// What can be received: made of bytes and a tag.
pub trait FromContent: Sized {
    /// The tags that it can be made of; `None`: any.
    const TAGS: Option<&'static [u16]>;

    /// `content` has one of the [`TAGS`](Self::TAGS). The bytes are a peer's: whatever they are, this must return, and
    /// must not take more memory than some small multiple of their length. Does not block.
    ///
    /// # Errors
    /// What is wrong with the bytes, and the bytes themselves.
    fn from_content(content: Content) -> Result<Self, Malformed>;
}

impl IntoContent for Content {
    fn into_content(self) -> Result<Content, EncodeError> {
        Ok(self)
    }
}

impl IntoContent for &Content {
    fn into_content(self) -> Result<Content, EncodeError> {
        Ok(self.clone())
    }
}

impl FromContent for Content {
    const TAGS: Option<&'static [u16]> = None;

    fn from_content(content: Content) -> Result<Self, Malformed> {
        Ok(content)
    }
}
