//! Reads the files of `spec/vectors`: the format that its README describes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One vector.
#[derive(Debug, Default)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is: Vec<String>,
    pub(crate) error: Option<String>,
    pub(crate) violation: Option<String>,
    pub(crate) expected: Option<u64>,
    /// A message's content tag.
    pub(crate) tag: Option<u16>,
    /// The receiver's, where it is not plain.
    pub(crate) mode: Option<String>,
    pub(crate) canonical: bool,
}

/// All vectors of a file.
pub(crate) fn load(file: &str) -> Vec<Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(text.is_ascii() && text.ends_with('\n'), "{file}");
    let mut names = BTreeSet::new();
    let mut vectors = Vec::new();
    for block in text.split("\n\n") {
        let lines = logical_lines(block);
        if lines.is_empty() {
            continue;
        }
        let vector = parse(file, &lines);
        assert!(names.insert(vector.name.clone()), "{file}: {} stands twice", vector.name);
        vectors.push(vector);
    }
    vectors
}

/// Lines without comments, continuations joined.
fn logical_lines(block: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix(' '), lines.last_mut()) {
            (Some(more), Some(last)) => {
                if !last.ends_with('\\') {
                    last.push(' ');
                } else {
                    last.pop();
                }
                last.push_str(more.trim());
            }
            (None, _) => lines.push(line.trim_end().to_owned()),
            (Some(_), None) => panic!("nothing to continue: {line}"),
        }
    }
    lines
}

fn parse(file: &str, lines: &[String]) -> Vector {
    let mut vector = Vector { canonical: true, ..Vector::default() };
    for line in lines {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.trim_start().to_owned();
        assert_eq!(vector.name.is_empty(), key == "name", "{file}: the name comes first and once: {line}");
        match key {
            "name" => vector.name = value,
            "expected" => vector.expected = Some(value.parse().expect("a number")),
            "tag" => vector.tag = Some(value.parse().expect("a tag")),
            "mode" => vector.mode = Some(value),
            "hex" => vector.bytes = bytes(&value),
            "is" => vector.is.push(expand(&value)),
            "error" => vector.error = Some(value),
            "violation" => vector.violation = Some(value),
            "canonical" if value == "no" => vector.canonical = false,
            "note" => {}
            _ => panic!("{file}: {}: unknown key {key}", vector.name),
        }
    }
    vector
}

/// The bytes that hexadecimal digits stand for: `0a0b 00*3`.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for token in text.split_ascii_whitespace() {
        let (digits, times) = match token.split_once('*') {
            Some((digits, times)) => (digits, times.parse().expect("a count")),
            None => (token, 1),
        };
        assert!(digits.len() % 2 == 0, "half a byte in {token}");
        let part: Vec<u8> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits"))
            .collect();
        out.extend(part.repeat(times));
    }
    out
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A meaning with repeated bytes (`payload=55*1100`) written out.
fn expand(meaning: &str) -> String {
    let expand_field = |field: &str| match field.split_once('=') {
        Some((name, value)) if value.contains('*') => format!("{name}={}", hex(&bytes(value))),
        _ => field.to_owned(),
    };
    meaning.split(' ').map(expand_field).collect::<Vec<_>>().join(" ")
}
