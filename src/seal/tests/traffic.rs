//! What two established sides seal for each other.

use core::time::Duration;

use super::pair;
use crate::seal::{OpenError, Protection};
use crate::time::Timestamp;
use crate::wire::{
    ConnectionCid, DATA_HEADER_LEN, Mode, Packet, Params, RECORD_HEADER_LEN, Record, RecordKind, SEAL_LEN,
};

const CID: ConnectionCid = ConnectionCid(77);
const KEEP: Duration = Duration::from_secs(1);

fn ciphers() -> [Params; 2] {
    [false, true].map(|prefers_chacha| Params { prefers_chacha, ..Params::default() })
}

fn packet(side: &mut Protection, number: u64, frames: &[u8]) -> Vec<u8> {
    let mut out = vec![0xee]; // as inside a batch: the packet does not begin at 0
    side.start_packet(&mut out, CID, number);
    out.extend_from_slice(frames);
    side.finish_packet(&mut out, 1, number).unwrap();
    out.remove(0);
    out
}

fn open(side: &mut Protection, expected: u64, datagram: &[u8]) -> Result<Vec<u8>, OpenError> {
    let Ok((_, Packet::Data(header, _) | Packet::Sealed(header, _))) = Packet::decode(datagram) else {
        return Err(OpenError::Forged);
    };
    let mut datagram = datagram.to_vec();
    side.open_packet(Timestamp::ZERO, KEEP, &header, header.number(expected), &mut datagram).map(<[u8]>::to_vec)
}

fn record(side: &mut Protection, frames: &[u8]) -> Vec<u8> {
    let mut out = vec![0xee];
    side.start_record(&mut out);
    out.extend_from_slice(frames);
    side.finish_record(&mut out, 1).unwrap();
    out.remove(0);
    out
}

#[test]
fn packets_return_as_they_went_with_both_ciphers_and_in_plain_mode() {
    for params in ciphers() {
        let (ours, theirs) = pair(Mode::Code, &params);
        let (mut ours, mut theirs) = (ours, theirs);
        for (number, len) in [(0, 0), (1, 1), (5, 1_200), (6, 65_000)] {
            let frames = vec![7; len];
            let sealed = packet(&mut ours, number, &frames);
            assert_eq!(sealed.len(), DATA_HEADER_LEN + len + ours.trailer_len());
            assert_eq!(open(&mut theirs, 0, &sealed), Ok(frames.clone()));
            assert!(len < 2 || !sealed.windows(2).skip(DATA_HEADER_LEN).all(|two| two == [7, 7]), "in the clear");
            let sealed = packet(&mut theirs, number, &frames);
            assert_eq!(open(&mut ours, 0, &sealed), Ok(frames));
        }
        assert_eq!((ours.forged(), theirs.forged()), (0, 0));
    }
    let mut plain = Protection::plain();
    let sent = packet(&mut plain, 3, b"frames");
    assert_eq!(open(&mut plain, 0, &sent), Ok(b"frames".to_vec()));
}

#[test]
fn no_bit_of_a_sealed_packet_may_flip() {
    for params in ciphers() {
        let (ours, theirs) = pair(Mode::Psk, &params);
        let (mut ours, mut theirs) = (ours, theirs);
        let sealed = packet(&mut ours, 9, b"frames");
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&mut theirs, 0, &flipped), Err(OpenError::Forged), "bit {bit}");
        }
        for cut in 0..sealed.len() {
            assert_eq!(open(&mut theirs, 0, &sealed[..cut]), Err(OpenError::Forged), "cut at {cut}");
        }
        assert!(theirs.forged() > 0);
        assert_eq!(open(&mut theirs, 0, &sealed), Ok(b"frames".to_vec()), "and it can still be opened");
    }
}

#[test]
fn what_one_sealed_oneself_cannot_be_opened() {
    let (ours, theirs) = pair(Mode::Code, &Params::default());
    let (mut ours, mut theirs) = (ours, theirs);
    let sealed = packet(&mut ours, 0, b"frames");
    assert_eq!(open(&mut ours, 0, &sealed), Err(OpenError::Forged));
    let mut record = record(&mut theirs, b"frames");
    assert_eq!(theirs.open_record(&mut record), Err(OpenError::Forged));
}

#[test]
fn a_plain_packet_is_nothing_to_a_sealed_connection() {
    let (mut ours, _) = pair(Mode::Code, &Params::default());
    assert_eq!(open(&mut ours, 0, &packet(&mut Protection::plain(), 0, b"frames")), Err(OpenError::Forged));
}

#[test]
fn records_return_in_their_order_and_in_no_other() {
    for params in ciphers() {
        let (ours, theirs) = pair(Mode::Code, &params);
        let (mut ours, mut theirs) = (ours, theirs);
        let mut records: Vec<Vec<u8>> = (0..4).map(|at| record(&mut ours, &vec![at; 1_000])).collect();
        let decoded = Record::decode(Mode::Code, &records[0]).unwrap().unwrap();
        assert_eq!((decoded.kind, decoded.len), (RecordKind::Frames, RECORD_HEADER_LEN + 1_000 + SEAL_LEN));
        assert_eq!(theirs.open_record(&mut records[0].clone()), Ok(&[0; 1_000][..]));
        assert_eq!(theirs.open_record(&mut records[0].clone()), Err(OpenError::Forged), "again");
        assert_eq!(theirs.open_record(&mut records[2].clone()), Err(OpenError::Forged), "one was left out");
        for bit in 0..records[1].len() * 8 {
            let mut flipped = records[1].clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(theirs.open_record(&mut flipped), Err(OpenError::Forged), "bit {bit}");
        }
        assert_eq!(theirs.open_record(&mut records[1]), Ok(&[1; 1_000][..]));
    }
    let mut plain = Protection::plain();
    let mut sent = record(&mut plain, b"frames");
    assert_eq!(plain.open_record(&mut sent), Ok(&b"frames"[..]));
}
