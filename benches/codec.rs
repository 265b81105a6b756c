//! What it costs to write and to read packets, by their size: checksum, header and frames, nothing of what they mean.

use core::time::Duration;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use udpair::wire::{
    ConnectionCid, Data, DataHeader, Delivery, Frame, Frames, MessageStart, Mode, Packet, RangeSet, put_ack_blocks,
    put_crc, start_data,
};

const HEADER: DataHeader =
    DataHeader { mode: Mode::Plain, key_phase: false, cid: ConnectionCid(7), number_low: 70_000 };

/// Payload bytes of a chunk in packets of an echo, of Ethernet, of jumbo frames and of loopback.
const PAYLOADS: [usize; 4] = [64, 1_440, 8_940, 65_470];

fn write_data(out: &mut Vec<u8>, payload: &[u8]) {
    let start = Some(MessageStart { delivery: Delivery::Ordered, tag: 0, len: Some(payload.len() as u64) });
    start_data(out, &HEADER);
    Frame::Data(Data { channel: 0, message: 1_000, offset: 0, start, fin: true, payload }).put(out);
    put_crc(out, 0);
}

fn write_ack(out: &mut Vec<u8>, received: &RangeSet) {
    start_data(out, &HEADER);
    put_ack_blocks(out, 1_200, received, 256, 25, None);
    put_crc(out, 0);
}

/// Reads a packet to its last frame, as a connection would, and says how many frames it held.
fn read(datagram: &[u8]) -> usize {
    let Ok((_, Packet::Data(header, payload))) = Packet::decode(datagram) else { panic!("not a data packet") };
    black_box(header);
    let mut count = 0;
    for frame in Frames::new(payload) {
        black_box(frame.expect("written above"));
        count += 1;
    }
    count
}

fn data(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("data");
    for len in PAYLOADS {
        let payload = vec![0x5a; len];
        let mut out = Vec::new();
        write_data(&mut out, &payload);
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_with_input(BenchmarkId::new("decode", len), &out.clone(), |bencher, datagram| {
            bencher.iter(|| assert_eq!(read(black_box(datagram)), 1));
        });
        group.bench_with_input(BenchmarkId::new("encode", len), &payload, |bencher, payload| {
            bencher.iter(|| {
                out.clear();
                write_data(&mut out, black_box(payload));
            });
        });
    }
}

fn acks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ack");
    for ranges in [1, 8, 64] {
        let mut received = RangeSet::new();
        for range in 0..ranges {
            received.insert(range * 10..range * 10 + 7);
        }
        let mut out = Vec::new();
        write_ack(&mut out, &received);
        group.bench_with_input(BenchmarkId::new("decode", ranges), &out.clone(), |bencher, datagram| {
            bencher.iter(|| assert_eq!(read(black_box(datagram)), 1));
        });
        group.bench_with_input(BenchmarkId::new("encode", ranges), &received, |bencher, received| {
            bencher.iter(|| {
                out.clear();
                write_ack(&mut out, black_box(received));
            });
        });
    }
}

fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800))
}

criterion_group! { name = benches; config = short(); targets = data, acks }
criterion_main!(benches);
