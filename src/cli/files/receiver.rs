//! The receiver's half of the file protocol, without a connection: `spec/files.md`, section "A transfer".
//!
//! Messages go in by [`Receiver::handle`]; what to do next comes out of [`Receiver::poll`]. It writes below one
//! directory and nowhere else, and holds one file open at a time. Dropped, it leaves nothing partial behind, unless
//! its policy keeps that.

use std::collections::VecDeque;
use std::io;

use rustix::fs::FileType;

use super::message::{CONTROL, DATA, HASH_LEN, Kind, Message, Meta, Offer, Reason, Totals, UNSETTLED_MAX, VERSION};
use super::name::{DEPTH_MAX, Escaped, Name};
use super::outcome::{Broken, Notice, What, peer_says};
use super::place::Place;
use super::step::{Outgoing, Step};
use super::writer::{Existing, Key, Partial};

/// Directories that may stand open within each other: those of the deepest name, and one that is refused for its depth.
const NESTING_MAX: usize = DEPTH_MAX + 1;

/// One transfer, as its receiver sees it.
pub(crate) struct Receiver {
    place: Place,
    policy: Policy,
    greeted: bool,
    expected: (u64, u64),
    next_number: u64,
    /// Wanted files and ends of directories, in the order of their offers: only the first is under way.
    pending: VecDeque<Pending>,
    nesting: Vec<Directory>,
    steps: VecDeque<Step>,
    totals: Totals,
    received: u64,
    end: Option<Totals>,
}

/// What the receiver's user wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// What is done with files that are there.
    pub(crate) existing: Existing,
    /// What is done with a file that is not whole when the connection ends.
    pub(crate) unfinished: Unfinished,
}

/// What is done with a file that is not whole when the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// It is removed.
    Remove,
    /// It is kept under a name of its own, and gone on with when it is offered again.
    Keep,
}

/// A directory between its begin and its end.
struct Directory {
    path: Vec<u8>,
    made: Made,
}

enum Made {
    /// By us, or we may treat it so: it gets mode and time.
    Ours(Name),
    /// It was there, and is left as it was.
    Theirs,
    /// It could not be.
    Refused,
}

enum Pending {
    File(Incoming),
    End { number: u64, meta: Meta, made: Made },
}

struct Incoming {
    number: u64,
    name: Name,
    meta: Meta,
    size: u64,
    content: Content,
}

enum Content {
    /// Nothing came yet, and nothing is there.
    Nothing,
    /// Nothing came yet, and so many bytes were kept.
    Kept(Key, u64),
    /// Some is written.
    Partial(Partial),
    /// It could not be written: the rest is let go.
    Discarded,
}

impl Receiver {
    /// Receives into `place`.
    pub(crate) const fn new(place: Place, policy: Policy) -> Self {
        Self {
            place,
            policy,
            greeted: false,
            expected: (0, 0),
            next_number: 0,
            pending: VecDeque::new(),
            nesting: Vec::new(),
            steps: VecDeque::new(),
            totals: Totals { files: 0, directories: 0, bytes: 0, skipped: 0, failed: 0, reason: None },
            received: 0,
            end: None,
        }
    }

    /// What became of the transfer so far; at its end, what the sender says too.
    pub(crate) fn totals(&self) -> &Totals {
        self.end.as_ref().unwrap_or(&self.totals)
    }

    /// True once the sender has said who it is.
    pub(crate) const fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Bytes of content that have come.
    pub(crate) const fn bytes(&self) -> u64 {
        self.received
    }

    /// Files and bytes that the sender expects to offer.
    pub(crate) const fn expected(&self) -> (u64, u64) {
        self.expected
    }

    /// What to do next. [`Step::Wait`] until a message comes.
    pub(crate) fn poll(&mut self) -> Step {
        match self.steps.pop_front() {
            Some(step) => step,
            None if self.end.is_some() => Step::Finished,
            None => Step::Wait,
        }
    }

    /// Takes a message of the sender.
    pub(crate) fn handle(&mut self, channel: u16, message: &Message<'_>) -> Result<(), Broken> {
        match *message {
            _ if self.end.is_some() => Err(Broken::Violation("a message after the end")),
            Message::Hello { version, files, bytes } if channel == CONTROL && !self.greeted => {
                self.greeted = true;
                self.expected = (files, bytes);
                if version != VERSION {
                    return Err(Broken::Version(version));
                }
                self.say(&Message::Hello { version: VERSION, files: 0, bytes: 0 });
                Ok(())
            }
            _ if !self.greeted => Err(Broken::Violation("no greeting")),
            Message::Offer(offer) if channel == CONTROL => self.on_offer(&offer),
            Message::End(totals) if channel == CONTROL => self.on_end(totals),
            Message::Data { number, content } if channel == DATA => self.on_data(number, content),
            Message::Hash { number, hash } if channel == DATA => self.on_hash(number, hash),
            Message::Error { number, reason, text } if channel == DATA => self.on_error(number, reason, text),
            _ => Err(Broken::Violation("a message that is the receiver's, or on the wrong channel")),
        }
    }

    fn on_offer(&mut self, offer: &Offer<'_>) -> Result<(), Broken> {
        if offer.number != self.next_number {
            return Err(Broken::Violation("a number out of order"));
        }
        if self.pending.len() >= UNSETTLED_MAX {
            return Err(Broken::Violation("too many offers ahead"));
        }
        self.next_number += 1;
        if offer.kind == Kind::End {
            return self.on_directory_end(offer);
        }
        let inside = self.nesting.last().map_or(&[][..], |directory| &directory.path);
        let name = Name::parse(offer.path);
        // A name that is not allowed lies nowhere.
        if name.as_ref().is_ok_and(|name| name.split().0 != inside) {
            return Err(Broken::Violation("a path outside the directory that was begun"));
        }
        match (offer.kind, name) {
            (Kind::File, Ok(name)) => self.on_file(offer, name),
            (Kind::File, Err(error)) => {
                self.refuse(offer.number, offer.path, Reason::Name, error.to_string());
                Ok(())
            }
            (_, name) => self.on_directory(offer, name.map_err(|error| (Reason::Name, error.to_string()))),
        }
    }

    fn on_file(&mut self, offer: &Offer<'_>, name: Name) -> Result<(), Broken> {
        match self.free(&name) {
            Ok(()) => {
                let (number, meta, size) = (offer.number, offer.meta, offer.size);
                let (content, from) = self.kept(&name, size, meta);
                self.received += from;
                self.pending.push_back(Pending::File(Incoming { number, name, meta, size, content }));
                self.say(&Message::Want { number, from });
            }
            Err((reason, text)) => self.refuse(offer.number, offer.path, reason, text),
        }
        Ok(())
    }

    /// Whether a file may stand under `name`, as it is now.
    fn free(&mut self, name: &Name) -> Result<(), (Reason, String)> {
        match (self.place.look(name), self.policy.existing) {
            (Ok(None), _) => Ok(()),
            (Ok(Some(FileType::Directory)), _) => Err((Reason::Exists, "a directory of that name is there".to_owned())),
            (Ok(Some(_)), Existing::Replace) => Ok(()),
            (Ok(Some(_)), Existing::Keep) => {
                Err((Reason::Exists, "is there already (--overwrite replaces)".to_owned()))
            }
            (Err(error), _) => Err(reason_of(&error)),
        }
    }

    /// What there is of a file already.
    fn kept(&mut self, name: &Name, size: u64, meta: Meta) -> (Content, u64) {
        match (self.policy.unfinished, self.place.parent(name)) {
            (Unfinished::Keep, Ok(dir)) => {
                let key = Key::new(name.as_bytes(), size, meta);
                let from = key.kept(&dir, size);
                (Content::Kept(key, from), from)
            }
            _ => (Content::Nothing, 0),
        }
    }

    fn on_directory(&mut self, offer: &Offer<'_>, name: Result<Name, (Reason, String)>) -> Result<(), Broken> {
        if self.nesting.len() >= NESTING_MAX {
            return Err(Broken::Violation("directories nested too deep"));
        }
        let made = name.and_then(|name| match self.place.make(&name) {
            Ok(new) if new || self.policy.existing == Existing::Replace => Ok(Made::Ours(name)),
            Ok(_) => Ok(Made::Theirs),
            Err(error) => Err(reason_of(&error)),
        });
        let made = match made {
            Ok(made) => {
                self.say(&Message::Done { number: offer.number });
                made
            }
            Err((reason, text)) => {
                self.refuse(offer.number, offer.path, reason, text);
                Made::Refused
            }
        };
        self.nesting.push(Directory { path: offer.path.to_vec(), made });
        Ok(())
    }

    fn on_directory_end(&mut self, offer: &Offer<'_>) -> Result<(), Broken> {
        match self.nesting.pop() {
            Some(Directory { path, made }) if path == offer.path => {
                self.pending.push_back(Pending::End { number: offer.number, meta: offer.meta, made });
                self.settle_ends();
                Ok(())
            }
            _ => Err(Broken::Violation("the end of a directory that was not begun last")),
        }
    }

    fn on_data(&mut self, number: u64, content: &[u8]) -> Result<(), Broken> {
        let mut file = self.under_way(number)?;
        self.received += content.len() as u64;
        let written = match self.partial(&mut file) {
            Ok(Some(partial)) if content.len() as u64 > file.size - partial.len() => {
                return Err(Broken::Violation("more content than offered"));
            }
            Ok(Some(mut partial)) => match partial.write(content) {
                Ok(()) => Ok(Content::Partial(partial)),
                Err(error) => {
                    partial.discard();
                    Err(error)
                }
            },
            Ok(None) => Ok(Content::Discarded),
            Err(error) => Err(error),
        };
        file.content = written.unwrap_or_else(|error| {
            let (reason, text) = reason_of(&error);
            self.refuse(number, file.name.as_bytes(), reason, text);
            Content::Discarded
        });
        self.pending.push_front(Pending::File(file));
        Ok(())
    }

    fn on_hash(&mut self, number: u64, hash: [u8; HASH_LEN]) -> Result<(), Broken> {
        let mut file = self.under_way(number)?;
        let placed = match self.partial(&mut file) {
            Ok(Some(partial)) if partial.len() != file.size => {
                return Err(Broken::Violation("less content than offered"));
            }
            Ok(Some(partial)) if partial.matches(hash) => {
                let (_, leaf) = file.name.split();
                partial.place(leaf, file.meta, self.policy.existing).map_err(|error| match reason_of(&error) {
                    // Taken since it was offered: said as if it had been before.
                    (Reason::Exists, text) => self.free(&file.name).err().unwrap_or((Reason::Exists, text)),
                    other => other,
                })
            }
            Ok(Some(partial)) => {
                partial.discard();
                Err((Reason::Integrity, "what arrived is not what was sent".to_owned()))
            }
            Ok(None) => {
                self.settle_ends();
                return Ok(());
            }
            Err(error) => Err(reason_of(&error)),
        };
        match placed {
            Ok(()) => {
                self.totals.file(file.size);
                self.say(&Message::Done { number });
            }
            Err((reason, text)) => self.refuse(number, file.name.as_bytes(), reason, text),
        }
        self.settle_ends();
        Ok(())
    }

    fn on_error(&mut self, number: u64, reason: Reason, text: &str) -> Result<(), Broken> {
        let file = self.under_way(number)?;
        match file.content {
            // What we gave up ourselves is counted already.
            Content::Discarded => (),
            content => {
                if let Content::Partial(partial) = content {
                    partial.discard();
                }
                self.fail(file.name.as_bytes(), reason, peer_says(text));
            }
        }
        self.settle_ends();
        Ok(())
    }

    fn on_end(&mut self, totals: Totals) -> Result<(), Broken> {
        if !self.pending.is_empty() || !self.nesting.is_empty() {
            return Err(Broken::Violation("the end before every item is settled"));
        }
        if !totals.arrivals_equal(&self.totals) {
            return Err(Broken::Violation("other totals than ours"));
        }
        self.say(&Message::End(totals));
        self.end = Some(totals);
        Ok(())
    }

    /// Takes the file that content comes for out of the queue: the first.
    fn under_way(&mut self, number: u64) -> Result<Incoming, Broken> {
        match self.pending.pop_front() {
            Some(Pending::File(file)) if file.number == number => Ok(file),
            _ => Err(Broken::Violation("content of another file than the one that is due")),
        }
    }

    /// Takes out what is there of the file, which is begun where that is nothing; `None` where it is let go.
    fn partial(&mut self, file: &mut Incoming) -> io::Result<Option<Partial>> {
        match std::mem::replace(&mut file.content, Content::Discarded) {
            Content::Partial(partial) => Ok(Some(partial)),
            Content::Discarded => Ok(None),
            Content::Nothing => Partial::create(self.place.parent(&file.name)?).map(Some),
            Content::Kept(key, from) => Partial::resume(self.place.parent(&file.name)?, &key, from).map(Some),
        }
    }

    /// Ends the directories that wait for nothing any more.
    fn settle_ends(&mut self) {
        while matches!(self.pending.front(), Some(Pending::End { .. })) {
            if let Some(Pending::End { number, meta, made }) = self.pending.pop_front() {
                self.settle_end(number, meta, &made);
            }
        }
    }

    fn settle_end(&mut self, number: u64, meta: Meta, made: &Made) {
        if let Made::Refused = made {
            return self.say(&Message::Error { number, reason: Reason::Directory, text: "" });
        }
        if let Made::Ours(name) = made
            && let Err(error) = self.place.finish(name, meta)
        {
            let (reason, text) = reason_of(&error);
            return self.refuse(number, name.as_bytes(), reason, text);
        }
        self.totals.directories += 1;
        self.say(&Message::Done { number });
    }

    /// Tells both the sender and the user that an item will not be there.
    fn refuse(&mut self, number: u64, path: &[u8], reason: Reason, text: String) {
        self.say(&Message::Error { number, reason, text: &text });
        self.fail(path, reason, text);
    }

    fn fail(&mut self, path: &[u8], reason: Reason, text: String) {
        self.totals.fail(reason);
        let name = Escaped(path).to_string();
        self.steps.push_back(Step::Say(Notice { name, what: What::Failed(reason, text) }));
    }

    fn say(&mut self, message: &Message<'_>) {
        self.steps.push_back(Step::Send(Outgoing::new(CONTROL, message)));
    }
}

fn reason_of(error: &io::Error) -> (Reason, String) {
    (Reason::of(error), error.to_string())
}
