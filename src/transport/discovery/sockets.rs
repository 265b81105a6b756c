//! The system's sockets for a discovery.
//!
//! One socket serves all interfaces: each datagram says by which one it leaves (IP_PKTINFO), which needs no privilege,
//! as binding to a device did for long, and nothing has to be opened when an interface appears.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use core::task::Waker;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd as _};
use std::sync::Arc;

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg,
    setsockopt, sockopt,
};
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::{BUFFER_LEN, Heard, Medium, hops};
use crate::pairing::{DISCOVERY_PORT, InterfaceId, Target};
use crate::time::Timestamp;
use crate::transport::clock;
use crate::transport::driven::Signal;

/// Room for one of the two packet informations, and for how far it came.
const CONTROL_LEN: usize = 128;

/// See the module.
#[derive(Debug)]
pub(in crate::transport) struct Sockets {
    own: [Option<Socket>; 2],
    shared: [Option<Socket>; 2],
    signal: Arc<Signal>,
}

impl Sockets {
    /// None open yet.
    ///
    /// # Errors
    /// Where the system gives no descriptor.
    pub(in crate::transport) fn closed() -> io::Result<Self> {
        Ok(Self { own: [None, None], shared: [None, None], signal: Arc::new(Signal::new()?) })
    }

    fn all(&self) -> impl Iterator<Item = Option<&Socket>> {
        self.own.iter().chain(&self.shared).map(Option::as_ref)
    }
}

impl Medium for Sockets {
    fn open(&mut self) -> Vec<(SocketAddr, io::Result<()>)> {
        let every = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let mut tried = Vec::new();
        for (sockets, port) in [(&mut self.own, 0), (&mut self.shared, DISCOVERY_PORT)] {
            for (socket, ip) in sockets.iter_mut().zip(every).filter(|(socket, _)| socket.is_none()) {
                let address = SocketAddr::new(ip, port);
                tried.push((address, bind(address).map(|bound| *socket = Some(bound))));
            }
        }
        tried
    }

    fn is_empty(&self) -> bool {
        self.own.iter().all(Option::is_none)
    }

    fn can_send(&self, to: SocketAddr) -> bool {
        self.own[usize::from(to.is_ipv6())].is_some()
    }

    fn can_join(&self, group: IpAddr) -> bool {
        self.shared[usize::from(group.is_ipv6())].is_some()
    }

    fn join(&mut self, interface: InterfaceId, group: IpAddr) -> io::Result<()> {
        let shared = self.shared[usize::from(group.is_ipv6())].as_ref();
        let socket = shared.ok_or(ErrorKind::Unsupported)?;
        let joined = match group {
            IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface.0)),
            IpAddr::V6(group) => socket.join_multicast_v6(&group, interface.0),
        };
        match joined {
            // It is a member already.
            Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(()),
            result => result,
        }
    }

    fn send(&mut self, target: &Target, beacon: &[u8]) -> io::Result<()> {
        let Some(socket) = &self.own[usize::from(target.to.is_ipv6())] else {
            return Err(ErrorKind::Unsupported.into());
        };
        match target.to {
            SocketAddr::V4(to) => send_v4(socket, to, target, beacon),
            SocketAddr::V6(to) => send_v6(socket, to, target, beacon),
        }
    }

    fn send_routed(&mut self, to: SocketAddr, beacon: &[u8]) -> io::Result<()> {
        match &self.own[usize::from(to.is_ipv6())] {
            Some(socket) => socket.send_to(beacon, &to.into()).map(|_| ()),
            None => Err(ErrorKind::Unsupported.into()),
        }
    }

    fn sockets(&self) -> usize {
        self.own.len() + self.shared.len()
    }

    fn receive(&mut self, number: usize, buffer: &mut [u8; BUFFER_LEN]) -> Option<Heard> {
        let socket = self.all().nth(number).flatten()?;
        let mut control = [0; CONTROL_LEN];
        loop {
            let mut slices = [IoSliceMut::new(buffer.as_mut_slice())];
            let flags = MsgFlags::MSG_DONTWAIT;
            let received = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags);
            match received {
                Ok(message) => {
                    let (mut interface, mut routed) = (None, None);
                    for one in message.cmsgs().into_iter().flatten() {
                        interface = interface.or_else(|| interface_of(&one));
                        routed = routed.or_else(|| hops::was_routed(&one));
                    }
                    let from = message.address.as_ref().and_then(address_of)?;
                    return Some(Heard {
                        from,
                        interface: interface.unwrap_or(InterfaceId(0)),
                        len: message.bytes,
                        routed: routed.unwrap_or(false),
                    });
                }
                Err(nix::errno::Errno::EINTR) => {}
                // Nothing there, or an error that an earlier datagram met: it was told where it was sent.
                Err(_) => return None,
            }
        }
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.signal))
    }

    fn take_wake(&mut self) -> bool {
        let raised = self.signal.is_raised();
        if raised {
            self.signal.clear();
        }
        raised
    }

    fn sleep(&mut self, until: Timestamp) -> Result<(), ErrorKind> {
        let timeout = clock::timespec(until.saturating_since(clock::now()));
        let mut fds = vec![PollFd::new(&*self.signal, PollFlags::IN)];
        fds.extend(self.all().flatten().map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)));
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(io::Error::from(errno).kind()),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv4() {
        socket.set_broadcast(true)?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    } else {
        socket.set_only_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    hops::ask(&socket, address.is_ipv6())?;
    if address.port() != 0 {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn send_v4(socket: &Socket, to: SocketAddrV4, target: &Target, beacon: &[u8]) -> io::Result<()> {
    let from = match target.from {
        Some(IpAddr::V4(ip)) => ip,
        _ => Ipv4Addr::UNSPECIFIED,
    };
    let info = in_pktinfo {
        ipi_ifindex: i32::try_from(target.interface.0).map_err(|_| ErrorKind::InvalidInput)?,
        ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
        ipi_addr: in_addr { s_addr: 0 },
    };
    let control = [ControlMessage::Ipv4PacketInfo(&info)];
    let (slices, flags) = ([IoSlice::new(beacon)], MsgFlags::MSG_DONTWAIT);
    sendmsg(socket.as_raw_fd(), &slices, &control, flags, Some(&SockaddrIn::from(to)))?;
    Ok(())
}

fn send_v6(socket: &Socket, to: SocketAddrV6, target: &Target, beacon: &[u8]) -> io::Result<()> {
    let from = match target.from {
        Some(IpAddr::V6(ip)) => ip,
        _ => Ipv6Addr::UNSPECIFIED,
    };
    let info = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: from.octets() }, ipi6_ifindex: target.interface.0 };
    let control = [ControlMessage::Ipv6PacketInfo(&info)];
    let (slices, flags) = ([IoSlice::new(beacon)], MsgFlags::MSG_DONTWAIT);
    sendmsg(socket.as_raw_fd(), &slices, &control, flags, Some(&SockaddrIn6::from(to)))?;
    Ok(())
}

fn interface_of(control: &ControlMessageOwned) -> Option<InterfaceId> {
    match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => u32::try_from(info.ipi_ifindex).ok().map(InterfaceId),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(InterfaceId(info.ipi6_ifindex)),
        _ => None,
    }
}

fn address_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::from((v4.ip(), v4.port())));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddrV6::new(v6.ip(), v6.port(), 0, v6.scope_id()).into())
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::net::UdpSocket;

    use super::*;
    use crate::pairing::BEACON_LEN;

    #[test]
    fn how_far_a_beacon_came_is_told_over_either_family() {
        for (number, ip) in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()].into_iter().enumerate() {
            let mut sockets = Sockets::closed().unwrap();
            sockets.open();
            let Some(own) = &sockets.own[number] else { continue };
            let to = SocketAddr::new(ip, own.local_addr().unwrap().as_socket().unwrap().port());
            let stranger = UdpSocket::bind((ip, 0)).unwrap();
            let by = Target { interface: InterfaceId(0), from: None, to };
            let mut others = Sockets::closed().unwrap();
            others.open();
            others.send(&by, &[1; BEACON_LEN]).unwrap();
            // A program that does not know better: with what the system has for a default.
            stranger.send_to(&[2; BEACON_LEN], to).unwrap();
            let mut routed = [None; 2];
            let end = clock::now() + Duration::from_secs(20);
            while routed.contains(&None) && clock::now() < end {
                sockets.sleep(end).unwrap();
                let mut buffer = [0; BUFFER_LEN];
                while let Some(heard) = sockets.receive(number, &mut buffer) {
                    routed[usize::from(buffer[0]) - 1] = Some(heard.routed);
                }
            }
            assert_eq!(routed, [Some(false), Some(true)], "{ip}");
        }
    }
}
