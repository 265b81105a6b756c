//! A peer that does not keep to the protocol: what it says by hand, and what becomes of that.

use std::collections::BTreeSet;

use bytes::Bytes;
use udpair::Connection;
use udpair::message::{ChannelConfig, Delivery, End, UNRELIABLE_UNREAD_MAX};
use udpair::node::{
    CONTROL_CHANNEL, Channels, Control, Gone, Hello, Kind, NAMES_MAX, Name, ReadError, Reason, Role, TIME_CHANNEL, Time,
};

use crate::pair::{Pair, SHORT, STUCK, end_of};

fn hello() -> Bytes {
    Control::Hello(Hello { role: Role::Plain, instance: 0, name: None }).encode().into()
}

fn name(number: u16, kind: Kind, name: &str) -> Bytes {
    Control::Name { number, kind, name: Name::new(name).unwrap() }.encode().into()
}

fn say(raw: &Connection, message: impl Into<Bytes>) {
    raw.send_on(CONTROL_CHANNEL, 0, message).unwrap();
}

pub(crate) fn a_value_before_its_name_waits(pair: Pair) {
    let (raw, server) = pair.connect();
    let reader = Channels::new(server);
    raw.configure(0, ChannelConfig::new(Delivery::Latest)).unwrap();
    for text in ["superseded", "newest"] {
        raw.send_on(0, 1, [text.as_bytes(), &[0; 8]].concat()).unwrap();
    }
    raw.flush().unwrap();
    say(&raw, hello());
    raw.flush().unwrap();
    assert_eq!(reader.changed_timeout("pose", SHORT).unwrap_err(), ReadError::TimedOut);
    assert!(reader.names().is_empty());
    say(&raw, name(0, Kind::Latest, "pose"));
    assert_eq!(reader.changed_timeout("pose", STUCK).unwrap().content.body, "newest");
}

pub(crate) fn a_value_that_is_cut_off_is_no_fault_of_this_side(pair: Pair) {
    let (raw, server) = pair.with(|config| config.limits.message_len_max = 1_000).connect();
    let reader = Channels::new(server);
    say(&raw, hello());
    say(&raw, name(0, Kind::Queued, "log"));
    let mut writer = raw.begin(0, 0, Some(100_000)).unwrap();
    std::io::Write::write_all(&mut writer, &[0; 5_000]).unwrap();
    // It is being put together from now on.
    assert_eq!(reader.recv_timeout("log", SHORT).unwrap_err(), ReadError::TimedOut);
    raw.abort(7);
    let why = Gone::Ended(End::AbortedByPeer { code: 7 });
    assert_eq!(reader.recv_timeout("log", STUCK).unwrap_err(), ReadError::Gone(why));
}

/// What a hostile peer does on a fresh connection.
type Deed = fn(&Connection);

const DEEDS: [(&str, Reason, Deed); 15] = [
    ("an unknown kind", Reason::Malformed, |raw| say(raw, vec![3])),
    ("nothing", Reason::Malformed, |raw| say(raw, vec![])),
    ("half a greeting", Reason::Malformed, |raw| say(raw, vec![1, 1, 0, 0])),
    ("an unknown role", Reason::Malformed, |raw| say(raw, vec![1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0])),
    ("a name before the greeting", Reason::OutOfTurn, |raw| say(raw, name(0, Kind::Latest, "a"))),
    ("two greetings", Reason::OutOfTurn, |raw| [hello(), hello()].into_iter().for_each(|hello| say(raw, hello))),
    ("a hub", Reason::Role, |raw| {
        let name = Some(Name::new("h").unwrap());
        say(raw, Control::Hello(Hello { role: Role::Hub, instance: 1, name }).encode());
    }),
    ("a number out of turn", Reason::Names, |raw| {
        say(raw, hello());
        say(raw, name(1, Kind::Latest, "a"));
    }),
    ("a name twice", Reason::Names, |raw| {
        say(raw, hello());
        [0, 1].into_iter().for_each(|number| say(raw, name(number, Kind::Latest, "a")));
    }),
    ("too many names", Reason::Names, |raw| {
        say(raw, hello());
        for number in 0..=u16::try_from(NAMES_MAX).unwrap() {
            say(raw, name(number, Kind::Queued, &number.to_string()));
        }
    }),
    ("a name that is no text", Reason::Malformed, |raw| {
        say(raw, hello());
        say(raw, vec![2, 0, 0, 1, 0xff]);
    }),
    ("a name without an end", Reason::Malformed, |raw| {
        say(raw, hello());
        say(raw, [&[2, 0, 0, 1][..], &[b'a'; 300]].concat());
    }),
    ("a stream on the control channel", Reason::Malformed, |raw| {
        let mut writer = raw.begin(CONTROL_CHANNEL, 0, None).unwrap();
        std::io::Write::write_all(&mut writer, &hello()).unwrap();
        raw.recv_on_timeout(1, STUCK).unwrap_err();
    }),
    ("a value without its time", Reason::Value, |raw| {
        say(raw, hello());
        say(raw, name(0, Kind::Latest, "pose"));
        raw.send_on(0, 0, vec![0; 7]).unwrap();
    }),
    ("a value as a stream where the newest counts", Reason::Value, |raw| {
        say(raw, hello());
        say(raw, name(0, Kind::Latest, "pose"));
        let mut writer = raw.begin(0, 0, None).unwrap();
        std::io::Write::write_all(&mut writer, &[0; 20]).unwrap();
        raw.recv_on_timeout(1, STUCK).unwrap_err();
    }),
];

pub(crate) fn what_cannot_be_read_ends_that_connection_with_its_reason(pair: Pair) {
    let (good, bystander) = pair.connect();
    let (good, bystander) = (Channels::new(good), Channels::new(bystander));
    for (what, reason, deed) in DEEDS {
        let (raw, server) = pair.connect();
        let reader = Channels::new(server);
        let doing = pair.beside(move || {
            deed(&raw);
            // It reads what there is; its end says why.
            end_of(&raw)
        });
        let error = loop {
            match reader.changed_timeout("pose", STUCK) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error, ReadError::Gone(Gone::ByUs(reason)), "{what}");
        assert_eq!(doing.join().unwrap(), End::AbortedByPeer { code: reason.code() }, "{what}");
    }
    good.write("pose", "unmoved").unwrap();
    assert_eq!(bystander.changed_timeout("pose", STUCK).unwrap().content.body, "unmoved");
}

pub(crate) fn a_peer_of_another_version_is_refused(pair: Pair) {
    let (raw, server) = pair.connect();
    let reader = Channels::new(server);
    // Whatever follows the version is that version's affair.
    say(&raw, vec![1, 2, 0xff]);
    assert_eq!(reader.changed_timeout("pose", STUCK).unwrap_err(), ReadError::Gone(Gone::ByUs(Reason::Version)));
    let gone = Gone::from(end_of(&raw));
    assert_eq!(gone, Gone::ByPeer(Reason::Version));
    assert_eq!(gone.to_string(), "the peer ended the connection: another version of the protocol of nodes");
}

fn tell(raw: &Connection, message: impl Into<Bytes>) {
    raw.send_on(TIME_CHANNEL, 0, message).unwrap();
}

pub(crate) fn answers_that_nobody_asked_for_change_nothing(pair: Pair) {
    let (raw, server) = pair.connect();
    let reader = Channels::new(server);
    raw.configure(TIME_CHANNEL, ChannelConfig::new(Delivery::Unreliable)).unwrap();
    say(&raw, hello());
    say(&raw, name(0, Kind::Queued, "log"));
    for asked in [0, 1, u64::MAX] {
        tell(&raw, Time::Answer { asked, time: u64::MAX }.encode());
    }
    [vec![], vec![9], vec![1; 8], vec![2; 18]].into_iter().for_each(|nonsense| tell(&raw, nonsense));
    raw.flush().unwrap();
    raw.send_on(0, 0, vec![0xff; 8]).unwrap();
    let value = reader.recv_timeout("log", STUCK).unwrap();
    assert_eq!(value.age(reader.connection().transport().now()), None);
    assert_eq!(reader.recv_timeout("log", SHORT).unwrap_err(), ReadError::TimedOut);
}

pub(crate) fn a_flood_of_questions_is_answered_in_part_and_ends_nothing(pair: Pair) {
    let (raw, server) = pair.connect();
    let reader = Channels::new(server);
    raw.configure(TIME_CHANNEL, ChannelConfig { priority: 0, ..ChannelConfig::new(Delivery::Unreliable) }).unwrap();
    say(&raw, hello());
    for time in 0..2_000 {
        tell(&raw, Time::Ask { time }.encode());
    }
    // It goes after all of them: when it has arrived they have, or are lost, and the newest are kept.
    say(&raw, name(0, Kind::Queued, "log"));
    raw.flush().unwrap();
    let attending = pair.beside(move || {
        reader.recv_timeout("log", STUCK).unwrap_err();
    });
    let mut answered = BTreeSet::new();
    let mut patience = STUCK;
    while let Ok(message) = raw.recv_on_timeout(TIME_CHANNEL, patience) {
        // The others come with the first, or are lost.
        patience = 2 * SHORT;
        if let Ok(Time::Answer { asked, .. }) = Time::decode(&message.into_bytes(100).unwrap()) {
            assert!(answered.insert(asked), "{asked} is answered twice");
        }
    }
    assert!((1..=UNRELIABLE_UNREAD_MAX).contains(&answered.len()), "{}", answered.len());
    raw.close_within(0, SHORT);
    attending.join().unwrap();
}
