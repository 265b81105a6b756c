//! What a firewall has to let through, ready to be typed, for the network that an interface leads to.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use udpair::pairing::{DISCOVERY_PORT, Interface};

use super::finding::Finding;

/// Everybody on a link, over IPv6.
const LINK_LOCAL: &str = "fe80::/10";

/// Where those are whom a pairing may be with.
struct Network {
    /// As nft calls it.
    family: &'static str,
    /// As it is written.
    text: String,
}

/// A firewall that shows nothing of itself: only others notice.
pub(super) fn look_at(interface: &Interface) -> Finding {
    Finding::good("  a firewall", "shows nowhere; if others find nobody here all the same").mend(let_in(interface))
}

/// How what others send is let in.
pub(super) fn let_in(interface: &Interface) -> String {
    in_from(&of(interface))
}

/// How what goes to others is let out.
pub(super) fn let_out(interface: &Interface) -> String {
    let text = of(interface).text;
    format!(
        "let UDP to port {DISCOVERY_PORT} out, and what goes to the conversation's port, which the inviter chooses \
         afresh: so let all out to the network, as by `sudo ufw allow out to {text}`"
    )
}

fn in_from(Network { family, text }: &Network) -> String {
    format!(
        "let UDP to port {DISCOVERY_PORT} in, and what comes to the conversation's port, which the inviter chooses \
         afresh: so let all in from the network, by one of `sudo ufw allow from {text}`, `sudo firewall-cmd \
         --zone=trusted --add-source={text}`, `sudo nft insert rule inet filter input {family} saddr {text} accept`; \
         or let a single port in, and use that: `udpair invite PORT`"
    )
}

/// The network of `interface`: over IPv4 where it has one.
fn of(interface: &Interface) -> Network {
    // Where the kernel does not say, the link's own addresses remain.
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v4 = interface.addresses.iter().find_map(|address| match address.ip {
        IpAddr::V4(ip) => subnet(&routes, &interface.name, ip),
        IpAddr::V6(_) => None,
    });
    v4.map_or_else(
        || Network { family: "ip6", text: LINK_LOCAL.to_owned() },
        |subnet| Network { family: "ip", text: subnet.to_string() },
    )
}

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Subnet {
    address: Ipv4Addr,
    prefix: u32,
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The network at the interface `name` in which `ip` lies without a gateway, as the kernel's table of routes has it
/// (proc(5), /proc/net/route: numbers in the byte order of the network, printed as the machine reads them).
fn subnet(routes: &str, name: &str, ip: Ipv4Addr) -> Option<Subnet> {
    let address = |text: &str| u32::from_str_radix(text, 16).ok().map(|bits| Ipv4Addr::from(bits.to_ne_bytes()));
    routes.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [interface, destination, gateway, _, _, _, _, mask, ..] = fields[..] else { return None };
        let (destination, gateway, mask) = (address(destination)?, address(gateway)?, address(mask)?);
        let is_it = interface == name && gateway.is_unspecified() && !mask.is_unspecified() && ip & mask == destination;
        is_it.then(|| Subnet { address: destination, prefix: mask.to_bits().count_ones() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpair::pairing::{InterfaceAddress, InterfaceId};

    /// A default route, two networks of eth0, one of wlan0.
    fn routes() -> String {
        let number = |text: &str| format!("{:08X}", u32::from_ne_bytes(text.parse::<Ipv4Addr>().unwrap().octets()));
        let line = |name: &str, destination: &str, gateway: &str, mask: &str| {
            format!(
                "{name}\t{}\t{}\t0001\t0\t0\t100\t{}\t0\t0\t0\n",
                number(destination),
                number(gateway),
                number(mask)
            )
        };
        [
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n".to_owned(),
            line("eth0", "0.0.0.0", "192.168.1.1", "0.0.0.0"),
            line("eth0", "192.168.1.0", "0.0.0.0", "255.255.255.0"),
            line("eth0", "10.0.0.0", "0.0.0.0", "255.240.0.0"),
            line("wlan0", "192.168.1.128", "0.0.0.0", "255.255.255.128"),
            "torn\t0".to_owned(),
        ]
        .concat()
    }

    #[test]
    fn the_subnet_is_the_kernels() {
        let found = |name: &str, ip: &str| subnet(&routes(), name, ip.parse().unwrap()).map(|it| it.to_string());
        assert_eq!(found("eth0", "192.168.1.20").as_deref(), Some("192.168.1.0/24"));
        assert_eq!(found("eth0", "10.15.1.2").as_deref(), Some("10.0.0.0/12"));
        assert_eq!(found("eth0", "10.16.1.2"), None, "by the default route alone");
        assert_eq!(found("wlan0", "192.168.1.200").as_deref(), Some("192.168.1.128/25"));
        assert_eq!(found("wlan0", "192.168.1.20"), None);
        assert_eq!(subnet("", "eth0", Ipv4Addr::LOCALHOST), None);
    }

    #[test]
    fn the_remedy_is_ready_to_be_typed_and_speaks_of_the_conversations_port() {
        let text = in_from(&Network { family: "ip", text: "192.168.1.0/24".to_owned() });
        for part in [
            "UDP to port 29517",
            "the conversation's port",
            "`sudo ufw allow from 192.168.1.0/24`",
            "`sudo firewall-cmd --zone=trusted --add-source=192.168.1.0/24`",
            "`sudo nft insert rule inet filter input ip saddr 192.168.1.0/24 accept`",
            "`udpair invite PORT`",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let address = InterfaceAddress { ip: "fe80::1".parse().unwrap(), broadcast: None };
        let interface = Interface {
            id: InterfaceId(7),
            name: "eth7".to_owned(),
            up: true,
            loopback: false,
            multicast: true,
            addresses: vec![address],
        };
        assert!(let_in(&interface).contains("input ip6 saddr fe80::/10 accept"));
        assert!(let_out(&interface).contains("sudo ufw allow out to fe80::/10"));
    }
}
