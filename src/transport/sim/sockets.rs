//! All that is bound in a simulated world: the sockets of transports, and the ears of discoveries.

use core::net::SocketAddr;
use core::task::Waker;
use std::collections::{BTreeMap, BTreeSet};

use super::ears::Ears;
use super::ports::{Owner, Ports};
use super::socket::Socket;
use super::turns::TaskId;
use crate::network::{HostId, Network};
use crate::time::Timestamp;
use crate::transport::{BindError, Config};

/// Timers that may fire at one time: more mean that one never moves on.
const ROUNDS_MAX: usize = 1_000_000;

/// Names a socket for as long as its world lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SocketId(u64);

/// See the module.
#[derive(Default)]
pub(super) struct Sockets {
    sockets: BTreeMap<SocketId, Socket>,
    /// What discoveries have.
    pub(super) ears: Ears,
    pub(super) ports: Ports,
    deadlines: BTreeSet<(Timestamp, SocketId)>,
    next: u64,
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
        let id = SocketId(self.next);
        let port = self.ports.bind(network, host, addr, Owner::Socket(id))?;
        self.next += 1;
        self.sockets.insert(id, Socket::new(host, SocketAddr::new(addr.ip(), port), config, seed));
        Ok(id)
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
            if delivery.to_everyone {
                self.ears.hear_for_everyone(&delivery, &mut effects.tasks);
                continue;
            }
            match self.ports.owner(delivery.host, delivery.to) {
                Some(Owner::Socket(id)) => {
                    self.get_mut(id).handle(now, &mut delivery);
                    touched.insert(id);
                }
                Some(Owner::Ear(id)) => self.ears.hear(Some(id), delivery, &mut effects.tasks),
                Some(Owner::Ears) => self.ears.hear(None, delivery, &mut effects.tasks),
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
            self.ports.release(socket.host, socket.local);
        }
    }
}
