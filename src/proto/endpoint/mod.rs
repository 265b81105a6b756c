//! All connections of one socket: routes datagrams to them and collects what they have to send.

mod calling;
mod routing;

use core::time::Duration;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::message::{End, Messages};
use crate::seal::{Entropy, Exports};
use crate::slots::{ConnectionId, Slots};
use crate::time::Timestamp;
use crate::wire::{ConnectionCid, Params};

use super::budget::Budget;
use super::config::Config;
use super::connection::Connection;
use super::counters::Counters;
use super::ecn::Ecn;
use super::link::{Batch, Drained, Scratch};
use super::listener::Listener;
use super::mtu;
use super::path::Path;
use super::routes::Routes;
use super::security::InviteState;
use super::stats::ConnectionStats;
use super::timers::Timers;

/// Probes a second, of all connections that have long heard nothing together, and how many at once.
const PROBES_PER_SECOND: u32 = 1_000;
const PROBES_BURST: u32 = 100;
/// Refusals a second, and how many at once.
const REFUSALS_PER_SECOND: u32 = 1_000;
const REFUSALS_BURST: u32 = 100;
/// How long a connection that nobody holds any more waits for what it sent to be taken.
const RELEASED_LINGER: Duration = Duration::from_secs(5);

/// What [`Endpoint::poll_output`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The buffer holds datagrams to be sent.
    Transmit(Transmit),
    /// Something about this connection's messages changed: what waits for it should look again.
    Changed(ConnectionId),
    /// A connection came in: [`Endpoint::incoming`] gives it.
    Incoming,
    /// Nothing more until something comes in or this time comes.
    Wait(Option<Timestamp>),
}

/// Datagrams to be sent, all to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// From which of our addresses; `None` leaves it to the network.
    pub from: Option<IpAddr>,
    /// How many bytes of the buffer: all of it.
    pub len: usize,
    /// The length of each datagram but the last, where there are several.
    pub segment: Option<usize>,
    /// Their mark.
    pub ecn: Option<Ecn>,
}

/// What becomes of a connection that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is wanted.
    Accept,
    /// It is not, and why. It is forgotten when the peer knows.
    Refuse(u32),
}

/// Why no connection can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The endpoint has as many as it may have.
    #[error("{max} connections are open already")]
    TooMany {
        /// [`Config::connections_max`].
        max: usize,
    },
    /// Port 0, or an address that names no host.
    #[error("{0} is no address to connect to")]
    Address(SocketAddr),
}

/// A connection and its places in the queues.
#[derive(Debug)]
struct Entry {
    connection: Connection,
    timer: Option<Timestamp>,
    /// In `ready`.
    ready: bool,
    /// In `changed`.
    changed: bool,
    /// In `batch`.
    batch: bool,
    /// In `owing`.
    owing: bool,
    /// Came in and was not answered.
    unanswered: bool,
    /// Nobody holds it.
    released: bool,
}

/// All connections of one socket.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    params: Params,
    params_encoded: Vec<u8>,
    entropy: Entropy,
    entries: Slots<Entry>,
    routes: Routes,
    listener: Listener,
    timers: Timers,
    /// May have something to send; their timers may have changed.
    ready: VecDeque<ConnectionId>,
    /// To be named by [`Output::Changed`].
    changed: VecDeque<ConnectionId>,
    /// Received something since the last end of a batch.
    batch: Vec<ConnectionId>,
    /// Owe something that goes when the application waits.
    owing: Vec<ConnectionId>,
    /// Came in, and [`Endpoint::incoming`] has not given them yet.
    incoming: VecDeque<ConnectionId>,
    /// How many of `incoming` [`Output::Incoming`] has not announced.
    unannounced: usize,
    unanswered: usize,
    answers: VecDeque<(Path, Vec<u8>)>,
    probe_budget: Budget,
    refusal_budget: Budget,
    scratch: Scratch,
    counters: Counters,
}

impl Endpoint {
    /// No connections yet. `seed` must come from the system's generator, or from a simulation's seed: cookies and
    /// connection ids are as hard to guess as it is. The caller's copy is the caller's to wipe.
    #[must_use]
    pub fn new(config: Config, mut seed: [u8; 32]) -> Self {
        let mut entropy = Entropy::new(seed);
        zeroize::Zeroize::zeroize(&mut seed);
        let params = Messages::new(config.limits).params(Params {
            ack_delay_max_us: micros(config.ack_delay_max),
            idle_timeout_ms: micros(config.idle_timeout).div_ceil(1_000),
            receive_buffer: config.receive_buffer,
            datagram_len_max: u64::from(config.datagram_len_max.max(mtu::MTU_BASE)),
            prefers_chacha: config.prefers_chacha,
            ..Params::default()
        });
        let mut params_encoded = Vec::new();
        params.put(&mut params_encoded);
        Self {
            params,
            params_encoded,
            listener: Listener::new(&entropy.draw(), config.security.clone()),
            entropy,
            entries: Slots::default(),
            routes: Routes::default(),
            timers: Timers::default(),
            ready: VecDeque::new(),
            changed: VecDeque::new(),
            batch: Vec::new(),
            owing: Vec::new(),
            incoming: VecDeque::new(),
            unannounced: 0,
            unanswered: 0,
            answers: VecDeque::new(),
            probe_budget: Budget::new(PROBES_PER_SECOND, PROBES_BURST),
            refusal_budget: Budget::new(REFUSALS_PER_SECOND, REFUSALS_BURST),
            scratch: Scratch::default(),
            counters: Counters::default(),
            config,
        }
    }

    // ---- verbs ----

    /// What became of the invite that this endpoint listens for; `None` where it has none.
    #[must_use]
    pub fn invite(&self) -> Option<InviteState> {
        self.listener.invite()
    }

    /// What both sides can derive from the handshake, in sealed modes.
    #[must_use]
    pub fn exports(&self, id: ConnectionId) -> Option<&Exports> {
        self.entries.get(id)?.connection.exports()
    }

    /// The next connection that came in and was not given out yet. It is to be answered.
    pub fn incoming(&mut self) -> Option<ConnectionId> {
        while let Some(id) = self.incoming.pop_front() {
            self.unannounced = self.unannounced.min(self.incoming.len());
            if self.entries.get(id).is_some_and(|entry| entry.unanswered) {
                return Some(id);
            }
        }
        None
    }

    /// Decides on a connection that came in. One that has ended meanwhile and has nothing to give (it was silent, or
    /// was not closed properly) is forgotten: then it is known no more.
    pub fn answer(&mut self, now: Timestamp, id: ConnectionId, answer: Answer) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if core::mem::take(&mut entry.unanswered) {
            self.unanswered -= 1;
        }
        if let Answer::Refuse(code) = answer {
            entry.connection.messages_mut().refuse(code);
            self.release(now, id);
        }
    }

    /// A connection's messages.
    #[must_use]
    pub fn messages(&self, id: ConnectionId) -> Option<&Messages> {
        self.entries.get(id).map(|entry| entry.connection.messages())
    }

    /// A connection's messages, to change: the next [`Endpoint::poll_output`] looks at what came of it.
    pub fn messages_mut(&mut self, id: ConnectionId) -> Option<&mut Messages> {
        mark_ready(&mut self.ready, id, self.entries.get_mut(id)?);
        self.entries.get_mut(id).map(|entry| entry.connection.messages_mut())
    }

    /// Nobody holds the connection any more: it is closed in the background, if it is not closed yet, and forgotten
    /// when it is over.
    pub fn release(&mut self, now: Timestamp, id: ConnectionId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if core::mem::take(&mut entry.unanswered) {
            self.unanswered -= 1;
        }
        entry.released = true;
        entry.connection.on_released(now, RELEASED_LINGER);
        mark_ready(&mut self.ready, id, entry);
    }

    // ---- in ----

    /// A datagram came in, over a path or from an address. What is sealed is opened in place: of no use to the caller
    /// afterwards.
    pub fn handle_datagram(&mut self, now: Timestamp, path: impl Into<Path>, ecn: Option<Ecn>, datagram: &mut [u8]) {
        self.counters.datagrams_received += 1;
        self.counters.bytes_received += datagram.len() as u64;
        if let Err(reason) = self.route(now, path.into(), ecn, datagram) {
            self.counters.drop(reason);
        }
    }

    /// All datagrams that had arrived together are handled: acknowledgements for data inside messages become due, and
    /// where nobody was waiting for them, all.
    pub fn handle_batch_end(&mut self, drained: Drained) {
        for id in self.batch.drain(..) {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            entry.batch = false;
            entry.connection.on_batch_end(drained);
            mark_ready(&mut self.ready, id, entry);
        }
    }

    /// The application is about to wait: what was held back in the hope that it would send something is due.
    pub fn handle_wait(&mut self) {
        // Those that are ready may owe something that nobody has seen yet.
        for id in &self.ready {
            if let Some(entry) = self.entries.get_mut(*id) {
                entry.connection.on_wait();
            }
        }
        for id in self.owing.drain(..) {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            entry.owing = false;
            entry.connection.on_wait();
            mark_ready(&mut self.ready, id, entry);
        }
    }

    /// The network reports that nobody listens at `remote`.
    pub fn handle_unreachable(&mut self, now: Timestamp, remote: SocketAddr) {
        for id in self.routes.connecting_to(remote) {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.connection.handle_unreachable(now, remote);
                mark_ready(&mut self.ready, id, entry);
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(id) = self.timers.pop(now) {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            entry.timer = None;
            let before = Progress::of(&entry.connection);
            entry.connection.handle_timeout(now, &mut self.scratch);
            if Progress::of(&entry.connection) != before {
                mark_changed(&mut self.changed, id, entry);
            }
            mark_ready(&mut self.ready, id, entry);
        }
    }

    // ---- out ----

    /// What is to be done next. `buf` is overwritten when it is [`Output::Transmit`]. To be called until it says
    /// [`Output::Wait`].
    pub fn poll_output(&mut self, now: Timestamp, buf: &mut Vec<u8>) -> Output {
        if let Some((to, answer)) = self.answers.pop_front() {
            buf.clear();
            buf.extend_from_slice(&answer);
            return self.transmit(to, buf.len(), Batch { segment: None, count: 1, ecn: None });
        }
        if self.unannounced > 0 {
            self.unannounced -= 1;
            return Output::Incoming;
        }
        loop {
            if let Some(id) = self.next_changed() {
                return Output::Changed(id);
            }
            let Some(id) = self.ready.front().copied() else {
                self.move_late_timers(now);
                return Output::Wait(self.timers.first());
            };
            let Some(entry) = self.entries.get_mut(id) else {
                self.ready.pop_front();
                continue;
            };
            buf.clear();
            let before = Progress::of(&entry.connection);
            let batch = entry.connection.poll(now, &mut self.scratch, &mut self.probe_budget, buf);
            if Progress::of(&entry.connection) != before {
                mark_changed(&mut self.changed, id, entry);
            }
            match batch {
                Some((to, batch)) => {
                    self.ready.rotate_left(1); // the next connection has its turn
                    return self.transmit(to, buf.len(), batch);
                }
                None => {
                    self.ready.pop_front();
                    self.rest(id);
                }
            }
        }
    }

    /// The next deadline, where [`Endpoint::poll_output`] was not called until it said so.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.timers.first()
    }

    /// True when [`Endpoint::poll_output`] may have more to give than a deadline.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !(self.ready.is_empty() && self.changed.is_empty() && self.answers.is_empty() && self.unannounced == 0)
    }

    // ---- numbers ----

    /// Numbers about a connection.
    #[must_use]
    pub fn stats(&self, id: ConnectionId) -> Option<ConnectionStats> {
        self.entries.get(id).map(|entry| entry.connection.stats())
    }

    /// A connection's peer.
    #[must_use]
    pub fn remote(&self, id: ConnectionId) -> Option<SocketAddr> {
        self.entries.get(id).map(|entry| entry.connection.remote())
    }

    /// Numbers about datagrams.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many connections there are, those included that are over but still held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many handshakes of callers are half done: at most [`HALF_OPEN_MAX`](super::listener::HALF_OPEN_MAX).
    #[must_use]
    pub const fn half_open(&self) -> usize {
        self.listener.half_open()
    }

    /// How many handshakes of callers are remembered, half done and done: at most
    /// [`REMEMBERED_MAX`](super::listener::REMEMBERED_MAX).
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.listener.remembered()
    }

    /// True when there are no connections.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.config.connections_max
    }

    fn new_cid(&mut self) -> ConnectionCid {
        loop {
            let cid = ConnectionCid(self.entropy.draw_u64());
            if self.routes.of_cid(cid).is_none() && !self.listener.knows(cid) {
                return cid;
            }
        }
    }

    fn insert(&mut self, connection: Connection, unanswered: bool) -> ConnectionId {
        let cid = connection.cid();
        let id = self.entries.insert(Entry {
            connection,
            timer: None,
            ready: true,
            changed: false,
            batch: false,
            owing: false,
            unanswered,
            released: false,
        });
        self.ready.push_back(id);
        self.routes.add_cid(cid, id);
        id
    }

    /// Sets a connection's timer to its deadline, unless that has moved on by less than `slack`: most packets move it a
    /// little, and nothing comes of it.
    fn set_timer(&mut self, id: ConnectionId, slack: Duration) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let deadline = entry.connection.deadline();
        if let (Some(old), Some(new)) = (entry.timer, deadline)
            && old <= new
            && new < old + slack
        {
            return;
        }
        self.timers.reset(id, entry.timer, deadline);
        entry.timer = deadline;
    }

    /// Moves timers that have come but were left behind by their deadlines.
    fn move_late_timers(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.timers.peek().filter(|(at, _)| *at <= now)
            && self.entries.get(id).is_none_or(|entry| entry.connection.deadline().is_none_or(|at| at > now))
        {
            self.timers.pop(now);
            if let Some(entry) = self.entries.get_mut(id) {
                entry.timer = None;
            }
            self.set_timer(id, Duration::ZERO);
        }
    }

    /// A connection has nothing to send now: sets its timer, or forgets it.
    fn rest(&mut self, id: ConnectionId) {
        self.set_timer(id, self.config.granularity);
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.ready = false;
        // Nobody would have anything of it: it makes room for others.
        if entry.unanswered && !entry.connection.messages().may_be_accepted() {
            entry.unanswered = false;
            entry.released = true;
            self.unanswered -= 1;
        }
        if !entry.connection.is_over() {
            if entry.connection.owes() && !core::mem::replace(&mut entry.owing, true) {
                self.owing.push(id);
            }
            return;
        }
        let (cid, released) = (entry.connection.cid(), entry.released);
        self.routes.remove_cid(cid);
        self.routes.remove_connecting(id);
        if released {
            self.entries.remove(id);
        }
    }

    fn next_changed(&mut self) -> Option<ConnectionId> {
        while let Some(id) = self.changed.pop_front() {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.changed = false;
                return Some(id);
            }
        }
        None
    }

    fn transmit(&mut self, Path { remote: to, local: from }: Path, len: usize, batch: Batch) -> Output {
        self.counters.datagrams_sent += batch.count;
        self.counters.bytes_sent += len as u64;
        self.counters.batches_sent += 1;
        Output::Transmit(Transmit { to, from, len, segment: batch.segment, ecn: batch.ecn })
    }
}

/// What time alone can change about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    ended: Option<End>,
    closed: bool,
    reported: bool,
}

impl Progress {
    fn of(connection: &Connection) -> Self {
        let messages = connection.messages();
        Self { ended: messages.ended(), closed: messages.closed(), reported: messages.close_report().is_some() }
    }
}

fn mark_ready(ready: &mut VecDeque<ConnectionId>, id: ConnectionId, entry: &mut Entry) {
    if !core::mem::replace(&mut entry.ready, true) {
        ready.push_back(id);
    }
}

fn mark_changed(changed: &mut VecDeque<ConnectionId>, id: ConnectionId, entry: &mut Entry) {
    if !core::mem::replace(&mut entry.changed, true) {
        changed.push_back(id);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).min(crate::wire::VARINT_MAX)
}
