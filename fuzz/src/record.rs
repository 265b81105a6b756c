//! Any stream is records, an unfinished record or an error, however it is cut.

use udpair::wire::{Mode, RECORD_OVERHEAD, Record, RecordKind, finish_record, start_record};

use super::datagram;

/// Reads `data` as a stream, as it stands and with the checksum of each record repaired.
pub fn run(data: &[u8]) {
    stream(data);
    stream(&repaired(data));
}

/// The stream with the checksum of each whole record made right.
fn repaired(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let mut at = 0;
    while let Some(&[_, _, high, low]) = bytes.get(at..at + 4) {
        let end = at + 4 + usize::from(u16::from_be_bytes([high, low]));
        let Some(body) = bytes.get(at..end).filter(|_| bytes.len() >= end + 4) else { break };
        let mut record = body.to_vec();
        udpair::wire::put_crc(&mut record, 0);
        bytes[at..end + 4].copy_from_slice(&record);
        at = end + 4;
    }
    bytes
}

fn stream(mut stream: &[u8]) {
    loop {
        let decoded = Record::decode(stream);
        prefixes(stream, &decoded);
        let Ok(Some(record)) = decoded else { return };
        assert_eq!(record.len, record.body.len() + RECORD_OVERHEAD);
        let mut written = Vec::new();
        start_record(&mut written, Mode::Plain, record.kind);
        written.extend_from_slice(record.body);
        finish_record(&mut written, 0);
        assert_eq!(written, stream[..record.len], "a record has one form only");
        match record.kind {
            RecordKind::Handshake => datagram::packet(record.body),
            RecordKind::Frames => datagram::payload(record.body),
        }
        stream = &stream[record.len..];
    }
}

/// A shorter part of the stream is unfinished or wrong in the same way, never something else.
fn prefixes(stream: &[u8], decoded: &Result<Option<Record<'_>>, udpair::wire::DecodeError>) {
    let whole = decoded.as_ref().ok().and_then(Option::as_ref).map_or(stream.len(), |record| record.len);
    for cut in [0, 1, 2, 3, 4, whole / 2, whole.saturating_sub(1)] {
        let Some(part) = stream.get(..cut).filter(|_| cut < whole) else { continue };
        match Record::decode(part) {
            Ok(None) => {}
            Ok(Some(_)) => panic!("a record from a part of one"),
            Err(error) => assert_eq!(Err(error), *decoded, "an error that more bytes take back"),
        }
    }
}
