//! The socket: batches in, batches out.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use super::core::{Call, UdpCore};
use super::outbox::{Batch, Outbox};
use super::{drops, errors, path};
use crate::proto::Ecn;
use crate::time::Timestamp;
use crate::transport::buffers::Buffers;
use crate::transport::config::UDP_BUFFER;
use crate::transport::driven::{Drainer, Io, Received, Transmitted};
use crate::transport::{Config, ConnectError, TransportStats};

/// The length of a receive buffer: no datagram, and no row of datagrams that the kernel joined (GRO), is longer. A
/// longer one would be cut, and nothing says so.
const BUFFER_LEN: usize = 1 << 16;
/// How many buffers the kernel is offered while little comes in: what lies beyond them costs no memory.
const BUFFERS_FEW: usize = 4;
/// What one system call may send (`UDP_MAX_SEGMENTS`, and what fits into an IP packet).
const SEGMENTS_MAX: usize = 64;
const SEND_LEN_MAX: usize = 65_507;
/// After how many empty receives in a row the error queue is looked at without a reason: an error that nobody has
/// taken would keep the socket readable.
const EMPTY_MAX: u32 = 16;

/// What the holder of the receive token has.
pub(super) struct UdpRx {
    /// `BATCH_SIZE` buffers; the system gives the memory when they are first written.
    bytes: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
    /// How many of the buffers were filled.
    filled: usize,
    /// How many are offered.
    offered: usize,
    /// Empty receives in a row.
    empty: u32,
    unreachable: Vec<SocketAddr>,
}

impl UdpRx {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; BATCH_SIZE * BUFFER_LEN],
            metas: [RecvMeta::default(); BATCH_SIZE],
            filled: 0,
            offered: BUFFERS_FEW,
            empty: 0,
            unreachable: Vec::new(),
        }
    }

    /// The datagrams of the batch, with where each came from, which of our addresses it was sent to, and its mark.
    pub(super) fn datagrams(&mut self) -> impl Iterator<Item = (&RecvMeta, &mut [u8])> {
        let filled = self.metas[..self.filled].iter().zip(self.bytes.chunks_exact_mut(BUFFER_LEN));
        filled.flat_map(|(meta, buffer)| {
            let mut rest = &mut buffer[..meta.len.min(BUFFER_LEN)];
            // Nothing at all is a datagram too.
            let mut empty = rest.is_empty();
            std::iter::from_fn(move || {
                if rest.is_empty() && !std::mem::take(&mut empty) {
                    return None;
                }
                let len = meta.stride.clamp(1, BUFFER_LEN).min(rest.len());
                let datagram;
                (datagram, rest) = std::mem::take(&mut rest).split_at_mut(len);
                Some((meta, datagram))
            })
        })
    }

    /// Addresses at which nobody listens, as the batch says.
    #[cfg(test)]
    pub(super) fn unreachable(&self) -> &[SocketAddr] {
        &self.unreachable
    }
}

/// What the holder of the transmit token has.
#[derive(Debug, Default)]
pub(super) struct UdpTx {
    pub(super) outbox: Outbox,
}

/// See the module.
pub(super) struct UdpIo {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// An IPv6 socket that takes IPv4 peers too.
    dual: bool,
    send_buffer: (usize, usize),
    receive_buffer: (usize, usize),
    /// A system call failed by what the error queue tells more about.
    has_errors: AtomicBool,
    transmit_calls: AtomicU64,
    refused: AtomicU64,
}

impl UdpIo {
    /// Binds a socket and sets all its options.
    pub(super) fn bind(addr: SocketAddr, config: &Config) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        let dual = addr.is_ipv6() && addr.ip().is_unspecified();
        if addr.is_ipv6() {
            socket.set_only_v6(!dual)?;
        }
        let send = config.send_buffer.unwrap_or(UDP_BUFFER);
        let receive = config.receive_buffer.unwrap_or(UDP_BUFFER);
        Buffers { send: Some(send), receive: Some(receive) }.set(&socket)?;
        let send_buffer = (send, socket.send_buffer_size()?);
        let receive_buffer = (receive, socket.recv_buffer_size()?);
        socket.bind(&addr.into())?;
        let socket = UdpSocket::from(socket);
        let state = UdpSocketState::new((&socket).into())?;
        // quinn-udp asks for the time of each datagram, and its control buffer has no room for that *and* the ECN mark
        // of joined datagrams: the mark is what gets lost (0.6.3).
        setsockopt(&socket, sockopt::ReceiveTimestampns, &false)?;
        // Which of our addresses was called is a question only where there are several.
        match addr {
            _ if addr.ip().is_unspecified() => {}
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &false)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &false)?,
        }
        state.enable_transport_errors((&socket).into())?;
        Ok(Self {
            local: socket.local_addr()?,
            socket,
            state,
            dual,
            send_buffer,
            receive_buffer,
            has_errors: AtomicBool::new(false),
            transmit_calls: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// What the socket's receive buffer really holds, in bytes as the kernel counts them.
    pub(super) const fn receive_buffer(&self) -> usize {
        self.receive_buffer.1
    }

    /// True for an IPv6 socket that takes IPv4 peers too.
    pub(super) const fn is_dual(&self) -> bool {
        self.dual
    }

    /// Sends the next piece of `batch`, as much as one system call takes; how much that was.
    fn send(&self, batch: &Batch) -> io::Result<usize> {
        let rest = batch.rest();
        let (len, segment_size) = match batch.segment {
            Some(segment) if self.state.max_gso_segments() > 1 => {
                let most = SEGMENTS_MAX.min(SEND_LEN_MAX / segment).max(1) * segment;
                (rest.len().min(most), Some(segment))
            }
            Some(segment) => (rest.len().min(segment), None),
            None => (rest.len(), None),
        };
        let transmit = Transmit {
            destination: batch.to,
            ecn: batch.ecn.map(codepoint),
            contents: &rest[..len],
            segment_size,
            src_ip: batch.from,
        };
        self.transmit_calls.fetch_add(1, Ordering::Relaxed);
        let result = self.state.try_send((&self.socket).into(), &transmit);
        match result {
            // The driver cannot cut; quinn-udp has noted it, and the datagrams go one by one.
            Err(_) if segment_size.is_some() && self.state.max_gso_segments() == 1 => Ok(0),
            result => result.map(|()| len),
        }
    }
}

impl Io for UdpIo {
    type Core = UdpCore;
    type Rx = UdpRx;
    type Tx = UdpTx;

    fn source(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn call(&self, remote: SocketAddr) -> Result<Call, ConnectError> {
        let local = self.local;
        if remote.is_ipv4() != local.is_ipv4() && !(self.dual && remote.is_ipv4()) {
            return Err(ConnectError::Address { remote, local });
        }
        let path = path::limits(local.ip(), remote).map_err(|source| ConnectError::Io { remote, source })?;
        Ok(Call { local, path })
    }

    fn receive(&self, rx: &mut UdpRx) -> Received {
        rx.filled = 0;
        rx.unreachable.clear();
        let mut buffers = rx.bytes.chunks_exact_mut(BUFFER_LEN);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        match self.state.recv((&self.socket).into(), &mut slices[..rx.offered], &mut rx.metas) {
            Ok(filled) => {
                rx.filled = filled;
                rx.empty = 0;
                let all = filled == rx.offered;
                rx.offered = if all { BATCH_SIZE } else { BUFFERS_FEW };
                return if all { Received::More } else { Received::Last };
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => rx.empty += 1,
            Err(_) => self.has_errors.store(true, Ordering::Relaxed),
        }
        if rx.empty < EMPTY_MAX && !self.has_errors.swap(false, Ordering::Relaxed) {
            return Received::Nothing;
        }
        rx.empty = 0;
        errors::take(&self.socket, &mut rx.unreachable);
        if rx.unreachable.is_empty() { Received::Nothing } else { Received::More }
    }

    fn handle(&self, rx: &mut UdpRx, core: &mut UdpCore, now: Timestamp, by: Drainer) {
        for remote in rx.unreachable.drain(..) {
            core.handle_unreachable(now, remote);
        }
        if rx.filled == 0 {
            return;
        }
        let bound_to_all = self.local.ip().is_unspecified();
        for (meta, datagram) in rx.datagrams() {
            let called = meta.dst_ip.filter(|_| bound_to_all);
            core.handle_datagram(now, meta.addr, called, meta.ecn.map(mark), datagram);
        }
        core.handle_batch_end(by);
    }

    fn take(&self, core: &mut UdpCore, tx: &mut UdpTx) -> bool {
        tx.outbox.is_empty() && core.take(&mut tx.outbox)
    }

    fn transmit(&self, tx: &mut UdpTx) -> Transmitted {
        let mut retried = false;
        while let Some(batch) = tx.outbox.front() {
            match self.send(batch) {
                Ok(len) => batch.on_gone(len),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Transmitted::Blocked,
                // An earlier datagram's error is told to whoever calls next, instead of sending: once more.
                Err(_) if !retried => {
                    retried = true;
                    self.has_errors.store(true, Ordering::Relaxed);
                    continue;
                }
                // Too long for the interface, no route, a firewall: it counts as lost, as anywhere else on its way.
                Err(_) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    let lost = batch.segment.unwrap_or(usize::MAX).min(batch.rest().len());
                    batch.on_gone(lost);
                }
            }
            retried = false;
            if batch.rest().is_empty() {
                tx.outbox.pop();
            }
        }
        Transmitted::Done
    }

    fn stats(&self, stats: &mut TransportStats) {
        stats.transmit_calls = Some(self.transmit_calls.load(Ordering::Relaxed));
        stats.refused_by_system = Some(self.refused.load(Ordering::Relaxed));
        stats.kernel_drops = drops::count(&self.socket, self.local.is_ipv6());
        stats.segmentation = Some(self.state.max_gso_segments() > 1);
        stats.coalescing = Some(self.state.gro_segments() > 1);
        stats.send_buffer_asked = Some(self.send_buffer.0);
        stats.send_buffer = Some(self.send_buffer.1);
        stats.receive_buffer_asked = Some(self.receive_buffer.0);
        stats.receive_buffer = Some(self.receive_buffer.1);
    }
}

const fn codepoint(ecn: Ecn) -> EcnCodepoint {
    match ecn {
        Ecn::Ect0 => EcnCodepoint::Ect0,
        Ecn::Ect1 => EcnCodepoint::Ect1,
        Ecn::Ce => EcnCodepoint::Ce,
    }
}

pub(super) const fn mark(codepoint: EcnCodepoint) -> Ecn {
    match codepoint {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}
