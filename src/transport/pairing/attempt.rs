//! A connection that is being made to whoever may have made the invite.

use core::task::{Context, Poll};
use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Secret;
use super::error::JoinError;
use super::ways::Way;
use crate::message::{End, State};
use crate::transport::driven::Joining;
use crate::transport::{ConnectError, Connection, Interest, Transport, WaitSlot};
use crate::wire::RefuseCode;

/// How long an attempt lasts before our proof is out where there are others to be tried: far more than what is honest
/// takes, and they are tried again.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Attempt {
    transport: Arc<dyn Joining>,
    connection: Connection,
    /// What is called, over one carrier.
    ways: Vec<Way>,
    /// The secret is a code's, which is one guess for whoever answers.
    is_code: bool,
    hurried: bool,
    slot: WaitSlot,
}

/// Why an attempt came to nothing, and what that means for others.
#[derive(Debug)]
pub(super) enum Failed {
    /// Whoever answered has had the one guess at the words, or everything failed: there must be no other attempt.
    Over(JoinError),
    /// Nobody there will have us, now or later. There may be others.
    Dead(JoinError),
    /// Nothing has been proven to anybody: it may be tried again, there and elsewhere.
    Again(JoinError),
}

impl Failed {
    pub(super) fn into_error(self) -> JoinError {
        let (Self::Over(error) | Self::Dead(error) | Self::Again(error)) = self;
        error
    }
}

impl Attempt {
    /// Calls; there may be [more ways](Self::add).
    pub(super) fn begin(transport: Arc<dyn Joining>, secret: Secret<'_>, way: &Way) -> Result<Self, ConnectError> {
        let conn = transport.join(way.address, secret.security(way.invite), way.invite.0)?;
        let connection = Connection::new(Arc::clone(&transport) as Arc<dyn Transport>, conn);
        let is_code = matches!(secret, Secret::Words(_));
        Ok(Self { transport, connection, ways: vec![*way], is_code, hurried: false, slot: WaitSlot::default() })
    }

    /// One more way, unless it is one over the other carrier, or to an address that is called already.
    pub(super) fn add(&mut self, way: &Way) {
        let calls = |way: &Way| self.transport.add_candidate(self.connection.id(), way.address, way.invite.0);
        let is_new = !self.ways.iter().any(|other| other.address == way.address);
        if way.carrier == self.ways[0].carrier && is_new && calls(way) {
            self.ways.push(*way);
        }
    }

    /// There are others to be tried: unless our proof goes out it ends soon.
    pub(super) fn hurry(&mut self) {
        if !core::mem::replace(&mut self.hurried, true) {
            self.transport.hurry(self.connection.id(), PATIENCE);
        }
    }

    pub(super) fn ways(&self) -> &[Way] {
        &self.ways
    }

    /// The ways that a failure is of: that of whoever answered, or all.
    pub(super) fn failed(&self) -> Vec<Way> {
        let answered = self.transport.answered(self.connection.id());
        let of_it = |way: &&Way| answered.is_none_or(|answered| answered == way.address);
        let of_answer: Vec<Way> = self.ways.iter().filter(of_it).copied().collect();
        // An address may be written in another way: then nothing better is known.
        if of_answer.is_empty() { self.ways.clone() } else { of_answer }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Connection, Failed>> {
        let interest = [Interest::Connected(self.connection.id())];
        match self.connection.transport().poll_wait(&mut self.slot, &interest, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(_)) => Poll::Ready(self.result()),
            Poll::Ready(Err(error)) => Poll::Ready(Err(Failed::Over(JoinError::Io(error.into())))),
        }
    }

    /// Waits until it is over. Blocks.
    pub(super) fn wait(self) -> Result<Connection, Failed> {
        let interest = [Interest::Connected(self.connection.id())];
        let waited = self.connection.transport().wait(&interest, None);
        waited.map_err(|error| Failed::Over(JoinError::Io(error.into())))?;
        self.result()
    }

    fn remote(&self) -> SocketAddr {
        self.connection.peer_addr().unwrap_or(self.ways[0].address)
    }

    fn result(&self) -> Result<Connection, Failed> {
        let (transport, id) = (self.connection.transport(), self.connection.id());
        let State::Ended(end) = transport.state(id) else { return Ok(self.connection.clone()) };
        // Both sides have proven that they know the secret, however soon it ended after that.
        if transport.device_key(id).is_some() {
            return Ok(self.connection.clone());
        }
        let connect = || JoinError::Connect(ConnectError::from_end(self.remote(), end));
        Err(match end {
            End::Refused(RefuseCode::WrongTag) if self.is_code => Failed::Over(JoinError::WrongWords),
            End::Unconfirmed if self.is_code => Failed::Over(JoinError::SomebodyElse),
            // A key cannot be guessed.
            End::Refused(RefuseCode::WrongTag) | End::Unconfirmed => Failed::Dead(JoinError::SomebodyElse),
            End::Refused(RefuseCode::InviteUsed) => Failed::Dead(JoinError::Used),
            End::Refused(RefuseCode::InviteBurnt) => Failed::Dead(JoinError::Burnt),
            End::Refused(RefuseCode::Version) | End::Unreachable => Failed::Dead(connect()),
            // These come from before our proof: after it, and before theirs, they would be `Unconfirmed`.
            End::Refused(RefuseCode::Busy) | End::ConnectTimedOut | End::Broken => Failed::Again(connect()),
            _ => Failed::Over(connect()),
        })
    }
}
