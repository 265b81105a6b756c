//! What the other side sends, shown on a terminal so that it obeys nothing in it.

use std::fmt::Write as _;

/// Bytes of a character, at most.
const CHARACTER_LEN_MAX: usize = 4;

/// Escapes what a terminal would obey. A character may come in two pieces.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// The beginning of a character whose rest has not come.
    begun: Vec<u8>,
    /// The last line has not ended.
    in_line: bool,
}

impl Screen {
    /// `bytes` as they are to be shown.
    pub(crate) fn show(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let whole = all.len() - unfinished(&all);
        self.begun = all.split_off(whole);
        let shown = escaped(&all);
        self.in_line = shown.chars().last().map_or(self.in_line, |last| last != '\n');
        shown
    }

    /// What is left at the end, and the end of the last line, so that what others say begins one.
    pub(crate) fn finish(&mut self) -> String {
        let mut rest = escaped(&std::mem::take(&mut self.begun));
        if self.in_line || !rest.is_empty() {
            rest.push('\n');
        }
        rest
    }
}

/// How many bytes at the end begin a character and do not end it.
fn unfinished(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(CHARACTER_LEN_MAX - 1)..];
    (0..tail.len())
        .find(|&at| {
            let rest = std::str::from_utf8(&tail[at..]);
            rest.is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .map_or(0, |at| tail.len() - at)
}

fn escaped(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_shown(character) {
                shown.push(character);
            } else {
                shown.extend(character.escape_default());
            }
        }
        for byte in chunk.invalid() {
            let _infallible = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// Not what moves the cursor, and not what turns the direction of writing, under which text reads otherwise.
fn is_shown(character: char) -> bool {
    let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    matches!(character, '\n' | '\t') || !(character.is_control() || turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut screen = Screen::default();
        let shown = screen.show(bytes);
        shown + screen.finish().trim_end_matches('\n')
    }

    #[test]
    fn whoever_says_something_afterwards_begins_a_line() {
        for (pieces, rest) in [(&["a\n"][..], ""), (&["a"], "\n"), (&[], ""), (&["a\nb", ""], "\n"), (&["a", "\n"], "")]
        {
            let mut screen = Screen::default();
            for piece in pieces {
                screen.show(piece.as_bytes());
            }
            assert_eq!(screen.finish(), rest, "{pieces:?}");
        }
        let mut screen = Screen::default();
        screen.show(b"a\n\xc3");
        assert_eq!(screen.finish(), "\\xc3\n");
    }

    #[test]
    fn text_is_shown_as_it_is() {
        for text in ["hello\n", "\ta\\b 'c' \"d\"\n", "\u{e9}\u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947} \u{1f600}", ""]
        {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }

    #[test]
    fn a_terminal_obeys_nothing() {
        assert_eq!(shown(b"\x1b[2J\x07\r\x7f\x00"), "\\u{1b}[2J\\u{7}\\r\\u{7f}\\u{0}");
        assert_eq!(shown("a\u{9b}1m\u{202e}b".as_bytes()), "a\\u{9b}1m\\u{202e}b");
        assert_eq!(shown(b"a\xffb\xc3"), "a\\xffb\\xc3");
    }

    #[test]
    fn a_character_that_comes_in_pieces_is_one() {
        let text = "\u{e9}\u{20ac}\u{1f600}x\u{9b}";
        for piece in 1..text.len() {
            let mut screen = Screen::default();
            let mut all: String = text.as_bytes().chunks(piece).map(|chunk| screen.show(chunk)).collect();
            all += screen.finish().trim_end();
            assert_eq!(all, "\u{e9}\u{20ac}\u{1f600}x\\u{9b}", "in pieces of {piece}");
        }
    }
}
