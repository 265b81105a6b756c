//! Reliable, low-latency messages between machines on one network, over UDP or TCP.
//!
//! Two machines that share a spoken code are connected, encrypted and authenticated, wherever on the network they are:
//!
//! ```no_run
//! // Here:
//! let invite = udpair::invite()?;
//! println!("{}", invite.code()); // 42-maple-otter
//! let peer = invite.accept()?;
//! println!("{:?}", peer.recv()?.into_bytes(1_000)?);
//! peer.close(0);
//!
//! // There:
//! let peer = udpair::join("42-maple-otter")?;
//! peer.send("hello")?;
//! peer.close(0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where addresses are known, a [`Listener`] accepts and [`Connection::connect`] calls, with [`Config::psk`] where both
//! sides have a key, or [`Config::insecure_plain`] on a network that nobody else is on:
//!
//! ```
//! use udpair::{Config, Connection, Listener, Psk, udp};
//!
//! let key = Psk::generate()?;
//! let any = "127.0.0.1:0".parse()?;
//! let listener = Listener::new(udp::bind(any, Config::psk(&key))?); // or tcp::bind, and nothing else changes
//! let addr = listener.local_addr();
//! let server = listener.transport().clone().spawn("server", move || {
//!     let peer = listener.accept().unwrap();
//!     let question = peer.recv().unwrap().into_bytes(1_000).unwrap();
//!     peer.send(question.len().to_string()).unwrap();
//!     peer.close(0); // waits until it was taken, and says so
//! })?;
//!
//! let peer = Connection::connect(&udp::bind(any, Config::psk(&key))?, addr)?;
//! peer.send("how long is this?")?;
//! assert_eq!(peer.recv()?.into_bytes(1_000)?, "17");
//! assert!(peer.close(0).all_taken());
//! # server.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | messages, one side to the other | [`Connection`], [`Listener`], [`Message`] |
//! | who waits, and on which thread | [`transport`] |
//! | how messages travel: in order, the newest only, without repair | [`Delivery`], [`ChannelConfig`] |
//! | lengths, memory, back-pressure | [`Limits`] |
//! | pairing by a code, or by a key | [`transport::pairing`], [`Psk`] |
//! | the same program over a simulated network, from a seed | [`sim`] |
//! | the protocol without sockets, threads or clock, for fuzzing and other drivers | [`proto`], [`message`], [`wire`] |
#![warn(clippy::disallowed_methods, clippy::unwrap_used)]
// The floors; a module uses only those below it (tests/tidy.rs keeps it). Lowest first:
// time, slots | wire | seal, pairing | message | proto, network | transport | content | node
pub mod content;
pub mod message;
mod network;
pub mod node;
pub mod pairing;
pub mod proto;
pub mod seal;
pub mod slots;
pub mod time;
pub mod transport;
pub mod wire;

/// Whole programs over a simulated network, in virtual time and from one seed.
///
/// [`Sim`](sim::Sim) runs the programs of simulated hosts, each on threads of its own of which exactly one runs at a
/// time, over a [`Network`](sim::Network) with delays, losses and every other fault. An application over
/// `dyn Transport` runs in it unmodified. The same seed gives the same run, packet by packet, on every machine:
///
/// ```
/// use udpair::sim::{LinkConfig, Sim};
/// use udpair::{Config, Connection, Listener};
///
/// let sim = Sim::new(7);
/// let (server, client) = (sim.host("server"), sim.host("client"));
/// let lossy = LinkConfig { loss_ppm: 100_000, ..LinkConfig::default() };
/// sim.network(|network| network.configure_both(server.id(), client.id(), lossy));
/// let addr = server.addr(7_000);
///
/// sim.spawn(&server, move |host| {
///     let peer = Listener::new(host.bind(addr, Config::insecure_plain())?).accept()?;
///     let question = peer.recv()?.into_bytes(1_000)?;
///     assert_eq!(question, "how are you?");
///     peer.send("soaked, but alive")?;
///     peer.close(0);
///     Ok(())
/// });
/// sim.spawn(&client, move |host| {
///     let peer = Connection::connect(&host.bind(host.addr(0), Config::insecure_plain())?, addr)?;
///     peer.send("how are you?")?;
///     assert_eq!(peer.recv()?.into_bytes(1_000)?, "soaked, but alive");
///     peer.close(0);
///     Ok(())
/// });
/// sim.run()?;
/// # Ok::<(), udpair::sim::SimError>(())
/// ```
///
/// Pairing runs in it, too: [`Host::pairing`](sim::Host::pairing) finds who is on the same link. All hosts share one
/// unless they are put into [broadcast domains](sim::Network::add_domain) of their own
/// ([`host_in`](sim::Sim::host_in)):
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use udpair::sim::Sim;
///
/// let sim = Sim::new(7);
/// let spoken = Arc::new(Mutex::new(String::new()));
/// let heard = Arc::clone(&spoken);
/// sim.spawn(&sim.host("here"), move |host| {
///     let invite = host.pairing().invite()?;
///     *spoken.lock().unwrap() = invite.code().to_string();
///     let peer = invite.accept()?;
///     peer.send("hello")?;
///     peer.close(0);
///     Ok(())
/// });
/// sim.spawn(&sim.host("there"), move |host| {
///     host.sleep(Duration::from_secs(1)); // until the code was said
///     let code = heard.lock().unwrap().clone();
///     let peer = host.pairing().join(&code)?;
///     assert_eq!(peer.recv()?.into_bytes(100)?, "hello");
///     peer.close(0);
///     Ok(())
/// });
/// sim.run()?;
/// # Ok::<(), udpair::sim::SimError>(())
/// ```
///
/// Everything random comes from the seed, secrets included: [`Sim::psk`](sim::Sim::psk) gives keys for sealed
/// transports, and real sockets refuse them.
///
/// Programs that have no use for threads, as tests of a sans-IO core, drive the network by themselves.
pub mod sim {
    pub use crate::network::*;
    pub use crate::transport::sim::*;
}

pub use message::{ChannelConfig, Delivery, Limits};
pub use node::{Channels, Client, Host, Hub};
pub use transport::pairing::{Invite, Pairing, invite, join};
pub use transport::{Config, Connection, Listener, Message, Psk, Transport, tcp, udp};

/// The code in it compiles, on every `cargo test`.
#[cfg(doctest)]
#[doc = include_str!("../docs/from-python.md")]
mod from_python {}
