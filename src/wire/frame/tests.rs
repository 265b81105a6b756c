//! Every frame there and back, and what must not be read.

use super::*;

fn round_trip(frame: Frame<'_>) {
    let mut bytes = Vec::new();
    frame.put(&mut bytes);
    let mut input = Reader::new(&bytes);
    assert_eq!(Frame::decode(&mut input), Ok(frame));
    assert!(input.is_empty());
    for cut in 1..bytes.len() {
        assert!(Frame::decode(&mut Reader::new(&bytes[..cut])).is_err(), "{frame:?} cut at {cut}");
    }
}

#[test]
fn every_frame_returns_as_it_went() {
    round_trip(Frame::Ping);
    round_trip(Frame::Received { count: 70_000 });
    round_trip(Frame::CreditConnection { limit: 1 << 40 });
    round_trip(Frame::CreditChannel { channel: 65_535, limit: 5 });
    round_trip(Frame::Reset { channel: 1, message: 2, final_size: 3, code: u32::MAX });
    round_trip(Frame::Stop { channel: 1, message: 2, code: 0 });
    for kind in [CloseKind::Close, CloseKind::Abort, CloseKind::Refuse, CloseKind::Violation] {
        round_trip(Frame::Close { kind, code: 9 });
    }
}

#[test]
fn data_frames_return_as_they_went() {
    for delivery in [Delivery::Ordered, Delivery::Unordered, Delivery::Latest, Delivery::Unreliable] {
        for (len, fin) in [(Some(5), true), (Some(9), false), (None, false)] {
            let start = Some(MessageStart { delivery, tag: 0xbeef, len });
            let data = Data { channel: 300, message: 70, offset: 0, start, fin, payload: b"hello" };
            let mut bytes = Vec::new();
            data.put_header(&mut bytes, 5);
            assert_eq!(bytes.len(), data.header_len(5));
            round_trip(Frame::Data(data));
        }
    }
    round_trip(Frame::Data(Data { channel: 0, message: 0, offset: 77, start: None, fin: true, payload: b"" }));
}

#[test]
fn a_first_chunk_longer_than_its_message_is_refused() {
    let start = Some(MessageStart { delivery: Delivery::Ordered, tag: 0, len: Some(4) });
    let data = Data { channel: 0, message: 0, offset: 0, start, fin: false, payload: b"hello" };
    let mut bytes = Vec::new();
    Frame::Data(data).put(&mut bytes);
    assert_eq!(Frame::decode(&mut Reader::new(&bytes)), Err(DecodeError::Value("message length")));
}

fn ack(ranges: &[(u64, u64)], room: usize) -> Option<Vec<(u64, u64)>> {
    let mut received = RangeSet::new();
    for (start, end) in ranges {
        received.insert(*start..*end);
    }
    let mut bytes = Vec::new();
    let ecn = Some(EcnCounts { ect0: 1, ect1: 2, ce: 3 });
    if !put_ack_blocks(&mut bytes, room, &received, 256, 25, ecn) {
        return None;
    }
    assert!(bytes.len() <= room);
    let Ok(Frame::Ack { blocks, delay_us: 25, ecn: decoded, .. }) = Frame::decode(&mut Reader::new(&bytes)) else {
        panic!("not an ack");
    };
    assert_eq!(decoded, ecn);
    Some(blocks.iter().map(|range| (range.start, range.end)).collect())
}

#[test]
fn acks_carry_the_highest_ranges_that_fit() {
    assert_eq!(ack(&[], 100), None);
    assert_eq!(ack(&[(0, 1)], 100), Some(vec![(0, 1)]));
    assert_eq!(ack(&[(0, 3), (5, 6), (90, 101)], 100), Some(vec![(90, 101), (5, 6), (0, 3)]));
    assert_eq!(ack(&[(0, 3), (5, 6), (90, 101)], 12), Some(vec![(90, 101)]));
    assert_eq!(ack(&[(90, 101)], 4), None);
}

#[test]
fn an_ack_below_zero_is_refused() {
    for bytes in [&[ACK, 5, 0, 1, 7][..], &[ACK, 5, 0, 2, 1, 4, 2], &[ACK, 5, 0, 1, 0], &[ACK, 5, 0, 2, 1, 0, 1]] {
        assert_eq!(Frame::decode(&mut Reader::new(bytes)), Err(DecodeError::Value("ack block")), "{bytes:?}");
    }
    assert_eq!(Frame::decode(&mut Reader::new(&[ACK, 5, 0, 0])), Err(DecodeError::Value("ack blocks")));
}

#[test]
fn taken_takes_what_fits_and_leaves_the_rest() {
    let mut taken = RangeSet::new();
    for id in 0..100 {
        taken.insert_one(id * 2);
    }
    let mut bytes = Vec::new();
    let chosen = Frame::put_taken(&mut bytes, 20, 7, &mut taken);
    assert!(bytes.len() <= 20 && !chosen.is_empty());
    assert_eq!(chosen.len() + taken.len(), 100);
    let Ok(Frame::Taken { channel: 7, messages }) = Frame::decode(&mut Reader::new(&bytes)) else {
        panic!("not taken");
    };
    assert_eq!(messages.iter().collect::<Vec<_>>(), chosen.iter().collect::<Vec<_>>());
}
