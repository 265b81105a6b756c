//! Whole programs in a simulated world: hosts on threads of their own that take turns, in virtual time, over a
//! [`Network`]. Public as [`crate::sim`].
//!
//! Exactly one thread runs at a time; when it waits, the seed chooses who comes next; and when all wait, virtual time
//! moves to the next thing that is due. So a run depends on its seed alone, although the threads are real.

mod baton;
mod ears;
mod error;
mod ports;
mod site;
mod socket;
mod sockets;
#[cfg(test)]
mod tests;
mod transport;
mod turns;
mod world;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use self::baton::Baton;
pub use self::error::{HostError, SimError, Waiting};
use self::transport::SimTransport;
use self::world::World;
use super::driven::{Joining, Verbs};
use super::pairing::Pairing;
use super::{BindError, Config, Psk, Transport};
use crate::network::{DomainId, HostId, Network};
use crate::pairing::Carrier;
use crate::time::Timestamp;

/// How long a host may keep its turn, in real time, unless [`Sim::turn_limit`] says otherwise.
pub const TURN_LIMIT: Duration = Duration::from_secs(10);
/// How long a run may go on, in virtual time, unless [`Sim::time_limit`] says otherwise.
pub const TIME_LIMIT: Duration = Duration::from_secs(3_600);

/// A simulated world: hosts, the network between them, and the programs that they run.
pub struct Sim {
    baton: Arc<Baton>,
    turn_limit: Duration,
}

/// A host of a [`Sim`]. Clones are the same host.
#[derive(Clone)]
pub struct Host {
    baton: Arc<Baton>,
    id: HostId,
    name: Arc<str>,
}

impl Sim {
    /// A world without hosts. The same seed and programs give the same run.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { baton: Baton::new(World::new(seed, TIME_LIMIT)), turn_limit: TURN_LIMIT }
    }

    /// Limits the run's virtual time. Default [`TIME_LIMIT`].
    pub fn time_limit(&mut self, limit: Duration) {
        self.baton.world().limit = limit;
    }

    /// Limits the real time for which a host may keep its turn. Default [`TURN_LIMIT`].
    pub const fn turn_limit(&mut self, limit: Duration) {
        self.turn_limit = limit;
    }

    /// Adds a host, with an IPv4 and an IPv6 address, on one link with all others that were added so.
    ///
    /// # Panics
    /// As [`Network::add_host`].
    #[must_use]
    pub fn host(&self, name: &str) -> Host {
        self.host_in(name, &[DomainId::LAN])
    }

    /// Adds a host in these [broadcast domains](Network::add_domain), with an interface and addresses in each.
    ///
    /// # Panics
    /// As [`Network::add_host`].
    #[must_use]
    pub fn host_in(&self, name: &str, domains: &[DomainId]) -> Host {
        let id = self.baton.world().network.add_host_in(name, domains);
        Host { baton: Arc::clone(&self.baton), id, name: name.into() }
    }

    /// A key of this world's own, for [`Config::psk`]: the same for the same seed and name. Real sockets refuse it
    /// ([`BindError::SimulatedKey`]), for whoever has the seed has the key.
    #[must_use]
    pub fn psk(&self, name: &str) -> Psk {
        Psk::simulated(&mut self.baton.world().network.chance_of_key(name))
    }

    /// Gives `host` a program. The run lasts until every program has ended, and fails when one fails or panics.
    pub fn spawn(&self, host: &Host, main: impl FnOnce(Host) -> Result<(), HostError> + Send + 'static) {
        self.begin(host, "main", true, main);
    }

    /// As [`spawn`](Self::spawn), for a program that never ends, as a server's: the run does not wait for it.
    pub fn serve(&self, host: &Host, main: impl FnOnce(Host) -> Result<(), HostError> + Send + 'static) {
        self.begin(host, "server", false, main);
    }

    /// Looks at the network or changes it.
    pub fn network<T>(&self, look: impl FnOnce(&mut Network) -> T) -> T {
        look(&mut self.baton.world().network)
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.baton.world().now
    }

    /// Runs the programs, once. What still goes on when all that were [spawned](Self::spawn) have ended is unwound.
    ///
    /// # Errors
    /// See [`SimError`]; the first thing that goes wrong ends the run.
    pub fn run(&self) -> Result<(), SimError> {
        self.baton.run(self.turn_limit)
    }

    fn begin(
        &self,
        host: &Host,
        name: &str,
        awaited: bool,
        main: impl FnOnce(Host) -> Result<(), HostError> + Send + 'static,
    ) {
        let own = host.clone();
        if let Err(source) = self.baton.begin(host.id, name, awaited, Box::new(move || main(own))) {
            let mut world = self.baton.world();
            let (host, seed) = (host.name.to_string(), world.network.seed());
            world.fail(SimError::Thread { host, source, seed });
        }
    }
}

impl Drop for Sim {
    /// Sends threads home that have not had their run.
    fn drop(&mut self) {
        self.baton.world().stop();
    }
}

impl Host {
    /// Its place in the [`Network`].
    #[must_use]
    pub const fn id(&self) -> HostId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its IPv4 address, with a port.
    #[must_use]
    pub fn addr(&self, port: u16) -> SocketAddr {
        self.network(|network| network.address(self.id, port))
    }

    /// Its IPv6 address, with a port.
    #[must_use]
    pub fn addr_v6(&self, port: u16) -> SocketAddr {
        self.network(|network| network.address_v6(self.id, port))
    }

    /// Binds a transport to one of the host's addresses, as [`udp::bind`](crate::transport::udp::bind) does in the
    /// real world: port 0 chooses one, an unspecified IPv6 address also takes IPv4 peers.
    ///
    /// # Errors
    /// [`BindError::AddressInUse`], [`BindError::AddressNotAvailable`].
    pub fn bind(&self, addr: SocketAddr, config: Config) -> Result<Arc<dyn Transport>, BindError> {
        let joining: Arc<dyn Joining> = self.open_udp(addr, &config)?;
        Ok(joining)
    }

    /// As [`bind`](Self::bind), for pairing.
    fn open_udp(&self, addr: SocketAddr, config: &Config) -> Result<Arc<dyn Joining>, BindError> {
        let limits = config.limits.mended();
        let socket = self.baton.world().bind(self.id, addr, config)?;
        Ok(Arc::new(Verbs(SimTransport::new(Arc::clone(&self.baton), self.id, socket, limits))))
    }

    /// Pairing on this host, over the broadcast domains that it is in and over UDP: the simulator has no TCP. All
    /// else is as in the real world, with everything random from the seed.
    #[must_use]
    pub fn pairing(&self) -> Pairing {
        Pairing::on(Arc::new(self.clone())).carrier(Carrier::Udp)
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.baton.world().now
    }

    /// Blocks the calling thread, one of this world's, for so much virtual time.
    pub fn sleep(&self, duration: Duration) {
        self.baton.sleep_until(self.now() + duration);
    }

    /// Looks at the network or changes it.
    pub fn network<T>(&self, look: impl FnOnce(&mut Network) -> T) -> T {
        look(&mut self.baton.world().network)
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("network", &self.baton.world().network).finish_non_exhaustive()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("name", &self.name).finish_non_exhaustive()
    }
}
