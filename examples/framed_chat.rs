//! The tutorial in which every message gets a header with its length, and the server greets whoever comes. Here a
//! message has its length of itself: the greeting arrives as one piece, and one that is longer than any buffer as a
//! stream, which is read as it comes.
//!
//! `cargo run --example framed_chat`            over UDP
//! `cargo run --example framed_chat -- tcp`     over TCP

use std::error::Error;
use std::io::{Read, Write};

use udpair::transport::Body;
use udpair::{Config, Connection, Listener, tcp, udp};

const CLIENTS: usize = 3;
const LONG: u64 = 40_000_000;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let bind = if std::env::args().any(|arg| arg == "tcp") { tcp::bind } else { udp::bind };
    let listener = Listener::new(bind("127.0.0.1:0".parse()?, Config::insecure_plain())?);
    let addr = listener.local_addr();
    let server = listener.transport().clone().spawn("server", move || serve(&listener))?;
    for client in 0..CLIENTS {
        let peer = Connection::connect(&bind("127.0.0.1:0".parse()?, Config::insecure_plain())?, addr)?;
        println!("client {client}: {}", String::from_utf8_lossy(&peer.recv()?.into_bytes(1_000)?));
        peer.send(format!("I am client {client}"))?;
        let mut long = peer.begin(0, 0, Some(LONG))?;
        let piece = vec![b'x'; 1 << 16];
        let mut left = usize::try_from(LONG)?;
        while left > 0 {
            left -= long.write(&piece[..left.min(piece.len())])?;
        }
        long.finish()?;
        println!("client {client}: {}", String::from_utf8_lossy(&peer.recv()?.into_bytes(1_000)?));
        peer.close(0);
    }
    server.join()?
}

fn serve(listener: &Listener) -> Outcome {
    for _ in 0..CLIENTS {
        let peer = listener.accept()?;
        let guest = peer.peer_addr().ok_or("the guest left")?;
        peer.send(format!("Welcome to the server, {guest}!"))?;
        loop {
            let message = match peer.recv() {
                Ok(message) => message,
                Err(_left) => break,
            };
            match message.body {
                Body::Whole(text) => println!("server: {guest} says {:?}", String::from_utf8_lossy(&text)),
                Body::Stream(mut reader) => {
                    let (mut buf, mut len) = (vec![0; 1 << 16], 0);
                    while let some @ 1.. = reader.read(&mut buf)? {
                        len += some;
                    }
                    peer.send(format!("your message was {len} bytes long"))?;
                }
            }
        }
        peer.close(0);
    }
    Ok(())
}
