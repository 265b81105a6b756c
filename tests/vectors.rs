//! The golden vectors of `spec/vectors`, in both directions: the bytes have the meaning or the error, and the meaning
//! written gives the bytes where they are canonical.

use udpair::message::{Limits, Messages, Violation};
use udpair::node::{Control, Time};
use udpair::pairing::Beacon;
use udpair::wire::{
    ConnectionCid, DataHeader, DecodeError, Frame, Frames, Mode, Packet, Params, Reader, Record, RecordKind,
};

#[path = "vectors/beacons.rs"]
mod beacons;
#[path = "vectors/contents.rs"]
mod contents;
#[path = "vectors/format.rs"]
mod format;
#[path = "vectors/meaning.rs"]
mod meaning;
#[path = "vectors/nodes.rs"]
mod nodes;
#[path = "vectors/sealing.rs"]
mod sealing;
#[path = "vectors/writing.rs"]
mod writing;

use format::{Vector, load};

/// What decoding came to: what was right, and then what was wrong, if anything was.
type Decoded = (Vec<String>, Option<DecodeError>);

/// Checks every vector of a file: `decode` against meaning and error, and the writing of the meaning against the bytes.
fn check(file: &str, least: usize, decode: impl Fn(&Vector) -> Decoded) {
    let vectors = load(file);
    assert!(vectors.len() >= least, "{file} has lost vectors: {} left", vectors.len());
    for vector in &vectors {
        let (lines, error) = decode(vector);
        assert_eq!(lines, vector.is, "{file}: meaning of {}", vector.name);
        assert_eq!(error.map(meaning::error), vector.error, "{file}: error of {}", vector.name);
        if vector.error.is_none() && vector.canonical {
            assert_eq!(hex(&writing::write(&lines)), hex(&vector.bytes), "{file}: {} written", vector.name);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    format::hex(bytes)
}

fn all_or_error<T>(result: Result<T, DecodeError>, describe: impl FnOnce(T) -> Vec<String>) -> Decoded {
    match result {
        Ok(value) => (describe(value), None),
        Err(error) => (Vec::new(), Some(error)),
    }
}

fn frames(payload: &[u8], lines: &mut Vec<String>) -> Option<DecodeError> {
    let mut input = Reader::new(payload);
    while !input.is_empty() {
        let before = input.rest().len();
        match Frame::decode(&mut input) {
            Ok(frame) => meaning::push_frame(lines, &frame, before - input.rest().len()),
            Err(error) => return Some(error),
        }
    }
    None
}

fn packet(datagram: &[u8]) -> Decoded {
    match Packet::decode(datagram) {
        Ok((mode, packet)) => {
            let mut lines = vec![meaning::packet(mode, &packet)];
            let error = if let Packet::Data(_, payload) = packet { frames(payload, &mut lines) } else { None };
            (lines, error)
        }
        Err(error) => (Vec::new(), Some(error)),
    }
}

#[test]
fn integers() {
    check("integers.txt", 20, |vector| {
        let mut input = Reader::new(&vector.bytes);
        let decoded = all_or_error(input.varint(), |value| vec![format!("INTEGER {value}")]);
        assert!(decoded.1.is_some() || input.is_empty(), "{}: bytes left over", vector.name);
        decoded
    });
}

#[test]
fn packets() {
    check("packets.txt", 77, |vector| packet(&vector.bytes));
}

#[test]
fn packet_numbers() {
    let vectors = load("numbers.txt");
    assert!(vectors.len() >= 18);
    for vector in vectors {
        let low: [u8; 4] = vector.bytes.as_slice().try_into().expect("four bytes");
        let header = DataHeader {
            mode: Mode::Plain,
            key_phase: false,
            cid: ConnectionCid(0),
            number_low: u32::from_be_bytes(low),
        };
        let expected = vector.expected.expect("numbers.txt says what is expected");
        assert_eq!([format!("NUMBER {}", header.number(expected))].as_slice(), vector.is, "{}", vector.name);
    }
}

#[test]
fn parameters() {
    check("params.txt", 20, |vector| {
        all_or_error(Params::decode(&vector.bytes), |params| vec![meaning::params(&params)])
    });
}

#[test]
fn payloads() {
    check("frames.txt", 93, |vector| {
        let mut lines = Vec::new();
        let error = frames(&vector.bytes, &mut lines);
        (lines, error)
    });
}

#[test]
fn records() {
    check("records.txt", 33, |vector| {
        let mode = vector.mode.as_deref().unwrap_or("plain");
        let (_, mode_named) = meaning::MODES.into_iter().find(|(name, _)| *name == mode).expect("a mode");
        match Record::decode(mode_named, &vector.bytes) {
            Ok(None) => (vec!["INCOMPLETE".to_owned()], None),
            Ok(Some(record)) => {
                let kind = if record.kind == RecordKind::Handshake { "handshake" } else { "frames" };
                let mut lines = vec![format!("RECORD mode={mode} kind={kind} len={}", record.len)];
                let error = match record.kind {
                    RecordKind::Frames if mode_named.is_sealed() => {
                        lines[0] += &format!(" sealed={}", hex(record.body));
                        None
                    }
                    RecordKind::Frames => frames(record.body, &mut lines),
                    RecordKind::Handshake => {
                        let (more, error) = packet(record.body);
                        lines.extend(more);
                        error
                    }
                };
                (lines, error)
            }
            Err(error) => (Vec::new(), Some(error)),
        }
    });
}

#[test]
fn beacons() {
    let vectors = load("beacons.txt");
    assert!(vectors.len() >= 35);
    for vector in vectors {
        match Beacon::decode(&vector.bytes) {
            Ok(beacon) => {
                assert_eq!([beacons::meaning(&beacon)].as_slice(), vector.is, "{}", vector.name);
                assert_eq!(hex(&beacons::write(&vector.is[0])), hex(&vector.bytes), "{} written", vector.name);
            }
            Err(error) => assert_eq!(Some(meaning::error(error)), vector.error, "{}", vector.name),
        }
    }
}

#[test]
fn contents() {
    let vectors = load("contents.txt");
    assert!(vectors.len() >= 118);
    for vector in vectors {
        let tag = vector.tag.expect("contents.txt has tags");
        if cfg!(not(feature = "serde")) && tag == udpair::content::tag::VALUE {
            continue; // checked where the feature is
        }
        match contents::meaning(tag, &vector.bytes) {
            Ok(meaning) => {
                assert_eq!([meaning].as_slice(), vector.is, "{}", vector.name);
                if vector.canonical {
                    let content = contents::write(&vector.is[0], tag);
                    assert_eq!((content.tag, hex(&content.body)), (tag, hex(&vector.bytes)), "{} written", vector.name);
                }
            }
            Err(error) => assert_eq!(Some(error), vector.error, "{}", vector.name),
        }
    }
}

/// Checks vectors of messages between nodes, each of which says one thing.
fn check_nodes<T>(file: &str, least: usize, decode: fn(&[u8]) -> Result<T, DecodeError>, meaning: fn(&T) -> String) {
    let vectors = load(file);
    assert!(vectors.len() >= least, "{file} has lost vectors: {} left", vectors.len());
    for vector in vectors {
        match decode(&vector.bytes) {
            Ok(said) => {
                assert_eq!([meaning(&said)].as_slice(), vector.is, "{}", vector.name);
                assert_eq!(hex(&nodes::write(&vector.is[0])), hex(&vector.bytes), "{} written", vector.name);
            }
            Err(error) => assert_eq!(Some(meaning::error(error)), vector.error, "{}", vector.name),
        }
    }
}

#[test]
fn controls() {
    check_nodes("controls.txt", 28, Control::decode, nodes::control);
}

#[test]
fn times() {
    check_nodes("times.txt", 10, Time::decode, nodes::time);
}

/// What a side that grants what `violations.txt` says finds wrong with the frames in `payload`.
fn violation(payload: &[u8]) -> Option<(usize, Violation)> {
    let limits =
        Limits { message_len_max: 1_000, credit_connection: 8_192, credit_channel: 4_096, ..Limits::default() };
    let mut side = Messages::new(limits);
    assert_eq!(side.limits(), &limits, "the vectors' limits are allowed");
    side.establish(&Params::default());
    for (at, frame) in Frames::new(payload).enumerate() {
        let outcome = frame.map_err(Violation::from).and_then(|frame| side.handle(&frame));
        if let Err(violation) = outcome {
            return Some((at, violation));
        }
    }
    None
}

#[test]
fn violations() {
    let vectors = load("violations.txt");
    assert!(vectors.len() >= 41);
    for vector in vectors {
        let found = violation(&vector.bytes);
        let code = found.map_or_else(|| "none".to_owned(), |(_, violation)| violation.code().to_string());
        assert_eq!(Some(code), vector.violation, "{}: {found:?}", vector.name);
        let count = Frames::new(&vector.bytes).count();
        assert!(found.is_none_or(|(at, _)| at + 1 == count), "{}: not by the last frame: {found:?}", vector.name);
    }
}
