//! The side that was told a code.

use core::task::Waker;
use std::net::SocketAddr;
use std::sync::Arc;

use super::attempt::{Attempt, Failed};
use super::error::{JoinError, NobodyAnswered};
use super::race::Race;
use super::search::Search;
use super::ways::Way;
use super::{Pairing, Secret};
use crate::pairing::{Carrier, Code, CodeAt, Host, HostNumber, InviteId, Seeking, Words};
use crate::proto::NO_INVITE;
use crate::transport::discovery::{Discovery, DiscoveryReport, Failure, FailureReason};
use crate::transport::{ConnectError, Connection};

impl Pairing {
    /// As [`join`](super::join()), with these settings. A code with an address is called there, as by
    /// [`join_at`](Self::join_at), after the system was asked for the addresses of its name, where it is one. Blocks.
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

    /// Connects to the invite of `code` at an address that was told with it: nothing is broadcast. Blocks for at most
    /// [`Config::connect_timeout`](crate::Config::connect_timeout).
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn join_at(&self, address: SocketAddr, code: &str) -> Result<Connection, JoinError> {
        let code: Code = code.parse()?;
        self.call(self.carrier.unwrap_or(Carrier::Udp), &[address], Secret::Words(&code.words))
    }

    /// Connects to an invite that was made [on a port](Self::invite_on): `host` is the last number of the inviter's
    /// address, which is tried on each of this machine's /24 networks; 0 is this machine. Blocks for at most
    /// [`Config::connect_timeout`](crate::Config::connect_timeout).
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn join_host(&self, host: u8, port: u16, words: &str) -> Result<Connection, JoinError> {
        let words: Words = words.parse()?;
        let addresses = HostNumber(host).addresses(&self.site.interfaces()?, port);
        self.call(self.carrier.unwrap_or(Carrier::Udp), &addresses, Secret::Words(&words))
    }

    pub(super) fn check_carrier(&self, offered: Carrier) -> Result<(), JoinError> {
        match self.carrier {
            Some(wanted) if wanted != offered => Err(JoinError::OtherCarrier { offered, wanted }),
            _ => Ok(()),
        }
    }

    /// Looks for the invite, and calls it wherever it was found. Blocks.
    pub(super) fn seek(&self, discovery: Discovery<Seeking>, secret: Secret<'_>) -> Result<Connection, JoinError> {
        Search::new(self, discovery, secret).run()
    }

    /// Calls an invite at addresses that somebody told, for as long as the connect timeout. Blocks.
    fn call(&self, carrier: Carrier, addresses: &[SocketAddr], secret: Secret<'_>) -> Result<Connection, JoinError> {
        let way = |address: &SocketAddr| Way { carrier, address: *address, invite: InviteId(NO_INVITE) };
        let mut ways: Vec<Way> = addresses.iter().map(way).collect();
        // Of the call, as these settings have it.
        let mut rest = self.clone();
        if carrier == Carrier::Tcp {
            let began = self.site.now();
            let mut race = Race::new(Arc::clone(&self.site), Waker::noop().clone(), self.config.connect_timeout);
            ways.into_iter().for_each(|way| race.add(way));
            ways = vec![race.wait().map_err(|error| error.map_or_else(nowhere, JoinError::Connect))?];
            // The conversation has what is left of the time, as it does over UDP once one of several has answered.
            let taken = self.site.now().saturating_since(began);
            rest.config.connect_timeout = rest.config.connect_timeout.saturating_sub(taken);
        }
        let (attempt, failed) = rest.begin(secret, &ways)?;
        let failed = || failed.into_iter().next().map_or_else(nowhere, |(_, error)| JoinError::Connect(error));
        attempt.ok_or_else(failed)?.wait().map_err(Failed::into_error)
    }

    /// Begins to connect, from a port of its own, at all `ways` at once, which are over one carrier; and which of them
    /// failed at once.
    pub(super) fn begin(&self, secret: Secret<'_>, ways: &[Way]) -> Result<Begun, JoinError> {
        let (mut begun, mut failed) = (None::<Attempt>, Vec::new());
        for way in ways {
            if let Some(attempt) = &mut begun {
                attempt.add(way);
                continue;
            }
            let transport = self.bind(way.carrier, 0, secret.security(InviteId(NO_INVITE)), 0)?;
            match Attempt::begin(transport, secret, way) {
                Ok(attempt) => begun = Some(attempt),
                Err(error) => failed.push((*way, error)),
            }
        }
        Ok((begun, failed))
    }
}

/// What was begun, and the ways that failed at once.
type Begun = (Option<Attempt>, Vec<(Way, ConnectError)>);

/// There is no address to call.
fn nowhere() -> JoinError {
    let failure = Failure { interface: None, address: None, reason: FailureReason::NothingToSendOn };
    JoinError::NobodyAnswered(NobodyAnswered(DiscoveryReport { failures: vec![failure], ..DiscoveryReport::default() }))
}
