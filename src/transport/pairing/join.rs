//! The side that was told a code.

use core::task::{Context, Poll};
use core::time::Duration;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, mpsc};

use super::error::{JoinError, NobodyAnswered};
use super::{Pairing, Secret};
use crate::message::{End, State};
use crate::pairing::{
    Candidate, Carrier, Code, CodeAt, CodeError, Host, HostNumber, InviteId, Seeking, SeekingEvent, Words,
};
use crate::proto::NO_INVITE;
use crate::time::Timestamp;
use crate::transport::discovery::{Discovery, PollError, interfaces};
use crate::transport::driven::Joining;
use crate::transport::{ConnectError, Connection, Interest, Transport, WaitSlot, clock};
use crate::wire::RefuseCode;

/// Once somebody was found, how long others are waited for before a TCP connection is tried: addresses of one inviter
/// come together.
const MORE_WITHIN: Duration = Duration::from_millis(10);
/// How long a TCP connection to a candidate may take.
const TCP_CONNECT_MAX: Duration = Duration::from_secs(2);

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
                Host::Name(name, port) => (name.as_str(), port).to_socket_addrs()?.collect(),
            };
            self.check_carrier(carrier)?;
            return self.call(carrier, &addresses, Secret::Words(&code.words));
        }
        let code: Code = code.parse()?;
        self.seek(Discovery::seeking(self.options(), code.nameplate)?, Secret::Words(&code.words))
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
        let addresses = HostNumber(host).addresses(&interfaces()?, port);
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
        let mut found: Vec<Candidate> = Vec::new();
        let mut reason = None;
        loop {
            // TCP connections are raced once their addresses are known.
            let tcp = |candidate: &Candidate| candidate.carrier == Carrier::Tcp;
            let race = attempt.is_none() && found.first().is_some_and(tcp);
            let wait_until = if race { discovery.now() + MORE_WITHIN } else { until };
            match discovery.poll(wait_until) {
                Ok(SeekingEvent::Found(candidate)) => {
                    if let Err(error) = self.check_carrier(candidate.carrier) {
                        reason.get_or_insert(error);
                        continue;
                    }
                    match &mut attempt {
                        Some(attempt) => attempt.add(&candidate),
                        None if tcp(&candidate) => found.push(candidate),
                        None => {
                            let transport = self.bind(candidate.carrier, 0, secret.security(InviteId(NO_INVITE)), 0)?;
                            attempt = Some(Attempt::begin(transport, secret, candidate.address, candidate.invite)?);
                        }
                    }
                }
                Ok(SeekingEvent::OtherVersion { version }) => {
                    reason.get_or_insert(JoinError::OtherVersion { version });
                }
                Err(PollError::Woken) => {}
                Err(PollError::TimedOut) if race => {
                    let (address, invite) = race_tcp(&found).ok_or_else(|| unreachable(found[0].address))?;
                    let transport = self.bind(Carrier::Tcp, 0, secret.security(InviteId(NO_INVITE)), 0)?;
                    attempt = Some(Attempt::begin(transport, secret, address, invite)?);
                }
                Err(PollError::TimedOut) => {
                    if let Some(attempt) = attempt {
                        return attempt.wait();
                    }
                    let nobody = || JoinError::NobodyAnswered(NobodyAnswered(discovery.report().clone()));
                    return Err(reason.unwrap_or_else(nobody));
                }
                Err(PollError::Broken(kind)) => return Err(JoinError::Io(kind.into())),
            }
            if let Some(attempt) = &mut attempt {
                match attempt.poll(&mut Context::from_waker(&discovery.waker())) {
                    Poll::Ready(result) => return result,
                    Poll::Pending => {}
                }
            }
        }
    }

    /// Calls an invite at addresses that somebody told.
    fn call(&self, carrier: Carrier, addresses: &[SocketAddr], secret: Secret<'_>) -> Result<Connection, JoinError> {
        let no_invite = InviteId(NO_INVITE);
        let transport = self.bind(carrier, 0, secret.security(no_invite), 0)?;
        let first = match carrier {
            Carrier::Udp => addresses.first().copied(),
            Carrier::Tcp => race_addresses(addresses.iter().map(|address| (*address, no_invite)).collect())
                .map(|(address, _)| address),
        };
        let Some(first) = first else {
            return Err(addresses.first().map_or(JoinError::Code(CodeError::Address), |address| unreachable(*address)));
        };
        let attempt = Attempt::begin(transport, secret, first, no_invite)?;
        for other in addresses {
            attempt.transport.add_candidate(attempt.connection.id(), *other, NO_INVITE);
        }
        attempt.wait()
    }
}

/// A connection that is being made.
struct Attempt {
    transport: Arc<dyn Joining>,
    connection: Connection,
    remote: SocketAddr,
    slot: WaitSlot,
}

impl Attempt {
    fn begin(
        transport: Arc<dyn Joining>,
        secret: Secret<'_>,
        remote: SocketAddr,
        invite: InviteId,
    ) -> Result<Self, JoinError> {
        let conn = transport.join(remote, secret.security(invite), invite.0).map_err(JoinError::Connect)?;
        let connection = Connection::new(Arc::clone(&transport) as Arc<dyn Transport>, conn);
        Ok(Self { transport, connection, remote, slot: WaitSlot::default() })
    }

    fn add(&self, candidate: &Candidate) {
        self.transport.add_candidate(self.connection.id(), candidate.address, candidate.invite.0);
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

fn unreachable(remote: SocketAddr) -> JoinError {
    JoinError::Connect(ConnectError::Unreachable { remote })
}

fn race_tcp(found: &[Candidate]) -> Option<(SocketAddr, InviteId)> {
    race_addresses(found.iter().map(|candidate| (candidate.address, candidate.invite)).collect())
}

/// The first of several addresses that takes a TCP connection. That connection only showed the way; the conversation
/// has its own.
fn race_addresses(addresses: Vec<(SocketAddr, InviteId)>) -> Option<(SocketAddr, InviteId)> {
    let (tell, told) = mpsc::channel();
    let give_up: Timestamp = clock::now() + TCP_CONNECT_MAX;
    for (address, invite) in addresses {
        let tell = tell.clone();
        let race = move || {
            if TcpStream::connect_timeout(&address, TCP_CONNECT_MAX).is_ok() {
                // Nobody listens any more where another was faster.
                let _late = tell.send((address, invite));
            }
        };
        // Where there is no thread to be had there is one candidate less.
        let _fewer = clock::spawn("udpair-race", Box::new(race));
    }
    drop(tell);
    told.recv_timeout(give_up.saturating_since(clock::now())).ok()
}
