//! Devices that know each other: they meet again by the key that they share, without a code.

use core::fmt;
use core::time::Duration;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::error::{InviteError, JoinError};
use super::invite::{BACKLOG, accept_found};
use super::notice::InviteNotice;
use super::{Pairing, Secret};
use crate::pairing::{Carrier, InviteId, Inviting, Offer};
use crate::time::Timestamp;
use crate::transport::discovery::Discovery;
use crate::transport::driven::Joining;
use crate::transport::{BindError, Connection, Psk, Transport};

/// An invite to whoever shares a key: any number may come, one after another or at once, for as long as it is held.
/// It is found by others while somebody waits in [`accept`](Self::accept). Dropping it ends it; the connections that
/// came by it stay.
pub struct DeviceInvite {
    carrier: Carrier,
    transport: Arc<dyn Joining>,
    discovery: Discovery<Inviting>,
    notices: Vec<InviteNotice>,
}

impl Pairing {
    /// Waits to be found by the device that shares `psk` ([`Transport::device_key`] of an earlier pairing, or one that
    /// both were given), which calls [`join_device`](Self::join_device). Nothing is sent before
    /// [`accept`](DeviceInvite::accept). Does not block. `spec/pairing.md`, section "Known devices".
    ///
    /// # Errors
    /// See [`InviteError`].
    pub fn invite_device(&self, psk: &Psk) -> Result<DeviceInvite, InviteError> {
        self.check_key(psk)?;
        let carrier = self.carrier.unwrap_or(Carrier::Udp);
        let transport = self.bind(carrier, 0, psk.security(), BACKLOG)?;
        let offer = Offer { invite: InviteId(psk.id()), carrier, port: transport.local_addr().port() };
        let discovery = Discovery::inviting_device(Arc::clone(&self.site), self.options(), offer)?;
        Ok(DeviceInvite { carrier, transport, discovery, notices: Vec::new() })
    }

    /// Connects to the device that shares `psk` and [invites](Self::invite_device), wherever on the network it is.
    /// Blocks.
    ///
    /// # Errors
    /// See [`JoinError`]; whoever answers and does not have the key is `SomebodyElse`.
    pub fn join_device(&self, psk: &Psk) -> Result<Connection, JoinError> {
        self.check_key(psk)?;
        let discovery = Discovery::seeking_device(Arc::clone(&self.site), self.options(), InviteId(psk.id()))?;
        self.seek(discovery, Secret::Key(psk))
    }

    /// Whoever has the seed of a simulation has its keys.
    fn check_key(&self, psk: &Psk) -> Result<(), BindError> {
        if psk.is_simulated() && !self.site.takes_simulated_keys() {
            return Err(BindError::SimulatedKey { addr: (Ipv6Addr::UNSPECIFIED, 0).into() });
        }
        Ok(())
    }
}

impl DeviceInvite {
    /// Where the conversations will be.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.transport.local_addr()
    }

    /// The transport of all of them.
    #[must_use]
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.transport) as Arc<dyn Transport>
    }

    /// What they will be carried by.
    #[must_use]
    pub const fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// What was heard so far that may be why nobody comes; each once.
    #[must_use]
    pub fn notices(&self) -> &[InviteNotice] {
        &self.notices
    }

    /// Waits for the next that comes. Blocks.
    ///
    /// # Errors
    /// [`InviteError::Io`].
    pub fn accept(&mut self) -> Result<Connection, InviteError> {
        self.accept_telling(|_| {})
    }

    /// As [`accept`](Self::accept), and calls `tell` with the [notices](Self::notices) of the time that it waits.
    ///
    /// # Errors
    /// [`InviteError::Io`].
    pub fn accept_telling(&mut self, mut tell: impl FnMut(InviteNotice)) -> Result<Connection, InviteError> {
        self.accept_until(Timestamp::FAR_FUTURE, &mut tell)
    }

    /// As [`accept`](Self::accept), for at most `timeout`.
    ///
    /// # Errors
    /// [`InviteError::Io`]; `Expired` where nobody came within `timeout`.
    pub fn accept_timeout(&mut self, timeout: Duration) -> Result<Connection, InviteError> {
        let until = self.transport.now() + timeout;
        self.accept_until(until, &mut |_| {})
    }

    fn accept_until(
        &mut self,
        until: Timestamp,
        tell: &mut dyn FnMut(InviteNotice),
    ) -> Result<Connection, InviteError> {
        accept_found(&self.transport, &mut self.discovery, until, &mut self.notices, tell)
    }
}

impl fmt::Debug for DeviceInvite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceInvite").field("carrier", &self.carrier).finish_non_exhaustive()
    }
}
