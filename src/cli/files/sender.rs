//! The sender's half of the file protocol, without a connection: `spec/files.md`, section "A transfer".
//!
//! Messages go in by [`Sender::handle`]; what to do next comes out of [`Sender::poll`]. It reads files, and holds at
//! most [`AHEAD_MAX`] of them open and one piece of one of them in memory.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use super::message::{CONTENT_LEN, CONTROL, DATA, DATA_HEADER_LEN_MAX, HASH_LEN, UNSETTLED_MAX, VERSION};
use super::message::{Kind, Message, Meta, Offer, Reason, Totals};
use super::name::Name;
use super::outcome::{Broken, Notice, What, peer_says};
use super::reader::{Chunk, ReadFailure, Reader};
use super::step::{Outgoing, Step};
use super::tree::{Entry, Source, Tree};
use crate::cli::buffers::Buffers;

/// Files that are offered, or wanted, and held open: enough for the receiver to have work while an answer travels.
const AHEAD_MAX: usize = 128;

/// One transfer, as its sender sees it.
pub(crate) struct Sender {
    tree: Tree,
    expected: (u64, u64),
    greeted: bool,
    heard_greeting: bool,
    next_number: u64,
    /// Offered, and not settled.
    items: BTreeMap<u64, Item>,
    /// Files held open.
    open: usize,
    /// Wanted, in the order of the wants; the first is being read.
    wanted: VecDeque<Wanted>,
    buffers: Buffers,
    notices: VecDeque<Notice>,
    totals: Totals,
    sent: u64,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotSent,
    Sent,
    Answered,
}

struct Item {
    name: Name,
    stage: Stage,
}

enum Stage {
    /// A file: the receiver has not answered.
    Offered(Reader),
    /// A file: its content is under way.
    Wanted,
    /// A file of this size: its hash was sent.
    Hashed(u64),
    /// A directory's begin.
    Begin,
    /// A directory's end.
    End,
}

struct Wanted {
    number: u64,
    reader: Reader,
    /// The receiver has given it up.
    stopped: bool,
}

impl Sender {
    /// Sends `paths`, which hold about `expected` files and bytes.
    pub(crate) fn new(paths: Vec<PathBuf>, expected: (u64, u64)) -> Self {
        Self {
            tree: Tree::new(paths),
            expected,
            greeted: false,
            heard_greeting: false,
            next_number: 0,
            items: BTreeMap::new(),
            open: 0,
            wanted: VecDeque::new(),
            buffers: Buffers::new(DATA_HEADER_LEN_MAX + CONTENT_LEN),
            notices: VecDeque::new(),
            totals: Totals::default(),
            sent: 0,
            end: End::NotSent,
        }
    }

    /// What became of the transfer so far.
    pub(crate) const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Bytes of content that the receiver has, or has been sent.
    pub(crate) const fn bytes(&self) -> u64 {
        self.sent
    }

    /// Everything is settled, and both sides know it: the receiver has nothing more to say.
    pub(crate) fn is_settled(&self) -> bool {
        self.end == End::Answered
    }

    /// Takes a message of the receiver.
    pub(crate) fn handle(&mut self, channel: u16, message: &Message<'_>) -> Result<(), Broken> {
        match *message {
            Message::Hello { version, .. } if !self.heard_greeting => {
                self.heard_greeting = true;
                if version == VERSION { Ok(()) } else { Err(Broken::Version(version)) }
            }
            Message::Offer(_) => Err(Broken::BothSend),
            _ if !self.heard_greeting => Err(Broken::Violation("no greeting")),
            _ if channel != CONTROL => Err(Broken::Violation("a message of the receiver on the data channel")),
            Message::Want { number, from } => self.on_want(number, from),
            Message::Done { number } => self.on_done(number),
            Message::Error { number, reason, text } => self.on_error(number, reason, text),
            Message::End(totals) if self.end == End::Sent => {
                self.end = End::Answered;
                if totals == self.totals { Ok(()) } else { Err(Broken::Violation("other totals than ours")) }
            }
            _ => Err(Broken::Violation("a message that is the sender's, or out of turn")),
        }
    }

    /// What to do next. [`Step::Wait`] until a message comes.
    pub(crate) fn poll(&mut self) -> Step {
        if !self.greeted {
            self.greeted = true;
            let (files, bytes) = self.expected;
            return Step::Send(Outgoing::new(CONTROL, &Message::Hello { version: VERSION, files, bytes }));
        }
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Step::Say(notice);
            }
            // Offers first: their answers travel while content does.
            if self.items.len() < UNSETTLED_MAX
                && self.open < AHEAD_MAX
                && let Some(entry) = self.tree.next()
            {
                match self.offer(entry) {
                    Some(outgoing) => return Step::Send(outgoing),
                    None => continue,
                }
            }
            return match self.wanted.pop_front() {
                Some(wanted) => self.read_on(wanted),
                None => self.finish(),
            };
        }
    }

    fn finish(&mut self) -> Step {
        // The walk gives nothing more where it gave nothing while there was room for offers.
        if !self.items.is_empty() {
            return Step::Wait;
        }
        match self.end {
            End::NotSent => {
                self.end = End::Sent;
                Step::Send(Outgoing::new(CONTROL, &Message::End(self.totals)))
            }
            End::Sent => Step::Wait,
            End::Answered => Step::Finished,
        }
    }

    /// Nothing where the entry cannot be offered.
    fn offer(&mut self, entry: Entry) -> Option<Outgoing> {
        match entry {
            Entry::File { name, source, .. } => self.offer_file(name, &source),
            Entry::Begin { name, meta } => Some(self.offer_item(name, Kind::Begin, meta, 0, Stage::Begin)),
            Entry::End { name, meta } => Some(self.offer_item(name, Kind::End, meta, 0, Stage::End)),
            Entry::Left(notice) => {
                match notice.what {
                    What::Skipped(_) => self.totals.skipped += 1,
                    What::Failed(reason, _) => self.totals.fail(reason),
                }
                self.notices.push_back(notice);
                None
            }
        }
    }

    fn offer_file(&mut self, name: Name, source: &Source) -> Option<Outgoing> {
        match source.open() {
            Ok(opened) => {
                let (meta, size) = (opened.meta, opened.size);
                self.open += 1;
                Some(self.offer_item(name, Kind::File, meta, size, Stage::Offered(Reader::new(opened))))
            }
            Err(error) => {
                self.fail(&name, Reason::of(&error), error.to_string());
                None
            }
        }
    }

    fn offer_item(&mut self, name: Name, kind: Kind, meta: Meta, size: u64, stage: Stage) -> Outgoing {
        let number = self.next_number;
        self.next_number += 1;
        let offer = Offer { number, kind, meta, size, path: name.as_bytes() };
        let outgoing = Outgoing::new(CONTROL, &Message::Offer(offer));
        self.items.insert(number, Item { name, stage });
        outgoing
    }

    /// Sends the next piece of a wanted file.
    fn read_on(&mut self, mut wanted: Wanted) -> Step {
        let number = wanted.number;
        if wanted.stopped {
            self.open -= 1;
            return Step::Send(Outgoing::new(DATA, &Message::Error { number, reason: Reason::Stopped, text: "" }));
        }
        match wanted.reader.next(number, &self.buffers) {
            Ok(Chunk::Content { tag, body, len }) => {
                self.sent += len;
                self.wanted.push_front(wanted);
                Step::Send(Outgoing { channel: DATA, tag, body })
            }
            Ok(Chunk::Skipped { len }) => {
                self.sent += len;
                self.wanted.push_front(wanted);
                Step::Again
            }
            Ok(Chunk::End(hash)) => self.end_file(number, wanted.reader.size(), hash),
            Err(failure) => self.give_up(number, &failure),
        }
    }

    fn end_file(&mut self, number: u64, size: u64, hash: [u8; HASH_LEN]) -> Step {
        self.open -= 1;
        if let Some(item) = self.items.get_mut(&number) {
            item.stage = Stage::Hashed(size);
        }
        Step::Send(Outgoing::new(DATA, &Message::Hash { number, hash }))
    }

    fn give_up(&mut self, number: u64, failure: &ReadFailure) -> Step {
        self.open -= 1;
        let (reason, text) = (failure.reason(), failure.to_string());
        if let Some(item) = self.items.remove(&number) {
            self.fail(&item.name, reason, text.clone());
        }
        Step::Send(Outgoing::new(DATA, &Message::Error { number, reason, text: &text }))
    }

    fn on_want(&mut self, number: u64, from: u64) -> Result<(), Broken> {
        let item = self.items.get_mut(&number).ok_or(Broken::Violation("an answer to no offer"))?;
        match std::mem::replace(&mut item.stage, Stage::Wanted) {
            Stage::Offered(mut reader) => {
                if !reader.skip_to(from) {
                    return Err(Broken::Violation("a want beyond the file's end"));
                }
                self.wanted.push_back(Wanted { number, reader, stopped: false });
                Ok(())
            }
            _ => Err(Broken::Violation("a second want, or of a directory")),
        }
    }

    fn on_done(&mut self, number: u64) -> Result<(), Broken> {
        let item = self.items.remove(&number).ok_or(Broken::Violation("an answer to no offer"))?;
        match item.stage {
            Stage::Hashed(size) => self.totals.file(size),
            Stage::End => self.totals.directories += 1,
            Stage::Begin => (),
            Stage::Offered(_) | Stage::Wanted => return Err(Broken::Violation("done before the end of the file")),
        }
        Ok(())
    }

    fn on_error(&mut self, number: u64, reason: Reason, text: &str) -> Result<(), Broken> {
        let Some(item) = self.items.remove(&number) else {
            // Ours may have crossed it: then it is counted already.
            return if number < self.next_number { Ok(()) } else { Err(Broken::Violation("an answer to no offer")) };
        };
        match item.stage {
            Stage::Offered(_) => self.open -= 1,
            Stage::Wanted => {
                self.wanted
                    .iter_mut()
                    .filter(|wanted| wanted.number == number)
                    .for_each(|wanted| wanted.stopped = true);
            }
            Stage::Hashed(_) | Stage::Begin => (),
            // Counted at its begin.
            Stage::End if reason == Reason::Directory => return Ok(()),
            Stage::End => (),
        }
        self.fail(&item.name, reason, peer_says(text));
        Ok(())
    }

    fn fail(&mut self, name: &Name, reason: Reason, text: String) {
        self.totals.fail(reason);
        self.notices.push_back(Notice { name: name.to_string(), what: What::Failed(reason, text) });
    }
}
