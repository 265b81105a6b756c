//! Any bytes are a packet or an error; what was decoded is written and decoded to the same.

use udpair::wire::{DataHeader, Frame, Frames, Mode, Packet, Params, RangeSet, Reader, put_ack_blocks, put_varint};

/// Decodes `data` as it stands, and with its checksum repaired; then its parts as what they could be.
pub fn run(data: &[u8]) {
    packet(data);
    packet(&repaired(data));
    payload(data);
    params(data);
    varint(data);
    number(data);
}

/// The bytes with the checksum at their end made right: the harness does so, the library never skips it.
#[must_use]
pub fn repaired(data: &[u8]) -> Vec<u8> {
    let mut bytes = data[..data.len().saturating_sub(4)].to_vec();
    udpair::wire::put_crc(&mut bytes, 0);
    bytes
}

/// Checks a datagram.
pub fn packet(datagram: &[u8]) {
    let Ok((mode, packet)) = Packet::decode(datagram) else { return };
    if let Packet::Data(header, content) = packet {
        assert_eq!((mode, header.key_phase), (Mode::Plain, false));
        payload(content);
        let mut written = Vec::new();
        udpair::wire::start_data(&mut written, &header);
        written.extend_from_slice(content);
        udpair::wire::put_crc(&mut written, 0);
        assert_eq!(written, datagram, "a data packet has one form only");
        return;
    }
    if let Packet::Sealed(header, content) = packet {
        let mut written = Vec::new();
        udpair::wire::start_data(&mut written, &header);
        written.extend_from_slice(content);
        assert_eq!(written, datagram, "what is sealed stands as it is");
        return;
    }
    if let Packet::Hello2(udpair::wire::Hello2 { params: encoded, .. })
    | Packet::Share(udpair::wire::Share { params: encoded, .. }) = packet
    {
        params(encoded);
    }
    let mut written = Vec::new();
    packet.put_handshake(mode, &mut written);
    assert_eq!(Packet::decode(&written), Ok((mode, packet)), "written and decoded");
    assert!(written.len() <= datagram.len(), "padding is the only freedom");
    let content = written.len() - 4;
    if datagram.len() == written.len() && datagram[..content] == written[..content] {
        assert_eq!(written, datagram);
    }
}

/// Checks frames.
pub fn payload(content: &[u8]) {
    let mut count = 0;
    for frame in Frames::new(content) {
        count += 1;
        let Ok(frame) = frame else { break };
        let written = write(&frame);
        let mut input = Reader::new(&written);
        let again = Frame::decode(&mut input).expect("what was written can be read");
        assert!(input.is_empty());
        assert!(same(&frame, &again), "{frame:?} became {again:?}");
        assert_eq!(write(&again), written, "written twice");
    }
    assert!(count <= content.len(), "a frame has at least a byte");
    assert_eq!(Frames::new(content).count(), count, "nothing follows an error");
}

fn write(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match *frame {
        Frame::Ack { blocks, largest, delay_us, ecn } => {
            let mut received = RangeSet::new();
            blocks.iter().for_each(|range| assert!(received.insert(range.clone()) == range.end - range.start));
            assert_eq!(received.last().map(|last| last.end - 1), Some(largest));
            let count = received.range_count();
            assert!(put_ack_blocks(&mut out, usize::MAX, &received, count, delay_us, ecn));
        }
        Frame::Taken { channel, messages } => {
            let mut taken: RangeSet = RangeSet::new();
            messages.iter().take(64).for_each(|range| assert!(taken.insert(range) > 0));
            Frame::put_taken(&mut out, usize::MAX, channel, &mut taken);
            assert!(taken.is_empty());
        }
        Frame::Data(data) => {
            data.put_header(&mut out, data.payload.len());
            assert_eq!(out.len(), data.header_len(data.payload.len()));
            out.extend_from_slice(data.payload);
        }
        _ => frame.put(&mut out),
    }
    out
}

/// True when the frames mean the same; of TAKEN only the first 64 runs are written.
fn same(frame: &Frame<'_>, again: &Frame<'_>) -> bool {
    let numbers = |ranges: &mut dyn Iterator<Item = core::ops::Range<u64>>| {
        let mut set = RangeSet::new();
        ranges.for_each(|range| {
            set.insert(range);
        });
        set
    };
    match (frame, again) {
        (
            Frame::Ack { blocks, largest, delay_us, ecn },
            Frame::Ack { blocks: blocks2, largest: largest2, delay_us: delay2, ecn: ecn2 },
        ) => (largest, delay_us, ecn) == (largest2, delay2, ecn2) && blocks.iter().take(16_383).eq(blocks2.iter()),
        (Frame::Taken { channel, messages }, Frame::Taken { channel: channel2, messages: messages2 }) => {
            channel == channel2 && numbers(&mut messages.iter().take(64)) == numbers(&mut messages2.iter())
        }
        _ => frame == again,
    }
}

fn params(encoded: &[u8]) {
    let Ok(params) = Params::decode(encoded) else { return };
    let mut written = Vec::new();
    params.put(&mut written);
    assert_eq!(Params::decode(&written), Ok(params));
    assert!(params.datagram_len_max >= 1_200);
}

fn varint(data: &[u8]) {
    let mut input = Reader::new(data);
    let Ok(value) = input.varint() else { return };
    let mut written = Vec::new();
    put_varint(&mut written, value);
    assert!(written.len() <= data.len() - input.rest().len(), "the shortest form");
    assert_eq!(Reader::new(&written).varint(), Ok(value));
}

/// The nearest number with these low bits is found.
fn number(data: &[u8]) {
    let mut input = Reader::new(data);
    let (Ok(expected), Ok(number_low)) = (input.varint(), input.u32()) else { return };
    let cid = udpair::wire::ConnectionCid(0);
    let number = DataHeader { mode: Mode::Plain, key_phase: false, cid, number_low }.number(expected);
    assert_eq!(number & 0xffff_ffff, u64::from(number_low));
    assert!(
        number.abs_diff(expected) <= 1 << 31 || (expected < 1 << 31 && number < 1 << 32),
        "{number} for {expected}"
    );
}
