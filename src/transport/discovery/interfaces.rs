//! The machine's interfaces, as the system lists them.

use core::net::IpAddr;
use std::io;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

use crate::pairing::{Interface, InterfaceAddress, InterfaceId};

/// So many addresses of so many interfaces are looked at, however many a machine has.
const ADDRESSES_MAX: usize = 256;

/// All of them, in the system's order. Does not block.
///
/// # Errors
/// What the system says where it lists none.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut found: Vec<Interface> = Vec::new();
    for entry in getifaddrs()?.take(ADDRESSES_MAX) {
        let at = if let Some(at) = found.iter().position(|known| known.name == entry.interface_name) {
            at
        } else {
            // It may have gone since it was listed.
            let Ok(id) = if_nametoindex(entry.interface_name.as_str()) else { continue };
            let has = |flags| entry.flags.contains(flags);
            found.push(Interface {
                id: InterfaceId(id),
                name: entry.interface_name.clone(),
                up: has(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING),
                loopback: has(InterfaceFlags::IFF_LOOPBACK),
                multicast: has(InterfaceFlags::IFF_MULTICAST),
                addresses: Vec::new(),
            });
            found.len() - 1
        };
        let broadcast = match entry.broadcast.as_ref().and_then(ip) {
            Some(IpAddr::V4(broadcast)) if !broadcast.is_unspecified() => Some(broadcast),
            _ => None,
        };
        if let Some(ip) = entry.address.as_ref().and_then(ip) {
            found[at].addresses.push(InterfaceAddress { ip, broadcast });
        }
    }
    Ok(found)
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(v4), _) => Some(v4.ip().into()),
        (None, Some(v6)) => Some(v6.ip().into()),
        (None, None) => None,
    }
}
