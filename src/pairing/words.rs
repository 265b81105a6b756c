//! The 1,024 words that codes are made of, and two of them together: the secret.
//!
//! The list is `spec/words.txt`: short, common, told apart by their first four letters, by at least two letters and by
//! at least two sounds, none with a homophone that is as common as itself.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How many words there are: ten bits each.
pub const WORDS_LEN: usize = 1_024;
/// A typed word up to so many slips away from one of the list was meant for it.
const SLIPS_MAX: usize = 2;

static LIST: [&str; WORDS_LEN] = lines(include_str!("../../spec/words.txt"));

/// Two words, in their order: 20 secret bits. `Display` gives `maple-otter`, which is also what the handshake proves
/// knowledge of; `Debug` gives nothing. Erased when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Words([u16; 2]);

impl Words {
    /// Two words drawn with `entropy`, of which every bit must be unpredictable; 20 are used.
    #[must_use]
    pub fn from_entropy(mut entropy: [u8; 4]) -> Self {
        let bits = |bytes: [u8; 2]| u16::from_be_bytes(bytes) % 1_024;
        let words = Self([bits([entropy[0], entropy[1]]), bits([entropy[2], entropy[3]])]);
        entropy.zeroize();
        words
    }

    /// The bytes that both sides know: the words in lower case with a hyphen between them, in ASCII.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<Vec<u8>> {
        let [first, second] = self.words();
        // Exactly as long as needed: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(first.len() + 1 + second.len()));
        bytes.extend_from_slice(first.as_bytes());
        bytes.push(b'-');
        bytes.extend_from_slice(second.as_bytes());
        bytes
    }

    fn words(&self) -> [&'static str; 2] {
        self.0.map(|index| LIST[usize::from(index)])
    }

    /// The words that were typed, in any case.
    ///
    /// # Errors
    /// [`UnknownWord`] for the first that is not in the list.
    pub(super) fn find(typed: [&str; 2]) -> Result<Self, UnknownWord> {
        let mut indices = [0; 2];
        for (index, (typed, place)) in indices.iter_mut().zip(typed.into_iter().zip(1..)) {
            *index = find(typed).ok_or_else(|| UnknownWord::new(typed, place))?;
        }
        Ok(Self(indices))
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.words();
        write!(f, "{first}-{second}")
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words(..)")
    }
}

/// A word that no code has. Neither `Display` nor `Debug` says it, for it may be all but right, and the code still be
/// good: they say which of the two it is. Whoever typed it may be shown the [suggestion](Self::suggestion).
#[derive(Clone, PartialEq, Eq)]
pub struct UnknownWord {
    typed: Zeroizing<String>,
    place: u8,
}

impl UnknownWord {
    fn new(typed: &str, place: u8) -> Self {
        // Nobody types that much by mistake. A string that grows leaves copies behind.
        let mut kept = Zeroizing::new(String::with_capacity(typed.len()));
        kept.extend(typed.chars().take(32));
        Self { typed: kept, place }
    }

    /// The word of the list that is nearest to what was typed, if any is near.
    #[must_use]
    pub fn suggestion(&self) -> Option<&'static str> {
        nearest(&self.typed)
    }
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place == 1 { "first" } else { "second" };
        write!(f, "the {place} word is none that a code can have")
    }
}

impl fmt::Debug for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownWord").field("place", &self.place).finish_non_exhaustive()
    }
}

impl core::error::Error for UnknownWord {}

fn find(typed: &str) -> Option<u16> {
    let typed = Zeroizing::new(typed.to_ascii_lowercase());
    let index = LIST.binary_search(&typed.as_str()).ok()?;
    u16::try_from(index).ok()
}

/// The word with the fewest slips from `typed`, or the one that `typed` is the beginning of.
fn nearest(typed: &str) -> Option<&'static str> {
    let typed = Zeroizing::new(typed.to_lowercase());
    let begun = LIST.iter().find(|word| typed.len() >= 3 && word.starts_with(typed.as_str()));
    let slips = |word: &str| slips(&typed, word);
    let near = || LIST.iter().min_by_key(|word| slips(word)).filter(|word| slips(word) <= SLIPS_MAX);
    begun.or_else(near).copied()
}

/// Letters put in, left out, changed, or swapped with their neighbour, to get from `a` to `b`.
fn slips(a: &str, b: &str) -> usize {
    // Of what was typed no copy is left behind.
    let letters = |text: &str| {
        let mut letters = Zeroizing::new(Vec::with_capacity(text.len()));
        letters.extend(text.chars());
        letters
    };
    let (a, b) = (letters(a), letters(b));
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = core::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// Cuts the list at compile time; it does not compile with another number of lines.
const fn lines(text: &'static str) -> [&'static str; WORDS_LEN] {
    let mut words = [""; WORDS_LEN];
    let mut rest = text;
    let mut count = 0;
    while !rest.is_empty() {
        let mut end = 0;
        while rest.as_bytes()[end] != b'\n' {
            end += 1;
        }
        let (word, more) = rest.split_at(end);
        words[count] = word;
        rest = more.split_at(1).1;
        count += 1;
    }
    assert!(count == WORDS_LEN, "the list has another length");
    words
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_is_sorted_short_and_lower_case() {
        assert!(LIST.is_sorted());
        for word in LIST {
            assert!((3..=7).contains(&word.len()), "{word}");
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
        }
    }

    #[test]
    fn the_first_four_letters_tell_words_apart() {
        let begins: BTreeSet<&str> = LIST.iter().map(|word| &word[..word.len().min(4)]).collect();
        assert_eq!(begins.len(), WORDS_LEN);
        for word in LIST.iter().filter(|word| word.len() == 3) {
            assert_eq!(LIST.iter().filter(|other| other.starts_with(word)).count(), 1, "{word} begins another");
        }
    }

    #[test]
    fn one_slip_never_makes_another_word() {
        for (at, word) in LIST.iter().enumerate() {
            for other in &LIST[at + 1..] {
                assert!(slips(word, other) >= 2, "{word} and {other}");
            }
        }
    }

    #[test]
    fn slips_are_counted() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("maple", "maple", 0), ("mapel", "maple", 1), ("otter", "ottter", 1)]
        {
            assert_eq!(slips(a, b), expected, "{a} {b}");
            assert_eq!(slips(b, a), expected, "{b} {a}");
        }
        assert_eq!(slips("kitten", "sitting"), 3);
    }

    #[test]
    fn entropy_reaches_every_word_in_both_places_and_no_other_bit_counts() {
        for index in 0..1_024_u16 {
            let [high, low] = index.to_be_bytes();
            let word = LIST[usize::from(index)];
            let words = Words::from_entropy([high | 0xfc, low, high, low]);
            assert_eq!(words.to_string(), format!("{word}-{word}"));
            assert_eq!(words.secret().as_slice(), format!("{word}-{word}").as_bytes());
        }
    }

    #[test]
    fn a_mistyped_word_is_answered_with_the_one_that_was_meant() {
        for (typed, expected) in [
            ("mapel", Some("maple")),
            ("MAPEL", Some("maple")),
            ("ottr", Some("otter")),
            ("oter", Some("otter")),
            ("pengu", Some("penguin")),
            ("qqqqqq", None),
            ("ma\u{308}ple", Some("maple")),
        ] {
            let error = Words::find([typed, "otter"]).unwrap_err();
            assert_eq!(error.suggestion(), expected, "{typed}");
        }
    }

    #[test]
    fn words_and_what_was_mistyped_are_not_debugged() {
        let words = Words::find(["maple", "Otter"]).unwrap();
        assert_eq!(format!("{words:?}"), "Words(..)");
        let error = Words::find(["maple", "oter"]).unwrap_err();
        assert_eq!(format!("{error:?}"), "UnknownWord { place: 2, .. }");
        assert_eq!(error.suggestion(), Some("otter"));
        assert_eq!(error.to_string(), "the second word is none that a code can have");
    }
}
