//! How far a beacon came: what was sent with 255 hops to go and still has them comes from this link, whoever says so
//! (RFC 5082). `spec/pairing.md`, section "Where beacons go".

use nix::sys::socket::{ControlMessageOwned, setsockopt, sockopt};
use socket2::Socket;
use std::io;

/// With so many hops to go beacons leave, and have to arrive.
const HOPS: u32 = 255;

/// Lets beacons leave so, and the system tell of those that come in. Where it does not tell they are taken as they are.
pub(super) fn ask(socket: &Socket, v6: bool) -> io::Result<()> {
    if v6 {
        socket.set_unicast_hops_v6(HOPS)?;
        socket.set_multicast_hops_v6(HOPS)?;
        let _told = setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true);
    } else {
        socket.set_ttl_v4(HOPS)?;
        socket.set_multicast_ttl_v4(HOPS)?;
        let _told = setsockopt(socket, sockopt::Ipv4RecvTtl, &true);
    }
    Ok(())
}

/// Whether a router passed on what came with this, where it says so.
pub(super) fn was_routed(control: &ControlMessageOwned) -> Option<bool> {
    match control {
        ControlMessageOwned::Ipv4Ttl(left) | ControlMessageOwned::Ipv6HopLimit(left) => {
            Some(u32::try_from(*left) != Ok(HOPS))
        }
        _ => None,
    }
}
