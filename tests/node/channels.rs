//! Named channels over one connection.

use udpair::content::{Array, DecodeError, Image, tag};
use udpair::message::End;
use udpair::node::{Channels, Gone, Kind, NAMES_MAX, NameError, ReadError, ValueLimits, WriteError};

use crate::not_written;
use crate::pair::{Pair, SHORT, STUCK, content};

/// Both ends of a connection: the client's, the server's.
fn open(pair: &Pair) -> (Channels, Channels) {
    let (client, server) = pair.connect();
    (Channels::new(client), Channels::new(server))
}

pub(crate) fn the_newest_value_is_read_again_and_again(pair: Pair) {
    let (writer, reader) = open(&pair);
    assert_eq!(reader.latest("pose").unwrap().map(|value| value.content.body), None);
    for round in ["first", "second"] {
        writer.write("pose", round).unwrap();
        assert_eq!(reader.changed_timeout("pose", STUCK).unwrap().content.body, round);
        for _ in 0..3 {
            let value = reader.latest("pose").unwrap().unwrap();
            assert_eq!((&value.content.body[..], value.content.tag), (round.as_bytes(), 1));
        }
    }
    assert_eq!(*reader.names(), [("pose".to_owned(), Kind::Latest)].map(|(name, kind)| (named(&name), kind)));
}

fn named(text: &str) -> udpair::node::Name {
    udpair::node::Name::new(text).unwrap()
}

pub(crate) fn every_reader_sees_each_change_once(pair: Pair) {
    let (writer, one) = open(&pair);
    let other = one.clone();
    for round in 0..5 {
        writer.write("pose", content(round, 50)).unwrap();
        for reader in [&one, &other] {
            assert_eq!(reader.changed_timeout("pose", STUCK).unwrap().content.body, content(round, 50));
            assert!(reader.try_changed("pose").unwrap().is_none());
        }
    }
    // What was looked at was seen, by whoever looked.
    writer.write("pose", content(9, 50)).unwrap();
    writer.flush().unwrap();
    assert_eq!(one.latest("pose").unwrap().unwrap().content.body, content(9, 50));
    assert!(one.try_changed("pose").unwrap().is_none());
    assert!(one.clone().try_changed("pose").unwrap().is_none());
    assert_eq!(other.try_changed("pose").unwrap().unwrap().content.body, content(9, 50));
}

pub(crate) fn a_late_reader_gets_the_newest(pair: Pair) {
    let (writer, reader) = open(&pair);
    for channel in ["small", "long"] {
        let len = if channel == "small" { 100 } else { 20_000 };
        for at in 0..200 {
            writer.write(channel, content(at, len)).unwrap();
        }
        writer.flush().unwrap();
        let value = reader.changed_timeout(channel, STUCK).unwrap();
        assert_eq!((value.number, value.content.body), (199, content(199, len)));
        assert!(reader.try_changed(channel).unwrap().is_none(), "what was overtaken is not queued");
    }
}

pub(crate) fn whoever_waits_is_woken_on_every_channel(pair: Pair) {
    const CHANNELS: [&str; 3] = ["a", "b", "c"];
    const LAST: u64 = 30;
    let (writer, reader) = open(&pair);
    // Two threads on each channel, and each sees the last value of its own.
    let waiting: Vec<_> = CHANNELS
        .iter()
        .flat_map(|channel| [(); 2].map(|()| (channel, reader.clone())))
        .map(|(channel, reader)| {
            pair.beside(move || {
                let mut changes = 0;
                while reader.changed_timeout(channel, STUCK).unwrap().number < LAST {
                    changes += 1;
                }
                changes
            })
        })
        .collect();
    for at in 0..=LAST {
        for channel in CHANNELS {
            writer.write(channel, content(usize::try_from(at).unwrap(), 200)).unwrap();
        }
        writer.flush().unwrap();
    }
    for waiter in waiting {
        assert!(waiter.join().unwrap() <= LAST);
    }
}

pub(crate) fn a_reader_waits_for_a_name_that_is_not_there_yet(pair: Pair) {
    let (writer, reader) = open(&pair);
    let waiting = pair.beside(move || {
        let value = reader.changed_timeout("late", STUCK).unwrap();
        (value.content.body, reader.recv_timeout("later", STUCK).unwrap().content.body)
    });
    writer.write("other", "no").unwrap();
    writer.write("late", "yes").unwrap();
    writer.send("later", "too").unwrap();
    assert_eq!(waiting.join().unwrap(), ("yes".into(), "too".into()));
}

pub(crate) fn queued_values_come_in_order_and_once(pair: Pair) {
    const COUNT: usize = 500;
    let (writer, reader) = open(&pair);
    let other = reader.clone();
    for at in 0..COUNT {
        writer.send("log", content(at, at)).unwrap();
    }
    for at in 0..COUNT {
        let reader = if at % 2 == 0 { &reader } else { &other };
        let value = reader.recv_timeout("log", STUCK).unwrap();
        assert_eq!((value.number, value.content.body), (at as u64, content(at, at)));
    }
    assert!(reader.try_recv("log").unwrap().is_none());
    assert_eq!(writer.close(0).channels.iter().map(|channel| channel.not_arrived).sum::<u64>(), 0);
}

pub(crate) fn a_value_longer_than_any_buffer_arrives_whole(pair: Pair) {
    let (writer, reader) = open(&pair);
    // Longer than what goes as one message, and than the channel's credit.
    let long = content(3, 24 << 20);
    let sent = long.clone();
    let sending = pair.beside(move || {
        writer.send("log", sent).unwrap();
        writer.send("log", "end").unwrap();
        writer
    });
    assert!(reader.recv_timeout("log", STUCK).unwrap().content.body == long);
    assert_eq!(reader.recv_timeout("log", STUCK).unwrap().content.body, "end");
    let writer = sending.join().unwrap();
    let refused = writer.write("pose", long);
    assert!(
        matches!(refused, Err(WriteError::TooLarge { len, max }) if len == 24 << 20 && max < 16 << 20),
        "{refused:?}"
    );
}

pub(crate) fn a_value_that_is_too_long_is_told_and_passed_over(pair: Pair) {
    let (client, server) = pair.connect();
    let mut limits = ValueLimits::default();
    limits.value_len_max = 1_000;
    let (writer, reader) = (Channels::new(client), Channels::with_limits(server, limits));
    for (at, len) in [1_000, 1_001, 20_000, 17 << 20, 999].into_iter().enumerate() {
        let sent = content(at, len);
        let (writer, value) = (writer.clone(), sent.clone());
        let sending = pair.beside(move || writer.send("log", value).unwrap());
        let got = reader.recv_timeout("log", STUCK);
        sending.join().unwrap();
        if len <= 1_000 {
            assert_eq!(got.unwrap().content.body, sent);
        } else {
            assert_eq!(got.unwrap_err(), ReadError::TooLarge { len: Some(len as u64), max: 1_000 });
        }
    }
}

pub(crate) fn newest_values_beyond_what_may_be_held_are_told_and_passed_over(pair: Pair) {
    let (client, server) = pair.connect();
    let mut limits = ValueLimits::default();
    limits.held_len_max = 50_000;
    let (writer, reader) = (Channels::new(client), Channels::with_limits(server, limits));
    let written = |channel, at, len| {
        writer.write(channel, content(at, len)).unwrap();
        writer.flush().unwrap();
        reader.latest(channel).map(|value| value.unwrap().content.body)
    };
    let refused = |len, held| Err(ReadError::TooMuchHeld { len, held, max: 50_000 });
    let latest = |channel| reader.latest(channel).unwrap().map(|value| value.content.body);
    assert_eq!(written("a", 1, 20_000), Ok(content(1, 20_000)));
    assert_eq!(written("b", 2, 30_000), Ok(content(2, 30_000)));
    // What there was before stays, or nothing where nothing was; told is told.
    assert_eq!(written("c", 3, 1), refused(1, 50_000));
    assert_eq!(latest("c"), None);
    assert_eq!(written("a", 4, 20_001), refused(20_001, 30_000));
    assert_eq!(latest("a"), Some(content(1, 20_000)));
    assert!(reader.try_changed("a").unwrap().is_none());
    // What is replaced does not count, and what is shorter leaves room.
    assert_eq!(written("b", 5, 30_000), Ok(content(5, 30_000)));
    assert_eq!(written("a", 6, 500), Ok(content(6, 500)));
    assert_eq!(written("c", 7, 19_500), Ok(content(7, 19_500)));
    assert_eq!(written("a", 8, 501), refused(501, 49_500));
    assert_eq!(written("c", 9, 0), Ok(content(9, 0)));
    assert_eq!(written("a", 10, 20_000), Ok(content(10, 20_000)));
    // Whoever waits is told, too; what is queued is handed over and not held.
    let waiting = reader.clone();
    let waiter = pair.beside(move || waiting.changed_timeout("c", STUCK).map(|value| value.content.body));
    writer.write("c", content(11, 60_000)).unwrap();
    assert_eq!(waiter.join().unwrap(), refused(60_000, 50_000));
    writer.send("log", content(12, 60_000)).unwrap();
    assert_eq!(reader.recv_timeout("log", STUCK).unwrap().content.body, content(12, 60_000));
    // The connection's end changes nothing.
    writer.write("b", content(13, 30_001)).unwrap();
    writer.flush().unwrap();
    pair.beside(move || writer.connection().close_within(7, SHORT)).join().unwrap();
    let gone = Gone::Ended(End::ClosedByPeer { code: 7 });
    assert_eq!(reader.recv_timeout("log", STUCK).unwrap_err(), ReadError::Gone(gone));
    assert_eq!(reader.latest("b").unwrap_err(), refused(30_001, 20_000).unwrap_err());
    for (channel, at, len) in [("a", 10, 20_000), ("b", 5, 30_000), ("c", 9, 0)] {
        assert_eq!(latest(channel), Some(content(at, len)));
    }
}

pub(crate) fn a_channel_is_of_one_kind(pair: Pair) {
    let (writer, reader) = open(&pair);
    writer.write("pose", "1").unwrap();
    writer.send("log", "1").unwrap();
    let refused = |name, is| WriteError::Kind { name: named(name), is };
    not_written(writer.send("pose", "2"), &refused("pose", Kind::Latest));
    not_written(writer.write("log", "2"), &refused("log", Kind::Queued));
    writer.flush().unwrap();
    let wrong = |name, is| ReadError::Kind { name: named(name), is };
    assert_eq!(reader.recv_timeout("pose", STUCK).unwrap_err(), wrong("pose", Kind::Latest));
    assert_eq!(reader.latest("log").unwrap_err(), wrong("log", Kind::Queued));
    // The directions have nothing in common.
    reader.send("pose", "back").unwrap();
    assert_eq!(writer.recv_timeout("pose", STUCK).unwrap().content.body, "back");
    // What was asked for wrongly is still there.
    assert_eq!(reader.latest("pose").unwrap().unwrap().content.body, "1");
    assert_eq!(reader.recv_timeout("log", STUCK).unwrap().content.body, "1");
}

pub(crate) fn names_have_limits(pair: Pair) {
    let (writer, reader) = open(&pair);
    let long = "n".repeat(256);
    let too_long = NameError::TooLong { len: 256, max: 255 };
    not_written(writer.write("", "x"), &WriteError::Name(NameError::Empty));
    not_written(writer.send(&long, "x"), &WriteError::Name(too_long));
    assert_eq!(reader.latest("").unwrap_err(), ReadError::Name(NameError::Empty));
    assert_eq!(reader.recv_timeout(&long, SHORT).unwrap_err(), ReadError::Name(too_long));
    for at in 0..NAMES_MAX {
        writer.write(&at.to_string(), vec![7]).unwrap();
    }
    not_written(writer.write("one more", "x"), &WriteError::TooManyNames { max: NAMES_MAX });
    writer.write("4095", "still").unwrap();
    writer.flush().unwrap();
    assert_eq!(reader.changed_timeout("4095", STUCK).unwrap().content.body, "still");
    assert_eq!(reader.names().len(), NAMES_MAX);
    assert_eq!(reader.latest("0").unwrap().unwrap().content.body, vec![7]);
}

pub(crate) fn a_full_queue_holds_back_and_lets_go(pair: Pair) {
    let pair = pair.with(|config| config.limits.send_queue = 64 << 10);
    let (writer, reader) = open(&pair);
    let chunk = content(1, 30_000);
    let mut sent = 0;
    let full = loop {
        match writer.try_send("log", chunk.clone()) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 10_000, "nothing holds it back");
    };
    assert!(matches!(full, WriteError::Full), "{full}");
    let sending = pair.beside(move || writer.send("log", "end").unwrap());
    for _ in 0..sent {
        assert_eq!(reader.recv_timeout("log", STUCK).unwrap().content.body, chunk);
    }
    assert_eq!(reader.recv_timeout("log", STUCK).unwrap().content.body, "end");
    sending.join().unwrap();
}

pub(crate) fn a_wait_times_out_and_the_connection_lives(pair: Pair) {
    let (writer, reader) = open(&pair);
    assert_eq!(reader.changed_timeout("pose", SHORT).unwrap_err(), ReadError::TimedOut);
    assert_eq!(reader.recv_timeout("log", SHORT).unwrap_err(), ReadError::TimedOut);
    writer.write("pose", "here").unwrap();
    assert_eq!(reader.changed_timeout("pose", STUCK).unwrap().content.body, "here");
    assert_eq!(reader.changed_timeout("pose", SHORT).unwrap_err(), ReadError::TimedOut);
}

pub(crate) fn the_last_value_outlives_the_connection(pair: Pair) {
    let (writer, reader) = open(&pair);
    writer.write("pose", "last").unwrap();
    writer.send("log", "last").unwrap();
    let closing = pair.beside(move || {
        writer.flush().unwrap();
        writer.connection().close_within(7, SHORT);
    });
    closing.join().unwrap();
    // Everything that came is there before the end is told.
    assert_eq!(reader.changed_timeout("pose", STUCK).unwrap().content.body, "last");
    assert_eq!(reader.recv_timeout("log", STUCK).unwrap().content.body, "last");
    let gone = Gone::Ended(End::ClosedByPeer { code: 7 });
    assert_eq!(reader.changed_timeout("pose", STUCK).unwrap_err(), ReadError::Gone(gone));
    assert_eq!(reader.recv("log").unwrap_err(), ReadError::Gone(gone));
    assert_eq!(reader.try_changed("never").unwrap_err(), ReadError::Gone(gone));
    assert_eq!(reader.latest("pose").unwrap().unwrap().content.body, "last");
    not_written(reader.write("pose", "too late"), &WriteError::Gone(gone));
}

pub(crate) fn values_are_what_they_were_written_as(pair: Pair) {
    let (writer, reader) = open(&pair);
    let array = Array::from_slice(&[1.5_f32, 2.5, 3.5, 4.5, 5.5, 6.5], &[2, 3]).unwrap();
    let image = Image::from_pixels(&[7_u8; 4 * 2 * 3], 2, 4, 3).unwrap();
    writer.write("text", "words").unwrap();
    writer.write("array", &array).unwrap();
    writer.write("image", &image).unwrap();
    writer.send("bytes", vec![1, 2, 3]).unwrap();
    assert_eq!(reader.changed_timeout("text", STUCK).unwrap().get::<String>().unwrap(), "words");
    let value = reader.changed_timeout("array", STUCK).unwrap();
    assert_eq!(value.get::<Array>().unwrap().npy(), array.npy());
    // Asked for as something else it says what it is, and stays.
    assert!(matches!(value.get::<String>(), Err(DecodeError::Tag { tag: tag::ARRAY })));
    assert_eq!(reader.latest("array").unwrap().unwrap().get::<Array>().unwrap().shape(), [2, 3]);
    let value = reader.changed_timeout("image", STUCK).unwrap().get::<Image>().unwrap();
    assert_eq!(value.pixels().unwrap().npy(), image.pixels().unwrap().npy());
    assert_eq!(reader.recv_timeout("bytes", STUCK).unwrap().get::<Vec<u8>>().unwrap(), [1, 2, 3]);
}

#[cfg(feature = "serde")]
#[test]
fn what_cannot_be_written_is_told_and_nothing_is() {
    use udpair::content::Value;

    /// Says that it cannot be.
    struct Impossible;

    impl serde::Serialize for Impossible {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("it cannot be"))
        }
    }

    let case = |pair: Pair| {
        let (writer, reader) = open(&pair);
        assert!(matches!(writer.write("value", Value(Impossible)), Err(WriteError::Encode(_))));
        writer.write("value", Value(("answer", 42))).unwrap();
        let value = reader.changed_timeout("value", STUCK).unwrap();
        assert_eq!(value.get::<Value<(String, u8)>>().unwrap().0, ("answer".to_owned(), 42));
        assert_eq!(value.number, 0);
    };
    crate::pair::over_udp(case, crate::security::Security::Psk);
}

/// What holds up the values must not hold up the names; and what is read lets newer ones come.
pub(crate) fn unread_values_that_hold_all_credit_hold_up_no_name(pair: Pair) {
    let pair = pair.with(|config| {
        (config.limits.credit_connection, config.limits.credit_channel) = (256 << 10, 64 << 10);
    });
    let (writer, reader) = open(&pair);
    let channels: Vec<String> = (0..24).map(|at| format!("cam{at}")).collect();
    // Of no channel more than the first value, of some not even that, before the credit is spent.
    for at in 0..3 {
        for channel in &channels {
            writer.write(channel, content(at, 20_500)).unwrap();
        }
    }
    // More names than what the values leave over would be enough for.
    for at in 0..40 {
        let small = format!("small{at}");
        writer.write(&small, "v").unwrap();
        assert_eq!(reader.changed_timeout(&small, STUCK).unwrap().content.body, "v");
    }
    // Whoever reads all of them now and then ends with the newest of all.
    let others = reader.clone();
    let is_newest = |channel: &&String| {
        let value = others.latest(channel).unwrap();
        value.is_some_and(|value| value.content.body == content(2, 20_500))
    };
    for _ in 0..100 {
        // All are read, whichever is newest already.
        let older: Vec<_> = channels.iter().filter(|channel| !is_newest(channel)).collect();
        let Some(missing) = older.last() else { return };
        let _maybe = reader.changed_timeout(missing, SHORT);
    }
    panic!("what was read lets nothing newer come");
}
