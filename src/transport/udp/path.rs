//! What the way to a peer allows, as far as this machine knows: a question to the kernel by a socket that sends
//! nothing.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use rustix::net::sockopt::{ip_mtu, ipv6_mtu};

use crate::proto::PathLimits;

/// What the interface allows through which `remote` would be sent to from `local`.
///
/// # Errors
/// Where nothing can be sent there: no route, or an address of another kind.
pub(super) fn limits(local: IpAddr, remote: SocketAddr) -> io::Result<PathLimits> {
    let local = if local.is_unspecified() { unspecified_like(remote) } else { local };
    let socket = UdpSocket::bind(SocketAddr::new(local, 0))?;
    socket.connect(remote)?;
    let mtu = if remote.is_ipv4() { ip_mtu(&socket) } else { ipv6_mtu(&socket) };
    Ok(mtu.map_or_else(|_| PathLimits::unlimited(remote), |mtu| PathLimits::of_interface(mtu, remote)))
}

fn unspecified_like(remote: SocketAddr) -> IpAddr {
    match remote {
        SocketAddr::V4(_) => IpAddr::from([0; 4]),
        SocketAddr::V6(_) => IpAddr::from([0; 16]),
    }
}
