//! What the kernel knows of a TCP connection, by netlink's sock_diag (sock_diag(7)): `getsockopt(TCP_INFO)` has no safe
//! wrapper.
//!
//! Numbers are in the machine's byte order, ports and addresses in the network's.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::net::TcpStream;

use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use crate::transport::Stats;

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

/// What IP and UDP put before a payload, bytes.
const UDP_HEADERS_LEN: (u32, u32) = (28, 48);
/// The longest UDP payload that we use, bytes, whatever the interface carries.
const UDP_PAYLOAD_MAX: (u32, u32) = (65_507, 65_487);

/// What the kernel knows of `socket`, a TCP connection of anybody's: `rtt`, `rtt_min`, `rtt_variation`, `packets_lost`,
/// `retransmits`, `spurious_losses`, `window`, `in_flight` and `path_mtu` as they are in the [`Stats`] of a
/// connection of [`bind`](super::bind)'s, so that raw TCP can be compared with it. Everything else is empty; so is
/// what the kernel does not tell. Does not block.
#[must_use]
pub fn kernel_stats(socket: &TcpStream) -> Stats {
    let mut stats = Stats::default();
    fill(socket, &mut stats);
    stats
}

/// Fills in what the kernel knows of a connection. Makes system calls.
pub(super) fn fill(socket: &TcpStream, stats: &mut Stats) {
    let (Ok(local), Ok(peer)) = (socket.local_addr(), socket.peer_addr()) else { return };
    if let Some(info) = ask(local, peer) {
        info.fill(peer.ip().to_canonical().is_ipv4(), stats);
    }
}

fn ask(local: SocketAddr, peer: SocketAddr) -> Option<Info> {
    let request = request(local, peer)?;
    let netlink = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG)).ok()?;
    // A netlink socket without an address sends to the kernel, which has answered when the call returns.
    send(&netlink, &request, SendFlags::empty()).ok()?;
    let mut reply = [0; 4_096];
    let (len, _) = recv(&netlink, &mut reply, RecvFlags::DONTWAIT).ok()?;
    parse(&reply[..len])
}

/// The part of struct tcp_info that is of use. An older kernel's is shorter: what it lacks is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Info {
    mss: u32,
    /// Segments: sent and not acknowledged in sequence; of these, acknowledged by SACK, taken for lost, sent again.
    unacked: u32,
    sacked: u32,
    lost: u32,
    retrans: u32,
    /// Bytes of an IP packet.
    pmtu: u32,
    rtt_us: u32,
    rttvar_us: u32,
    /// Segments.
    cwnd: u32,
    total_retrans: u32,
    min_rtt_us: Option<u32>,
    dsack_dups: Option<u32>,
}

impl Info {
    /// Reads it from struct tcp_info.
    fn parse(info: &[u8]) -> Option<Self> {
        let at = |offset: usize| info.get(offset..offset + 4)?.try_into().ok().map(u32::from_ne_bytes);
        Some(Self {
            mss: at(16)?,
            unacked: at(24)?,
            sacked: at(28)?,
            lost: at(32)?,
            retrans: at(36)?,
            pmtu: at(60)?,
            rtt_us: at(68)?,
            rttvar_us: at(72)?,
            cwnd: at(80)?,
            total_retrans: at(100)?,
            // All ones until there is one.
            min_rtt_us: at(148).filter(|us| *us != u32::MAX),
            dsack_dups: at(216),
        })
    }

    fn fill(&self, v4: bool, stats: &mut Stats) {
        let us = |us: u32| Duration::from_micros(us.into());
        let bytes = |segments: u32| u64::from(segments) * u64::from(self.mss);
        // Zero until a round trip was measured.
        if self.rtt_us > 0 {
            stats.rtt = Some(us(self.rtt_us));
            stats.rtt_variation = Some(us(self.rttvar_us));
        }
        stats.rtt_min = self.min_rtt_us.map(us);
        stats.packets_lost = Some(self.total_retrans.into());
        stats.retransmits = Some(self.total_retrans.into());
        stats.spurious_losses = self.dsack_dups.map(u64::from);
        stats.window = Some(bytes(self.cwnd));
        // As RFC 6675's "pipe".
        let pipe = (self.unacked + self.retrans).saturating_sub(self.sacked.saturating_add(self.lost));
        stats.in_flight = Some(bytes(pipe));
        let (headers, max) =
            if v4 { (UDP_HEADERS_LEN.0, UDP_PAYLOAD_MAX.0) } else { (UDP_HEADERS_LEN.1, UDP_PAYLOAD_MAX.1) };
        stats.path_mtu = self.pmtu.checked_sub(headers).map(|payload| payload.min(max).into());
    }
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

fn parse(reply: &[u8]) -> Option<Info> {
    let kind = reply.get(4..6)?.try_into().ok().map(u16::from_ne_bytes)?;
    if kind != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut attributes = reply.get(HEADER_LEN + REPLY_LEN..)?;
    while attributes.len() >= 4 {
        let len = usize::from(u16::from_ne_bytes([attributes[0], attributes[1]]));
        let kind = u16::from_ne_bytes([attributes[2], attributes[3]]);
        if kind == INET_DIAG_INFO {
            return Info::parse(attributes.get(4..len)?);
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
        info[100..].copy_from_slice(&7_u32.to_ne_bytes());
        reply.extend_from_slice(&[108_u16.to_ne_bytes(), INET_DIAG_INFO.to_ne_bytes()].concat());
        reply.extend_from_slice(&info);
        assert_eq!(parse(&reply), Some(Info { total_retrans: 7, ..Info::default() }));
        for len in 0..reply.len() {
            assert_eq!(parse(&reply[..len]), None, "{len}");
        }
        reply[4] ^= 1;
        assert_eq!(parse(&reply), None);
    }

    #[test]
    fn segments_become_bytes_and_a_path_mtu_becomes_what_udp_can_carry_over_it() {
        let info = Info { mss: 1_448, unacked: 10, sacked: 3, lost: 2, retrans: 1, cwnd: 20, ..Info::default() };
        for (pmtu, v4, path_mtu) in [
            (1_500, true, Some(1_472)),
            (1_500, false, Some(1_452)),
            (65_536, true, Some(65_507)),
            (65_536, false, Some(65_487)),
            (27, true, None),
        ] {
            let mut stats = Stats::default();
            Info { pmtu, ..info }.fill(v4, &mut stats);
            assert_eq!((stats.window, stats.in_flight), (Some(20 * 1_448), Some(6 * 1_448)));
            assert_eq!(stats.path_mtu, path_mtu, "{pmtu}");
            assert_eq!((stats.rtt, stats.rtt_min), (None, None), "nothing was measured yet");
        }
    }

    #[test]
    fn the_kernel_knows_a_loopback_connection() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = std::net::TcpListener::bind(address) else {
                eprintln!("skipped: nothing can listen at {address}");
                continue;
            };
            let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let stats = kernel_stats(&socket);
            if stats.path_mtu.is_none() {
                // A kernel built without INET_DIAG tells nothing; one that tells, tells all of it.
                eprintln!("skipped: this kernel does not tell");
                assert_eq!(stats.retransmits, None);
                continue;
            }
            assert!(stats.path_mtu >= Some(1_200) && stats.window > Some(0), "{stats:?}");
            assert_eq!((stats.retransmits, stats.in_flight), (Some(0), Some(0)));
            assert!(stats.rtt.is_some(), "the handshake measured it: {stats:?}");
        }
    }
}
