//! What messages hold, in the words of `spec/vectors/README.md`.

use std::collections::BTreeMap;

use bytes::Bytes;
use udpair::content::{
    Array, Content, DTypeError, DecodeError, Image, ImageError, ImageFormat, IntoContent, NpyError, Order, tag,
};

use super::format::{bytes, hex};

/// What `body` under `tag` means, or what is wrong with it.
pub(crate) fn meaning(tag: u16, body: &[u8]) -> Result<String, String> {
    let content = Content { tag, body: Bytes::copy_from_slice(body) };
    let meaning = match tag {
        tag::BYTES => content.get::<Bytes>().map(|bytes| format!("BYTES bytes={}", hex(&bytes))),
        tag::TEXT => content.get::<String>().map(|text| format!("TEXT text={}", hex(text.as_bytes()))),
        tag::ARRAY => content.get::<Array>().map(|array| self::array(&array)),
        tag::PNG | tag::JPEG => content.get::<Image>().map(|image| {
            let format = if image.format() == ImageFormat::Png { "png" } else { "jpeg" };
            format!("IMAGE format={format} file={}", hex(image.file().expect("a file")))
        }),
        tag::VALUE => value(&content),
        _ => Ok(format!("OTHER bytes={}", hex(&content.body))),
    };
    meaning.map_err(|error| self::error(&error))
}

fn array(array: &Array) -> String {
    let shape: Vec<String> = array.shape().iter().map(usize::to_string).collect();
    let shape = if shape.is_empty() { "scalar".to_owned() } else { shape.join("x") };
    let order = if array.order() == Order::Fortran { "fortran" } else { "c" };
    format!("ARRAY dtype={} order={order} shape={shape} data={}", array.dtype(), hex(array.data()))
}

fn error(error: &DecodeError) -> String {
    match error {
        DecodeError::Utf8(_) => "utf-8".to_owned(),
        DecodeError::Array(NpyError::Truncated) => "truncated".to_owned(),
        DecodeError::Array(NpyError::Magic) => "magic".to_owned(),
        DecodeError::Array(NpyError::Version { major, minor }) => format!("version {major}.{minor}"),
        DecodeError::Array(NpyError::Header) => "header".to_owned(),
        DecodeError::Array(NpyError::DType(DTypeError::Object)) => "object".to_owned(),
        DecodeError::Array(NpyError::DType(_)) => "dtype".to_owned(),
        DecodeError::Array(NpyError::Shape) => "shape".to_owned(),
        DecodeError::Array(NpyError::Length { .. }) => "length".to_owned(),
        DecodeError::Image(ImageError::Signature) => "signature".to_owned(),
        DecodeError::Image(ImageError::Pixels) => "pixels".to_owned(),
        DecodeError::Value(_) => "value".to_owned(),
        other => panic!("no word for {other}"),
    }
}

/// The content that `line` says; of what has no kind here, `tag` is the tag.
pub(crate) fn write(line: &str, tag: u16) -> Content {
    let (word, fields) = line.split_once(' ').expect("a word and fields");
    let fields: BTreeMap<&str, &str> =
        fields.split(' ').map(|field| field.split_once('=').expect("a field and its value")).collect();
    let content = match word {
        "BYTES" => bytes(fields["bytes"]).into_content(),
        "TEXT" => String::from_utf8(bytes(fields["text"])).expect("UTF-8").into_content(),
        "ARRAY" => {
            let shape: Vec<usize> = match fields["shape"] {
                "scalar" => Vec::new(),
                shape => shape.split('x').map(|len| len.parse().expect("a length")).collect(),
            };
            let order = if fields["order"] == "fortran" { Order::Fortran } else { Order::C };
            let dtype = fields["dtype"].parse().expect("a type");
            Array::from_data(dtype, &shape, order, &bytes(fields["data"])).expect("an array").into_content()
        }
        "IMAGE" => Image::from_file(bytes(fields["file"])).expect("a file").into_content(),
        "VALUE" => write_value(fields["json"]),
        "OTHER" => Ok(Content { tag, body: bytes(fields["bytes"]).into() }),
        _ => panic!("no content: {line}"),
    };
    content.expect("what a vector says can be sent")
}

#[cfg(feature = "serde")]
fn value(content: &Content) -> Result<String, DecodeError> {
    use udpair::content::Value;
    content.get::<Value<serde_json::Value>>().map(|value| format!("VALUE json={}", value.0))
}

#[cfg(feature = "serde")]
fn write_value(json: &str) -> Result<Content, udpair::content::EncodeError> {
    let value: serde_json::Value = serde_json::from_str(json).expect("JSON");
    udpair::content::Value(value).into_content()
}

#[cfg(not(feature = "serde"))]
fn value(_: &Content) -> Result<String, DecodeError> {
    panic!("values are not checked without the feature")
}

#[cfg(not(feature = "serde"))]
fn write_value(_: &str) -> Result<Content, udpair::content::EncodeError> {
    panic!("values are not checked without the feature")
}
