//! Values of any type that serde knows, in MessagePack: `spec/content.md`, section "Values".

use rmp_serde::{Deserializer, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Content, DecodeError, EncodeError, FromContent, IntoContent, Malformed, tag};

/// How deep lists and maps may stand inside each other: each costs some stack.
const DEPTH_MAX: usize = 128;

/// A value of any type that serde knows. Structures go as maps by the names of their fields: the two sides may be of
/// different versions, as far as serde's attributes let them be. To send, it may hold a reference.
///
/// ```
/// use udpair::content::{Content, IntoContent, Value};
///
/// let content = Value(&("answer", 42)).into_content()?;
/// assert_eq!(content.get::<Value<(String, u8)>>()?.0, ("answer".to_owned(), 42));
/// assert!(content.get::<Value<String>>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Value<T>(pub T);

impl<T: Serialize> IntoContent for Value<T> {
    fn into_content(self) -> Result<Content, EncodeError> {
        let body = encode::to_vec_named(&self.0).map_err(|error| EncodeError::Value(error.into()))?;
        Ok(Content { tag: tag::VALUE, body: body.into() })
    }
}

impl<T: DeserializeOwned> FromContent for Value<T> {
    const TAGS: Option<&'static [u16]> = Some(&[tag::VALUE]);

    fn from_content(content: Content) -> Result<Self, Malformed> {
        let mut rest = &content.body[..];
        let mut input = Deserializer::new(&mut rest);
        input.set_max_depth(DEPTH_MAX);
        let value = T::deserialize(&mut input).map_err(|error| DecodeError::Value(error.into()));
        let value = match value {
            Ok(_) if !rest.is_empty() => Err(DecodeError::Value(Surplus { len: rest.len() }.into())),
            value => value,
        };
        value.map(Self).map_err(|error| content.malformed(error))
    }
}

/// A value is one object, and no byte behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes behind the value")]
struct Surplus {
    len: usize,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Position {
        x: f64,
        y: f64,
        #[serde(default)]
        label: Option<String>,
        kind: Shape,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Point,
        Circle(u32),
        Box { width: i64, height: i64 },
    }

    fn round<T: Serialize + DeserializeOwned + PartialEq + core::fmt::Debug>(value: &T) {
        let content = Value(value).into_content().unwrap();
        assert_eq!(content.tag, 5);
        assert_eq!(content.get::<Value<T>>().unwrap().0, *value);
        // Neither a byte less nor a byte more.
        for len in 0..content.body.len() {
            let cut = Content { tag: 5, body: content.body.slice(..len) };
            assert!(cut.get::<Value<T>>().is_err(), "{len} of {} bytes", content.body.len());
        }
        let more = Content { tag: 5, body: [&content.body[..], &[0xc0]].concat().into() };
        assert!(more.get::<Value<T>>().is_err());
    }

    #[test]
    fn values_of_many_types_come_back() {
        round(&());
        round(&true);
        round(&u64::MAX);
        round(&i64::MIN);
        round(&-1.5_f32);
        round(&'🦀');
        round(&"text".to_owned());
        round(&Some(Some(3_u8)));
        round(&None::<u8>);
        round(&vec![1_u16, 2, 300]);
        round(&BTreeMap::from([("a".to_owned(), vec![1]), ("b".to_owned(), vec![])]));
        for kind in [Shape::Point, Shape::Circle(70_000), Shape::Box { width: -1, height: 1 }] {
            round(&kind);
            round(&Position { x: 1.0, y: f64::MIN_POSITIVE, label: Some("here".to_owned()), kind });
        }
    }

    #[test]
    fn a_structure_of_another_version_is_read_as_far_as_it_goes() {
        #[derive(Serialize)]
        struct Newer {
            kind: Shape,
            added: Vec<BTreeMap<String, u8>>,
            y: f64,
            x: f64,
        }
        let newer = Newer { kind: Shape::Point, added: vec![BTreeMap::new()], y: 2.0, x: 1.0 };
        let read = Value(newer).into_content().unwrap().get::<Value<Position>>().unwrap().0;
        assert_eq!(read, Position { x: 1.0, y: 2.0, label: None, kind: Shape::Point });
    }

    #[test]
    fn another_type_is_an_error_and_the_bytes_come_back() {
        let content = Value("text").into_content().unwrap();
        let malformed = Value::<u8>::from_content(content.clone()).unwrap_err();
        assert_eq!(malformed.content, content);
        assert!(matches!(malformed.source, DecodeError::Value(_)));
    }

    #[test]
    fn lists_inside_lists_and_claims_of_length_take_no_memory_and_no_stack() {
        #[derive(Debug, Deserialize)]
        struct Nested(#[expect(dead_code, reason = "only that it can be read counts")] Vec<Self>);
        let deep = Content { tag: 5, body: vec![0x91; 1 << 20].into() };
        assert!(deep.get::<Value<Nested>>().is_err());
        assert!(deep.get::<Value<serde::de::IgnoredAny>>().is_err());
        for claim in
            [&b"\xdd\xff\xff\xff\xff"[..], b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]
        {
            let content = Content { tag: 5, body: Bytes::from_static(claim) };
            assert!(content.get::<Value<Vec<u64>>>().is_err());
            assert!(content.get::<Value<BTreeMap<String, u64>>>().is_err());
            assert!(content.get::<Value<String>>().is_err());
        }
    }
}
