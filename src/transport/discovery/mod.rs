//! Discovery: drives the two machines of [`crate::pairing`] over all interfaces of this machine or a simulated host.
//!
//! It has no thread of its own. Whoever waits for candidates calls [`Discovery::poll`], which does the work while it
//! waits. So that the same thread can wait for a transport meanwhile, [`Discovery::waker`] gives a waker for
//! [`Transport::poll_wait`](super::Transport::poll_wait) that ends the wait; another thread cancels by it.

mod hops;
mod interfaces;
mod medium;
mod report;
mod sockets;
#[cfg(test)]
mod tests;

use core::net::{IpAddr, SocketAddr};
use core::task::Waker;
use core::time::Duration;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use thiserror::Error;

pub use self::interfaces::interfaces;
pub(super) use self::medium::{BUFFER_LEN, Heard, Medium};
pub use self::report::{DiscoveryReport, Failure, FailureReason};
pub(super) use self::sockets::Sockets;
use super::site::{Site, System};
use crate::pairing::{
    Destination, Interface, InterfaceId, InviteId, Inviting, Machine, Nameplate, Offer, Seeking, Target, Transmit,
};
use crate::time::{Timestamp, earliest};

/// How often the interfaces are listed anew.
const LIST_EACH: Duration = Duration::from_secs(1);
/// So many datagrams are taken from one socket before the others and the time have their turn.
const RECEIVES_MAX: usize = 64;

/// How to look for others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscoveryOptions {
    /// Only on the interface of this name. Default: on all.
    pub interface: Option<String>,
}

/// Why discovery cannot begin.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// This machine has no such interface.
    #[error("there is no interface {name}")]
    NoSuchInterface {
        /// The name that was asked for.
        name: String,
    },
    /// No socket at all could be opened, or a system call failed without which nothing goes.
    #[error("discovery cannot begin")]
    Io {
        /// What the system said.
        #[from]
        source: io::Error,
    },
}

/// Why [`Discovery::poll`] returned without an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PollError {
    /// Nothing happened in time.
    #[error("nothing happened in time")]
    TimedOut,
    /// The waker was called.
    #[error("woken")]
    Woken,
    /// Waiting itself failed.
    #[error("waiting failed: {0}")]
    Broken(ErrorKind),
}

/// One side of a discovery, on this machine's network interfaces. It says nothing more once it is dropped.
#[derive(Debug)]
pub struct Discovery<M> {
    machine: M,
    site: Arc<dyn Site>,
    medium: Box<dyn Medium>,
    only: Option<String>,
    interfaces: Vec<Interface>,
    list_at: Timestamp,
    /// Groups in which it takes part, and on which interfaces.
    joined: BTreeSet<(InterfaceId, IpAddr)>,
    report: DiscoveryReport,
}

impl Discovery<Inviting> {
    /// Begins to invite: asks for the nameplate `first`, or another where that is taken, and offers. Does not block;
    /// nothing is sent before [`poll`](Self::poll).
    ///
    /// # Errors
    /// See [`DiscoveryError`]. An interface that cannot be used is no error: [`report`](Self::report) names it.
    ///
    /// # Panics
    /// As [`Inviting::new`].
    pub fn inviting(options: DiscoveryOptions, first: Nameplate, offer: Offer) -> Result<Self, DiscoveryError> {
        Self::inviting_on(Arc::new(System), options, first, offer)
    }

    /// As [`inviting`](Self::inviting), on this machine or a simulated host.
    pub(super) fn inviting_on(
        site: Arc<dyn Site>,
        options: DiscoveryOptions,
        first: Nameplate,
        offer: Offer,
    ) -> Result<Self, DiscoveryError> {
        Self::begin(site, options, |now, seed| Inviting::new(now, first, offer, seed))
    }

    /// Begins to offer to the device that shares a key of the id `offer.invite`. Does not block; nothing is sent before
    /// [`poll`](Self::poll). `spec/pairing.md`, section "Known devices".
    ///
    /// # Errors
    /// As [`inviting`](Self::inviting).
    ///
    /// # Panics
    /// As [`Inviting::new`].
    pub(super) fn inviting_device(
        site: Arc<dyn Site>,
        options: DiscoveryOptions,
        offer: Offer,
    ) -> Result<Self, DiscoveryError> {
        Self::begin(site, options, |now, seed| Inviting::device(now, offer, seed))
    }

    /// The invite is over: whoever asks is answered, and nothing else is sent.
    pub(super) const fn retire(&mut self) {
        self.machine.retire();
    }
}

impl Discovery<Seeking> {
    /// Begins to look for `nameplate`. Does not block; nothing is sent before [`poll`](Self::poll).
    ///
    /// # Errors
    /// See [`DiscoveryError`]. An interface that cannot be used is no error: [`report`](Self::report) names it.
    pub fn seeking(options: DiscoveryOptions, nameplate: Nameplate) -> Result<Self, DiscoveryError> {
        Self::seeking_on(Arc::new(System), options, nameplate)
    }

    /// As [`seeking`](Self::seeking), on this machine or a simulated host.
    pub(super) fn seeking_on(
        site: Arc<dyn Site>,
        options: DiscoveryOptions,
        nameplate: Nameplate,
    ) -> Result<Self, DiscoveryError> {
        Self::begin(site, options, |now, seed| Seeking::new(now, nameplate, seed))
    }

    /// Begins to look for the device that shares a key of the id `id`. Does not block; nothing is sent before
    /// [`poll`](Self::poll). `spec/pairing.md`, section "Known devices".
    ///
    /// # Errors
    /// As [`seeking`](Self::seeking).
    pub(super) fn seeking_device(
        site: Arc<dyn Site>,
        options: DiscoveryOptions,
        id: InviteId,
    ) -> Result<Self, DiscoveryError> {
        Self::begin(site, options, |now, seed| Seeking::device(now, id, seed))
    }
}

impl<M: Machine> Discovery<M> {
    fn begin(
        site: Arc<dyn Site>,
        options: DiscoveryOptions,
        machine: impl FnOnce(Timestamp, [u8; 32]) -> M,
    ) -> Result<Self, DiscoveryError> {
        let found = site.interfaces()?;
        if let Some(name) = &options.interface
            && !found.iter().any(|interface| interface.name == *name)
        {
            return Err(DiscoveryError::NoSuchInterface { name: name.clone() });
        }
        let mut seed = [0; 32];
        site.fill_random(&mut seed)?;
        let now = site.now();
        let mut discovery = Self {
            machine: machine(now, seed),
            medium: site.medium()?,
            site,
            only: options.interface,
            interfaces: Vec::new(),
            list_at: now + LIST_EACH,
            joined: BTreeSet::new(),
            report: DiscoveryReport::default(),
        };
        let failed = discovery.open();
        if discovery.medium.is_empty() {
            return Err(DiscoveryError::Io { source: failed.unwrap_or_else(|| ErrorKind::Unsupported.into()) });
        }
        discovery.set_interfaces(found);
        Ok(discovery)
    }

    /// Waits for the next event, at most until `until`, and does the discovery's work meanwhile. **Blocks**; with a
    /// time that is over it only does what is due.
    ///
    /// # Errors
    /// `TimedOut`; `Woken` where the [waker](Self::waker) was called, now or since the last call; `Broken`. It can
    /// be called again after each of them.
    pub fn poll(&mut self, until: Timestamp) -> Result<M::Event, PollError> {
        loop {
            let now = self.site.now();
            if now >= self.list_at {
                self.list_again(now);
            }
            let more = self.receive(now);
            if self.machine.deadline().is_some_and(|due| due <= now) {
                self.machine.handle_timeout(now);
            }
            self.transmit();
            if let Some(event) = self.machine.poll_event() {
                return Ok(event);
            }
            if self.medium.take_wake() {
                return Err(PollError::Woken);
            }
            if now >= until {
                return Err(PollError::TimedOut);
            }
            if !more {
                let wake_at = earliest(Some(until.min(self.list_at)), self.machine.deadline());
                self.medium.sleep(wake_at.unwrap_or(now)).map_err(PollError::Broken)?;
            }
        }
    }

    /// Ends a [`poll`](Self::poll) with [`PollError::Woken`], from any thread; the next one where there is none.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.medium.waker()
    }

    /// The clock that [`poll`](Self::poll) goes by; that of the transports on the same machine, too.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.site.now()
    }

    /// The side that it drives: what it found, what it holds, its counters.
    #[must_use]
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// By which interfaces beacons leave, and what fails.
    #[must_use]
    pub const fn report(&self) -> &DiscoveryReport {
        &self.report
    }

    /// Opens the sockets that are missing; the first error that one of them met.
    fn open(&mut self) -> Option<io::Error> {
        let mut first = None;
        for (address, result) in self.medium.open() {
            self.report.on_result(None, Some(address), result.as_ref().map(|&()| ()).map_err(FailureReason::of));
            first = first.or(result.err());
        }
        first
    }

    fn list_again(&mut self, now: Timestamp) {
        self.list_at = now + LIST_EACH;
        // The port may be free by now.
        self.open();
        // Where the list cannot be had, the last one is as good as any.
        let Ok(found) = self.site.interfaces() else { return };
        if self.set_interfaces(found) {
            self.machine.handle_new_interface(now);
        }
    }

    /// Takes over a list; true where there is something in it to send on that was not before.
    fn set_interfaces(&mut self, mut found: Vec<Interface>) -> bool {
        if let Some(name) = &self.only {
            found.retain(|interface| interface.name == *name);
        }
        let targets = |interfaces: &[Interface]| -> Vec<Target> {
            interfaces.iter().flat_map(Interface::targets).filter(|target| self.medium.can_send(target.to)).collect()
        };
        let (before, after) = (targets(&self.interfaces), targets(&found));
        self.joined.retain(|(joined, _)| found.iter().any(|interface| interface.id == *joined && interface.up));
        for interface in &found {
            for group in interface.groups() {
                if !self.medium.can_join(group) || self.joined.contains(&(interface.id, group)) {
                    continue;
                }
                let joined = self.medium.join(interface.id, group).map_err(|error| FailureReason::of(&error));
                if joined.is_ok() {
                    self.joined.insert((interface.id, group));
                }
                // Another thing than sending there, which may work all the same.
                let group = SocketAddr::from((group, 0));
                self.report.on_result(Some(&interface.name), Some(group), joined);
            }
        }
        // What is gone fails no more.
        let is_there = |name: &String| found.iter().any(|interface| interface.name == *name);
        self.report.failures.retain(|failure| failure.interface.as_ref().is_none_or(is_there));
        // This machine alone is no network, unless that is what was asked for.
        let alone = |target: &Target| found.iter().any(|it| it.id == target.interface && it.loopback);
        let nothing = if self.only.is_some() { after.is_empty() } else { after.iter().all(alone) };
        self.report.on_result(None, None, if nothing { Err(FailureReason::NothingToSendOn) } else { Ok(()) });
        self.interfaces = found;
        after.iter().any(|target| !before.contains(target))
    }

    /// Hands the machine what came; true where more may be waiting.
    fn receive(&mut self, now: Timestamp) -> bool {
        let mut buffer = [0; BUFFER_LEN];
        let mut more = false;
        for number in 0..self.medium.sockets() {
            let mut count = 0;
            while count < RECEIVES_MAX
                && let Some(heard) = self.medium.receive(number, &mut buffer)
            {
                count += 1;
                if heard.routed {
                    self.report.off_link += 1;
                } else if self.is_meant(heard.interface, heard.from) {
                    self.machine.handle_beacon(now, heard.from, heard.interface, &buffer[..heard.len]);
                } else {
                    self.report.filtered += 1;
                }
            }
            more |= count == RECEIVES_MAX;
        }
        more
    }

    /// True for what comes by an interface that is used. What this machine sends to itself comes by the loopback
    /// interface, whatever interface the address belongs to.
    fn is_meant(&self, interface: InterfaceId, from: SocketAddr) -> bool {
        self.only.is_none()
            || self.interfaces.iter().any(|used| used.id == interface || (!used.loopback && used.has(from.ip())))
    }

    fn transmit(&mut self) {
        while let Some(Transmit { to, beacon }) = self.machine.poll_transmit() {
            match to {
                Destination::Everyone => self.send_to_everyone(&beacon),
                Destination::Back { to, interface } => {
                    let by_interface = self.medium.send(&Target { interface, from: None, to }, &beacon);
                    // An interface that has gone, or a way back that is another than the way here.
                    let result = by_interface.or_else(|_| self.medium.send_routed(to, &beacon));
                    let name = self.interfaces.iter().find(|known| known.id == interface).map(|known| &*known.name);
                    // A question may come from any address: there is one place for all of an interface's answers. None
                    // without an interface, which is the place of what concerns all.
                    if let Some(name) = name {
                        self.report.on_result(Some(name), None, result.map_err(|error| FailureReason::of(&error)));
                    }
                }
            }
        }
    }

    fn send_to_everyone(&mut self, beacon: &[u8]) {
        for interface in &self.interfaces {
            for target in interface.targets() {
                if !self.medium.can_send(target.to) {
                    continue;
                }
                let result = self.medium.send(&target, beacon);
                if result.is_ok() {
                    self.report.on_sent(&interface.name);
                }
                let result = result.map_err(|error| FailureReason::of(&error));
                self.report.on_result(Some(&interface.name), Some(target.to), result);
            }
        }
    }
}
