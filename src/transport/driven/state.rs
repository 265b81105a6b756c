//! What is behind the endpoint lock: the core, those who wait for it, and the queues that they share.

use core::task::Waker;
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;

use super::bells::Bells;
use super::core::{Core, Event};
use super::duty::WaiterKey;
use super::waiters::{Shared, Waiters};
use crate::message::{Messages, Select, State as Life};
use crate::proto::InviteState;
use crate::slots::ConnectionId;
use crate::time::Timestamp;
use crate::transport::{Answer, BellId, Interest, LINGER, Ready, WaitError};

/// How many refused verbs of a connection are remembered one by one, for [`Interest::AnyConnection`]; with more, any
/// change counts as news.
const WANTED_MAX: usize = 64;

/// What is to be done once the lock is free.
#[derive(Debug)]
#[must_use]
pub(in crate::transport) struct Work {
    pub(in crate::transport) wakers: Vec<Waker>,
    pub(in crate::transport) transmit: bool,
    pub(in crate::transport) deadline: Option<Timestamp>,
    pub(in crate::transport) version: u64,
    /// Nobody holds the transport any more and nothing is left to do.
    pub(in crate::transport) over: bool,
}

/// A connection that somebody holds.
#[derive(Debug, Default)]
struct Held {
    /// Its place in the queue of those with something new.
    place: Option<u64>,
    /// What verbs refused with "would block".
    wanted: Vec<Interest>,
    /// More than can be remembered.
    wants_anything: bool,
    /// It was given out as having a message, and nobody has asked for that yet.
    told_readable: bool,
    /// It was given out as ended.
    told_ended: bool,
}

/// See the module.
#[derive(Debug)]
pub(in crate::transport) struct State<C> {
    pub(in crate::transport) core: C,
    pub(in crate::transport) waiters: Waiters,
    held: BTreeMap<ConnectionId, Held>,
    /// Connections with something new, longest first.
    news: BTreeMap<u64, ConnectionId>,
    next_place: u64,
    /// Connections not yet answered.
    incoming: VecDeque<ConnectionId>,
    pub(in crate::transport) bells: Bells,
    events: Vec<Event>,
    version: u64,
    /// The core had more for the outbox than that takes.
    more: bool,
    orphaned: bool,
    broken: Option<ErrorKind>,
}

impl<C: Core> State<C> {
    pub(in crate::transport) const fn new(core: C) -> Self {
        Self {
            core,
            waiters: Waiters::new(),
            held: BTreeMap::new(),
            news: BTreeMap::new(),
            next_place: 0,
            incoming: VecDeque::new(),
            bells: Bells::new(),
            events: Vec::new(),
            version: 0,
            more: false,
            orphaned: false,
            broken: None,
        }
    }

    /// Works off what has happened; what is left to do is done without the lock. `me` is awake and looks afterwards.
    pub(in crate::transport) fn poll(&mut self, now: Timestamp, me: Option<WaiterKey>) -> Work {
        let mut wakers = Vec::new();
        let mut events = core::mem::take(&mut self.events);
        let mut polled = self.core.poll(now, &mut events);
        while !events.is_empty() {
            let refused = self.on_events(now, &mut events, me, &mut wakers);
            if refused {
                polled = self.core.poll(now, &mut events);
            }
        }
        self.events = events;
        self.version += 1;
        self.more = polled.more;
        let over = self.orphaned && self.core.is_idle();
        Work { wakers, transmit: polled.transmit, deadline: polled.deadline, version: self.version, over }
    }

    /// True where it refused or dropped connections that nobody will ever answer, so that the core is to be polled
    /// again.
    fn on_events(
        &mut self,
        now: Timestamp,
        events: &mut Vec<Event>,
        me: Option<WaiterKey>,
        wakers: &mut Vec<Waker>,
    ) -> bool {
        let mut refused = false;
        for event in events.drain(..) {
            match event {
                Event::Changed(id) => {
                    refused |= self.drop_incoming(now, id);
                    Self::tell(&self.core, &mut self.waiters, id, me, wakers);
                    self.news_of(id, me, wakers);
                }
                Event::Incoming if self.orphaned => {
                    while let Some(id) = self.core.incoming() {
                        self.core.answer(now, id, Answer::Refuse(0));
                        self.core.release(now, id);
                        refused = true;
                    }
                }
                Event::Incoming => {
                    if self.core.invite() == Some(InviteState::Burnt) {
                        self.waiters.wake_one(Shared::Incoming, me, wakers);
                    }
                    while let Some(id) = self.core.incoming() {
                        self.incoming.push_back(id);
                        if self.drop_incoming(now, id) {
                            refused = true;
                        } else {
                            self.waiters.wake_one(Shared::Incoming, me, wakers);
                        }
                    }
                }
            }
        }
        refused
    }

    /// True where the next connection is there, or will never come.
    fn may_look_at_incoming(&self) -> bool {
        !self.incoming.is_empty() || self.core.invite() == Some(InviteState::Burnt)
    }

    /// True when the outbox, once taken, is to be filled again.
    pub(in crate::transport) const fn has_more(&self) -> bool {
        self.more
    }

    /// What of `interests` holds, the first. A connection with something new is taken out of the queue by it.
    pub(in crate::transport) fn check(&mut self, interests: &[Interest]) -> Option<Result<Ready, WaitError>> {
        if let Some(kind) = self.broken {
            return Some(Err(WaitError::Broken(kind)));
        }
        for (index, interest) in interests.iter().enumerate() {
            let connection = interest.connection();
            let ready = match interest {
                Interest::Incoming => self.may_look_at_incoming().then_some(Ready { index, connection }),
                Interest::AnyConnection => self.take_news().map(|id| Ready { index, connection: Some(id) }),
                Interest::Rung(bell, seen) => {
                    (self.bells.rings(*bell) != Some(*seen)).then_some(Ready { index, connection })
                }
                _ => holds(&self.core, interest).then_some(Ready { index, connection }),
            };
            if let Some(ready) = ready {
                return Some(Ok(ready));
            }
        }
        None
    }

    /// As [`check`](Self::check), for somebody on the list.
    pub(in crate::transport) fn look(&mut self, key: WaiterKey) -> Option<Result<Ready, WaitError>> {
        // Copied for the length of the check: it changes the queues beside the list.
        let interests = core::mem::take(self.waiters.interests_mut(key)?);
        let result = self.check(&interests);
        if let Some(place) = self.waiters.interests_mut(key) {
            *place = interests;
        }
        self.waiters.on_looked(key);
        result
    }

    /// Somebody no longer waits. What it was told of and did not take, somebody else is told of.
    pub(in crate::transport) fn leave(&mut self, key: WaiterKey, wakers: &mut Vec<Waker>) {
        self.waiters.remove(key);
        if self.may_look_at_incoming() {
            self.waiters.wake_one(Shared::Incoming, None, wakers);
        }
        if !self.news.is_empty() {
            self.waiters.wake_one(Shared::AnyConnection, None, wakers);
        }
    }

    /// A bell is rung.
    pub(in crate::transport) fn ring(&mut self, bell: BellId, wakers: &mut Vec<Waker>) {
        self.bells.ring(bell);
        self.waiters.wake_rung(bell, wakers);
    }

    /// A bell is gone.
    pub(in crate::transport) fn take_down(&mut self, bell: BellId, wakers: &mut Vec<Waker>) {
        self.bells.take_down(bell);
        self.waiters.wake_rung(bell, wakers);
    }

    /// A verb changed what can be waited for on a connection, beyond what the core will tell.
    pub(in crate::transport) fn touch(&mut self, id: ConnectionId, wakers: &mut Vec<Waker>) {
        Self::tell(&self.core, &mut self.waiters, id, None, wakers);
        self.news_of(id, None, wakers);
    }

    /// Somebody holds the connection now: it counts for [`Interest::AnyConnection`].
    pub(in crate::transport) fn hold(&mut self, id: ConnectionId, wakers: &mut Vec<Waker>) {
        self.held.insert(id, Held::default());
        self.news_of(id, None, wakers);
    }

    /// Nobody holds the connection any more: what was sent has the usual time to be taken.
    pub(in crate::transport) fn let_go(&mut self, now: Timestamp, id: ConnectionId) {
        if let Some(messages) = self.core.messages_mut(id) {
            messages.close(now, 0, LINGER);
        }
        if let Some(place) = self.held.remove(&id).and_then(|held| held.place) {
            self.news.remove(&place);
        }
        self.core.release(now, id);
    }

    /// A verb was refused: when it is possible, that is news.
    pub(in crate::transport) fn want(&mut self, interest: Interest) {
        let Some(held) = interest.connection().and_then(|id| self.held.get_mut(&id)) else { return };
        if held.wanted.contains(&interest) || held.wants_anything {
            return;
        }
        if held.wanted.len() < WANTED_MAX {
            held.wanted.push(interest);
        } else {
            held.wanted.clear();
            held.wants_anything = true;
        }
    }

    /// A message was asked for; where one was had, what it left is news again.
    pub(in crate::transport) fn on_recv(
        &mut self,
        id: ConnectionId,
        select: Select,
        had: bool,
        wakers: &mut Vec<Waker>,
    ) {
        self.on_asked(id);
        if had && self.core.messages(id).is_some_and(|messages| messages.readable(select)) {
            self.queue(id, None, wakers);
        }
    }

    /// Looks whether asking for any message would be in vain: that is asked before every wait, and to find nothing
    /// changes nothing but that the next message is news.
    pub(in crate::transport) fn is_in_vain(&mut self, id: ConnectionId) -> bool {
        let nothing = self.core.messages(id).is_some_and(Messages::has_nothing);
        if nothing {
            self.on_asked(id);
        }
        nothing
    }

    fn on_asked(&mut self, id: ConnectionId) {
        if let Some(held) = self.held.get_mut(&id) {
            held.told_readable = false;
        }
    }

    /// The next connection to be answered; those that ended meanwhile are passed over.
    pub(in crate::transport) fn next_incoming(&mut self, now: Timestamp) -> Option<ConnectionId> {
        while let Some(id) = self.incoming.pop_front() {
            if may_be_accepted(&self.core, id) {
                return Some(id);
            }
            self.core.release(now, id);
        }
        None
    }

    /// Drops a connection that has not been answered and never will be, for it has ended: others are to have its place.
    fn drop_incoming(&mut self, now: Timestamp, id: ConnectionId) -> bool {
        if self.incoming.is_empty() || may_be_accepted(&self.core, id) {
            return false;
        }
        let Some(at) = self.incoming.iter().position(|held| *held == id) else { return false };
        self.incoming.remove(at);
        self.core.release(now, id);
        true
    }

    /// The handles are gone; what is left is closed in the background.
    pub(in crate::transport) fn orphan(&mut self, now: Timestamp) {
        self.orphaned = true;
        for id in core::mem::take(&mut self.incoming) {
            self.core.answer(now, id, Answer::Refuse(0));
            self.core.release(now, id);
        }
        while let Some(id) = self.held.keys().next().copied() {
            self.let_go(now, id);
        }
        // Nobody will wait again: what is owed to peers goes now.
        self.core.handle_wait(now);
    }

    /// The transport's own descriptors failed, or its keeper.
    pub(in crate::transport) fn fail(&mut self, kind: ErrorKind, wakers: &mut Vec<Waker>) {
        // The first reason counts.
        self.broken.get_or_insert(kind);
        self.waiters.wake_all(wakers);
    }

    fn tell(core: &C, waiters: &mut Waiters, id: ConnectionId, me: Option<WaiterKey>, wakers: &mut Vec<Waker>) {
        waiters.wake_for(id, me, wakers, |interest| holds(core, interest));
    }

    fn news_of(&mut self, id: ConnectionId, me: Option<WaiterKey>, wakers: &mut Vec<Waker>) {
        if self.has_news(id) {
            self.queue(id, me, wakers);
        }
    }

    fn has_news(&self, id: ConnectionId) -> bool {
        let Some(held) = self.held.get(&id) else { return false };
        let ended = self.has_ended(id);
        held.wants_anything
            || (ended && !held.told_ended)
            || (!ended && !held.told_readable && holds(&self.core, &Interest::Readable(id, Select::Any)))
            || held.wanted.iter().any(|interest| holds(&self.core, interest))
    }

    fn has_ended(&self, id: ConnectionId) -> bool {
        self.core.messages(id).is_none_or(|messages| messages.ended().is_some())
    }

    fn queue(&mut self, id: ConnectionId, me: Option<WaiterKey>, wakers: &mut Vec<Waker>) {
        let Some(held) = self.held.get_mut(&id).filter(|held| held.place.is_none()) else { return };
        held.place = Some(self.next_place);
        self.news.insert(self.next_place, id);
        self.next_place += 1;
        self.waiters.wake_one(Shared::AnyConnection, me, wakers);
    }

    /// The first connection in the queue that still has something new.
    fn take_news(&mut self) -> Option<ConnectionId> {
        while let Some((_, id)) = self.news.pop_first() {
            let (news, ended) = (self.has_news(id), self.has_ended(id));
            if let Some(held) = self.held.get_mut(&id) {
                held.place = None;
                if news {
                    let core = &self.core;
                    held.wanted.retain(|interest| !holds(core, interest));
                    held.wants_anything = false;
                    held.told_readable = holds(core, &Interest::Readable(id, Select::Any));
                    held.told_ended = ended;
                    return Some(id);
                }
            }
        }
        None
    }
}

/// Whether a connection that came in is worth accepting. One that is not known any more is not.
fn may_be_accepted<C: Core>(core: &C, id: ConnectionId) -> bool {
    core.messages(id).is_some_and(Messages::may_be_accepted)
}

/// Whether an interest in one connection holds. One that is not known has ended.
fn holds<C: Core>(core: &C, interest: &Interest) -> bool {
    let Some(id) = interest.connection() else { return false };
    let Some(messages) = core.messages(id) else { return true };
    match *interest {
        Interest::Connected(_) => messages.state() != Life::Opening,
        Interest::Readable(_, select) => messages.readable(select),
        Interest::Writable(_, channel) => messages.writable(channel),
        Interest::StreamReadable(_, channel, id) => messages.stream_readable(channel, id),
        Interest::StreamWritable(_, channel, id) => messages.stream_writable(channel, id),
        Interest::Flushed(_) => messages.flushed(),
        Interest::Closed(_) => messages.closed(),
        Interest::Incoming | Interest::AnyConnection | Interest::Rung(..) => false,
    }
}
