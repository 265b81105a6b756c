//! What the messages of a run hold: known to both sides beforehand, so that every byte can be checked, and cheap to
//! make and to check, so that the bench measures the transport and not itself.
//!
//! `spec/bench.md`, section "Contents".

use bytes::Bytes;
use udpair::wire::VARINT_MAX;

use super::error::Error;

/// The most bytes that a message of a run may have.
pub(crate) const SIZE_MAX: usize = 16 << 20;

/// Length of the number at the head of a numbered message.
pub(crate) const NUMBER_LEN: usize = 8;

/// Messages this far apart hold the same bytes, their numbers aside.
pub(crate) const PERIOD: u64 = 64;

/// How far into the pattern the next message begins: no multiple of a usual segment size, so that bytes that land in
/// the wrong place differ from those that belong there; and a multiple of a cache line, as buffers usually are.
const STEP: usize = 1_024;

/// What all messages of one run hold.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pattern: Bytes,
    size: usize,
    numbered: bool,
}

impl Content {
    /// Messages of `size` bytes, which must be at most [`SIZE_MAX`]; where `numbered`, each begins with its number and
    /// needs at least [`NUMBER_LEN`] bytes.
    pub(crate) fn new(size: usize, numbered: bool) -> Self {
        assert!(size <= SIZE_MAX && (!numbered || size >= NUMBER_LEN), "the plan was not checked");
        Self { pattern: pattern(last_offset() + size).into(), size, numbered }
    }

    /// Bytes of a message.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Whether messages carry their number: where they may be lost or overtake each other.
    pub(crate) fn numbered(&self) -> bool {
        self.numbered
    }

    /// Message `n`, without a copy unless it is numbered.
    pub(crate) fn body(&self, n: u64) -> Bytes {
        let from = offset(n);
        if !self.numbered {
            return self.pattern.slice(from..from + self.size);
        }
        let mut body = Vec::with_capacity(self.size);
        self.append(n, &mut body);
        body.into()
    }

    /// Appends message `n` to `out`.
    pub(crate) fn append(&self, n: u64, out: &mut Vec<u8>) {
        let from = offset(n);
        let start = out.len();
        out.extend_from_slice(&self.pattern[from..from + self.size]);
        if self.numbered {
            out[start..start + NUMBER_LEN].copy_from_slice(&n.to_be_bytes());
        }
    }

    /// The number that a numbered message carries.
    pub(crate) fn number(&self, body: &[u8]) -> Result<u64, Error> {
        debug_assert!(self.numbered);
        let head = body.first_chunk::<NUMBER_LEN>().ok_or(Error::Length { len: body.len(), size: self.size })?;
        let message = u64::from_be_bytes(*head);
        if message <= VARINT_MAX { Ok(message) } else { Err(Error::Corrupt { message, at: 0 }) }
    }

    /// Whether `body` is, byte for byte, message `n`.
    pub(crate) fn check(&self, n: u64, body: &[u8]) -> Result<(), Error> {
        if body.len() != self.size {
            return Err(Error::Length { len: body.len(), size: self.size });
        }
        if self.numbered {
            if self.number(body)? != n {
                return Err(Error::Corrupt { message: n, at: 0 });
            }
            return self.check_part(n, NUMBER_LEN, &body[NUMBER_LEN..]);
        }
        self.check_part(n, 0, body)
    }

    /// Whether `part` is what message `n` holds from its byte `at` on; not for the number at its head.
    pub(crate) fn check_part(&self, n: u64, at: usize, part: &[u8]) -> Result<(), Error> {
        let from = offset(n) + at;
        let expected = &self.pattern[from..from + part.len()];
        if part == expected {
            return Ok(());
        }
        let differs = part.iter().zip(expected).position(|(got, want)| got != want).unwrap_or(0);
        Err(Error::Corrupt { message: n, at: at + differs })
    }
}

/// Where in the pattern message `n` begins.
fn offset(n: u64) -> usize {
    usize::try_from(n % PERIOD).expect("a remainder of 64 is small") * STEP
}

fn last_offset() -> usize {
    offset(PERIOD - 1)
}

/// `len` bytes that do not repeat: xorshift64 (Marsaglia 2003) from a fixed start, eight bytes a step, big-endian.
fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + NUMBER_LEN);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_accepted_as_itself_and_as_no_neighbour() {
        for numbered in [false, true] {
            let content = Content::new(100, numbered);
            for n in 0..200 {
                let body = content.body(n);
                assert_eq!(body.len(), 100);
                content.check(n, &body).unwrap();
                content.check(n + 1, &body).unwrap_err();
            }
        }
    }

    #[test]
    fn numbered_messages_a_period_apart_differ() {
        let content = Content::new(64, true);
        content.check(PERIOD, &content.body(0)).unwrap_err();
        assert_eq!(content.number(&content.body(77)).unwrap(), 77);
    }

    #[test]
    fn a_number_that_nobody_can_have_come_to_is_refused() {
        let content = Content::new(64, true);
        assert_eq!(content.number(&content.body(VARINT_MAX)).unwrap(), VARINT_MAX);
        for n in [VARINT_MAX + 1, u64::MAX] {
            assert!(matches!(content.check(n, &content.body(n)), Err(Error::Corrupt { .. })), "{n}");
        }
    }

    #[test]
    fn one_changed_byte_is_found_where_it_is() {
        let content = Content::new(1_000, false);
        let mut body = content.body(3).to_vec();
        body[999] ^= 1;
        assert!(matches!(content.check(3, &body), Err(Error::Corrupt { message: 3, at: 999 })));
    }

    #[test]
    fn a_message_cut_short_is_refused() {
        let content = Content::new(10, false);
        let body = content.body(0);
        assert!(matches!(content.check(0, &body[..9]), Err(Error::Length { len: 9, size: 10 })));
    }

    #[test]
    fn a_part_is_checked_in_its_place() {
        let content = Content::new(5_000, false);
        let body = content.body(5);
        content.check_part(5, 1_000, &body[1_000..4_000]).unwrap();
        content.check_part(5, 1_001, &body[1_000..4_000]).unwrap_err();
    }

    #[test]
    fn an_empty_message_is_a_message() {
        let content = Content::new(0, false);
        content.check(9, &content.body(9)).unwrap();
    }

    #[test]
    fn the_pattern_is_the_one_in_the_spec() {
        assert_eq!(pattern(9), [0xdc, 0x1b, 0x77, 0xae, 0x0b, 0xf3, 0x4d, 0xad, 0x64]);
    }
}
