//! A bound address in a simulated world: the UDP back end's core, and the network in place of the kernel.

use core::net::SocketAddr;
use core::task::Waker;

use super::sockets::Effects;
use super::turns::TaskId;
use crate::network::{Delivery, DeliveryKind, Ecn, HostId, Network};
use crate::proto::{self, PathLimits};
use crate::time::Timestamp;
use crate::transport::config::UDP_BUFFER;
use crate::transport::driven::{Core as _, Drainer, State, WaiterKey, Work};
use crate::transport::udp::{Call, Outbox, UdpCore};
use crate::transport::{Config, Interest};

/// See the module.
pub(super) struct Socket {
    pub(super) host: HostId,
    /// As it was bound.
    pub(super) local: SocketAddr,
    pub(super) state: State<UdpCore>,
    outbox: Outbox,
    /// When its timers want to be run.
    pub(super) deadline: Option<Timestamp>,
    /// Threads that wait for something of it.
    pub(super) waiting: Vec<(WaiterKey, TaskId)>,
}

impl Socket {
    pub(super) fn new(host: HostId, local: SocketAddr, config: &Config, seed: [u8; 32]) -> Self {
        let endpoint = proto::Config {
            security: config.security.clone(),
            limits: config.limits,
            idle_timeout: config.idle_timeout,
            connect_timeout: config.connect_timeout,
            backlog: config.backlog,
            controller: config.controller,
            receive_buffer: config.receive_buffer.unwrap_or(UDP_BUFFER) as u64,
            ..proto::Config::default()
        };
        let dual = local.is_ipv6() && local.ip().is_unspecified();
        let core = UdpCore::new(endpoint, &seed, dual, config.backlog > 0);
        Self { host, local, state: State::new(core), outbox: Outbox::default(), deadline: None, waiting: Vec::new() }
    }

    /// What a call to `remote` needs: the interface's MTU is that of the link.
    pub(super) fn call(&self, network: &Network, remote: SocketAddr) -> Call {
        let to = network.reached(self.host, remote.ip());
        let mtu = to.map_or(0, |to| network.config(self.host, to).mtu);
        Call { local: self.local, path: PathLimits::of_interface(mtu, remote) }
    }

    /// Something arrived.
    pub(super) fn handle(&mut self, now: Timestamp, delivery: &mut Delivery) {
        let core = &mut self.state.core;
        let from = core.on_wire(delivery.from);
        // Which of the host's addresses was called is a question only where there are several.
        let called = self.local.ip().is_unspecified().then_some(delivery.to.ip());
        match delivery.kind {
            DeliveryKind::Unreachable => core.handle_unreachable(now, from),
            DeliveryKind::Datagram => {
                core.handle_datagram(now, from, called, delivery.ecn.map(proto_ecn), &mut delivery.bytes);
            }
        }
    }

    /// All that arrived at one time was handled.
    pub(super) fn handle_batch_end(&mut self) {
        let by = if self.waiting.is_empty() { Drainer::Keeper } else { Drainer::Caller };
        self.state.core.handle_batch_end(by);
    }

    /// The time of a timer has come.
    pub(super) fn handle_timeout(&mut self, now: Timestamp) {
        self.state.core.handle_timeout(now);
    }

    /// Works off what has happened: sends, and says who is to go on. True when nobody holds the socket any more and
    /// nothing is left to do.
    pub(super) fn settle(&mut self, now: Timestamp, network: &mut Network, effects: &mut Effects) -> bool {
        let over = self.poll(now, network, effects);
        effects.tasks.extend(self.woken());
        over
    }

    /// Those who wait go on waiting, after something came that was not for them: what was held back in the hope of an
    /// answer to carry it is due.
    pub(super) fn handle_wait(&mut self, now: Timestamp) {
        if !self.waiting.is_empty() && self.woken().next().is_none() {
            self.state.core.handle_wait(now);
        }
    }

    fn poll(&mut self, now: Timestamp, network: &mut Network, effects: &mut Effects) -> bool {
        loop {
            let Work { wakers, deadline, over, .. } = self.state.poll(now, None);
            effects.wakers.extend(wakers);
            self.deadline = deadline;
            self.state.core.take(&mut self.outbox);
            self.transmit(now, network);
            if !self.state.has_more() {
                return over;
            }
        }
    }

    fn transmit(&mut self, now: Timestamp, network: &mut Network) {
        while let Some(batch) = self.outbox.front() {
            let to = SocketAddr::new(batch.to.ip().to_canonical(), batch.to.port());
            let ecn = batch.ecn.map(sim_ecn);
            let bytes = batch.rest();
            let segment = batch.segment.unwrap_or(bytes.len()).max(1);
            let from = if self.local.ip().is_unspecified() {
                batch.from.or_else(|| network.source_for(self.host, to.ip()))
            } else {
                Some(self.local.ip())
            };
            // A socket of one family cannot send to the other.
            if let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4()) {
                let way = (SocketAddr::new(from, self.local.port()), to);
                for datagram in bytes.chunks(segment) {
                    network.send_from(now, self.host, way, ecn, datagram);
                }
            }
            self.outbox.pop();
        }
    }

    /// The threads whose wait has come to something.
    fn woken(&self) -> impl Iterator<Item = TaskId> {
        self.waiting.iter().filter(|(key, _)| self.state.waiters.is_woken(*key)).map(|(_, task)| *task)
    }

    /// A thread waits. It is woken by its place in `waiting`, not by a waker.
    pub(super) fn add_waiting(&mut self, task: TaskId, interests: &[Interest]) -> WaiterKey {
        let key = self.state.waiters.add(interests, Waker::noop().clone());
        self.waiting.push((key, task));
        key
    }

    /// A thread no longer waits.
    pub(super) fn remove_waiting(&mut self, key: WaiterKey, wakers: &mut Vec<Waker>) {
        self.waiting.retain(|(waiting, _)| *waiting != key);
        self.state.leave(key, wakers);
    }
}

const fn proto_ecn(ecn: Ecn) -> proto::Ecn {
    match ecn {
        Ecn::Ect0 => proto::Ecn::Ect0,
        Ecn::Ect1 => proto::Ecn::Ect1,
        Ecn::Ce => proto::Ecn::Ce,
    }
}

const fn sim_ecn(ecn: proto::Ecn) -> Ecn {
    match ecn {
        proto::Ecn::Ect0 => Ecn::Ect0,
        proto::Ecn::Ect1 => Ecn::Ect1,
        proto::Ecn::Ce => Ecn::Ce,
    }
}
