//! The machine's interfaces.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};

use udpair::pairing::{Interface, InterfaceAddress, InterfaceId};

use super::finding::Finding;

/// Shorter datagrams than these do not fit: the protocol's least, with the headers of IPv6 and UDP.
const MTU_MIN: u32 = 1_248;

/// What it is like.
pub(super) fn look_at(interface: &Interface) -> Finding {
    describe(interface, mtu(interface))
}

fn describe(interface: &Interface, mtu: Option<u32>) -> Finding {
    let Interface { name, id, .. } = interface;
    if !interface.up {
        let remedy = format!("plug it in, or `sudo ip link set {name} up`, where it is to be used");
        return Finding::fair(name, "down").mend(remedy);
    }
    let mut parts = vec!["up".to_owned()];
    parts.extend(interface.addresses.iter().map(|address| written(address, *id)));
    parts.push(if interface.multicast { "multicast" } else { "no multicast" }.to_owned());
    parts.push(mtu.map_or_else(|| "MTU unknown".to_owned(), |mtu| format!("MTU {mtu}")));
    let text = parts.join(", ");
    if interface.addresses.is_empty() {
        return Finding::fair(name, text).mend("it has no address: see to DHCP, where it is to be used");
    }
    if mtu.is_some_and(|mtu| mtu < MTU_MIN) {
        return Finding::fair(name, text).mend(format!("`sudo ip link set {name} mtu 1500`; {MTU_MIN} is the least"));
    }
    Finding::good(name, text)
}

/// An address with where everybody on its network is reached, or with its scope.
fn written(address: &InterfaceAddress, id: InterfaceId) -> String {
    match (address.ip, address.broadcast) {
        (IpAddr::V4(ip), Some(broadcast)) => format!("{ip} (broadcast {broadcast})"),
        (IpAddr::V6(ip), _) if is_link_local(ip) => format!("{ip}%{}", id.0),
        (ip, _) => ip.to_string(),
    }
}

const fn is_link_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

/// As the kernel has it under the interface's name, if it is the same interface.
fn mtu(interface: &Interface) -> Option<u32> {
    let number = |file: &str| -> Option<u32> {
        let text = fs::read_to_string(format!("/sys/class/net/{}/{file}", interface.name)).ok()?;
        text.trim().parse().ok()
    };
    number("mtu").filter(|_| number("ifindex") == Some(interface.id.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eth0() -> Interface {
        let address = |ip: &str, broadcast| InterfaceAddress {
            ip: ip.parse().unwrap(),
            broadcast: Option::<&str>::map(broadcast, |it| it.parse().unwrap()),
        };
        Interface {
            id: InterfaceId(3),
            name: "eth0".to_owned(),
            up: true,
            loopback: false,
            multicast: true,
            addresses: vec![
                address("10.1.2.3", Some("10.1.255.255")),
                address("fd00::2", None),
                address("fe80::1", None),
            ],
        }
    }

    fn check(interface: &Interface, mtu: Option<u32>, expected: &str) {
        assert_eq!(describe(interface, mtu).to_string(), expected);
    }

    #[test]
    fn interfaces_are_described_in_a_line() {
        let all = "up, 10.1.2.3 (broadcast 10.1.255.255), fd00::2, fe80::1%3, multicast";
        check(&eth0(), Some(1_500), &format!("ok    eth0             {all}, MTU 1500"));
        check(&eth0(), None, &format!("ok    eth0             {all}, MTU unknown"));
        let least =
            format!("note  eth0             {all}, MTU 1247 -> `sudo ip link set eth0 mtu 1500`; 1248 is the least");
        check(&eth0(), Some(1_247), &least);
        let down = Interface { up: false, ..eth0() };
        assert!(describe(&down, None).to_string().starts_with("note  eth0             down -> plug it in"));
        let bare = Interface { addresses: Vec::new(), ..eth0() };
        assert!(describe(&bare, None).to_string().contains("DHCP"));
    }

    #[test]
    fn the_loopback_interface_has_an_mtu() {
        let interfaces = udpair::transport::discovery::interfaces().unwrap();
        let lo = interfaces.iter().find(|interface| interface.name == "lo").unwrap();
        assert!(mtu(lo).is_some_and(|mtu| mtu >= 1_500));
        assert_eq!(mtu(&Interface { id: InterfaceId(77_777), ..lo.clone() }), None, "another one of that name");
    }
}
