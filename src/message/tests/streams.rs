//! Messages written and read piece by piece, and what each end learns of the other.

use super::*;

#[test]
fn a_message_of_announced_length_may_be_taken_before_its_writer_says_that_it_is_finished() {
    let mut pair = Pair::new(limits());
    let id = pair.sides[0].begin(0, 0, Some(5_000)).unwrap();
    pair.sides[0].write(0, id, &content(0, 5_000)).unwrap();
    pair.run();
    assert_eq!(pair.recv(1).map(|(_, _, body)| body.len()), Some(5_000));
    pair.run();
    assert_eq!(pair.sides[0].write(0, id, b"x"), Err(WriteError::Length { len: 5_000 }));
    assert_eq!(pair.sides[0].finish_message(0, id), Ok(()));
    pair.run();
    assert!(pair.sides[0].flushed());
    assert_eq!(pair.sides[0].stats().queued, 0);
}

#[test]
fn a_writer_that_comes_late_still_learns_that_its_message_was_stopped() {
    let mut pair = Pair::new(limits());
    let id = pair.sides[0].begin(0, 0, None).unwrap();
    pair.sides[0].write(0, id, &content(0, 5_000)).unwrap();
    pair.run();
    let arrival = pair.sides[1].recv(Select::Any).unwrap().unwrap();
    pair.sides[1].stop(0, arrival.id, 3);
    pair.run();
    assert!(pair.sides[0].flushed(), "the message itself is over");
    for _ in 0..2 {
        assert_eq!(pair.sides[0].write(0, id, b"more"), Err(WriteError::Stopped { code: 3 }));
        assert_eq!(pair.sides[0].finish_message(0, id), Err(WriteError::Stopped { code: 3 }));
    }
}

#[test]
fn a_stream_whose_turn_it_is_can_be_written_though_those_behind_it_fill_the_queue() {
    let mut pair = Pair::new(limits());
    let id = pair.sides[0].begin(0, 0, None).unwrap();
    pair.sides[0].write(0, id, &content(0, 10)).unwrap();
    while pair.sides[0].send(0, 0, content(1, 9_000)).is_ok() {}
    let behind = pair.sides[0].begin(0, 0, None);
    assert_eq!(behind, Err(SendError::WouldBlock));
    pair.run();
    let arrival = pair.sides[1].recv(Select::Any).unwrap().unwrap();
    let mut read = 0;
    for _ in 0..100 {
        assert!(pair.sides[0].stream_writable(0, id));
        pair.sides[0].write(0, id, &content(0, 3_000)).unwrap();
        pair.run();
        while let Ok(len @ 1..) = pair.sides[1].read(0, arrival.id, &mut [0; 5_000]) {
            read += len;
        }
    }
    assert_eq!(read, 300_010);
    let long = pair.sides[0].write(0, id, &content(0, 200_000)).unwrap();
    assert_eq!(long, STREAM_HELD, "and no more than that");
    assert!(!pair.sides[0].stream_writable(0, id));
}

/// What a stream whose turn it is may hold though the queue is full.
const STREAM_HELD: usize = 64 * 1024;

#[test]
fn a_message_that_has_its_credit_can_be_written_to_its_end_though_others_that_wait_for_it_fill_the_queue() {
    for (mode, other) in [(Delivery::Unordered, 0), (Delivery::Ordered, 1)] {
        let mut pair = Pair::new(Limits { send_queue: 4_096, credit_connection: 60_000, ..limits() });
        pair.sides[0].configure(0, ChannelConfig::new(mode)).unwrap();
        let id = pair.sides[0].begin(0, 0, Some(39_000)).unwrap();
        let body = content(0, 39_000);
        let mut written = pair.sides[0].write(0, id, &body).unwrap();
        pair.run();
        pair.sides[0].send(other, 0, content(1, 39_000)).unwrap();
        while written < 39_000 {
            pair.run();
            assert!(pair.sides[0].stream_writable(0, id));
            written += pair.sides[0].write(0, id, &body[written..]).unwrap();
        }
        pair.sides[0].finish_message(0, id).unwrap();
        for expected in [(0, 0, body.to_vec()), (other, 1 - u64::from(other), content(1, 39_000).to_vec())] {
            pair.run();
            assert_eq!(pair.recv(1), Some(expected));
        }
    }
}
