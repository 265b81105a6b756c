//! Ctrl-C and its like: the transfer under way ends, what is partial goes, the peer is told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use udpair::Connection;

use super::outcome::code;
use crate::cli::exit::{Exit, Failure};

/// What an interrupt ends.
#[derive(Clone, Default)]
pub(crate) struct Interrupt {
    target: Arc<Mutex<Target>>,
}

#[derive(Default)]
struct Target {
    connection: Option<Connection>,
    raised: bool,
}

impl Interrupt {
    /// From now on SIGINT, SIGTERM and SIGHUP end the transfer that is under way, or, where none is, the process.
    pub(crate) fn install() -> Result<Self, Failure> {
        let interrupt = Self::default();
        let handler = interrupt.clone();
        ctrlc::set_handler(move || handler.raise())
            .map_err(|error| Failure::new(Exit::Other, format!("cannot watch for interrupts: {error}")))?;
        Ok(interrupt)
    }

    /// A transfer is under way on `connection`.
    pub(crate) fn begin(&self, connection: &Connection) {
        self.target().connection = Some(connection.clone());
    }

    /// None is under way any more. True where an interrupt came while it was: it may have come too late to end it.
    pub(crate) fn end(&self) -> bool {
        let mut target = self.target();
        target.connection = None;
        target.raised
    }

    /// Runs on the signal thread.
    fn raise(&self) {
        let mut target = self.target();
        match &target.connection {
            // The thread that transfers hears of it from its next call, cleans up, and ends the process.
            Some(connection) if !target.raised => connection.abort(code::INTERRUPTED),
            // Nothing to clean up, or asked twice.
            _ => std::process::exit(i32::from(Exit::Interrupted as u8)),
        }
        target.raised = true;
    }

    fn target(&self) -> MutexGuard<'_, Target> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
