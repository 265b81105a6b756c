//! A seeded network in virtual time: the same seed gives the same fate to every datagram, for ever. Public as a part of
//! [`crate::sim`].
//!
//! [`Network`] is sans-IO. Whoever drives it hands it datagrams ([`Network::send`]), asks when the next one is due
//! ([`Network::next_at`]) and takes it then ([`Network::poll`]); time is an argument. It reads no clock, opens no
//! socket, starts no thread, and its arithmetic is on integers only, so that a run is the same on every machine.
//!
//! Each ordered pair of hosts has a one-way link with a [`LinkConfig`]: delay, jitter, loss, bursts, duplication,
//! reordering, bit flips, truncation, rate and queue, MTU, ECN marks. The fate of the n-th datagram between two hosts
//! is a function of the seed, the hosts' names, the link's faults and n alone: neither another host nor another fault
//! nor a rule changes it. (Only what really depends on others does: the queue.) All of it is decided when the datagram
//! is sent; a change of a link concerns datagrams sent after it.
//!
//! Hosts share links: *broadcast domains*. In each of its domains a host has an interface and addresses, and what it
//! sends there to everyone ([`Network::send_by`]) reaches all hosts of the domain, each copy over the link between the
//! two hosts and with its faults. All hosts are in one domain ([`DomainId::LAN`]) unless they are added to others
//! ([`Network::add_host_in`]); datagrams to one host go from each domain to every other.
//!
//! ```
//! use core::time::Duration;
//! use udpair::sim::{LinkConfig, Network};
//! use udpair::time::Timestamp;
//!
//! let mut network = Network::new(7);
//! let (a, b) = (network.add_host("a"), network.add_host("b"));
//! network.configure(a, b, LinkConfig { delay: Duration::from_millis(1), ..LinkConfig::default() });
//! let (from, to) = (network.address(a, 1000), network.address(b, 2000));
//!
//! network.send(Timestamp::ZERO, from, to, None, b"hello");
//! let due = network.next_at().expect("the datagram is under way");
//! assert_eq!(due, Timestamp::ZERO + Duration::from_millis(1));
//! assert_eq!(network.poll(due).expect("it is due").bytes, b"hello");
//! ```

mod config;
mod counters;
mod dice;
mod fate;
mod graph;
mod host;
mod hosts;
mod link;
mod queue;
mod rules;
#[cfg(test)]
mod tests;

pub use config::{Burst, LinkConfig, MILLION, Oversize};
pub use counters::Counters;
pub use fate::{Arrival, DropReason, Fate, PacketTrace};
pub use graph::{Delivery, DeliveryKind, Ecn, HostId, IN_FLIGHT_BYTES_MAX, Network};
pub use host::{DOMAINS_MAX, DomainId};
pub use hosts::HOSTS_MAX;
pub use rules::{DatagramInfo, RuleId, Verdict};
