//! What must hold, whatever the network does: every message is known by name, and every claim about it is checked.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use udpair::message::{Arrival, ArrivalBody, ChannelReport, CloseReport, Delivery, End, MessageId};
use udpair::time::Timestamp;

use crate::content::{self, Name};
use crate::plan::Weather;

/// Codes say whose they are: a half connection's key, and one of these.
pub(crate) const CLOSE: u32 = 0x1_0000;
pub(crate) const ABORT: u32 = 0x2_0000;
pub(crate) const REFUSE: u32 = 0x3_0000;
pub(crate) const RESET: u32 = 0x4_0000;
pub(crate) const STOP: u32 = 0x5_0000;

/// All half connections of a world, by their keys.
pub(crate) struct Model {
    weather: Weather,
    /// Everybody can be called once, by a code.
    by_code: bool,
    halves: Vec<Half>,
}

/// One side of a connection, as the model remembers it.
pub(crate) struct Half {
    pub host: usize,
    pub remote: usize,
    pub caller: bool,
    sent: BTreeMap<u16, SentChannel>,
    got: BTreeMap<u16, GotChannel>,
    /// The key of the other side, once something of it arrived.
    peer: Option<u16>,
    /// When it began to close, and how long it lingers.
    closed: Option<(Timestamp, Duration)>,
    aborted: bool,
    refused: bool,
    /// Its host lost all that it knew.
    crashed: bool,
    end: Option<End>,
    report: Option<CloseReport>,
}

/// Whether a message is all at the other side, by what that side's core holds.
pub(crate) type Arrived<'a> = dyn Fn(Name) -> bool + 'a;

struct SentChannel {
    delivery: Delivery,
    messages: Vec<Sent>,
    /// So many of them were told, truly, to have arrived.
    flushed: usize,
}

/// A message that was accepted for sending.
#[derive(Clone, Copy, Debug)]
struct Sent {
    announced: Option<usize>,
    written: usize,
    finished: bool,
    reset: bool,
    /// The receiver stopped it.
    stopped: bool,
}

#[derive(Default)]
struct GotChannel {
    seen: BTreeSet<u64>,
    last: Option<u64>,
    /// How much was read of streams.
    streams: BTreeMap<u64, Reading>,
    wholes: u64,
}

#[derive(Clone, Copy, Default)]
struct Reading {
    read: usize,
    ended: bool,
}

impl Sent {
    const fn given_up(&self) -> bool {
        self.reset || self.stopped
    }
}

impl SentChannel {
    /// The numbers of those that no newer one has superseded and that may not get lost.
    fn owed(&self) -> core::ops::Range<usize> {
        let count = self.messages.len();
        match self.delivery {
            Delivery::Ordered | Delivery::Unordered => 0..count,
            Delivery::Latest => count.saturating_sub(1)..count,
            Delivery::Unreliable => count..count,
        }
    }
}

impl Model {
    pub(crate) const fn new(weather: Weather, by_code: bool) -> Self {
        Self { weather, by_code, halves: Vec::new() }
    }

    /// A new half connection's key.
    pub(crate) fn begin(&mut self, host: usize, remote: usize, caller: bool) -> u16 {
        self.halves.push(Half {
            host,
            remote,
            caller,
            sent: BTreeMap::new(),
            got: BTreeMap::new(),
            peer: None,
            closed: None,
            aborted: false,
            refused: false,
            crashed: false,
            end: None,
            report: None,
        });
        u16::try_from(self.halves.len() - 1).unwrap()
    }

    pub(crate) fn half(&self, key: u16) -> &Half {
        &self.halves[usize::from(key)]
    }

    fn half_mut(&mut self, key: u16) -> &mut Half {
        &mut self.halves[usize::from(key)]
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = u16> + use<> {
        0..u16::try_from(self.halves.len()).unwrap()
    }

    fn message(&mut self, name: Name) -> &mut Sent {
        let channel = self.half_mut(name.key).sent.get_mut(&name.channel);
        let message = channel.and_then(|channel| channel.messages.get_mut(usize::try_from(name.id).unwrap()));
        message.unwrap_or_else(|| panic!("{name:?} was never sent"))
    }

    // What the sender did.

    pub(crate) fn on_configured(&mut self, key: u16, channel: u16, delivery: Delivery) {
        self.half_mut(key).sent.insert(channel, SentChannel { delivery, messages: Vec::new(), flushed: 0 });
    }

    /// The name that the next message on the channel must get.
    pub(crate) fn next_name(&self, key: u16, channel: u16) -> Name {
        Name { key, channel, id: self.half(key).sent[&channel].messages.len() as u64 }
    }

    pub(crate) fn on_sent(&mut self, name: Name, len: usize) {
        self.on_accepted(
            name,
            Sent { announced: Some(len), written: len, finished: true, reset: false, stopped: false },
        );
    }

    pub(crate) fn on_begun(&mut self, name: Name, announced: Option<usize>) {
        self.on_accepted(name, Sent { announced, written: 0, finished: false, reset: false, stopped: false });
    }

    fn on_accepted(&mut self, name: Name, message: Sent) {
        assert_eq!(name, self.next_name(name.key, name.channel), "ids go up by one");
        self.half_mut(name.key).sent.get_mut(&name.channel).unwrap().messages.push(message);
    }

    pub(crate) fn on_written(&mut self, name: Name, len: usize) {
        self.message(name).written += len;
    }

    pub(crate) fn on_finished(&mut self, name: Name) {
        self.message(name).finished = true;
    }

    pub(crate) fn on_reset(&mut self, name: Name) {
        self.message(name).reset = true;
    }

    /// The sender was told that the receiver stopped a message.
    pub(crate) fn on_write_stopped(&mut self, name: Name, code: u32) {
        assert!(self.message(name).stopped, "{name:?} was said to be stopped and was not");
        let stopper = u16::try_from(code - STOP).unwrap();
        assert_eq!(self.half(stopper).peer, Some(name.key), "{name:?} was stopped by a stranger");
    }

    pub(crate) fn on_close(&mut self, key: u16, now: Timestamp, linger: Duration) {
        self.half_mut(key).closed = Some((now, linger));
    }

    pub(crate) fn on_abort(&mut self, key: u16) {
        self.half_mut(key).aborted = true;
    }

    pub(crate) fn on_refuse(&mut self, key: u16) {
        self.half_mut(key).refused = true;
    }

    pub(crate) fn on_crash(&mut self, key: u16) {
        self.half_mut(key).crashed = true;
    }

    // What the receiver saw.

    pub(crate) fn on_arrival(&mut self, key: u16, arrival: &Arrival) -> Name {
        let name = Name { key: arrival.tag, channel: arrival.channel, id: arrival.id.0 };
        self.meet(key, name.key);
        let message = *self.message(name);
        let delivery = self.half(name.key).sent[&name.channel].delivery;
        let got = self.half_mut(key).got.entry(name.channel).or_default();
        assert!(got.seen.insert(name.id), "{name:?} came twice");
        let last = got.last;
        got.last = last.max(Some(name.id));
        match &arrival.body {
            ArrivalBody::Whole(bytes) => {
                let finished = message.finished || message.announced == Some(message.written);
                assert!(finished, "{name:?} is whole before it was finished");
                assert_eq!(bytes.len(), message.written, "{name:?} has another length");
                assert!(bytes[..] == *content::bytes(name, 0, bytes.len()), "{name:?} says something else");
                got.wholes += 1;
            }
            ArrivalBody::Stream { len } => {
                let len = len.map(|len| usize::try_from(len).unwrap());
                let known = message.announced.or(message.finished.then_some(message.written));
                assert!(len.is_none() || len == known, "{name:?} has length {known:?}, not {len:?}");
                got.streams.insert(name.id, Reading::default());
            }
        }
        match delivery {
            Delivery::Ordered => {
                assert!(last < Some(name.id), "{name:?} came after {last:?}");
                for skipped in last.map_or(0, |last| last + 1)..name.id {
                    let skipped = Name { id: skipped, ..name };
                    assert!(self.message(skipped).reset, "{skipped:?} was left out before {}", name.id);
                }
            }
            Delivery::Latest => assert!(last < Some(name.id), "{name:?} is older than {last:?}"),
            Delivery::Unordered | Delivery::Unreliable => {}
        }
        name
    }

    /// `key` has received something of `peer`.
    fn meet(&mut self, key: u16, peer: u16) {
        let (half, other) = (self.half(key), self.half(peer));
        assert_eq!(
            (half.host, half.remote, half.caller),
            (other.remote, other.host, !other.caller),
            "{key} met {peer}"
        );
        assert!(half.peer.is_none_or(|met| met == peer), "{key} met {:?} and {peer}", half.peer);
        assert!(other.peer.is_none_or(|met| met == key), "{peer} is with {:?}, not with {key}", other.peer);
        self.half_mut(key).peer = Some(peer);
    }

    fn reading(&mut self, key: u16, name: Name) -> &mut Reading {
        self.half_mut(key).got.get_mut(&name.channel).unwrap().streams.get_mut(&name.id).unwrap()
    }

    pub(crate) fn on_read(&mut self, key: u16, name: Name, bytes: &[u8]) {
        let message = *self.message(name);
        let reading = self.reading(key, name);
        let (from, to) = (reading.read, reading.read + bytes.len());
        reading.read = to;
        assert!(to <= message.written, "{name:?} gave {to} bytes of {}", message.written);
        assert!(*bytes == *content::bytes(name, from, to), "{name:?} says something else in {from}..{to}");
    }

    pub(crate) fn on_read_to_end(&mut self, key: u16, name: Name) {
        let message = *self.message(name);
        let reading = self.reading(key, name);
        reading.ended = true;
        assert!(
            message.finished && reading.read == message.written,
            "{name:?} ended after {}: {message:?}",
            reading.read
        );
    }

    pub(crate) fn on_read_reset(&mut self, name: Name, code: u32) {
        assert!(self.message(name).reset, "{name:?} was said to be reset and was not");
        assert_eq!(code, RESET + u32::from(name.key));
    }

    pub(crate) fn on_stop(&mut self, name: Name) {
        self.message(name).stopped = true;
    }

    // How it ended.

    pub(crate) fn on_end(&mut self, key: u16, end: End) {
        let half = self.half(key);
        match end {
            End::Closed { code } => {
                let refused = half.refused && code == REFUSE + u32::from(key);
                let closed = half.closed.is_some() && code == CLOSE + u32::from(key);
                assert!(closed || refused, "{key} ended with {end:?}");
            }
            End::Aborted { code } => assert!(half.aborted && code == ABORT + u32::from(key), "{key}: {end:?}"),
            End::ClosedByPeer { code } => self.check_peer(key, code - CLOSE, |peer| peer.closed.is_some()),
            End::AbortedByPeer { code } => self.check_peer(key, code - ABORT, |peer| peer.aborted),
            End::RefusedByPeer { code } => self.check_peer(key, code - REFUSE, |peer| peer.refused),
            End::Refused(_) => assert!(half.caller, "{key} is no caller: {end:?}"),
            // Who was too late after its proof believes nothing else.
            End::Unconfirmed if self.by_code => assert!(half.caller, "{key} is no caller: {end:?}"),
            // Whoever closes tells the peer a few times, and no more.
            End::TimedOut if self.was_left(key) => {}
            End::TimedOut | End::ConnectTimedOut | End::Unconfirmed => {
                assert!(self.weather == Weather::Storm, "{key} ended with {end:?} although it was {:?}", self.weather);
            }
            _ => panic!("{key} ended with {end:?}"),
        }
        self.half_mut(key).end = Some(end);
    }

    /// True when a half that may be the other side of `key` has ended the connection.
    fn was_left(&self, key: u16) -> bool {
        let half = self.half(key);
        self.halves.iter().any(|other| {
            let fits = (half.host, half.remote, half.caller) == (other.remote, other.host, !other.caller);
            fits && (other.closed.is_some() || other.aborted || other.refused || other.crashed)
        })
    }

    fn check_peer(&self, key: u16, peer: u32, did: impl Fn(&Half) -> bool) {
        let peer = u16::try_from(peer).unwrap();
        let (half, other) = (self.half(key), self.half(peer));
        let fits = (half.host, half.remote, half.caller) == (other.remote, other.host, !other.caller);
        let met = half.peer.is_none_or(|met| met == peer) && other.peer.is_none_or(|met| met == key);
        assert!(fits && met && did(other), "{key} was ended by {peer}, which did not do it");
    }

    pub(crate) fn end_of(&self, key: u16) -> Option<End> {
        self.half(key).end
    }

    /// The report of a close: called once, when it is there.
    pub(crate) fn on_report(&mut self, key: u16, now: Timestamp, report: &CloseReport) {
        let half = self.half(key);
        let (at, linger) = half.closed.map_or((now, Duration::ZERO), |closed| closed);
        if report.cut_short.is_none() {
            let left = report.channels.iter().filter(|channel| !channel.all_taken());
            let before_linger = now < at + linger;
            assert!(!before_linger || left.count() == 0, "{key} stopped waiting too early: {report:?}");
        }
        let used: Vec<_> =
            half.sent.iter().filter(|(_, channel)| !channel.messages.is_empty()).map(|used| *used.0).collect();
        let reported: Vec<_> = report.channels.iter().map(|channel| channel.channel).collect();
        assert_eq!(used, reported, "{key}: channels that sent something");
        for channel in &report.channels {
            self.check_channel_report(key, channel);
        }
        self.half_mut(key).report = Some(report.clone());
    }

    fn check_channel_report(&self, key: u16, report: &ChannelReport) {
        let half = self.half(key);
        let sent = &half.sent[&report.channel];
        let peer = half.peer.or_else(|| self.keys().find(|other| self.half(*other).peer == Some(key)));
        let taken = peer.map_or(0, |peer| self.taken(peer, key, report.channel));
        assert!(report.taken <= taken, "{key}: only {taken} were taken: {report:?}");
        let count = sent.messages.len() as u64;
        let given_up = sent.messages.iter().filter(|message| message.reset || message.stopped).count() as u64;
        let told = report.taken + report.arrived_unread + report.not_arrived;
        match sent.delivery {
            Delivery::Ordered | Delivery::Unordered => {
                assert!(
                    told <= count && told + given_up >= count,
                    "{key}: of {count} ({given_up} given up): {report:?}"
                );
            }
            Delivery::Latest => assert!(report.arrived_unread + report.not_arrived <= 1, "{key}: {report:?}"),
            Delivery::Unreliable => assert_eq!(report.arrived_unread + report.not_arrived, 0, "{key}: {report:?}"),
        }
        assert_eq!(report.first_unread.is_some(), report.arrived_unread > 0, "{key}: {report:?}");
        assert_eq!(report.first_missing.is_some(), report.not_arrived > 0, "{key}: {report:?}");
    }

    /// The halves that may be the other side of `key`: one, as soon as an application has received something.
    pub(crate) fn others(&self, key: u16) -> Vec<u16> {
        let half = self.half(key);
        if let Some(peer) = half.peer.or_else(|| self.keys().find(|other| self.half(*other).peer == Some(key))) {
            return vec![peer];
        }
        let fits = |other: &Half| {
            (half.host, half.remote, half.caller) == (other.remote, other.host, !other.caller) && other.peer.is_none()
        };
        self.keys().filter(|other| fits(self.half(*other))).collect()
    }

    /// True when nothing can be said of what the core of `key` holds: there is none any more.
    pub(crate) fn is_gone(&self, key: u16) -> bool {
        self.half(key).crashed || self.half(key).refused
    }

    /// `key` was told that everything had arrived. Says how many messages it was told that of for the first time.
    pub(crate) fn check_flushed(&mut self, key: u16, arrived: &Arrived<'_>) -> u64 {
        let mut told = 0;
        for (&channel, sent) in &mut self.half_mut(key).sent {
            let owed = sent.owed();
            for id in owed.start.max(sent.flushed)..owed.end {
                let name = Name { key, channel, id: id as u64 };
                let message = &sent.messages[id];
                assert!(
                    message.given_up() || arrived(name),
                    "{name:?} counts as arrived and is not there: {message:?}"
                );
            }
            told += owed.end - owed.start.max(sent.flushed).min(owed.end);
            sent.flushed = owed.end;
        }
        told as u64
    }

    /// The report that `key` has had, against what the other side holds.
    pub(crate) fn check_report(&self, key: u16, arrived: &Arrived<'_>) {
        let half = self.half(key);
        let peer = half.peer.or_else(|| self.keys().find(|other| self.half(*other).peer == Some(key)));
        for report in half.report.iter().flat_map(|report| &report.channels) {
            let channel = report.channel;
            let sent = &half.sent[&channel];
            let name = |id: usize| Name { key, channel, id: id as u64 };
            let number = |id: Option<MessageId>| id.map(|id| usize::try_from(id.0).unwrap());
            let (unread, missing) = (number(report.first_unread), number(report.first_missing));
            let owed = sent.owed();
            let absent = |id: &usize| !sent.messages[*id].given_up() && !arrived(name(*id));
            let count = |ids: usize| ids as u64;
            let lacks = count(owed.clone().filter(absent).count());
            assert!(report.not_arrived >= lacks, "{key}: {lacks} are not there: {report:?}");
            let there = count(owed.clone().filter(|id| arrived(name(*id))).count());
            let unread_max = there.saturating_sub(if owed.start == 0 { report.taken } else { 0 });
            assert!(report.arrived_unread <= unread_max, "{key}: {there} are there: {report:?}");
            for (what, id) in [("unread", unread), ("missing", missing)] {
                assert!(id.is_none_or(|id| owed.contains(&id)), "{key}: first {what} was never owed: {report:?}");
            }
            assert!(unread.is_none_or(|id| arrived(name(id))), "{key}: the first unread is not there: {report:?}");
            assert!(unread != missing || unread.is_none(), "{key}: there and not there: {report:?}");
            // What stands before the first that is missing has arrived, and before both it was taken.
            let before = owed.start..missing.unwrap_or(owed.end);
            assert_eq!(before.into_iter().find(absent), None, "{key}: not there before the first missing: {report:?}");
            let left = unread.unwrap_or(owed.end).min(missing.unwrap_or(owed.end));
            for id in (owed.start..left).filter(|id| !sent.messages[*id].given_up()) {
                let taken = peer.is_some_and(|peer| self.took(peer, name(id)));
                assert!(taken, "{key}: {id} was not taken: {report:?}");
            }
        }
    }

    /// True when the application of `key` has had all of a message.
    fn took(&self, key: u16, name: Name) -> bool {
        let sent = &self.half(name.key).sent[&name.channel];
        let newest = sent.delivery == Delivery::Latest;
        self.half(key).got.get(&name.channel).is_some_and(|got| {
            let read = got.streams.get(&name.id);
            let all = |reading: &Reading| reading.read == sent.messages[usize::try_from(name.id).unwrap()].written;
            (newest && got.last >= Some(name.id)) || got.seen.contains(&name.id) && read.is_none_or(all)
        })
    }

    /// How many messages of `sender`'s channel the application of `key` has had to the last byte.
    fn taken(&self, key: u16, sender: u16, channel: u16) -> u64 {
        let Some(got) = self.half(key).got.get(&channel) else { return 0 };
        let sent = &self.half(sender).sent[&channel].messages;
        let read = got.streams.iter().filter(|(id, reading)| {
            let message = sent[usize::try_from(**id).unwrap()];
            message.finished && reading.read == message.written
        });
        got.wholes + read.count() as u64
    }

    /// What `key` sent and should have arrived, and has not.
    pub(crate) fn missing(&self, key: u16) -> Option<Name> {
        let half = self.half(key);
        let peer = self.keys().find(|other| self.half(*other).peer == Some(key)).map(|peer| self.half(peer));
        half.sent.iter().find_map(|(&channel, sent)| {
            let got = peer.and_then(|peer| peer.got.get(&channel));
            let name = |id: usize| Name { key, channel, id: id as u64 };
            match sent.delivery {
                Delivery::Unreliable => None,
                Delivery::Latest => {
                    let newest = sent.messages.len().checked_sub(1).map(|newest| newest as u64);
                    let last = got.and_then(|got| got.last);
                    newest.filter(|_| last != newest).map(|id| Name { key, channel, id })
                }
                Delivery::Ordered | Delivery::Unordered => {
                    sent.messages.iter().enumerate().find_map(|(id, message)| {
                        let has = got.is_some_and(|got| got.has(id as u64));
                        let given_up = message.reset || message.stopped;
                        let arrived = message.finished && has;
                        (!given_up && !arrived).then(|| name(id))
                    })
                }
            }
        })
    }

    /// How many messages were received.
    pub(crate) fn delivered(&self) -> u64 {
        self.halves.iter().flat_map(|half| half.got.values()).map(|got| got.seen.len() as u64).sum()
    }

    /// After the end of the world: what reports and ends say must fit together.
    pub(crate) fn check_end(&self) {
        for key in self.keys() {
            let half = self.half(key);
            // A close that saw everything taken has taken everything.
            if half.report.as_ref().is_some_and(|report| report.cut_short.is_none() && report.all_taken()) {
                assert_eq!(self.missing(key), None, "{key} was told that all was taken");
            }
        }
    }
}

impl GotChannel {
    fn has(&self, id: u64) -> bool {
        self.seen.contains(&id) && self.streams.get(&id).is_none_or(|reading| reading.ended)
    }
}
