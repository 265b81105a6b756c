//! A host and three clients: each client writes what it measures, the host reads all of it and answers one by name and
//! all at once. Whoever comes late still gets the newest value.
//!
//! `cargo run --example host_client`            over UDP
//! `cargo run --example host_client -- tcp`     over TCP

use std::error::Error;
use std::time::Duration;

use udpair::node::{Client, Event, Host};
use udpair::{Config, tcp, udp};

const SOON: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let over_tcp = std::env::args().any(|arg| arg == "tcp");
    let any = "127.0.0.1:0".parse()?;
    let bind = || {
        if over_tcp { tcp::bind(any, Config::insecure_plain()) } else { udp::bind(any, Config::insecure_plain()) }
    };
    let host = Host::start([bind()?])?;
    host.set_timeout(SOON);
    host.write_all("greeting", "welcome, whenever you come")?;

    let mut clients = Vec::new();
    for name in ["one", "two", "three"] {
        let client = Client::start(name, &bind()?, host.local_addr())?;
        println!("{name}: {}", client.get("greeting")?.get::<String>()?);
        clients.push(client);
    }
    for (client, degrees) in clients.iter().zip([20.5, 21.0, 21.5]) {
        client.write("room", format!("{degrees} degrees"))?;
    }
    for name in ["one", "two", "three"] {
        println!("host: {name} has {}", host.get(name, "room")?.get::<String>()?);
    }
    println!("host: {} clients, {} values", host.clients().len(), host.get_all("room")?.len());

    host.write("two", "order", "open the window")?;
    println!("two: {}", clients[1].get("order")?.get::<String>()?);

    clients.remove(0).close();
    while let Some(event) = host.next_event(SOON) {
        println!("host: {event:?}");
        if matches!(event, Event::Left { .. }) {
            break;
        }
    }
    clients.iter().for_each(Client::close);
    host.close();
    Ok(())
}
