//! A network's hosts: who is there, who is on a link with whom, and sending to everyone on it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::dice;
use super::fate::Fate;
use super::graph::{Datagram, DeliveryKind, HostId, Network, Way};
use super::host::{DOMAINS_MAX, DomainId, Host, address_of};
use crate::pairing::{Interface, InterfaceId};
use crate::time::Timestamp;

/// The most hosts in a network.
pub const HOSTS_MAX: usize = 10_000;

/// Hosts, their links and their interfaces.
impl Network {
    /// Adds a host in [`DomainId::LAN`], with an IPv4 address, 10.0.0.1 and up, and an IPv6 address, fd00::1 and up.
    ///
    /// # Panics
    /// When a host of that name is there already, or [`HOSTS_MAX`] hosts are.
    pub fn add_host(&mut self, name: &str) -> HostId {
        self.add_host_in(name, &[DomainId::LAN])
    }

    /// Adds a host with an interface in each of `domains`, and addresses there as [`attach`](Self::attach) gives them.
    /// The network routes from each domain to every other.
    ///
    /// # Panics
    /// As [`add_host`](Self::add_host).
    pub fn add_host_in(&mut self, name: &str, domains: &[DomainId]) -> HostId {
        assert!(self.hosts.len() < HOSTS_MAX, "a network has at most {HOSTS_MAX} hosts");
        assert!(self.host(name).is_none(), "there is a host {name:?} already");
        let host = HostId(self.hosts.len());
        let number = u16::try_from(self.hosts.len() + 1).expect("HOSTS_MAX is below 65,535");
        self.hosts.push(Host::new(name, number));
        for domain in domains {
            self.attach(host, *domain);
        }
        host
    }

    /// Gives a host another address.
    ///
    /// # Panics
    /// When a host has it already.
    pub fn add_address(&mut self, host: HostId, address: IpAddr) {
        let before = self.by_address.insert(address, host);
        assert!(before.is_none(), "a host has the address {address} already");
    }

    /// The host of this name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<HostId> {
        self.hosts.iter().position(|host| host.name == name).map(HostId)
    }

    /// The host with this address.
    #[must_use]
    pub fn host_at(&self, address: IpAddr) -> Option<HostId> {
        self.by_address.get(&address).copied()
    }

    /// The host's name.
    #[must_use]
    pub fn name(&self, host: HostId) -> &str {
        &self.hosts[host.0].name
    }

    /// The host's IPv4 address, the first where it has several, with a port.
    #[must_use]
    pub fn address(&self, host: HostId, port: u16) -> SocketAddr {
        SocketAddr::new(self.hosts[host.0].address(false), port)
    }

    /// The host's IPv6 address, the first where it has several, with a port.
    #[must_use]
    pub fn address_v6(&self, host: HostId, port: u16) -> SocketAddr {
        SocketAddr::new(self.hosts[host.0].address(true), port)
    }

    /// The host that another reaches at an address: itself at a loopback one.
    #[must_use]
    pub fn reached(&self, from: HostId, address: IpAddr) -> Option<HostId> {
        if address.is_loopback() { Some(from) } else { self.host_at(address) }
    }

    /// Adds a broadcast domain that nobody is in.
    ///
    /// # Panics
    /// When there are [`DOMAINS_MAX`], [`DomainId::LAN`] included.
    pub fn add_domain(&mut self) -> DomainId {
        assert!(self.domains < DOMAINS_MAX, "a network has at most {DOMAINS_MAX} domains");
        let domain = DomainId(u8::try_from(self.domains).expect("below DOMAINS_MAX"));
        self.domains += 1;
        domain
    }

    /// Gives a host an interface in a domain, with addresses there: 10.`domain`.x.y and fd00:0:0:`domain`::n. One
    /// that was [taken down](Self::detach) is up again.
    ///
    /// # Panics
    /// When another host was [given](Self::add_address) one of these addresses.
    pub fn attach(&mut self, host: HostId, domain: DomainId) -> InterfaceId {
        let interface = self.hosts[host.0].attach(domain);
        for address in &interface.addresses {
            let before = self.by_address.insert(address.ip, host);
            assert!(before.is_none_or(|before| before == host), "a host has the address {} already", address.ip);
        }
        interface.id
    }

    /// Takes a host's interface in a domain down: nothing leaves by it, and its addresses are nobody's.
    pub fn detach(&mut self, host: HostId, domain: DomainId) {
        let gone = self.hosts[host.0].detach(domain);
        for address in gone.iter().flat_map(|interface| &interface.addresses) {
            self.by_address.remove(&address.ip);
        }
    }

    /// A host's interfaces: `lo`, and one for each domain that it is or was in, `eth0` and up.
    #[must_use]
    pub fn interfaces(&self, host: HostId) -> Vec<Interface> {
        self.hosts[host.0].interfaces().cloned().collect()
    }

    /// The address from which a host sends to another: that of a link that both are on, else its first.
    #[must_use]
    pub fn source_for(&self, host: HostId, to: IpAddr) -> Option<IpAddr> {
        self.hosts[host.0].source_for(to)
    }

    /// Sends a datagram by one of a host's interfaces. Where `to` is for everyone there, a broadcast address or a group
    /// of IPv6, a copy goes to each host of the domain, the sender too: each over the link between the two and with
    /// that link's faults. Nothing where the interface is down.
    ///
    /// What becomes of each copy, in the order in which the hosts were added.
    pub fn send_by(
        &mut self,
        now: Timestamp,
        host: HostId,
        interface: InterfaceId,
        (from, to): (SocketAddr, SocketAddr),
        bytes: &[u8],
    ) -> Vec<Fate> {
        let Some((out, domain)) = self.hosts[host.0].way_out(interface) else { return Vec::new() };
        if !is_for_everyone(out, to.ip()) {
            return vec![self.send_from(now, host, (from, to), None, bytes)];
        }
        let ipv6 = to.is_ipv6();
        let copy = |to_host: HostId, by: &Interface| Way {
            from_host: host,
            to_host,
            interface: by.id,
            copy_for: Some(address_of(by, ipv6)),
        };
        let ways: Vec<Way> = match domain {
            None => vec![copy(host, out)],
            Some(domain) => {
                let hosts = self.hosts.iter().enumerate();
                hosts.filter_map(|(at, there)| Some(copy(HostId(at), there.interface_in(domain)?))).collect()
            }
        };
        let datagram = Datagram { from, to, ecn: None, kind: DeliveryKind::Datagram, bytes };
        ways.into_iter().map(|way| self.pass(now, Some(way), &datagram)).collect()
    }

    /// What a host's own chance comes from: neither another host's nor that of the links.
    pub(crate) fn chance_of(&self, host: HostId) -> rand::rngs::Xoshiro256PlusPlus {
        self.chance(self.name(host), "")
    }

    /// What a key of this name comes from: no host's chance, nor that of the links.
    pub(crate) fn chance_of_key(&self, name: &str) -> rand::rngs::Xoshiro256PlusPlus {
        self.chance("", name)
    }

    fn chance(&self, from: &str, to: &str) -> rand::rngs::Xoshiro256PlusPlus {
        rand::SeedableRng::seed_from_u64(dice::path_seed(self.seed(), from, to))
    }
}

/// True for what every host hears that is where the interface leads to.
fn is_for_everyone(interface: &Interface, to: IpAddr) -> bool {
    match to {
        IpAddr::V4(to) if interface.loopback => to == Ipv4Addr::new(127, 255, 255, 255),
        IpAddr::V4(to) if to.is_multicast() => interface.multicast,
        IpAddr::V4(to) => to.is_broadcast() || interface.addresses.iter().any(|own| own.broadcast == Some(to)),
        IpAddr::V6(to) => to.is_multicast() && interface.multicast,
    }
}
