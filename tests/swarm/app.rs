//! An application at one side of a connection: carries out its plan and tells the model everything.

use core::time::Duration;

use udpair::message::{
    ArrivalBody, ConfigureError, MessageId, Messages, ReadError, Select, SendError, State, WriteError,
};
use udpair::slots::ConnectionId;
use udpair::time::{Timestamp, earliest};

use crate::chance::Chance;
use crate::content::{self, Name};
use crate::model::{ABORT, CLOSE, Model, RESET, STOP};
use crate::plan::{Action, Ending, HalfPlan};
use crate::sans_io::Core;

/// A slow application grows quick after so long, so that worlds come to rest.
const HURRIES_AFTER: Duration = Duration::from_secs(15);

pub(crate) struct App {
    pub key: u16,
    pub id: ConnectionId,
    plan: HalfPlan,
    chance: Chance,
    began: Timestamp,
    configured: bool,
    writers: Vec<Writer>,
    streams: Vec<Name>,
    reads_at: Timestamp,
    busy_until: Timestamp,
    ending: bool,
    /// It has had the report of its close.
    pub reported: bool,
    /// Everything that arrived was received, and the connection is over.
    drained: bool,
    /// Nothing is left to do.
    pub over: bool,
}

struct Writer {
    next: usize,
    until: Option<Timestamp>,
    stream: Option<(Name, usize)>,
}

/// Whether an attempt got on.
#[derive(PartialEq, Eq)]
enum Step {
    /// Yes: there may be more to do.
    On,
    /// Not before something changes.
    Blocked,
}

impl App {
    pub(crate) fn new(now: Timestamp, key: u16, id: ConnectionId, mut chance: Chance) -> Self {
        let plan = HalfPlan::random(&mut chance);
        Self {
            key,
            id,
            began: now,
            configured: false,
            writers: plan.writers.iter().map(|_| Writer { next: 0, until: None, stream: None }).collect(),
            streams: Vec::new(),
            reads_at: now + plan.reader.absent,
            busy_until: now,
            ending: false,
            reported: false,
            drained: false,
            over: false,
            plan,
            chance,
        }
    }

    /// Does what can be done now; says when it wants to be asked again, beside on changes.
    pub(crate) fn act<C: Core>(&mut self, now: Timestamp, core: &mut C, model: &mut Model) -> Option<Timestamp> {
        if self.over {
            return None;
        }
        if now < self.busy_until {
            return Some(self.busy_until);
        }
        if now > self.began + HURRIES_AFTER {
            self.plan.busy = Duration::ZERO;
            self.plan.reader.pace = Duration::ZERO;
        }
        self.busy_until = now + self.plan.busy;
        let Some(messages) = core.messages(self.id) else {
            panic!("{} was forgotten before it was released", self.key)
        };
        if !self.configured {
            self.configured = true;
            for (channel, config) in &self.plan.channels {
                match messages.configure(*channel, *config) {
                    Ok(()) => {}
                    Err(ConfigureError::Ended(end)) => assert_eq!(messages.state(), State::Ended(end)),
                    Err(error) => panic!("{}: {error}", self.key),
                }
                model.on_configured(self.key, *channel, config.delivery);
            }
        }
        while self.read(now, messages, model) == Step::On {}
        for writer in 0..self.writers.len() {
            while self.write(writer, now, messages, model) == Step::On {}
        }
        let release = self.end(now, messages, model);
        self.look(now, messages, model);
        let wakes = self.wakes(now, messages);
        if release || self.drained && messages.closed() {
            core.release(now, self.id);
            self.over = true;
            return None;
        }
        wakes
    }

    /// True when all writers are through their plans.
    pub(crate) fn idle(&self) -> bool {
        self.plan.writers.iter().zip(&self.writers).all(|(actions, writer)| writer.next == actions.len())
    }

    /// What it is doing, for whoever finds it stuck.
    pub(crate) fn describe(&self) -> String {
        let at: Vec<_> =
            self.plan.writers.iter().zip(&self.writers).map(|(all, writer)| all.get(writer.next)).collect();
        format!("writers at {at:?}, reading {:?}, ending {:?} {}", self.streams, self.plan.ending, self.ending)
    }

    /// Closes a connection that would stay for ever, and waits for all that was sent.
    pub(crate) fn close_at_last<C: Core>(&mut self, now: Timestamp, core: &mut C, model: &mut Model) {
        if let Some(messages) = core.messages(self.id).filter(|_| !self.over && !self.ending) {
            self.ending = true;
            model.on_close(self.key, now, crate::plan::LONG);
            messages.close(now, CLOSE + u32::from(self.key), crate::plan::LONG);
        }
    }

    fn wakes(&self, now: Timestamp, messages: &Messages) -> Option<Timestamp> {
        let mut at = self.writers.iter().filter_map(|writer| writer.until).min();
        if self.reads_at > now {
            at = earliest(at, Some(self.reads_at));
        }
        if let (Ending::Abort { after }, false) = (self.plan.ending, self.ending || messages.ended().is_some()) {
            at = earliest(at, Some(self.began + after));
        }
        at
    }

    // ---- reading ----

    fn read(&mut self, now: Timestamp, messages: &mut Messages, model: &mut Model) -> Step {
        if now < self.reads_at || self.drained {
            return Step::Blocked;
        }
        let got = self.read_streams(messages, model) || self.receive(messages, model);
        if got && !self.plan.reader.pace.is_zero() {
            self.reads_at = now + self.plan.reader.pace;
        }
        if got { Step::On } else { Step::Blocked }
    }

    fn receive(&mut self, messages: &mut Messages, model: &mut Model) -> bool {
        let own = self.plan.reader.own.iter().map(|channel| Select::One(*channel));
        let mut over = true;
        for select in own.chain([Select::Any]) {
            let readable = messages.readable(select);
            match messages.recv(select) {
                Ok(Some(arrival)) => {
                    assert!(readable, "{} received what was not readable", self.key);
                    let name = model.on_arrival(self.key, &arrival);
                    if let ArrivalBody::Stream { .. } = arrival.body {
                        self.open(name, messages, model);
                    }
                    return true;
                }
                Ok(None) => {
                    assert!(!readable, "{} was readable and gave nothing", self.key);
                    over = false;
                }
                Err(end) => assert_eq!(messages.state(), State::Ended(end)),
            }
        }
        self.drained = over && self.streams.is_empty();
        false
    }

    fn open(&mut self, name: Name, messages: &mut Messages, model: &mut Model) {
        if self.chance.percent(self.plan.reader.stops_percent) {
            model.on_stop(name);
            messages.stop(name.channel, MessageId(name.id), STOP + u32::from(self.key));
        } else {
            self.streams.push(name);
        }
    }

    fn read_streams(&mut self, messages: &mut Messages, model: &mut Model) -> bool {
        let mut buf = vec![0; self.plan.reader.piece];
        for at in 0..self.streams.len() {
            let name = self.streams[at];
            let readable = messages.stream_readable(name.channel, MessageId(name.id));
            match messages.read(name.channel, MessageId(name.id), &mut buf) {
                Ok(0) => {
                    model.on_read_to_end(self.key, name);
                    self.streams.remove(at);
                }
                Ok(len) => model.on_read(self.key, name, &buf[..len]),
                Err(ReadError::WouldBlock) => {
                    assert!(!readable, "{} was readable and gave nothing: {name:?}", self.key);
                    continue;
                }
                Err(ReadError::Reset { code }) => {
                    model.on_read_reset(name, code);
                    self.streams.remove(at);
                }
                Err(ReadError::Ended(end)) => {
                    assert_eq!(messages.state(), State::Ended(end));
                    self.streams.remove(at);
                }
                Err(error) => panic!("{}: {name:?}: {error}", self.key),
            }
            return true;
        }
        false
    }

    // ---- writing ----

    fn write(&mut self, writer: usize, now: Timestamp, messages: &mut Messages, model: &mut Model) -> Step {
        let Some(action) = self.plan.writers[writer].get(self.writers[writer].next) else { return Step::Blocked };
        if messages.ended().is_some() || self.ending {
            // Nothing more can be sent. (Streams begun before a close could go on; here they end with it.)
            self.writers[writer] = Writer { next: self.plan.writers[writer].len(), until: None, stream: None };
            return Step::Blocked;
        }
        let done = match *action {
            Action::Pause(pause) => {
                let until = *self.writers[writer].until.get_or_insert(now + pause);
                now >= until
            }
            Action::Flush => messages.flushed(),
            Action::Send { channel, len } => self.send(channel, len, messages, model),
            Action::Stream { channel, len, announced, piece, reset_at } => {
                let stream = self.writers[writer].stream;
                match stream {
                    None => match self.begin(channel, announced.then_some(len), messages, model) {
                        Some(name) => {
                            self.writers[writer].stream = Some((name, 0));
                            return Step::On;
                        }
                        None => return Step::Blocked,
                    },
                    Some((name, written)) if reset_at == Some(written) => {
                        model.on_reset(name);
                        messages.reset(channel, MessageId(name.id), RESET + u32::from(self.key));
                        true
                    }
                    Some((name, written)) if written == len => {
                        self.finish(name, messages, model);
                        true
                    }
                    Some((name, written)) => {
                        let to = reset_at.unwrap_or(len).min(written + piece);
                        match self.write_piece(name, written, to, messages, model) {
                            Ok(more) => {
                                self.writers[writer].stream = Some((name, written + more));
                                return if more > 0 { Step::On } else { Step::Blocked };
                            }
                            Err(()) => true,
                        }
                    }
                }
            }
        };
        if !done {
            return Step::Blocked;
        }
        let next = self.writers[writer].next + 1;
        self.writers[writer] = Writer { next, until: None, stream: None };
        Step::On
    }

    /// True when it was sent, or cannot be.
    fn send(&mut self, channel: u16, len: usize, messages: &mut Messages, model: &mut Model) -> bool {
        let name = model.next_name(self.key, channel);
        match messages.send(channel, self.key, content::whole(name, len)) {
            Ok(id) => {
                assert_eq!(id.0, name.id);
                model.on_sent(name, len);
                true
            }
            Err(SendError::WouldBlock) => {
                assert!(!messages.writable(channel), "{} is writable and would block", self.key);
                false
            }
            Err(SendError::TooLarge { len: said, max }) => {
                assert!(said == len as u64 && said > max);
                true
            }
            Err(error) => panic!("{}: {error}", self.key),
        }
    }

    fn begin(&mut self, channel: u16, len: Option<usize>, messages: &mut Messages, model: &mut Model) -> Option<Name> {
        let name = model.next_name(self.key, channel);
        match messages.begin(channel, self.key, len.map(|len| len as u64)) {
            Ok(id) => {
                assert_eq!(id.0, name.id);
                model.on_begun(name, len);
                Some(name)
            }
            Err(SendError::WouldBlock) => None,
            Err(error) => panic!("{}: {error}", self.key),
        }
    }

    /// How much of the piece was taken; an error where the receiver does not want it.
    fn write_piece(
        &mut self,
        name: Name,
        from: usize,
        to: usize,
        messages: &mut Messages,
        model: &mut Model,
    ) -> Result<usize, ()> {
        match messages.write(name.channel, MessageId(name.id), content::bytes(name, from, to)) {
            Ok(len) => {
                assert!(len > 0 && len <= to - from);
                model.on_written(name, len);
                Ok(len)
            }
            Err(WriteError::WouldBlock) => {
                assert!(!messages.stream_writable(name.channel, MessageId(name.id)), "writable, and would block");
                Ok(0)
            }
            Err(WriteError::Stopped { code }) => {
                model.on_write_stopped(name, code);
                Err(())
            }
            Err(error) => panic!("{}: {name:?}: {error}", self.key),
        }
    }

    fn finish(&mut self, name: Name, messages: &mut Messages, model: &mut Model) {
        match messages.finish_message(name.channel, MessageId(name.id)) {
            Ok(()) => model.on_finished(name),
            Err(WriteError::Stopped { code }) => model.on_write_stopped(name, code),
            Err(error) => panic!("{}: {name:?}: {error}", self.key),
        }
    }

    // ---- ending ----

    /// Ends the connection when its time has come. True when the handle is dropped with it.
    fn end(&mut self, now: Timestamp, messages: &mut Messages, model: &mut Model) -> bool {
        if self.ending || messages.ended().is_some() {
            return false;
        }
        let code = u32::from(self.key);
        match self.plan.ending {
            Ending::Abort { after } if now >= self.began + after => {
                self.ending = true;
                model.on_abort(self.key);
                messages.abort(ABORT + code);
                false
            }
            Ending::Close { linger } if self.idle() => {
                self.ending = true;
                model.on_close(self.key, now, linger);
                messages.close(now, CLOSE + code, linger);
                false
            }
            Ending::Drop if self.idle() => {
                self.ending = true;
                model.on_close(self.key, now, crate::plan::LONG);
                messages.close(now, CLOSE + code, Duration::from_secs(5));
                true
            }
            _ => false,
        }
    }

    /// Notes an end and a report.
    fn look(&mut self, now: Timestamp, messages: &Messages, model: &mut Model) {
        if let Some(end) = messages.ended() {
            match model.end_of(self.key) {
                None => model.on_end(self.key, end),
                Some(before) => assert_eq!(before, end, "{}: an end is an end", self.key),
            }
        }
        if let Some(report) = messages.close_report().filter(|_| !self.reported) {
            self.reported = true;
            model.on_report(self.key, now, report);
        }
    }
}
