//! Which of several addresses takes a TCP connection first. That connection only shows the way; the conversation has
//! its own.

use core::task::Waker;
use core::time::Duration;
use std::io::{Error, ErrorKind};
use std::sync::{Arc, mpsc};

use super::ways::Way;
use crate::transport::ConnectError;
use crate::transport::site::Site;

/// What became of one: it took the connection, or why not.
pub(super) type Told = (Way, Result<(), ConnectError>);

/// See the module. Others may join it while it is on.
#[derive(Debug)]
pub(super) struct Race {
    site: Arc<dyn Site>,
    /// Called when there is something to be seen.
    waker: Waker,
    /// How long each connection may take.
    patience: Duration,
    tell: mpsc::Sender<Told>,
    told: mpsc::Receiver<Told>,
    under_way: usize,
}

impl Race {
    pub(super) fn new(site: Arc<dyn Site>, waker: Waker, patience: Duration) -> Self {
        let (tell, told) = mpsc::channel();
        Self { site, waker, patience, tell, told, under_way: 0 }
    }

    /// One more, at once.
    pub(super) fn add(&mut self, way: Way) {
        let (tell, waker) = (self.tell.clone(), self.waker.clone());
        self.under_way += 1;
        let over = move |result: Result<(), Error>| {
            // Nobody listens any more where another was faster.
            let _late = tell.send((way, result.map_err(|error| failure(way, error))));
            waker.wake();
        };
        if let Err(error) = self.site.try_tcp(way.address, self.patience, Box::new(over)) {
            // Told like any other failure. We have its receiver ourselves.
            let _told = self.tell.send((way, Err(failure(way, error))));
        }
    }

    /// True while somebody may still be first.
    pub(super) const fn is_on(&self) -> bool {
        self.under_way > 0
    }

    /// The next that is known of.
    pub(super) fn poll(&mut self) -> Option<Told> {
        let told = self.told.try_recv().ok()?;
        self.under_way -= 1;
        Some(told)
    }

    /// Waits until somebody is first, or none can be. Blocks.
    ///
    /// # Errors
    /// Why the first that failed did; `None` where there was nobody.
    pub(super) fn wait(mut self) -> Result<Way, Option<ConnectError>> {
        let mut failed = None;
        while self.is_on() {
            // We have one of its senders ourselves.
            let Ok((way, result)) = self.told.recv() else { break };
            self.under_way -= 1;
            match result {
                Ok(()) => return Ok(way),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        Err(failed)
    }
}

fn failure(Way { address: remote, .. }: Way, source: Error) -> ConnectError {
    match source.kind() {
        ErrorKind::ConnectionRefused => ConnectError::Unreachable { remote },
        ErrorKind::TimedOut => ConnectError::TimedOut { remote },
        _ => ConnectError::Io { remote, source },
    }
}
