//! Finding each other, whoever begins.

use core::time::Duration;

use super::medium::{Faults, Medium, address, at, invite_id};
use crate::pairing::*;
use crate::time::Timestamp;

fn first_found(medium: &Medium, index: usize) -> Option<Timestamp> {
    medium.processes[index]
        .sought
        .iter()
        .find(|(_, event)| matches!(event, SeekingEvent::Found(_)))
        .map(|found| found.0)
}

/// What was said, in the order of time, in words; times in milliseconds.
fn ladder(medium: &Medium) -> Vec<String> {
    let say = |beacon: &Beacon| match beacon.say {
        Say::Seek(_) => "SEEK",
        Say::Offer(_, None) => "OFFER",
        Say::Offer(_, Some(_)) => "OFFER echo",
        Say::Ask(_) => "ASK",
        Say::Taken { .. } => "TAKEN",
    };
    let line = |(when, by, to, beacon): &(Timestamp, usize, Destination, Beacon)| {
        let to = if *to == Destination::Everyone { "all" } else { "one" };
        format!("{} {by} {} to {to}", when.as_micros() / 1_000, say(beacon))
    };
    medium.log.iter().map(line).collect()
}

#[test]
fn an_inviter_asks_three_times_then_holds_and_bursts() {
    let mut medium = Medium::new(1, Faults::default());
    medium.invite(42, 1);
    medium.run_until(at(79));
    assert_eq!(medium.inviting(0).nameplate(), None);
    medium.run_until(at(80));
    assert_eq!(medium.inviting(0).nameplate().unwrap().to_string(), "42");
    medium.run_until(at(800));
    let said: Vec<String> = ladder(&medium).iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    let mut expected = vec!["0 ASK to all"; 3];
    expected.extend(["0 OFFER to all"; 5]);
    assert_eq!(said, expected);
    assert_eq!(
        medium.processes[0].invited,
        [(at(80), InvitingEvent::Held { nameplate: Nameplate::new(42).unwrap(), asked: true })]
    );
}

#[test]
fn a_joiner_that_comes_later_is_answered_at_once() {
    for seed in 0..50 {
        let mut medium = Medium::new(seed, Faults::default());
        medium.invite(42, 1);
        medium.run_until(at(5_000));
        let joiner = medium.seek(42);
        medium.run_until(at(5_010));
        assert!(first_found(&medium, joiner).is_some(), "seed {seed}: {:?}", ladder(&medium));
        let mut expected = address(0);
        expected.set_port(5_001);
        assert_eq!(medium.found(joiner)[0].address, expected, "the sender's address with the offered port");
        assert_eq!(medium.found(joiner)[0].invite, invite_id(1));
    }
}

#[test]
fn a_joiner_that_waits_hears_the_inviter_as_soon_as_it_holds_its_nameplate() {
    for seed in 0..50 {
        let mut medium = Medium::new(seed, Faults::default());
        let joiner = medium.seek(42);
        medium.run_until(at(5_300));
        medium.invite(42, 1);
        medium.run_until(at(5_300 + 80 + 5));
        assert!(first_found(&medium, joiner).is_some(), "seed {seed}: {:?}", ladder(&medium));
    }
}

#[test]
fn who_is_heard_is_answered_to_one_and_to_all() {
    let mut medium = Medium::new(3, Faults::default());
    medium.invite(42, 1);
    medium.run_until(at(5_000));
    let before = medium.log.len();
    medium.seek(42);
    medium.run_until(at(5_100));
    let said = ladder(&medium).split_off(before);
    let of = |what: &str| said.iter().filter(|line| line.ends_with(what)).count();
    assert_eq!(of("1 SEEK to all"), 3, "{said:?}");
    assert_eq!(of("0 OFFER echo to one"), 3, "{said:?}");
    assert!(of("0 OFFER to all") >= 3, "the burst began again: {said:?}");
}

#[test]
fn another_nameplate_is_not_found() {
    let mut medium = Medium::new(1, Faults::default());
    medium.invite(42, 1);
    let joiner = medium.seek(43);
    medium.run_until(at(10_000));
    assert_eq!(medium.found(joiner), []);
    assert!(medium.processes[joiner].side.counters().dropped(Dropped::OtherNameplate) > 5);
    assert!(medium.processes[0].side.counters().dropped(Dropped::OtherNameplate) > 5);
    assert_eq!(medium.processes[0].side.counters().answered, 0);
}

#[test]
fn two_pairs_find_their_own_under_loss_and_duplication() {
    let faults = Faults { loss_percent: 30, duplicate_percent: 30, jitter_us: 5_000 };
    for seed in 0..300 {
        let mut medium = Medium::new(seed, faults);
        // In every order of starting.
        let mut order = [0, 1, 2, 3];
        let pick = |n: u64| usize::try_from(seed / n % 4).unwrap();
        order.swap(0, pick(1));
        order.swap(1, pick(4));
        order.swap(2, pick(16));
        let mut index = [0; 4];
        for (step, role) in order.into_iter().enumerate() {
            medium.run_until(at(u64::try_from(step).unwrap() * (seed % 7) * 100));
            index[role] = match role {
                0 => medium.invite(10, 1),
                1 => medium.invite(20, 2),
                2 => medium.seek(10),
                _ => medium.seek(20),
            };
        }
        let end = medium.now + Duration::from_secs(8);
        medium.run_until(end);
        for (joiner, id) in [(index[2], 1), (index[3], 2)] {
            let invites: Vec<InviteId> = medium.found(joiner).iter().map(|found| found.invite).collect();
            assert_eq!(invites, [invite_id(id)], "seed {seed}, order {order:?}");
        }
    }
}

#[test]
fn each_way_is_given_out_once_however_often_it_is_offered() {
    let mut medium = Medium::new(5, Faults { duplicate_percent: 100, ..Faults::default() });
    medium.invite(42, 1);
    let joiner = medium.seek(42);
    medium.run_until(at(20_000));
    assert_eq!(medium.processes[joiner].sought.len(), 1);
    assert!(medium.processes[joiner].side.counters().dropped(Dropped::Repeated) > 20);
}

#[test]
fn every_beacon_is_as_long_as_every_other_and_says_nothing_of_the_words() {
    let mut medium = Medium::new(5, Faults::default());
    medium.invite(42, 1);
    medium.seek(42);
    medium.run_until(at(3_000));
    for (_, _, _, beacon) in &medium.log {
        let bytes = beacon.encode();
        assert_eq!(bytes.len(), BEACON_LEN);
        // All that there is: magic, version, type, nameplate, carrier, two random ids, the port, the checksum.
        assert_eq!(Beacon::decode(&bytes), Ok(*beacon));
    }
}
