//! The keeper: the thread to which time belongs, and the socket when nobody else reads it.

use super::duty::{Plan, Wake};
use super::ground::{Drainer, Ground, Watch};
use std::io::ErrorKind;

/// Runs until the transport is gone.
pub(super) fn keep<G: Ground>(ground: &G) -> Result<(), ErrorKind> {
    loop {
        let plan = ground.decide(|duty| {
            let (plan, timer) = duty.plan(ground.now());
            if matches!(plan, Plan::SleepOnSocket { .. }) {
                ground.on_keeper_alone();
            }
            (plan, timer, Wake::Nobody)
        });
        let watch = match plan {
            Plan::Stop => return Ok(()),
            Plan::Run => {
                // What is in the socket may be what the timer waits for: it is taken first.
                ground.drain(Drainer::Keeper, None);
                ground.run_timers();
                continue;
            }
            Plan::Sleep => Watch::Nothing,
            Plan::SleepOnSocket { writable } => Watch::Socket { writable },
        };
        let woken = ground.sleep_keeper(watch)?;
        if woken.writable {
            ground.decide(|duty| {
                duty.on_writable();
                ((), super::duty::Timer::Keep, Wake::Nobody)
            });
            ground.transmit(None);
        }
        if woken.readable {
            ground.drain(Drainer::Keeper, None);
        }
    }
}
