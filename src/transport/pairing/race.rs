//! Which of several addresses takes a TCP connection first. That connection only shows the way; the conversation has
//! its own.

use core::net::SocketAddr;
use core::task::Waker;
use core::time::Duration;
use std::io::{Error, ErrorKind};
use std::sync::{Arc, mpsc};

use crate::pairing::InviteId;
use crate::time::Timestamp;
use crate::transport::ConnectError;
use crate::transport::site::Site;

/// Where nobody takes a connection, so long others may still be found who do: longer than it is from one beacon to the
/// next, by whichever way they come.
const OTHERS_WITHIN: Duration = Duration::from_millis(1_500);

type Told = (SocketAddr, InviteId, Result<(), Error>);

/// See the module. Others may join it while it is on.
#[derive(Debug)]
pub(super) struct Race {
    site: Arc<dyn Site>,
    /// Called when there is something to be seen.
    waker: Waker,
    tell: mpsc::Sender<Told>,
    told: mpsc::Receiver<Told>,
    under_way: usize,
    failed: Option<ConnectError>,
    failed_at: Timestamp,
}

impl Race {
    pub(super) fn new(site: Arc<dyn Site>, waker: Waker) -> Self {
        let (tell, told) = mpsc::channel();
        Self { site, waker, tell, told, under_way: 0, failed: None, failed_at: Timestamp::ZERO }
    }

    /// One more, at once.
    pub(super) fn add(&mut self, address: SocketAddr, invite: InviteId) {
        let (tell, waker) = (self.tell.clone(), self.waker.clone());
        self.under_way += 1;
        let over = move |result| {
            // Nobody listens any more where another was faster.
            let _late = tell.send((address, invite, result));
            waker.wake();
        };
        if let Err(error) = self.site.try_tcp(address, Box::new(over)) {
            // Told like any other failure. We have its receiver ourselves.
            let _told = self.tell.send((address, invite, Err(error)));
        }
    }

    /// Who was first, if anybody was yet.
    pub(super) fn poll(&mut self, now: Timestamp) -> Option<(SocketAddr, InviteId)> {
        while let Ok(told) = self.told.try_recv() {
            if let Some(first) = self.on_told(told) {
                return Some(first);
            }
            self.failed_at = now;
        }
        None
    }

    /// When it is over without anybody being first; `None` while somebody may be.
    pub(super) fn gives_up_at(&self) -> Option<Timestamp> {
        (self.under_way == 0 && self.failed.is_some()).then(|| self.failed_at + OTHERS_WITHIN)
    }

    /// Why nobody was.
    pub(super) fn into_failed(self) -> Option<ConnectError> {
        self.failed
    }

    /// Waits until somebody is first, or none can be. Blocks.
    ///
    /// # Errors
    /// Why the first that failed did; `None` where there was nobody.
    pub(super) fn wait(mut self) -> Result<(SocketAddr, InviteId), Option<ConnectError>> {
        while self.under_way > 0 {
            // We have one of its senders ourselves.
            let Ok(told) = self.told.recv() else { break };
            if let Some(first) = self.on_told(told) {
                return Ok(first);
            }
        }
        Err(self.failed)
    }

    fn on_told(&mut self, (remote, invite, result): Told) -> Option<(SocketAddr, InviteId)> {
        self.under_way -= 1;
        let Err(source) = result else { return Some((remote, invite)) };
        self.failed.get_or_insert(match source.kind() {
            ErrorKind::ConnectionRefused => ConnectError::Unreachable { remote },
            ErrorKind::TimedOut => ConnectError::TimedOut { remote },
            _ => ConnectError::Io { remote, source },
        });
        None
    }
}
