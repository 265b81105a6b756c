//! How the channels of one side share its send queue.

use super::*;

/// Sends on `channel` until nothing more is accepted, whatever the peer's library takes meanwhile; nobody receives.
fn fill_up(pair: &mut Pair, channel: u16, len: usize) {
    for _ in 0..10_000 {
        match pair.sides[0].send(channel, 0, content(0, len)) {
            Ok(_) => pair.run(),
            Err(error) => return assert_eq!(error, SendError::WouldBlock),
        }
    }
    panic!("nothing holds it back");
}

#[test]
fn a_channel_that_nobody_reads_leaves_the_others_their_way() {
    for len in [100, 9_000, 40_000] {
        let mut pair = Pair::new(limits());
        pair.sides[0].configure(1, ChannelConfig::new(Delivery::Latest)).unwrap();
        pair.sides[0].configure(2, ChannelConfig::new(Delivery::Unordered)).unwrap();
        pair.sides[0].configure(3, ChannelConfig::new(Delivery::Unreliable)).unwrap();
        fill_up(&mut pair, 0, len);
        assert!(!pair.sides[0].writable(0), "{len}");
        // Whoever asks for any message would read the full channel.
        for channel in 1..5 {
            assert_eq!(pair.sides[1].recv(Select::One(channel)).unwrap(), None);
        }
        for nth in 0..100 {
            for channel in 1..5 {
                assert!(pair.sides[0].writable(channel), "{len}: {nth} on {channel}");
                let sent = content(nth, 1_000);
                pair.sides[0].send(channel, 0, sent.clone()).unwrap();
                pair.run();
                let arrival = pair.sides[1].recv(Select::One(channel)).unwrap();
                assert_eq!(arrival.map(|arrival| arrival.body), Some(ArrivalBody::Whole(sent)), "{len} on {channel}");
            }
        }
        // Its own reader has only to come.
        while pair.sides[1].recv(Select::One(0)).unwrap().is_some() {
            pair.run();
        }
        assert!(pair.sides[0].flushed() && pair.sides[0].writable(0), "{len}");
    }
}

#[test]
fn several_channels_that_nobody_reads_still_leave_some_room_for_the_next() {
    let mut pair = Pair::new(Limits { send_queue: 1 << 20, ..limits() });
    // Three readers that stay away take all credit; what is sent on the others waits in the queue.
    for channel in 0..5 {
        assert!(pair.sides[0].writable(channel), "{channel}");
        fill_up(&mut pair, channel, 100);
    }
    assert!(pair.sides[0].stats().queued < 1 << 20);
}

#[test]
fn a_value_takes_the_place_of_the_last_one_however_much_is_queued() {
    // Nothing goes at all: the peer grants nothing.
    let mut side = Messages::new(limits());
    side.establish(&Messages::new(limits()).params(crate::wire::Params::default()));
    let values = 0..4;
    for channel in values.clone() {
        side.configure(channel, ChannelConfig::new(Delivery::Latest)).unwrap();
    }
    let len = 20_000;
    for round in 0..10 {
        for channel in values.clone() {
            assert!(side.writable(channel), "{round} on {channel}");
            side.send(channel, 0, content(round, len)).unwrap();
        }
    }
    assert_eq!(side.stats().queued, 4 * (len as u64 + MESSAGE_COST));
    // There is a limit to them, too, all together.
    side.configure(4, ChannelConfig::new(Delivery::Latest)).unwrap();
    side.send(4, 0, content(0, len)).unwrap();
    side.configure(5, ChannelConfig::new(Delivery::Latest)).unwrap();
    assert_eq!(side.send(5, 0, content(0, len)), Err(SendError::WouldBlock));
    assert!(!side.writable(5) && side.writable(4));
    // Which is theirs alone.
    side.send(6, 0, content(0, len)).unwrap();
}

#[test]
fn room_is_told_for_the_value_that_was_refused() {
    let limits = Limits { send_queue: 1 << 20, ..limits() };
    let mut side = Messages::new(limits);
    side.establish(&Messages::new(limits).params(crate::wire::Params::default()));
    let little = (1 << 20) / 256 - usize::try_from(MESSAGE_COST).unwrap();
    for channel in 0..100 {
        side.configure(channel, ChannelConfig::new(Delivery::Latest)).unwrap();
    }
    let long = (0..60).find(|channel| side.send(*channel, 0, content(0, 20_000)).is_err()).unwrap();
    // Any value of its own is replaced.
    assert!(side.writable(0) && !side.writable(long));
    // The room beside: sixteen that are as long as they may be.
    for channel in 60..76 {
        assert!(!side.writable(channel), "nothing was refused there, so it is told for any length");
        side.send(channel, 0, content(0, little)).unwrap();
    }
    assert_eq!(side.send(80, 0, content(0, 0)), Err(SendError::WouldBlock));
    assert_eq!(side.send(81, 0, content(0, little)), Err(SendError::WouldBlock));
    assert!(!side.writable(80) && !side.writable(81));
    // One gets shorter: there is room for an empty one, and for no other.
    side.send(60, 0, content(1, little - 1_000)).unwrap();
    assert!(side.writable(80) && !side.writable(81));
    assert_eq!(side.send(81, 0, content(0, little)), Err(SendError::WouldBlock));
    side.send(80, 0, content(0, 0)).unwrap();
}
