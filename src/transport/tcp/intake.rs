//! Cutting a stream of bytes into records, wherever the reads happened to cut it.

use crate::wire::{DecodeError, Mode, Record, RecordKind};

/// Finds the records in what was read. Whole ones are handed on where they stand; only one that a read has cut is
/// kept here until the rest of it comes.
#[derive(Debug)]
pub(super) struct Intake {
    mode: Mode,
    /// The beginning of a record; all of it while it is being handled.
    partial: Vec<u8>,
    /// True when the record in `partial` has been handed on.
    spent: bool,
}

/// A record, all of it, to be opened where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) kind: RecordKind,
    pub(super) record: &'a mut [u8],
}

impl Intake {
    /// Nothing was read. Both sides have agreed on `mode`.
    pub(super) const fn new(mode: Mode) -> Self {
        Self { mode, partial: Vec::new(), spent: false }
    }

    /// The next record of `bytes`, which is moved past it; `None` when what is left has been put aside. A record
    /// longer than `len_max` bytes, header and trailer included, is an error as soon as its header is there. Where it
    /// has a checksum that is right.
    pub(super) fn next<'a, 'b: 'a>(
        &'a mut self,
        bytes: &mut &'b mut [u8],
        len_max: usize,
    ) -> Result<Option<Found<'a>>, DecodeError> {
        if core::mem::take(&mut self.spent) {
            self.partial.clear();
        }
        if self.partial.is_empty() {
            let len = checked_len(bytes, len_max)?;
            if let Some(Record { kind, len, .. }) = Record::decode(self.mode, bytes)? {
                let (record, rest) = core::mem::take(bytes).split_at_mut(len);
                *bytes = rest;
                return Ok(Some(Found { kind, record }));
            }
            // Where nothing is under way no memory is held: a thousand quiet connections cost nothing.
            self.partial = Vec::new();
            self.partial.reserve_exact(len.unwrap_or(bytes.len()));
            self.partial.extend_from_slice(&*core::mem::take(bytes));
            return Ok(None);
        }
        // A byte at a time until the header is whole, then the rest at once.
        let len = loop {
            if let Some(len) = checked_len(&self.partial, len_max)? {
                break len;
            }
            let Some((first, rest)) = core::mem::take(bytes).split_first_mut() else { return Ok(None) };
            self.partial.push(*first);
            *bytes = rest;
            // What cannot be the beginning of a record is told now, not when the record would have ended.
            Record::decode(self.mode, &self.partial)?;
        };
        self.partial.reserve_exact(len - self.partial.len());
        let lacks = (len - self.partial.len()).min(bytes.len());
        let (head, rest) = core::mem::take(bytes).split_at_mut(lacks);
        self.partial.extend_from_slice(head);
        *bytes = rest;
        self.spent = self.partial.len() == len;
        let kind = Record::decode(self.mode, &self.partial)?.map(|record| record.kind);
        Ok(kind.map(|kind| Found { kind, record: &mut self.partial }))
    }
}

fn checked_len(stream: &[u8], len_max: usize) -> Result<Option<usize>, DecodeError> {
    match Record::len_at(stream) {
        Some(len) if len > len_max => Err(DecodeError::Value("record length")),
        len => Ok(len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{
        RECORD_BODY_MAX, RECORD_HEADER_LEN, RECORD_OVERHEAD, SEAL_LEN, finish_record, put_record_len, start_record,
    };

    const LEN_MAX: usize = RECORD_BODY_MAX + RECORD_OVERHEAD;

    fn stream(mode: Mode, bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for body in bodies {
            let from = out.len();
            start_record(&mut out, mode, RecordKind::Frames);
            out.extend_from_slice(body);
            if mode.is_sealed() {
                put_record_len(&mut out, from);
                out.extend_from_slice(&[0xee; SEAL_LEN]);
            } else {
                finish_record(&mut out, from);
            }
        }
        out
    }

    fn feed(intake: &mut Intake, bytes: &[u8], len_max: usize) -> Result<Vec<Vec<u8>>, DecodeError> {
        let mut bodies = Vec::new();
        let mut bytes = &mut bytes.to_vec()[..];
        let trailer_len = intake.mode.trailer_len();
        while let Some(Found { kind, record }) = intake.next(&mut bytes, len_max)? {
            assert_eq!(kind, RecordKind::Frames);
            bodies.push(record[RECORD_HEADER_LEN..record.len() - trailer_len].to_vec());
        }
        assert!(bytes.is_empty());
        Ok(bodies)
    }

    #[test]
    fn records_are_found_wherever_the_stream_is_cut() {
        let bodies = [vec![], vec![1], vec![2; 30], vec![], vec![3; 5]];
        for mode in [Mode::Plain, Mode::Psk] {
            check_cuts(mode, &bodies);
        }
    }

    fn check_cuts(mode: Mode, bodies: &[Vec<u8>]) {
        let stream = stream(mode, bodies);
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let mut intake = Intake::new(mode);
                let mut got = Vec::new();
                for part in [&stream[..first], &stream[first..second], &stream[second..]] {
                    got.extend(feed(&mut intake, part, LEN_MAX).unwrap());
                }
                assert_eq!(got, bodies, "cut at {first} and {second}");
                assert_eq!(intake.partial.capacity(), 0);
            }
        }
    }

    #[test]
    fn records_are_found_byte_by_byte() {
        let bodies = [vec![7; RECORD_BODY_MAX], vec![], vec![8; 300]];
        let mut intake = Intake::new(Mode::Plain);
        let mut got = Vec::new();
        for byte in stream(Mode::Plain, &bodies) {
            got.extend(feed(&mut intake, &[byte], LEN_MAX).unwrap());
            assert!(intake.partial.capacity() <= LEN_MAX);
        }
        assert_eq!(got, bodies);
    }

    #[test]
    fn a_record_longer_than_allowed_is_refused_by_its_header() {
        let stream = stream(Mode::Plain, &[vec![0; 100]]);
        let len = 100 + RECORD_OVERHEAD;
        assert_eq!(feed(&mut Intake::new(Mode::Plain), &stream, len).map(|bodies| bodies.len()), Ok(1));
        for cut in [1, 4, 5, stream.len()] {
            let mut intake = Intake::new(Mode::Plain);
            let first = feed(&mut intake, &stream[..cut], len - 1);
            let result = first.and_then(|_| feed(&mut intake, &stream[cut..], len - 1));
            assert_eq!(result, Err(DecodeError::Value("record length")), "cut at {cut}");
        }
    }

    #[test]
    fn what_cannot_begin_a_record_is_refused_at_its_first_byte() {
        assert_eq!(feed(&mut Intake::new(Mode::Plain), b"G", LEN_MAX), Err(DecodeError::Version(4)));
        let mut intake = Intake::new(Mode::Plain);
        assert_eq!(feed(&mut intake, &stream(Mode::Plain, &[vec![]])[..1], LEN_MAX), Ok(vec![]));
        assert_eq!(feed(&mut intake, &[9], LEN_MAX), Err(DecodeError::Type(9)));
    }
}
