//! The inviter: finds a nameplate that nobody has, and then says that it is here. `spec/pairing.md`, sections
//! "Nameplates" and "Finding each other".

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use rand::Rng as _;

use super::beacon::{Beacon, InviteId, Kind, Offer, Say};
use super::burst::jitter;
use super::code::{NAMEPLATES, Nameplate};
use super::counters::{Counters, Dropped};
use super::interface::InterfaceId;
use super::machine::{Letter, Machine, Post, Transmit};
use crate::time::{Timer, Timestamp, earliest};

/// When an inviter asks whether a nameplate is taken, counted from when it chose it.
pub const ASKS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(20), Duration::from_millis(45)];
/// Who has heard no answer for so long has the nameplate.
pub const ASKING: Duration = Duration::from_millis(80);
/// So many nameplates are asked for; the one after these is held unasked. Only a network with very many invites, or
/// with somebody who claims all nameplates, leads to that, and pairing works there too.
pub const NAMEPLATE_TRIES_MAX: u32 = 8;

/// What happens to an inviter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvitingEvent {
    /// Another invite has this nameplate: the next one is asked for.
    Taken {
        /// That one.
        nameplate: Nameplate,
    },
    /// The invite has this nameplate now, for good: the code can be spoken.
    Held {
        /// That one.
        nameplate: Nameplate,
        /// Nobody else claimed it. False after [`NAMEPLATE_TRIES_MAX`] that others did.
        asked: bool,
    },
    /// Another invite on the network has the same nameplate, heard of too late to choose another. Joiners tell the two
    /// apart by their invite ids; told once.
    Crossed,
    /// Somebody looks for this nameplate in another version of the protocol; told once.
    OtherVersion {
        /// That one.
        version: u8,
    },
}

#[derive(Debug)]
enum Phase {
    Asking { began: Timestamp, sent: usize, next: Timer, verdict: Timer },
    Holding,
}

/// An inviter's side of discovery.
#[derive(Debug)]
pub struct Inviting {
    offer: Offer,
    nameplate: Nameplate,
    phase: Phase,
    /// A bit for each nameplate that was asked for.
    tried: u128,
    crossed: bool,
    other_version: bool,
    events: VecDeque<InvitingEvent>,
    post: Post,
}

impl Inviting {
    /// Begins to ask for `first`. `seed` makes its jitter and its choice of other nameplates; `offer.invite` must be
    /// random and `offer.port` the invite's own.
    ///
    /// # Panics
    /// Where `offer` has port 0 or an invite id of zeros, which a beacon cannot say.
    #[must_use]
    pub fn new(now: Timestamp, first: Nameplate, offer: Offer, seed: [u8; 32]) -> Self {
        let mut inviting = Self::quiet(first, offer, seed);
        inviting.ask(now, first);
        inviting
    }

    /// Offers to the device that shares a key of the id `offer.invite`. Its nameplate is held at once, and shared with
    /// others: there is no code in which it would have to be told apart. `spec/pairing.md`, section "Known devices".
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    pub fn device(now: Timestamp, offer: Offer, seed: [u8; 32]) -> Self {
        let mut inviting = Self::quiet(Nameplate::of_device(offer.invite), offer, seed);
        inviting.hold(now, true);
        inviting
    }

    fn quiet(nameplate: Nameplate, offer: Offer, seed: [u8; 32]) -> Self {
        assert!(offer.port != 0 && offer.invite != InviteId([0; 8]), "an offer without a port or an id");
        Self {
            offer,
            nameplate,
            phase: Phase::Holding,
            tried: 0,
            crossed: false,
            other_version: false,
            events: VecDeque::new(),
            post: Post::new(seed),
        }
    }

    /// The nameplate, once it is held.
    #[must_use]
    pub const fn nameplate(&self) -> Option<Nameplate> {
        match self.phase {
            Phase::Asking { .. } => None,
            Phase::Holding => Some(self.nameplate),
        }
    }

    /// The invite is over: nothing is sent to everyone any more. Whoever asks is still answered, by one that will be
    /// told so.
    pub const fn retire(&mut self) {
        self.post.burst.end();
    }

    fn ask(&mut self, now: Timestamp, nameplate: Nameplate) {
        self.nameplate = nameplate;
        self.tried |= 1 << nameplate.number();
        let (mut next, mut verdict) = (Timer::never(), Timer::never());
        next.arm(now + jitter(ASKS[0], &mut self.post.rng));
        verdict.arm(now + ASKING);
        self.phase = Phase::Asking { began: now, sent: 0, next, verdict };
    }

    fn hold(&mut self, now: Timestamp, asked: bool) {
        self.phase = Phase::Holding;
        self.events.push_back(InvitingEvent::Held { nameplate: self.nameplate, asked });
        self.post.begin_burst(now);
    }

    /// Somebody else has the nameplate.
    fn on_taken(&mut self, now: Timestamp) {
        if matches!(self.phase, Phase::Holding) {
            self.post.counters.drop(Dropped::Crossed);
            if !self.crossed {
                self.crossed = true;
                self.events.push_back(InvitingEvent::Crossed);
            }
            return;
        }
        self.events.push_back(InvitingEvent::Taken { nameplate: self.nameplate });
        let next = self.another();
        if self.tried.count_ones() < NAMEPLATE_TRIES_MAX {
            self.ask(now, next);
        } else {
            self.nameplate = next;
            self.hold(now, false);
        }
    }

    /// A random nameplate that was not asked for yet.
    fn another(&mut self) -> Nameplate {
        let free = (0..NAMEPLATES).filter(|number| self.tried >> number & 1 == 0);
        let free: Vec<Nameplate> = free.filter_map(Nameplate::new).collect();
        // 8 are asked for of 100, so some are left.
        let at = self.post.rng.next_u64() % free.len() as u64;
        free[usize::try_from(at).expect("below 100")]
    }

    fn beacon(&self, say: Say) -> Beacon {
        Beacon { nameplate: self.nameplate, say }
    }

    fn on_beacon(&mut self, now: Timestamp, from: (SocketAddr, InterfaceId), beacon: Beacon) -> Result<(), Dropped> {
        let own = self.offer.invite;
        let said_by = match beacon.say {
            Say::Seek(_) => None,
            Say::Offer(Offer { invite, .. }, _) | Say::Ask(invite) | Say::Taken { invite, .. } => Some(invite),
        };
        if said_by == Some(own) {
            return Err(Dropped::Own);
        }
        if beacon.nameplate != self.nameplate {
            return Err(Dropped::OtherNameplate);
        }
        let holding = matches!(self.phase, Phase::Holding);
        match beacon.say {
            // Nobody knows yet that we might have it: another invite is meant.
            Say::Seek(_) if !holding => return Err(Dropped::NotForUs),
            Say::Seek(seek) => {
                let answer = self.beacon(Say::Offer(self.offer, Some(seek)));
                self.post.answer(now, from, seek.0, answer);
                self.post.begin_burst_again(now);
            }
            // Both ask at once: the lower id has it.
            Say::Ask(asked) if !holding && asked < own => self.on_taken(now),
            Say::Ask(asked) => {
                let answer = self.beacon(Say::Taken { invite: own, asked });
                self.post.answer(now, from, asked.0, answer);
                // An answer to one host may be kept from it where one to everyone is not.
                self.post.begin_burst_again(now);
            }
            Say::Taken { asked, .. } if asked != own => return Err(Dropped::WrongEcho),
            Say::Offer(..) if self.nameplate.is_device() => return Err(Dropped::NotForUs),
            Say::Taken { .. } | Say::Offer(..) => self.on_taken(now),
        }
        Ok(())
    }
}

impl Machine for Inviting {
    type Event = InvitingEvent;

    fn handle_beacon(&mut self, now: Timestamp, from: SocketAddr, interface: InterfaceId, datagram: &[u8]) {
        match self.post.open(from, datagram) {
            Some(Letter::Beacon(beacon)) => {
                if let Err(reason) = self.on_beacon(now, (from, interface), beacon) {
                    self.post.counters.drop(reason);
                }
            }
            Some(Letter::OtherVersion(head)) => {
                let for_us = head.kind == Kind::Seek && self.nameplate().map(Nameplate::number) == Some(head.nameplate);
                if for_us && !self.other_version {
                    self.other_version = true;
                    self.events.push_back(InvitingEvent::OtherVersion { version: head.version });
                }
            }
            None => {}
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        let ask = self.beacon(Say::Ask(self.offer.invite));
        match &mut self.phase {
            Phase::Asking { began, sent, next, verdict } => {
                if verdict.fire(now) {
                    // Whoever drives us was away; nobody was asked.
                    if *sent == 0 {
                        *sent = ASKS.len();
                        verdict.arm(now + ASKING);
                        next.disarm();
                        self.post.send_to_everyone(ask);
                    } else {
                        self.hold(now, true);
                    }
                } else if next.fire(now) {
                    *sent += 1;
                    if let Some(&place) = ASKS.get(*sent) {
                        next.arm((*began + place + jitter(place, &mut self.post.rng)).max(now));
                    }
                    self.post.send_to_everyone(ask);
                }
            }
            Phase::Holding => {}
        }
        if self.post.burst_fires(now) {
            let offer = self.beacon(Say::Offer(self.offer, None));
            self.post.send_to_everyone(offer);
        }
    }

    fn handle_new_interface(&mut self, now: Timestamp) {
        self.post.begin_burst_again(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.post.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<InvitingEvent> {
        self.events.pop_front()
    }

    fn deadline(&self) -> Option<Timestamp> {
        let asking = match &self.phase {
            Phase::Asking { next, verdict, .. } => earliest(next.deadline(), verdict.deadline()),
            Phase::Holding => None,
        };
        earliest(asking, self.post.burst.deadline())
    }

    fn counters(&self) -> &Counters {
        &self.post.counters
    }
}
