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
//! Records of frames have in sealed modes a tag in place of the checksum, which this floor does not judge.

use super::codec::{DecodeError, Reader};
use super::packet::{CRC_LEN, Mode, VERSION, check_crc, put_crc};

/// The longest body of a record, in bytes.
pub const RECORD_BODY_MAX: usize = 65_535;
/// Bytes of a record's header; in sealed modes it is authenticated with the frames that follow.
pub const RECORD_HEADER_LEN: usize = 4;
/// What a record adds to its body, if it has a checksum: that and the header.
pub const RECORD_OVERHEAD: usize = RECORD_HEADER_LEN + CRC_LEN;

const FORM_RECORD: u8 = 2;
const KIND_FRAMES: u8 = 1;

/// What a record's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A handshake packet, whole, as it would stand in a datagram.
    Handshake,
    /// Frames.
    Frames,
}

/// One record, checked as far as a checksum goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What the body is.
    pub kind: RecordKind,
    /// The body. Frames of a sealed mode are still sealed, and the tag stands behind them.
    pub body: &'a [u8],
    /// How many bytes of the stream the record took.
    pub len: usize,
}

impl<'a> Record<'a> {
    /// How many bytes of the stream the record at the front of `stream` takes; `None` while its header is not all
    /// there.
    #[must_use]
    pub fn len_at(stream: &[u8]) -> Option<usize> {
        let &[first, kind, high, low] = stream.first_chunk::<RECORD_HEADER_LEN>()?;
        // Of a mode that there is not, and of other versions, only what a checksum protects is of any use.
        let mode = if kind == KIND_FRAMES { Mode::from_first(first).unwrap_or(Mode::Plain) } else { Mode::Plain };
        Some(RECORD_HEADER_LEN + usize::from(u16::from_be_bytes([high, low])) + mode.trailer_len())
    }

    /// The record at the front of `stream`, whose two sides have agreed on `mode`; `None` while it is not all there.
    /// Sealed frames are not opened.
    pub fn decode(mode: Mode, stream: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let mut input = Reader::new(stream);
        let Ok(first) = input.u8() else { return Ok(None) };
        if first >> 4 != VERSION {
            return Err(DecodeError::Version(first >> 4));
        }
        if first != first_byte(mode) {
            return Err(DecodeError::Mode);
        }
        let Ok(kind) = input.u8() else { return Ok(None) };
        let kind = match kind {
            0 => RecordKind::Handshake,
            KIND_FRAMES => RecordKind::Frames,
            _ => return Err(DecodeError::Type(kind)),
        };
        let Some(len) = Self::len_at(stream) else { return Ok(None) };
        let Some(record) = stream.get(..len) else { return Ok(None) };
        let sealed = mode.is_sealed() && kind == RecordKind::Frames;
        let content = if sealed { record } else { check_crc(record)? };
        Ok(Some(Record { kind, body: &content[RECORD_HEADER_LEN..], len }))
    }
}

const fn first_byte(mode: Mode) -> u8 {
    VERSION << 4 | mode.code() << 2 | FORM_RECORD
}

/// Appends a record's header with an open length. The body follows, then [`finish_record`] from where it began, or, for
/// frames of a sealed mode, [`put_record_len`] and the tag.
pub fn start_record(out: &mut Vec<u8>, mode: Mode, kind: RecordKind) {
    let kind = match kind {
        RecordKind::Handshake => 0,
        RecordKind::Frames => KIND_FRAMES,
    };
    out.extend_from_slice(&[first_byte(mode), kind, 0, 0]);
}

/// Fills in the length of the record that began at index `from`.
///
/// # Panics
/// When the body is longer than [`RECORD_BODY_MAX`].
pub fn put_record_len(out: &mut [u8], from: usize) {
    let len = u16::try_from(out.len() - from - RECORD_HEADER_LEN).expect("the writer keeps to RECORD_BODY_MAX");
    out[from + 2..from + RECORD_HEADER_LEN].copy_from_slice(&len.to_be_bytes());
}

/// Fills in the length of the record that began at index `from` and appends its checksum.
///
/// # Panics
/// When the body is longer than [`RECORD_BODY_MAX`].
pub fn finish_record(out: &mut Vec<u8>, from: usize) {
    put_record_len(out, from);
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
            let decoded = Record::decode(Mode::Plain, &bytes).unwrap().unwrap();
            assert_eq!(decoded, Record { kind: RecordKind::Frames, body: &body, len: len + RECORD_OVERHEAD });
            assert_eq!(Record::len_at(&bytes[..4]), Some(decoded.len));
            assert_eq!(Record::len_at(&bytes[..3]), None);
            for cut in [0, 1, 2, 3, 4, len + RECORD_OVERHEAD - 1] {
                assert_eq!(Record::decode(Mode::Plain, &bytes[..cut]), Ok(None), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_record_of_another_mode_is_refused_by_its_first_byte() {
        assert_eq!(Record::decode(Mode::Code, &record(b"frames")[..1]), Err(DecodeError::Mode));
        assert_eq!(Record::decode(Mode::Plain, &[0x16]), Err(DecodeError::Mode));
        assert_eq!(Record::decode(Mode::Psk, &[0x16]), Err(DecodeError::Mode));
        assert_eq!(Record::decode(Mode::Code, &[0x16]), Ok(None));
    }

    #[test]
    fn sealed_frames_come_back_unopened_and_a_sealed_handshake_has_a_checksum() {
        let mut bytes = Vec::new();
        start_record(&mut bytes, Mode::Code, RecordKind::Frames);
        bytes.extend_from_slice(b"sealed");
        put_record_len(&mut bytes, 0);
        bytes.extend_from_slice(&[0xee; 16]);
        let record = Record::decode(Mode::Code, &bytes).unwrap().unwrap();
        assert_eq!(record, Record { kind: RecordKind::Frames, body: &bytes[4..], len: 4 + 6 + 16 });
        assert_eq!(Record::decode(Mode::Code, &bytes[..25]), Ok(None));

        let mut bytes = Vec::new();
        start_record(&mut bytes, Mode::Psk, RecordKind::Handshake);
        finish_record(&mut bytes, 0);
        assert_eq!(Record::decode(Mode::Psk, &bytes).unwrap().unwrap().len, RECORD_OVERHEAD);
        bytes[7] ^= 1;
        assert_eq!(Record::decode(Mode::Psk, &bytes), Err(DecodeError::Checksum));
    }

    #[test]
    fn no_bit_of_a_record_may_flip() {
        let bytes = record(b"0123456789");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A longer length waits for bytes that never come; everything else is an error.
            assert!(!matches!(Record::decode(Mode::Plain, &flipped), Ok(Some(_))), "bit {bit}");
        }
    }
}
