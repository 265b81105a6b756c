//! Signals that a sleeping thread can poll, and sleeping on them.

use std::cell::OnceCell;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::core::kind;
use super::ground::Watch;

/// A signal on a descriptor: raised by anybody, cleared by the one thread that sleeps on it.
#[derive(Debug)]
pub(crate) struct Signal {
    fd: OwnedFd,
    raised: AtomicBool,
}

impl Signal {
    pub(in crate::transport) fn new() -> Result<Self, ErrorKind> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(kind)?;
        Ok(Self { fd, raised: AtomicBool::new(false) })
    }

    /// Wakes the sleeper, or keeps it from falling asleep. What it is to find must be done before.
    pub(super) fn raise(&self) {
        if !self.raised.swap(true, Ordering::SeqCst) {
            // Only a counter at its limit refuses, and then the signal is raised.
            let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
        }
    }

    /// The sleeper is awake. It must look at everything *after* this: whoever raises the signal before it is cleared
    /// does not write again.
    pub(in crate::transport) fn clear(&self) {
        let mut count = [0; 8];
        // Nothing to read: somebody has set the flag and not written yet; the next sleep ends at once.
        let _ = rustix::io::read(&self.fd, &mut count);
        self.raised.store(false, Ordering::SeqCst);
    }

    /// The sleeper was woken by it, or by something else.
    pub(super) fn on_slept(&self, slept: &Slept) {
        if slept.signalled {
            self.clear();
        }
    }

    /// True when the sleeper would not sleep.
    pub(in crate::transport) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }
}

impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.raise();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raise();
    }
}

thread_local! {
    static OWN: OnceCell<Arc<Signal>> = const { OnceCell::new() };
}

/// The calling thread's signal. A thread waits at one place at a time, so one is enough; it may be raised still from
/// the last wait, which ends the next sleep early and nothing else.
pub(super) fn own() -> Result<Arc<Signal>, ErrorKind> {
    OWN.with(|own| {
        if let Some(signal) = own.get() {
            return Ok(Arc::clone(signal));
        }
        let signal = Arc::new(Signal::new()?);
        Ok(Arc::clone(own.get_or_init(|| signal)))
    })
}

/// What ended a sleep.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slept {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) signalled: bool,
}

/// Sleeps until one of the descriptors has something. `source` is polled as `watch` says; `timer` where given.
pub(super) fn sleep(
    signal: &Signal,
    source: BorrowedFd<'_>,
    watch: Watch,
    timer: Option<BorrowedFd<'_>>,
    timeout: Option<&Timespec>,
) -> Result<Slept, ErrorKind> {
    let signal_fd = PollFd::from_borrowed_fd(signal.as_fd(), PollFlags::IN);
    let timer_fd = timer.map(|timer| PollFd::from_borrowed_fd(timer, PollFlags::IN));
    let source_fd = match watch {
        Watch::Nothing => None,
        Watch::Socket { writable: false } => Some(PollFd::from_borrowed_fd(source, PollFlags::IN)),
        Watch::Socket { writable: true } => Some(PollFd::from_borrowed_fd(source, PollFlags::IN | PollFlags::OUT)),
    };
    let spare = || PollFd::from_borrowed_fd(signal.as_fd(), PollFlags::empty());
    let (count, mut fds) = match (source_fd, timer_fd) {
        (Some(source), Some(timer)) => (3, [signal_fd, source, timer]),
        (Some(source), None) => (2, [signal_fd, source, spare()]),
        (None, Some(timer)) => (2, [signal_fd, timer, spare()]),
        (None, None) => (1, [signal_fd, spare(), spare()]),
    };
    match poll(&mut fds[..count], timeout) {
        // The sleeper looks at everything and comes back.
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(errno) => return Err(kind(errno)),
    }
    let mut slept = Slept { signalled: !fds[0].revents().is_empty(), ..Slept::default() };
    if watch != Watch::Nothing {
        let found = fds[1].revents();
        slept.writable = found.contains(PollFlags::OUT);
        // An error waits to be taken by a receive as well.
        slept.readable = !found.difference(PollFlags::OUT).is_empty();
    }
    signal.on_slept(&slept);
    Ok(slept)
}
