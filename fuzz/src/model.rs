//! What must become of messages, whatever carries them: one [`Model`] for each direction of a connection.

use std::collections::BTreeMap;

use bytes::Bytes;
use udpair::message::{
    Arrival, ArrivalBody, CloseReport, Delivery, End, MessageId, Messages, ReadError, Select, SendError, Wanted, Whole,
    WriteError,
};

/// Channels in use, and how each delivers.
pub const MODES: [Delivery; 6] = [
    Delivery::Ordered,
    Delivery::Unordered,
    Delivery::Latest,
    Delivery::Unreliable,
    Delivery::Ordered,
    Delivery::Unordered,
];

/// What the receiving application has of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    Nothing,
    /// A stream, read so far.
    Reading(u64),
    /// All of it.
    Taken,
    /// It was told that the sender gave the message up.
    Reset,
    /// It refused the rest.
    Stopped,
}

#[derive(Clone, Debug)]
struct Message {
    tag: u16,
    len: Option<u64>,
    written: u64,
    finished: bool,
    reset: bool,
    got: Got,
}

/// One direction: what was sent there, and what of it arrived.
#[derive(Debug, Default)]
pub struct Model {
    messages: BTreeMap<(u16, u64), Message>,
    /// Streams being written.
    writing: Vec<(u16, u64)>,
    /// Streams being read.
    reading: Vec<(u16, u64)>,
    /// The newest value of each Latest channel that was handed over.
    latest: BTreeMap<u16, u64>,
}

/// The byte at `offset` of a message: the same on both sides without being kept.
fn byte(channel: u16, id: u64, offset: u64) -> u8 {
    let mixed = (offset ^ (offset >> 8)).wrapping_mul(31) ^ id.wrapping_mul(17) ^ u64::from(channel).wrapping_mul(101);
    mixed.to_le_bytes()[0]
}

fn content(channel: u16, id: u64, from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64).map(|offset| byte(channel, id, offset)).collect()
}

fn mode(channel: u16) -> Delivery {
    MODES[usize::from(channel)]
}

impl Model {
    /// How many messages were accepted for sending on a channel.
    fn next_id(&self, channel: u16) -> u64 {
        self.messages.range((channel, 0)..=(channel, u64::MAX)).next_back().map_or(0, |((_, id), _)| id + 1)
    }

    // ---- the sending application ----

    /// Sends a message of `len` bytes.
    pub fn send(&mut self, side: &mut Messages, channel: u16, len: usize) {
        let id = self.next_id(channel);
        let body = Bytes::from(content(channel, id, 0, len));
        let tag = channel ^ 0x55;
        match side.send(channel, tag, body) {
            Ok(MessageId(given)) => {
                assert_eq!(given, id, "numbers have no gaps");
                self.enter(
                    channel,
                    id,
                    Message { tag, len: Some(len as u64), written: len as u64, ..Message::new(true) },
                );
            }
            Err(SendError::TooLarge { .. }) => assert!(!reliable(channel), "reliable messages have any length"),
            Err(SendError::WouldBlock | SendError::Closing | SendError::Ended(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Begins a stream.
    pub fn begin(&mut self, side: &mut Messages, channel: u16, len: Option<u64>) {
        let tag = channel ^ 0xaa;
        match side.begin(channel, tag, len) {
            Ok(MessageId(id)) => {
                assert_eq!(id, self.next_id(channel), "numbers have no gaps");
                self.enter(channel, id, Message { tag, len, ..Message::new(false) });
                self.writing.push((channel, id));
            }
            Err(SendError::NotStreamable) => assert!(!reliable(channel)),
            Err(SendError::WouldBlock | SendError::Closing | SendError::Ended(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn enter(&mut self, channel: u16, id: u64, message: Message) {
        assert!(self.messages.insert((channel, id), message).is_none());
    }

    /// Writes at most `len` bytes to the `nth` stream being written.
    pub fn write(&mut self, side: &mut Messages, nth: usize, len: usize) {
        let Some(&key @ (channel, id)) = self.writing.get(nth % self.writing.len().max(1)) else { return };
        let message = self.messages.get_mut(&key).expect("entered");
        let left = message.len.map_or(u64::MAX, |len| len - message.written);
        let len = len.min(usize::try_from(left).unwrap_or(usize::MAX));
        match side.write(channel, MessageId(id), &content(channel, id, message.written, len)) {
            Ok(written) => {
                assert!(written <= len);
                message.written += written as u64;
            }
            Err(WriteError::WouldBlock) => {}
            Err(error) => self.write_failed(key, error),
        }
    }

    /// Ends the `nth` stream being written, if it is as long as announced.
    pub fn finish(&mut self, side: &mut Messages, nth: usize) {
        let Some(&key @ (channel, id)) = self.writing.get(nth % self.writing.len().max(1)) else { return };
        let message = self.messages.get_mut(&key).expect("entered");
        match side.finish_message(channel, MessageId(id)) {
            Ok(()) => {
                assert!(message.len.is_none_or(|len| len == message.written), "shorter than announced");
                message.finished = true;
                self.writing.retain(|held| *held != key);
            }
            Err(WriteError::Length { len }) => assert_eq!(message.len.filter(|_| len != message.written), Some(len)),
            Err(error) => self.write_failed(key, error),
        }
    }

    fn write_failed(&mut self, key: (u16, u64), error: WriteError) {
        let message = self.messages.get_mut(&key).expect("entered");
        match error {
            WriteError::Stopped { code } => {
                assert_eq!((message.got, code), (Got::Stopped, 9), "stopped by nobody");
                message.reset = true;
            }
            WriteError::Ended(_) => {}
            _ => panic!("{key:?}: {error}"),
        }
        self.writing.retain(|held| *held != key);
    }

    /// Gives a message up: the `nth` stream, or the `nth` message of a channel.
    pub fn reset(&mut self, side: &mut Messages, channel: u16, nth: usize, stream: bool) {
        let key = if stream {
            self.writing.get(nth % self.writing.len().max(1)).copied()
        } else {
            self.next_id(channel).checked_sub(1).map(|last| (channel, last.saturating_sub(nth as u64)))
        };
        let Some(key) = key.filter(|key| mode(key.0) != Delivery::Unreliable) else { return };
        side.reset(key.0, MessageId(key.1), 5);
        self.writing.retain(|held| *held != key);
        self.messages.get_mut(&key).expect("numbers have no gaps").reset = true;
    }

    /// Ends whatever is being written, as far as there is room. True when that changed anything.
    pub fn finish_all(&mut self, side: &mut Messages) -> bool {
        let before = (self.writing.len(), side.stats());
        for nth in (0..self.writing.len()).rev() {
            let (channel, id) = self.writing[nth];
            let message = &self.messages[&(channel, id)];
            if let Some(left) = message.len.map(|len| len - message.written).filter(|left| *left > 0) {
                self.write(side, nth, usize::try_from(left).expect("lengths are small here"));
            }
            if self.writing.get(nth) == Some(&(channel, id)) {
                self.finish(side, nth);
            }
        }
        before != (self.writing.len(), side.stats())
    }

    // ---- the receiving application ----

    /// Asks for a message. True when there was one.
    pub fn recv(&mut self, side: &mut Messages, select: Select) -> bool {
        match side.recv(select) {
            Ok(Some(arrival)) => {
                self.on_arrival(&arrival);
                true
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// Asks for a message with `tag` of at most `len_max` bytes as one buffer.
    pub fn recv_whole(&mut self, side: &mut Messages, select: Select, tag: u16, len_max: usize) {
        let wanted = Wanted { tags: Some(&[tag]), len_max: len_max as u64 };
        match side.recv_whole(select, &wanted) {
            Ok(Some(Whole::Taken(arrival))) => {
                assert_eq!(arrival.tag, tag, "not what was wanted");
                if let ArrivalBody::Whole(body) = &arrival.body {
                    assert!(body.len() <= len_max, "{} bytes, wanted {len_max}", body.len());
                }
                self.on_arrival(&arrival);
            }
            Ok(Some(Whole::Kept(preview))) => {
                let message = self.messages.get(&(preview.channel, preview.id.0)).expect("never sent");
                assert_eq!((message.tag, message.got), (preview.tag, Got::Nothing), "{preview:?}");
                assert!(
                    preview
                        .len
                        .is_none_or(|len| message.is_whole() && message.written == len || message.len == Some(len))
                );
                assert!(message.tag != tag || message.written > len_max as u64 || message.len > Some(len_max as u64));
            }
            Ok(None) | Err(_) => {}
        }
    }

    fn on_arrival(&mut self, arrival: &Arrival) {
        let (channel, id) = (arrival.channel, arrival.id.0);
        let message = self.messages.get(&(channel, id)).expect("a message that was never sent");
        assert_eq!((message.tag, message.got), (arrival.tag, Got::Nothing), "channel {channel} message {id}");
        match mode(channel) {
            Delivery::Ordered => {
                let lower = self.messages.range((channel, 0)..(channel, id));
                let skipped = lower.into_iter().find(|(_, lower)| lower.got == Got::Nothing && !lower.reset);
                assert!(skipped.is_none(), "{skipped:?} skipped by {id}");
            }
            Delivery::Latest => {
                let last = self.latest.insert(channel, id);
                assert!(last.is_none_or(|last| last < id), "channel {channel}: {last:?} before {id}");
            }
            Delivery::Unordered | Delivery::Unreliable => {}
        }
        let message = self.messages.get_mut(&(channel, id)).expect("seen above");
        match &arrival.body {
            ArrivalBody::Whole(body) => {
                assert!(message.is_whole() && message.written == body.len() as u64, "channel {channel} message {id}");
                assert!(*body == content(channel, id, 0, body.len()), "channel {channel} message {id}: wrong bytes");
                message.got = Got::Taken;
            }
            ArrivalBody::Stream { len } => {
                assert!(reliable(channel));
                assert!(len.is_none_or(|len| message.len == Some(len) || message.written == len), "{len:?}");
                message.got = Got::Reading(0);
                self.reading.push((channel, id));
            }
        }
    }

    /// Reads at most `len` bytes of the `nth` stream. True when that brought something.
    pub fn read(&mut self, side: &mut Messages, nth: usize, len: usize) -> bool {
        let Some(&key @ (channel, id)) = self.reading.get(nth % self.reading.len().max(1)) else { return false };
        let message = self.messages.get_mut(&key).expect("entered");
        let Got::Reading(at) = message.got else { panic!("{key:?} is not being read: {message:?}") };
        let mut buf = vec![0; len.max(1)];
        match side.read(channel, MessageId(id), &mut buf) {
            Ok(0) => {
                assert!(message.is_whole() && message.written == at, "{key:?} ends at {at}: {message:?}");
                message.got = Got::Taken;
            }
            Ok(read) => {
                assert!(buf[..read] == content(channel, id, at, read), "{key:?}: wrong bytes from {at}");
                message.got = Got::Reading(at + read as u64);
                assert!(message.written >= at + read as u64);
                return true;
            }
            Err(ReadError::WouldBlock) => return false,
            Err(ReadError::Reset { code: 5 }) if message.reset => message.got = Got::Reset,
            Err(ReadError::Ended(_)) => message.got = Got::Nothing,
            Err(error) => panic!("{key:?}: {error}"),
        }
        self.reading.retain(|held| *held != key);
        true
    }

    /// Refuses the rest of the `nth` stream.
    pub fn stop(&mut self, side: &mut Messages, nth: usize) {
        let Some(&key @ (channel, id)) = self.reading.get(nth % self.reading.len().max(1)) else { return };
        let message = self.messages.get_mut(&key).expect("entered");
        if message.took_all() {
            return; // whether it counts as taken would depend on whether the end has been heard
        }
        message.got = Got::Stopped;
        side.stop(channel, MessageId(id), 9);
        self.reading.retain(|held| *held != key);
    }

    /// Takes everything that there is. True when there was something.
    pub fn take_all(&mut self, side: &mut Messages) -> bool {
        let mut any = false;
        while self.recv(side, Select::Any) {
            any = true;
        }
        for channel in (0..).take(MODES.len()) {
            while self.recv(side, Select::One(channel)) {
                any = true;
            }
        }
        for nth in (0..self.reading.len()).rev() {
            while self.reading.get(nth).is_some() && self.read(side, nth, 10_000) {
                any = true;
            }
        }
        any
    }

    // ---- the end ----

    /// Everything that had to arrive has: to be called when nothing is under way any more.
    pub fn assert_complete(&self) {
        for ((channel, id), message) in &self.messages {
            let given_up = message.reset || matches!(message.got, Got::Stopped | Got::Reset);
            match mode(*channel) {
                Delivery::Ordered | Delivery::Unordered if !given_up => {
                    assert_eq!(message.got, Got::Taken, "channel {channel} message {id}: {message:?}");
                }
                Delivery::Latest if !given_up && *id + 1 == self.next_id(*channel) => {
                    assert_eq!(message.got, Got::Taken, "channel {channel}: the newest, {id}");
                }
                _ => {}
            }
        }
        assert!(self.reading.is_empty(), "streams without an end: {:?}", self.reading);
    }

    /// The report claims nothing that did not happen, and where `complete`, nothing less.
    pub fn check_report(&self, report: &CloseReport, complete: bool) {
        for channel in &report.channels {
            let of_channel = self.messages.range((channel.channel, 0)..=(channel.channel, u64::MAX));
            let taken: Vec<bool> = of_channel.filter(|(_, it)| it.took_all()).map(|(_, it)| it.reset).collect();
            // Of one that was given up after it was taken the sender need not have heard.
            let (least, most) = (taken.iter().filter(|reset| !**reset).count() as u64, taken.len() as u64);
            if mode(channel.channel) == Delivery::Unreliable {
                assert_eq!((channel.arrived_unread, channel.not_arrived), (0, 0));
            } else if complete {
                assert!((least..=most).contains(&channel.taken), "{channel:?}: {least} to {most} were taken");
                assert!(channel.all_taken(), "{channel:?}");
            } else {
                assert!(channel.taken <= most, "{channel:?}: only {most} were taken");
            }
        }
    }

    /// An end that nobody asked for.
    pub fn assert_no_violation(side: &Messages) {
        let ended = side.ended();
        assert!(!matches!(ended, Some(End::Violation(_) | End::ViolationByPeer { .. })), "{ended:?}");
    }
}

impl Message {
    const fn new(finished: bool) -> Self {
        Self { tag: 0, len: None, written: 0, finished, reset: false, got: Got::Nothing }
    }

    /// True when nothing can follow what is written: it was finished, or is as long as announced.
    fn is_whole(&self) -> bool {
        self.finished || self.len == Some(self.written)
    }

    /// True when the application has the last byte, whether or not it has noticed the end.
    fn took_all(&self) -> bool {
        match self.got {
            Got::Taken => true,
            Got::Reading(at) => self.is_whole() && at == self.written,
            Got::Nothing | Got::Reset | Got::Stopped => false,
        }
    }
}

fn reliable(channel: u16) -> bool {
    matches!(mode(channel), Delivery::Ordered | Delivery::Unordered)
}
