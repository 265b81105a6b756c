//! Reliable, low-latency messages between machines on one network, over UDP or TCP.
#![warn(clippy::disallowed_methods, clippy::unwrap_used)]
// The floors; a module uses only those below it (tests/tidy.rs keeps it). Lowest first:
// time, slots | wire | seal, pairing | message | proto, network | transport | node
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
/// Programs that have no use for threads, as tests of a sans-IO core, drive the network by themselves.
pub mod sim {
    pub use crate::network::*;
    pub use crate::transport::sim::*;
}

pub use node::{Channels, Client, Host, Hub};
pub use transport::pairing::{Invite, Pairing, invite, join};
pub use transport::{Config, Connection, Listener, Message, Psk, Transport, tcp, udp};
