//! The project's own text files, and what of a Rust file is code.

use std::fs;
use std::path::Path;

/// Where files are looked for; what is missing here may be missing in a package, too.
const ROOTS: [&str; 7] = ["src", "tests", "examples", "benches", "fuzz", "spec", ".ci"];
/// Below `fuzz`: not written by hand.
const NOT_OURS: [&str; 4] = ["target", "corpus", "artifacts", "coverage"];
/// Not written by hand either; `.git` is a file in a linked work tree.
const NOT_TEXT: [&str; 3] = ["Cargo.lock", ".gitignore", ".git"];

/// A text file.
#[derive(Debug)]
pub(crate) struct File {
    /// From the project's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments, strings and characters blanked out, line by line the same.
    pub(crate) code: String,
}

impl File {
    pub(crate) fn new(path: String, text: String) -> Self {
        let code = if path.ends_with(".rs") { code(&text) } else { String::new() };
        Self { path, text, code }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The line from which on the file is tests, if any of it is.
    pub(crate) fn tests_from(&self) -> Option<usize> {
        if !self.is_rust() {
            return None;
        }
        let apart =
            self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs");
        let lines: Vec<&str> = self.code.lines().collect();
        let begins =
            |at: &usize| lines[*at].contains("#[cfg(test)]") && lines.get(at + 1).is_some_and(|it| it.contains('{'));
        if apart { Some(0) } else { (0..lines.len()).find(begins) }
    }
}

/// All of them, in a fixed order.
pub(crate) fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(root, "", 1, &mut paths);
    for dir in ROOTS {
        walk(root, &format!("{dir}/"), usize::MAX, &mut paths);
    }
    paths.sort();
    let files: Vec<File> = paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(root.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            File::new(path, text)
        })
        .collect();
    for known in ["Cargo.toml", "src/lib.rs", "src/wire/frame.rs", "tests/tidy.rs", "spec/wire.md"] {
        assert!(files.iter().any(|file| file.path == known), "{known} was not found: are files still looked for?");
    }
    files
}

fn walk(root: &Path, dir: &str, depth: usize, paths: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(dir)) else { return };
    for entry in entries {
        let entry = entry.expect("a readable directory");
        let name = entry.file_name().into_string().expect("names in UTF-8");
        let path = format!("{dir}{name}");
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() && depth > 1 && !NOT_OURS.contains(&name.as_str()) {
            walk(root, &format!("{path}/"), depth - 1, paths);
        } else if kind.is_file() && !NOT_TEXT.contains(&name.as_str()) {
            paths.push(path);
        }
    }
}

/// The text with everything that is not code blanked out; lines stay where they are.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = not_code(rest, out.chars().next_back());
        if len == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..len].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[len..];
        }
    }
    out
}

/// How many bytes at the front of `text` are a comment, a string or a character.
fn not_code(text: &str, before: Option<char>) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    if let Some(rest) = text.strip_prefix('"') {
        return 1 + quoted(rest, '"');
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(hashes) = raw_string(text).filter(|_| !in_word) {
        let end = format!("\"{}", "#".repeat(hashes));
        let from = text.find('"').expect("a raw string has quotes") + 1;
        return text[from..].find(&end).map_or(text.len(), |at| from + at + end.len());
    }
    // 'a' and '\n' are characters, 'a alone is a lifetime.
    let mut chars = text.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\''), Some('\\'), _) => 1 + quoted(&text[1..], '\''),
        (Some('\''), Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

/// The length up to and with the closing `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// How many `#` a raw string at the front has.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = rest.chars().take_while(|c| *c == '#').count();
    rest[hashes..].starts_with('"').then_some(hashes)
}
