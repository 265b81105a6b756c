//! A host: its name, and the interfaces by which it is on links with others.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::pairing::{Interface, InterfaceAddress, InterfaceId};

/// The most broadcast domains in a network.
pub const DOMAINS_MAX: usize = 256;

/// A broadcast domain: a link that hosts share, so that what one of them sends to everyone reaches all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainId(pub(super) u8);

impl DomainId {
    /// The one in which a host is unless others were named.
    pub const LAN: Self = Self(0);

    fn ipv4(self, number: u16) -> Ipv4Addr {
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(10, self.0, high, low)
    }

    fn ipv6(self, number: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0, 0, self.0.into(), 0, 0, 0, number)
    }

    /// True for the addresses of its hosts.
    fn has(self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => ip.octets()[..2] == self.ipv4(0).octets()[..2],
            IpAddr::V6(ip) => ip.segments()[..4] == self.ipv6(0).segments()[..4],
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: String,
    /// What its addresses end with.
    number: u16,
    /// `lo` is the first.
    ports: Vec<Port>,
}

#[derive(Debug)]
struct Port {
    interface: Interface,
    /// `None` for `lo`.
    domain: Option<DomainId>,
}

impl Host {
    /// A host with a loopback interface.
    pub(super) fn new(name: &str, number: u16) -> Self {
        let address = |ip| InterfaceAddress { ip, broadcast: None };
        let interface = Interface {
            id: InterfaceId(1),
            name: "lo".to_owned(),
            up: true,
            loopback: true,
            multicast: false,
            addresses: vec![address(Ipv4Addr::LOCALHOST.into()), address(Ipv6Addr::LOCALHOST.into())],
        };
        Self { name: name.to_owned(), number, ports: vec![Port { interface, domain: None }] }
    }

    /// Gives it an interface in a domain, the same as before where it had one there.
    pub(super) fn attach(&mut self, domain: DomainId) -> &Interface {
        let at = self.ports.iter().position(|port| port.domain == Some(domain)).unwrap_or_else(|| {
            let count = u32::try_from(self.ports.len()).expect("at most DOMAINS_MAX and one");
            let ipv4 = domain.ipv4(self.number);
            let broadcast = Some(domain.ipv4(u16::MAX));
            let ipv6 = domain.ipv6(self.number);
            let interface = Interface {
                id: InterfaceId(count + 1),
                name: format!("eth{}", count - 1),
                up: true,
                loopback: false,
                multicast: true,
                addresses: vec![
                    InterfaceAddress { ip: ipv4.into(), broadcast },
                    InterfaceAddress { ip: ipv6.into(), broadcast: None },
                ],
            };
            self.ports.push(Port { interface, domain: Some(domain) });
            self.ports.len() - 1
        });
        let interface = &mut self.ports[at].interface;
        interface.up = true;
        interface
    }

    /// Takes its interface in a domain down; `None` where it has none that is up.
    pub(super) fn detach(&mut self, domain: DomainId) -> Option<&Interface> {
        let port = self.ports.iter_mut().find(|port| port.domain == Some(domain) && port.interface.up)?;
        port.interface.up = false;
        Some(&port.interface)
    }

    /// All interfaces, `lo` first.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.ports.iter().map(|port| &port.interface)
    }

    /// An interface that is up, and its domain if it leads anywhere.
    pub(super) fn way_out(&self, interface: InterfaceId) -> Option<(&Interface, Option<DomainId>)> {
        let port = self.ports.iter().find(|port| port.interface.id == interface && port.interface.up)?;
        Some((&port.interface, port.domain))
    }

    /// The interface by which it is in a domain, if it is.
    pub(super) fn interface_in(&self, domain: DomainId) -> Option<&Interface> {
        let port = self.ports.iter().find(|port| port.domain == Some(domain) && port.interface.up)?;
        Some(&port.interface)
    }

    /// The interface with an address; none in particular where it was given to the host alone.
    pub(super) fn interface_with(&self, ip: IpAddr) -> InterfaceId {
        self.interfaces().find(|interface| interface.has(ip)).map_or(InterfaceId(0), |interface| interface.id)
    }

    /// Its first address of a family on a link; that of `lo` where it is on none.
    pub(super) fn address(&self, ipv6: bool) -> IpAddr {
        let port = self.ports.get(1).unwrap_or(&self.ports[0]);
        address_of(&port.interface, ipv6)
    }

    /// The address from which it sends to `to`: that of the link that both are on, else the first of one that is up.
    pub(super) fn source_for(&self, to: IpAddr) -> Option<IpAddr> {
        let fits = |port: &&Port| port.interface.up && port.domain.is_some_and(|domain| domain.has(to));
        let any = |port: &&Port| port.interface.up && port.domain.is_some();
        let port = if to.is_loopback() {
            self.ports.first()
        } else {
            self.ports.iter().find(fits).or_else(|| self.ports.iter().find(any))
        };
        port.map(|port| address_of(&port.interface, to.is_ipv6()))
    }
}

/// Each interface here has one address of each family.
pub(super) fn address_of(interface: &Interface, ipv6: bool) -> IpAddr {
    let mut addresses = interface.addresses.iter().map(|address| address.ip);
    addresses.find(|ip| ip.is_ipv6() == ipv6).expect("of each family one")
}
