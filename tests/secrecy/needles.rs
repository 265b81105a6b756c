//! What must not be found, and what must.

use std::fmt;

use ring::digest;

/// One needle. `Debug` names it and does not show it.
pub(crate) struct Needle {
    name: String,
    bytes: Vec<u8>,
    /// Anybody may see it: it must be found.
    public: bool,
}

impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Needle {
    /// So short that it may stand somewhere by chance.
    pub(crate) fn is_short(&self) -> bool {
        self.bytes.len() < 8
    }
}

#[derive(Default)]
pub(crate) struct Needles(Vec<Needle>);

impl Needles {
    fn add(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push(Needle { name: name.into(), bytes: bytes.into(), public: false });
    }

    /// What must be found.
    pub(crate) fn add_public(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push(Needle { name: name.to_owned(), bytes: bytes.into(), public: true });
    }

    /// A secret as it is, as a text, and what anybody might make of it.
    pub(crate) fn add_secret(&mut self, name: &str, secret: &[u8]) {
        self.add(name, secret);
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        self.add(format!("{name}, in hexadecimal digits"), hex.to_uppercase());
        self.add(format!("{name}, in hexadecimal digits"), hex);
        self.add_hashes(name, secret);
    }

    fn add_hashes(&mut self, name: &str, of: &[u8]) {
        let algorithms = [
            ("SHA-1", &digest::SHA1_FOR_LEGACY_USE_ONLY),
            ("SHA-256", &digest::SHA256),
            ("SHA-384", &digest::SHA384),
            ("SHA-512", &digest::SHA512),
        ];
        for (hash, algorithm) in algorithms {
            // A part of a hash is as good to a guesser as all of it.
            self.add(format!("{hash} of {name}"), &digest::digest(algorithm, of).as_ref()[..8]);
            let twice = digest::digest(algorithm, digest::digest(algorithm, of).as_ref());
            self.add(format!("{hash} of {hash} of {name}"), &twice.as_ref()[..8]);
        }
        self.add(format!("blake3 of {name}"), &blake3::hash(of).as_bytes()[..8]);
        let crc = crc32fast::hash(of);
        self.add(format!("CRC32 of {name}"), crc.to_be_bytes());
        self.add(format!("CRC32 of {name}, from its low end"), crc.to_le_bytes());
    }

    /// Two words: however they are written, and what might be made of that.
    pub(crate) fn add_words(&mut self, words: &str) {
        let (first, second) = words.split_once('-').expect("two words");
        for separator in ["-", " ", "", "_", "."] {
            for (case, convert) in CASES {
                let text = convert(&format!("{first}{separator}{second}"));
                let name = format!("the words, {case}, {separator:?} between them");
                for (encoding, bytes) in encodings(&text) {
                    let name = format!("{name}, in {encoding}");
                    self.add_hashes(&name, &bytes);
                    self.add(name, bytes);
                }
            }
        }
        for (nth, word) in ["the first word", "the second word"].into_iter().zip([first, second]) {
            for (case, convert) in CASES {
                for (encoding, bytes) in encodings(&convert(word)) {
                    let name = format!("{nth}, {case}, in {encoding}");
                    self.add_hashes(&name, &bytes);
                    self.add(name, bytes);
                }
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that stand there and must not.
    pub(crate) fn found_in(&self, haystack: &[u8]) -> Vec<&Needle> {
        self.0.iter().filter(|needle| !needle.public && contains(haystack, &needle.bytes)).collect()
    }

    pub(crate) fn assert_public_ones_are_in(&self, haystack: &[u8]) {
        let public: Vec<&Needle> = self.0.iter().filter(|needle| needle.public).collect();
        assert!(!public.is_empty());
        for needle in public {
            assert!(contains(haystack, &needle.bytes), "{needle:?} is to be seen and is not found");
        }
    }

    /// Writes them so that [`parse`] reads them.
    pub(crate) fn print(&self) {
        for Needle { name, bytes, public } in &self.0 {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            // The test harness may have written something before it, on the same line too.
            println!("\n{MARK}{public} {hex} {name}");
        }
    }
}

const MARK: &str = "needle ";

/// A way to write a word.
type Case = fn(&str) -> String;

const CASES: [(&str, Case); 3] = [
    ("in lower case", str::to_lowercase),
    ("in upper case", str::to_uppercase),
    ("capitalised", |text| text.chars().take(1).flat_map(char::to_uppercase).chain(text.chars().skip(1)).collect()),
];

fn encodings(text: &str) -> [(&'static str, Vec<u8>); 3] {
    [
        ("ASCII", text.as_bytes().to_vec()),
        ("UTF-16", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("UTF-16 from its low end", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ]
}

/// A needle from a line of [`Needles::print`].
pub(crate) fn parse(line: &str) -> Option<Needle> {
    let mut parts = line.strip_prefix(MARK)?.splitn(3, ' ');
    let public = parts.next()? == "true";
    let hex = parts.next()?;
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).ok();
    let bytes = (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
    Some(Needle { name: parts.next()?.to_owned(), bytes, public })
}

impl FromIterator<Needle> for Needles {
    fn from_iter<I: IntoIterator<Item = Needle>>(needles: I) -> Self {
        Self(needles.into_iter().collect())
    }
}

/// Where `haystack` holds `needle`. The first byte is looked for first: a capture is long.
pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let mut at = 0;
    while let Some(found) = haystack[at..].iter().position(|byte| byte == first) {
        at += found + 1;
        if haystack[at..].starts_with(rest) {
            return true;
        }
    }
    false
}
