//! A server that echoes until the client closes.
//!
//! `cargo run --example echo`                            both sides, over UDP and loopback; `-- tcp` over TCP
//! `cargo run --example echo -- server 0.0.0.0:5005`     serves until it is interrupted
//! `cargo run --example echo -- client HOST:5005`        sends each line of its input

use std::error::Error;
use std::net::SocketAddr;

use udpair::{Config, Connection, Listener, tcp, udp};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let over_tcp = args.last().is_some_and(|arg| arg == "tcp");
    args.truncate(args.len() - usize::from(over_tcp));
    let bind = |addr: &str| -> Result<_, Box<dyn Error + Send + Sync>> {
        let bind = if over_tcp { tcp::bind } else { udp::bind };
        Ok(bind(addr.parse()?, Config::insecure_plain())?)
    };
    let call = |addr: SocketAddr, lines: &mut dyn Iterator<Item = String>| -> Outcome {
        let peer = Connection::connect(&bind("0.0.0.0:0")?, addr)?;
        for line in lines {
            peer.send(line)?;
            println!("echoed: {}", String::from_utf8_lossy(&peer.recv()?.into_bytes(1 << 20)?));
        }
        peer.close(0);
        Ok(())
    };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["server", addr] => {
            let listener = Listener::new(bind(addr)?);
            loop {
                let peer = listener.accept()?;
                if let Err(error) = echo(&peer) {
                    eprintln!("a client is gone: {error}");
                }
            }
        }
        ["client", addr] => call(addr.parse()?, &mut std::io::stdin().lines().map_while(Result::ok)),
        [] => {
            let listener = Listener::new(bind("127.0.0.1:0")?);
            let addr = listener.local_addr();
            let server = listener.transport().clone().spawn("server", move || echo(&listener.accept()?))?;
            call(addr, &mut ["one", "two", "three"].map(str::to_owned).into_iter())?;
            println!("{} messages echoed", server.join()??);
            Ok(())
        }
        _ => Err("echo [server ADDR | client ADDR] [tcp]".into()),
    }
}

/// Serves one client; how many messages it sent.
fn echo(peer: &Connection) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let mut echoed = 0;
    while let Ok(message) = peer.recv() {
        peer.send(message.into_bytes(1 << 20)?)?;
        echoed += 1;
    }
    peer.close(0);
    Ok(echoed)
}
