//! The age of values.

use core::time::Duration;

use udpair::node::{Channels, Hub};
use udpair::sim::{LinkConfig, Sim};
use udpair::time::Timestamp;
use udpair::{Config, Connection, Listener};

use crate::pair::{Pair, STUCK};

pub(crate) fn the_age_of_a_value_is_known(pair: Pair) {
    let (client, server) = pair.connect();
    let (writer, reader) = (Channels::new(client), Channels::new(server));
    let transport = reader.connection().transport().clone();
    let writing = pair.beside(move || {
        // Whoever waits answers questions about its clock, too.
        let begun = writer.connection().transport().now();
        writer.write("pose", "here").unwrap();
        writer.recv_timeout("done", STUCK).unwrap();
        writer.connection().transport().now().saturating_since(begun)
    });
    let mut value = reader.changed_timeout("pose", STUCK).unwrap();
    while value.age(transport.now()).is_none() {
        // The answer is on its way; nothing but the wait for a change reads it.
        assert!(reader.changed_timeout("pose", Duration::from_millis(5)).is_err());
        value = reader.latest("pose").unwrap().unwrap();
    }
    let age = value.age(transport.now()).unwrap();
    reader.send("done", "").unwrap();
    // Both run in this process, on one clock.
    let most = writing.join().unwrap();
    assert!(age.age <= most + age.uncertainty, "{age:?} of at most {most:?}");
}

pub(crate) fn whoever_attends_answers_for_a_program_that_does_nothing_else(pair: Pair) {
    let (client, server) = pair.connect();
    let (writer, reader) = (Channels::new(client), Channels::new(server));
    writer.write("pose", "here").unwrap();
    let mut value = reader.changed_timeout("pose", STUCK).unwrap();
    let now = || reader.connection().transport().now();
    while value.age(now()).is_none() {
        writer.attend();
        assert!(reader.changed_timeout("pose", Duration::from_millis(1)).is_err());
        value = reader.latest("pose").unwrap().unwrap();
    }
}

/// Over a way that takes longer there than back, with clocks that have nothing in common but the rate.
#[test]
fn the_age_is_right_within_its_uncertainty_on_any_way() {
    let sim = Sim::new(3);
    let (writer, reader) = (sim.host("writer"), sim.host("reader"));
    let link = |millis| LinkConfig { delay: Duration::from_millis(millis), ..LinkConfig::default() };
    sim.network(|network| {
        network.configure(writer.id(), reader.id(), link(9));
        network.configure(reader.id(), writer.id(), link(1));
    });
    let addr = reader.addr(7_000);
    sim.spawn(&writer, move |host| {
        let transport = host.bind(host.addr(0), Config::insecure_plain())?;
        let channels = Channels::new(Connection::connect(&transport, addr)?);
        for _ in 0..100 {
            channels.write("pose", "here")?;
            // It attends to the connection meanwhile.
            let _ = channels.recv_timeout("nothing", Duration::from_millis(20));
        }
        channels.close(0);
        Ok(())
    });
    sim.spawn(&reader, move |host| {
        let transport = host.bind(addr, Config::insecure_plain())?;
        let channels = Channels::new(Listener::new(transport).accept()?);
        let mut known = 0;
        while let Ok(value) = channels.changed("pose") {
            let Some(age) = value.age(host.now()) else { continue };
            known += 1;
            // Half of the round trip is all that can be known, and both bounds are found by then.
            assert!(age.uncertainty <= Duration::from_micros(5_500), "{age:?}");
            let off = age.age.abs_diff(Duration::from_millis(9));
            assert!(off <= age.uncertainty, "{age:?}");
        }
        assert!(known > 90, "{known}");
        Ok(())
    });
    sim.run().unwrap();
}

/// A node's clock begins at random: what two nodes show has nothing in common, in one simulated world either.
#[test]
fn the_age_is_right_on_the_clocks_of_nodes() {
    for seed in 0..10 {
        let sim = Sim::new(seed);
        let [one, other] = ["one", "other"].map(|name| sim.host(name));
        let addr = other.addr(7_000);
        for host in [one, other] {
            sim.spawn(&host, move |host| {
                let hub = Hub::start(host.name(), [host.bind(host.addr(7_000), Config::insecure_plain())?])?;
                // Both write when the world begins.
                hub.write_all("pose", "here")?;
                if host.name() == "one" {
                    hub.connect("other", addr)?;
                }
                let mut value = hub.changed("pose")?.1;
                while value.age(host.now()).is_none() {
                    host.sleep(Duration::from_millis(1));
                    value = hub.get_all("pose")?.remove(0).1;
                }
                let (age, since) = (value.age(host.now()).unwrap(), host.now().saturating_since(Timestamp::ZERO));
                assert!(age.age.abs_diff(since) <= age.uncertainty, "seed {seed}: {age:?} of {since:?}");
                // The other one may still be asking.
                host.sleep(Duration::from_secs(1));
                hub.close();
                Ok(())
            });
        }
        sim.run().unwrap();
    }
}
