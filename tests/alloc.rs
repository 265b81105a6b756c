//! The steady state takes nothing from the allocator: counted, packet by packet.

#[path = "../benches/pair/mod.rs"]
mod pair;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;

use pair::Pair;

/// Counts what each thread asks for, so that the test harness's own threads do not show.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is being taken down has nothing to count any more.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator cannot be written without; this one only counts")]
// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        count();
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
fn bulk(datagram_len: u32, len: usize, messages: usize) -> Vec<(u64, u64)> {
    let mut pair = Pair::new(datagram_len);
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

#[test]
fn data_inside_a_message_costs_no_allocation_but_the_messages_one() {
    for datagram_len in [1_472, 65_507] {
        let counts = bulk(datagram_len, 8 << 20, 12);
        let [.., (allocations, datagrams)] = counts[..] else { panic!("nothing was sent") };
        assert!(datagrams > 128, "{datagrams}");
        assert_eq!(allocations, 1, "the content's own, for {datagrams} datagrams: {counts:?}");
    }
}

#[test]
fn a_short_message_costs_one_allocation_at_the_receiver() {
    let counts = bulk(1_472, 64, 1_000);
    let (allocations, datagrams) = counts[500..].iter().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    assert!(allocations <= 500, "{allocations} for {datagrams} datagrams and 500 messages");
}
