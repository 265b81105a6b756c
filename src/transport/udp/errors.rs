//! What ICMP has told the kernel about datagrams of ours: the socket's error queue.

use std::io::IoSliceMut;
use std::net::{SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd as _};

use nix::cmsg_space;
use nix::libc::{SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

/// How many errors are taken in one go; each was paid for with a datagram of ours.
const ERRORS_MAX: usize = 64;

/// Room for what comes with an error: the error itself with the address of who sent it, and beside it whatever is asked
/// for with datagrams. What does not fit is cut, and the error with it.
const CONTROL_LEN: usize = 256;

/// ICMP's "destination unreachable" and its "port unreachable" (RFC 792).
const UNREACHABLE_V4: u8 = 3;
const PORT_V4: u8 = 3;
/// The same of ICMPv6 (RFC 4443).
const UNREACHABLE_V6: u8 = 1;
const PORT_V6: u8 = 4;

/// Empties the queue: pushes the addresses at which nobody listens.
pub(super) fn take(socket: &impl AsFd, unreachable: &mut Vec<SocketAddr>) {
    let fd = socket.as_fd().as_raw_fd();
    let mut control = cmsg_space!([u8; CONTROL_LEN]);
    for _ in 0..ERRORS_MAX {
        // Of the datagram itself nothing is wanted.
        let mut nothing = [0; 1];
        let mut slices = [IoSliceMut::new(&mut nothing)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let Ok(message) = recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut control), flags) else { return };
        let says_so = message.cmsgs().is_ok_and(|mut control| control.any(|one| is_port_unreachable(&one)));
        // The address that the datagram went to.
        if let Some(remote) = message.address.filter(|_| says_so).as_ref().and_then(addr_of) {
            unreachable.push(remote);
        }
    }
}

fn is_port_unreachable(control: &ControlMessageOwned) -> bool {
    // An IPv6 socket hears as its own kind of error what ICMP says about its IPv4 peers.
    let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) = control else {
        return false;
    };
    let said = (error.ee_origin, error.ee_type, error.ee_code);
    said == (SO_EE_ORIGIN_ICMP, UNREACHABLE_V4, PORT_V4) || said == (SO_EE_ORIGIN_ICMP6, UNREACHABLE_V6, PORT_V6)
}

fn addr_of(addr: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = addr.as_sockaddr_in() {
        return Some(SocketAddr::from((v4.ip(), v4.port())));
    }
    addr.as_sockaddr_in6().map(|v6| SocketAddrV6::new(v6.ip(), v6.port(), 0, v6.scope_id()).into())
}
