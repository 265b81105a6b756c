//! Text and bytes: `spec/content.md`, section "Text".

use bytes::Bytes;

use super::{Content, EncodeError, FromContent, IntoContent, Malformed, tag};

/// Without a copy.
impl IntoContent for String {
    fn into_content(self) -> Result<Content, EncodeError> {
        Ok(Content { tag: tag::TEXT, body: self.into() })
    }
}

/// With one copy.
impl IntoContent for &str {
    fn into_content(self) -> Result<Content, EncodeError> {
        self.to_owned().into_content()
    }
}

/// With one copy.
impl IntoContent for &String {
    fn into_content(self) -> Result<Content, EncodeError> {
        self.as_str().into_content()
    }
}

/// Without a copy where nobody else holds the bytes.
impl FromContent for String {
    const TAGS: Option<&'static [u16]> = Some(&[tag::TEXT]);

    fn from_content(Content { tag, body }: Content) -> Result<Self, Malformed> {
        Self::from_utf8(body.into()).map_err(|error| {
            let wrong = error.utf8_error();
            Content { tag, body: error.into_bytes().into() }.malformed(wrong)
        })
    }
}

/// Without a copy.
impl IntoContent for Bytes {
    fn into_content(self) -> Result<Content, EncodeError> {
        Ok(Content { tag: tag::BYTES, body: self })
    }
}

/// Without a copy.
impl IntoContent for &Bytes {
    fn into_content(self) -> Result<Content, EncodeError> {
        self.clone().into_content()
    }
}

/// Without a copy.
impl IntoContent for Vec<u8> {
    fn into_content(self) -> Result<Content, EncodeError> {
        Bytes::from(self).into_content()
    }
}

/// With one copy.
impl IntoContent for &[u8] {
    fn into_content(self) -> Result<Content, EncodeError> {
        Bytes::copy_from_slice(self).into_content()
    }
}

/// Without a copy.
impl FromContent for Bytes {
    const TAGS: Option<&'static [u16]> = Some(&[tag::BYTES]);

    fn from_content(content: Content) -> Result<Self, Malformed> {
        Ok(content.body)
    }
}

/// Without a copy where nobody else holds the bytes.
impl FromContent for Vec<u8> {
    const TAGS: Option<&'static [u16]> = Some(&[tag::BYTES]);

    fn from_content(content: Content) -> Result<Self, Malformed> {
        Ok(content.body.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::DecodeError;

    #[test]
    fn text_is_utf_8_and_nothing_else() {
        for text in ["", "a", "zero \0 inside", "\u{feff}mark kept", "\u{10ffff}", "naïve 文字 🦀"] {
            let content = text.into_content().unwrap();
            assert_eq!((content.tag, &content.body[..]), (1, text.as_bytes()));
            assert_eq!(content.get::<String>().unwrap(), text);
            assert!(matches!(content.get::<Bytes>(), Err(DecodeError::Tag { tag: 1 })), "text is no bytes");
        }
        for bytes in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xe2\x82"] {
            let content = Content { tag: 1, body: Bytes::from_static(bytes) };
            assert!(matches!(content.get::<String>(), Err(DecodeError::Utf8(_))), "{bytes:?}");
        }
    }

    #[test]
    fn owned_text_and_bytes_are_not_copied() {
        let text = "x".repeat(100);
        let at = text.as_ptr();
        let content = text.into_content().unwrap();
        assert_eq!(content.body.as_ptr(), at);
        let text = String::from_content(content).unwrap();
        assert_eq!(text.as_ptr(), at);
        let content = text.into_bytes().into_content().unwrap();
        assert_eq!((content.tag, content.body.as_ptr()), (0, at));
        let bytes = Vec::from_content(content).unwrap();
        assert_eq!(bytes.as_ptr(), at);
    }
}
