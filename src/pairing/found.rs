//! What a joiner found, and who may add to it: beacons are anybody's word, so that nobody gets the room of all.
//! `spec/pairing.md`, section "Finding each other".

use core::net::{IpAddr, SocketAddr};

use super::beacon::{Carrier, InviteId};
use super::counters::Dropped;
use super::interface::InterfaceId;

/// So many ways to all invites together are given out.
pub const CANDIDATES_MAX: usize = 32;
/// The last of them are for addresses that have none yet: to take them all needs as many addresses.
pub const CANDIDATES_RESERVED: usize = 16;
/// So many of them come from offers that nobody asked for: those that answer our question find room beside them.
pub const UNASKED_MAX: usize = 16;
/// So many invites of one address are looked at; with everybody honest there is one.
pub const INVITES_PER_HOST_MAX: usize = 2;
/// So many ways to one invite at one address; with everybody honest there is one.
pub const WAYS_PER_HOST_MAX: usize = 2;

/// A way to an invite: one to be tried, all at once with the others of the same invite. Whether it is the one that was
/// meant only the handshake tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which invite.
    pub invite: InviteId,
    /// Where the conversation is.
    pub address: SocketAddr,
    /// What it is carried by.
    pub carrier: Carrier,
    /// By which interface it was heard.
    pub interface: InterfaceId,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// In the order in which they were told.
    all: Vec<Candidate>,
    /// Which of them, by their place, nobody asked for.
    unasked: Vec<usize>,
    /// How many gave their place to one that answers our question.
    displaced: usize,
}

impl Found {
    pub(super) fn all(&self) -> &[Candidate] {
        &self.all
    }

    /// One more, if it is new and there is room for it. `asked`: its offer answers our question, and takes the place of
    /// those of its address that do not, where it needs one. These stay told, and harmless: each can be tried.
    pub(super) fn add(&mut self, candidate: Candidate, asked: bool) -> Result<(), Dropped> {
        let same = |known: &Candidate| Candidate { interface: candidate.interface, ..*known } == candidate;
        if let Some(place) = self.all.iter().position(same) {
            if asked {
                self.unasked.retain(|unasked| *unasked != place);
            }
            return Err(Dropped::Repeated);
        }
        if !asked {
            let full = self.unasked.len() + self.displaced >= UNASKED_MAX;
            if full || !self.has_room_for(candidate.address.ip(), candidate.invite) {
                return Err(Dropped::OffersFull);
            }
            self.unasked.push(self.all.len());
        } else if !self.has_room_for(candidate.address.ip(), candidate.invite) {
            *self = self.with_room_for(candidate.address.ip(), candidate.invite).ok_or(Dropped::OffersFull)?;
        }
        self.all.push(candidate);
        Ok(())
    }

    /// The same without so many of a host's unasked ones, the newest first, that there is room; `None` where there is
    /// none without all of them.
    fn with_room_for(&self, host: IpAddr, invite: InviteId) -> Option<Self> {
        let mut left = self.clone();
        while !left.has_room_for(host, invite) {
            let at = left.unasked.iter().rposition(|place| left.all[*place].address.ip() == host)?;
            let gone = left.unasked.remove(at);
            left.all.remove(gone);
            left.unasked.iter_mut().filter(|place| **place > gone).for_each(|place| *place -= 1);
            left.displaced += 1;
        }
        Some(left)
    }

    fn has_room_for(&self, host: IpAddr, invite: InviteId) -> bool {
        let mut of_host: Vec<InviteId> =
            self.all.iter().filter(|known| known.address.ip() == host).map(|known| known.invite).collect();
        let most = if of_host.is_empty() { CANDIDATES_MAX } else { CANDIDATES_MAX - CANDIDATES_RESERVED };
        let ways = of_host.iter().filter(|known| **known == invite).count();
        of_host.sort_unstable();
        of_host.dedup();
        let invites = of_host.iter().filter(|known| **known != invite).count();
        // Whoever was told of those that gave way has them still.
        self.all.len() + self.displaced < most && ways < WAYS_PER_HOST_MAX && invites < INVITES_PER_HOST_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(host: u8, invite: u8, port: u16) -> Candidate {
        Candidate {
            invite: InviteId([invite; 8]),
            address: SocketAddr::from(([10, 0, 0, host], port)),
            carrier: Carrier::Udp,
            interface: InterfaceId(1),
        }
    }

    const FULL: Result<(), Dropped> = Err(Dropped::OffersFull);

    #[test]
    fn one_address_gets_two_ways_to_each_of_two_invites() {
        let mut found = Found::default();
        for (invite, port, expected) in
            [(1, 1, Ok(())), (1, 2, Ok(())), (1, 3, FULL), (2, 1, Ok(())), (2, 2, Ok(())), (2, 3, FULL), (3, 1, FULL)]
        {
            assert_eq!(found.add(way(1, invite, port), true), expected, "invite {invite}, port {port}");
        }
        assert_eq!(found.add(way(2, 1, 1), true), Ok(()), "another address");
    }

    #[test]
    fn a_way_is_told_once_by_whichever_interface_it_was_heard() {
        let mut found = Found::default();
        assert_eq!(found.add(way(1, 1, 1), true), Ok(()));
        let elsewhere = Candidate { interface: InterfaceId(2), ..way(1, 1, 1) };
        assert_eq!(found.add(elsewhere, true), Err(Dropped::Repeated));
        assert_eq!(found.all(), [way(1, 1, 1)]);
    }

    #[test]
    fn the_last_half_needs_as_many_addresses() {
        let mut found = Found::default();
        let mut added =
            |host: u8| (1..5).filter(|n| found.add(way(host, n % 2 + 1, (*n).into()), true).is_ok()).count();
        let by_host: Vec<usize> = (1..100).map(&mut added).take_while(|count| *count > 0).collect();
        let expected: Vec<usize> = [4; 4].into_iter().chain([1; CANDIDATES_RESERVED]).collect();
        assert_eq!(by_host, expected);
        assert_eq!(found.add(way(200, 7, 7), true), FULL);
    }

    #[test]
    fn those_that_answer_our_question_find_room_beside_the_unasked() {
        let mut found = Found::default();
        for host in 1..=16 {
            assert_eq!(found.add(way(host, 1, 1), false), Ok(()));
        }
        assert_eq!(found.add(way(17, 1, 1), false), FULL);
        assert_eq!(found.add(way(17, 1, 1), true), Ok(()));
        // Whoever answers later was not unasked after all, and leaves its place to another that is.
        assert_eq!(found.add(way(1, 1, 1), true), Err(Dropped::Repeated));
        assert_eq!(found.add(way(18, 1, 1), false), Ok(()));
        assert_eq!(found.add(way(19, 1, 1), false), FULL);
    }

    #[test]
    fn who_answers_takes_the_place_of_blind_forgeries_in_its_name() {
        let mut found = Found::default();
        for forged in [2, 3] {
            assert_eq!(found.add(way(1, forged, 1), false), Ok(()));
        }
        assert_eq!(found.add(way(1, 1, 1), false), FULL);
        assert_eq!(found.add(way(1, 1, 1), true), Ok(()));
        assert_eq!(found.all(), [way(1, 2, 1), way(1, 1, 1)], "only as many as have to");
        // Nor do ways to its invite that it never offered, or forgeries in the name of all.
        for forged in [5, 6] {
            assert_eq!(found.add(way(2, 1, forged), false), Ok(()));
        }
        assert_eq!(found.add(way(2, 1, 1), true), Ok(()));
        for host in 3..=14 {
            assert_eq!(found.add(way(host, 9, 1), false), Ok(()), "host {host}");
        }
        assert_eq!(found.add(way(15, 9, 1), false), FULL, "those that gave way count, too");
        for host in 3..=14 {
            assert_eq!(found.add(way(host, 7, 7), true), Ok(()), "host {host}");
        }
        assert_eq!((found.all().len(), found.displaced, found.unasked.len()), (16, 14, 2));
    }

    #[test]
    fn who_answered_gives_way_to_nobody() {
        let mut found = Found::default();
        assert_eq!(found.add(way(1, 2, 1), false), Ok(()));
        assert_eq!(found.add(way(1, 2, 1), true), Err(Dropped::Repeated));
        assert_eq!(found.add(way(1, 3, 1), true), Ok(()));
        assert_eq!(found.add(way(1, 1, 1), true), FULL);
        assert_eq!(found.all(), [way(1, 2, 1), way(1, 3, 1)]);
    }
}
