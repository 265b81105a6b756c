//! Two who talk, each in their way, and what nobody else may see of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use udpair::pairing::Carrier;
use udpair::{Config, Connection, Listener, Pairing, Psk, Transport, tcp, udp};

use crate::needles::Needles;

/// What is said over and over, in every mode.
pub(crate) const SAID: &str = "we attack at dawn and bring the otters with us; ";
/// What is said in plain mode beside it.
pub(crate) const SAID_IN_PLAIN: &str = "the weather is fine today";
const STUCK: Duration = Duration::from_secs(60);

pub(crate) fn pairing(carrier: Carrier) -> Pairing {
    Pairing::new().interface("lo").carrier(carrier)
}

fn bind(carrier: Carrier, config: Config) -> Arc<dyn Transport> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    match carrier {
        Carrier::Udp => udp::bind(any, config),
        Carrier::Tcp => tcp::bind(any, config),
    }
    .expect("a port on loopback")
}

/// Short and long, both ways.
fn talk(one: &Connection, other: &Connection, said: &str) {
    for (from, to, times) in [(one, other, 1), (other, one, 1), (one, other, 200), (other, one, 60)] {
        let message = said.repeat(times);
        from.send(message.clone()).expect("it is open");
        let got = to.recv_timeout(STUCK).expect("a message").into_bytes(1 << 20).expect("whole");
        assert_eq!(got, message);
    }
    one.close(0);
    let _ = other.recv_timeout(STUCK);
}

fn key_of(psk: &Psk) -> Vec<u8> {
    let text = psk.to_text();
    (16..80).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits")).collect()
}

fn said_needles() -> Needles {
    let mut needles = Needles::default();
    needles.add_secret("what was said", SAID.as_bytes());
    needles.add_secret("what was said, twice", SAID.repeat(2).as_bytes());
    needles
}

/// By a code: `join` is handed the invite's address and the code.
pub(crate) fn paired<T>(carrier: Carrier, join: impl FnOnce(SocketAddr, &str) -> (Connection, T)) -> (Needles, T) {
    let mut invite = pairing(carrier).invite().expect("an invite");
    let (code, port) = (invite.code().to_string(), invite.local_addr().port());
    let words = invite.code().words.to_string();
    let inviter = std::thread::spawn(move || invite.accept_timeout(STUCK).expect("the same words"));
    let (joiner, kept) = join(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), &code);
    let inviter = inviter.join().expect("it came in");
    let mut needles = said_needles();
    needles.add_words(&words);
    let device = joiner.transport().device_key(joiner.id()).expect("sealed");
    needles.add_secret("the device key", &key_of(&device));
    talk(&joiner, &inviter, SAID);
    // Version 1, code mode, a handshake, HELLO2 or CONFIRM_J: that is for everybody to see.
    needles.add_public("the beginning of a SHARE", [0x14, 4]);
    (needles, kept)
}

/// By a key: `way` is handed the listener's address, and knows what to call instead.
pub(crate) fn with_key<W: Way>(carrier: Carrier, psk: &Psk, way: impl FnOnce(SocketAddr) -> W) -> (Needles, W) {
    let [server, client] = [(); 2].map(|()| bind(carrier, Config::psk(psk)));
    let way = way(server.local_addr());
    let one = Connection::connect(&client, way.address()).expect("the same key");
    let other = Listener::new(server).accept_timeout(STUCK).expect("the same key");
    let mut needles = said_needles();
    needles.add_secret("the key", &key_of(psk));
    needles.add_secret("the key's text", &psk.to_text().as_bytes()[16..]);
    let device = one.transport().device_key(one.id()).expect("sealed");
    needles.add_secret("the device key", &key_of(&device));
    talk(&one, &other, SAID);
    let text = psk.to_text();
    let id: Vec<u8> =
        (0..16).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits")).collect();
    needles.add_public("the id of the key", id);
    (needles, way)
}

/// In plain mode, where all of it is to be seen.
pub(crate) fn plain<W: Way>(carrier: Carrier, way: impl FnOnce(SocketAddr) -> W) -> W {
    let [server, client] = [(); 2].map(|()| bind(carrier, Config::insecure_plain()));
    let way = way(server.local_addr());
    let one = Connection::connect(&client, way.address()).expect("it listens");
    let other = Listener::new(server).accept_timeout(STUCK).expect("it was called");
    talk(&one, &other, SAID_IN_PLAIN);
    way
}

/// What leads to a listener.
pub(crate) trait Way {
    fn address(&self) -> SocketAddr;
}

impl Way for SocketAddr {
    fn address(&self) -> SocketAddr {
        *self
    }
}

impl Way for crate::relay::Relay {
    fn address(&self) -> SocketAddr {
        self.addr
    }
}
