//! The keeper's timer: a descriptor that anybody sets without waking anybody, until it fires.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

use super::core::kind;
use crate::time::Timestamp;
use crate::transport::clock;

/// See the module.
#[derive(Debug)]
pub(super) struct Alarm {
    fd: OwnedFd,
}

impl Alarm {
    pub(super) fn new() -> Result<Self, ErrorKind> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self { fd: timerfd_create(TimerfdClockId::Monotonic, flags).map_err(kind)? })
    }

    /// Fires at `at`, or never, whatever it was set to; a fire that was not seen is forgotten.
    pub(super) fn set(&self, at: Option<Timestamp>) {
        let zero = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = at.map_or(zero, clock::system_time);
        let new = Itimerspec { it_interval: zero, it_value };
        // Fails only for a time out of range, and `system_time` gives none.
        let _ = timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &new);
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
