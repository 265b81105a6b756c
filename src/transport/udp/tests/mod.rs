//! Two transports over loopback: the handles, the threads and real sockets together. Waits are bounded by what is
//! configured; nothing is measured.

mod ends;
#[path = "../../../../tests/loopback/mod.rs"]
mod loopback;
mod many;
mod sockets;
mod streams;
mod waiting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::bind;
use crate::transport::{Config, Connection, Listener, Transport};

/// Longer than anything here takes on a machine that still works.
const LONG: Duration = Duration::from_secs(60);

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn config() -> Config {
    Config::insecure_plain()
}

/// A transport that calls and one that listens.
fn transports(config: &Config) -> (Arc<dyn Transport>, Listener) {
    let caller = bind(loopback(), Config { backlog: 0, ..config.clone() }).unwrap();
    let listener = Listener::new(bind(loopback(), config.clone()).unwrap());
    (caller, listener)
}

/// Both ends of a connection.
fn pair_with(config: &Config) -> (Connection, Connection) {
    let (caller, listener) = transports(config);
    connect(&caller, &listener)
}

fn pair() -> (Connection, Connection) {
    pair_with(&config())
}

fn connect(caller: &Arc<dyn Transport>, listener: &Listener) -> (Connection, Connection) {
    let near = Connection::connect(caller, listener.local_addr()).unwrap();
    // Established from our side; the first packet of ours is what establishes it there.
    let far = listener.accept_timeout(LONG).unwrap();
    (near, far)
}

/// Bytes that differ from place to place and from seed to seed.
fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0u32..).take(len).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0] ^ seed).collect()
}

/// Sends back whatever comes on channel 0, until the connection ends.
fn echo(conn: &Connection) {
    while let Ok(message) = conn.recv() {
        let body = message.into_bytes(1 << 26).unwrap();
        if conn.send(body).is_err() {
            return;
        }
    }
}
