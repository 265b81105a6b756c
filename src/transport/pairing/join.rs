//! The side that was told a code.

use core::task::{Context, Poll, Waker};
use std::net::SocketAddr;
use std::sync::Arc;

use super::error::{JoinError, NobodyAnswered};
use super::race::Race;
use super::{Pairing, Secret};
use crate::message::{End, State};
use crate::pairing::{Candidate, Carrier, Code, CodeAt, Host, HostNumber, InviteId, Seeking, SeekingEvent, Words};
use crate::proto::NO_INVITE;
use crate::transport::discovery::{Discovery, DiscoveryReport, Failure, FailureReason, PollError};
use crate::transport::driven::Joining;
use crate::transport::{ConnectError, Connection, Interest, Transport, WaitSlot};
use crate::wire::RefuseCode;

impl Pairing {
    /// As [`join`](super::join()), with these settings. A code with an address is called there. Blocks.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn join(&self, code: &str) -> Result<Connection, JoinError> {
        if code.contains('@') {
            let CodeAt { code, host, carrier } = code.parse()?;
            let addresses: Vec<SocketAddr> = match host {
                Host::Address(address) => vec![address],
                Host::Name(name, port) => self.site.resolve(&name, port)?,
            };
            self.check_carrier(carrier)?;
            return self.call(carrier, &addresses, Secret::Words(&code.words));
        }
        let code: Code = code.parse()?;
        let site = Arc::clone(&self.site);
        self.seek(Discovery::seeking_on(site, self.options(), code.nameplate)?, Secret::Words(&code.words))
    }

    /// Connects to the invite of `code` at an address that was told with it: nothing is broadcast. Blocks.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn join_at(&self, address: SocketAddr, code: &str) -> Result<Connection, JoinError> {
        let code: Code = code.parse()?;
        self.call(self.carrier.unwrap_or(Carrier::Udp), &[address], Secret::Words(&code.words))
    }

    /// Connects to an invite that was made [on a port](Self::invite_on): `host` is the last number of the inviter's
    /// address, which is tried on each of this machine's /24 networks; 0 is this machine. Blocks.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn join_host(&self, host: u8, port: u16, words: &str) -> Result<Connection, JoinError> {
        let words: Words = words.parse()?;
        let addresses = HostNumber(host).addresses(&self.site.interfaces()?, port);
        self.call(self.carrier.unwrap_or(Carrier::Udp), &addresses, Secret::Words(&words))
    }

    fn check_carrier(&self, offered: Carrier) -> Result<(), JoinError> {
        match self.carrier {
            Some(wanted) if wanted != offered => Err(JoinError::OtherCarrier { offered, wanted }),
            _ => Ok(()),
        }
    }

    /// Looks for the invite, and calls it wherever it was found.
    pub(super) fn seek(&self, mut discovery: Discovery<Seeking>, secret: Secret<'_>) -> Result<Connection, JoinError> {
        let until = discovery.now() + self.timeout;
        let mut attempt: Option<Attempt> = None;
        // TCP connections, of which the first that is taken shows where to begin.
        let mut race = Race::new(Arc::clone(&self.site), discovery.waker());
        let mut silent: Vec<SocketAddr> = Vec::new();
        let mut reason = None;
        loop {
            let give_up = race.gives_up_at().filter(|_| attempt.is_none());
            match discovery.poll(give_up.map_or(until, |at| at.min(until))) {
                Ok(SeekingEvent::Found(candidate)) => {
                    if let Err(error) = self.check_carrier(candidate.carrier) {
                        reason.get_or_insert(error);
                        continue;
                    }
                    match (&attempt, candidate.carrier) {
                        (Some(attempt), carrier) => attempt.add(carrier, candidate.address, candidate.invite),
                        (None, Carrier::Tcp) => race.add(candidate.address, candidate.invite),
                        (None, Carrier::Udp) => {
                            match self.begin(Carrier::Udp, secret, &[(candidate.address, candidate.invite)]) {
                                Ok(begun) => attempt = Some(begun),
                                // No way leads there; to others of its addresses one may.
                                Err(error @ JoinError::Connect(_)) => drop(reason.get_or_insert(error)),
                                Err(error) => return Err(error),
                            }
                        }
                    }
                }
                Ok(SeekingEvent::OtherVersion { version }) => {
                    reason.get_or_insert(JoinError::OtherVersion { version });
                }
                Err(PollError::Woken) => {}
                Err(PollError::TimedOut) => {
                    if let Some(attempt) = attempt {
                        return attempt.wait().map_err(|error| doubted(error, discovery.machine().found()));
                    }
                    let nobody = || JoinError::NobodyAnswered(NobodyAnswered(discovery.report().clone()));
                    let failed = race.into_failed().map(JoinError::Connect);
                    return Err(failed.or(reason).unwrap_or_else(nobody));
                }
                Err(PollError::Broken(kind)) => return Err(JoinError::Io(kind.into())),
            }
            if attempt.is_none()
                && let Some((address, invite)) = race.poll(discovery.now())
            {
                attempt = Some(self.begin(Carrier::Tcp, secret, &[(address, invite)])?);
            }
            let Some(current) = &mut attempt else { continue };
            match current.poll(&mut Context::from_waker(&discovery.waker())) {
                Poll::Pending => {}
                // Nobody was proven anything yet, so that the code is as good as before.
                Poll::Ready(Err(JoinError::Connect(ConnectError::TimedOut { remote }))) if discovery.now() < until => {
                    silent.push(remote);
                    let ways = ways_again(current.carrier, discovery.machine().found(), &mut silent);
                    attempt = match current.carrier {
                        Carrier::Udp => Some(self.begin(Carrier::Udp, secret, &ways)?),
                        Carrier::Tcp => {
                            race = Race::new(Arc::clone(&self.site), discovery.waker());
                            ways.iter().for_each(|(address, invite)| race.add(*address, *invite));
                            None
                        }
                    };
                    // It is looked at before the next wait.
                    discovery.waker().wake();
                }
                Poll::Ready(result) => return result.map_err(|error| doubted(error, discovery.machine().found())),
            }
        }
    }

    /// Calls an invite at addresses that somebody told.
    fn call(&self, carrier: Carrier, addresses: &[SocketAddr], secret: Secret<'_>) -> Result<Connection, JoinError> {
        let ways: Vec<Way> = addresses.iter().map(|address| (*address, InviteId(NO_INVITE))).collect();
        if carrier == Carrier::Udp {
            return self.begin(carrier, secret, &ways)?.wait();
        }
        let mut race = Race::new(Arc::clone(&self.site), Waker::noop().clone());
        ways.iter().for_each(|(address, invite)| race.add(*address, *invite));
        let first = race.wait().map_err(|error| error.map_or_else(nowhere, JoinError::Connect))?;
        self.begin(carrier, secret, &[first])?.wait()
    }

    /// Begins to connect, from a port of its own, at all `ways` at once; at the others where no way leads to the first.
    fn begin(&self, carrier: Carrier, secret: Secret<'_>, ways: &[Way]) -> Result<Attempt, JoinError> {
        let (mut begun, mut failed) = (None::<Attempt>, None);
        for (address, invite) in ways {
            if let Some(attempt) = &begun {
                attempt.add(carrier, *address, *invite);
                continue;
            }
            let transport = self.bind(carrier, 0, secret.security(InviteId(NO_INVITE)), 0)?;
            match Attempt::begin(transport, secret, carrier, *address, *invite) {
                Ok(attempt) => begun = Some(attempt),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        begun.ok_or_else(|| failed.map_or_else(nowhere, JoinError::Connect))
    }
}

/// An address to call, and by which invite.
type Way = (SocketAddr, InviteId);

/// What was found, without those who answered before and then fell `silent`; with them where there is nobody else.
fn ways_again(carrier: Carrier, found: &[Candidate], silent: &mut Vec<SocketAddr>) -> Vec<Way> {
    let all = || found.iter().filter(|way| way.carrier == carrier).map(|way| (way.address, way.invite));
    let fresh: Vec<Way> = all().filter(|(address, _)| !silent.contains(address)).collect();
    if fresh.is_empty() {
        silent.clear();
        return all().collect();
    }
    fresh
}

/// A connection that is being made.
struct Attempt {
    transport: Arc<dyn Joining>,
    connection: Connection,
    carrier: Carrier,
    remote: SocketAddr,
    slot: WaitSlot,
}

impl Attempt {
    fn begin(
        transport: Arc<dyn Joining>,
        secret: Secret<'_>,
        carrier: Carrier,
        remote: SocketAddr,
        invite: InviteId,
    ) -> Result<Self, ConnectError> {
        let conn = transport.join(remote, secret.security(invite), invite.0)?;
        let connection = Connection::new(Arc::clone(&transport) as Arc<dyn Transport>, conn);
        Ok(Self { transport, connection, carrier, remote, slot: WaitSlot::default() })
    }

    /// One more way, unless it is one over the other carrier.
    fn add(&self, carrier: Carrier, address: SocketAddr, invite: InviteId) {
        if carrier == self.carrier {
            self.transport.add_candidate(self.connection.id(), address, invite.0);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Connection, JoinError>> {
        let interest = [Interest::Connected(self.connection.id())];
        match self.connection.transport().poll_wait(&mut self.slot, &interest, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(_)) => Poll::Ready(self.result()),
            Poll::Ready(Err(error)) => Poll::Ready(Err(JoinError::Io(error.into()))),
        }
    }

    fn wait(self) -> Result<Connection, JoinError> {
        let interest = [Interest::Connected(self.connection.id())];
        self.connection.transport().wait(&interest, None).map_err(|error| JoinError::Io(error.into()))?;
        self.result()
    }

    fn result(&self) -> Result<Connection, JoinError> {
        let end = match self.connection.transport().state(self.connection.id()) {
            // What arrived before the peer closed can still be received.
            State::Ended(End::ClosedByPeer { .. }) => return Ok(self.connection.clone()),
            State::Ended(end) => end,
            _ => return Ok(self.connection.clone()),
        };
        let remote = self.connection.peer_addr().unwrap_or(self.remote);
        Err(match end {
            End::Refused(RefuseCode::WrongTag) => JoinError::WrongWords,
            End::Refused(RefuseCode::InviteUsed) => JoinError::Used,
            End::Refused(RefuseCode::InviteBurnt) => JoinError::Burnt,
            End::Unconfirmed => JoinError::SomebodyElse,
            end => JoinError::Connect(ConnectError::from_end(remote, end)),
        })
    }
}

/// A refusal is anybody's word. Where several offer the nameplate it may not be the inviter's, and says nothing of the
/// words then: the same code, typed again, is refused again if it was.
fn doubted(error: JoinError, found: &[Candidate]) -> JoinError {
    let several = found.iter().any(|candidate| candidate.invite != found[0].invite);
    match error {
        JoinError::WrongWords | JoinError::Used | JoinError::Burnt if several => JoinError::SomebodyElse,
        error => error,
    }
}

/// There is no address to call.
fn nowhere() -> JoinError {
    let failure = Failure { interface: None, address: None, reason: FailureReason::NothingToSendOn };
    JoinError::NobodyAnswered(NobodyAnswered(DiscoveryReport { failures: vec![failure], ..DiscoveryReport::default() }))
}
