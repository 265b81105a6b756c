//! All bound addresses of a simulated world.

use core::net::{IpAddr, SocketAddr};
use core::task::Waker;
use std::collections::{BTreeMap, BTreeSet};

use super::socket::Socket;
use super::turns::TaskId;
use crate::network::{HostId, Network};
use crate::time::Timestamp;
use crate::transport::{BindError, Config};

/// The first port that is given to whoever asks for any (RFC 6335 section 6).
const EPHEMERAL: u16 = 49_152;

/// Timers that may fire at one time: more mean that one never moves on.
const ROUNDS_MAX: usize = 1_000_000;

/// Names a socket for as long as its world lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SocketId(u64);

/// See the module.
#[derive(Default)]
pub(super) struct Sockets {
    sockets: BTreeMap<SocketId, Socket>,
    by_address: BTreeMap<SocketAddr, SocketId>,
    deadlines: BTreeSet<(Timestamp, SocketId)>,
    next: u64,
    /// The port last given to whoever asked for any, by host.
    ephemeral: BTreeMap<HostId, u16>,
}

/// What is to be done after something has happened.
#[derive(Default)]
pub(super) struct Effects {
    /// Threads that may go on.
    pub(super) tasks: Vec<TaskId>,
    /// To be called when no lock is held.
    pub(super) wakers: Vec<Waker>,
}

impl Sockets {
    /// Binds a socket of `host`.
    pub(super) fn bind(
        &mut self,
        network: &Network,
        host: HostId,
        addr: SocketAddr,
        config: &Config,
        seed: [u8; 32],
    ) -> Result<SocketId, BindError> {
        let (ipv4, ipv6) = (network.address(host, 0).ip(), network.address_v6(host, 0).ip());
        let ips = match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => vec![ipv4],
            IpAddr::V6(ip) if ip.is_unspecified() => vec![ipv6, ipv4],
            ip if network.host_at(ip) == Some(host) => vec![ip],
            _ => return Err(BindError::AddressNotAvailable { addr }),
        };
        let port = match addr.port() {
            0 => self.free_port(host, &ips).ok_or(BindError::AddressInUse { addr })?,
            port if self.is_free(&ips, port) => port,
            _ => return Err(BindError::AddressInUse { addr }),
        };
        let addresses: Vec<_> = ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        let id = SocketId(self.next);
        self.next += 1;
        self.by_address.extend(addresses.iter().map(|address| (*address, id)));
        self.sockets.insert(id, Socket::new(host, SocketAddr::new(addr.ip(), port), addresses, config, seed));
        Ok(id)
    }

    fn is_free(&self, ips: &[IpAddr], port: u16) -> bool {
        ips.iter().all(|ip| !self.by_address.contains_key(&SocketAddr::new(*ip, port)))
    }

    fn free_port(&mut self, host: HostId, ips: &[IpAddr]) -> Option<u16> {
        let last = self.ephemeral.get(&host).copied().unwrap_or(u16::MAX);
        let ports = (last.checked_add(1).unwrap_or(EPHEMERAL)..=u16::MAX).chain(EPHEMERAL..=last);
        let port = ports.into_iter().find(|port| self.is_free(ips, *port))?;
        self.ephemeral.insert(host, port);
        Some(port)
    }

    /// True until the socket is closed for good.
    pub(super) fn contains(&self, id: SocketId) -> bool {
        self.sockets.contains_key(&id)
    }

    /// A socket that somebody holds.
    pub(super) fn get(&self, id: SocketId) -> &Socket {
        self.sockets.get(&id).expect("a socket lives as long as it is held")
    }

    /// A socket that somebody holds, to change. [`settle`](Self::settle) is to follow.
    pub(super) fn get_mut(&mut self, id: SocketId) -> &mut Socket {
        self.sockets.get_mut(&id).expect("a socket lives as long as it is held")
    }

    /// When the next timer is due.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Takes what has arrived, and runs the timers that are due.
    pub(super) fn advance(&mut self, now: Timestamp, network: &mut Network, effects: &mut Effects) {
        let mut touched = BTreeSet::new();
        while let Some(mut delivery) = network.poll(now) {
            match self.by_address.get(&delivery.to).copied() {
                Some(id) => {
                    self.get_mut(id).handle(now, &mut delivery);
                    touched.insert(id);
                }
                None => network.refuse(now, &delivery),
            }
        }
        for id in touched {
            self.get_mut(id).handle_batch_end();
            self.settle(id, now, network, effects);
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.handle_wait(now);
                self.settle(id, now, network, effects);
            }
        }
        let mut rounds = 0;
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            rounds += 1;
            assert!(rounds < ROUNDS_MAX, "timers that never come to rest at {now:?}");
            self.get_mut(id).handle_timeout(now);
            self.settle(id, now, network, effects);
        }
    }

    /// Works off what has happened to a socket.
    pub(super) fn settle(&mut self, id: SocketId, now: Timestamp, network: &mut Network, effects: &mut Effects) {
        let socket = self.get_mut(id);
        let before = socket.deadline;
        let over = socket.settle(now, network, effects);
        let after = socket.deadline;
        if before != after {
            before.map(|at| self.deadlines.remove(&(at, id)));
            self.deadlines.extend(after.map(|at| (at, id)));
        }
        if over {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.remove(&id) {
            socket.deadline.map(|at| self.deadlines.remove(&(at, id)));
            for address in socket.addresses {
                self.by_address.remove(&address);
            }
        }
    }
}
