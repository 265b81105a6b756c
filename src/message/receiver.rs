//! The receiving side of a connection: its channels, the order in which messages became ready, and what the sender
//! is to be told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::credit::ReceiveCredit;
use super::error::ReadError;
use super::messages::Sent;
use super::order::Order;
use super::receive_channel::{Gathered, ReadyBody, ReceiveChannel, Shared};
use super::shelf::Shelf;
use super::whole::{Preview, Wanted, Whole};
use super::{GAPS_MAX, Limits, MessageId, Select, Violation};
use crate::wire::{Data, Frame, shrink_queue};

/// Channels from here on belong to the library: their messages are never given to whoever asks for any.
const LIBRARY_CHANNELS: u16 = 65_280;
/// Room that a credit or STOP frame takes at the most.
const CONTROL_LEN_MAX: usize = 1 + 4 + 8 + 8;

/// A message handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its channel.
    pub channel: u16,
    /// Its number there.
    pub id: MessageId,
    /// The content tag that the sender gave it.
    pub tag: u16,
    /// Its content, or the way to it.
    pub body: ArrivalBody,
}

/// The content of a message handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArrivalBody {
    /// All of it.
    Whole(Bytes),
    /// It is long, or being written still: to be read piece by piece.
    Stream {
        /// How long it is in all, where the sender announced it.
        len: Option<u64>,
    },
}

#[derive(Clone, Copy, Debug)]
enum Control {
    CreditConnection,
    CreditChannel(u16),
    Stop { channel: u16, message: u64, code: u32 },
}

#[derive(Debug)]
pub(super) struct Receiver {
    channels: BTreeMap<u16, ReceiveChannel>,
    /// The channel of every ready message that is for whoever asks for any, in the order of becoming ready.
    order: Order,
    shared: Shared,
    channel_window: u64,
    control: VecDeque<Control>,
    credit_queued: bool,
    /// Channels with messages taken that the sender has not been told of. No hurry: it rides along.
    taken: BTreeSet<u16>,
}

impl Receiver {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            channels: BTreeMap::new(),
            order: Order::default(),
            shared: Shared {
                credit: ReceiveCredit::new(limits.credit_connection),
                shelf: Shelf::new(limits.credit_connection),
                gaps: 0,
                unreliable: 0,
                message_len_max: limits.message_len_max,
                over: false,
            },
            channel_window: limits.credit_channel,
            control: VecDeque::new(),
            credit_queued: false,
            taken: BTreeSet::new(),
        }
    }

    /// Does something to a channel, and notes what that made ready and what credit it set free.
    fn change<T>(&mut self, number: u16, change: impl FnOnce(&mut ReceiveChannel, &mut Shared) -> T) -> T {
        let window = self.channel_window;
        let new = || ReceiveChannel::new(window, number >= LIBRARY_CHANNELS);
        let channel = self.channels.entry(number).or_insert_with(new);
        let (ready, apart) = (channel.ready_len(), channel.runs_apart());
        let result = change(channel, &mut self.shared);
        self.shared.gaps = self.shared.gaps + channel.runs_apart() - apart;
        if !channel.private {
            self.order.add(number, channel.ready_len().saturating_sub(ready));
            // Taken, or given up for newer ones: the oldest of the channel either way.
            self.order.remove_oldest(number, ready.saturating_sub(channel.ready_len()));
        }
        if channel.credit_due() && !core::mem::replace(&mut channel.credit_queued, true) {
            self.control.push_back(Control::CreditChannel(number));
        }
        if !channel.taken.is_empty() {
            self.taken.insert(number);
        }
        if self.shared.credit.due() && !core::mem::replace(&mut self.credit_queued, true) {
            self.control.push_back(Control::CreditConnection);
        }
        result
    }

    pub(super) fn handle_data(&mut self, data: &Data<'_>) -> Result<bool, Violation> {
        let ended = self.change(data.channel, |channel, shared| channel.handle_data(data, shared))?;
        self.check_gaps()?;
        Ok(ended)
    }

    pub(super) fn handle_reset(&mut self, number: u16, id: u64, size: u64, code: u32) -> Result<(), Violation> {
        self.change(number, |channel, shared| channel.handle_reset(id, size, code, shared))?;
        self.check_gaps()
    }

    const fn check_gaps(&self) -> Result<(), Violation> {
        if self.shared.gaps > GAPS_MAX { Err(Violation::Gaps) } else { Ok(()) }
    }

    /// Hands over the next message that `select` means.
    pub(super) fn recv(&mut self, select: Select) -> Option<Arrival> {
        let number = self.select(select)?;
        self.take(number)
    }

    /// Hands over the next message that `select` means as one buffer, if it is what is wanted.
    pub(super) fn recv_whole(&mut self, select: Select, wanted: &Wanted<'_>) -> Option<Whole> {
        let number = self.select(select)?;
        let (id, tag, len) = self.channels.get(&number)?.next()?;
        let preview = Preview { channel: number, id: MessageId(id), tag, len };
        if !wanted.is(&preview) {
            return Some(Whole::Kept(preview));
        }
        match self.change(number, |channel, shared| channel.gather(wanted.len_max, shared)) {
            Gathered::Ready => self.take(number).map(Whole::Taken),
            Gathered::Coming => None,
            Gathered::TooLong => Some(Whole::Kept(preview)),
        }
    }

    /// The channel that `select` means: where it is one, for those alone who ask for it from now on.
    fn select(&mut self, select: Select) -> Option<u16> {
        match select {
            Select::Any => self.order.first(),
            Select::One(number) => {
                self.make_private(number);
                Some(number)
            }
        }
    }

    fn take(&mut self, number: u16) -> Option<Arrival> {
        let ready = self.change(number, ReceiveChannel::take)?;
        let body = match ready.body {
            ReadyBody::Whole(bytes) => ArrivalBody::Whole(bytes),
            ReadyBody::Stream { len } => ArrivalBody::Stream { len },
        };
        Some(Arrival { channel: number, id: MessageId(ready.id), tag: ready.tag, body })
    }

    /// From now on the channel's messages are for those who ask for them.
    fn make_private(&mut self, number: u16) {
        let was = self.change(number, |channel, _| core::mem::replace(&mut channel.private, true));
        if !was {
            self.order.remove_all(number);
        }
    }

    pub(super) fn readable(&self, select: Select) -> bool {
        let number = match select {
            Select::Any => self.order.first(),
            Select::One(number) => Some(number),
        };
        number.and_then(|number| self.channels.get(&number)).is_some_and(ReceiveChannel::offers)
    }

    /// True when no message is for whoever asks for any, not even one that is being put together.
    pub(super) fn has_nothing(&self) -> bool {
        self.order.is_empty()
    }

    /// True when anything is ready, on whatever channel.
    pub(super) fn has_ready(&self) -> bool {
        self.channels.values().any(|channel| channel.ready_len() > 0)
    }

    pub(super) fn read(&mut self, number: u16, id: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        self.change(number, |channel, shared| channel.read(id, buf, shared))
    }

    pub(super) fn stream_readable(&self, number: u16, id: u64) -> bool {
        self.channels.get(&number).is_none_or(|channel| channel.stream_readable(id))
    }

    pub(super) fn stop(&mut self, number: u16, id: u64, code: u32) {
        if self.change(number, |channel, shared| channel.stop(id, shared)) {
            self.queue_stop(number, id, code);
        }
    }

    fn queue_stop(&mut self, channel: u16, message: u64, code: u32) {
        self.shared.gaps += 1;
        self.control.push_back(Control::Stop { channel, message, code });
    }

    pub(super) fn wants_fill(&self) -> bool {
        !self.control.is_empty()
    }

    /// True when the sender could be told of messages taken.
    pub(super) fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Writes frames of credit and refusals, then of messages taken, into at most `room` bytes.
    pub(super) fn fill(&mut self, out: &mut Vec<u8>, room: usize, sent: &mut Vec<Sent>) {
        let end = out.len() + room;
        while let Some(&control) = self.control.front() {
            if end - out.len() < CONTROL_LEN_MAX {
                return;
            }
            self.control.pop_front();
            shrink_queue(&mut self.control);
            self.put_control(control, out, sent);
        }
        self.fill_taken(out, end - out.len(), sent);
    }

    /// Writes frames of messages taken into at most `room` bytes.
    pub(super) fn fill_taken(&mut self, out: &mut Vec<u8>, room: usize, sent: &mut Vec<Sent>) {
        let end = out.len() + room;
        while let Some(&number) = self.taken.first() {
            let channel = self.channels.get_mut(&number).expect("channels are never removed");
            let apart = channel.runs_apart();
            let told = Frame::put_taken(out, end - out.len(), number, &mut channel.taken);
            self.shared.gaps = self.shared.gaps + channel.runs_apart() - apart;
            if told.is_empty() {
                return;
            }
            sent.extend(told.iter().map(|ids| Sent::Taken { channel: number, from: ids.start, to: ids.end }));
            if channel.taken.is_empty() {
                self.taken.pop_first();
            }
        }
    }

    fn put_control(&mut self, control: Control, out: &mut Vec<u8>, sent: &mut Vec<Sent>) {
        match control {
            Control::CreditConnection => {
                self.credit_queued = false;
                Frame::CreditConnection { limit: self.shared.credit.advertise() }.put(out);
                sent.push(Sent::CreditConnection);
            }
            Control::CreditChannel(number) => {
                let channel = self.channels.get_mut(&number).expect("channels are never removed");
                channel.credit_queued = false;
                Frame::CreditChannel { channel: number, limit: channel.advertise() }.put(out);
                sent.push(Sent::CreditChannel { channel: number });
            }
            Control::Stop { channel, message, code } => {
                self.shared.gaps -= 1;
                Frame::Stop { channel, message, code }.put(out);
                sent.push(Sent::Stop { channel, message, code });
            }
        }
    }

    /// What was told was lost: credit is told anew with what is due now, the rest as it was.
    pub(super) fn on_lost(&mut self, sent: &Sent) {
        match *sent {
            Sent::CreditConnection if self.credit_queued => {}
            Sent::CreditConnection => {
                self.credit_queued = true;
                self.control.push_back(Control::CreditConnection);
            }
            Sent::CreditChannel { channel: number } => {
                let channel = self.channels.get_mut(&number).expect("channels are never removed");
                if !core::mem::replace(&mut channel.credit_queued, true) {
                    self.control.push_back(Control::CreditChannel(number));
                }
            }
            Sent::Stop { channel, message, code } => self.queue_stop(channel, message, code),
            Sent::Taken { channel: number, from, to } => {
                let channel = self.channels.get_mut(&number).expect("channels are never removed");
                let apart = channel.runs_apart();
                channel.taken.insert(from..to);
                self.shared.gaps = self.shared.gaps + channel.runs_apart() - apart;
                self.taken.insert(number);
            }
            _ => {}
        }
    }

    /// What the peer sent and the application has not taken, in credit bytes.
    pub(super) const fn held(&self) -> u64 {
        self.shared.credit.held() + self.shared.shelf.held()
    }

    /// How many pieces stand apart.
    pub(super) const fn gaps(&self) -> usize {
        self.shared.gaps
    }

    /// What unreliable messages take up that nobody has taken, in bytes.
    pub(super) const fn unreliable_unread(&self) -> usize {
        self.shared.unreliable
    }

    /// True when all of a message has arrived, or nothing more is wanted of it.
    pub(super) fn has_arrived(&self, number: u16, id: u64) -> bool {
        self.channels.get(&number).is_some_and(|channel| channel.has_arrived(id))
    }

    pub(super) fn superseded(&self) -> u64 {
        self.channels.values().map(ReceiveChannel::superseded).sum()
    }

    /// The connection is over: what is not ready will never be. What was taken may still be told with our CLOSE.
    pub(super) fn drop_unready(&mut self) {
        self.shared.over = true;
        for channel in self.channels.values_mut() {
            channel.drop_unready();
        }
        self.control.clear();
    }
}
