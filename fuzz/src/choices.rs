//! Decisions, taken from the front of the input: the same input always makes the same run.

/// Input that has not been used yet.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    /// Decides by `data`.
    #[must_use]
    pub const fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// True when nothing is left to decide by.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A byte; 0 when there are no more.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// A number of 16 bits.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A number below `end`, which is at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// True as often as not.
    pub fn flip(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A length from 0 to a few tens of thousands, with the interesting ones often among them.
    pub fn len(&mut self) -> usize {
        const BORDERS: [usize; 12] = [0, 1, 63, 64, 255, 256, 1_099, 1_100, 1_101, 1_170, 4_032, 16_384];
        let first = usize::from(self.byte());
        match first {
            0..=11 => BORDERS[first],
            12..=127 => first,
            128..=191 => (first - 127) * 40,
            _ => (first - 191) * 500,
        }
    }

    /// At most `len` bytes as they stand.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        bytes
    }
}
