//! Two ends in one process: a message each way, and a close that says what became of them.
//!
//! `cargo run --example hello`            over UDP
//! `cargo run --example hello -- tcp`     the same over TCP

use std::error::Error;

use udpair::{Config, Connection, Listener, tcp, udp};

fn main() -> Result<(), Box<dyn Error>> {
    let bind = if std::env::args().any(|arg| arg == "tcp") { tcp::bind } else { udp::bind };
    let any = "127.0.0.1:0".parse()?;

    let listener = Listener::new(bind(any, Config::insecure_plain())?);
    let addr = listener.local_addr();
    let server =
        listener.transport().clone().spawn("server", move || -> Result<(), Box<dyn Error + Send + Sync>> {
            let peer = listener.accept()?;
            let question = peer.recv()?.into_bytes(1_000)?;
            println!("server: {:?} from {:?}", question, peer.peer_addr());
            peer.send("hello yourself")?;
            peer.close(0);
            Ok(())
        })?;

    let peer = Connection::connect(&bind(any, Config::insecure_plain())?, addr)?;
    peer.send("hello")?;
    println!("client: {:?}", peer.recv()?.into_bytes(1_000)?);
    let report = peer.close(0);
    println!("client: everything taken: {}", report.all_taken());
    server.join()?.map_err(|error| error.to_string())?;
    Ok(())
}
