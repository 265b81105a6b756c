//! Nameplates: nobody holds one that another has.

use core::time::Duration;

use super::medium::{Faults, Medium, at, nameplate};
use crate::pairing::*;

fn held(medium: &Medium, index: usize) -> Option<u8> {
    medium.inviting(index).nameplate().map(Nameplate::number)
}

#[test]
fn a_nameplate_that_is_held_is_not_taken_again() {
    for seed in 0..100 {
        let mut medium = Medium::new(seed, Faults::default());
        medium.invite(42, 7);
        medium.run_until(at(100 + seed * 13));
        // A lower id does not help against one that holds.
        let second = medium.invite(42, 1);
        let end = medium.now + Duration::from_millis(300);
        medium.run_until(end);
        assert_eq!(held(&medium, 0), Some(42), "seed {seed}");
        assert!(held(&medium, second).is_some_and(|number| number != 42), "seed {seed}");
        assert_eq!(medium.processes[second].invited[0].1, InvitingEvent::Taken { nameplate: nameplate(42) });
    }
}

#[test]
fn who_asks_at_the_same_moment_gives_way_to_the_lower_id() {
    for seed in 0..100 {
        let mut medium = Medium::new(seed, Faults::default());
        medium.invite(42, 7);
        medium.invite(42, 1);
        medium.run_until(at(500));
        assert_eq!(held(&medium, 1), Some(42), "seed {seed}");
        assert!(held(&medium, 0).is_some_and(|number| number != 42), "seed {seed}");
    }
}

/// At any distance in time, and with faults, invites do not cross.
#[test]
fn two_that_ask_at_any_distance_never_hold_the_same() {
    for seed in 0..2_000 {
        let mut medium = Medium::new(seed, Faults { duplicate_percent: 20, jitter_us: 3_000, ..Faults::default() });
        let ids = if seed % 2 == 0 { [1, 2] } else { [2, 1] };
        medium.invite(42, ids[0]);
        medium.run_until(at(seed % 120));
        medium.invite(42, ids[1]);
        medium.run_until(at(2_000));
        let both = [0, 1].map(|index| held(&medium, index).expect("a nameplate"));
        assert_ne!(both[0], both[1], "seed {seed}");
    }
}

#[test]
fn crossing_takes_the_loss_of_every_question_and_answer() {
    let crossed = |seed: &u64| {
        let mut medium = Medium::new(*seed, Faults { loss_percent: 20, ..Faults::default() });
        medium.invite(42, 1);
        medium.invite(42, 2);
        medium.run_until(at(3_000));
        let crossed = held(&medium, 0) == held(&medium, 1);
        if crossed {
            let told = |index: usize| medium.processes[index].invited.iter().any(|(_, e)| *e == InvitingEvent::Crossed);
            assert!(told(0) || told(1), "seed {seed}: they crossed and nobody was told");
        }
        crossed
    };
    let count = (0..1_000).filter(crossed).count();
    assert!(count < 30, "{count} of 1000 crossed at 20 % loss");
}

#[test]
fn a_network_full_of_invites_has_a_nameplate_for_each() {
    let mut medium = Medium::new(9, Faults::default());
    for number in 0..40 {
        medium.invite(42, number + 1);
        let end = medium.now + Duration::from_millis(u64::from(number) * 7);
        medium.run_until(end);
    }
    let end = medium.now + Duration::from_secs(2);
    medium.run_until(end);
    let mut numbers: Vec<u8> = (0..40).map(|index| held(&medium, index).expect("a nameplate")).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 40);
}

#[test]
fn who_was_not_driven_in_time_asks_before_it_holds() {
    let mut late = Inviting::new(
        at(0),
        nameplate(42),
        Offer { invite: InviteId([1; 8]), carrier: Carrier::Tcp, port: 1 },
        [0; 32],
    );
    late.handle_timeout(at(10_000));
    assert_eq!(late.nameplate(), None);
    let asked = Beacon::decode(&late.poll_transmit().unwrap().beacon).unwrap();
    assert_eq!(asked.say, Say::Ask(InviteId([1; 8])));
    assert_eq!(late.deadline(), Some(at(10_000) + ASKING));
    late.handle_timeout(at(10_000) + ASKING);
    assert_eq!(late.nameplate(), Some(nameplate(42)));
}
