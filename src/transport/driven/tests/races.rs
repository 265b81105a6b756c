//! Keeper, leader, parked threads and tasks under every order of steps that a random scheduler finds.

use core::time::Duration;

use shuttle::sync::Arc;
use shuttle::thread;

use super::model::Model;
use crate::transport::WaitError;
use crate::transport::driven::ground::Ground;
use crate::transport::driven::{keeper, lead};

/// Schedules tried for each scenario.
const SCHEDULES: usize = 1_000;
/// Steps of the clock that mean nothing to anybody.
const IDLE_STEPS: usize = 3;

/// Runs `scenario` beside a keeper and a clock, until `delivered` datagrams were handled and nothing is left to do.
fn check(waiters: usize, room: usize, delivered: usize, scenario: fn(&Arc<Model>) -> Vec<thread::JoinHandle<()>>) {
    shuttle::check_random(
        move || {
            let model = Arc::new(Model::new(waiters, room));
            let keeper = spawn(&model, |model| keeper::keep(model).unwrap());
            let clock = spawn(&model, |model| model.run_clock(IDLE_STEPS));
            for thread in scenario(&model) {
                thread.join().unwrap();
            }
            model.until_settled(delivered);
            model.end();
            keeper.join().unwrap();
            clock.join().unwrap();
        },
        SCHEDULES,
    );
}

fn spawn(model: &Arc<Model>, run: impl FnOnce(&Model) + Send + 'static) -> thread::JoinHandle<()> {
    let model = Arc::clone(model);
    thread::spawn(move || run(&model))
}

/// Waits for `count` datagrams, one after the other, as a thread.
fn wait_for(model: &Model, waiter: usize, count: usize) {
    for _ in 0..count {
        model.list(waiter);
        lead::wait(model, waiter as u64, &waiter, None).unwrap();
    }
}

#[test]
fn every_datagram_reaches_its_waiter() {
    check(2, 0, 4, |model| {
        vec![
            spawn(model, |model| wait_for(model, 0, 2)),
            spawn(model, |model| wait_for(model, 1, 2)),
            spawn(model, |model| {
                for waiter in [0, 1, 1, 0] {
                    model.deliver(waiter);
                }
            }),
        ]
    });
}

#[test]
fn three_waiters_hand_the_lead_on() {
    check(3, 0, 3, |model| {
        (0..3)
            .map(|waiter| spawn(model, move |model| wait_for(model, waiter, 1)))
            .chain([spawn(model, |model| {
                for waiter in [2, 0, 1] {
                    model.deliver(waiter);
                }
            })])
            .collect()
    });
}

#[test]
fn what_nobody_waits_for_is_handled_too_and_a_task_is_woken() {
    check(2, 0, 3, |model| {
        let task = spawn(model, |model| {
            // As a task: it looks, and otherwise sleeps until its waker is called; it never leads.
            while model.look(1, false).is_none() {
                model.sleep_task(1);
            }
        });
        vec![
            task,
            spawn(model, |model| wait_for(model, 0, 1)),
            spawn(model, |model| {
                model.deliver(0);
                model.deliver(1);
                model.deliver(0); // for nobody: waiter 0 has gone
            }),
        ]
    });
}

#[test]
fn every_deadline_fires_whoever_is_inside() {
    check(1, 4, 1, |model| {
        vec![
            spawn(model, |model| {
                wait_for(model, 0, 1);
                model.send(Some(100));
            }),
            spawn(model, |model| {
                model.send(Some(5_000));
                model.settle();
                model.send(Some(300));
                model.deliver(0);
            }),
        ]
    });
}

#[test]
fn a_wait_with_a_limit_ends_and_leaves_the_socket_to_somebody() {
    check(2, 0, 1, |model| {
        vec![
            spawn(model, |model| {
                let until = model.now() + Duration::from_micros(400);
                model.list(0);
                let result = lead::wait(model, 0, &0, Some(until));
                assert!(matches!(result, Err(WaitError::TimedOut)), "nothing comes for it");
            }),
            spawn(model, |model| wait_for(model, 1, 1)),
            spawn(model, |model| model.deliver(1)),
        ]
    });
}

#[test]
fn what_the_kernel_refused_goes_when_there_is_room() {
    check(1, 0, 1, |model| {
        vec![
            spawn(model, |model| {
                model.send(Some(200));
                wait_for(model, 0, 1);
                model.send(Some(200));
            }),
            spawn(model, |model| {
                model.send(Some(900));
                model.deliver(0);
            }),
        ]
    });
}

#[test]
fn what_the_kernel_refused_goes_without_any_timer() {
    check(1, 0, 2, |model| {
        vec![
            spawn(model, |model| wait_for(model, 0, 2)),
            spawn(model, |model| {
                model.deliver(0);
                // The acknowledgement of the first goes out when its receiver waits again; the second answers it.
                model.until_sent(1);
                model.deliver(0);
            }),
        ]
    });
}

#[test]
fn a_deadline_that_has_come_fires_once() {
    shuttle::check_random(
        || {
            let model = Arc::new(Model::new(0, 1));
            let keeper = spawn(&model, |model| keeper::keep(model).unwrap());
            let clock = spawn(&model, |model| model.run_clock(0));
            model.send(Some(700));
            model.until_settled(0);
            assert_eq!(model.fired(), 1);
            model.end();
            keeper.join().unwrap();
            clock.join().unwrap();
        },
        SCHEDULES / 10,
    );
}
