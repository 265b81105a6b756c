//! Devices that know each other by the id of a key.

use super::medium::{Faults, Medium, at, invite_id};
use crate::pairing::*;

/// Of the same nameplate, and another key.
const ONE: InviteId = InviteId([7, 0, 0, 0, 0, 0, 0, 1]);
const OTHER: InviteId = InviteId([107, 0, 0, 0, 0, 0, 0, 2]);

fn found(medium: &Medium, joiner: usize) -> Vec<InviteId> {
    medium.found(joiner).iter().map(|found| found.invite).collect()
}

#[test]
fn a_device_is_found_by_its_id_whoever_begins_and_a_neighbour_is_not() {
    assert_eq!(Nameplate::of_device(ONE), Nameplate::of_device(OTHER));
    for seed in 0..50 {
        let mut medium = Medium::new(seed, Faults { loss_percent: 30, duplicate_percent: 30, jitter_us: 5_000 });
        let early = medium.seek_device(ONE);
        medium.run_until(at(seed * 50));
        let inviters = [medium.invite_device(ONE), medium.invite_device(OTHER)];
        medium.run_until(at(seed * 50 + 2_500));
        let late = medium.seek_device(OTHER);
        medium.run_until(at(seed * 50 + 10_000));
        assert_eq!((found(&medium, early), found(&medium, late)), (vec![ONE], vec![OTHER]), "seed {seed}");
        for inviter in inviters {
            let held = [InvitingEvent::Held { nameplate: Nameplate::of_device(ONE), asked: true }];
            let said: Vec<InvitingEvent> = medium.processes[inviter].invited.iter().map(|(_, event)| *event).collect();
            assert_eq!(said, held, "seed {seed}: sharing a nameplate troubles nobody");
        }
    }
}

#[test]
fn nobody_who_looks_for_a_code_hears_of_a_device_and_no_code_is_kept_from_its_number() {
    let mut medium = Medium::new(1, Faults::default());
    let device = medium.invite_device(ONE);
    medium.run_until(at(1_000));
    let inviter = medium.invite(7, 1);
    let joiner = medium.seek(7);
    medium.run_until(at(3_000));
    assert_eq!(found(&medium, joiner), [invite_id(1)]);
    assert_eq!(medium.inviting(inviter).nameplate(), Nameplate::new(7));
    assert_eq!(medium.processes[device].side.counters().answered, 0);
}

#[test]
fn a_device_that_is_held_begins_at_once() {
    let mut medium = Medium::new(1, Faults::default());
    let inviter = medium.invite_device(ONE);
    assert_eq!(medium.inviting(inviter).nameplate(), Some(Nameplate::of_device(ONE)));
    medium.run_until(at(2));
    assert!(matches!(medium.log[0].3.say, Say::Offer(Offer { invite: ONE, .. }, None)), "{:?}", medium.log);
}
