//! The decisions one by one.

use crate::time::Timestamp;
use crate::transport::driven::duty::{Duty, Plan, Role, Timer, Wake};
use crate::transport::driven::shared::LEASE;

const A: u64 = 1;
const B: u64 = 2;
const C: u64 = 3;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_nanos(micros * 1_000)
}

fn duty() -> Duty<&'static str> {
    Duty::new(LEASE)
}

#[test]
fn the_keeper_has_the_socket_until_somebody_waits_and_again_when_the_lease_is_over() {
    let mut duty = duty();
    assert_eq!(duty.plan(at(1_000)), (Plan::SleepOnSocket { writable: false }, Timer::Keep));
    assert_eq!(duty.enter(A, "a"), Wake::Keeper, "the keeper is sent off");
    assert_eq!(duty.plan(at(1_001)), (Plan::Sleep, Timer::Keep));
    let takeover = at(1_500) + LEASE;
    assert_eq!(duty.leave(A, at(1_500)), (Wake::Nobody, Timer::Set(Some(takeover))));
    assert_eq!(duty.plan(at(1_999)), (Plan::Sleep, Timer::Keep));
    assert_eq!(duty.plan(at(2_000)), (Plan::SleepOnSocket { writable: false }, Timer::Set(None)));
}

#[test]
fn coming_and_going_within_the_lease_sets_no_timer() {
    let mut duty = duty();
    assert_eq!(duty.plan(at(1_000)), (Plan::SleepOnSocket { writable: false }, Timer::Keep));
    assert_eq!(duty.enter(A, "a"), Wake::Keeper);
    assert_eq!(duty.plan(at(1_001)), (Plan::Sleep, Timer::Keep));
    assert_eq!(duty.leave(A, at(1_010)), (Wake::Nobody, Timer::Set(Some(at(1_510)))));
    for micros in [1_020, 1_100, 1_500] {
        assert_eq!(duty.enter(A, "a"), Wake::Nobody);
        assert_eq!(duty.leave(A, at(micros)), (Wake::Nobody, Timer::Keep));
    }
    // The fire that was left standing is in vain: the lease has moved on.
    assert_eq!(duty.plan(at(1_510)), (Plan::Sleep, Timer::Set(Some(at(2_000)))));
    // Nor does it with somebody inside who came lately: the next one to leave finds the timer set.
    assert_eq!(duty.enter(A, "a"), Wake::Nobody);
    assert_eq!(duty.leave(A, at(1_990)), (Wake::Nobody, Timer::Keep));
    assert_eq!(duty.enter(A, "a"), Wake::Nobody);
    assert_eq!(duty.plan(at(2_000)), (Plan::Sleep, Timer::Set(Some(at(2_500)))));
    // Whoever stays inside for longer wakes the keeper no more.
    assert_eq!(duty.plan(at(2_500)), (Plan::Sleep, Timer::Set(None)));
}

#[test]
fn the_timer_only_moves_earlier_until_it_fires() {
    let mut duty = duty();
    assert_eq!(duty.enter(A, "a"), Wake::Nobody);
    assert_eq!(duty.on_deadline(1, Some(at(2_100))), Timer::Set(Some(at(2_100))));
    assert_eq!(duty.on_deadline(2, Some(at(2_900))), Timer::Keep);
    assert_eq!(duty.on_deadline(3, Some(at(2_050))), Timer::Set(Some(at(2_050))));
    assert_eq!(duty.on_deadline(4, Some(at(2_900))), Timer::Keep);
    assert_eq!(duty.plan(at(2_050)), (Plan::Sleep, Timer::Set(Some(at(2_900)))), "in vain: nothing is run");
    assert_eq!(duty.plan(at(2_900)), (Plan::Run, Timer::Keep));
    assert_eq!(duty.on_deadline(5, None), Timer::Keep);
    assert_eq!(duty.plan(at(2_901)), (Plan::Sleep, Timer::Set(None)), "one that shows its fire would keep it awake");
    assert_eq!(duty.plan(at(2_902)), (Plan::Sleep, Timer::Keep));
}

#[test]
fn a_deadline_told_late_does_not_undo_a_newer_one() {
    let mut duty = duty();
    assert_eq!(duty.enter(A, "a"), Wake::Nobody);
    assert_eq!(duty.on_deadline(2, Some(at(100))), Timer::Set(Some(at(100))));
    assert_eq!(duty.on_deadline(1, None), Timer::Keep);
    assert_eq!(duty.plan(at(100)), (Plan::Run, Timer::Keep));
}

#[test]
fn a_leader_that_leaves_makes_the_longest_parked_one_its_successor() {
    let mut duty = duty();
    assert_eq!(duty.enter(A, "a"), Wake::Nobody);
    assert_eq!(duty.enter(B, "b"), Wake::Nobody);
    assert_eq!(duty.enter(C, "c"), Wake::Nobody);
    assert_eq!((duty.role(A), duty.role(B)), (Role::Leader { writable: false }, Role::Parked));
    assert_eq!(duty.leave(A, at(1)), (Wake::Thread("b"), Timer::Keep));
    assert_eq!((duty.role(B), duty.role(C)), (Role::Leader { writable: false }, Role::Parked));
    assert_eq!(duty.leave(C, at(2)), (Wake::Nobody, Timer::Keep), "a parked one leaves nothing behind");
    assert_eq!(duty.leave(B, at(3)), (Wake::Nobody, Timer::Set(Some(at(3) + LEASE))));
    assert_eq!(duty.lead_changes(), 1);
}

#[test]
fn whoever_watches_the_socket_watches_for_room_once_the_kernel_is_full() {
    let mut duty = duty();
    assert_eq!(duty.on_blocked(None), Wake::Keeper);
    assert_eq!(duty.plan(at(1_000)), (Plan::SleepOnSocket { writable: true }, Timer::Keep));
    assert_eq!(duty.enter(A, "a"), Wake::Keeper);
    assert_eq!(duty.role(A), Role::Leader { writable: true });
    assert_eq!(duty.on_blocked(Some(A)), Wake::Nobody, "the leader that found out is awake");
    assert_eq!(duty.on_blocked(Some(B)), Wake::Thread("a"));
    assert_eq!(duty.leave(A, at(1_001)).0, Wake::Keeper, "room is not to wait for the lease");
    assert_eq!(duty.plan(at(1_001)).0, Plan::SleepOnSocket { writable: true });
    duty.on_writable();
    assert_eq!(duty.plan(at(1_002)).0, Plan::Sleep);
}

#[test]
fn a_verb_that_drains_sends_the_keeper_off_for_another_lease() {
    let mut duty = duty();
    assert_eq!(duty.plan(at(1_000)), (Plan::SleepOnSocket { writable: false }, Timer::Keep));
    duty.on_drained(at(1_100));
    assert_eq!(duty.plan(at(1_200)), (Plan::Sleep, Timer::Set(Some(at(1_600)))));
    duty.on_drained(at(1_550));
    assert_eq!(duty.plan(at(1_600)), (Plan::Sleep, Timer::Set(Some(at(2_050)))));
    assert_eq!(duty.plan(at(2_050)), (Plan::SleepOnSocket { writable: false }, Timer::Set(None)));
}

#[test]
fn a_keeper_on_whom_a_task_relies_is_not_sent_off_by_a_verb_that_drains() {
    let mut duty = duty();
    duty.on_drained(at(1_100));
    assert_eq!(duty.plan(at(1_200)), (Plan::Sleep, Timer::Set(Some(at(1_600)))));
    assert_eq!(duty.enter_task(), Timer::Set(Some(Timestamp::ZERO + LEASE)), "the lease is over at once");
    assert_eq!(duty.plan(at(1_201)).0, Plan::SleepOnSocket { writable: false });
    duty.on_drained(at(1_300));
    assert_eq!(duty.enter_task(), Timer::Keep);
    duty.leave_task();
    assert_eq!(duty.plan(at(1_301)).0, Plan::SleepOnSocket { writable: false });
    duty.leave_task();
    assert_eq!(duty.plan(at(1_302)).0, Plan::Sleep, "nobody relies on it any more");
}

#[test]
fn who_drains_in_passing_may_have_a_longer_lease_than_who_waits() {
    let mut duty: Duty<&str> = Duty::new(LEASE * 10);
    assert_eq!(duty.enter(A, "a"), Wake::Nobody);
    assert_eq!(duty.leave(A, at(10_010)), (Wake::Nobody, Timer::Set(Some(at(10_010) + LEASE))));
    assert_eq!(duty.plan(at(10_010) + LEASE).0, Plan::SleepOnSocket { writable: false });
    duty.on_drained(at(20_000));
    assert_eq!(duty.plan(at(20_000)), (Plan::Sleep, Timer::Set(Some(at(20_000) + LEASE * 10))));
    assert_eq!(duty.enter_task(), Timer::Set(Some(at(10_010) + LEASE)), "a task does not wait for that");
}

#[test]
fn a_stopped_keeper_ends() {
    let mut duty = duty();
    assert_eq!(duty.stop(), Wake::Keeper);
    assert_eq!(duty.plan(at(1)), (Plan::Stop, Timer::Keep));
}

#[test]
fn a_leader_inside_costs_no_wakes_however_long_the_lease_of_those_who_drain_in_passing_is() {
    let mut duty: Duty<&str> = Duty::new(LEASE * 10);
    assert_eq!(duty.plan(at(10_000)), (Plan::SleepOnSocket { writable: false }, Timer::Keep));
    duty.on_drained(at(10_000));
    assert_eq!(duty.enter(A, "a"), Wake::Keeper);
    assert_eq!(duty.plan(at(10_001)), (Plan::Sleep, Timer::Keep));
}
