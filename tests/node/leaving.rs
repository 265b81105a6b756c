//! Nodes that leave while some of their peers do not listen.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use udpair::node::Hub;
use udpair::sim::{LinkConfig, Sim};
use udpair::{Config, Connection, Transport};

use crate::hubs::{config, greet};

/// What there is to say goes to all at once: a peer that stalls takes nothing of the others' time.
#[test]
fn stalled_peers_cost_a_leaving_hub_one_linger_and_the_others_nothing() {
    const SECOND: Duration = Duration::from_secs(1);
    let linger = 3 * SECOND;
    let small = || {
        let mut config = Config::insecure_plain();
        config.limits.send_queue = 64 << 10;
        config.limits.credit_channel = 64 << 10;
        config.limits.credit_connection = 64 << 10;
        config
    };
    for seed in 0..5 {
        let sim = Sim::new(seed);
        let [hub, good] = ["hub", "good"].map(|name| sim.host(name));
        let stalled = ["a", "b", "y", "z"].map(|name| sim.host(name));
        let addr = hub.addr(7_000);
        // A value of several datagrams takes some round trips.
        let link = LinkConfig { delay: SECOND / 50, ..LinkConfig::default() };
        sim.network(|network| network.configure_both(hub.id(), good.id(), link));
        let took = Arc::new(Mutex::new(None));
        for host in stalled {
            sim.spawn(&host, move |host| {
                let raw = Connection::connect(&host.bind(host.addr(0), small())?, addr)?;
                greet(&raw, host.name(), 1);
                // Reads nothing of what it is sent.
                host.sleep(60 * SECOND);
                Ok(())
            });
        }
        sim.spawn(&good, move |host| {
            let hub = Hub::start("m", [host.bind(host.addr(0), Config::insecure_plain())?])?;
            hub.connect("hub", addr)?;
            let last = loop {
                match hub.changed_timeout("z", 30 * SECOND) {
                    Ok((_, value)) if value.content.body.len() == 27_000 => break value,
                    Ok(_) => host.sleep(SECOND / 10),
                    Err(error) => panic!("seed {seed}: the last value did not come: {error}"),
                }
            };
            assert_eq!(last.content.body[0], 9);
            hub.close();
            Ok(())
        });
        let time = Arc::clone(&took);
        sim.spawn(&hub, move |host| {
            let config = config(|config| config.linger = linger);
            let transport: Arc<dyn Transport> = host.bind(addr, small())?;
            let hub = Hub::start_with("hub", [Arc::clone(&transport)], config)?;
            while hub.connections().len() < 5 {
                assert!(hub.next_event(10 * SECOND).is_some());
            }
            for at in 0..10 {
                // The last finds no room at first.
                for channel in ["a", "b", "c", "d", "e", "f", "z"] {
                    hub.write_all(channel, vec![at; if at == 9 && channel == "z" { 27_000 } else { 26_000 }])?;
                }
            }
            let other = hub.clone();
            let waiting = Arc::clone(&transport).spawn("waits", move || {
                while other.next_event(60 * SECOND).is_some() {}
                transport.now()
            })?;
            let begun = host.now();
            hub.close();
            // Whoever waits for what is to come does not wait for what has been written.
            let ended = waiting.join()?.saturating_since(begun);
            assert!(ended < SECOND, "seed {seed}: {ended:?}");
            *time.lock().unwrap() = Some(host.now().saturating_since(begun));
            Ok(())
        });
        sim.run().unwrap();
        let took = took.lock().unwrap().unwrap();
        assert!((linger..linger + SECOND).contains(&took), "seed {seed}: {took:?}");
    }
}
