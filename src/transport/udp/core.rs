//! `proto`'s endpoint as the core of a driven transport: addresses as the socket has them, and an outbox.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use super::outbox::Outbox;
use crate::message::Messages;
use crate::proto::handshake::Candidate;
use crate::proto::{self, Drained, Ecn, Endpoint, InviteId, InviteState, Output, Path, PathLimits, Security};
use crate::seal::{Cipher, Exports};
use crate::slots::ConnectionId;
use crate::time::Timestamp;
use crate::transport::driven::{Core, Drainer, Event, Polled};
use crate::transport::{Answer, ConnectError, Stats, TransportStats};

/// So many released connections are not worth looking for forgotten ones among them.
const RELEASED_FEW: usize = 16;

/// What a call needs to know that the core cannot.
#[derive(Clone, Copy, Debug)]
pub(in crate::transport) struct Call {
    /// The transport's address, for errors.
    pub(in crate::transport) local: SocketAddr,
    pub(in crate::transport) path: PathLimits,
}

/// See the module.
#[derive(Debug)]
pub(in crate::transport) struct UdpCore {
    endpoint: Endpoint,
    outbox: Outbox,
    listens: bool,
    /// The socket is an IPv6 one that takes IPv4 peers too, under mapped addresses.
    dual: bool,
    /// Connections that nobody holds any more; some of them are forgotten by now.
    released: Vec<ConnectionId>,
}

impl UdpCore {
    pub(in crate::transport) fn new(config: proto::Config, seed: &[u8; 32], dual: bool, listens: bool) -> Self {
        Self { endpoint: Endpoint::new(config, *seed), outbox: Outbox::default(), listens, dual, released: Vec::new() }
    }

    /// A datagram came from `from` to the address `to` of ours, where that is not the only one.
    pub(in crate::transport) fn handle_datagram(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        to: Option<IpAddr>,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) {
        self.endpoint.handle_datagram(now, Path { remote: from, local: to }, ecn, datagram);
    }

    pub(in crate::transport) fn handle_batch_end(&mut self, by: Drainer) {
        self.endpoint.handle_batch_end(match by {
            Drainer::Caller => Drained::ByWaiter,
            Drainer::Keeper => Drained::ByKeeper,
        });
    }

    pub(in crate::transport) fn handle_unreachable(&mut self, now: Timestamp, remote: SocketAddr) {
        self.endpoint.handle_unreachable(now, remote);
    }

    /// `addr` as the socket names it.
    pub(in crate::transport) fn on_wire(&self, addr: SocketAddr) -> SocketAddr {
        if self.dual { mapped(addr) } else { addr }
    }

    /// Exchanges the outbox for an empty one; false where there is nothing in it.
    pub(in crate::transport) fn take(&mut self, empty: &mut Outbox) -> bool {
        debug_assert!(empty.is_empty());
        if self.outbox.is_empty() {
            return false;
        }
        std::mem::swap(&mut self.outbox, empty);
        true
    }
}

impl Core for UdpCore {
    type Call = Call;

    fn connect(&mut self, now: Timestamp, remote: SocketAddr, call: Call) -> Result<ConnectionId, ConnectError> {
        let called = self.endpoint.connect(now, self.on_wire(remote), call.path);
        called.map_err(|error| connect_error(&error, remote, &call))
    }

    fn join(
        &mut self,
        now: Timestamp,
        remote: SocketAddr,
        call: Call,
        security: Security,
        invite: InviteId,
    ) -> Result<ConnectionId, ConnectError> {
        let candidate = Candidate { remote: self.on_wire(remote), path: call.path, invite };
        self.endpoint.join(now, security, candidate).map_err(|error| connect_error(&error, remote, &call))
    }

    fn add_candidate(
        &mut self,
        now: Timestamp,
        id: ConnectionId,
        remote: SocketAddr,
        call: Call,
        invite: InviteId,
    ) -> bool {
        let candidate = Candidate { remote: self.on_wire(remote), path: call.path, invite };
        self.endpoint.add_candidate(now, id, candidate)
    }

    fn hurry(&mut self, now: Timestamp, id: ConnectionId, patience: Duration) {
        self.endpoint.hurry(now, id, patience);
    }

    fn invite(&self) -> Option<InviteState> {
        self.endpoint.invite()
    }

    fn exports(&self, id: ConnectionId) -> Option<&Exports> {
        self.endpoint.exports(id)
    }

    fn listens(&self) -> bool {
        self.listens
    }

    fn incoming(&mut self) -> Option<ConnectionId> {
        self.endpoint.incoming()
    }

    fn answer(&mut self, now: Timestamp, id: ConnectionId, answer: Answer) {
        self.endpoint.answer(
            now,
            id,
            match answer {
                Answer::Accept => proto::Answer::Accept,
                Answer::Refuse(code) => proto::Answer::Refuse(code),
            },
        );
    }

    fn messages(&self, id: ConnectionId) -> Option<&Messages> {
        self.endpoint.messages(id)
    }

    fn messages_mut(&mut self, id: ConnectionId) -> Option<&mut Messages> {
        self.endpoint.messages_mut(id)
    }

    fn remote(&self, id: ConnectionId) -> Option<SocketAddr> {
        self.endpoint.remote(id).map(|remote| SocketAddr::new(remote.ip().to_canonical(), remote.port()))
    }

    fn answered(&self, id: ConnectionId) -> bool {
        self.endpoint.answered(id)
    }

    fn release(&mut self, now: Timestamp, id: ConnectionId) {
        self.endpoint.release(now, id);
        if self.released.len() >= 2 * self.endpoint.len() + RELEASED_FEW {
            let endpoint = &self.endpoint;
            self.released.retain(|id| endpoint.messages(*id).is_some());
        }
        self.released.push(id);
    }

    /// A connection that is closed on both sides counts for nothing, though the endpoint keeps it for a while, to
    /// answer a peer whose last acknowledgement was lost; a process that ends does not answer either.
    fn is_idle(&self) -> bool {
        let (mut known, mut quiet) = (0, true);
        for messages in self.released.iter().filter_map(|id| self.endpoint.messages(*id)) {
            known += 1;
            quiet &= messages.closed();
        }
        quiet && known == self.endpoint.len() && self.outbox.is_empty() && !self.endpoint.has_output()
    }

    fn handle_wait(&mut self, _now: Timestamp) {
        self.endpoint.handle_wait();
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        self.endpoint.handle_timeout(now);
    }

    fn poll(&mut self, now: Timestamp, events: &mut Vec<Event>) -> Polled {
        while !self.outbox.is_full() {
            match self.endpoint.poll_output(now, self.outbox.buffer()) {
                Output::Transmit(transmit) => {
                    self.outbox.commit(&transmit);
                }
                Output::Changed(id) => events.push(Event::Changed(id)),
                Output::Incoming => events.push(Event::Incoming),
                Output::Wait(deadline) => {
                    return Polled { deadline, transmit: !self.outbox.is_empty(), more: false };
                }
            }
        }
        Polled { deadline: self.endpoint.deadline(), transmit: true, more: self.endpoint.has_output() }
    }

    fn stats(&self, id: ConnectionId, stats: &mut Stats) {
        let Some(link) = self.endpoint.stats(id).and_then(|known| known.link) else { return };
        stats.rtt = link.rtt;
        stats.rtt_min = link.rtt_min;
        stats.rtt_variation = link.rtt.map(|_| link.rtt_variance);
        stats.packets_sent = Some(link.packets_sent);
        stats.packets_received = Some(link.packets_received);
        stats.packets_lost = Some(link.packets_lost);
        stats.retransmits = Some(link.packets_lost);
        stats.window = Some(link.window);
        stats.in_flight = Some(link.in_flight);
        stats.path_mtu = Some(u64::from(link.mtu));
        stats.controller = Some(link.controller.to_owned());
        stats.ecn = link.ecn;
        stats.cipher = link.cipher.map(Cipher::name);
    }

    fn transport_stats(&self, stats: &mut TransportStats) {
        let counters = self.endpoint.counters();
        stats.datagrams_received = Some(counters.datagrams_received);
        stats.datagrams_sent = Some(counters.datagrams_sent);
        stats.drops.extend(counters.iter_dropped().filter(|(_, count)| *count > 0));
    }
}

fn connect_error(error: &proto::ConnectError, remote: SocketAddr, call: &Call) -> ConnectError {
    match error {
        proto::ConnectError::TooMany { .. } => ConnectError::TooMany,
        proto::ConnectError::Address(_) => ConnectError::Address { remote, local: call.local },
    }
}

/// `addr` as an IPv6 socket names it.
fn mapped(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) => SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port()),
        SocketAddr::V6(_) => addr,
    }
}
