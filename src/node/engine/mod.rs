//! What hubs, hosts and clients have in common: a set of peers with names, over any number of transports.
//!
//! ```text
//! application threads: read values, write         the service's thread: everything else
//!        |        \___________   _______________________/   |
//!        |                    state: peers, calls, published, events (one lock)
//!        |                      |
//!      links, one for each peer: names, newest values, the peer's clock (a lock each)
//!        |
//!      transports
//! ```
//!
//! Locks are taken in this order: the state, a link; and none is held over a wait. A value gets its time under the
//! state's, and with it its place: a link that was written a newer one drops it, so that every peer ends with the same.

mod backoff;
mod call;
mod config;
mod departed;
mod ending;
mod events;
mod judge;
mod leaving;
mod news;
mod peer;
mod published;
mod reading;
mod service;
mod source;
mod state;
mod watch;
mod writing;

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

pub use self::backoff::Reconnect;
use self::call::{Call, Phase};
pub use self::config::NodeConfig;
pub use self::events::Event;
pub(super) use self::news::News;
pub(super) use self::peer::Peer;
use self::reading::Seen;
use self::service::Service;
use self::state::{CLOSED, Life, State};
pub(super) use self::writing::ToPeer;
use super::{Channels, Gone, JoinError, Name, NameError, Role};
use crate::message::End;
use crate::time::Timestamp;
use crate::transport::{Bell, Connection, JoinHandle, Transport};

/// Who went to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The peer came to this node.
    Local,
    /// This node went to the peer.
    Remote,
}

/// A peer of a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PeerInfo {
    /// Its name here.
    pub name: Name,
    /// Who went to whom.
    pub side: Side,
    /// Its address.
    pub addr: Option<SocketAddr>,
}

/// Why a node does not begin.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It was given no transport.
    #[error("a node needs a transport")]
    NoTransport,
    /// The operating system gives no thread, or no chance.
    #[error("a node cannot begin")]
    Io(#[from] std::io::Error),
}

/// What the handles of a node and its thread share.
pub(super) struct Inner {
    role: Role,
    name: Name,
    config: NodeConfig,
    /// The first transport: its clock counts, and its thread is the service's.
    home: Arc<dyn Transport>,
    /// What its clock shows beyond that of its transports, in µs.
    origin: u64,
    /// Rung for the service, at home.
    bell: Bell,
    /// Rung for everybody else.
    news: Arc<News>,
    state: Mutex<State>,
    service: Mutex<Option<JoinHandle<()>>>,
}

/// The last handle ends the node, in the background.
struct Held(Arc<Inner>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A node. A clone is another reader of the same.
pub(super) struct Engine {
    inner: Arc<Inner>,
    _held: Arc<Held>,
    seen: Mutex<Seen>,
}

impl Clone for Engine {
    fn clone(&self) -> Self {
        let seen = Mutex::new(lock(&self.seen).clone());
        Self { inner: Arc::clone(&self.inner), _held: Arc::clone(&self._held), seen }
    }
}

/// What panicked under a lock was a verb of a transport's; what the lock guards is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a node that ended says to whoever wants a peer.
fn over(why: Gone) -> JoinError {
    if why == CLOSED { JoinError::Closed } else { JoinError::Gone(why) }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Begins to end.
    fn leave(&self) {
        let mut state = self.state();
        if state.life == Life::Running {
            state.life = Life::Closing;
        }
        drop(state);
        self.bell.ring();
        self.news.ring();
    }
}

impl Engine {
    /// Begins, and takes whoever comes to one of the transports.
    pub(super) fn start(
        role: Role,
        name: &str,
        transports: Vec<Arc<dyn Transport>>,
        config: NodeConfig,
    ) -> Result<Self, StartError> {
        Self::begin(role, name, transports, config, |inner, listening| {
            ending::run(inner, || Service::new(Arc::clone(inner), listening).run());
        })
    }

    /// As [`start`](Self::start), where the node's thread does `main`.
    fn begin(
        role: Role,
        name: &str,
        transports: Vec<Arc<dyn Transport>>,
        config: NodeConfig,
        main: impl FnOnce(&Arc<Inner>, Vec<Arc<dyn Transport>>) + Send + 'static,
    ) -> Result<Self, StartError> {
        let name = Name::new(name)?;
        let home = Arc::clone(transports.first().ok_or(StartError::NoTransport)?);
        let state = State::new(&config, home.chance()?);
        let (origin, state) = (state.origin, Mutex::new(state));
        let (bell, news) = (Bell::hang(&home), Arc::new(News::new()));
        news.at(&home);
        let service = Mutex::new(None);
        let listening = if role == Role::Client { Vec::new() } else { transports };
        let inner = Arc::new(Inner { role, name, config, home, origin, bell, news, state, service });
        let own = Arc::clone(&inner);
        let thread = inner.home.spawn("udpair-node", move || main(&own, listening))?;
        *lock(&inner.service) = Some(thread);
        Ok(Self { _held: Arc::new(Held(Arc::clone(&inner))), inner, seen: Mutex::default() })
    }

    pub(super) fn name(&self) -> &Name {
        &self.inner.name
    }

    pub(super) fn home(&self) -> &Arc<dyn Transport> {
        &self.inner.home
    }

    pub(super) fn now(&self) -> Timestamp {
        self.inner.home.now()
    }

    /// How long a wait may last from now.
    pub(super) fn until(&self, timeout: Duration) -> Timestamp {
        self.now() + timeout
    }

    /// Calls a peer and waits until it has greeted, or has not.
    pub(super) fn connect(
        &self,
        name: &str,
        transport: &Arc<dyn Transport>,
        addr: SocketAddr,
    ) -> Result<(), JoinError> {
        self.call(name, Some((Arc::clone(transport), addr)), Phase::Begin)
    }

    /// Speaks on a connection as the one that called. It is closed where that comes to nothing.
    pub(super) fn connect_on(&self, name: &str, conn: Connection) -> Result<(), JoinError> {
        let called = self.call(name, None, Phase::Connecting(conn.clone()));
        if called.is_err() {
            conn.transport().close(conn.id(), 0, Duration::ZERO);
        }
        called
    }

    fn call(&self, name: &str, place: Option<(Arc<dyn Transport>, SocketAddr)>, phase: Phase) -> Result<(), JoinError> {
        let name = Name::new(name)?;
        let ticket = {
            let mut state = self.inner.state();
            state.ended().map_or(Ok(()), |why| Err(over(why)))?;
            // The one that had the name may have left just now.
            state.look_after(&name, self.now());
            if name == self.inner.name || state.peers.contains_key(&name) || state.calls.contains_key(&name) {
                drop(state);
                // Where it has it is called again: that is due for the service, and an event for everybody else.
                self.inner.bell.ring();
                self.inner.news.ring();
                return Err(JoinError::NameTaken { name });
            }
            let (instance, ticket) = (state.instance(), state.serial());
            state.calls.insert(name, Call::new(place, instance, ticket, phase));
            ticket
        };
        self.inner.bell.ring();
        self.outcome(ticket).map(|_| ())
    }

    /// Waits until it is known what became of a call, or of a connection that was brought.
    fn outcome(&self, ticket: u64) -> Result<Name, JoinError> {
        let outcome = self.when(None, |state| state.outcomes.remove(&ticket));
        outcome.unwrap_or_else(|| Err(over(self.inner.state().ended().unwrap_or(Gone::Ended(End::Broken)))))
    }

    /// Speaks on a connection as the one that was called, and waits until the peer has said who it is. It is closed
    /// where that comes to nothing.
    pub(super) fn welcome(&self, conn: Connection) -> Result<Name, JoinError> {
        let brought = self.bring(conn.clone());
        if brought.is_err() {
            conn.transport().close(conn.id(), 0, Duration::ZERO);
        }
        brought
    }

    fn bring(&self, conn: Connection) -> Result<Name, JoinError> {
        let ticket = {
            let mut state = self.inner.state();
            state.ended().map_or(Ok(()), |why| Err(over(why)))?;
            let ticket = state.serial();
            state.brought.push((ticket, conn));
            ticket
        };
        self.inner.bell.ring();
        self.outcome(ticket)
    }

    /// Ends a connection and does not call again. False where there is no such peer.
    pub(super) fn disconnect(&self, name: &str) -> bool {
        let mut state = self.inner.state();
        let was_called = state.give_up(name, JoinError::Disconnected);
        let peer = state.peers.get(name).cloned();
        if let Some(peer) = &peer {
            let conn = peer.link.connection();
            conn.transport().close(conn.id(), 0, self.inner.config.linger);
            state.on_gone(peer, CLOSED, self.now());
        }
        drop(state);
        self.inner.bell.ring();
        self.inner.news.ring();
        was_called.is_some() || peer.is_some()
    }

    /// The peers that are there, by name.
    pub(super) fn peers(&self) -> Vec<PeerInfo> {
        let info = |peer: &Arc<Peer>| PeerInfo {
            name: peer.name.clone(),
            side: peer.side,
            addr: peer.link.connection().peer_addr(),
        };
        self.inner.state().peers.values().map(info).collect()
    }

    /// Everything that can be done with the channels of one peer.
    pub(super) fn channels(&self, name: &str) -> Option<Channels> {
        let peer = Arc::clone(self.inner.state().peers.get(name)?);
        let link = Arc::clone(&peer.link);
        Some(Channels::of(link, Some(ToPeer::new(Arc::clone(&self.inner), peer))))
    }

    /// The next event, waited for until then; `None` where there is none, or the node is closed.
    pub(super) fn next_event(&self, until: Option<Timestamp>) -> Option<Event> {
        self.when(until, |state| state.events.pop())
    }

    pub(super) fn try_event(&self) -> Option<Event> {
        self.inner.state().events.pop()
    }

    /// Ends all connections and the service.
    pub(super) fn close(&self) {
        self.inner.leave();
        let service = lock(&self.inner.service).take();
        match service {
            // A panic of the service's has ended it as well.
            Some(service) => drop(service.join()),
            // Somebody else is at it.
            None => _ = self.when_or_ended(None, |state| matches!(state.life, Life::Over(_)).then_some(())),
        }
    }

    /// Waits until `look` finds something, at most until then. `None` where time is over, or the node ends.
    fn when<T>(&self, until: Option<Timestamp>, mut look: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        self.when_or_ended(until, |state| look(state).map(Some).or_else(|| state.ended().map(|_| None))).flatten()
    }

    /// As [`when`](Self::when), also while the node ends: `look` is to find that it has.
    fn when_or_ended<T>(&self, until: Option<Timestamp>, mut look: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let bell = self.inner.news.at(&self.inner.home);
        loop {
            let rings = bell.rings();
            if let Some(found) = look(&mut self.inner.state()) {
                return Some(found);
            }
            self.inner.home.wait(&[bell.interest(rings)], until).ok()?;
        }
    }
}
