//! Calls: connections that this side begins, at one address or at several of which one is the right one.

use core::time::Duration;
use std::net::SocketAddr;

use super::{ConnectError, Endpoint, mark_ready};
use crate::message::Messages;
use crate::proto::connection::Connection;
use crate::proto::handshake::{Candidate, Handshake};
use crate::proto::mtu::PathLimits;
use crate::proto::security::Security;
use crate::slots::ConnectionId;
use crate::time::Timestamp;

impl Endpoint {
    /// Begins to connect. [`Output::Changed`](super::Output::Changed) tells when it is established or has ended.
    ///
    /// # Errors
    /// Where that cannot even begin.
    pub fn connect(
        &mut self,
        now: Timestamp,
        remote: SocketAddr,
        path: PathLimits,
    ) -> Result<ConnectionId, ConnectError> {
        let security = self.config.security.clone();
        let invite = security.id();
        self.join(now, security, Candidate { remote, path, invite })
    }

    /// As [`connect`](Self::connect), with a secret of its own, of this endpoint's mode.
    ///
    /// # Errors
    /// Where that cannot even begin.
    pub fn join(
        &mut self,
        now: Timestamp,
        security: Security,
        Candidate { remote, path, invite }: Candidate,
    ) -> Result<ConnectionId, ConnectError> {
        debug_assert_eq!(security.mode(), self.config.security.mode(), "one mode for all connections of an endpoint");
        if remote.port() == 0 || remote.ip().is_unspecified() {
            return Err(ConnectError::Address(remote));
        }
        if self.is_full() {
            return Err(ConnectError::TooMany { max: self.config.connections_max });
        }
        let candidate = Candidate { remote, path, invite };
        let seed = self.entropy.draw();
        let (cid, timeout) = (self.new_cid(), self.config.connect_timeout);
        let handshake = Handshake::new(now, security, candidate, cid, &self.params, timeout, *seed);
        let random = handshake.random();
        let connection = Connection::connecting(handshake, Messages::new(self.config.limits));
        let id = self.insert(connection, false);
        self.routes.add_connecting(random, remote, id);
        Ok(id)
    }

    /// Another address at which whoever is being connected to may be. False when that is of no use any more.
    pub fn add_candidate(&mut self, now: Timestamp, id: ConnectionId, candidate: Candidate) -> bool {
        let Some(entry) = self.entries.get_mut(id) else { return false };
        let added = entry.connection.add_candidate(now, candidate);
        if added {
            self.routes.add_remote(candidate.remote, id);
            mark_ready(&mut self.ready, id, entry);
        }
        added
    }

    /// There are others to be tried: see [`Handshake::hurry`].
    pub fn hurry(&mut self, now: Timestamp, id: ConnectionId, patience: Duration) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.connection.hurry(now, patience);
            mark_ready(&mut self.ready, id, entry);
        }
    }

    /// See [`Connection::answered`].
    #[must_use]
    pub fn answered(&self, id: ConnectionId) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.connection.answered())
    }
}
