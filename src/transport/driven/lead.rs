//! A thread that waits: as the leader it does the transport's I/O, parked it sleeps until somebody wakes it,
//! and so it does where it waits for nothing of the network.

use super::duty::{Role, Timer, WaiterKey, Wake};
use super::ground::{Drainer, Ground, Watch};
use crate::time::Timestamp;
use crate::transport::{Ready, WaitError};

/// Waits until what waiter `key` is registered for holds, at most until `until`.
pub(super) fn wait<G: Ground>(
    ground: &G,
    key: WaiterKey,
    parker: &G::Parker,
    until: Option<Timestamp>,
) -> Result<Ready, WaitError> {
    let (_seat, mut role) = Seat::take(ground, key, parker);
    let mut drained = false;
    loop {
        if role == Role::Parked {
            role = role_of(ground, key);
        }
        if let Some(result) = ground.look(key, role != Role::Parked) {
            return result;
        }
        if until.is_some_and(|until| until <= ground.now()) {
            if drained || role == Role::Parked {
                return Err(WaitError::TimedOut);
            }
            // However short the time given: what is in the socket already came within it.
            drained = true;
            ground.drain(Drainer::Caller, Some(key));
            continue;
        }
        // Again: looking may have found the kernel full, or somebody has left the lead to this thread.
        role = role_of(ground, key);
        let watch = match role {
            Role::Parked => Watch::Nothing,
            Role::Leader { .. } if ground.spin(key, parker, until) => continue,
            Role::Leader { writable } => Watch::Socket { writable },
        };
        let woken = ground.sleep_waiter(parker, watch, until).map_err(WaitError::Broken)?;
        if woken.writable {
            ground.decide(|duty| {
                duty.on_writable();
                ((), Timer::Keep, Wake::Nobody)
            });
            ground.transmit(Some(key));
        }
        if woken.readable {
            drained = true;
            ground.drain(Drainer::Caller, Some(key));
        }
    }
}

/// Waits likewise for what does not come from the network, and leaves the socket to others.
pub(super) fn rest<G: Ground>(
    ground: &G,
    key: WaiterKey,
    parker: &G::Parker,
    until: Option<Timestamp>,
) -> Result<Ready, WaitError> {
    loop {
        if let Some(result) = ground.look(key, false) {
            return result;
        }
        if until.is_some_and(|until| until <= ground.now()) {
            return Err(WaitError::TimedOut);
        }
        ground.sleep_waiter(parker, Watch::Nothing, until).map_err(WaitError::Broken)?;
    }
}

fn role_of<G: Ground>(ground: &G, key: WaiterKey) -> Role {
    ground.decide(|duty| (duty.role(key), Timer::Keep, Wake::Nobody))
}

/// A place among those who wait; given up on the way out, also by a panic.
struct Seat<'a, G: Ground> {
    ground: &'a G,
    key: WaiterKey,
}

impl<'a, G: Ground> Seat<'a, G> {
    fn take(ground: &'a G, key: WaiterKey, parker: &G::Parker) -> (Self, Role) {
        let role = ground.decide(|duty| {
            let wake = duty.enter(key, parker.clone());
            (duty.role(key), Timer::Keep, wake)
        });
        (Self { ground, key }, role)
    }
}

impl<G: Ground> Drop for Seat<'_, G> {
    fn drop(&mut self) {
        self.ground.decide(|duty| {
            let (wake, timer) = duty.leave(self.key, self.ground.now());
            ((), timer, wake)
        });
    }
}
