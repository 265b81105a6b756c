//! The side that makes a code and waits.

use core::fmt;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::InviteError;
use super::notice::InviteNotice;
use super::{Pairing, Secret, tomb};
use crate::pairing::{Carrier, Code, HostNumber, InviteId, Inviting, InvitingEvent, Nameplate, Offer, Words};
use crate::time::Timestamp;
use crate::transport::discovery::{Discovery, PollError};
use crate::transport::driven::Joining;
use crate::transport::site::Site;
use crate::transport::{AcceptError, Connection, Interest, Listener, Transport, WaitSlot};

/// How many joiners may be half-way in; one of them gets in.
pub(super) const BACKLOG: usize = 64;
/// How long an invite stays after wrong words were tried: whoever tried them and was not told, since that was lost,
/// asks again 20, 60, 140 ms later.
const BURNT_KEPT: Duration = Duration::from_millis(200);

/// An invite: whoever is told its code may come, once. It is found by others while somebody waits in
/// [`accept`](Self::accept). Dropping it ends it.
pub struct Invite {
    code: Code,
    carrier: Carrier,
    transport: Arc<dyn Joining>,
    /// `None` where whoever comes was told the address, and when it is over.
    discovery: Option<Discovery<Inviting>>,
    notices: Vec<InviteNotice>,
    site: Arc<dyn Site>,
    until: Timestamp,
    /// Whoever waited was told that it is burnt.
    burnt: bool,
}

impl Pairing {
    /// As [`invite`](super::invite()), with these settings. Blocks for about a tenth of a second.
    ///
    /// The number of the code is free then, and this invite answers for it only while somebody waits in
    /// [`accept`](Invite::accept): until then another invite may take the same number, and joiners find nobody. So
    /// call it at once, on a thread of its own where there is something else to do.
    ///
    /// # Errors
    /// See [`InviteError`].
    pub fn invite(&self) -> Result<Invite, InviteError> {
        let (mut invite, id) = self.unannounced(0)?;
        let offer = Offer { invite: id, carrier: invite.carrier, port: invite.local_addr().port() };
        let first = invite.code.nameplate;
        let mut discovery = Discovery::inviting_on(Arc::clone(&self.site), self.options(), first, offer)?;
        invite.code.nameplate = loop {
            match discovery.poll(invite.until) {
                Ok(event) => {
                    invite.notices.extend(InviteNotice::of(event));
                    if let InvitingEvent::Held { nameplate, .. } = event {
                        break nameplate;
                    }
                }
                Err(PollError::Woken) => {}
                Err(PollError::TimedOut) => return Err(InviteError::Expired),
                Err(PollError::Broken(kind)) => return Err(InviteError::Io(kind.into())),
            }
        };
        invite.discovery = Some(discovery);
        Ok(invite)
    }

    /// An invite on a port that is told to the other side, with the number of this host ([`Invite::host_numbers`]) and
    /// the words: nothing is broadcast. Port 0 is any that is free. The port is free again when the connection, or the
    /// invite that nobody came by, is dropped. Does not block.
    ///
    /// # Errors
    /// See [`InviteError`].
    pub fn invite_on(&self, port: u16) -> Result<Invite, InviteError> {
        self.unannounced(port).map(|(invite, _)| invite)
    }

    /// An invite that is not broadcast, of a random number, and its id.
    fn unannounced(&self, port: u16) -> Result<(Invite, InviteId), InviteError> {
        let words = Words::from_entropy(*self.random()?);
        let id = InviteId(*self.random()?);
        let carrier = self.carrier.unwrap_or(Carrier::Udp);
        let until = self.site.now() + self.lifetime;
        let transport = self.bind(carrier, port, Secret::Words(&words).security(id).until(until), BACKLOG)?;
        let code = Code { nameplate: Nameplate::from_entropy(*self.random()?), words };
        let (site, notices) = (Arc::clone(&self.site), Vec::new());
        Ok((Invite { code, carrier, transport, discovery: None, notices, site, until, burnt: false }, id))
    }

    fn random<const N: usize>(&self) -> io::Result<Zeroizing<[u8; N]>> {
        let mut bytes = Zeroizing::new([0; N]);
        self.site.fill_random(&mut *bytes)?;
        Ok(bytes)
    }
}

impl Invite {
    /// What is to be told to the other side, and to nobody else. Of an invite [on a port](Pairing::invite_on) nobody
    /// looks for the number, which may be any; the code with the address is good, and so are the
    /// [words](Self::words) with the host number and the port.
    #[must_use]
    pub const fn code(&self) -> &Code {
        &self.code
    }

    /// The words of its code.
    #[must_use]
    pub const fn words(&self) -> &Words {
        &self.code.words
    }

    /// What this host is called in the old way, beside the port and the words: a number for each IPv4 address at which
    /// others on its networks can reach it now. None where there is no network.
    ///
    /// # Errors
    /// Where the system does not tell its interfaces.
    pub fn host_numbers(&self) -> io::Result<Vec<HostNumber>> {
        Ok(HostNumber::own(&self.site.interfaces()?))
    }

    /// Where the conversation will be.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.transport.local_addr()
    }

    /// What the conversation will be carried by.
    #[must_use]
    pub const fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// What was heard so far that may be why nobody comes; each once.
    #[must_use]
    pub fn notices(&self) -> &[InviteNotice] {
        &self.notices
    }

    /// Waits for whoever was told the code, for as long as it is good. Blocks; where wrong words were tried, 0.2 s
    /// longer, so that whoever tried them is told, too.
    ///
    /// Whoever looks for the code for a minute afterwards is told that it was used, as long as the connection's
    /// transport is held, or that it is burnt or too old, as long as the program runs.
    ///
    /// # Errors
    /// See [`InviteError`].
    pub fn accept(self) -> Result<Connection, InviteError> {
        self.accept_telling(|_| {})
    }

    /// As [`accept`](Self::accept), and calls `tell` with the [notices](Self::notices) of before, and of the time that
    /// it waits.
    ///
    /// # Errors
    /// See [`InviteError`].
    pub fn accept_telling(mut self, mut tell: impl FnMut(InviteNotice)) -> Result<Connection, InviteError> {
        self.notices.iter().for_each(|notice| tell(*notice));
        let until = self.until;
        self.accept_until(until, &mut tell)
    }

    /// As [`accept`](Self::accept), for at most `timeout`; the invite can be waited for again. Between two calls it is
    /// not found, and another invite may take its number: call it again soon.
    ///
    /// # Errors
    /// See [`InviteError`]; `Expired` where nobody came within `timeout`.
    pub fn accept_timeout(&mut self, timeout: Duration) -> Result<Connection, InviteError> {
        let until = self.until.min(self.transport.now() + timeout);
        self.accept_until(until, &mut |_| {})
    }

    fn accept_until(
        &mut self,
        until: Timestamp,
        tell: &mut dyn FnMut(InviteNotice),
    ) -> Result<Connection, InviteError> {
        let accepted = self.wait_until(until, tell);
        let is_over = match &accepted {
            Ok(_) | Err(InviteError::Burnt) => true,
            Err(InviteError::Expired) => self.transport.now() >= self.until,
            Err(_) => false,
        };
        if let Some(discovery) = self.discovery.take_if(|_| is_over) {
            let bury = if accepted.is_ok() { tomb::of_used } else { tomb::of_dead };
            bury(&self.transport, discovery);
        }
        if matches!(accepted, Err(InviteError::Burnt)) && !self.burnt {
            self.burnt = true;
            self.transport.sleep_until(self.transport.now() + BURNT_KEPT);
        }
        accepted
    }

    fn wait_until(&mut self, until: Timestamp, tell: &mut dyn FnMut(InviteNotice)) -> Result<Connection, InviteError> {
        if let Some(discovery) = &mut self.discovery {
            return accept_found(&self.transport, discovery, until, &mut self.notices, tell);
        }
        let listener = Listener::new(Arc::clone(&self.transport) as Arc<dyn Transport>);
        let left = until.saturating_since(listener.transport().now());
        listener.accept_timeout(left).map_err(accepted)
    }
}

/// Waits for whoever comes to `transport`, and is found by others meanwhile. What it hears is noted, and told. Blocks.
pub(super) fn accept_found(
    transport: &Arc<dyn Joining>,
    discovery: &mut Discovery<Inviting>,
    until: Timestamp,
    notices: &mut Vec<InviteNotice>,
    tell: &mut dyn FnMut(InviteNotice),
) -> Result<Connection, InviteError> {
    let listener = Listener::new(Arc::clone(transport) as Arc<dyn Transport>);
    let waker = discovery.waker();
    let mut slot = WaitSlot::default();
    loop {
        if let Some(connection) = listener.try_accept().map_err(accepted)? {
            return Ok(connection);
        }
        let mut cx = Context::from_waker(&waker);
        match listener.transport().poll_wait(&mut slot, &[Interest::Incoming], &mut cx) {
            Poll::Ready(Ok(_)) => continue,
            Poll::Ready(Err(error)) => return Err(InviteError::Io(error.into())),
            Poll::Pending => {}
        }
        match discovery.poll(until) {
            Ok(event) => {
                if let Some(notice) = InviteNotice::of(event) {
                    notices.push(notice);
                    tell(notice);
                }
            }
            Err(PollError::Woken) => {}
            // Whoever came in the last moment has the invite, and nobody else can have it any more.
            Err(PollError::TimedOut) => return listener.try_accept().map_err(accepted)?.ok_or(InviteError::Expired),
            Err(PollError::Broken(kind)) => return Err(InviteError::Io(kind.into())),
        }
    }
}

fn accepted(error: AcceptError) -> InviteError {
    match error {
        AcceptError::InviteBurnt => InviteError::Burnt,
        AcceptError::TimedOut => InviteError::Expired,
        AcceptError::Broken(kind) => InviteError::Io(kind.into()),
        AcceptError::NotListening => InviteError::Io(io::ErrorKind::InvalidInput.into()),
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite").field("code", &self.code).finish_non_exhaustive()
    }
}
