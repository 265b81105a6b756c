//! What the library takes from the allocator: nothing in the steady state, counted packet by packet; and no more than
//! credit says for what a peer sends and nobody takes.

#[path = "alloc/flood.rs"]
mod flood;
#[path = "../benches/pair/mod.rs"]
mod pair;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use udpair::message::{Delivery, Limits, Messages, Select, SendError, Violation};
use udpair::proto::Security;
use udpair::seal::{Cipher, Protection, Secret, protection::Secrets};
use udpair::time::Timestamp;
use udpair::wire::{ConnectionCid, DATA_HEADER_LEN, Data, Frame, MessageStart, Mode, Packet, Params};

use pair::Pair;

/// Counts what each thread asks for, so that the test harness's own threads do not show.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// Bytes that an allocation of `size` takes: allocators keep a word beside it and round up, as glibc's does.
fn taken(size: usize) -> i64 {
    i64::try_from((size + 8).next_multiple_of(16).max(32)).unwrap_or(i64::MAX)
}

// A thread that is being taken down has nothing to count any more.
fn count() {
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

fn hold(bytes: i64) {
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

#[expect(unsafe_code, reason = "an allocator cannot be written without; this one only counts")]
// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(taken(layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        hold(-taken(layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        count();
        hold(taken(len) - taken(layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(at, layout, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Sends messages of `len` bytes one way, one after the other, and counts for each the allocations and the datagrams.
fn bulk(mut pair: Pair, len: usize, messages: usize) -> Vec<(u64, u64)> {
    let body = Bytes::from(vec![5; len]);
    let mut counts = Vec::with_capacity(messages);
    for _ in 0..messages {
        let before = (allocations(), pair.datagrams);
        pair.messages(0).send(0, 0, body.clone()).expect("there is room");
        let arrived = loop {
            pair.exchange();
            if let Some(arrived) = pair.recv_whole(1) {
                break arrived;
            }
        };
        counts.push((allocations() - before.0, pair.datagrams - before.1));
        assert_eq!(arrived.len(), len);
    }
    counts
}

fn psk() -> Security {
    Security::psk([3; 8], &[4; 32])
}

#[test]
fn data_inside_a_message_costs_no_allocation_but_the_messages_one() {
    for (datagram_len, security) in [(1_472, Security::plain()), (65_507, Security::plain()), (1_472, psk())] {
        let counts = bulk(Pair::new(datagram_len, security), 8 << 20, 12);
        let [.., (allocations, datagrams)] = counts[..] else { panic!("nothing was sent") };
        assert!(datagrams > 128, "{datagrams}");
        assert_eq!(allocations, 1, "the content's own, for {datagrams} datagrams: {counts:?}");
    }
}

#[test]
fn a_short_message_costs_one_allocation_at_the_receiver() {
    for security in [Security::plain(), psk()] {
        let counts = bulk(Pair::new(1_472, security), 64, 1_000);
        let (allocations, datagrams) = counts[500..].iter().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        assert!(allocations <= 500, "{allocations} for {datagrams} datagrams and 500 messages");
    }
}

#[test]
fn sealing_and_opening_take_place_where_the_packet_is() {
    for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
        let secrets = [Secret::new([1; 32]), Secret::new([2; 32])];
        let side = |ours: usize| {
            Protection::sealed(Mode::Psk, cipher, Secrets { ours: &secrets[ours], theirs: &secrets[1 - ours] })
        };
        let (mut ours, mut theirs) = (side(0), side(1));
        let frames = [7; 60_000];
        let mut out = Vec::with_capacity(DATA_HEADER_LEN + frames.len() + ours.trailer_len());
        let before = allocations();
        for number in 0..1_000 {
            out.clear();
            ours.start_packet(&mut out, ConnectionCid(5), number);
            out.extend_from_slice(&frames[..if number % 2 == 0 { 1_400 } else { frames.len() }]);
            ours.finish_packet(&mut out, 0, number).expect("numbers ascend");
            let Ok((_, Packet::Sealed(header, _))) = Packet::decode(&out) else { panic!("not sealed") };
            let opened = theirs.open_packet(Timestamp::ZERO, core::time::Duration::ZERO, &header, number, &mut out);
            assert!(opened.is_ok_and(|opened| opened.iter().all(|byte| *byte == 7)));
        }
        assert_eq!(allocations() - before, 0, "{cipher:?}");
    }
}

/// What a connection holds of what its peer sent is at most so many times the credit that it granted, whatever that is.
const RECEIVED_FACTOR: i64 = 2;
/// What it holds for sending is at most so many times `Limits::send_queue`.
const QUEUED_FACTOR: i64 = 3;

fn held() -> i64 {
    HELD.with(Cell::get)
}

fn i64_of(bytes: u64) -> i64 {
    i64::try_from(bytes).expect("far below")
}

#[test]
fn the_whole_credit_in_messages_with_hardly_any_content_takes_no_more_memory_than_it_should() {
    let start = |delivery, len| Some(MessageStart { delivery, tag: 0, len });
    let whole = Data { channel: 0, message: 0, offset: 0, start: None, fin: true, payload: &[] };
    let cases = [
        ("ready and empty", Data { start: start(Delivery::Unordered, Some(0)), ..whole }),
        ("ready, of a byte", Data { start: start(Delivery::Unordered, Some(1)), payload: &[1], ..whole }),
        ("out of order", Data { start: start(Delivery::Ordered, Some(0)), message: 1, ..whole }),
        ("begun", Data { start: start(Delivery::Ordered, Some(2)), fin: false, payload: &[1], ..whole }),
        (
            "a long value begun",
            Data { start: start(Delivery::Latest, Some(2_000)), fin: false, payload: &[1], ..whole },
        ),
        ("streams", Data { start: start(Delivery::Unordered, None), fin: false, payload: &[1], ..whole }),
        ("without a beginning", Data { offset: 1, fin: false, payload: &[1], ..whole }),
        ("an end alone", Data { offset: 1, ..whole }),
    ];
    for (case, data) in cases {
        let before = held();
        let limits = Limits::default();
        let mut messages = Messages::new(limits);
        messages.establish(&Params::default());
        let (mut count, mut most) = (0, 0);
        for channel in 0..4 {
            let full = (data.message..).find_map(|message| {
                let told = messages.handle(&Frame::Data(Data { channel, message, ..data })).err();
                count += usize::from(told.is_none());
                most = most.max(held() - before);
                told
            });
            assert_eq!(full, Some(Violation::Credit), "{case}: {count}");
        }
        assert!(count > 20_000, "{case}: {count}");
        let factor = RECEIVED_FACTOR * i64_of(limits.credit_connection);
        assert!(most < factor, "{case}: {} bytes for each of {count}", most / i64_of(count as u64));
        println!("{case}: {} bytes for each of {count}", most / i64_of(count as u64));
    }
}

#[test]
fn a_send_queue_full_of_empty_messages_takes_no_more_memory_than_it_should() {
    let before = held();
    let limits = Limits::default();
    let mut messages = Messages::new(limits);
    messages.establish(&messages.params(Params::default()));
    let (mut count, mut most) = (0, 0);
    let refused = loop {
        match messages.send(u16::from(count % 2 == 0), 0, Bytes::new()) {
            Ok(_) => count += 1,
            Err(refused) => break refused,
        }
        most = most.max(held() - before);
    };
    assert_eq!(refused, SendError::WouldBlock);
    assert!(most < QUEUED_FACTOR * i64_of(limits.send_queue), "{} bytes for each of {count}", most / i64::from(count));
    println!("{} bytes for each of {count}", most / i64::from(count));
}

#[test]
fn channels_that_were_once_full_and_were_read_give_the_memory_back() {
    let before = held();
    let mut messages = Messages::new(Limits::default());
    messages.establish(&Params::default());
    let (channels, each) = (100, 2_000);
    for channel in 0..channels {
        // Every other one first, so that there are as many gaps as messages, and then those between them.
        for message in (0..each).step_by(2).chain((1..each).step_by(2)) {
            let start = Some(MessageStart { delivery: Delivery::Unordered, tag: 0, len: Some(0) });
            let data = Data { channel, message, offset: 0, start, fin: true, payload: &[] };
            assert!(messages.handle(&Frame::Data(data)).is_ok());
        }
        while messages.recv(Select::Any).expect("it is open").is_some() {}
        messages.fill(&mut Vec::new(), 1_000, &mut Vec::new());
    }
    let taken = held() - before;
    assert!(taken < i64::from(channels) * 3_000, "{} bytes for each channel", taken / i64::from(channels));
}
