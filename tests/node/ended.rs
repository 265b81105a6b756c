//! What is asked of a node that is closed, and of peers that are away or gone.

use std::sync::Arc;
use std::time::Duration;

use udpair::message::{ChannelConfig, Delivery, End};
use udpair::node::{CONTROL_CHANNEL, Control, Event, Gone, Hub, JoinError, Kind, ReadError, Reconnect, WriteError};
use udpair::sim::Sim;
use udpair::{Config, Connection, Listener};

use crate::hubs::{config, greet, hub, named};
use crate::not_written;
use crate::pair::{Pair, SHORT, STUCK, end_of};
use crate::returning::{bind_again, soon};

pub(crate) fn a_closed_node_takes_no_connection_and_keeps_none(pair: Pair) {
    let a = hub(&pair, "a");
    a.close();
    for welcomes in [true, false] {
        let (ours, theirs) = pair.connect();
        // A handle of ours stays: it is the node that closes.
        let error =
            if welcomes { a.welcome(ours.clone()).unwrap_err() } else { a.connect_on("b", ours.clone()).unwrap_err() };
        assert!(matches!(error, JoinError::Closed), "{error}");
        assert_eq!(end_of(&theirs), End::ClosedByPeer { code: 0 });
    }
}

pub(crate) fn a_node_that_closes_lets_go_of_who_waits_to_be_taken(pair: Pair) {
    let a = hub(&pair, "a");
    // The other side of both says nothing, and a handle of ours stays.
    let mut handles = Vec::new();
    let waiting = [true, false].map(|welcomes| {
        let (ours, theirs) = pair.connect();
        let a = a.clone();
        handles.push(ours.clone());
        let waiting = pair.beside(move || match welcomes {
            true => a.welcome(ours).map(|_| ()),
            false => a.connect_on("b", ours),
        });
        (waiting, theirs)
    });
    a.close();
    for (waiting, theirs) in waiting {
        let error = waiting.join().unwrap().unwrap_err();
        assert!(matches!(error, JoinError::Closed), "{error}");
        assert_eq!(end_of(&theirs), End::ClosedByPeer { code: 0 });
    }
}

pub(crate) fn a_peer_that_is_away_can_be_given_up(pair: Pair) {
    let transport = pair.another_apart();
    let addr = transport.local_addr();
    let a = Hub::start("a", [transport]).unwrap();
    let b = Hub::start_with("b", [pair.another(|_| {})], soon()).unwrap();
    b.connect("a", addr).unwrap();
    a.write_all("pose", "last").unwrap();
    assert_eq!(b.changed_timeout("pose", STUCK).unwrap().1.content.body, "last");
    a.close();
    drop(a);
    assert!(matches!(b.next_event(STUCK), Some(Event::Joined { .. })));
    assert!(matches!(b.next_event(STUCK), Some(Event::Left { returns: true, .. })));
    assert!(b.disconnect("a"));
    let why = Gone::Ended(End::Closed { code: 0 });
    assert_eq!(b.next_event(STUCK), Some(Event::GaveUp { name: named("a"), why }));
    assert!(!b.disconnect("a"));
    // There is somebody to call again, and nobody does.
    let listener = Listener::new(bind_again(&pair, addr));
    assert!(listener.accept_timeout(SHORT).is_err());
    assert_eq!(b.next_event(SHORT), None);
    not_written(b.write_to_name("a", "pose", "x"), &WriteError::NoSuchPeer { name: "a".to_owned() });
    // What it said can still be read.
    assert_eq!(b.get_by_name("a", "pose").unwrap().unwrap().content.body, "last");
    assert_eq!(b.get_by_name("c", "pose").unwrap_err(), ReadError::NoSuchPeer { name: "c".to_owned() });
    b.close();
}

pub(crate) fn a_call_that_is_given_up_says_so(pair: Pair) {
    let b = hub(&pair, "b");
    let listener = Listener::new(Arc::clone(&pair.server));
    let calling = pair.beside({
        let (b, addr) = (b.clone(), pair.server.local_addr());
        move || b.connect("a", addr).unwrap_err()
    });
    // It greets and is not greeted.
    let raw = listener.accept_timeout(STUCK).unwrap();
    raw.recv_on_timeout(CONTROL_CHANNEL, STUCK).unwrap();
    assert!(b.disconnect("a"));
    let error = calling.join().unwrap();
    assert!(matches!(error, JoinError::Disconnected), "{error}");
    assert_eq!(end_of(&raw), End::ClosedByPeer { code: 0 });
    b.close();
}

/// Whether or not the hub's own thread has noticed.
#[test]
fn a_name_is_free_as_soon_as_its_owner_is_gone() {
    for seed in 0..30 {
        let sim = Sim::new(seed);
        let [caller, called] = ["caller", "called"].map(|name| sim.host(name));
        let addr = called.addr(7_000);
        sim.spawn(&called, move |host| {
            let listener = Listener::new(host.bind(addr, Config::insecure_plain())?);
            for _ in 0..10 {
                let raw = listener.accept()?;
                greet(&raw, "x", 0);
                raw.flush()?;
                host.sleep(SHORT);
                raw.abort(7);
            }
            Ok(())
        });
        sim.spawn(&caller, move |host| {
            let hub = Hub::start("hub", [host.bind(host.addr(0), Config::insecure_plain())?])?;
            for round in 0..10 {
                hub.connect("x", addr).unwrap_or_else(|error| panic!("seed {seed}, round {round}: {error:?}"));
                // Whoever waits here and the hub's own thread are woken by the end at once; the seed says who is first.
                let end = hub.peer("x").map(|peer| peer.recv("nothing").unwrap_err());
                assert!(end.is_none_or(|end| matches!(end, ReadError::Gone(_))));
            }
            hub.close();
            Ok(())
        });
        sim.run().unwrap();
    }
}

/// Whoever calls by a name may be the first to notice that its owner has left.
#[test]
fn whoever_waits_for_events_is_told_at_once_that_a_peer_left_who_will_be_called_again() {
    for seed in 0..30 {
        let sim = Sim::new(seed);
        let [caller, called] = ["caller", "called"].map(|name| sim.host(name));
        let addr = called.addr(7_000);
        sim.spawn(&called, move |host| {
            let raw = Listener::new(host.bind(addr, Config::insecure_plain())?).accept()?;
            greet(&raw, "x", 0);
            raw.flush()?;
            host.sleep(SHORT);
            raw.abort(7);
            Ok(())
        });
        sim.spawn(&caller, move |host| {
            const HOUR: Duration = Duration::from_secs(3_600);
            let config = config(|config| config.reconnect = Some(Reconnect { first: HOUR, most: HOUR }));
            let hub = Hub::start_with("hub", [host.bind(host.addr(0), Config::insecure_plain())?], config)?;
            hub.connect("x", addr)?;
            assert!(matches!(hub.next_event(STUCK), Some(Event::Joined { .. })));
            let reader = hub.peer("x").unwrap();
            let waiting = reader.connection().transport().spawn("waiting", {
                let hub = hub.clone();
                move || (hub.next_event(STUCK), hub.now())
            })?;
            assert!(matches!(reader.recv("nothing"), Err(ReadError::Gone(_))));
            let ended_at = hub.now();
            assert!(matches!(hub.connect("x", addr), Err(JoinError::NameTaken { .. })));
            let (event, told_at) = waiting.join().unwrap();
            assert!(matches!(event, Some(Event::Left { returns: true, .. })), "seed {seed}: {event:?}");
            assert!(
                told_at.saturating_since(ended_at) < SHORT,
                "seed {seed}: told at {told_at:?}, left at {ended_at:?}"
            );
            hub.close();
            Ok(())
        });
        sim.run().unwrap();
    }
}

/// What a peer sends while its connection is being closed is read by whoever waits for it, and nobody spins.
#[test]
fn a_reader_of_a_peer_that_is_being_disconnected_waits_as_any_other() {
    for seed in 0..5 {
        let mut sim = Sim::new(seed);
        sim.turn_limit(Duration::from_secs(2));
        let [hub, peer] = ["hub", "peer"].map(|name| sim.host(name));
        let addr = hub.addr(7_000);
        sim.spawn(&peer, move |host| {
            let raw = Connection::connect(&host.bind(host.addr(0), Config::insecure_plain())?, addr)?;
            greet(&raw, "x", 1);
            let pose = Control::Name { number: 0, kind: Kind::Latest, name: named("pose") };
            raw.send_on(CONTROL_CHANNEL, 0, pose.encode())?;
            raw.configure(0, ChannelConfig::new(Delivery::Latest))?;
            // It takes nothing of what it is sent, so that the hub waits for that.
            for at in 0..3 {
                host.sleep(SHORT);
                raw.send_on(0, 0, vec![at; 9])?;
            }
            host.sleep(STUCK);
            Ok(())
        });
        sim.spawn(&hub, move |host| {
            let hub = Hub::start("hub", [host.bind(addr, Config::insecure_plain())?])?;
            hub.changed("pose")?;
            hub.write_all("goal", "not taken")?;
            let reader = hub.peer("x").unwrap();
            assert!(hub.disconnect("x"));
            for at in [0, 1, 2] {
                assert_eq!(reader.changed("pose")?.content.body[0], at, "seed {seed}");
            }
            assert!(matches!(reader.changed("pose"), Err(ReadError::Gone(_))));
            assert_eq!(hub.get_by_name("x", "pose")?.unwrap().content.body[0], 0, "as it was then");
            hub.close();
            Ok(())
        });
        sim.run().unwrap();
    }
}
