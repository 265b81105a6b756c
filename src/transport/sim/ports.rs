//! Who has which UDP port of which simulated host.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;

use super::ears::EarId;
use super::sockets::SocketId;
use crate::network::{HostId, Network};
use crate::transport::BindError;

/// The first port that is given to whoever asks for any (RFC 6335 section 6).
const EPHEMERAL: u16 = 49_152;

/// Who has a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A transport.
    Socket(SocketId),
    /// A discovery: a port of its own.
    Ear(EarId),
    /// All discoveries of the host, which share it.
    Ears,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// By the address that it is bound to; an unspecified one stands for all of its family.
    owners: BTreeMap<(HostId, IpAddr, u16), Owner>,
    /// The port last given to whoever asked for any, by host.
    last: BTreeMap<HostId, u16>,
}

impl Ports {
    /// Gives a port to `owner`: the one that `addr` names, or any where that is 0. An unspecified IPv6 address takes
    /// the port for IPv4, too.
    pub(super) fn bind(
        &mut self,
        network: &Network,
        host: HostId,
        addr: SocketAddr,
        owner: Owner,
    ) -> Result<u16, BindError> {
        let ip = addr.ip();
        if !ip.is_unspecified() && network.reached(host, ip) != Some(host) {
            return Err(BindError::AddressNotAvailable { addr });
        }
        let port = match addr.port() {
            0 => self.free_port(host, ip),
            port => Some(port).filter(|port| self.is_free(host, ip, *port)),
        };
        let port = port.ok_or(BindError::AddressInUse { addr })?;
        self.owners.extend(bound(ip).map(|ip| ((host, ip, port), owner)));
        Ok(port)
    }

    /// Lets the discoveries of a host share a port of all its addresses; one that they share already stays shared.
    pub(super) fn share(&mut self, network: &Network, host: HostId, port: u16) -> Result<(), BindError> {
        let addr = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        if self.owner(host, addr) == Some(Owner::Ears) {
            return Ok(());
        }
        self.bind(network, host, addr, Owner::Ears).map(drop)
    }

    /// Frees what was bound to `addr`.
    pub(super) fn release(&mut self, host: HostId, addr: SocketAddr) {
        for ip in bound(addr.ip()) {
            self.owners.remove(&(host, ip, addr.port()));
        }
    }

    /// Who has what is sent to `to`.
    pub(super) fn owner(&self, host: HostId, to: SocketAddr) -> Option<Owner> {
        let owner = |ip| self.owners.get(&(host, ip, to.port()));
        owner(to.ip()).or_else(|| owner(everything(to.ip()))).copied()
    }

    /// True where nobody has the port at any address that binding to `ip` would take.
    fn is_free(&self, host: HostId, ip: IpAddr, port: u16) -> bool {
        bound(ip).all(|ip| {
            let mut others = self.owners.keys().filter(|(of, _, taken)| (*of, *taken) == (host, port));
            let clashes = |other: IpAddr| {
                other.is_ipv4() == ip.is_ipv4() && (other == ip || other.is_unspecified() || ip.is_unspecified())
            };
            !others.any(|(_, other, _)| clashes(*other))
        })
    }

    fn free_port(&mut self, host: HostId, ip: IpAddr) -> Option<u16> {
        let last = self.last.get(&host).copied().unwrap_or(u16::MAX);
        let ports = (last.checked_add(1).unwrap_or(EPHEMERAL)..=u16::MAX).chain(EPHEMERAL..=last);
        let port = ports.into_iter().find(|port| self.is_free(host, ip, *port))?;
        self.last.insert(host, port);
        Some(port)
    }
}

/// What binding to `ip` takes: an unspecified IPv6 address takes that of IPv4, too.
fn bound(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let both = ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    [Some(ip), both.then_some(Ipv4Addr::UNSPECIFIED.into())].into_iter().flatten()
}

/// The address that stands for all of a family.
const fn everything(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
