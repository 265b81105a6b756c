//! What loss costs, measured in a simulated world: round trips of 1 KiB over links that lose more and more packets.
//!
//! The programs below know nothing of the simulation: they would run over `udp::bind` as well. Every run prints the
//! same numbers, on every machine: time is virtual and all chance comes from the seed.
//!
//! ```text
//! cargo run --example lossy
//! ```

use std::sync::{Arc, Mutex};
use std::time::Duration;

use udpair::sim::{HostError, LinkConfig, Sim, SimError};
use udpair::{Config, Connection, Listener, Transport};

const SEED: u64 = 7;
const ROUND_TRIPS: usize = 2_000;

fn main() -> Result<(), SimError> {
    println!("round trips of 1 KiB, 200 us apart each way, seed {SEED}");
    println!("{:>6} {:>10} {:>10} {:>10} {:>9}", "loss", "p50", "p99", "max", "packets");
    for loss_ppm in [0, 1_000, 10_000, 50_000, 100_000] {
        let (times, packets) = measure(loss_ppm)?;
        let percentile = |percent: usize| times[(times.len() - 1) * percent / 100];
        let loss = format!("{}.{} %", loss_ppm / 10_000, loss_ppm / 1_000 % 10);
        println!("{loss:>6} {:>10?} {:>10?} {:>10?} {packets:>9}", percentile(50), percentile(99), percentile(100));
    }
    Ok(())
}

/// The times of all round trips, the shortest first, and how many packets they took.
fn measure(loss_ppm: u32) -> Result<(Vec<Duration>, u64), SimError> {
    let sim = Sim::new(SEED);
    let (server, client) = (sim.host("server"), sim.host("client"));
    let link = LinkConfig { delay: Duration::from_micros(200), loss_ppm, ..LinkConfig::default() };
    sim.network(|network| network.configure_both(server.id(), client.id(), link));
    let addr = server.addr(7_000);
    let times = Arc::new(Mutex::new(Vec::new()));
    let results = Arc::clone(&times);

    sim.spawn(&server, move |host| echo(host.bind(addr, Config::insecure_plain())?));
    sim.spawn(&client, move |host| {
        let transport = host.bind(host.addr(0), Config::insecure_plain())?;
        *results.lock().expect("one thread runs at a time") = ask(&Connection::connect(&transport, addr)?)?;
        Ok(())
    });
    sim.run()?;

    let mut times = times.lock().expect("the run is over").clone();
    times.sort_unstable();
    Ok((times, sim.network(|network| network.counters().sent)))
}

fn echo(transport: Arc<dyn Transport>) -> Result<(), HostError> {
    let peer = Listener::new(transport).accept()?;
    while let Ok(message) = peer.recv() {
        peer.send(message.into_bytes(2_000)?)?;
    }
    Ok(())
}

fn ask(peer: &Connection) -> Result<Vec<Duration>, HostError> {
    let mut times = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let sent_at = peer.transport().now();
        peer.send(vec![0; 1_024])?;
        peer.recv()?;
        times.push(peer.transport().now().saturating_since(sent_at));
    }
    peer.close(0);
    Ok(times)
}
