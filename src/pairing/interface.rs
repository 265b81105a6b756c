//! A machine's network interfaces as values, and where on each of them everyone can be reached.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The UDP port that every discovery listens on. `spec/pairing.md`, section "Where beacons go".
pub const DISCOVERY_PORT: u16 = 29_517;
/// The IPv6 multicast group that every discovery joins on every interface.
pub const DISCOVERY_GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0x7564, 0x7061);
/// The IPv4 multicast group likewise: of the block that no router passes on and every switch does.
pub const DISCOVERY_GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 229);

/// The system's number for an interface; 0 is none in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub u32);

/// One address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub ip: IpAddr,
    /// Where all hosts of its IPv4 network hear, if it has such an address.
    pub broadcast: Option<Ipv4Addr>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The system's number for it.
    pub id: InterfaceId,
    /// Its name, as in `ip link`.
    pub name: String,
    /// Datagrams leave by it.
    pub up: bool,
    /// It leads to this machine only.
    pub loopback: bool,
    /// It can send to a group.
    pub multicast: bool,
    /// Its addresses.
    pub addresses: Vec<InterfaceAddress>,
}

/// Where to send one copy of a beacon that is for everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Leaving by this interface.
    pub interface: InterfaceId,
    /// From this address of it; `None` lets the system choose one of the interface.
    pub from: Option<IpAddr>,
    /// To this address.
    pub to: SocketAddr,
}

impl Interface {
    /// Where everyone on this interface's networks is reached: for each IPv4 address its directed broadcast and the
    /// limited broadcast, and each group once; on the loopback interface its broadcast and `::1`, for a group has no
    /// route there. Empty where it is down or has no address.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        let mut targets: Vec<Target> = Vec::new();
        if !self.up {
            return targets;
        }
        let mut add = |from: Option<IpAddr>, to: SocketAddr| {
            let target = Target { interface: self.id, from, to };
            if !targets.contains(&target) {
                targets.push(target);
            }
        };
        let (mut has_v4, mut has_v6) = (false, false);
        for address in &self.addresses {
            match address.ip {
                IpAddr::V4(ip) if self.loopback => {
                    add(Some(ip.into()), (Ipv4Addr::new(127, 255, 255, 255), DISCOVERY_PORT).into());
                }
                IpAddr::V4(ip) => {
                    for to in address.broadcast.into_iter().chain([Ipv4Addr::BROADCAST]) {
                        add(Some(ip.into()), (to, DISCOVERY_PORT).into());
                    }
                    has_v4 = true;
                }
                IpAddr::V6(_) => has_v6 = true,
            }
        }
        if has_v4 && self.multicast {
            add(None, (DISCOVERY_GROUP_V4, DISCOVERY_PORT).into());
        }
        if has_v6 && self.multicast {
            add(None, SocketAddrV6::new(DISCOVERY_GROUP, DISCOVERY_PORT, 0, self.id.0).into());
        }
        if has_v6 && self.loopback {
            add(None, (Ipv6Addr::LOCALHOST, DISCOVERY_PORT).into());
        }
        targets
    }

    /// The groups in which to take part, to hear what is sent to everyone on its networks.
    pub fn groups(&self) -> impl Iterator<Item = IpAddr> {
        self.targets().into_iter().map(|target| target.to.ip()).filter(IpAddr::is_multicast)
    }

    /// True when `ip` is one of its addresses.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.ip == ip)
    }
}

/// True for what a datagram can come from and an answer can go to: one host, and a port.
pub(super) fn is_host(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast() || ip.octets() == [127, 255, 255, 255]);
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `lo` as it is everywhere.
    pub(in crate::pairing) fn lo() -> Interface {
        let address = |text: &str| InterfaceAddress { ip: text.parse().unwrap(), broadcast: None };
        Interface {
            id: InterfaceId(1),
            name: "lo".to_owned(),
            up: true,
            loopback: true,
            multicast: false,
            addresses: vec![address("127.0.0.1"), address("::1")],
        }
    }

    /// An Ethernet interface with one address.
    pub(in crate::pairing) fn eth(id: u32, ip: &str, prefix: u32) -> Interface {
        let ip: IpAddr = ip.parse().unwrap();
        let broadcast = match ip {
            IpAddr::V4(ip) => Some(Ipv4Addr::from_bits(ip.to_bits() | u32::MAX >> prefix)),
            IpAddr::V6(_) => None,
        };
        Interface {
            id: InterfaceId(id),
            name: format!("eth{id}"),
            up: true,
            loopback: false,
            multicast: true,
            addresses: vec![InterfaceAddress { ip, broadcast }],
        }
    }

    fn check(interface: &Interface, expected: &[(&str, &str)]) {
        let targets = interface.targets();
        assert!(targets.iter().all(|target| target.interface == interface.id));
        let written: Vec<(String, String)> = targets
            .iter()
            .map(|target| (target.from.map_or("any".to_owned(), |ip| ip.to_string()), target.to.to_string()))
            .collect();
        let written: Vec<(&str, &str)> = written.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        assert_eq!(written, expected, "{}", interface.name);
    }

    #[test]
    fn everyone_is_reached_once_on_each_network() {
        check(&lo(), &[("127.0.0.1", "127.255.255.255:29517"), ("any", "[::1]:29517")]);
        let mut both = eth(2, "10.1.2.3", 16);
        let v4 =
            [("10.1.2.3", "10.1.255.255:29517"), ("10.1.2.3", "255.255.255.255:29517"), ("any", "224.0.0.229:29517")];
        check(&both, &v4);
        check(&Interface { multicast: false, ..both.clone() }, &v4[..2]);
        both.addresses.extend(eth(2, "10.9.2.3", 16).addresses);
        let groups = |interface: &Interface| interface.targets().iter().filter(|it| it.to.ip().is_multicast()).count();
        assert_eq!(groups(&both), 1, "once, however many addresses there are");
        both.addresses.pop();
        both.addresses.extend(eth(2, "fd00::2", 64).addresses);
        both.addresses.extend(eth(2, "fe80::2", 64).addresses);
        check(
            &both,
            &[
                ("10.1.2.3", "10.1.255.255:29517"),
                ("10.1.2.3", "255.255.255.255:29517"),
                ("any", "224.0.0.229:29517"),
                ("any", "[ff02::7564:7061%2]:29517"),
            ],
        );
        assert_eq!(both.groups().collect::<Vec<_>>(), [IpAddr::from(DISCOVERY_GROUP_V4), DISCOVERY_GROUP.into()]);
        assert_eq!(lo().groups().count(), 0);
        check(&Interface { up: false, ..both.clone() }, &[]);
        check(&Interface { addresses: Vec::new(), ..both }, &[]);
    }

    #[test]
    fn only_hosts_are_answered() {
        for (text, expected) in [
            ("10.0.0.1:80", true),
            ("[fe80::1%3]:80", true),
            ("10.0.0.1:0", false),
            ("0.0.0.0:80", false),
            ("255.255.255.255:80", false),
            ("127.255.255.255:80", false),
            ("224.0.0.1:80", false),
            ("[ff02::1]:80", false),
            ("[::]:80", false),
            ("[::ffff:255.255.255.255]:80", false),
        ] {
            assert_eq!(is_host(text.parse().unwrap()), expected, "{text}");
        }
    }
}
