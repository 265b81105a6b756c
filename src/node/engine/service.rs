//! The one thread of a node: it takes those who come, calls, greets, answers questions about the clock, writes what
//! found no room, and notices who is gone. It reads no values, and leaves the sockets to the threads that do: it waits
//! at all transports as a task.

use core::ops::ControlFlow;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::call::Phase;
use super::judge::{Verdict, judge};
use super::state::{Life, State};
use super::watch::{Vain, Watches};
use super::{Inner, Peer, Side, leaving};
use crate::message::{End, State as Standing};
use crate::node::control::Hello;
use crate::node::link::Link;
use crate::node::{Gone, JoinError, Name, Reason, Role};
use crate::time::{Timestamp, earliest};
use crate::transport::{ConnectError, Connection, Interest, Listener, Transport, WaitError};

/// Those who have come and not said who they are. Whoever comes then takes the place of the one that came first, if
/// that had [`GREETS_WITHIN`]; else it is refused.
const JOINING_MAX: usize = 128;
/// Who keeps to the protocol has greeted so soon, on any network that this is for.
const GREETS_WITHIN: Duration = Duration::from_millis(250);

/// One that has come and has until then to say who it is.
struct Joining {
    link: Arc<Link>,
    since: Timestamp,
    until: Timestamp,
    /// Who brought it wants to know what becomes of it.
    brought: Option<u64>,
}

/// What something that can be waited for is about.
#[derive(Clone)]
enum Whose {
    Incoming(Arc<dyn Transport>),
    Joining(u64),
    Call(Name),
    Peer(Arc<Peer>),
    Room(Arc<Peer>),
}

/// See the module.
pub(super) struct Service {
    inner: Arc<Inner>,
    listening: Vec<Arc<dyn Transport>>,
    joining: BTreeMap<u64, Joining>,
    watches: Watches<Whose>,
    /// Whose turn it was the last time: nobody is always the first.
    turn: usize,
}

impl Service {
    pub(super) const fn new(inner: Arc<Inner>, listening: Vec<Arc<dyn Transport>>) -> Self {
        Self { inner, listening, joining: BTreeMap::new(), watches: Watches::new(), turn: 0 }
    }

    /// Runs until the node ends, and says why.
    pub(super) fn run(mut self) -> Gone {
        let why = loop {
            if let ControlFlow::Break(why) = self.step() {
                break why;
            }
        };
        let inner = Arc::clone(&self.inner);
        // What is waited for, and for whom, holds connections.
        drop(self);
        let peers = {
            let mut state = inner.state();
            state.life = Life::Closing;
            state.let_go()
        };
        leaving::close(&peers, &inner.bell, inner.home.now() + inner.config.linger);
        why
    }

    /// Does one thing, or waits; breaks when the node is being closed.
    fn step(&mut self) -> ControlFlow<Gone> {
        let inner = Arc::clone(&self.inner);
        let seen = inner.bell.rings();
        let now = inner.home.now();
        let until = {
            let mut state = inner.state();
            if let Some(why) = state.ended() {
                return ControlFlow::Break(why);
            }
            self.take_brought(&mut state, now);
            self.run_due(&mut state, now);
            self.gather(&state);
            self.due_at(&state)
        };
        self.turn = if self.turn + 1 < self.watches.len() { self.turn + 1 } else { 0 };
        match self.watches.poll(&inner.bell, self.turn) {
            Ok(Some(whose)) => self.handle(whose, now),
            Err(Vain::Broken(broken)) => {
                self.on_broken(&broken, now);
                if Arc::ptr_eq(&broken, &inner.home) {
                    return ControlFlow::Break(End::Broken.into());
                }
            }
            Ok(None) | Err(Vain::TimedOut) => {
                if let Err(WaitError::Broken(_)) = inner.home.wait(&[inner.bell.interest(seen)], until) {
                    return ControlFlow::Break(End::Broken.into());
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Takes connections that were brought.
    fn take_brought(&mut self, state: &mut State, now: Timestamp) {
        for (number, conn) in core::mem::take(&mut state.brought) {
            self.begin_joining(state, conn, Some(number), now);
        }
    }

    fn begin_joining(&mut self, state: &mut State, conn: Connection, brought: Option<u64>, now: Timestamp) {
        let link = self.inner.link(conn);
        let until = now + self.inner.config.greet_timeout;
        self.joining.insert(state.serial(), Joining { link, since: now, until, brought });
    }

    /// Does what is due.
    fn run_due(&mut self, state: &mut State, now: Timestamp) {
        let silent: Vec<u64> =
            self.joining.iter().filter(|(_, joining)| joining.until <= now).map(|(serial, _)| *serial).collect();
        for serial in silent {
            self.turn_away(state, serial, Reason::Silent);
        }
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let calls: Vec<Name> =
            state.calls.iter().filter(|(_, call)| due(call.due_at())).map(|(name, _)| name.clone()).collect();
        for name in calls {
            self.on_call_due(state, &name, now);
        }
        for peer in state.peers.values() {
            if due(peer.link.attend_at()) {
                peer.link.attend();
            }
        }
    }

    fn due_at(&self, state: &State) -> Option<Timestamp> {
        let joining = self.joining.values().map(|joining| Some(joining.until));
        let calls = state.calls.values().map(super::call::Call::due_at);
        let peers = state.peers.values().map(|peer| peer.link.attend_at());
        joining.chain(calls).chain(peers).fold(None, earliest)
    }

    /// Gathers what is to be waited for, at each transport.
    fn gather(&mut self, state: &State) {
        let mut all: Vec<(Arc<dyn Transport>, Interest, Whose)> = Vec::new();
        let mut add = |conn: &Connection, interest: Interest, whose: &Whose| {
            all.push((Arc::clone(conn.transport()), interest, whose.clone()));
        };
        for peer in state.peers.values() {
            let conn = peer.link.connection();
            let whose = Whose::Peer(Arc::clone(peer));
            peer.link.concerns().into_iter().for_each(|interest| add(conn, interest, &whose));
            let room = Whose::Room(Arc::clone(peer));
            peer.link.wants_room().into_iter().flatten().for_each(|interest| add(conn, interest, &room));
        }
        for (serial, Joining { link, .. }) in &self.joining {
            link.concerns().into_iter().for_each(|interest| add(link.connection(), interest, &Whose::Joining(*serial)));
        }
        for (name, call) in &state.calls {
            let whose = Whose::Call(name.clone());
            match &call.phase {
                Phase::Connecting(conn) => add(conn, Interest::Connected(conn.id()), &whose),
                Phase::Greeting(link, _) => {
                    link.concerns().into_iter().for_each(|interest| add(link.connection(), interest, &whose));
                }
                _ => {}
            }
        }
        for transport in &self.listening {
            all.push((Arc::clone(transport), Interest::Incoming, Whose::Incoming(Arc::clone(transport))));
        }
        self.watches.clear();
        for (transport, interest, whose) in all {
            self.watches.add(&transport, interest, whose);
        }
        let mut used = self.watches.transports();
        used.push(Arc::clone(&self.inner.home));
        self.inner.news.keep(&used);
    }

    fn handle(&mut self, whose: Whose, now: Timestamp) {
        let inner = Arc::clone(&self.inner);
        let mut state = inner.state();
        match whose {
            Whose::Incoming(transport) => self.take_incoming(&mut state, &transport, now),
            Whose::Joining(serial) => self.on_joining(&mut state, serial, now),
            Whose::Call(name) => self.on_call(&mut state, &name, now),
            Whose::Room(peer) => peer.link.put_pending(),
            Whose::Peer(peer) => {
                peer.link.attend();
                if let Some(why) = peer.link.gone() {
                    state.on_gone(&peer, why, now);
                    inner.news.ring();
                }
            }
        }
    }

    fn take_incoming(&mut self, state: &mut State, transport: &Arc<dyn Transport>, now: Timestamp) {
        match Listener::new(Arc::clone(transport)).try_incoming() {
            Ok(Some(incoming)) => {
                if self.joining.len() >= JOINING_MAX && !self.make_room(state, now) {
                    return incoming.refuse(Reason::Full.code());
                }
                self.begin_joining(state, incoming.accept(), None, now);
            }
            Ok(None) => {}
            // It does not listen: this node only calls from there.
            Err(_) => self.listening.retain(|other| !Arc::ptr_eq(other, transport)),
        }
    }

    /// The one that came first and has said nothing for too long gives way, where there is one.
    fn make_room(&mut self, state: &mut State, now: Timestamp) -> bool {
        let is_late = |joining: &Joining| joining.brought.is_none() && joining.since + GREETS_WITHIN <= now;
        let late = self.joining.iter().find(|(_, joining)| is_late(joining)).map(|(serial, _)| *serial);
        late.is_some_and(|serial| {
            self.turn_away(state, serial, Reason::Silent);
            true
        })
    }

    /// One that has come has said something, or is gone.
    fn on_joining(&mut self, state: &mut State, serial: u64, now: Timestamp) {
        let Some(joining) = self.joining.get(&serial) else { return };
        let link = Arc::clone(&joining.link);
        let hello = link.hello();
        if let Some(gone) = link.gone() {
            self.on_turned_away(state, serial, gone);
            return;
        }
        let Some(hello) = hello else { return };
        let instance = hello.instance;
        let name = hello.name.as_deref().unwrap_or_default();
        let known = state.known(name);
        let calls_it = state.calls.get(name).is_some_and(super::call::Call::is_under_way);
        let full = state.peers.len() >= self.inner.config.peers_max;
        let name = match judge(&self.inner.name, hello, known, calls_it, full) {
            Verdict::Refuse(reason) => return self.turn_away(state, serial, reason),
            Verdict::Take(name) => name,
        };
        if let Some(old) = state.peers.get(&name).cloned() {
            // Nothing happens where it has ended.
            old.link.refuse(Reason::Replaced);
            let why = old.link.gone().unwrap_or(Gone::ByUs(Reason::Replaced));
            state.on_gone(&old, why, now);
        }
        link.greet(self.inner.hello(0));
        state.admit(name.clone(), Side::Local, instance, link);
        let brought = self.joining.remove(&serial).and_then(|joining| joining.brought);
        state.outcomes.extend(brought.map(|number| (number, Ok(name))));
        self.inner.news.ring();
    }

    /// One that has come is not taken.
    fn turn_away(&mut self, state: &mut State, serial: u64, reason: Reason) {
        if let Some(joining) = self.joining.get(&serial) {
            joining.link.refuse(reason);
        }
        self.on_turned_away(state, serial, Gone::ByUs(reason));
    }

    fn on_turned_away(&mut self, state: &mut State, serial: u64, why: Gone) {
        let brought = self.joining.remove(&serial).and_then(|joining| joining.brought);
        state.outcomes.extend(brought.map(|number| (number, Err(JoinError::Gone(why)))));
        self.inner.news.ring();
    }

    /// The time of a call has come.
    fn on_call_due(&mut self, state: &mut State, name: &Name, now: Timestamp) {
        let is_there = state.peers.contains_key(name);
        let Some(call) = state.calls.get_mut(name) else { return };
        match &call.phase {
            Phase::Begin | Phase::Away(_) if is_there => state.on_up(name),
            Phase::Begin | Phase::Away(_) => {
                let Some((transport, addr)) = &call.place else { return };
                match transport.connect(*addr) {
                    Ok(id) => call.phase = Phase::Connecting(Connection::new(Arc::clone(transport), id)),
                    Err(error) => state.on_failed(name, error.into(), now),
                }
            }
            Phase::Greeting(link, _) => {
                link.refuse(Reason::Silent);
                state.on_failed(name, Gone::ByUs(Reason::Silent).into(), now);
            }
            Phase::Crossed(_) => state.on_failed(name, Gone::ByPeer(Reason::Crossed).into(), now),
            Phase::Connecting(_) | Phase::Up => {}
        }
        self.inner.news.ring();
    }

    /// A call has led to something.
    fn on_call(&mut self, state: &mut State, name: &Name, now: Timestamp) {
        let Some(call) = state.calls.get_mut(name) else { return };
        match &call.phase {
            Phase::Connecting(conn) => match (conn.state(), call.place.as_ref()) {
                (Standing::Opening, _) => {}
                (Standing::Ended(end), Some((_, remote))) => {
                    let error = match Gone::from(end) {
                        Gone::Ended(_) => JoinError::Connect(ConnectError::from_end(*remote, end)),
                        gone => JoinError::Gone(gone),
                    };
                    state.on_failed(name, error, now);
                }
                _ => {
                    let link = self.inner.link(conn.clone());
                    link.greet(self.inner.hello(call.instance));
                    call.phase = Phase::Greeting(Arc::clone(&link), now + self.inner.config.greet_timeout);
                    // One that greets without being greeted may have done so.
                    self.on_greeting(state, name, link, now);
                }
            },
            Phase::Greeting(link, _) => {
                let link = Arc::clone(link);
                self.on_greeting(state, name, link, now);
            }
            _ => {}
        }
        self.inner.news.ring();
    }

    /// One that we called has greeted, or is gone.
    fn on_greeting(&mut self, state: &mut State, name: &Name, link: Arc<Link>, now: Timestamp) {
        let hello = link.hello();
        // One of this name that came by itself may be gone, and nobody have noticed yet.
        state.look_after(name, now);
        let Some(call) = state.calls.get_mut(name) else { return };
        match link.gone() {
            // Its own call was taken meanwhile, or will be.
            Some(Gone::ByPeer(Reason::Crossed | Reason::NameTaken)) if state.peers.contains_key(name) => {
                state.on_up(name);
            }
            Some(Gone::ByPeer(Reason::Crossed)) => {
                call.phase = Phase::Crossed(now + self.inner.config.greet_timeout);
            }
            Some(gone) => state.on_failed(name, gone.into(), now),
            None if hello.is_none() => {}
            None if state.peers.contains_key(name) => {
                link.refuse(Reason::NameTaken);
                state.on_failed(name, JoinError::NameTaken { name: name.clone() }, now);
            }
            None if state.peers.len() >= self.inner.config.peers_max => {
                link.refuse(Reason::Full);
                state.on_failed(name, Gone::ByUs(Reason::Full).into(), now);
            }
            None => state.admit(name.clone(), Side::Remote, 0, link),
        }
    }

    /// A transport failed, and nothing will ever come there again.
    fn on_broken(&mut self, broken: &Arc<dyn Transport>, now: Timestamp) {
        let inner = Arc::clone(&self.inner);
        let mut state = inner.state();
        let is_there = |conn: &Connection| Arc::ptr_eq(conn.transport(), broken);
        self.listening.retain(|transport| !Arc::ptr_eq(transport, broken));
        let joining: Vec<u64> =
            self.joining.iter().filter(|(_, one)| is_there(one.link.connection())).map(|(serial, _)| *serial).collect();
        for serial in joining {
            self.on_turned_away(&mut state, serial, End::Broken.into());
        }
        let peers: Vec<_> = state.peers.values().filter(|peer| is_there(peer.link.connection())).cloned().collect();
        for peer in peers {
            state.on_gone(&peer, End::Broken.into(), now);
        }
        let is_call_there = |phase: &Phase| match phase {
            Phase::Connecting(conn) => is_there(conn),
            Phase::Greeting(link, _) => is_there(link.connection()),
            _ => false,
        };
        let calls: Vec<Name> =
            state.calls.iter().filter(|(_, call)| is_call_there(&call.phase)).map(|(name, _)| name.clone()).collect();
        for name in calls {
            state.on_failed(&name, Gone::Ended(End::Broken).into(), now);
        }
        inner.news.ring();
    }
}

impl Inner {
    /// What this node says of itself to one that knows it by `instance`.
    pub(super) fn hello(&self, instance: u64) -> Hello {
        Hello { role: self.role, instance, name: (self.role != Role::Plain).then(|| self.name.clone()) }
    }

    /// A connection on which the protocol is spoken.
    pub(super) fn link(&self, conn: Connection) -> Arc<Link> {
        // Somebody may wait there as soon as it is a peer.
        self.news.at(conn.transport());
        let news = Arc::clone(&self.news);
        Arc::new(Link::new(conn, self.role, Some(news), self.config.value_limits(), self.origin))
    }
}
