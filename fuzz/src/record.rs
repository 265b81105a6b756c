//! Any stream is records, an unfinished record or an error, however it is cut.

use udpair::wire::{
    DecodeError, Mode, RECORD_HEADER_LEN, RECORD_OVERHEAD, Record, RecordKind, finish_record, start_record,
};

use super::datagram;

/// Reads `data` as a stream of each mode, as it stands and with the checksum of each record repaired.
pub fn run(data: &[u8]) {
    let repaired = repaired(data);
    for mode in [Mode::Plain, Mode::Code, Mode::Psk] {
        stream(mode, data);
        stream(mode, &repaired);
    }
}

/// The stream with the checksum of each whole record made right; of sealed frames it is none, and any bytes will do.
fn repaired(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let mut at = 0;
    while let Some(len) = Record::len_at(&bytes[at..]) {
        let Some(record) = bytes.get_mut(at..at + len) else { break };
        let mut right = record[..len - 4].to_vec();
        udpair::wire::put_crc(&mut right, 0);
        record.copy_from_slice(&right);
        at += len;
    }
    bytes
}

fn stream(mode: Mode, mut stream: &[u8]) {
    loop {
        let decoded = Record::decode(mode, stream);
        prefixes(mode, stream, &decoded);
        let Ok(Some(record)) = decoded else { return };
        let sealed = mode.is_sealed() && record.kind == RecordKind::Frames;
        let trailer = if sealed { 0 } else { RECORD_OVERHEAD - RECORD_HEADER_LEN };
        assert_eq!(record.len, RECORD_HEADER_LEN + record.body.len() + trailer);
        if !sealed {
            let mut written = Vec::new();
            start_record(&mut written, mode, record.kind);
            written.extend_from_slice(record.body);
            finish_record(&mut written, 0);
            assert_eq!(written, stream[..record.len], "a record has one form only");
        }
        match record.kind {
            RecordKind::Handshake => datagram::packet(record.body),
            RecordKind::Frames if sealed => {}
            RecordKind::Frames => datagram::payload(record.body),
        }
        stream = &stream[record.len..];
    }
}

/// A shorter part of the stream is unfinished or wrong in the same way, never something else.
fn prefixes(mode: Mode, stream: &[u8], decoded: &Result<Option<Record<'_>>, DecodeError>) {
    let whole = decoded.as_ref().ok().and_then(Option::as_ref).map_or(stream.len(), |record| record.len);
    for cut in [0, 1, 2, 3, 4, whole / 2, whole.saturating_sub(1)] {
        let Some(part) = stream.get(..cut).filter(|_| cut < whole) else { continue };
        match Record::decode(mode, part) {
            Ok(None) => {}
            Ok(Some(_)) => panic!("a record from a part of one"),
            Err(error) => assert_eq!(Err(error), *decoded, "an error that more bytes take back"),
        }
    }
}
