//! A host and its clients.

use std::sync::Arc;

use udpair::message::End;
use udpair::node::{Client, Event, Gone, Host, Hub, JoinError, ReadError, Reason, Side, WriteError};
use udpair::pairing::Carrier;
use udpair::{Connection, Pairing, Transport};

use crate::hubs::named;
use crate::not_written;
use crate::pair::{Kind, Pair, SHORT, STUCK, content};

fn star(pair: &Pair, clients: &[&str]) -> (Host, Vec<Client>) {
    let host = Host::start([pair.another(|_| {})]).unwrap();
    let clients = clients.iter().map(|name| client(pair, name, &host)).collect();
    (host, clients)
}

fn client(pair: &Pair, name: &str, host: &Host) -> Client {
    Client::start(name, &pair.another(|_| {}), host.local_addr()).unwrap()
}

fn close(host: &Host, clients: &[Client]) {
    clients.iter().for_each(Client::close);
    host.close();
}

pub(crate) fn a_host_and_its_clients_read_and_write(pair: Pair) {
    let (host, clients) = star(&pair, &["a", "b"]);
    for client in &clients {
        assert!(client.is_connected());
        client.write("pose", client.name().to_string()).unwrap();
    }
    assert_eq!(host.get("a", "pose").unwrap().content.body, "a");
    assert_eq!(host.get("b", "pose").unwrap().content.body, "b");
    let all: Vec<_> =
        host.get_all("pose").unwrap().into_iter().map(|(name, value)| (name, value.content.body)).collect();
    assert_eq!(all, [(named("a"), "a".into()), (named("b"), "b".into())]);

    assert_eq!(host.write_all("goal", "home").unwrap(), 2);
    host.write("b", "goal", "away").unwrap();
    assert_eq!(clients[0].get("goal").unwrap().content.body, "home");
    while clients[1].changed_timeout("goal", STUCK).unwrap().content.body != "away" {}
    assert_eq!(clients[1].get("goal").unwrap().content.body, "away");
    not_written(host.write("c", "goal", "x"), &WriteError::NoSuchPeer { name: "c".to_owned() });

    // Every value, in order, by the channels of one.
    let (to_host, from_a) = (clients[0].host().unwrap(), host.client("a").unwrap());
    for at in 0..20 {
        to_host.send("log", content(at, 10)).unwrap();
    }
    for at in 0..20 {
        assert_eq!(from_a.recv_timeout("log", STUCK).unwrap().content.body, content(at, 10));
    }
    assert!(host.client("c").is_none());
    close(&host, &clients);
}

pub(crate) fn images_go_both_ways(pair: Pair) {
    let (host, clients) = star(&pair, &["a", "b"]);
    let image = |at| content(at, 50_000);
    clients[0].write_image(image(0)).unwrap();
    assert_eq!(host.get_image("a").unwrap().content.body, image(0));
    assert_eq!(host.get_image_all().unwrap().len(), 1);
    assert_eq!(host.write_image_all(image(1)).unwrap(), 2);
    assert_eq!(clients[0].get_image().unwrap().content.body, image(1));
    host.write_image("b", image(2)).unwrap();
    while clients[1].changed_timeout("image", STUCK).unwrap().content.body != image(2) {}
    close(&host, &clients);
}

pub(crate) fn a_client_of_a_name_that_is_taken_is_refused(pair: Pair) {
    let (host, clients) = star(&pair, &["a"]);
    let transport = pair.another(|_| {});
    for name in ["a", "host"] {
        let error = Client::start(name, &transport, host.local_addr()).unwrap_err();
        assert!(
            matches!(error, JoinError::Gone(Gone::ByPeer(Reason::NameTaken)) | JoinError::NameTaken { .. }),
            "{error}"
        );
    }
    assert!(matches!(Client::start("", &transport, host.local_addr()).unwrap_err(), JoinError::Start(_)));
    assert_eq!(host.clients().len(), 1);
    close(&host, &clients);
}

pub(crate) fn a_get_waits_for_the_first_value_and_no_longer_than_it_may(pair: Pair) {
    let (host, clients) = star(&pair, &["a"]);
    host.set_timeout(SHORT);
    clients[0].set_timeout(SHORT);
    assert_eq!(host.get("a", "pose").unwrap_err(), ReadError::TimedOut);
    assert_eq!(clients[0].get("goal").unwrap_err(), ReadError::TimedOut);
    assert_eq!(host.get("b", "pose").unwrap_err(), ReadError::NoSuchPeer { name: "b".to_owned() });
    host.set_timeout(STUCK);
    let waiting = pair.beside({
        let host = host.clone();
        move || host.get("a", "pose").unwrap().content.body
    });
    clients[0].write("pose", "at last").unwrap();
    assert_eq!(waiting.join().unwrap(), "at last");
    // Closing ends it.
    let waiting = pair.beside({
        let host = host.clone();
        move || host.get("a", "other").unwrap_err()
    });
    close(&host, &clients);
    assert!(matches!(waiting.join().unwrap(), ReadError::Gone(_) | ReadError::NoSuchPeer { .. }));
    assert!(matches!(host.get("b", "pose").unwrap_err(), ReadError::Gone(_)));
}

pub(crate) fn a_host_knows_who_is_there(pair: Pair) {
    let (host, clients) = star(&pair, &["a"]);
    let joined = Event::Joined { name: named("a"), side: Side::Local };
    assert_eq!(host.next_event(STUCK), Some(joined));
    assert_eq!(host.clients().len(), 1);
    clients[0].write("pose", "last").unwrap();
    clients[0].close();
    assert!(matches!(host.next_event(STUCK), Some(Event::Left { returns: false, .. })));
    assert!(host.clients().is_empty() && host.try_event().is_none());
    assert_eq!(host.get("a", "pose").unwrap().content.body, "last");
    assert!(!host.disconnect("a"));
    // The name is free again.
    let again = client(&pair, "a", &host);
    assert!(matches!(host.next_event(STUCK), Some(Event::Joined { .. })));
    assert!(host.disconnect("a"));
    assert!(matches!(again.next_event(STUCK), Some(Event::Joined { .. })));
    assert!(matches!(again.next_event(STUCK), Some(Event::Left { .. })));
    close(&host, &[again]);
}

pub(crate) fn clients_use_one_transport_and_many_threads(pair: Pair) {
    const CLIENTS: u64 = 8;
    const VALUES: u64 = 30;
    let host = Host::start([pair.another(|_| {})]).unwrap();
    let transport: Arc<dyn Transport> = pair.another(|_| {});
    let writing: Vec<_> = (0..CLIENTS)
        .map(|at| {
            let client = Client::start(&at.to_string(), &transport, host.local_addr()).unwrap();
            pair.beside(move || {
                for value in 1..=VALUES {
                    client.write("count", value.to_be_bytes().to_vec()).unwrap();
                    client.changed_timeout("more", STUCK).unwrap();
                }
                client
            })
        })
        .collect();
    let mut last = std::collections::BTreeMap::new();
    while last.values().sum::<u64>() < CLIENTS * VALUES {
        let (name, value) = host.changed_timeout("count", STUCK).unwrap();
        let count = u64::from_be_bytes(value.content.body.as_ref().try_into().unwrap());
        assert_eq!(last.insert(name.clone(), count).unwrap_or(0) + 1, count, "{name}");
        host.write(&name, "more", "please").unwrap();
    }
    let clients: Vec<_> = writing.into_iter().map(|thread| thread.join().unwrap()).collect();
    close(&host, &clients);
}

pub(crate) fn the_host_leaves_and_everybody_is_told(pair: Pair) {
    let (host, clients) = star(&pair, &["a"]);
    host.write_all("goal", "last").unwrap();
    let waiting = pair.beside({
        let client = clients[0].clone();
        move || {
            while client.changed_timeout("goal", STUCK).unwrap().content.body != "last" {}
            assert!(matches!(client.next_event(STUCK), Some(Event::Joined { .. })));
            client.next_event(STUCK)
        }
    });
    host.close();
    assert!(matches!(waiting.join().unwrap(), Some(Event::Left { returns: false, .. })));
    assert!(!clients[0].is_connected() && clients[0].host().is_none());
    assert_eq!(clients[0].get("goal").unwrap().content.body, "last");
    assert_eq!(clients[0].get("other").unwrap_err(), ReadError::NoSuchPeer { name: "host".to_owned() });
    not_written(clients[0].write("pose", "x"), &WriteError::NoSuchPeer { name: "host".to_owned() });
    clients[0].close();
    assert!(matches!(clients[0].changed("goal").unwrap_err(), ReadError::Gone(_)));
}

/// A host and a client that speak on a connection that there is: what is common to all ways to come by one.
fn converse(pair: &Pair, host: &Host, welcomed: Connection, called: Connection) {
    let calling = pair.beside(move || Client::start_on("robot", called).unwrap());
    assert_eq!(host.welcome(welcomed).unwrap(), "robot");
    let client = calling.join().unwrap();
    assert_eq!((host.clients().len(), client.name().to_string()), (1, "robot".to_owned()));
    client.write("pose", "here").unwrap();
    host.write("robot", "goal", "there").unwrap();
    let (from, pose) = host.changed("pose").unwrap();
    assert_eq!((&*from, &pose.content.body[..]), ("robot", &b"here"[..]));
    assert_eq!(client.changed("goal").unwrap().content.body, "there");
    assert_eq!(host.try_event(), Some(Event::Joined { name: named("robot"), side: Side::Local }));
    assert_eq!(client.try_event(), Some(Event::Joined { name: named("host"), side: Side::Remote }));
    assert!(host.try_event().is_none() && client.try_event().is_none());
    // Their clocks are the transports'.
    assert!(host.now() <= client.now() && client.now() <= host.now() + STUCK);
    client.close();
    while !host.clients().is_empty() {
        assert!(host.next_event(STUCK).is_some());
    }
    while host.try_event().is_some() {}
}

pub(crate) fn a_client_and_its_host_speak_on_connections_that_there_are_already(pair: Pair) {
    let host = Host::start([pair.another(|_| {})]).unwrap();
    let (called, welcomed) = pair.connect();
    converse(&pair, &host, welcomed, called);
    // A connection whose other side says nothing, and one that has ended.
    let (called, silent) = pair.connect();
    drop(silent);
    let error = Client::start_on("robot", called).unwrap_err();
    assert!(matches!(error, JoinError::Gone(Gone::Ended(End::ClosedByPeer { code: 0 }))), "{error}");
    let (gone, welcomed) = pair.connect();
    gone.abort(9);
    let error = host.welcome(welcomed).unwrap_err();
    assert!(matches!(error, JoinError::Gone(Gone::Ended(End::AbortedByPeer { code: 9 }))), "{error}");
    host.close();
}

pub(crate) fn a_spoken_code_brings_them_together(pair: Pair) {
    let pairing = match &pair.kind {
        Kind::Udp => Pairing::new().interface("lo").timeout(STUCK),
        Kind::Tcp => Pairing::new().interface("lo").timeout(STUCK).carrier(Carrier::Tcp),
        Kind::Sim(host) => host.pairing(),
    };
    let host = Host::start([pair.another(|_| {})]).unwrap();
    let invite = pairing.invite().unwrap();
    let code = invite.code().to_string();
    let joining = pair.beside(move || pairing.join(&code).unwrap());
    let welcomed = invite.accept().unwrap();
    converse(&pair, &host, welcomed, joining.join().unwrap());
    host.close();
}

pub(crate) fn roles_that_do_not_belong_together_are_refused(pair: Pair) {
    let host = Host::start([pair.another(|_| {})]).unwrap();
    let hub = Hub::start("hub", [pair.another(|_| {})]).unwrap();
    let wrong = |result: Result<(), JoinError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, JoinError::Gone(Gone::ByPeer(Reason::Role))), "{error}");
    };
    wrong(hub.connect("host", host.local_addr()));
    wrong(Client::start("a", &pair.another(|_| {}), hub.local_addr()).map(|_| ()));
    hub.close();
    host.close();
}
