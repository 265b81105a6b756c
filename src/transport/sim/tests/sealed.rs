//! Sealed transports between simulated hosts: everything secret comes from the seed.

use super::*;
use crate::network::{LinkConfig, Verdict};
use crate::transport::{ConnectError, Connection, Listener, tcp, udp};
use crate::wire::{Mode, Packet};

const PORT: u16 = 7_000;
/// Long enough that no packet shows it by chance.
const SECRET: &str = "what nobody on the way may read";

/// A server and a client that say [`SECRET`] to each other over a lossy link, each with its own configuration.
/// Everything that was sent, and the key by which the two may meet again as each side has it.
fn exchange(sim: &Sim, configs: [Config; 2]) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
    let (packets, keys) = (Arc::new(Mutex::new(Vec::new())), Notes::default());
    let (server, client) = (sim.host("server"), sim.host("client"));
    let (seen, lossy) = (Arc::clone(&packets), LinkConfig { loss_ppm: 100_000, ..LinkConfig::default() });
    sim.network(|network| {
        network.configure_both(server.id(), client.id(), lossy);
        network.add_rule(move |datagram| {
            let way = format!("{:?} {} {}", datagram.at, datagram.from, datagram.to);
            seen.lock().unwrap().push((way, datagram.bytes.to_vec()));
            Verdict::Pass
        });
    });
    let (addr, [ours, theirs]) = (server.addr(PORT), configs);
    let key = |peer: &Connection| peer.transport().device_key(peer.id()).unwrap().to_text().to_string();
    let told = keys.clone();
    sim.spawn(&server, move |host| {
        let peer = Listener::new(host.bind(addr, ours)?).accept()?;
        assert_eq!(peer.recv()?.into_bytes(100)?, SECRET);
        told.add(key(&peer));
        peer.send(SECRET)?;
        peer.close(0);
        Ok(())
    });
    let told = keys.clone();
    sim.spawn(&client, move |host| {
        let peer = Connection::connect(&host.bind(host.addr(0), theirs)?, addr)?;
        peer.send(SECRET)?;
        assert_eq!(peer.recv()?.into_bytes(100)?, SECRET);
        told.add(key(&peer));
        peer.close(0);
        Ok(())
    });
    sim.run().unwrap();
    let packets = packets.lock().unwrap().clone();
    (packets, keys.all())
}

fn sealed(seed: u64) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
    let sim = Sim::new(seed);
    let config = Config::psk(&sim.psk("both"));
    exchange(&sim, [config.clone(), config])
}

#[test]
fn every_byte_of_a_sealed_run_is_the_same_for_a_seed() {
    let (packets, keys) = sealed(1);
    for _ in 0..3 {
        assert_eq!(sealed(1), (packets.clone(), keys.clone()));
    }
    let (others, other_keys) = sealed(2);
    assert_ne!(others, packets);
    assert_eq!(keys[0], keys[1], "both sides derive the same key");
    assert_ne!(keys[0], other_keys[0]);
}

#[test]
fn nothing_that_is_said_can_be_read_on_the_way() {
    let (packets, _) = sealed(3);
    let mut sealed = 0;
    for (way, bytes) in packets {
        let (mode, packet) = Packet::decode(&bytes).unwrap();
        assert_eq!(mode, Mode::Psk, "{way}");
        sealed += u32::from(matches!(packet, Packet::Sealed(..)));
        assert!(!bytes.windows(8).any(|window| SECRET.as_bytes().windows(8).any(|part| part == window)), "{way}");
    }
    assert!(sealed > 4);
}

/// What a call with the second key ends with where the first is listened for.
fn calls(sim: &Sim, listened: Config, called: Config) -> ConnectError {
    let errors = Arc::new(Mutex::new(None));
    let (server, client) = (sim.host("server"), sim.host("client"));
    let (addr, error) = (server.addr(PORT), Arc::clone(&errors));
    sim.serve(&server, move |host| {
        Listener::new(host.bind(addr, listened)?).accept()?;
        unreachable!("nobody has the key");
    });
    sim.spawn(&client, move |host| {
        let result = Connection::connect(&host.bind(host.addr(0), called)?, addr);
        *error.lock().unwrap() = Some(result.map(drop).unwrap_err());
        Ok(())
    });
    sim.run().unwrap();
    errors.lock().unwrap().take().unwrap()
}

#[test]
fn another_key_and_another_mode_do_not_get_in() {
    let sim = Sim::new(4);
    let [one, other] = ["one", "other"].map(|name| Config::psk(&sim.psk(name)));
    let error = calls(&sim, one.clone(), other);
    assert!(matches!(error, ConnectError::TimedOut { .. }), "a key of another id gets no answer: {error}");
    let error = calls(&Sim::new(5), one, Config::insecure_plain());
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
}

#[test]
fn a_key_of_a_world_is_the_same_for_its_seed_and_name_and_good_for_that_world_only() {
    let text = |seed, name| Sim::new(seed).psk(name).to_text().to_string();
    assert_eq!(text(1, "a"), text(1, "a"));
    assert_ne!(text(1, "a"), text(1, "b"));
    assert_ne!(text(1, "a"), text(2, "a"));
    let (config, addr) = (Config::psk(&Sim::new(1).psk("a")), "127.0.0.1:0".parse().unwrap());
    for result in [udp::bind(addr, config.clone()), tcp::bind(addr, config)] {
        assert!(matches!(result.map(drop), Err(BindError::SimulatedKey { .. })));
    }
}

#[test]
fn the_key_of_a_simulated_pair_meets_again_in_its_world_and_nowhere_else() {
    let sim = Sim::new(6);
    let key = Arc::new(Mutex::new(None));
    let first = Config::psk(&sim.psk("first"));
    let (server, client) = (sim.host("server"), sim.host("client"));
    let (addr, again) = (server.addr(PORT), server.addr(PORT + 1));
    let (config, told) = (first.clone(), Arc::clone(&key));
    sim.spawn(&server, move |host| {
        let peer = Listener::new(host.bind(addr, config)?).accept()?;
        let key = peer.transport().device_key(peer.id()).unwrap();
        *told.lock().unwrap() = Some(key.clone());
        let listener = Listener::new(host.bind(again, Config::psk(&key))?);
        peer.close(0);
        listener.accept()?.close(0);
        Ok(())
    });
    sim.spawn(&client, move |host| {
        let peer = Connection::connect(&host.bind(host.addr(0), first)?, addr)?;
        let key = peer.transport().device_key(peer.id()).unwrap();
        assert!(peer.recv().is_err(), "closed");
        Connection::connect(&host.bind(host.addr(0), Config::psk(&key))?, again)?.close(0);
        Ok(())
    });
    sim.run().unwrap();
    let key = key.lock().unwrap().take().unwrap();
    let result = udp::bind("127.0.0.1:0".parse().unwrap(), Config::psk(&key));
    assert!(matches!(result.map(drop), Err(BindError::SimulatedKey { .. })));
}
