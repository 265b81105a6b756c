//! A daemon and its client over TCP, without what tutorials get wrong: `recv` gives one whole message of exactly the
//! length that was sent, however the bytes travelled, and `close` says whether it was taken.
//!
//! `cargo run --example tcp_hello`                            both sides, over loopback
//! `cargo run --example tcp_hello -- daemon 0.0.0.0:5005`     serves until it is interrupted
//! `cargo run --example tcp_hello -- client HOST:5005`        HOST being an address

use std::error::Error;
use std::net::SocketAddr;

use udpair::{Config, Connection, Listener, tcp};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["daemon", addr] => {
            let listener = bind(addr)?;
            loop {
                let peer = listener.accept()?;
                // What goes wrong with a client ends its own connection, not the daemon.
                if let Err(error) = serve(&peer) {
                    eprintln!("daemon: {error}");
                }
            }
        }
        ["client", addr] => call(addr.parse()?),
        [] => {
            let listener = bind("127.0.0.1:0")?;
            let addr = listener.local_addr();
            let daemon = listener.transport().clone().spawn("daemon", move || serve(&listener.accept()?))?;
            call(addr)?;
            daemon.join()?
        }
        _ => Err("tcp_hello [daemon ADDR | client ADDR]".into()),
    }
}

fn bind(addr: &str) -> Result<Listener, Box<dyn Error + Send + Sync>> {
    Ok(Listener::new(tcp::bind(addr.parse()?, Config::insecure_plain())?))
}

/// Serves one client until it closes.
fn serve(peer: &Connection) -> Outcome {
    while let Ok(message) = peer.recv() {
        let body = message.into_bytes(1 << 20)?;
        println!("daemon: {} bytes, {:?}...", body.len(), String::from_utf8_lossy(&body[..5.min(body.len())]));
        peer.send(format!("thank you for {} bytes", body.len()))?;
    }
    peer.close(0);
    Ok(())
}

fn call(addr: SocketAddr) -> Outcome {
    let transport = tcp::bind("0.0.0.0:0".parse()?, Config::insecure_plain())?;
    let peer = Connection::connect(&transport, addr)?;
    for text in ["Hello, TCP!".to_owned(), "Hello".repeat(20_000), String::new()] {
        peer.send(text)?;
        println!("client: {}", String::from_utf8_lossy(&peer.recv()?.into_bytes(100)?));
    }
    let report = peer.close(0);
    println!("client: all taken: {}", report.all_taken());
    Ok(())
}
