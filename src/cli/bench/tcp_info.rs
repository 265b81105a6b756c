//! What the kernel counts of a TCP connection, by netlink's sock_diag (sock_diag(7)): `getsockopt(TCP_INFO)` has no
//! safe wrapper.
//!
//! Numbers are in the machine's byte order, ports and addresses in the network's.

use std::net::{IpAddr, SocketAddr, TcpStream};

use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// nlmsghdr.
const HEADER_LEN: usize = 16;
/// inet_diag_req_v2.
const REQUEST_LEN: usize = 56;
/// inet_diag_msg.
const REPLY_LEN: usize = 72;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const INET_DIAG_INFO: u16 = 2;

/// Where in struct tcp_info the number stands.
const TCPI_TOTAL_RETRANS: usize = 100;

/// Segments of `tcp` that were sent again since it was opened; `None` where the kernel does not tell.
pub(crate) fn retransmits(tcp: &TcpStream) -> Option<u32> {
    let request = request(tcp.local_addr().ok()?, tcp.peer_addr().ok()?)?;
    let netlink = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG)).ok()?;
    // A netlink socket without an address sends to the kernel, which has answered when the call returns.
    send(&netlink, &request, SendFlags::empty()).ok()?;
    let mut reply = [0; 4_096];
    let (len, _) = recv(&netlink, &mut reply, RecvFlags::DONTWAIT).ok()?;
    parse(&reply[..len])
}

/// Asks for exactly one connection.
fn request(local: SocketAddr, peer: SocketAddr) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(HEADER_LEN + REQUEST_LEN);
    out.extend_from_slice(&u32::try_from(HEADER_LEN + REQUEST_LEN).ok()?.to_ne_bytes());
    out.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    out.extend_from_slice(&[0; 8]); // sequence number, sender
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    out.extend_from_slice(&[family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    out.extend_from_slice(&u32::MAX.to_ne_bytes()); // in any state
    out.extend_from_slice(&local.port().to_be_bytes());
    out.extend_from_slice(&peer.port().to_be_bytes());
    for address in [local.ip(), peer.ip()] {
        out.extend_from_slice(&address_bytes(address));
    }
    out.extend_from_slice(&[0; 4]); // on any interface
    out.extend_from_slice(&[0xff; 8]); // no cookie
    Some(out)
}

fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
    }
}

fn parse(reply: &[u8]) -> Option<u32> {
    let kind = reply.get(4..6)?.try_into().ok().map(u16::from_ne_bytes)?;
    if kind != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut attributes = reply.get(HEADER_LEN + REPLY_LEN..)?;
    while attributes.len() >= 4 {
        let len = usize::from(u16::from_ne_bytes([attributes[0], attributes[1]]));
        let kind = u16::from_ne_bytes([attributes[2], attributes[3]]);
        if kind == INET_DIAG_INFO {
            let info = attributes.get(4..len)?;
            let number = info.get(TCPI_TOTAL_RETRANS..TCPI_TOTAL_RETRANS + 4)?;
            return number.try_into().ok().map(u32::from_ne_bytes);
        }
        // Attributes begin at multiples of four; none is shorter than its own head.
        attributes = attributes.get(len.max(4).next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_kernels_length() {
        for (a, b) in [("127.0.0.1:1", "127.0.0.1:2"), ("[::1]:1", "[::1]:2")] {
            let request = request(a.parse().unwrap(), b.parse().unwrap()).unwrap();
            assert_eq!(request.len(), HEADER_LEN + REQUEST_LEN);
        }
    }

    #[test]
    fn short_or_strange_replies_are_unknown() {
        let mut reply = vec![0_u8; HEADER_LEN + REPLY_LEN];
        reply[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        // An attribute that we do not want, of length 5 and padding, then ours.
        reply.extend_from_slice(&[5_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat());
        reply.extend_from_slice(&[0xaa, 0, 0, 0]);
        let mut info = vec![0_u8; 104];
        info[TCPI_TOTAL_RETRANS..].copy_from_slice(&7_u32.to_ne_bytes());
        reply.extend_from_slice(&[108_u16.to_ne_bytes(), INET_DIAG_INFO.to_ne_bytes()].concat());
        reply.extend_from_slice(&info);
        assert_eq!(parse(&reply), Some(7));
        for len in 0..reply.len() {
            assert_eq!(parse(&reply[..len]), None, "{len}");
        }
        reply[4] ^= 1;
        assert_eq!(parse(&reply), None);
    }

    #[test]
    fn the_kernel_knows_a_loopback_connection() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // A kernel built without INET_DIAG tells nothing; one that tells, tells the truth.
        assert!(matches!(retransmits(&tcp), None | Some(0)));
    }
}
