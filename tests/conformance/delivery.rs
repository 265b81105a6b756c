//! Order, delivery modes, sizes, channels.

use std::collections::BTreeSet;

use bytes::Bytes;
use udpair::message::{ChannelConfig, ConfigureError, Delivery, SendError};
use udpair::transport::FlushError;

use crate::pair::{Pair, SHORT, STUCK, bytes_of, content, receive, receive_on};

pub(crate) fn messages_arrive_in_order(pair: Pair) {
    let (client, server) = pair.connect();
    let sender = pair.beside(move || {
        for at in 0..2_000 {
            client.send(content(at, at % 700)).unwrap();
        }
        client.close(0)
    });
    for at in 0..2_000 {
        let message = server.recv_timeout(STUCK).unwrap();
        assert_eq!(message.id.0, at as u64);
        assert_eq!(bytes_of(message), content(at, at % 700));
    }
    assert!(sender.join().unwrap().all_taken());
}

pub(crate) fn unordered_messages_arrive_exactly_once(pair: Pair) {
    let (client, server) = pair.connect();
    client.configure(3, ChannelConfig::new(Delivery::Unordered)).unwrap();
    for at in 0..500 {
        client.send_on(3, 0, content(at, at * 5)).unwrap();
    }
    let mut seen = BTreeSet::new();
    for _ in 0..500 {
        let message = server.recv_timeout(STUCK).unwrap();
        let at = usize::try_from(message.id.0).unwrap();
        assert_eq!(bytes_of(message), content(at, at * 5));
        assert!(seen.insert(at), "{at} twice");
    }
    assert!(client.close(0).all_taken());
}

pub(crate) fn latest_ends_with_the_newest(pair: Pair) {
    let (client, server) = pair.connect();
    client.configure(0, ChannelConfig::new(Delivery::Latest)).unwrap();
    client.configure(1, ChannelConfig::new(Delivery::Latest)).unwrap();
    for at in 0..300 {
        client.send_on(0, 0, content(at, 100)).unwrap();
        client.send_on(1, 0, content(at, 50_000)).unwrap();
    }
    client.flush_timeout(STUCK).unwrap();
    for (channel, len) in [(0, 100), (1, 50_000)] {
        let mut last = None;
        while last != Some(299) {
            let message = server.recv_on_timeout(channel, STUCK).unwrap();
            assert!(last.is_none_or(|last| last < message.id.0), "never backwards");
            last = Some(message.id.0);
            let at = usize::try_from(message.id.0).unwrap();
            assert_eq!(bytes_of(message), content(at, len));
        }
        assert!(server.recv_on_timeout(channel, SHORT).is_err());
    }
}

pub(crate) fn unreliable_messages_of_one_datagram_arrive(pair: Pair) {
    let (client, server) = pair.connect();
    client.configure(9, ChannelConfig::new(Delivery::Unreliable)).unwrap();
    for at in 0..20 {
        client.send_on(9, 0, content(at, 1_100)).unwrap();
        // Nothing was lost on the way here, so each one comes.
        assert_eq!(receive_on(&server, 9), content(at, 1_100));
    }
}

pub(crate) fn sizes_around_every_border(pair: Pair) {
    let (client, server) = pair.connect();
    let borders = [0, 64, 256, 1_100, 1_170, 1_200, 1_372, 1_452, 1_472, 8_972, 16_000, 32_000, 65_507, 65_535, 65_536];
    let mut sizes = BTreeSet::new();
    for border in borders {
        sizes.extend(usize::saturating_sub(border, 60)..border + 4);
    }
    sizes.extend([1 << 20, (1 << 20) + 1, 15 << 20]);
    let all: Vec<usize> = sizes.into_iter().collect();
    let sent = all.clone();
    let sender = pair.beside(move || {
        for (at, len) in sent.iter().enumerate() {
            client.send(content(at, *len)).unwrap();
        }
        client.close(0)
    });
    for (at, len) in all.iter().enumerate() {
        let got = receive(&server);
        assert!(got == content(at, *len), "size {len}: {} bytes came", got.len());
    }
    assert!(sender.join().unwrap().all_taken());
}

pub(crate) fn both_directions_at_once(pair: Pair) {
    let (client, server) = pair.connect();
    let talk = |me: udpair::Connection, seed: usize| {
        move || {
            let other = me.clone();
            let sender = me.transport().spawn("sender", move || {
                for at in 0..200 {
                    other.send(content(at + seed, 20_000)).unwrap();
                }
            });
            for at in 0..200 {
                assert!(receive(&me) == content(at + 1_000 - seed, 20_000));
            }
            sender.unwrap().join().unwrap();
            me.flush_timeout(STUCK).unwrap();
        }
    };
    let beside = pair.beside(talk(server.clone(), 1_000));
    talk(client.clone(), 0)();
    beside.join().unwrap();
}

pub(crate) fn tags_and_channels_arrive_as_sent(pair: Pair) {
    let (client, server) = pair.connect();
    for channel in [0, 1, 63, 64, 16_383, 16_384, 65_279] {
        client.send_on(channel, channel ^ 0x5555, content(usize::from(channel), 10)).unwrap();
        let message = server.recv_timeout(STUCK).unwrap();
        assert_eq!((message.channel, message.tag), (channel, channel ^ 0x5555));
        assert_eq!(bytes_of(message), content(usize::from(channel), 10));
    }
}

pub(crate) fn a_channel_asked_for_alone_is_not_given_to_whoever_asks_for_any(pair: Pair) {
    let (client, server) = pair.connect();
    assert!(server.try_recv_on(5).unwrap().is_none());
    client.send_on(5, 0, "alone").unwrap();
    client.send_on(6, 0, "any").unwrap();
    client.flush_timeout(STUCK).unwrap();
    assert_eq!(receive(&server), "any");
    assert!(server.try_recv().unwrap().is_none());
    assert_eq!(receive_on(&server, 5), "alone");
}

pub(crate) fn an_absent_reader_holds_up_its_own_channel_only(pair: Pair) {
    /// Many times what both queues and all credit hold.
    const COUNT: usize = 5_000;
    const LEN: usize = 10_000;
    let pair = pair.with(|config| {
        config.limits.credit_connection = 8 << 20;
        config.limits.credit_channel = 1 << 20;
        config.limits.message_len_max = 256 << 10;
        config.limits.send_queue = 8 << 20;
    });
    let (client, server) = pair.connect();
    // Far more than channel 1 has credit for.
    for at in 0..16 {
        client.send_on(1, 0, content(at, 200_000)).unwrap();
    }
    // The other channel, until the queue is full, and then as fast as it becomes free.
    let bodies: Vec<Bytes> = (0..16).map(|at| content(at, LEN)).collect();
    let sending = bodies.clone();
    let mut sent = 0;
    while client.try_send_on(2, 0, sending[sent % 16].clone()).is_ok() {
        sent += 1;
    }
    assert!(sent > 100 && sent < COUNT / 2, "{sent} went without waiting");
    let one = client.clone();
    let sender = pair.beside(move || {
        for at in sent..COUNT {
            one.send_on(2, 0, sending[at % 16].clone()).unwrap();
        }
    });
    for at in 0..COUNT {
        assert!(receive_on(&server, 2) == bodies[at % 16], "message {at}");
    }
    sender.join().unwrap();
    assert_eq!(client.flush_timeout(SHORT), Err(FlushError::TimedOut), "channel 1 is as full as it was");
    for at in 0..16 {
        assert!(receive_on(&server, 1) == content(at, 200_000));
    }
    assert!(client.close(0).all_taken());
}

pub(crate) fn a_mode_is_fixed_by_the_first_message(pair: Pair) {
    let (client, _server) = pair.connect();
    client.configure(1, ChannelConfig::new(Delivery::Latest)).unwrap();
    client.configure(1, ChannelConfig::new(Delivery::Unordered)).unwrap();
    client.send_on(1, 0, "x").unwrap();
    assert_eq!(client.configure(1, ChannelConfig::default()), Err(ConfigureError::ModeFixed));
    let odd = ChannelConfig { priority: 8, ..ChannelConfig::default() };
    assert_eq!(client.configure(2, odd), Err(ConfigureError::Priority { priority: 8, max: 7 }));
}

pub(crate) fn too_long_for_the_mode_is_told_and_nothing_is_lost(pair: Pair) {
    let (client, server) = pair.connect();
    client.configure(1, ChannelConfig::new(Delivery::Unreliable)).unwrap();
    client.configure(2, ChannelConfig::new(Delivery::Latest)).unwrap();
    assert_eq!(client.send_on(1, 0, content(0, 1_101)), Err(SendError::TooLarge { len: 1_101, max: 1_100 }));
    assert!(matches!(client.send_on(2, 0, vec![0; 17 << 20]), Err(SendError::TooLarge { .. })));
    assert!(matches!(client.begin(2, 0, None), Err(SendError::NotStreamable)));
    client.send_on(2, 0, "goes").unwrap();
    assert_eq!(receive(&server), "goes");
}
