//! What the swarm drives: an end of connections without sockets, threads or a clock.

use core::net::SocketAddr;

use udpair::message::Messages;
use udpair::proto::Drained;
use udpair::sim::Ecn;
use udpair::slots::ConnectionId;
use udpair::time::Timestamp;

use crate::plan::{HostPlan, Sealing};

/// What a core wants of whoever drives it.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send the buffer to `to`, in datagrams of `segment` bytes.
    Transmit { to: SocketAddr, segment: usize, ecn: Option<Ecn> },
    /// Something is new on this connection.
    Changed(ConnectionId),
    /// A connection came in.
    Incoming,
    /// Nothing now; call `timeout` then.
    Wait(Option<Timestamp>),
}

pub(crate) trait Core {
    fn new(plan: &HostPlan, sealing: Sealing, seed: u64) -> Self;
    fn connect(&mut self, now: Timestamp, remote: SocketAddr) -> ConnectionId;
    fn incoming(&mut self) -> Option<ConnectionId>;
    fn remote(&self, id: ConnectionId) -> Option<SocketAddr>;
    fn accept(&mut self, now: Timestamp, id: ConnectionId);
    fn refuse(&mut self, now: Timestamp, id: ConnectionId, code: u32);
    fn messages(&mut self, id: ConnectionId) -> Option<&mut Messages>;
    /// The same to look at, which changes nothing.
    fn peek(&self, id: ConnectionId) -> Option<&Messages>;
    fn datagram(&mut self, now: Timestamp, from: SocketAddr, ecn: Option<Ecn>, datagram: &[u8]);
    fn batch_end(&mut self, drained: Drained);
    /// The application waits.
    fn wait(&mut self);
    fn timeout(&mut self, now: Timestamp);
    fn output(&mut self, now: Timestamp, buf: &mut Vec<u8>) -> Output;
    fn release(&mut self, now: Timestamp, id: ConnectionId);
    /// What a datagram says, for whoever replays a world.
    fn explain(datagram: &[u8]) -> String;
    /// What a connection exports, where it is sealed.
    fn exporter(&self, id: ConnectionId) -> Option<[u8; 32]>;
    /// How many datagrams were dropped.
    fn dropped(&self) -> u64;
    /// True where whatever is recorded and played again must do nothing.
    fn is_replay_proof() -> bool;
    /// What was dropped, for whoever finds a world stuck.
    fn drops(&self) -> Vec<(&'static str, u64)>;
    /// Panics where more is held than the limits allow.
    fn check_bounds(&self);
}
