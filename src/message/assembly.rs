//! One message on its way in: chunks in any order become a run of bytes.

use super::Violation;
use crate::wire::{Data, MessageStart, RangeSet};

/// Bytes read from the front of the window before the rest is moved down.
const COMPACT_LEN: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(super) struct Assembly {
    start: Option<MessageStart>,
    /// Where the message ends, once known.
    total: Option<u64>,
    /// The highest offset seen, or announced for a message that goes whole: what it has cost beside
    /// [`super::MESSAGE_COST`].
    highest: u64,
    received: RangeSet,
    /// Bytes from `base` to the highest offset, of which `head` are read.
    window: Vec<u8>,
    head: usize,
    base: u64,
    /// Up to here the sender has its credit back, though nobody has read it: the message is put together whole.
    given_back: u64,
    /// The reader is gone: bytes are counted and dropped.
    discarded: bool,
    /// A stream that the application has been offered.
    pub(super) surfaced: bool,
    /// A stream of which the application has the last byte.
    pub(super) taken: bool,
    /// The sender gave it up.
    pub(super) reset: Option<u32>,
}

impl Assembly {
    pub(super) const fn start(&self) -> Option<MessageStart> {
        self.start
    }

    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    /// How many pieces stand apart from each other: what its gaps cost.
    pub(super) fn gaps(&self) -> usize {
        self.received.range_count().saturating_sub(1)
    }

    /// All bytes are there.
    pub(super) fn complete(&self) -> bool {
        self.start.is_some() && self.total.is_some_and(|total| self.received.contains_range(0..total))
    }

    const fn read_to(&self) -> u64 {
        self.base + self.head as u64
    }

    /// Up to here all bytes have come.
    fn gapless(&self) -> u64 {
        self.received.first().filter(|range| range.start == 0).map_or(0, |range| range.end)
    }

    /// Bytes that can be read now.
    fn contiguous(&self) -> u64 {
        self.gapless().saturating_sub(self.read_to())
    }

    /// How long it is in all, where that is known.
    pub(super) const fn total(&self) -> Option<u64> {
        self.total
    }

    /// How long it is at the least.
    pub(super) fn len_min(&self) -> u64 {
        self.total.unwrap_or(0).max(self.gapless())
    }

    /// None of it was read or thrown away.
    pub(super) const fn is_untouched(&self) -> bool {
        self.read_to() == 0 && !self.discarded
    }

    /// The cost, not yet given back, of what has come without a gap: it is given back now, as if it had been read.
    pub(super) fn give_back(&mut self) -> u64 {
        let held = self.unread();
        self.given_back = self.given_back.max(self.gapless());
        held - self.unread()
    }

    /// True when a read gives bytes or the end.
    pub(super) fn readable(&self) -> bool {
        self.contiguous() > 0 || self.at_end()
    }

    /// All bytes were read.
    pub(super) fn at_end(&self) -> bool {
        self.complete() && self.total == Some(self.read_to())
    }

    /// Checks a chunk against what is known, before anything is changed.
    pub(super) fn check(&self, data: &Data<'_>) -> Result<(), Violation> {
        let end = data.end();
        let ends_here = data.fin.then_some(end);
        let announced = data.start.and_then(|start| start.len);
        let total = self.total.or(announced).or(ends_here);
        let contradicts = announced.is_some_and(|len| Some(len) != total)
            || ends_here.is_some_and(|len| Some(len) != total)
            || total.is_some_and(|total| end.max(self.highest) > total)
            || data
                .start
                .zip(self.start)
                .is_some_and(|(new, held)| (new.delivery, new.tag) != (held.delivery, held.tag));
        if contradicts { Err(Violation::Contradiction) } else { Ok(()) }
    }

    /// What it costs to let the message reach as far.
    pub(super) const fn raises(&self, reach: u64) -> u64 {
        reach.saturating_sub(self.highest)
    }

    /// The message goes whole and is `len` bytes long: sets memory apart for it, so that its content is never moved.
    pub(super) fn announce(&mut self, len: u64) {
        self.highest = self.highest.max(len);
        if !self.discarded {
            let more = usize::try_from(len).unwrap_or(usize::MAX).saturating_sub(self.window.len());
            self.window.reserve_exact(more);
        }
    }

    /// Takes a checked chunk in.
    pub(super) fn insert(&mut self, data: &Data<'_>) {
        let end = data.end();
        if self.start.is_none() {
            self.start = data.start;
        }
        self.total = self.total.or(data.start.and_then(|start| start.len)).or(data.fin.then_some(end));
        self.highest = self.highest.max(end);
        let new = self.received.insert(data.offset..end) > 0;
        if self.discarded {
            self.base = self.highest;
        } else if new {
            self.place(data.offset, data.payload);
        }
    }

    /// Puts bytes where they belong in the window; those already read are passed over.
    fn place(&mut self, offset: u64, payload: &[u8]) {
        let skip = usize::try_from(self.base.saturating_sub(offset)).unwrap_or(usize::MAX).min(payload.len());
        let payload = &payload[skip..];
        let at = usize::try_from(offset + skip as u64 - self.base).expect("credit keeps the window small");
        if at == self.window.len() {
            self.reserve(payload.len());
            self.window.extend_from_slice(payload);
            return;
        }
        let end = at + payload.len();
        if end > self.window.len() {
            self.reserve(end - self.window.len());
            self.window.resize(end, 0);
        }
        self.window[at..end].copy_from_slice(payload);
    }

    /// Makes room for what is known to come, but where nothing was set apart never for more than as much again as is
    /// there: an announced length is only a peer's word.
    fn reserve(&mut self, more: usize) {
        let needed = self.window.len() + more;
        if needed <= self.window.capacity() {
            return;
        }
        let known = self.total.map_or(usize::MAX, |total| usize::try_from(total - self.base).unwrap_or(usize::MAX));
        // The first chunk takes what it brings: beginning many messages must not cost much more than the credit says.
        let wanted = if self.window.capacity() == 0 { needed } else { needed * 2 };
        let target = wanted.min(known).max(needed);
        self.window.reserve_exact(target - self.window.len());
    }

    /// Copies bytes out and says how many.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> usize {
        let len = usize::try_from(self.contiguous()).unwrap_or(usize::MAX).min(buf.len());
        buf[..len].copy_from_slice(&self.window[self.head..self.head + len]);
        self.head += len;
        if self.head == self.window.len() {
            self.base += self.head as u64;
            self.head = 0;
            self.window.clear();
        } else if self.head >= COMPACT_LEN && self.head * 2 >= self.window.len() {
            self.window.drain(..self.head);
            self.base += self.head as u64;
            self.head = 0;
        }
        len
    }

    /// The content of a complete message of which nothing was read. It takes no more than its length: whoever keeps it
    /// counts that.
    pub(super) fn into_content(mut self) -> Vec<u8> {
        debug_assert!(self.complete() && self.read_to() == 0, "content of an unfinished message");
        // What came before its length was known made room for as much again.
        self.window.shrink_to_fit();
        self.window
    }

    /// Nobody will read the rest: bytes are counted and dropped from now on. Returns what was held for the reader.
    pub(super) fn discard(&mut self) -> u64 {
        let unread = self.unread();
        self.discarded = true;
        self.window = Vec::new();
        self.head = 0;
        self.base = self.highest;
        unread
    }

    pub(super) const fn discarded(&self) -> bool {
        self.discarded
    }

    /// Cost not yet given back.
    pub(super) const fn unread(&self) -> u64 {
        let read_to = self.read_to();
        self.highest - if read_to > self.given_back { read_to } else { self.given_back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Delivery;

    fn chunk<'a>(offset: u64, payload: &'a [u8], len: Option<u64>, fin: bool) -> Data<'a> {
        let start = (offset == 0).then_some(MessageStart { delivery: Delivery::Ordered, tag: 1, len });
        Data { channel: 0, message: 0, offset, start, fin, payload }
    }

    #[test]
    fn chunks_in_any_order_become_the_message() {
        let bytes: Vec<u8> = (0..200).collect();
        let mut assembly = Assembly::default();
        for at in [150, 50, 0, 100, 50] {
            assert!(!assembly.complete());
            let data = chunk(at as u64, &bytes[at..at + 50], Some(200), at == 150);
            assert_eq!(assembly.check(&data), Ok(()));
            assembly.insert(&data);
            if at == 50 {
                break;
            }
        }
        assert_eq!(assembly.gaps(), 1);
        for at in [0, 100] {
            assembly.insert(&chunk(at as u64, &bytes[at..at + 50], Some(200), false));
        }
        assert!(assembly.complete());
        assert_eq!(assembly.into_content(), bytes);
    }

    #[test]
    fn a_stream_can_be_read_while_it_comes() {
        let bytes: Vec<u8> = (0..=255).cycle().take(2_000_000).collect();
        let mut assembly = Assembly::default();
        let mut read = Vec::new();
        let mut buf = vec![0; 70_000];
        for at in (0..bytes.len()).step_by(100_000) {
            // Each pair of chunks comes the wrong way round.
            let at = if at / 100_000 % 2 == 0 { at + 100_000 } else { at - 100_000 };
            assembly.insert(&chunk(at as u64, &bytes[at..at + 100_000], None, at + 100_000 == bytes.len()));
            let len = assembly.read(&mut buf);
            read.extend_from_slice(&buf[..len]);
        }
        while !assembly.at_end() {
            let len = assembly.read(&mut buf);
            assert!(len > 0);
            read.extend_from_slice(&buf[..len]);
        }
        assert!(read == bytes);
        assert_eq!(assembly.unread(), 0);
    }

    #[test]
    fn contradictions_are_told() {
        let mut assembly = Assembly::default();
        assembly.insert(&chunk(0, b"abc", Some(10), false));
        let bad = [
            chunk(0, b"abc", Some(9), false),
            chunk(3, b"abc", None, true),
            chunk(8, b"abc", None, false),
            Data {
                start: Some(MessageStart { delivery: Delivery::Ordered, tag: 2, len: Some(10) }),
                ..chunk(0, b"a", None, false)
            },
        ];
        for data in bad {
            assert_eq!(assembly.check(&data), Err(Violation::Contradiction), "{data:?}");
        }
        assert_eq!(assembly.check(&chunk(3, b"defghij", None, true)), Ok(()));
        let mut short = Assembly::default();
        short.insert(&chunk(5, b"abc", None, false));
        assert_eq!(short.check(&chunk(0, b"abc", Some(7), false)), Err(Violation::Contradiction));
        assert_eq!(short.check(&chunk(6, b"a", None, true)), Err(Violation::Contradiction));
    }

    #[test]
    fn content_takes_no_more_than_its_length_in_whichever_order_it_came() {
        let bytes = vec![7; 10_000];
        let mut assembly = Assembly::default();
        for (from, to, len) in [(100, 6_000, None), (6_000, 9_000, None), (0, 100, Some(10_000)), (9_000, 10_000, None)]
        {
            let data = chunk(from, &bytes[usize::try_from(from).unwrap()..to], len, to == bytes.len());
            assert_eq!(assembly.check(&data), Ok(()));
            assembly.insert(&data);
        }
        assert!(assembly.window.capacity() > 10_000, "else this shows nothing");
        assert_eq!(assembly.into_content().capacity(), 10_000);
    }

    #[test]
    fn an_announced_length_alone_allocates_little() {
        let mut assembly = Assembly::default();
        assembly.insert(&chunk(0, b"a", Some(1 << 40), false));
        assert!(assembly.window.capacity() <= 1024);
    }
}
