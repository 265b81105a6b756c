//! The ways to invites that a joiner has found, and which of them to try next.

use core::net::SocketAddr;

use crate::pairing::{Carrier, InviteId};

/// An address to call, over what, and by which invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) carrier: Carrier,
    pub(super) address: SocketAddr,
    pub(super) invite: InviteId,
}

/// One that was found, and what became of it.
#[derive(Debug)]
struct Known {
    way: Way,
    /// How often an attempt failed there.
    failures: u32,
    /// It leads nowhere: there is no reason to try it again.
    dead: bool,
}

/// See the module. Those that failed least come first, so that who offers what they cannot keep costs time alone.
#[derive(Debug, Default)]
pub(super) struct Ways(Vec<Known>);

impl Ways {
    /// One more.
    pub(super) fn add(&mut self, way: Way) {
        if !self.0.iter().any(|known| known.way == way) {
            self.0.push(Known { way, failures: 0, dead: false });
        }
    }

    /// An attempt failed there.
    pub(super) fn on_failure(&mut self, way: &Way) {
        for known in self.at(way) {
            known.failures += 1;
        }
    }

    /// Nobody is there, or somebody who will not have us.
    pub(super) fn on_dead_end(&mut self, way: &Way) {
        for known in self.at(way) {
            known.dead = true;
        }
    }

    fn at(&mut self, way: &Way) -> impl Iterator<Item = &mut Known> {
        self.0.iter_mut().filter(move |known| known.way == *way)
    }

    /// Those to be tried next, at once: all over one carrier, and to each address one, for an answer does not say by
    /// which invite it was asked. Empty where there are none.
    pub(super) fn next(&self) -> Vec<Way> {
        let alive = || self.0.iter().filter(|known| !known.dead);
        let Some(first) = alive().min_by_key(|known| known.failures) else { return Vec::new() };
        let equal = |known: &&Known| known.failures == first.failures && known.way.carrier == first.way.carrier;
        let mut next: Vec<Way> = Vec::new();
        for Known { way, .. } in alive().filter(equal) {
            if !next.iter().any(|other| other.address == way.address) {
                next.push(*way);
            }
        }
        next
    }

    /// True where there is something to be tried that has failed less often than `ways`.
    pub(super) fn has_better(&self, ways: &[Way]) -> bool {
        let of = |way: &Way| self.0.iter().find(|known| known.way == *way).map_or(0, |known| known.failures);
        let tried = ways.iter().map(of).max().unwrap_or(0);
        self.0.iter().any(|known| !known.dead && known.failures <= tried && !ways.contains(&known.way))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(carrier: Carrier, last: u8) -> Way {
        Way { carrier, address: ([10, 0, 0, last], 4_000).into(), invite: InviteId([last; 8]) }
    }

    #[test]
    fn those_over_the_carrier_that_was_found_first_are_tried_at_once() {
        let mut ways = Ways::default();
        assert_eq!(ways.next(), []);
        let (udp, tcp, other) = (way(Carrier::Udp, 1), way(Carrier::Tcp, 2), way(Carrier::Udp, 3));
        [udp, tcp, other, udp].into_iter().for_each(|way| ways.add(way));
        assert_eq!(ways.next(), [udp, other]);
    }

    #[test]
    fn who_failed_waits_until_all_others_have_whatever_carries_them() {
        let mut ways = Ways::default();
        let (hostile, honest) = (way(Carrier::Udp, 1), way(Carrier::Tcp, 2));
        ways.add(hostile);
        ways.add(honest);
        ways.on_failure(&hostile);
        assert_eq!(ways.next(), [honest]);
        ways.on_failure(&honest);
        assert_eq!(ways.next(), [hostile], "perhaps the honest one was not ready");
        ways.on_failure(&hostile);
        assert_eq!(ways.next(), [honest]);
        let late = way(Carrier::Udp, 3);
        ways.add(late);
        assert_eq!(ways.next(), [late]);
    }

    #[test]
    fn invites_at_one_address_are_tried_one_after_the_other() {
        let mut ways = Ways::default();
        let honest = way(Carrier::Udp, 1);
        let (forged, elsewhere) = (Way { invite: InviteId([9; 8]), ..honest }, way(Carrier::Udp, 2));
        [forged, honest, elsewhere].into_iter().for_each(|way| ways.add(way));
        assert_eq!(ways.next(), [forged, elsewhere]);
        assert!(ways.has_better(&[forged, elsewhere]), "one has not been tried");
        [forged, elsewhere].iter().for_each(|way| ways.on_failure(way));
        assert_eq!(ways.next(), [honest]);
        assert!(!ways.has_better(&[honest]), "the others have failed");
    }

    #[test]
    fn a_dead_end_is_not_tried_again() {
        let mut ways = Ways::default();
        let (gone, alive) = (way(Carrier::Udp, 1), way(Carrier::Udp, 2));
        ways.add(gone);
        ways.add(alive);
        ways.on_dead_end(&Way { carrier: Carrier::Tcp, ..gone });
        assert_eq!(ways.next(), [gone, alive], "over the other carrier there may be nobody");
        ways.on_dead_end(&gone);
        assert_eq!(ways.next(), [alive]);
        ways.on_dead_end(&alive);
        assert_eq!(ways.next(), []);
    }
}
