//! Pairing on a simulated host: the world in place of the system.

use core::net::{IpAddr, SocketAddr};
use core::task::Waker;
use core::time::Duration;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Weak};
use std::task::Wake;

use super::Host;
use super::baton::Baton;
use super::ears::EarId;
use super::world::Reason;
use crate::network::HostId;
use crate::pairing::{Carrier, DISCOVERY_PORT, Interface, InterfaceId, Target};
use crate::time::Timestamp;
use crate::transport::discovery::{BUFFER_LEN, Heard, Medium};
use crate::transport::driven::Joining;
use crate::transport::site::{Over, Site};
use crate::transport::{BindError, Config};

impl Site for Host {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.baton.world().fill_random(self.id, bytes);
        Ok(())
    }

    fn takes_simulated_keys(&self) -> bool {
        true
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        Ok(self.network(|network| network.interfaces(self.id)))
    }

    fn medium(&self) -> io::Result<Box<dyn Medium>> {
        let ear = self.baton.world().open_ear(self.id)?;
        let waker = Arc::new(EarWaker { baton: Arc::downgrade(&self.baton), ear });
        Ok(Box::new(SimMedium { baton: Arc::clone(&self.baton), host: self.id, ear, waker }))
    }

    fn open(&self, carrier: Carrier, addr: SocketAddr, config: &Config) -> Result<Arc<dyn Joining>, BindError> {
        match carrier {
            Carrier::Udp => self.open_udp(addr, config),
            Carrier::Tcp => Err(BindError::Io { addr, source: ErrorKind::Unsupported.into() }),
        }
    }

    /// A host's name is its name.
    fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.network(|network| {
            let host = network.host(name).ok_or(ErrorKind::NotFound)?;
            Ok(vec![network.address(host, port), network.address_v6(host, port)])
        })
    }

    /// There is no TCP here.
    fn try_tcp(&self, _address: SocketAddr, _timeout: Duration, _over: Over) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// An ear, in the hands of a discovery.
struct SimMedium {
    baton: Arc<Baton>,
    host: HostId,
    ear: EarId,
    waker: Arc<EarWaker>,
}

impl SimMedium {
    /// Sends from an address of the host's, by an interface where one is named.
    fn send_from(
        &self,
        by: Option<InterfaceId>,
        from: Option<IpAddr>,
        to: SocketAddr,
        beacon: &[u8],
    ) -> io::Result<()> {
        let mut world = self.baton.world();
        let from =
            from.or_else(|| world.network.source_for(self.host, to.ip())).ok_or(ErrorKind::NetworkUnreachable)?;
        world.send_beacon(self.ear, by, from, to, beacon);
        Ok(())
    }
}

impl Medium for SimMedium {
    fn open(&mut self) -> Vec<(SocketAddr, io::Result<()>)> {
        let mut world = self.baton.world();
        let ear = world.sockets.ears.get(self.ear);
        if ear.shares {
            return Vec::new();
        }
        let shared = SocketAddr::new(ear.own.ip(), DISCOVERY_PORT);
        vec![(shared, world.share_ear(self.ear).map_err(io::Error::from))]
    }

    fn is_empty(&self) -> bool {
        false
    }

    fn can_send(&self, _to: SocketAddr) -> bool {
        true
    }

    fn can_join(&self, _group: IpAddr) -> bool {
        self.baton.world().sockets.ears.get(self.ear).shares
    }

    fn join(&mut self, interface: InterfaceId, group: IpAddr) -> io::Result<()> {
        self.baton.world().sockets.ears.get_mut(self.ear).groups.insert((interface, group));
        Ok(())
    }

    fn send(&mut self, target: &Target, beacon: &[u8]) -> io::Result<()> {
        let interfaces = self.baton.world().network.interfaces(self.host);
        let interface = interfaces.iter().find(|interface| interface.id == target.interface && interface.up);
        let interface = interface.ok_or(ErrorKind::NetworkDown)?;
        let mut own = interface.addresses.iter().map(|address| address.ip);
        let from = target.from.or_else(|| own.find(|ip| ip.is_ipv4() == target.to.is_ipv4()));
        self.send_from(Some(target.interface), from, target.to, beacon)
    }

    fn send_routed(&mut self, to: SocketAddr, beacon: &[u8]) -> io::Result<()> {
        self.send_from(None, None, to, beacon)
    }

    /// One queue for both ports.
    fn sockets(&self) -> usize {
        1
    }

    fn receive(&mut self, _number: usize, buffer: &mut [u8; BUFFER_LEN]) -> Option<Heard> {
        let delivery = self.baton.world().sockets.ears.get_mut(self.ear).take()?;
        let len = delivery.bytes.len().min(BUFFER_LEN);
        buffer[..len].copy_from_slice(&delivery.bytes[..len]);
        Some(Heard { from: delivery.from, interface: delivery.interface, len, routed: false })
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.waker))
    }

    fn take_wake(&mut self) -> bool {
        core::mem::take(&mut self.baton.world().sockets.ears.get_mut(self.ear).woken)
    }

    fn sleep(&mut self, until: Timestamp) -> Result<(), ErrorKind> {
        let task = self.baton.current().ok_or(ErrorKind::Unsupported)?;
        let mut world = self.baton.world();
        let now = world.now;
        let ear = world.sockets.ears.get_mut(self.ear);
        if ear.has_news() || until <= now {
            return Ok(());
        }
        ear.waiting = Some(task);
        drop(world);
        // Where this unwinds the world is over, and who waits of nobody's concern.
        let waited = self.baton.wait(Reason::Beacons, Some(until));
        self.baton.world().sockets.ears.get_mut(self.ear).waiting = None;
        waited.map(drop).map_err(|_| ErrorKind::Unsupported)
    }
}

impl Drop for SimMedium {
    fn drop(&mut self) {
        self.baton.world().close_ear(self.ear);
    }
}

impl fmt::Debug for SimMedium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimMedium").field("ear", self.baton.world().sockets.ears.get(self.ear)).finish_non_exhaustive()
    }
}

/// Ends a sleep on an ear. It does not keep the world, which may keep it.
struct EarWaker {
    baton: Weak<Baton>,
    ear: EarId,
}

impl Wake for EarWaker {
    fn wake(self: Arc<Self>) {
        if let Some(baton) = self.baton.upgrade() {
            baton.with(|world| world.wake_ear(self.ear));
        }
    }
}
