//! Where beacons are sent and heard: the system's sockets, or a simulated host's.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::task::Waker;
use std::io::{self, ErrorKind};

use crate::pairing::{BEACON_LEN, InterfaceId, Target};
use crate::time::Timestamp;

/// One byte more than a beacon has: what is longer shows.
pub(in crate::transport) const BUFFER_LEN: usize = BEACON_LEN + 1;

/// A datagram that came in.
#[derive(Debug)]
pub(in crate::transport) struct Heard {
    pub(in crate::transport) from: SocketAddr,
    pub(in crate::transport) interface: InterfaceId,
    pub(in crate::transport) len: usize,
    /// A router passed it on: it is not from this link.
    pub(in crate::transport) routed: bool,
}

/// The sockets of one discovery: for IPv4 and IPv6 one that shares the discovery port and hears everyone, and one with
/// a port of its own that sends, and hears answers. Closed when it is dropped.
pub(in crate::transport) trait Medium: fmt::Debug + Send + Sync {
    /// Opens those that are not open, as many as can be, and gives for each how that went.
    fn open(&mut self) -> Vec<(SocketAddr, io::Result<()>)>;

    /// True where nothing can be sent.
    fn is_empty(&self) -> bool;

    /// True where something of this family can be sent.
    fn can_send(&self, to: SocketAddr) -> bool;

    /// True where what is sent to a group can be heard.
    fn can_join(&self, group: IpAddr) -> bool;

    /// Takes part in a group on an interface.
    fn join(&mut self, interface: InterfaceId, group: IpAddr) -> io::Result<()>;

    /// Sends by an interface.
    fn send(&mut self, target: &Target, beacon: &[u8]) -> io::Result<()>;

    /// Sends as the system's routes say.
    fn send_routed(&mut self, to: SocketAddr, beacon: &[u8]) -> io::Result<()>;

    /// How many sockets there are at most.
    fn sockets(&self) -> usize;

    /// Takes a datagram from the socket of this number; `None` where nothing more waits there.
    fn receive(&mut self, number: usize, buffer: &mut [u8; BUFFER_LEN]) -> Option<Heard>;

    /// Ends a [`sleep`](Self::sleep), from any thread; the next one where there is none.
    fn waker(&self) -> Waker;

    /// Whether the waker was called since this was last asked.
    fn take_wake(&mut self) -> bool;

    /// Blocks until something can be received, the waker is called, or `until`; or for no reason.
    fn sleep(&mut self, until: Timestamp) -> Result<(), ErrorKind>;
}
