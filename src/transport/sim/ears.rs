//! What simulated hosts have in place of discovery's sockets: a port of its own that sends and hears answers, and one
//! that all discoveries of a host share, to hear what is for everyone.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::ports::{Owner, Ports};
use super::turns::TaskId;
use crate::network::{Delivery, DeliveryKind, HostId, Network};
use crate::pairing::{DISCOVERY_PORT, InterfaceId};
use crate::transport::BindError;

/// Datagrams that may wait to be taken; those that come then are lost, as in a kernel's buffer.
const HEARD_MAX: usize = 256;

/// Names an ear for as long as its world lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EarId(u64);

/// The sockets of one discovery.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) host: HostId,
    /// All addresses and the port of its own.
    pub(super) own: SocketAddr,
    /// It hears what comes to the shared port.
    pub(super) shares: bool,
    /// The groups in which it takes part, and on which interfaces.
    pub(super) groups: BTreeSet<(InterfaceId, IpAddr)>,
    heard: VecDeque<Delivery>,
    /// Found no room in `heard`.
    overflowed: u64,
    /// Its waker was called.
    pub(super) woken: bool,
    /// The thread that waits for it.
    pub(super) waiting: Option<TaskId>,
}

impl Ear {
    /// The next datagram.
    pub(super) fn take(&mut self) -> Option<Delivery> {
        self.heard.pop_front()
    }

    /// True where a thread that waits for it would not.
    pub(super) fn has_news(&self) -> bool {
        self.woken || !self.heard.is_empty()
    }

    fn hear(&mut self, delivery: Delivery, tasks: &mut Vec<TaskId>) {
        if self.heard.len() < HEARD_MAX {
            self.heard.push_back(delivery);
            tasks.extend(self.waiting);
        } else {
            self.overflowed += 1;
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ears {
    ears: BTreeMap<EarId, Ear>,
    next: u64,
}

impl Ears {
    /// An ear with a port of its own, which does not share the other one yet.
    pub(super) fn open(&mut self, ports: &mut Ports, network: &Network, host: HostId) -> Result<EarId, BindError> {
        let id = EarId(self.next);
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let own = SocketAddr::new(any.ip(), ports.bind(network, host, any, Owner::Ear(id))?);
        self.next += 1;
        let (groups, heard) = (BTreeSet::new(), VecDeque::new());
        let ear = Ear { host, own, shares: false, groups, heard, overflowed: 0, woken: false, waiting: None };
        self.ears.insert(id, ear);
        Ok(id)
    }

    /// Lets it hear what comes to the discovery port.
    pub(super) fn share(&mut self, id: EarId, ports: &mut Ports, network: &Network) -> Result<(), BindError> {
        let ear = self.get_mut(id);
        ports.share(network, ear.host, DISCOVERY_PORT)?;
        ear.shares = true;
        Ok(())
    }

    /// Closes it. The shared port is free with the last that shared it.
    pub(super) fn close(&mut self, id: EarId, ports: &mut Ports) {
        let Some(ear) = self.ears.remove(&id) else { return };
        ports.release(ear.host, ear.own);
        if ear.shares && !self.ears.values().any(|other| other.shares && other.host == ear.host) {
            ports.release(ear.host, (Ipv6Addr::UNSPECIFIED, DISCOVERY_PORT).into());
        }
    }

    /// An ear that somebody holds.
    pub(super) fn get(&self, id: EarId) -> &Ear {
        self.ears.get(&id).expect("an ear lives as long as it is held")
    }

    /// An ear that somebody holds, to change.
    pub(super) fn get_mut(&mut self, id: EarId) -> &mut Ear {
        self.ears.get_mut(&id).expect("an ear lives as long as it is held")
    }

    /// Its waker was called, if there is still anybody to wake.
    pub(super) fn wake(&mut self, id: EarId, tasks: &mut Vec<TaskId>) {
        if let Some(ear) = self.ears.get_mut(&id) {
            ear.woken = true;
            tasks.extend(ear.waiting);
        }
    }

    /// Something arrived that is for everyone on a link.
    pub(super) fn hear_for_everyone(&mut self, delivery: &Delivery, tasks: &mut Vec<TaskId>) {
        for ear in self.ears.values_mut().filter(|ear| ear.host == delivery.host) {
            let to = delivery.to.ip();
            let in_group = !to.is_multicast() || ear.groups.contains(&(delivery.interface, to));
            if ear.shares && delivery.to.port() == DISCOVERY_PORT && in_group {
                ear.hear(delivery.clone(), tasks);
            }
        }
    }

    /// Something arrived at the port of one ear, or `None`: at the shared one, where the last to be opened has it.
    pub(super) fn hear(&mut self, id: Option<EarId>, delivery: Delivery, tasks: &mut Vec<TaskId>) {
        let ear = match id {
            Some(id) => self.ears.get_mut(&id),
            None => self.ears.values_mut().rev().find(|ear| ear.shares && ear.host == delivery.host),
        };
        // What is told of an earlier datagram is told to nobody: beacons are sent again anyway.
        if let Some(ear) = ear.filter(|_| delivery.kind == DeliveryKind::Datagram) {
            ear.hear(delivery, tasks);
        }
    }
}
