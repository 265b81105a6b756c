//! The side that was told a code.

use core::task::{Context, Poll};
use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Pairing;
use super::error::{JoinError, NobodyAnswered};
use super::invite::security;
use crate::message::{End, State};
use crate::pairing::{
    Candidate, Carrier, Code, CodeAt, CodeError, Host, HostNumber, InviteId, Seeking, SeekingEvent, Words,
};
use crate::proto::NO_INVITE;
use crate::transport::discovery::{Discovery, PollError};
use crate::transport::driven::Joining;
use crate::transport::{ConnectError, Connection, Interest, Transport, WaitSlot};
use crate::wire::RefuseCode;

/// Once somebody was found, how long others are waited for before a TCP connection is tried: addresses of one inviter
/// come together.
const MORE_WITHIN: Duration = Duration::from_millis(10);

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
            return self.call(carrier, &addresses, &code.words);
        }
        self.seek(&code.parse()?)
    }

    /// Connects to the invite of `code` at an address that was told with it: nothing is broadcast. Blocks.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn join_at(&self, address: SocketAddr, code: &str) -> Result<Connection, JoinError> {
        let code: Code = code.parse()?;
        self.call(self.carrier.unwrap_or(Carrier::Udp), &[address], &code.words)
    }

    /// Connects to an invite that was made [on a port](Self::invite_on): `host` is the last number of the inviter's
    /// address, which is tried on each of this machine's /24 networks; 0 is this machine. Blocks.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn join_host(&self, host: u8, port: u16, words: &str) -> Result<Connection, JoinError> {
        let words: Words = words.parse()?;
        let addresses = HostNumber(host).addresses(&self.site.interfaces()?, port);
        self.call(self.carrier.unwrap_or(Carrier::Udp), &addresses, &words)
    }

    fn check_carrier(&self, offered: Carrier) -> Result<(), JoinError> {
        match self.carrier {
            Some(wanted) if wanted != offered => Err(JoinError::OtherCarrier { offered, wanted }),
            _ => Ok(()),
        }
    }

    /// Looks for the invite, and calls it wherever it was found.
    fn seek(&self, code: &Code) -> Result<Connection, JoinError> {
        let mut discovery = Discovery::seeking_on(Arc::clone(&self.site), self.options(), code.nameplate)?;
        let until = discovery.now() + self.timeout;
        let mut attempt: Option<Attempt> = None;
        let mut found: Vec<Candidate> = Vec::new();
        let mut silent: Vec<SocketAddr> = Vec::new();
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
                        None => attempt = Some(self.begin(&code.words, &[&candidate])?),
                    }
                }
                Ok(SeekingEvent::OtherVersion { version }) => {
                    reason.get_or_insert(JoinError::OtherVersion { version });
                }
                Err(PollError::Woken) => {}
                Err(PollError::TimedOut) if race => {
                    let addresses: Vec<SocketAddr> = found.iter().map(|candidate| candidate.address).collect();
                    let first = self.site.race(&addresses).ok_or_else(|| unreachable(addresses[0]))?;
                    attempt = Some(self.begin(&code.words, &[&found[first]])?);
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
            let Some(current) = &mut attempt else { continue };
            match current.poll(&mut Context::from_waker(&discovery.waker())) {
                Poll::Pending => {}
                // Nobody was proven anything yet, so that the code is as good as before.
                Poll::Ready(Err(JoinError::Connect(ConnectError::TimedOut { remote }))) if discovery.now() < until => {
                    silent.push(remote);
                    attempt = Some(self.begin_again(&code.words, current.carrier, discovery.machine(), &mut silent)?);
                    // It is looked at before the next wait.
                    discovery.waker().wake();
                }
                Poll::Ready(result) => return result,
            }
        }
    }

    /// Begins to call an invite that was found, at all `ways` to it at once.
    fn begin(&self, words: &Words, ways: &[&Candidate]) -> Result<Attempt, JoinError> {
        let Candidate { carrier, address, invite, .. } = *ways[0];
        let transport = self.bind(carrier, 0, security(words, InviteId(NO_INVITE)), 0)?;
        let attempt = Attempt::begin(transport, words, carrier, address, invite)?;
        ways[1..].iter().for_each(|way| attempt.add(way));
        Ok(attempt)
    }

    /// Calls once more what was found, without those who answered before and then fell `silent`; with them where there
    /// is nobody else.
    fn begin_again(
        &self,
        words: &Words,
        carrier: Carrier,
        found: &Seeking,
        silent: &mut Vec<SocketAddr>,
    ) -> Result<Attempt, JoinError> {
        let ways = || found.found().iter().filter(|way| way.carrier == carrier);
        let fresh: Vec<&Candidate> = ways().filter(|way| !silent.contains(&way.address)).collect();
        if fresh.is_empty() {
            silent.clear();
            return self.begin(words, &ways().collect::<Vec<_>>());
        }
        self.begin(words, &fresh)
    }

    /// Calls an invite at addresses that somebody told.
    fn call(&self, carrier: Carrier, addresses: &[SocketAddr], words: &Words) -> Result<Connection, JoinError> {
        let no_invite = InviteId(NO_INVITE);
        let transport = self.bind(carrier, 0, security(words, no_invite), 0)?;
        let first = match carrier {
            Carrier::Udp => addresses.first().copied(),
            Carrier::Tcp => self.site.race(addresses).map(|first| addresses[first]),
        };
        let Some(first) = first else {
            return Err(addresses.first().map_or(JoinError::Code(CodeError::Address), |address| unreachable(*address)));
        };
        let attempt = Attempt::begin(transport, words, carrier, first, no_invite)?;
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
    carrier: Carrier,
    remote: SocketAddr,
    slot: WaitSlot,
}

impl Attempt {
    fn begin(
        transport: Arc<dyn Joining>,
        words: &Words,
        carrier: Carrier,
        remote: SocketAddr,
        invite: InviteId,
    ) -> Result<Self, JoinError> {
        let conn = transport.join(remote, security(words, invite), invite.0).map_err(JoinError::Connect)?;
        let connection = Connection::new(Arc::clone(&transport) as Arc<dyn Transport>, conn);
        Ok(Self { transport, connection, carrier, remote, slot: WaitSlot::default() })
    }

    /// One more way, unless it is one over the other carrier.
    fn add(&self, candidate: &Candidate) {
        if candidate.carrier == self.carrier {
            self.transport.add_candidate(self.connection.id(), candidate.address, candidate.invite.0);
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

fn unreachable(remote: SocketAddr) -> JoinError {
    JoinError::Connect(ConnectError::Unreachable { remote })
}
