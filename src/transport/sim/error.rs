//! Why a simulated world failed.

use core::fmt;
use core::time::Duration;
use std::error::Error;

use thiserror::Error;

use crate::time::Timestamp;

/// What a host's program may fail with: anything that is an error.
pub type HostError = Box<dyn Error + Send + Sync>;

/// Why a run failed. Every message ends with the seed that repeats it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SimError {
    /// A host's program returned an error.
    #[error("host {host:?} failed: {error} (seed {seed})")]
    Failed {
        /// The host.
        host: String,
        /// What it returned.
        #[source]
        error: HostError,
        /// The seed.
        seed: u64,
    },
    /// A host's program panicked.
    #[error("host {host:?} panicked in thread {thread:?}: {message} (seed {seed})")]
    Panicked {
        /// The host.
        host: String,
        /// Which of its threads.
        thread: String,
        /// What it panicked with, where that is text.
        message: String,
        /// The seed.
        seed: u64,
    },
    /// Everybody waits, and nothing is due: nobody would ever go on.
    #[error("everybody waits at {at:?} and nothing is due:{} (seed {seed})", Lines(waiting))]
    Stuck {
        /// The virtual time.
        at: Timestamp,
        /// Who waits, and for what.
        waiting: Vec<Waiting>,
        /// The seed.
        seed: u64,
    },
    /// A host kept its turn too long: it computes for ever, or waits for something outside of the simulation (a lock,
    /// a channel of the standard library's, a file).
    #[error(
        "host {host:?} held its turn for {limit:?} of real time in thread {thread:?} at {at:?};{} (seed {seed})",
        Lines(waiting)
    )]
    HeldTurn {
        /// The host.
        host: String,
        /// Which of its threads. It cannot be ended and is left behind.
        thread: String,
        /// How long a turn may last.
        limit: Duration,
        /// The virtual time.
        at: Timestamp,
        /// Who waits meanwhile, and for what.
        waiting: Vec<Waiting>,
        /// The seed.
        seed: u64,
    },
    /// It went on beyond the virtual time allowed.
    #[error("not at an end after {limit:?} of virtual time:{} (seed {seed})", Lines(waiting))]
    TooLong {
        /// The virtual time allowed.
        limit: Duration,
        /// Who waits, and for what.
        waiting: Vec<Waiting>,
        /// The seed.
        seed: u64,
    },
    /// The operating system gives no more threads.
    #[error("cannot begin a thread for host {host:?}: {source} (seed {seed})")]
    Thread {
        /// The host.
        host: String,
        /// What it said.
        source: std::io::Error,
        /// The seed.
        seed: u64,
    },
}

/// A simulated thread that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its host.
    pub host: String,
    /// Its name.
    pub thread: String,
    /// What it waits for.
    pub what: String,
    /// How long at most.
    pub until: Option<Timestamp>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} waits for {}", self.host, self.thread, self.what)?;
        self.until.map_or(Ok(()), |until| write!(f, " until {until:?}"))
    }
}

/// One to a line.
struct Lines<'a>(&'a [Waiting]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str(" nobody waits")?;
        }
        self.0.iter().try_for_each(|waiting| write!(f, "\n    {waiting}"))
    }
}
