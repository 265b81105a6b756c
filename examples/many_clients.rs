//! One thread serves any number of connections: it waits for whichever has something.
//!
//! `cargo run --example many_clients`            over UDP
//! `cargo run --example many_clients -- tcp`     over TCP

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use udpair::transport::Interest;
use udpair::{Config, Connection, Listener, Transport, tcp, udp};

const CLIENTS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let bind = if std::env::args().any(|arg| arg == "tcp") { tcp::bind } else { udp::bind };
    let any = "127.0.0.1:0".parse()?;
    let server = bind(any, Config::insecure_plain())?;
    let addr = server.local_addr();
    let serving = server.spawn("server", {
        let server = Arc::clone(&server);
        move || serve(&server).map_err(|error| error.to_string())
    })?;

    let transport = bind(any, Config::insecure_plain())?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Connection::connect(&transport, addr)?);
    }
    for (at, client) in clients.iter().enumerate() {
        client.send(format!("client {at}"))?;
    }
    for client in &clients {
        client.recv()?;
        client.close(0);
    }
    println!("{} messages echoed to {CLIENTS} clients by one thread", serving.join()??);
    Ok(())
}

/// Echoes until every client has come and gone.
fn serve(server: &Arc<dyn Transport>) -> Result<usize, Box<dyn Error>> {
    let listener = Listener::new(Arc::clone(server));
    let mut connections = BTreeMap::new();
    let (mut gone, mut echoed) = (0, 0);
    while gone < CLIENTS {
        let ready = server.wait(&[Interest::Incoming, Interest::AnyConnection], None)?;
        if ready.index == 0 {
            while let Some(conn) = listener.try_accept()? {
                connections.insert(conn.id(), conn);
            }
        }
        let Some(id) = ready.connection else { continue };
        let Some(conn) = connections.get(&id) else { continue };
        match conn.try_recv() {
            Ok(Some(message)) => {
                conn.send(message.into_bytes(1_000)?)?;
                echoed += 1;
            }
            Ok(None) => {}
            Err(_ended) => {
                connections.remove(&id);
                gone += 1;
            }
        }
    }
    Ok(echoed)
}
