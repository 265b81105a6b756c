//! Nodes that are lost and come again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use udpair::message::End;
use udpair::node::{CONTROL_CHANNEL, Client, Control, Event, Gone, Hello, Host, Hub, NodeConfig, ReadError, Reason};
use udpair::node::{Reconnect, Role, Side, WriteError};
use udpair::sim::{Sim, Verdict};
use udpair::time::Timestamp;
use udpair::transport::{BindError, WaitError};
use udpair::{Config, Connection, Listener, Transport};

use crate::hubs::{config, greet, named};
use crate::pair::{Pair, SHORT, STUCK, end_of};

/// Tries again soon, and often.
pub(crate) fn soon() -> NodeConfig {
    let (first, most) = (Duration::from_millis(10), Duration::from_millis(40));
    config(|config| config.reconnect = Some(Reconnect { first, most }))
}

/// A transport at the address of one that is gone. What that still has to say to its peers it says in the background,
/// and has its sockets until then.
pub(crate) fn bind_again(pair: &Pair, addr: SocketAddr) -> Arc<dyn Transport> {
    let own = &pair.client;
    let give_up = own.now() + STUCK;
    loop {
        match pair.bind(addr) {
            Err(BindError::AddressInUse { .. }) if own.now() < give_up => {
                assert_eq!(own.wait(&[], Some(own.now() + SHORT / 10)).err(), Some(WaitError::TimedOut));
            }
            bound => return bound.expect("the address of one that is gone"),
        }
    }
}

fn joined(name: &str, side: Side) -> Option<Event> {
    Some(Event::Joined { name: named(name), side })
}

fn left(name: &str, end: End, returns: bool) -> Option<Event> {
    Some(Event::Left { name: named(name), why: Gone::Ended(end), returns })
}

pub(crate) fn a_host_that_was_away_has_its_clients_and_their_values_again(pair: Pair) {
    let transport = pair.another_apart();
    let addr = transport.local_addr();
    let host = Host::start([transport]).unwrap();
    let client = Client::start_with("a", &pair.another(|_| {}), addr, soon()).unwrap();
    client.write("pose", "before").unwrap();
    host.write_all("goal", "before").unwrap();
    assert_eq!(host.get("a", "pose").unwrap().content.body, "before");
    assert_eq!(client.changed_timeout("goal", STUCK).unwrap().content.body, "before");
    host.close();
    drop(host);
    assert_eq!(client.next_event(STUCK), joined("host", Side::Remote));
    assert_eq!(client.next_event(STUCK), left("host", End::ClosedByPeer { code: 0 }, true));
    // Meanwhile the last value can be read, and what is written waits.
    assert!(!client.is_connected());
    assert_eq!(client.get("goal").unwrap().content.body, "before");
    client.set_timeout(SHORT);
    assert_eq!(client.get("other").unwrap_err(), ReadError::TimedOut);
    client.write("pose", "meanwhile").unwrap();
    client.write("new", "also").unwrap();
    let host = Host::start([bind_again(&pair, addr)]).unwrap();
    host.write_all("goal", "after").unwrap();
    assert_eq!(client.next_event(STUCK), joined("host", Side::Remote));
    assert_eq!(client.changed_timeout("goal", STUCK).unwrap().content.body, "after");
    assert_eq!(host.next_event(STUCK), joined("a", Side::Local));
    assert_eq!(host.get("a", "pose").unwrap().content.body, "meanwhile");
    assert_eq!(host.get("a", "new").unwrap().content.body, "also");
    client.close();
    host.close();
}

pub(crate) fn values_come_again_to_whoever_has_not_seen_them_and_only_to_those(pair: Pair) {
    let a = Hub::start("a", [pair.another(|_| {})]).unwrap();
    let b = Hub::start_with("b", [pair.another(|_| {})], soon()).unwrap();
    b.connect("a", a.local_addr()).unwrap();
    a.write_to_name("b", "goal", "yours").unwrap();
    b.write_all("pose", "seen").unwrap();
    b.write_to_name("a", "other", "unseen").unwrap();
    assert_eq!(a.changed_timeout("pose", STUCK).unwrap().1.content.body, "seen");
    assert_eq!(b.changed_timeout("goal", STUCK).unwrap().1.content.body, "yours");
    for _ in 0..3 {
        while let Some(_event) = b.try_event() {}
        assert!(a.disconnect("b"));
        assert_eq!(b.next_event(STUCK), left("a", End::ClosedByPeer { code: 0 }, true));
        assert_eq!(b.next_event(STUCK), joined("a", Side::Remote));
    }
    // All of it was written again, with the time that it had.
    let fresh = (Hub::clone(&a), b.clone());
    assert_eq!(fresh.0.changed_timeout("other", STUCK).unwrap().1.content.body, "unseen");
    assert_eq!(a.changed_timeout("pose", SHORT).unwrap_err(), ReadError::TimedOut);
    assert_eq!(b.changed_timeout("goal", SHORT).unwrap_err(), ReadError::TimedOut);
    assert_eq!(a.get_by_name("b", "pose").unwrap().unwrap().content.body, "seen");
    b.write_all("pose", "newer").unwrap();
    assert_eq!(a.changed_timeout("pose", STUCK).unwrap().1.content.body, "newer");
    // Whoever ends it by itself does not come again.
    while let Some(_event) = b.try_event() {}
    assert!(b.disconnect("a"));
    assert_eq!(b.next_event(STUCK), left("a", End::Closed { code: 0 }, false));
    assert_eq!(b.next_event(SHORT), None);
    [a, b].iter().for_each(Hub::close);
}

/// Whichever way it was written; and what could not be written is not.
pub(crate) fn what_was_written_to_one_peer_is_restored(pair: Pair) {
    let a = Hub::start("a", [pair.another(|_| {})]).unwrap();
    let b = Hub::start_with("b", [pair.another(|_| {})], soon()).unwrap();
    b.connect("a", a.local_addr()).unwrap();
    assert_eq!(b.next_event(STUCK), joined("a", Side::Remote));
    let to_a = b.peer("a").unwrap();
    b.write_to_name("a", "one", "older").unwrap();
    to_a.write("one", "newer").unwrap();
    to_a.try_write("other", "older").unwrap();
    b.write_all("other", "newer").unwrap();
    to_a.send("log", "queued").unwrap();
    assert!(matches!(b.write_to_name("a", "log", "x"), Err(WriteError::Kind { .. })));
    for len in [17 << 20, 20 << 20] {
        assert!(matches!(to_a.write("one", vec![0; len]), Err(WriteError::TooLarge { .. })));
        assert!(matches!(to_a.write("too long", vec![0; len]), Err(WriteError::TooLarge { .. })));
    }
    to_a.flush().unwrap();
    assert!(a.disconnect("b"));
    assert!(matches!(b.next_event(STUCK), Some(Event::Left { returns: true, .. })));
    // Its connection is no more, and nothing is written that way.
    assert!(matches!(to_a.write("one", "too late"), Err(WriteError::Gone(_))));
    assert_eq!(b.next_event(STUCK), joined("a", Side::Remote));
    let (to_a, from_b) = (b.peer("a").unwrap(), a.peer("b").unwrap());
    // What is queued is not restored, and its channel is as free as any.
    to_a.send("log", "again").unwrap();
    assert_eq!(from_b.recv_timeout("log", STUCK).unwrap().content.body, "again");
    for channel in ["one", "other"] {
        assert_eq!(from_b.changed_timeout(channel, STUCK).unwrap().content.body, "newer");
    }
    let names: Vec<_> = from_b.names().into_iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["log", "one", "other"]);
    [a, b].iter().for_each(Hub::close);
}

pub(crate) fn the_same_node_takes_its_own_place(pair: Pair) {
    let a = Hub::start("a", [pair.another(|_| {})]).unwrap();
    let come = |instance| {
        let raw = Connection::connect(&pair.client, a.local_addr()).unwrap();
        greet(&raw, "x", instance);
        raw
    };
    let first = come(7);
    assert_eq!(a.next_event(STUCK), joined("x", Side::Local));
    // Another one of the same name, and one that says nothing of itself.
    for instance in [8, 0] {
        assert_eq!(Gone::from(end_of(&come(instance))), Gone::ByPeer(Reason::NameTaken));
    }
    let _second = come(7);
    assert_eq!(Gone::from(end_of(&first)), Gone::ByPeer(Reason::Replaced));
    let why = Gone::ByUs(Reason::Replaced);
    assert_eq!(a.next_event(STUCK), Some(Event::Left { name: named("x"), why, returns: false }));
    assert_eq!(a.next_event(STUCK), joined("x", Side::Local));
    assert_eq!(a.connections().len(), 1);
    a.close();
}

pub(crate) fn those_who_do_not_understand_each_other_do_not_try_again(pair: Pair) {
    // Greets, and then breaks the protocol.
    let hello = |role| Control::Hello(Hello { role, instance: 0, name: Some(named("raw")) }).encode();
    let listener = Listener::new(Arc::clone(&pair.server));
    let greeting = pair.beside(move || {
        let raw = listener.accept_timeout(STUCK).unwrap();
        raw.send_on(CONTROL_CHANNEL, 0, hello(Role::Host)).unwrap();
        raw
    });
    let client = Client::start_with("a", &pair.another(|_| {}), pair.server.local_addr(), soon()).unwrap();
    let raw = greeting.join().unwrap();
    raw.send_on(CONTROL_CHANNEL, 0, hello(Role::Host)).unwrap();
    assert_eq!(Gone::from(end_of(&raw)), Gone::ByPeer(Reason::OutOfTurn));
    assert_eq!(client.next_event(STUCK), joined("host", Side::Remote));
    let why = Gone::ByUs(Reason::OutOfTurn);
    assert_eq!(client.next_event(STUCK), Some(Event::Left { name: named("host"), why, returns: false }));
    client.close();

    // Where the host was there is a hub now.
    let transport: Arc<dyn Transport> = pair.another_apart();
    let addr = transport.local_addr();
    let host = Host::start([transport]).unwrap();
    let client = Client::start_with("a", &pair.another(|_| {}), addr, soon()).unwrap();
    host.close();
    drop(host);
    let hub = Hub::start("hub", [bind_again(&pair, addr)]).unwrap();
    assert_eq!(client.next_event(STUCK), joined("host", Side::Remote));
    assert_eq!(client.next_event(STUCK), left("host", End::ClosedByPeer { code: 0 }, true));
    let why = Gone::ByPeer(Reason::Role);
    assert_eq!(client.next_event(STUCK), Some(Event::GaveUp { name: named("host"), why }));
    client.close();
    hub.close();
}

pub(crate) fn a_node_that_tries_again_can_be_closed(pair: Pair) {
    let host = Host::start([pair.another_apart()]).unwrap();
    let client = Client::start_with("a", &pair.another(|_| {}), host.local_addr(), soon()).unwrap();
    host.close();
    drop(host);
    assert!(matches!(client.next_event(STUCK), Some(Event::Joined { .. })));
    assert!(matches!(client.next_event(STUCK), Some(Event::Left { returns: true, .. })));
    let waiting = pair.beside({
        let client = client.clone();
        move || client.changed("goal").unwrap_err()
    });
    client.close();
    assert!(matches!(waiting.join().unwrap(), ReadError::Gone(_)));
}

/// Both call, so that both call again when the link was away: what each was before is then not news beside what it is.
#[test]
fn hubs_that_cross_after_an_outage_have_forgotten_what_the_other_was_before() {
    const SECOND: Duration = Duration::from_secs(1);
    for seed in 0..20 {
        let sim = Sim::new(seed);
        let hosts = ["a", "z"].map(|name| (name, sim.host(name)));
        let [near, far] = [&hosts[0].1, &hosts[1].1].map(|host| host.addr(7_000));
        sim.network(|network| {
            network.at(Timestamp::ZERO + 5 * SECOND, |network| {
                let cut = network.add_rule(|_| Verdict::Drop);
                network.at(Timestamp::ZERO + 10 * SECOND, move |network| _ = network.remove_rule(cut));
            });
        });
        for (name, host) in hosts {
            let (other, other_addr) = if name == "a" { ("z", far) } else { ("a", near) };
            sim.spawn(&host, move |host| {
                let mut config = Config::insecure_plain();
                config.idle_timeout = SECOND;
                let hub = Hub::start_with(name, [host.bind(host.addr(7_000), config)?], soon())?;
                // Whoever was too late to call had it already.
                let _crossed = hub.connect(other, other_addr);
                hub.write_all("pose", "before")?;
                let told = |timeout| hub.changed_timeout("pose", timeout).map(|(_, value)| value.content.body);
                assert_eq!(told(4 * SECOND).unwrap(), "before");
                host.sleep((Timestamp::ZERO + 8 * SECOND).saturating_since(host.now()));
                assert!(hub.connections().is_empty(), "nobody is there in the outage");
                hub.write_all("pose", "after")?;
                assert_eq!(told(10 * SECOND).unwrap(), "after", "seed {seed}");
                assert_eq!(told(SECOND).unwrap_err(), ReadError::TimedOut, "seed {seed}");
                hub.close();
                Ok(())
            });
        }
        sim.run().unwrap();
    }
}
