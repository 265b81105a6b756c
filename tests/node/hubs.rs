//! Hubs: many peers, each by its name.

use std::sync::Arc;
use std::time::Duration;

use udpair::message::End;
use udpair::node::{
    CONTROL_CHANNEL, Control, Event, Gone, Hello, Hub, JoinError, NodeConfig, ReadError, Reason, Role, Side, WriteError,
};
use udpair::transport::ConnectError;
use udpair::{Connection, Transport};

use crate::not_written;
use crate::pair::{Pair, SHORT, STUCK, content, end_of};

pub(crate) fn hub(pair: &Pair, name: &str) -> Hub {
    Hub::start(name, [pair.another(|_| {})]).unwrap()
}

/// The default settings, changed.
pub(crate) fn config(change: impl FnOnce(&mut NodeConfig)) -> NodeConfig {
    let mut config = NodeConfig::default();
    change(&mut config);
    config
}

fn joined(name: &str, side: Side) -> Event {
    Event::Joined { name: named(name), side }
}

pub(crate) fn named(text: &str) -> udpair::node::Name {
    udpair::node::Name::new(text).unwrap()
}

/// A peer written by hand says that it is the hub of this name.
pub(crate) fn greet(raw: &Connection, name: &str, instance: u64) {
    let hello = Control::Hello(Hello { role: Role::Hub, instance, name: Some(named(name)) });
    raw.send_on(CONTROL_CHANNEL, 0, hello.encode()).unwrap();
}

fn names(hub: &Hub) -> Vec<String> {
    hub.connections().iter().map(|peer| format!("{} {:?}", peer.name, peer.side)).collect()
}

/// The newest values that a hub has of a channel, once there are as many as expected.
fn values(hub: &Hub, get: impl Fn(&Hub) -> Vec<(udpair::node::Name, udpair::node::Value)>, expected: &[(&str, &str)]) {
    let text = |values: Vec<(udpair::node::Name, udpair::node::Value)>| -> Vec<(String, String)> {
        let text = |value: &udpair::node::Value| String::from_utf8(value.content.body.to_vec()).unwrap();
        values.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    };
    let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let reader = hub.clone();
    while text(get(hub)) != expected {
        reader.changed_timeout("pose", STUCK).unwrap();
    }
}

pub(crate) fn three_hubs_write_to_whom_they_mean(pair: Pair) {
    let [a, b, c] = ["a", "b", "c"].map(|name| hub(&pair, name));
    // b went to a, c came to b.
    b.connect("a", a.local_addr()).unwrap();
    c.connect("b", b.local_addr()).unwrap();
    assert_eq!(b.next_event(STUCK), Some(joined("a", Side::Remote)));
    assert_eq!(b.next_event(STUCK), Some(joined("c", Side::Local)));
    assert_eq!((names(&a), names(&b)), (vec!["b Local".to_owned()], vec!["a Remote".to_owned(), "c Local".to_owned()]));
    assert_eq!(b.connections()[0].addr, Some(a.local_addr()));

    assert_eq!(b.write_all("pose", "all").unwrap(), 2);
    values(&a, |a| a.get_all("pose").unwrap(), &[("b", "all")]);
    values(&c, |c| c.get_all("pose").unwrap(), &[("b", "all")]);
    assert_eq!(b.write_to_local("pose", "local").unwrap(), 1);
    assert_eq!(b.write_to_remote("pose", "remote").unwrap(), 1);
    values(&a, |a| a.get_local("pose").unwrap(), &[("b", "remote")]);
    values(&c, |c| c.get_remote("pose").unwrap(), &[("b", "local")]);
    assert!(a.get_remote("pose").unwrap().is_empty() && c.get_local("pose").unwrap().is_empty());
    b.write_to_name("a", "pose", "you").unwrap();
    values(&a, |a| a.get_all("pose").unwrap(), &[("b", "you")]);
    assert_eq!(c.get_by_name("b", "pose").unwrap().unwrap().content.body, "local");

    a.write_all("pose", "from a").unwrap();
    c.write_all("pose", "from c").unwrap();
    values(&b, |b| b.get_all("pose").unwrap(), &[("a", "from a"), ("c", "from c")]);
    assert_eq!(b.get_by_name("a", "pose").unwrap().unwrap().content.body, "from a");
    assert!(b.get_by_name("a", "other").unwrap().is_none());
    [a, b, c].iter().for_each(Hub::close);
}

pub(crate) fn images_go_on_their_channel(pair: Pair) {
    let (a, b) = (hub(&pair, "a"), hub(&pair, "b"));
    b.connect("a", a.local_addr()).unwrap();
    let image = |at| content(at, 30_000);
    b.write_image_all(image(0)).unwrap();
    assert_eq!(a.changed_timeout("image", STUCK).unwrap().1.content.body, image(0));
    b.write_image_to_remote(image(1)).unwrap();
    assert_eq!(a.changed_timeout("image", STUCK).unwrap().1.content.body, image(1));
    b.write_image_to_name("a", image(2)).unwrap();
    assert_eq!(a.changed_timeout("image", STUCK).unwrap().1.content.body, image(2));
    assert_eq!(b.write_image_to_local(image(3)).unwrap(), 0);
    a.write_image_to_local(image(4)).unwrap();
    assert_eq!(b.changed_timeout("image", STUCK).unwrap().1.content.body, image(4));
    [a, b].iter().for_each(Hub::close);
}

pub(crate) fn whoever_joins_later_gets_the_newest(pair: Pair) {
    let (a, b) = (hub(&pair, "a"), hub(&pair, "b"));
    assert_eq!(a.write_all("pose", "old").unwrap(), 0);
    assert_eq!(a.write_all("pose", "new").unwrap(), 0);
    assert_eq!(a.write_to_remote("pose", "not for who comes").unwrap(), 0);
    b.connect("a", a.local_addr()).unwrap();
    let (from, value) = b.changed_timeout("pose", STUCK).unwrap();
    assert_eq!((&*from, &value.content.body[..]), ("a", &b"new"[..]));
    [a, b].iter().for_each(Hub::close);
}

pub(crate) fn names_are_unique_or_refused(pair: Pair) {
    let [a, b, c] = ["a", "b", "b"].map(|name| hub(&pair, name));
    b.connect("a", a.local_addr()).unwrap();
    let taken = c.connect("a", a.local_addr()).unwrap_err();
    assert!(matches!(taken, JoinError::Gone(Gone::ByPeer(Reason::NameTaken))), "{taken}");
    let taken = b.connect("a", c.local_addr()).unwrap_err();
    assert!(matches!(&taken, JoinError::NameTaken { name } if name == "a"), "{taken}");
    let taken = hub(&pair, "a").connect("x", a.local_addr()).unwrap_err();
    assert!(matches!(taken, JoinError::Gone(Gone::ByPeer(Reason::NameTaken))), "{taken}");
    assert!(matches!(a.connect("", b.local_addr()).unwrap_err(), JoinError::Name(_)));
    assert_eq!(names(&a), ["b Local"]);
    // The name is free again when its owner has left.
    assert!(matches!(a.next_event(STUCK), Some(Event::Joined { .. })));
    b.close();
    let gone = Gone::Ended(End::ClosedByPeer { code: 0 });
    assert_eq!(a.next_event(STUCK), Some(Event::Left { name: named("b"), why: gone, returns: false }));
    c.connect("a", a.local_addr()).unwrap();
    [a, c].iter().for_each(Hub::close);
}

pub(crate) fn there_is_no_such_peer(pair: Pair) {
    let a = hub(&pair, "a");
    assert_eq!(a.get_by_name("x", "pose").unwrap_err(), ReadError::NoSuchPeer { name: "x".to_owned() });
    not_written(a.write_to_name("x", "pose", "y"), &WriteError::NoSuchPeer { name: "x".to_owned() });
    assert!(a.peer("x").is_none() && !a.disconnect("x"));
    assert_eq!(a.changed_timeout("pose", SHORT).unwrap_err(), ReadError::TimedOut);
    assert_eq!(a.next_event(SHORT), None);
    let addr = pair.another_apart().local_addr();
    let error = a.connect("b", addr).unwrap_err();
    assert!(matches!(error, JoinError::Connect(ConnectError::Unreachable { .. })), "{error}");
    a.close();
}

pub(crate) fn values_in_order_go_by_the_channels_of_a_peer(pair: Pair) {
    let (a, b) = (hub(&pair, "a"), hub(&pair, "b"));
    b.connect("a", a.local_addr()).unwrap();
    assert_eq!(a.next_event(STUCK), Some(joined("b", Side::Local)));
    let (to_a, from_b) = (b.peer("a").unwrap(), a.peer("b").unwrap());
    for at in 0..50 {
        to_a.send("log", content(at, 40)).unwrap();
    }
    for at in 0..50 {
        assert_eq!(from_b.recv_timeout("log", STUCK).unwrap().content.body, content(at, 40));
    }
    b.close();
    assert!(matches!(from_b.recv("log").unwrap_err(), ReadError::Gone(_)));
    a.close();
}

/// Nobody takes what is queued by looking for what is newest: a wait that saw it would never wait.
pub(crate) fn a_wait_for_the_newest_minds_no_queued_value_of_the_same_name(pair: Pair) {
    let (a, b) = (hub(&pair, "a"), hub(&pair, "b"));
    b.connect("a", a.local_addr()).unwrap();
    let to_a = b.peer("a").unwrap();
    to_a.send("log", "queued").unwrap();
    to_a.flush().unwrap();
    assert_eq!(a.changed_timeout("log", SHORT).unwrap_err(), ReadError::TimedOut);
    assert_eq!(a.peer("b").unwrap().recv_timeout("log", STUCK).unwrap().get::<String>().unwrap(), "queued");
    [a, b].iter().for_each(Hub::close);
}

pub(crate) fn a_reader_waits_for_all_and_each_has_its_turn(pair: Pair) {
    let [a, b, c] = ["a", "b", "c"].map(|name| hub(&pair, name));
    b.connect("a", a.local_addr()).unwrap();
    c.connect("a", a.local_addr()).unwrap();
    let reader = a.clone();
    let reading = pair.beside(move || {
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 2 {
            let (from, value) = reader.changed_timeout("pose", STUCK).unwrap();
            assert_eq!(value.content.body, from.to_string());
            seen.insert(from);
        }
    });
    b.write_all("pose", "b").unwrap();
    c.write_all("pose", "c").unwrap();
    reading.join().unwrap();
    // Of those that have something new each is heard before any is heard again.
    for _ in 0..3 {
        for peer in [&b, &c, &b] {
            peer.write_all("pose", peer.name().to_string()).unwrap();
            peer.peer("a").unwrap().flush().unwrap();
        }
        let mut heard = [(); 2].map(|()| a.changed_timeout("pose", STUCK).unwrap().0);
        heard.sort();
        assert_eq!(heard, ["b", "c"]);
    }
    [a, b, c].iter().for_each(Hub::close);
}

pub(crate) fn hubs_that_call_each_other_are_connected_once(pair: Pair) {
    for _ in 0..5 {
        let (a, b) = (hub(&pair, "a"), hub(&pair, "b"));
        let (to_b, b_addr) = (a.clone(), b.local_addr());
        let calling = pair.beside(move || to_b.connect("b", b_addr));
        let ours = b.connect("a", a.local_addr());
        let theirs = calling.join().unwrap();
        for (called, peers) in [(ours, &b), (theirs, &a)] {
            // Whoever was too late to call had it already.
            assert!(matches!(called, Ok(()) | Err(JoinError::NameTaken { .. })), "{called:?}");
            assert_eq!(peers.connections().len(), 1);
        }
        a.write_all("pose", "a").unwrap();
        assert_eq!(b.changed_timeout("pose", STUCK).unwrap().1.content.body, "a");
        [a, b].iter().for_each(Hub::close);
    }
}

pub(crate) fn a_hub_has_peers_at_several_transports(pair: Pair) {
    let (first, second) = (pair.another(|_| {}), pair.another(|_| {}));
    let at_second = second.local_addr();
    let a = Hub::start("a", [first, second]).unwrap();
    let [b, c] = ["b", "c"].map(|name| hub(&pair, name));
    b.connect("a", a.local_addr()).unwrap();
    c.connect("a", at_second).unwrap();
    a.write_all("pose", "hello").unwrap();
    for peer in [&b, &c] {
        assert_eq!(peer.changed_timeout("pose", STUCK).unwrap().1.content.body, "hello");
        peer.write_all("pose", "back").unwrap();
        assert_eq!(a.changed_timeout("pose", STUCK).unwrap().0, **peer.name());
    }
    // Over a transport that is not one of the hub's.
    let own = pair.another(|_| {});
    let d = hub(&pair, "d");
    a.connect_from(&own, "d", d.local_addr()).unwrap();
    d.write_all("pose", "from afar").unwrap();
    assert_eq!(a.changed_timeout("pose", STUCK).unwrap().1.content.body, "from afar");
    [a, b, c, d].iter().for_each(Hub::close);
}

pub(crate) fn connections_that_there_are_already_are_taken(pair: Pair) {
    let (a, b) = (hub(&pair, "a"), hub(&pair, "b"));
    let (client, server) = pair.connect();
    let welcoming = pair.beside({
        let a = a.clone();
        move || a.welcome(server)
    });
    b.connect_on("a", client).unwrap();
    assert_eq!(welcoming.join().unwrap().unwrap(), "b");
    b.write_all("pose", "by code").unwrap();
    assert_eq!(a.changed_timeout("pose", STUCK).unwrap().1.content.body, "by code");
    // One that never says who it is.
    let config = config(|config| config.greet_timeout = SHORT);
    let c = Hub::start_with("c", [pair.another(|_| {})], config).unwrap();
    let (silent, server) = pair.connect();
    let error = c.welcome(server).unwrap_err();
    assert!(matches!(error, JoinError::Gone(Gone::ByUs(Reason::Silent))), "{error}");
    assert_eq!(Gone::from(end_of(&silent)), Gone::ByPeer(Reason::Silent));
    [a, b, c].iter().for_each(Hub::close);
}

pub(crate) fn what_was_written_before_leaving_can_be_read(pair: Pair) {
    let (a, b) = (hub(&pair, "a"), hub(&pair, "b"));
    b.connect("a", a.local_addr()).unwrap();
    b.write_all("pose", "goodbye").unwrap();
    b.close();
    assert_eq!(a.next_event(STUCK), Some(joined("b", Side::Local)));
    assert!(matches!(a.next_event(STUCK), Some(Event::Left { .. })));
    assert!(a.connections().is_empty() && a.get_all("pose").unwrap().is_empty());
    assert_eq!(a.get_by_name("b", "pose").unwrap().unwrap().content.body, "goodbye");
    a.close();
    let closed = Gone::Ended(End::Closed { code: 0 });
    not_written(a.write_all("pose", "x"), &WriteError::Gone(closed));
    assert_eq!(a.changed("pose").unwrap_err(), ReadError::Gone(closed));
    assert!(matches!(a.connect("b", a.local_addr()).unwrap_err(), JoinError::Closed));
}

pub(crate) fn closing_ends_every_wait(pair: Pair) {
    let a = hub(&pair, "a");
    let waiting = [0, 1].map(|which| {
        let a = a.clone();
        pair.beside(move || if which == 0 { a.changed("pose").is_err() } else { a.next_event(STUCK).is_none() })
    });
    let other = a.clone();
    let closing = pair.beside(move || other.close());
    a.close();
    closing.join().unwrap();
    for waiter in waiting {
        assert!(waiter.join().unwrap());
    }
}

pub(crate) fn a_disconnected_peer_is_told_and_gone(pair: Pair) {
    let (a, b) = (hub(&pair, "a"), hub(&pair, "b"));
    b.connect("a", a.local_addr()).unwrap();
    assert_eq!(a.next_event(STUCK), Some(joined("b", Side::Local)));
    assert!(a.disconnect("b"));
    let left = |name, end| Some(Event::Left { name: named(name), why: Gone::Ended(end), returns: false });
    assert_eq!(a.next_event(STUCK), left("b", End::Closed { code: 0 }));
    assert_eq!(b.next_event(STUCK), Some(joined("a", Side::Remote)));
    assert_eq!(b.next_event(STUCK), left("a", End::ClosedByPeer { code: 0 }));
    assert!(!a.disconnect("b"));
    [a, b].iter().for_each(Hub::close);
}

pub(crate) fn no_more_peers_than_there_may_be(pair: Pair) {
    let config = config(|config| config.peers_max = 1);
    let a = Hub::start_with("a", [pair.another(|_| {})], config).unwrap();
    let [b, c] = ["b", "c"].map(|name| hub(&pair, name));
    b.connect("a", a.local_addr()).unwrap();
    let full = c.connect("a", a.local_addr()).unwrap_err();
    assert!(matches!(full, JoinError::Gone(Gone::ByPeer(Reason::Full))), "{full}");
    [a, b, c].iter().for_each(Hub::close);
}

pub(crate) fn those_who_say_nothing_give_way_to_those_who_do(pair: Pair) {
    // As many as may be joining at once; they would hold their places for an hour.
    let config = config(|config| config.greet_timeout = Duration::from_secs(3_600));
    let a = Hub::start_with("a", [pair.another(|_| {})], config).unwrap();
    let _silent: Vec<_> = (0..128).map(|_| raw(&pair, &a)).collect();
    let b = hub(&pair, "b");
    for tries in 0.. {
        let Err(full) = b.connect("a", a.local_addr()) else { break };
        assert!(tries < 100, "there is never a place");
        assert!(matches!(full, JoinError::Gone(Gone::ByPeer(Reason::Full))), "{full}");
        assert_eq!(a.next_event(SHORT), None);
    }
    let [joined, nothing] = [a.next_event(STUCK), a.next_event(SHORT)];
    assert!(matches!(joined, Some(Event::Joined { .. })), "{joined:?}");
    assert_eq!(nothing, None);
    [a, b].iter().for_each(Hub::close);
}

fn raw(pair: &Pair, hub: &Hub) -> Connection {
    Connection::connect(&pair.client, hub.local_addr()).unwrap()
}

pub(crate) fn those_who_are_no_hubs_are_turned_away(pair: Pair) {
    let config = config(|config| config.greet_timeout = SHORT);
    let a = Hub::start_with("a", [pair.another(|_| {})], config).unwrap();
    let b = hub(&pair, "b");
    b.connect("a", a.local_addr()).unwrap();
    let hello = |role, name: &str| {
        let name = (role != Role::Plain).then(|| named(name));
        Control::Hello(Hello { role, instance: 1, name }).encode()
    };
    for (what, reason) in [
        (hello(Role::Client, "x"), Reason::Role),
        (hello(Role::Plain, "x"), Reason::Role),
        (hello(Role::Hub, "b"), Reason::NameTaken),
        (vec![1, 7], Reason::Version),
        (vec![9], Reason::Malformed),
    ] {
        let raw = raw(&pair, &a);
        raw.send_on(CONTROL_CHANNEL, 0, what).unwrap();
        assert_eq!(Gone::from(end_of(&raw)), Gone::ByPeer(reason));
    }
    let silent = raw(&pair, &a);
    assert_eq!(Gone::from(end_of(&silent)), Gone::ByPeer(Reason::Silent));
    // A peer that has been taken and then breaks the protocol leaves, and nobody else.
    let raw = raw(&pair, &a);
    raw.send_on(CONTROL_CHANNEL, 0, hello(Role::Hub, "x")).unwrap();
    assert_eq!(a.next_event(STUCK), Some(joined("b", Side::Local)));
    assert_eq!(a.next_event(STUCK), Some(joined("x", Side::Local)));
    raw.send_on(CONTROL_CHANNEL, 0, hello(Role::Hub, "x")).unwrap();
    let left = Event::Left { name: named("x"), why: Gone::ByUs(Reason::OutOfTurn), returns: false };
    assert_eq!(a.next_event(STUCK), Some(left));
    b.write_all("pose", "still here").unwrap();
    assert_eq!(a.changed_timeout("pose", STUCK).unwrap().1.content.body, "still here");
    [a, b].iter().for_each(Hub::close);
}

/// A peer that reads nothing of what it is sent costs its own newest value and holds up nobody.
pub(crate) fn a_peer_that_stalls_holds_up_nobody(pair: Pair) {
    let small = |config: &mut udpair::Config| {
        config.limits.send_queue = 256 << 10;
        config.limits.credit_channel = 512 << 10;
        config.limits.credit_connection = 512 << 10;
    };
    let a = Hub::start("a", [pair.another(small)]).unwrap();
    let b = hub(&pair, "b");
    b.connect("a", a.local_addr()).unwrap();
    // It greets, and then its transport is left alone: nobody reads a value there.
    let stalled = Connection::connect(&pair.another(small), a.local_addr()).unwrap();
    greet(&stalled, "stalled", 1);
    while a.connections().len() < 2 {
        assert!(a.next_event(STUCK).is_some());
    }
    const LAST: usize = 60;
    for at in 0..=LAST {
        assert_eq!(a.write_all("a", content(at, 100_000)).unwrap(), 2);
        assert_eq!(a.write_all("b", content(at, 100_000)).unwrap(), 2);
        let value = loop {
            let (_, value) = b.changed_timeout("b", STUCK).unwrap();
            if value.number == at as u64 {
                break value;
            }
        };
        assert_eq!(value.content.body, content(at, 100_000));
    }
    // When it reads again it gets the newest of each channel, and few before.
    for channel in [0, 1] {
        let mut read = 0;
        loop {
            let body = stalled.recv_on_timeout(channel, STUCK).unwrap().into_bytes(1 << 20).unwrap();
            read += 1;
            if body[..body.len() - 8] == content(LAST, 100_000)[..] {
                break;
            }
        }
        assert!(read <= 5, "{read} values were kept for it");
    }
    [a, b].iter().for_each(Hub::close);
}

/// A hub that is simply dropped leaves as well.
pub(crate) fn a_hub_that_is_dropped_closes_in_the_background(pair: Pair) {
    let (a, b) = (hub(&pair, "a"), hub(&pair, "b"));
    b.connect("a", a.local_addr()).unwrap();
    b.write_all("pose", "last words").unwrap();
    drop(b);
    assert_eq!(a.next_event(STUCK), Some(joined("b", Side::Local)));
    assert!(matches!(a.next_event(STUCK), Some(Event::Left { why: Gone::Ended(End::ClosedByPeer { code: 0 }), .. })));
    assert_eq!(a.get_by_name("b", "pose").unwrap().unwrap().content.body, "last words");
    a.close();
}

#[test]
fn a_hub_mixes_udp_and_tcp() {
    let config = udpair::Config::insecure_plain;
    let any = || "127.0.0.1:0".parse().unwrap();
    let (udp, tcp): (Arc<dyn Transport>, Arc<dyn Transport>) =
        (udpair::udp::bind(any(), config()).unwrap(), udpair::tcp::bind(any(), config()).unwrap());
    let at_tcp = tcp.local_addr();
    let a = Hub::start("a", [udp, tcp]).unwrap();
    let b = Hub::start("b", [udpair::udp::bind(any(), config()).unwrap()]).unwrap();
    let c = Hub::start("c", [udpair::tcp::bind(any(), config()).unwrap()]).unwrap();
    b.connect("a", a.local_addr()).unwrap();
    c.connect("a", at_tcp).unwrap();
    for (peer, other) in [(&b, &c), (&c, &b)] {
        peer.write_all("pose", peer.name().to_string()).unwrap();
        let (from, value) = a.changed_timeout("pose", STUCK).unwrap();
        a.write_all("seen", value.content.body.clone()).unwrap();
        assert_eq!(from, **peer.name());
        while other.changed_timeout("seen", STUCK).unwrap().1.content.body != peer.name().to_string() {}
    }
    [a, b, c].iter().for_each(Hub::close);
}
