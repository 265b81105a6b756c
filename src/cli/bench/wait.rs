//! Waiting for sockets, to the time asked for: SO_RCVTIMEO rounds up to the kernel's tick (8 ms and more), ppoll does
//! not.

use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, Result};

/// Waits until `fd` can be read or `wait` is over, for ever where that is `None`; returns whether it can be read.
/// An error or an end that a read would return counts as readable.
pub(crate) fn readable(fd: &impl AsFd, wait: Option<Duration>) -> Result<bool> {
    Ok(ready([PollFd::new(fd, PollFlags::IN)], wait)?[0])
}

/// As [`readable`], for whichever of two comes first.
pub(crate) fn either_readable(a: &impl AsFd, b: &impl AsFd, wait: Option<Duration>) -> Result<[bool; 2]> {
    ready([PollFd::new(a, PollFlags::IN), PollFd::new(b, PollFlags::IN)], wait)
}

/// Waits until `fd` can be written.
pub(crate) fn writable(fd: &impl AsFd) -> Result<()> {
    ready([PollFd::new(fd, PollFlags::OUT)], None).map(|_| ())
}

/// Makes this thread's waits end when asked for: by default the kernel may end each 50 µs late, to end several at once.
/// Where it cannot be had, waits are as late as ever.
pub(crate) fn be_punctual() {
    let _best_effort = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}

fn ready<const N: usize>(mut fds: [PollFd<'_>; N], wait: Option<Duration>) -> Result<[bool; N]> {
    // A wait too long for the kernel's clock is one for ever.
    let timeout = wait.and_then(|wait| Timespec::try_from(wait).ok());
    loop {
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => return Ok(fds.map(|fd| !fd.revents().is_empty())),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_is_there_is_seen_and_what_is_not_ends_the_wait() {
        let (mut a, b) = UnixStream::pair().unwrap();
        assert!(!readable(&b, Some(Duration::ZERO)).unwrap());
        assert_eq!(either_readable(&a, &b, Some(Duration::from_micros(1))).unwrap(), [false, false]);
        std::io::Write::write_all(&mut a, b"x").unwrap();
        assert!(readable(&b, None).unwrap());
        assert_eq!(either_readable(&a, &b, None).unwrap(), [false, true]);
        writable(&a).unwrap();
    }

    #[test]
    fn a_closed_peer_counts_as_readable() {
        let (a, b) = UnixStream::pair().unwrap();
        drop(a);
        assert!(readable(&b, None).unwrap());
    }
}
