//! Records: what a TCP stream is cut into. `spec/tcp.md`.
//!
//! ```text
//!  0        1        2        4             4+len      8+len
//! +--------+--------+--------+-------------+----------+
//! | ver mo | kind   | len    | body ...    | CRC32    |
//! |  4   2 |        |  16 b  |             | (or tag) |
//! |  0   2 |        |        |             |          |
//! +--------+--------+--------+-------------+----------+
//! ```
//!
//! A record with a wrong first byte, kind or checksum ends its TCP connection: behind it nothing can be trusted.

use super::codec::{DecodeError, Reader};
use super::packet::{Mode, VERSION, check_crc, put_crc};

/// The longest body of a record, in bytes.
pub const RECORD_BODY_MAX: usize = 65_535;
/// What a plain record adds to its body: header and checksum.
pub const RECORD_OVERHEAD: usize = HEADER_LEN + 4;

const HEADER_LEN: usize = 4;

/// What a record's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A handshake packet, whole, as it would stand in a datagram.
    Handshake,
    /// Frames.
    Frames,
}

/// One record, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What the body is.
    pub kind: RecordKind,
    /// The body.
    pub body: &'a [u8],
    /// How many bytes of the stream the record took.
    pub len: usize,
}

impl<'a> Record<'a> {
    /// How many bytes of the stream the record at the front of `stream` takes; `None` while its header is not all
    /// there.
    #[must_use]
    pub fn len_at(stream: &[u8]) -> Option<usize> {
        let header = stream.first_chunk::<HEADER_LEN>()?;
        Some(usize::from(u16::from_be_bytes([header[2], header[3]])) + RECORD_OVERHEAD)
    }

    /// The record at the front of `stream`; `None` while it is not all there.
    pub fn decode(stream: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let mut input = Reader::new(stream);
        let Ok(first) = input.u8() else { return Ok(None) };
        if first >> 4 != VERSION {
            return Err(DecodeError::Version(first >> 4));
        }
        if first != first_byte(Mode::Plain) {
            return Err(DecodeError::Mode);
        }
        let Ok(kind) = input.u8() else { return Ok(None) };
        let kind = match kind {
            0 => RecordKind::Handshake,
            1 => RecordKind::Frames,
            _ => return Err(DecodeError::Type(kind)),
        };
        let Ok(body_len) = input.u16() else { return Ok(None) };
        let len = usize::from(body_len) + RECORD_OVERHEAD;
        let Some(record) = stream.get(..len) else { return Ok(None) };
        let body = &check_crc(record)?[HEADER_LEN..];
        Ok(Some(Record { kind, body, len }))
    }
}

const fn first_byte(mode: Mode) -> u8 {
    let mode = match mode {
        Mode::Plain => 0,
        Mode::Code => 1,
        Mode::Psk => 2,
    };
    VERSION << 4 | mode << 2 | 2
}

/// Appends a record's header with an open length. The body follows, then [`finish_record`] from where it began.
pub fn start_record(out: &mut Vec<u8>, mode: Mode, kind: RecordKind) {
    let kind = match kind {
        RecordKind::Handshake => 0,
        RecordKind::Frames => 1,
    };
    out.extend_from_slice(&[first_byte(mode), kind, 0, 0]);
}

/// Fills in the length of the record that began at index `from` and appends its checksum.
///
/// # Panics
/// When the body is longer than [`RECORD_BODY_MAX`].
pub fn finish_record(out: &mut Vec<u8>, from: usize) {
    let len = u16::try_from(out.len() - from - HEADER_LEN).expect("the writer keeps to RECORD_BODY_MAX");
    out[from + 2..from + HEADER_LEN].copy_from_slice(&len.to_be_bytes());
    put_crc(out, from);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        start_record(&mut bytes, Mode::Plain, RecordKind::Frames);
        bytes.extend_from_slice(body);
        finish_record(&mut bytes, 0);
        bytes
    }

    #[test]
    fn records_return_as_they_went_at_every_size() {
        for len in [0, 1, RECORD_BODY_MAX] {
            let body = vec![5; len];
            let mut bytes = record(&body);
            bytes.push(0x55);
            let decoded = Record::decode(&bytes).unwrap().unwrap();
            assert_eq!(decoded, Record { kind: RecordKind::Frames, body: &body, len: len + RECORD_OVERHEAD });
            assert_eq!(Record::len_at(&bytes[..4]), Some(decoded.len));
            assert_eq!(Record::len_at(&bytes[..3]), None);
            for cut in [0, 1, 2, 3, 4, len + RECORD_OVERHEAD - 1] {
                assert_eq!(Record::decode(&bytes[..cut]), Ok(None), "cut at {cut}");
            }
        }
    }

    #[test]
    fn no_bit_of_a_record_may_flip() {
        let bytes = record(b"0123456789");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A longer length waits for bytes that never come; everything else is an error.
            assert!(!matches!(Record::decode(&flipped), Ok(Some(_))), "bit {bit}");
        }
    }
}
