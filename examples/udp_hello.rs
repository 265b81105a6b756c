//! The first program of every socket tutorial: one datagram that says hello. Unlike a bare datagram it has a checksum,
//! and the receiver knows who sent it; like one it may be lost.
//!
//! `cargo run --example udp_hello`                          both sides, over loopback
//! `cargo run --example udp_hello -- recv 0.0.0.0:5005`     the receiver
//! `cargo run --example udp_hello -- send HOST:5005`        the sender, HOST being an address

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use udpair::{ChannelConfig, Config, Connection, Delivery, Listener, udp};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["recv", addr] => recv(&bind(addr)?),
        ["send", addr] => send(addr.parse()?),
        [] => {
            let listener = bind("127.0.0.1:0")?;
            let addr = listener.local_addr();
            let receiver = listener.transport().clone().spawn("receiver", move || recv(&listener))?;
            send(addr)?;
            receiver.join()?
        }
        _ => Err("udp_hello [recv ADDR | send ADDR]".into()),
    }
}

fn bind(addr: &str) -> Result<Listener, Box<dyn Error + Send + Sync>> {
    Ok(Listener::new(udp::bind(addr.parse()?, Config::insecure_plain())?))
}

fn recv(listener: &Listener) -> Outcome {
    let peer = listener.accept()?;
    // It may be lost, and nobody would say so.
    match peer.recv_timeout(Duration::from_secs(3)) {
        Ok(message) => {
            let message = message.into_bytes(1_100)?;
            println!("received {:?} from {}", String::from_utf8_lossy(&message), peer.peer_addr().ok_or("no peer")?);
        }
        Err(error) => println!("received nothing: {error}"),
    }
    peer.close(0);
    Ok(())
}

fn send(addr: SocketAddr) -> Outcome {
    let transport = udp::bind("0.0.0.0:0".parse()?, Config::insecure_plain())?;
    let peer = Connection::connect(&transport, addr)?;
    peer.configure(0, ChannelConfig { delivery: Delivery::Unreliable, ..ChannelConfig::default() })?;
    peer.send("Hello, UDP!")?;
    // Nobody says whether it came: the receiver closes when it has, or has waited long enough.
    let _closed = peer.recv();
    println!("sent, and {} closed", transport.peer_addr(peer.id()).map_or("the peer".to_owned(), |at| at.to_string()));
    peer.close(0);
    Ok(())
}
