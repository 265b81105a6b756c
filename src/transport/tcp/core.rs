//! All connections of one transport, without a socket: behind the endpoint lock.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;

use super::counters::{Counters, Lost};
use super::entry::{Entry, Holder};
use super::handshake::{Identity, Question};
use super::info;
use super::link::{Link, LinkConfig};
use super::outbox::{Brought, Done, Job, Spare};
use super::strangers::{NoRoom, Strangers};
use super::stream::Stream;
use crate::message::{End, Messages, Sent};
use crate::proto::security::{Guard, Refusal};
use crate::proto::timers::Timers;
use crate::proto::{Dropped, InviteId, InviteState, Security};
use crate::seal::{Cipher, Entropy, Exports};
use crate::slots::{ConnectionId, Slots};
use crate::time::{Timer, Timestamp, earliest};
use crate::transport::driven::{Core, Event, FillStats, Polled};
use crate::transport::{Answer, Config, ConnectError, Stats, TransportStats};
use crate::wire::{ConnectionCid, RANDOM_LEN, RefuseCode};

/// Connections of one transport; as over UDP.
const CONNECTIONS_MAX: usize = 16_384;
/// How long nobody is accepted when the system is short of descriptors or memory.
const SHORT_FOR: Duration = Duration::from_millis(100);

/// A timer within this from now is looked at whether it still means what it did when it was set.
const TIMERS_MOVED_WITHIN: Duration = Duration::from_millis(1);

/// See the module.
pub(super) struct TcpCore {
    config: LinkConfig,
    backlog: usize,
    controller: Option<String>,
    entropy: Entropy,
    entries: Slots<Entry>,
    by_key: BTreeMap<u64, ConnectionId>,
    /// How many have something to do as soon as what is being written is written.
    waited_for: usize,
    /// To be looked at by the next poll.
    ready: VecDeque<ConnectionId>,
    /// Owe something that goes when the application waits.
    owing: Vec<ConnectionId>,
    timers: Timers,
    strangers: Strangers,
    /// Of the one secret, whatever the stream.
    guard: Guard,
    /// Whoever waits for connections is to look: one came in, or the invite is over.
    announce: bool,
    /// Came in, and [`Core::incoming`] has not given them yet.
    incoming: VecDeque<ConnectionId>,
    unanswered: usize,
    /// Runs while the system is short of descriptors or memory.
    short: Timer,
    /// Callers are being accepted.
    accepts: bool,
    /// What the sockets are to do.
    outbox: VecDeque<Job>,
    sent: Vec<Sent>,
    spare: Spare,
    counters: Counters,
}

impl TcpCore {
    /// No connections yet. `seed` must come from the system's generator.
    pub(super) fn new(config: &Config, security: Security, seed: &[u8; 32], controller: Option<String>) -> Self {
        Self {
            config: LinkConfig {
                limits: config.limits,
                idle_timeout: config.idle_timeout,
                connect_timeout: config.connect_timeout,
                prefers_chacha: config.prefers_chacha,
            },
            backlog: config.backlog,
            controller,
            entropy: Entropy::new(*seed),
            entries: Slots::default(),
            by_key: BTreeMap::new(),
            waited_for: 0,
            ready: VecDeque::new(),
            owing: Vec::new(),
            timers: Timers::default(),
            strangers: Strangers::default(),
            guard: Guard::new(security),
            announce: false,
            incoming: VecDeque::new(),
            unanswered: 0,
            short: Timer::never(),
            accepts: config.backlog > 0,
            outbox: VecDeque::new(),
            sent: Vec::new(),
            spare: Spare::default(),
            counters: Counters::default(),
        }
    }

    /// Takes in what a socket has brought; `buffer` holds its bytes, which are opened there.
    pub(super) fn handle(&mut self, now: Timestamp, brought: Brought, buffer: &mut [u8]) {
        let key = match brought {
            Brought::Caller { stream, remote } => return self.handle_caller(now, stream, remote),
            Brought::Short => {
                // The listener is not polled any more.
                self.accepts = false;
                return self.short.arm(now + SHORT_FOR);
            }
            Brought::Bytes { key, .. } | Brought::End { key } | Brought::Failed { key, .. } | Brought::Room { key } => {
                key
            }
        };
        let Some(&id) = self.by_key.get(&key) else { return };
        self.change(id, |entry| {
            match brought {
                Brought::Bytes { range, .. } => entry.link.handle_bytes(now, &mut buffer[range]),
                Brought::End { .. } => entry.link.handle_end_of_stream(),
                Brought::Failed { kind, .. } => entry.link.fail(end_of(kind)),
                _ => entry.on_room(),
            }
            entry.news = true;
        });
        self.decide(now, id);
    }

    /// Does something to a connection; the next poll looks at it.
    fn change<T>(&mut self, id: ConnectionId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(id)?;
        let waited_for = entry.is_waited_for();
        let result = change(entry);
        self.waited_for = self.waited_for + usize::from(entry.is_waited_for()) - usize::from(waited_for);
        if !core::mem::replace(&mut entry.ready, true) {
            self.ready.push_back(id);
        }
        Some(result)
    }

    fn handle_caller(&mut self, now: Timestamp, stream: Arc<Stream>, remote: SocketAddr) {
        if self.entries.len() >= CONNECTIONS_MAX {
            self.counters.count(Lost::TooMany);
            return self.outbox.push_back(Job::Drop { stream });
        }
        if self.strangers.is_overfull() {
            self.counters.count(Lost::TooMany);
            return self.outbox.push_back(Job::Drop { stream });
        }
        if let Some(old) = self.strangers.evict(now) {
            self.turn_away(now, old, Turned { why: Lost::Evicted, told: None });
        }
        let key = stream.key;
        let entry = Entry::accepted(now, Link::listen(now, self.config, self.guard.security().mode()), stream, remote);
        let id = self.entries.insert(entry);
        self.by_key.insert(key, id);
        self.strangers.insert(now, id);
        self.look_at(id);
    }

    /// Answers what a caller's handshake waits to be told: at once, for the next caller's answer may depend on it.
    fn decide(&mut self, now: Timestamp, id: ConnectionId) {
        let Some(entry) = self.entries.get(id) else { return };
        let (Holder::Stranger(since), Some(question)) = (entry.holder, entry.link.question()) else { return };
        let source = entry.remote.ip().to_canonical();
        match question {
            Question::Asks(invite, random) => match self.may_go_on(now, source, &invite, &random) {
                Ok(()) => self.grant(now, id, (since, source)),
                Err(turned) => self.turn_away(now, id, turned),
            },
            Question::Proven | Question::Disproven if self.guard.over(now).is_some() => {
                self.turn_away(now, id, Turned { why: Lost::InviteOver, told: self.guard.over(now) });
            }
            Question::Proven => {
                self.change(id, |entry| entry.link.admit(now));
                self.take_in(id, since);
                self.guard.on_right();
                self.end_others(now);
            }
            Question::Disproven => {
                self.turn_away(now, id, Turned { why: Lost::WrongTag, told: Some(RefuseCode::WrongTag) });
                self.guard.on_wrong(now, source);
                self.end_others(now);
            }
        }
    }

    /// Whether somebody at `source` who asks for `invite` gets a SHARE. In sealed modes that costs a key agreement.
    fn may_go_on(
        &mut self,
        now: Timestamp,
        source: IpAddr,
        invite: &InviteId,
        random: &[u8; RANDOM_LEN],
    ) -> Result<(), Turned> {
        const BUSY: Turned = Turned { why: Lost::Busy, told: Some(RefuseCode::Busy) };
        const REFLECTED: Turned = Turned { why: Lost::Reflected, told: None };
        self.guard.check(now, invite).map_err(Turned::by)?;
        // Those who have yet to prove themselves may all do so.
        let room = self.backlog.saturating_sub(self.unanswered);
        if !self.guard.security().mode().is_sealed() {
            return if room > 0 { Ok(()) } else { Err(BUSY) };
        }
        self.guard.admit(now, source, invite).map_err(Turned::by)?;
        // So many a second: there is time to look at all calls of ours.
        if self.entries.iter().any(|(_, entry)| entry.link.calls_as(random)) {
            return Err(REFLECTED);
        }
        let old = self.strangers.room_to_challenge(now, source, room).map_err(|NoRoom| BUSY)?;
        if let Some(old) = old {
            self.turn_away(now, old, Turned { why: Lost::Evicted, told: None });
        }
        Ok(())
    }

    /// Answers with SHARE.
    fn grant(&mut self, now: Timestamp, id: ConnectionId, (since, source): (Timestamp, IpAddr)) {
        let (cid, entropy) = (ConnectionCid(self.entropy.draw_u64()), self.entropy.draw());
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.link.grant(now, cid, self.guard.security().prs(), &entropy);
        self.look_at(id);
        if self.guard.security().mode().is_sealed() {
            self.strangers.on_challenged(now, id, source);
        } else {
            self.take_in(id, since);
        }
    }

    /// A connection came in.
    fn take_in(&mut self, id: ConnectionId, since: Timestamp) {
        self.strangers.remove(since, id);
        let is_guest = self.guard.invite().is_some();
        self.change(id, |entry| {
            entry.holder = Holder::Unanswered;
            if is_guest {
                entry.link.messages_mut().set_only_guest();
            }
        });
        self.unanswered += 1;
        self.incoming.push_back(id);
        self.announce = true;
    }

    /// A caller gets no connection.
    fn turn_away(&mut self, now: Timestamp, id: ConnectionId, Turned { why, told }: Turned) {
        self.counters.count(why);
        let since = self.change(id, |entry| {
            match told {
                Some(code) => entry.link.refuse(now, code),
                None => entry.link.fail(End::Broken),
            }
            core::mem::replace(&mut entry.holder, Holder::Refused)
        });
        if let Some(Holder::Stranger(since)) = since {
            self.strangers.remove(since, id);
        }
    }

    /// Where the invite is over, so are all handshakes for it that are not done: of several who know the words the
    /// first has come, and there is room for one.
    fn end_others(&mut self, now: Timestamp) {
        let Some(code) = self.guard.over(now) else { return };
        self.announce = true;
        let others: Vec<ConnectionId> = self.strangers.challenged().collect();
        for id in others {
            self.turn_away(now, id, Turned { why: Lost::InviteOver, told: Some(code) });
        }
    }

    /// Takes in what came of a job.
    pub(super) fn on_done(&mut self, done: Done) {
        match done {
            Done::Written { id, chunk } => {
                self.spare.put(chunk.bytes);
                let job = self.change(id, Entry::on_written).flatten();
                self.outbox.extend(job);
            }
            Done::Stuck { id, chunk } => {
                self.change(id, |entry| entry.on_stuck(chunk));
            }
            Done::Failed { id, kind } => {
                self.change(id, |entry| entry.on_unwritable(kind));
            }
        }
    }

    /// Moves what the sockets are to do to `jobs`, which is empty. False where there is nothing.
    pub(super) fn take_jobs(&mut self, jobs: &mut VecDeque<Job>) -> bool {
        core::mem::swap(&mut self.outbox, jobs);
        !jobs.is_empty()
    }

    fn look_at(&mut self, id: ConnectionId) {
        self.change(id, |_| ());
    }

    /// Works off what has happened to one connection.
    fn poll_entry(&mut self, id: ConnectionId, now: Timestamp, events: &mut Vec<Event>) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let waited_for = entry.is_waited_for();
        entry.ready = false;
        let job = entry.poll(id, now, &mut self.sent, &mut self.spare);
        self.outbox.extend(job);
        if let Some(lost) = entry.link.take_lost() {
            self.counters.count(lost);
        }
        if core::mem::take(&mut entry.news) && entry.is_known() {
            events.push(Event::Changed(id));
        }
        if !entry.owing && entry.link.owes_at_wait() {
            entry.owing = true;
            self.owing.push(id);
        }
        let timer = entry.link.deadline();
        // One that moves away stays where it is for now: cheaper than a move for each record.
        if timer.is_none() || entry.timer.is_none_or(|old| timer < Some(old)) {
            self.timers.reset(id, entry.timer, timer);
            entry.timer = timer;
        }
        self.waited_for = self.waited_for + usize::from(entry.is_waited_for()) - usize::from(waited_for);
        if entry.link.is_gone() {
            self.drop_stream(id);
        }
    }

    /// The link needs its socket no more; a connection that nobody holds is forgotten.
    fn drop_stream(&mut self, id: ConnectionId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if let Some(stream) = entry.stream.take() {
            self.by_key.remove(&stream.key);
            self.outbox.push_back(Job::Drop { stream });
        }
        match entry.holder {
            Holder::Unanswered | Holder::Application => return,
            Holder::Stranger(since) => {
                self.strangers.remove(since, id);
                self.counters.count(Lost::Stranger);
            }
            Holder::Refused | Holder::Released => {}
        }
        self.waited_for -= usize::from(entry.is_waited_for());
        self.entries.remove(id);
    }

    /// Moves the timers that would come soon and in vain: the keeper is not to come for them.
    fn move_timers(&mut self, now: Timestamp) {
        while let Some(id) = self.timers.pop(now + TIMERS_MOVED_WITHIN) {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            let timer = entry.link.deadline();
            let old = core::mem::replace(&mut entry.timer, timer);
            self.timers.reset(id, None, timer);
            if timer.is_some() && timer <= old {
                return;
            }
        }
    }

    /// Tells the sockets when callers may come again, or may not.
    fn mind_callers(&mut self, now: Timestamp) {
        let closed = self.short.deadline().is_some() || self.strangers.closed_until(now).is_some();
        let accepts = self.backlog > 0 && !closed;
        if accepts != self.accepts {
            self.accepts = accepts;
            self.outbox.push_back(Job::Accept { on: accepts });
        }
    }
}

/// Why a caller gets no connection.
#[derive(Clone, Copy, Debug)]
struct Turned {
    why: Lost,
    /// What it is told; the stream just ends where that is nothing.
    told: Option<RefuseCode>,
}

impl Turned {
    fn by(Refusal { dropped, code }: Refusal) -> Self {
        match dropped {
            Dropped::UnknownInvite => Self { why: Lost::UnknownInvite, told: code },
            // A stream that ends without a word would not be tried again; over UDP it is the network's to repeat.
            Dropped::RunsLimited => Self { why: Lost::RunsLimited, told: Some(RefuseCode::Busy) },
            Dropped::BackedOff => Self { why: Lost::BackedOff, told: Some(RefuseCode::Busy) },
            _ => Self { why: Lost::InviteOver, told: code },
        }
    }
}

/// What an error of a socket means for its connection.
const fn end_of(kind: ErrorKind) -> End {
    match kind {
        ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => End::Unreachable,
        _ => End::Broken,
    }
}

impl Core for TcpCore {
    type Call = Stream;

    fn connect(&mut self, now: Timestamp, remote: SocketAddr, call: Stream) -> Result<ConnectionId, ConnectError> {
        let security = self.guard.security().clone();
        let invite = security.id();
        self.join(now, remote, call, security, invite)
    }

    fn join(
        &mut self,
        now: Timestamp,
        remote: SocketAddr,
        call: Stream,
        security: Security,
        invite: InviteId,
    ) -> Result<ConnectionId, ConnectError> {
        if self.entries.len() >= CONNECTIONS_MAX {
            return Err(ConnectError::TooMany);
        }
        let identity = Identity { random: *self.entropy.draw(), cid: ConnectionCid(self.entropy.draw_u64()) };
        let stream = Arc::new(call);
        let entropy = self.entropy.draw();
        let link = Link::call(now, self.config, (&security, invite), identity, &entropy);
        let id = self.entries.insert(Entry::calling(link, Arc::clone(&stream), remote));
        self.by_key.insert(stream.key, id);
        self.outbox.push_back(Job::Watch { id, stream });
        self.look_at(id);
        Ok(id)
    }

    /// A stream has one peer: whoever has several addresses for it races them before.
    fn add_candidate(
        &mut self,
        _now: Timestamp,
        _id: ConnectionId,
        _remote: SocketAddr,
        _call: Stream,
        _invite: InviteId,
    ) -> bool {
        false
    }

    fn hurry(&mut self, now: Timestamp, id: ConnectionId, patience: Duration) {
        self.change(id, |entry| entry.link.hurry(now, patience));
    }

    fn invite(&self) -> Option<InviteState> {
        self.guard.invite()
    }

    fn exports(&self, id: ConnectionId) -> Option<&Exports> {
        self.entries.get(id)?.link.exports()
    }

    fn listens(&self) -> bool {
        self.backlog > 0
    }

    fn incoming(&mut self) -> Option<ConnectionId> {
        self.incoming.pop_front()
    }

    fn answer(&mut self, _now: Timestamp, id: ConnectionId, answer: Answer) {
        let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.holder == Holder::Unanswered) else { return };
        self.unanswered -= 1;
        entry.holder = Holder::Application;
        if let Answer::Refuse(code) = answer {
            entry.link.messages_mut().refuse(code);
        }
        self.look_at(id);
    }

    fn messages(&self, id: ConnectionId) -> Option<&Messages> {
        self.entries.get(id).map(|entry| entry.link.messages())
    }

    fn messages_mut(&mut self, id: ConnectionId) -> Option<&mut Messages> {
        self.look_at(id);
        self.entries.get_mut(id).map(|entry| entry.link.messages_mut())
    }

    fn remote(&self, id: ConnectionId) -> Option<SocketAddr> {
        // As the peer's own family writes it, also where the listener takes both.
        let remote = self.entries.get(id)?.remote;
        Some(SocketAddr::new(remote.ip().to_canonical(), remote.port()))
    }

    /// One address alone is called.
    fn answered(&self, _id: ConnectionId) -> bool {
        true
    }

    fn release(&mut self, _now: Timestamp, id: ConnectionId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        self.unanswered -= usize::from(entry.holder == Holder::Unanswered);
        entry.holder = Holder::Released;
        self.look_at(id);
    }

    fn is_idle(&self) -> bool {
        // Once the peer knows of the end, reading to the end of its stream is a courtesy that nobody has to wait for.
        self.entries.iter().all(|(_, entry)| !entry.is_known() || entry.link.messages().closed())
    }

    fn handle_wait(&mut self, _now: Timestamp) {
        for id in core::mem::take(&mut self.owing) {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.owing = false;
                entry.link.handle_wait();
                self.look_at(id);
            }
        }
    }

    fn handle_awaited(&mut self, now: Timestamp, id: ConnectionId) -> bool {
        let asks = self.entries.get_mut(id).is_some_and(|entry| entry.link.handle_awaited(now));
        if asks {
            self.look_at(id);
        }
        asks
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(id) = self.timers.pop(now) {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.timer = None;
                entry.news = true;
                entry.link.handle_timeout(now);
                self.look_at(id);
            }
        }
        self.short.fire(now);
    }

    fn poll(&mut self, now: Timestamp, events: &mut Vec<Event>) -> Polled {
        while let Some(id) = self.ready.pop_front() {
            self.poll_entry(id, now, events);
        }
        if core::mem::take(&mut self.announce) {
            events.push(Event::Incoming);
        }
        self.mind_callers(now);
        self.move_timers(now);
        let strangers = if self.accepts { None } else { self.strangers.closed_until(now) };
        let deadline = earliest(earliest(self.timers.first(), self.short.deadline()), strangers);
        Polled { deadline, transmit: !self.outbox.is_empty(), more: self.waited_for > 0 }
    }

    fn stats(&self, id: ConnectionId, stats: &mut Stats) {
        let Some(entry) = self.entries.get(id) else { return };
        let counts = entry.link.stats();
        stats.bytes_sent = Some(counts.bytes_sent);
        stats.bytes_received = Some(counts.bytes_received);
        stats.packets_sent = Some(counts.records_sent);
        stats.packets_received = Some(counts.records_received);
        stats.controller.clone_from(&self.controller);
        stats.cipher = entry.link.cipher().map(Cipher::name);
    }

    fn system_stats(&self, id: ConnectionId) -> Option<FillStats> {
        let stream = Arc::clone(self.entries.get(id)?.stream.as_ref()?);
        Some(Box::new(move |stats| info::fill(&stream.socket, stats)))
    }

    fn transport_stats(&self, stats: &mut TransportStats) {
        stats.drops = self.counters.named();
    }
}
