//! What it costs to seal and to open packets and records where they are, by cipher and size; and a key agreement.

use core::time::Duration;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use udpair::seal::protection::Secrets;
use udpair::seal::{Ask, Cipher, Inviter, Joiner, Protection, Prs, Secret};
use udpair::time::Timestamp;
use udpair::wire::{ConnectionCid, DATA_HEADER_LEN, Mode, Packet, RECORD_BODY_MAX, SEAL_LEN};

/// A datagram of Ethernet, and of loopback; the frames within.
const DATAGRAMS: [usize; 2] = [1_472, 65_507];
const CIPHERS: [(&str, Cipher); 2] = [("aes-256-gcm", Cipher::Aes256Gcm), ("chacha20", Cipher::ChaCha20Poly1305)];
const CID: ConnectionCid = ConnectionCid(7);

/// The two ends of a connection.
fn sides(cipher: Cipher) -> [Protection; 2] {
    let secrets = [Secret::new([1; 32]), Secret::new([2; 32])];
    [0, 1]
        .map(|ours| Protection::sealed(Mode::Psk, cipher, Secrets { ours: &secrets[ours], theirs: &secrets[1 - ours] }))
}

fn put_packet(side: &mut Protection, out: &mut Vec<u8>, number: u64, frames: &[u8]) {
    out.clear();
    side.start_packet(out, CID, number);
    out.extend_from_slice(frames);
    side.finish_packet(out, 0, number).expect("numbers ascend");
}

/// With the copy of the frames into the packet, as a connection makes it: it cannot be had without.
fn packets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packet");
    for (name, cipher) in CIPHERS {
        for len in DATAGRAMS {
            let frames = vec![0x5a; len - DATA_HEADER_LEN - SEAL_LEN];
            let [mut ours, mut theirs] = sides(cipher);
            let (mut out, mut number) = (Vec::with_capacity(len), 0);
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(BenchmarkId::new(format!("seal {name}"), len), |bencher| {
                bencher.iter(|| {
                    put_packet(&mut ours, &mut out, number, black_box(&frames));
                    number += 1;
                });
            });
            put_packet(&mut ours, &mut out, number, &frames);
            let Ok((_, Packet::Sealed(header, _))) = Packet::decode(&out) else { panic!("not sealed") };
            let mut datagram = out.clone();
            // Whether a number was seen before is for the connection to ask, so one packet can be opened again.
            group.bench_function(BenchmarkId::new(format!("open {name}"), len), |bencher| {
                bencher.iter(|| {
                    datagram.copy_from_slice(&out);
                    let opened =
                        theirs.open_packet(Timestamp::ZERO, Duration::ZERO, &header, number, black_box(&mut datagram));
                    assert_eq!(opened.expect("sealed above").len(), frames.len());
                });
            });
        }
    }
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    let body = vec![0x5a; RECORD_BODY_MAX];
    group.throughput(Throughput::Bytes(RECORD_BODY_MAX as u64));
    for (name, cipher) in CIPHERS {
        let [mut ours, mut theirs] = sides(cipher);
        let mut out = Vec::with_capacity(RECORD_BODY_MAX + 64);
        group.bench_function(format!("seal and open {name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                ours.start_record(&mut out);
                out.extend_from_slice(black_box(&body));
                ours.finish_record(&mut out, 0).expect("numbers ascend");
                assert_eq!(theirs.open_record(&mut out).expect("sealed above").len(), RECORD_BODY_MAX);
            });
        });
    }
}

/// Each side's part, from nothing to its keys.
fn agreement(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("agreement");
    let prs = Prs::words("maple-otter");
    let ask = Ask { client_random: [1; 16], invite: [2; 8], cookie: Some([3; 40]), client_cid: CID, params: &[] };
    let joiner = Joiner::start(Mode::Code, &prs, &ask, &[4; 64]).expect("sound parameters");
    let hello = joiner.hello().to_vec();
    let Ok((_, Packet::Hello2(parsed))) = Packet::decode(&hello) else { panic!("no HELLO2") };
    let ours = (ConnectionCid(8), [].as_slice());
    let answer = || Inviter::answer(Mode::Code, &prs, (&hello, &parsed), ours, &[5; 64]).expect("a sound share");
    let share = answer().share().to_vec();
    let Ok((_, Packet::Share(answered))) = Packet::decode(&share) else { panic!("no SHARE") };
    group.bench_function("inviter", |bencher| bencher.iter(|| black_box(answer())));
    group.bench_function("joiner", |bencher| {
        bencher.iter(|| {
            let joiner = Joiner::start(Mode::Code, &prs, &ask, &[4; 64]).expect("sound parameters");
            black_box(joiner.on_share(&share, &answered).expect("a sound share"))
        });
    });
}

fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800))
}

criterion_group! { name = benches; config = short(); targets = packets, records, agreement }
criterion_main!(benches);
