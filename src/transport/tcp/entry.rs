//! A connection in the core's table: its link, its stream, and what of its output is under way.

use core::net::SocketAddr;
use std::io::ErrorKind;
use std::sync::Arc;

use super::farewell::Socket;
use super::link::{Link, OUTPUT_MAX};
use super::outbox::{Chunk, Job, Spare};
use super::stream::Stream;
use crate::message::{End, Sent};
use crate::slots::ConnectionId;
use crate::time::Timestamp;

/// A chunk of which more than this is left is written as it is; a shorter rest is filled up first.
const REST_MAX: usize = 64 * 1024;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// Nobody's yet: its caller has not spoken since then.
    Stranger(Timestamp),
    /// Nobody's: its caller was turned away.
    Refused,
    /// The application is to be offered it, or was and has not answered.
    Unanswered,
    /// The application's.
    Application,
    /// The application has let go of it.
    Released,
}

/// What becomes of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    /// It can be written.
    Free,
    /// Somebody is writing. `again`: when that is done there is more to do. `room`: the kernel said meanwhile that it
    /// has some.
    UnderWay { again: bool, room: bool },
    /// The kernel takes no more now, or is still connecting.
    Blocked,
    /// The stream takes nothing any more. What still comes in is read.
    Dead,
}

/// How far a connection's end has come: what others wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    ended: bool,
    closed: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) link: Link,
    /// `None` once the link needs it no more.
    pub(super) stream: Option<Arc<Stream>>,
    pub(super) remote: SocketAddr,
    pub(super) holder: Holder,
    output: Output,
    /// Made, and not under way.
    chunk: Chunk,
    /// In the core's list of those to be looked at.
    pub(super) ready: bool,
    /// In the core's list of those that owe something when the application waits.
    pub(super) owing: bool,
    /// Something came in or ended: those who wait are to look.
    pub(super) news: bool,
    /// How its end stood when they were last told to.
    told: Standing,
    /// Its place among the core's timers.
    pub(super) timer: Option<Timestamp>,
}

impl Entry {
    /// One whose stream has yet to be connected.
    pub(super) fn calling(link: Link, stream: Arc<Stream>, remote: SocketAddr) -> Self {
        Self { output: Output::Blocked, holder: Holder::Application, ..Self::new(link, stream, remote) }
    }

    /// One whose stream was accepted.
    pub(super) fn accepted(now: Timestamp, link: Link, stream: Arc<Stream>, remote: SocketAddr) -> Self {
        Self { holder: Holder::Stranger(now), ..Self::new(link, stream, remote) }
    }

    fn new(link: Link, stream: Arc<Stream>, remote: SocketAddr) -> Self {
        Self {
            link,
            stream: Some(stream),
            remote,
            holder: Holder::Refused,
            output: Output::Free,
            chunk: Chunk::default(),
            ready: false,
            owing: false,
            news: false,
            told: Standing::default(),
            timer: None,
        }
    }

    /// True where the application knows of it or is to.
    pub(super) const fn is_known(&self) -> bool {
        matches!(self.holder, Holder::Unanswered | Holder::Application | Holder::Released)
    }

    /// Makes output, where the last is written, and the job of writing it.
    pub(super) fn poll(
        &mut self,
        id: ConnectionId,
        now: Timestamp,
        sent: &mut Vec<Sent>,
        spare: &mut Spare,
    ) -> Option<Job> {
        let queued = self.link.messages().queued();
        let job = self.write(id, now, sent, spare);
        let messages = self.link.messages();
        // `Unreliable` messages leave the queue by being written, and nothing comes back that would tell whoever waits
        // for room.
        self.news |= messages.queued() != queued;
        // It may have ended by this, or by a write that failed or was the last.
        let standing = Standing { ended: messages.ended().is_some(), closed: messages.closed() };
        self.news |= core::mem::replace(&mut self.told, standing) != standing;
        job
    }

    fn write(&mut self, id: ConnectionId, now: Timestamp, sent: &mut Vec<Sent>, spare: &mut Spare) -> Option<Job> {
        self.link.handle_end(now);
        match &mut self.output {
            Output::UnderWay { again, .. } => *again = true,
            Output::Blocked | Output::Dead => {}
            Output::Free => return self.make(id, now, sent, spare),
        }
        None
    }

    fn make(&mut self, id: ConnectionId, now: Timestamp, sent: &mut Vec<Sent>, spare: &mut Spare) -> Option<Job> {
        let stream = self.stream.as_ref()?;
        let mut chunk = core::mem::take(&mut self.chunk);
        if chunk.rest().len() <= REST_MAX {
            if chunk.bytes.capacity() == 0 {
                chunk.bytes = spare.take();
            }
            chunk.bytes.drain(..chunk.written);
            chunk.written = 0;
            self.link.poll_output(now, &mut chunk.bytes, sent);
        }
        if chunk.rest().is_empty() || self.link.is_gone() {
            spare.put(chunk.bytes);
            return None;
        }
        let again = chunk.bytes.len() >= OUTPUT_MAX || self.link.is_ending();
        self.output = Output::UnderWay { again, room: false };
        Some(Job::Write { id, stream: Arc::clone(stream), chunk })
    }

    /// True when there is something to do as soon as what is under way is written.
    pub(super) const fn is_waited_for(&self) -> bool {
        matches!(self.output, Output::UnderWay { again: true, .. })
    }

    /// What was under way is written; there may be something to be done with the socket then.
    pub(super) fn on_written(&mut self) -> Option<Job> {
        self.output = Output::Free;
        match self.link.on_written() {
            Socket::Shut => self.stream.as_ref().map(|stream| Job::Shut { stream: Arc::clone(stream) }),
            Socket::Keep | Socket::Drop => None,
        }
    }

    /// The kernel took only a part of what was under way.
    pub(super) fn on_stuck(&mut self, chunk: Chunk) {
        let room = matches!(self.output, Output::UnderWay { room: true, .. });
        self.output = if room { Output::Free } else { Output::Blocked };
        self.chunk = chunk;
    }

    /// The kernel has room.
    pub(super) const fn on_room(&mut self) {
        match &mut self.output {
            Output::UnderWay { again, room } => (*again, *room) = (true, true),
            Output::Blocked => self.output = Output::Free,
            Output::Free | Output::Dead => {}
        }
    }

    /// Nothing can be written any more.
    pub(super) fn on_unwritable(&mut self, kind: ErrorKind) {
        self.output = Output::Dead;
        self.chunk = Chunk::default();
        match kind {
            // The peer's system has no use for it. What came from there before, perhaps a CLOSE, is still to be read,
            // and then the end.
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => self.link.handle_unwritable(),
            _ => self.link.fail(End::Broken),
        }
    }
}
