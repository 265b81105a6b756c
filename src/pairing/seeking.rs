//! The joiner: asks for a nameplate and gives out everything that offers it. `spec/pairing.md`, section "Finding each
//! other".

use core::net::SocketAddr;
use std::collections::VecDeque;

use rand::Rng as _;

use super::beacon::{Beacon, InviteId, Kind, Say, SeekId};
use super::code::Nameplate;
use super::counters::{Counters, Dropped};
use super::found::{Candidate, Found};
use super::interface::InterfaceId;
use super::machine::{Letter, Machine, Post, Transmit};
use crate::time::Timestamp;

/// What happens to a joiner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeekingEvent {
    /// A way to an invite of the nameplate; each is told once.
    Found(Candidate),
    /// Somebody offers the nameplate in another version of the protocol; told once.
    OtherVersion {
        /// That one.
        version: u8,
    },
}

/// A joiner's side of discovery.
#[derive(Debug)]
pub struct Seeking {
    nameplate: Nameplate,
    /// Only this one is meant; `None` where the id is not known.
    only: Option<InviteId>,
    seek: SeekId,
    found: Found,
    other_version: bool,
    events: VecDeque<SeekingEvent>,
    post: Post,
}

impl Seeking {
    /// Begins to look for `nameplate`. `seed` makes its jitter and the id of the search, and must be unpredictable
    /// where others shall not be able to answer unasked.
    #[must_use]
    pub fn new(now: Timestamp, nameplate: Nameplate, seed: [u8; 32]) -> Self {
        Self::begin(now, nameplate, None, seed)
    }

    /// Begins to look for the device that shares a key of this id, and gives out its offers alone. `seed` as for
    /// [`new`](Self::new). `spec/pairing.md`, section "Known devices".
    #[must_use]
    pub fn device(now: Timestamp, id: InviteId, seed: [u8; 32]) -> Self {
        Self::begin(now, Nameplate::of_device(id), Some(id), seed)
    }

    fn begin(now: Timestamp, nameplate: Nameplate, only: Option<InviteId>, seed: [u8; 32]) -> Self {
        let mut post = Post::new(seed);
        // Zeros would mean: no search.
        let seek = SeekId(post.rng.next_u64().max(1).to_be_bytes());
        post.begin_burst(now);
        Self { nameplate, only, seek, found: Found::default(), other_version: false, events: VecDeque::new(), post }
    }

    /// Everything that was found so far.
    #[must_use]
    pub fn found(&self) -> &[Candidate] {
        self.found.all()
    }

    fn on_beacon(&mut self, from: SocketAddr, interface: InterfaceId, beacon: Beacon) -> Result<(), Dropped> {
        let (offer, echo) = match beacon.say {
            Say::Seek(seek) if seek == self.seek => return Err(Dropped::Own),
            _ if beacon.nameplate != self.nameplate => return Err(Dropped::OtherNameplate),
            Say::Seek(_) | Say::Ask(_) | Say::Taken { .. } => return Err(Dropped::NotForUs),
            Say::Offer(offer, echo) => (offer, echo),
        };
        if self.only.is_some_and(|only| only != offer.invite) {
            return Err(Dropped::NotForUs);
        }
        if echo.is_some_and(|echo| echo != self.seek) {
            return Err(Dropped::WrongEcho);
        }
        let mut address = from;
        address.set_port(offer.port);
        let candidate = Candidate { invite: offer.invite, address, carrier: offer.carrier, interface };
        self.found.add(candidate, echo.is_some())?;
        self.events.push_back(SeekingEvent::Found(candidate));
        Ok(())
    }
}

impl Machine for Seeking {
    type Event = SeekingEvent;

    fn handle_beacon(&mut self, now: Timestamp, from: SocketAddr, interface: InterfaceId, datagram: &[u8]) {
        match self.post.open(from, datagram) {
            Some(Letter::Beacon(beacon)) => match self.on_beacon(from, interface, beacon) {
                // It is there: perhaps it can be reached in more ways.
                Ok(()) => self.post.begin_burst_again(now),
                Err(reason) => self.post.counters.drop(reason),
            },
            Some(Letter::OtherVersion(head)) => {
                let for_us = head.kind == Kind::Offer && head.nameplate == self.nameplate.number();
                if for_us && !self.other_version {
                    self.other_version = true;
                    self.events.push_back(SeekingEvent::OtherVersion { version: head.version });
                }
            }
            None => {}
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        if self.post.burst_fires(now) {
            self.post.send_to_everyone(Beacon { nameplate: self.nameplate, say: Say::Seek(self.seek) });
        }
    }

    fn handle_new_interface(&mut self, now: Timestamp) {
        self.post.begin_burst_again(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.post.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<SeekingEvent> {
        self.events.pop_front()
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.post.burst.deadline()
    }

    fn counters(&self) -> &Counters {
        &self.post.counters
    }
}
