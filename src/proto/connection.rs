//! One connection: its messages, and below them first the handshake, then the link.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use crate::message::{End, Messages};
use crate::seal::{Exports, Protection, Session};
use crate::time::{Timestamp, earliest};
use crate::wire::{Confirm, ConnectionCid, DataHeader, Refuse, Retry, Share};

use super::budget::Budget;
use super::config::Config;
use super::counters::Dropped;
use super::ecn::Ecn;
use super::handshake::{Candidate, Handshake, Shared};
use super::link::{Batch, Drained, Link, Scratch};
use super::listener::HalfOpen;
use super::mtu::PathLimits;
use super::path::Path;
use super::stats::ConnectionStats;

/// What carries the messages.
#[derive(Debug)]
enum Carrier {
    Connecting(Box<Handshake>),
    Linked(Box<Link>),
    Over,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    remote: SocketAddr,
    /// Somebody there has answered.
    answered: bool,
    /// Which of our addresses the peer calls: as packets say that are beyond doubt the peer's.
    local: Option<IpAddr>,
    cid: ConnectionCid,
    path: PathLimits,
    messages: Messages,
    carrier: Carrier,
    exports: Option<Exports>,
}

impl Connection {
    /// We want one.
    #[must_use]
    pub fn connecting(handshake: Handshake, messages: Messages) -> Self {
        let (cid, Candidate { remote, path, .. }) = (handshake.cid(), *handshake.candidate());
        let carrier = Carrier::Connecting(Box::new(handshake));
        Self { remote, answered: false, local: None, cid, path, messages, carrier, exports: None }
    }

    /// The peer wanted one, and it was granted under the id `cid`; with `session` in sealed modes.
    #[must_use]
    pub fn accepted(
        now: Timestamp,
        config: &Config,
        path: PathLimits,
        cid: ConnectionCid,
        half_open: &HalfOpen,
        session: Option<Session>,
    ) -> Self {
        let (protection, exports) = protect(session, config);
        let mut messages = Messages::new(config.limits);
        messages.establish(&half_open.params);
        let mut link = Link::new(now, config, path, protection, half_open.peer_cid, &half_open.params);
        if let Some(sent_at) = half_open.share_sent_at {
            link.on_round_trip(now.saturating_since(sent_at));
        }
        let carrier = Carrier::Linked(Box::new(link));
        Self { remote: half_open.from, answered: true, local: None, cid, path, messages, carrier, exports }
    }

    /// The peer's address.
    #[must_use]
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Somebody at [`remote`](Self::remote) has answered: it is no longer the first of several that are called.
    #[must_use]
    pub const fn answered(&self) -> bool {
        self.answered
    }

    /// The peer called this address of ours.
    pub const fn set_local(&mut self, local: Option<IpAddr>) {
        self.local = local;
    }

    /// The id that packets to us bear.
    #[must_use]
    pub const fn cid(&self) -> ConnectionCid {
        self.cid
    }

    /// The messages.
    #[must_use]
    pub const fn messages(&self) -> &Messages {
        &self.messages
    }

    /// The messages, to change.
    pub const fn messages_mut(&mut self) -> &mut Messages {
        &mut self.messages
    }

    /// What both sides can derive from the handshake, in sealed modes and once it is done.
    #[must_use]
    pub const fn exports(&self) -> Option<&Exports> {
        self.exports.as_ref()
    }

    /// True where a handshake packet from `from` may be for us.
    #[must_use]
    pub fn expects(&self, from: SocketAddr) -> bool {
        match &self.carrier {
            Carrier::Connecting(handshake) => handshake.calls(from),
            _ => self.remote == from,
        }
    }

    /// One more who may be the peer. False when that is of no use.
    pub fn add_candidate(&mut self, now: Timestamp, candidate: Candidate) -> bool {
        match &mut self.carrier {
            Carrier::Connecting(handshake) => handshake.add_candidate(now, candidate),
            _ => false,
        }
    }

    /// There are others to be tried: see [`Handshake::hurry`].
    pub fn hurry(&mut self, now: Timestamp, patience: Duration) {
        if let Carrier::Connecting(handshake) = &mut self.carrier {
            handshake.hurry(now, patience);
        }
    }

    /// The handshake, while it is under way.
    #[must_use]
    pub fn handshake(&self) -> Option<&Handshake> {
        match &self.carrier {
            Carrier::Connecting(handshake) => Some(handshake),
            _ => None,
        }
    }

    /// True when it needs no packets any more.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.carrier, Carrier::Over)
    }

    /// A data packet bearing our id came in from the peer's address; `datagram` is all of it, and is opened in place.
    pub fn handle_packet(
        &mut self,
        now: Timestamp,
        header: &DataHeader,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<(), Dropped> {
        match &mut self.carrier {
            Carrier::Linked(link) => link.handle(now, header, ecn, datagram, &mut self.messages, scratch),
            Carrier::Connecting(_) => Err(Dropped::StaleHandshake),
            Carrier::Over => Err(Dropped::AfterEnd),
        }
    }

    /// RETRY came in.
    pub fn handle_retry(&mut self, now: Timestamp, from: SocketAddr, retry: &Retry) -> Result<(), Dropped> {
        match &mut self.carrier {
            Carrier::Connecting(handshake) => {
                if handshake.on_retry(now, from, retry) {
                    let Candidate { remote, path, .. } = *handshake.candidate();
                    (self.remote, self.path, self.answered) = (remote, path, true);
                    Ok(())
                } else {
                    Err(Dropped::StaleHandshake)
                }
            }
            _ => Err(Dropped::StaleHandshake),
        }
    }

    /// SHARE came in, `packet` is all of it: established, in plain mode. True when it is.
    pub fn handle_share(
        &mut self,
        now: Timestamp,
        config: &Config,
        packet: &[u8],
        share: &Share<'_>,
    ) -> Result<bool, Dropped> {
        let Carrier::Connecting(handshake) = &mut self.carrier else { return Err(Dropped::StaleHandshake) };
        match handshake.on_share(now, packet, share) {
            Some(shared) => self.establish(now, config, shared),
            None if handshake.confirms(share) => return Ok(false),
            None => return Err(Dropped::StaleHandshake),
        }
        Ok(true)
    }

    /// CONFIRM_I came in: established.
    pub fn handle_confirm(&mut self, now: Timestamp, config: &Config, confirm: &Confirm) -> Result<(), Dropped> {
        let Carrier::Connecting(handshake) = &mut self.carrier else { return Err(Dropped::StaleHandshake) };
        let shared = handshake.on_confirm(now, confirm).ok_or(Dropped::WrongTag)?;
        self.establish(now, config, shared);
        Ok(())
    }

    fn establish(&mut self, now: Timestamp, config: &Config, shared: Shared) {
        let (protection, exports) = protect(shared.session, config);
        let mut link = Link::new(now, config, self.path, protection, shared.peer_cid, &shared.params);
        if let Some(round_trip) = shared.round_trip {
            link.on_round_trip(round_trip);
        }
        // In plain mode the listener is established on the first packet bearing its id: there must be one.
        link.ping();
        self.exports = exports;
        self.carrier = Carrier::Linked(Box::new(link));
        self.messages.establish(&shared.params);
    }

    /// REFUSE came in.
    pub fn handle_refuse(&mut self, now: Timestamp, from: SocketAddr, refuse: &Refuse) -> Result<(), Dropped> {
        match &mut self.carrier {
            Carrier::Connecting(handshake) => {
                handshake.on_refuse(now, from, refuse);
                Ok(())
            }
            _ => Err(Dropped::StaleHandshake),
        }
    }

    /// The network reports that nobody listens at the peer's address.
    pub fn handle_unreachable(&mut self, now: Timestamp, remote: SocketAddr) {
        // RFC 1122 section 4.2.3.9: an established connection does not believe that.
        if let Carrier::Connecting(handshake) = &mut self.carrier {
            handshake.on_unreachable(now, remote);
        }
    }

    /// All datagrams that had arrived together are handled.
    pub fn on_batch_end(&mut self, drained: Drained) {
        if let Carrier::Linked(link) = &mut self.carrier {
            link.on_batch_end(drained);
        }
    }

    /// The application waits.
    pub fn on_wait(&mut self) {
        if let Carrier::Linked(link) = &mut self.carrier {
            link.on_wait(&mut self.messages);
        }
    }

    /// True when something is owed that goes alone only when the application waits, or later.
    #[must_use]
    pub fn owes(&self) -> bool {
        match &self.carrier {
            Carrier::Linked(link) => link.owes(&self.messages),
            _ => false,
        }
    }

    /// When [`Connection::handle_timeout`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let carrier = match &self.carrier {
            Carrier::Connecting(handshake) => handshake.deadline(),
            Carrier::Linked(link) => link.deadline(),
            Carrier::Over => return None,
        };
        earliest(carrier, self.messages.deadline())
    }

    /// The time of a deadline may have come.
    pub fn handle_timeout(&mut self, now: Timestamp, scratch: &mut Scratch) {
        self.messages.handle_timeout(now);
        match &mut self.carrier {
            Carrier::Connecting(handshake) => {
                if let Some(end) = handshake.ended(now) {
                    self.messages.end(end);
                    self.carrier = Carrier::Over;
                }
            }
            Carrier::Linked(link) => link.handle_timeout(now, &mut self.messages, scratch),
            Carrier::Over => {}
        }
        self.settle();
    }

    /// Appends what may leave now, and says where to: one datagram, or several of the same length.
    pub fn poll(
        &mut self,
        now: Timestamp,
        scratch: &mut Scratch,
        probe_budget: &mut Budget,
        out: &mut Vec<u8>,
    ) -> Option<(Path, Batch)> {
        self.settle();
        match &mut self.carrier {
            Carrier::Connecting(handshake) => {
                let to = handshake.poll(now, out)?;
                Some((to.into(), Batch { segment: None, count: 1, ecn: None }))
            }
            Carrier::Linked(link) => {
                let batch = link.poll(now, &mut self.messages, scratch, probe_budget, out)?;
                Some((Path { remote: self.remote, local: self.local }, batch))
            }
            Carrier::Over => None,
        }
    }

    /// Nobody holds the connection any more: it is closed in the background, or given up if it never came to be.
    pub fn on_released(&mut self, now: Timestamp, linger: Duration) {
        match self.carrier {
            Carrier::Connecting(_) => self.messages.abort(0),
            Carrier::Linked(_) | Carrier::Over => self.messages.close(now, 0, linger),
        }
    }

    /// Numbers about it.
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        let link = match &self.carrier {
            Carrier::Linked(link) => Some(link.stats()),
            _ => None,
        };
        ConnectionStats { link, messages: self.messages.stats() }
    }

    fn settle(&mut self) {
        match &self.carrier {
            Carrier::Connecting(_) => {
                // Given up before there was anybody to tell.
                if let Some(end) = self.messages.ended() {
                    self.messages.end(end);
                    self.carrier = Carrier::Over;
                }
            }
            Carrier::Linked(link) if link.is_over() => {
                // Whatever could not be told will not be.
                self.messages.end(End::TimedOut);
                self.carrier = Carrier::Over;
            }
            _ => {}
        }
    }
}

/// What protects a connection from now on, and what else its keys are good for.
fn protect(session: Option<Session>, config: &Config) -> (Protection, Option<Exports>) {
    match session {
        None => (Protection::plain(), None),
        Some(session) => {
            let (protection, exports) = session.into_parts();
            (protection.with_generations(config.generations), Some(exports))
        }
    }
}
