//! That nothing is left behind: of clients that come and go, and of links that go and come for a day.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use udpair::node::{Client, Event, Host, NodeConfig, Reconnect};
use udpair::sim::{Host as SimHost, HostError, LinkConfig, Sim};
use udpair::transport::BindError;
use udpair::{Config, Transport, tcp, udp};

use crate::FULL;
use crate::heap::{alone, held};

/// What this process has.
#[derive(Clone, Copy, Debug)]
struct Has {
    descriptors: usize,
    threads: usize,
    heap: i64,
}

impl Has {
    fn now() -> Self {
        let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
        Self { descriptors: count("fd"), threads: count("task"), heap: held() }
    }
}

type Bind = fn(SocketAddr, Config) -> Result<Arc<dyn Transport>, BindError>;

/// A client comes, says something, is heard and goes; its transport with it.
fn cycle(bind: Bind, host: &Host, at: usize) {
    // More names than are kept of those who left.
    let name = format!("client {}", at % 100);
    let transport = bind("127.0.0.1:0".parse().unwrap(), Config::insecure_plain()).unwrap();
    let client = Client::start(&name, &transport, host.local_addr()).unwrap();
    client.write("count", at.to_string()).unwrap();
    while host.get(&name, "count").unwrap().get::<String>().unwrap() != at.to_string() {
        host.changed_timeout("count", Duration::from_secs(60)).unwrap();
    }
    client.close();
    while host.clients().iter().any(|client| *client.name == *name) {
        assert!(host.next_event(Duration::from_secs(60)).is_some());
    }
    while host.try_event().is_some() {}
}

fn cycles(bind: Bind, what: &str) {
    let _alone = alone();
    let count = if FULL { 10_000 } else { 300 };
    let warm = count / 2;
    let host = Host::start([bind("127.0.0.1:0".parse().unwrap(), Config::insecure_plain()).unwrap()]).unwrap();
    let begun = Instant::now();
    for at in 0..warm {
        cycle(bind, &host, at);
    }
    let before = Has::now();
    for at in warm..count {
        cycle(bind, &host, at);
    }
    let after = Has::now();
    println!("{count} clients over {what} came and went in {:?}: {before:?} half-way, {after:?}", begun.elapsed());
    // A keeper may just be on its way out.
    assert!(after.descriptors <= before.descriptors + 6, "{before:?} {after:?}");
    assert!(after.threads <= before.threads + 2, "{before:?} {after:?}");
    // A short run does not come to rest: what a connection leaves in the protocol is kept for a while.
    let more = if FULL { 512 << 10 } else { 4 << 20 };
    assert!(after.heap <= before.heap + more, "{before:?} {after:?}");
    host.close();
}

#[test]
fn clients_that_come_and_go_over_udp_leave_nothing_behind() {
    cycles(udp::bind, "UDP");
}

#[test]
fn clients_that_come_and_go_over_tcp_leave_nothing_behind() {
    cycles(tcp::bind, "TCP");
}

/// What those said who left is kept, as much as the settings say and not more, with nothing of their connections.
fn departures(bind: Bind, what: &str) {
    const LEN: usize = 1_000_000;
    let _alone = alone();
    let count = if FULL { 1_000 } else { 100 };
    let config = NodeConfig::default();
    let host = Host::start([bind("127.0.0.1:0".parse().unwrap(), Config::insecure_plain()).unwrap()]).unwrap();
    let before = held();
    let mut most = 0;
    for at in 0..count {
        let name = format!("client {at}");
        let transport = bind("127.0.0.1:0".parse().unwrap(), Config::insecure_plain()).unwrap();
        let client = Client::start(&name, &transport, host.local_addr()).unwrap();
        client.write("one", vec![1; LEN]).unwrap();
        client.write("other", vec![2; LEN]).unwrap();
        for channel in ["one", "other"] {
            assert_eq!(host.get(&name, channel).unwrap().content.body.len(), LEN);
            host.write(&name, channel, vec![3; LEN / 10]).unwrap();
        }
        client.close();
        drop((client, transport));
        while host.clients().iter().any(|client| *client.name == *name) {
            assert!(host.next_event(Duration::from_secs(60)).is_some());
        }
        most = most.max(held() - before);
    }
    let kept = i64::try_from(config.kept_len_max).unwrap();
    println!("{count} clients over {what} said 2 MB each and left: {most} bytes held at most, {kept} of them for that");
    assert_eq!(host.get(&format!("client {}", count - 1), "one").unwrap().content.body.len(), LEN);
    assert!(most > kept / 2, "{most}");
    // Beside what was said: what was written to them, 200 kB each, and what a connection leaves for a while.
    assert!(most <= kept + 64 * 200_000 + (12 << 20), "{most}");
    host.close();
}

#[test]
fn what_clients_said_who_left_over_udp_is_bounded() {
    departures(udp::bind, "UDP");
}

#[test]
fn what_clients_said_who_left_over_tcp_is_bounded() {
    departures(tcp::bind, "TCP");
}

const SEED: u64 = 11;
const CLIENTS: [&str; 3] = ["a", "b", "c"];

/// Tells whoever asks how long the day is: a tenth of an hour in a debug build.
const DAY: Duration = Duration::from_secs(if FULL { 86_400 } else { 1_000 });

/// Cuts and mends the links between the host and each client: up for a minute or so, then away for longer than anybody
/// waits, or for just a moment.
fn flap(host: &SimHost, server: &SimHost, clients: &[SimHost]) {
    let link = |loss_ppm| LinkConfig { loss_ppm, ..LinkConfig::default() };
    let mut turn = 0_u64;
    // Everybody is there first.
    host.sleep(Duration::from_secs(5));
    while host.now().saturating_since(udpair::time::Timestamp::ZERO) < DAY {
        let client = &clients[usize::try_from(turn).unwrap() % clients.len()];
        turn += 1;
        let set = |loss_ppm| host.network(|network| network.configure_both(server.id(), client.id(), link(loss_ppm)));
        set(1_000_000);
        host.sleep(if turn.is_multiple_of(4) { Duration::from_secs(2) } else { Duration::from_secs(15) });
        set(10_000);
        host.sleep(Duration::from_secs(20));
    }
}

fn reconnecting() -> NodeConfig {
    let mut config = NodeConfig::default();
    config.reconnect = Some(Reconnect::default());
    config
}

/// What a client has seen of its host.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    joined: u32,
    left: u32,
    values: u32,
}

fn live(host: &SimHost, addr: SocketAddr) -> Result<Seen, HostError> {
    let transport = host.bind(host.addr(0), Config::insecure_plain())?;
    let client = Client::start_with(host.name(), &transport, addr, reconnecting())?;
    let (mut seen, mut at) = (Seen::default(), 0_u64);
    while host.now().saturating_since(udpair::time::Timestamp::ZERO) < DAY {
        client.write("count", at.to_string())?;
        at += 1;
        if client.changed_timeout("tick", Duration::from_secs(1)).is_ok() {
            seen.values += 1;
        }
        while let Some(event) = client.try_event() {
            match event {
                Event::Joined { .. } => seen.joined += 1,
                Event::Left { returns, .. } => {
                    assert!(returns);
                    seen.left += 1;
                }
                event => panic!("{event:?}"),
            }
        }
    }
    // The links stay up now: the last word gets through.
    client.write("last", "word")?;
    client.set_timeout(Duration::from_secs(120));
    assert_eq!(client.get("goodbye")?.get::<String>()?, "all");
    client.close();
    Ok(seen)
}

#[test]
fn a_day_of_flapping_links_leaves_nothing_behind_and_everybody_is_back() {
    let _alone = alone();
    let mut sim = Sim::new(SEED);
    sim.time_limit(DAY * 2);
    sim.turn_limit(Duration::from_secs(60));
    let (server, gremlin) = (sim.host("server"), sim.host("gremlin"));
    let clients = CLIENTS.map(|name| sim.host(name));
    let addr = server.addr(7_000);
    let begun = Instant::now();
    {
        let (server, clients) = (server.clone(), clients.clone());
        sim.spawn(&gremlin, move |host| {
            flap(&host, &server, &clients);
            Ok(())
        });
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    for client in &clients {
        let seen = Arc::clone(&seen);
        sim.spawn(client, move |host| {
            let lived = live(&host, addr)?;
            seen.lock().expect("one thread runs at a time").push(lived);
            Ok(())
        });
    }
    let counts = Arc::new(Mutex::new(Vec::new()));
    let samples = Arc::clone(&counts);
    sim.spawn(&server, move |host| {
        let node = Host::start([host.bind(addr, Config::insecure_plain())?])?;
        let mut hour = 0;
        while host.now().saturating_since(udpair::time::Timestamp::ZERO) < DAY {
            node.write_all("tick", host.now().as_micros().to_string())?;
            host.sleep(Duration::from_secs(1));
            while node.try_event().is_some() {}
            if host.now().saturating_since(udpair::time::Timestamp::ZERO) >= DAY / 24 * hour {
                samples.lock().expect("one thread runs at a time").push(Has::now());
                hour += 1;
            }
        }
        node.set_timeout(Duration::from_secs(120));
        for name in CLIENTS {
            loop {
                match node.get(name, "last") {
                    Ok(value) => break assert_eq!(value.get::<String>()?, "word"),
                    // It is on its way back.
                    Err(_) => host.sleep(Duration::from_secs(1)),
                }
            }
        }
        node.write_all("goodbye", "all")?;
        host.sleep(Duration::from_secs(30));
        node.close();
        Ok(())
    });
    sim.run().unwrap();
    let seen = seen.lock().unwrap().clone();
    let counts = counts.lock().unwrap().clone();
    let (early, late) = (counts[2], *counts.last().unwrap());
    println!("{DAY:?} of virtual time in {:?}, seed {SEED}: {seen:?}", begun.elapsed());
    println!("{early:?} after two hours, {late:?} at the end");
    for client in seen {
        assert!(client.joined == client.left + 1 && client.left > u32::try_from(DAY.as_secs() / 400).unwrap());
    }
    // A test that ran before may have left one that was about to go.
    assert!(late.descriptors <= early.descriptors && late.threads <= early.threads, "{early:?} {late:?}");
    assert!(late.heap <= early.heap + (256 << 10), "{early:?} {late:?}");
}
