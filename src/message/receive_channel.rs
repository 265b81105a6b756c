//! The receiving side of one channel: what is being put together, what is ready, and in which order.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::assembly::Assembly;
use super::credit::ReceiveCredit;
use super::receipts::VALUE_RANGES_MAX;
use super::shelf::Shelf;
use super::{
    Delivery, MESSAGE_COST, ReadError, UNRELIABLE_LEN_MAX, UNRELIABLE_UNREAD_LEN_MAX, UNRELIABLE_UNREAD_MAX, Violation,
};
use crate::wire::{Data, MessageStart, RangeSet, shrink_queue};

/// What is ready for the application.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) id: u64,
    pub(super) tag: u16,
    pub(super) body: ReadyBody,
    /// The credit that comes back when it is taken.
    cost: u64,
    /// The connection's is back already: it stands on the shelf.
    shelved: bool,
}

impl Ready {
    /// What it takes up in memory, in bytes.
    fn held(&self) -> usize {
        let content = match &self.body {
            ReadyBody::Whole(bytes) => bytes.len(),
            ReadyBody::Stream { .. } => 0,
        };
        content + size_of::<Self>()
    }
}

#[derive(Debug)]
pub(super) enum ReadyBody {
    Whole(Bytes),
    Stream { len: Option<u64> },
}

/// What all channels of a connection share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) credit: ReceiveCredit,
    /// Values that are here and that nobody has taken cost the connection no credit, up to a limit: what nobody reads
    /// is not to keep the values from coming that are to replace it, nor anything else.
    pub(super) shelf: Shelf,
    /// Pieces that stand apart in all messages together, runs of settled messages and of those to be told as taken that
    /// do in all channels, and refusals that wait to be told.
    pub(super) gaps: usize,
    /// What unreliable messages take up that nobody has taken, of all channels together, in bytes.
    pub(super) unreliable: usize,
    pub(super) message_len_max: u64,
    /// The connection has ended: nothing more comes.
    pub(super) over: bool,
}

/// What there is of the next message for somebody who wants it as one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    /// It is ready: all of it or, where it will never be whole, a stream whose reader learns why.
    Ready,
    /// It is on its way.
    Coming,
    /// It is longer than that somebody allows.
    TooLong,
}

#[derive(Debug)]
pub(super) struct ReceiveChannel {
    delivery: Option<Delivery>,
    /// Somebody asks for this channel's messages alone.
    pub(super) private: bool,
    /// `Ordered`: the next to surface. `Latest`: older ones are of no interest.
    next: u64,
    /// Settled beyond `next`.
    done: RangeSet,
    open: BTreeMap<u64, Assembly>,
    ready: VecDeque<Ready>,
    /// Somebody wants the stream in front of `ready` as one buffer, if it is no longer than this: nobody gets it
    /// before it is whole.
    gathering: Option<u64>,
    credit: ReceiveCredit,
    /// Taken, and the sender is to be told.
    pub(super) taken: RangeSet,
    /// Values that nobody took before a newer one came.
    superseded: u64,
    /// True while a credit frame for the channel is queued.
    pub(super) credit_queued: bool,
}

impl ReceiveChannel {
    pub(super) const fn new(window: u64, private: bool) -> Self {
        Self {
            delivery: None,
            private,
            next: 0,
            done: RangeSet::new(),
            open: BTreeMap::new(),
            ready: VecDeque::new(),
            gathering: None,
            credit: ReceiveCredit::new(window),
            taken: RangeSet::new(),
            superseded: 0,
            credit_queued: false,
        }
    }

    pub(super) fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// True when [`take`](Self::take) gives something.
    pub(super) fn offers(&self) -> bool {
        !self.ready.is_empty() && self.gathering.is_none()
    }

    /// The next message's number, tag and length, where there is one.
    pub(super) fn next(&self) -> Option<(u64, u16, Option<u64>)> {
        let ready = self.ready.front()?;
        let len = match &ready.body {
            ReadyBody::Whole(bytes) => Some(bytes.len() as u64),
            ReadyBody::Stream { len } => len.or_else(|| self.open.get(&ready.id)?.total()),
        };
        Some((ready.id, ready.tag, len))
    }

    /// Sees to it that the next message is handed over as one buffer, if it is no longer than `len_max`. What comes of
    /// it then costs no credit any more.
    pub(super) fn gather(&mut self, len_max: u64, shared: &mut Shared) -> Gathered {
        let Some(Ready { id, body: ReadyBody::Stream { .. }, .. }) = self.ready.front() else { return Gathered::Ready };
        let can_be = |assembly: &&Assembly| assembly.is_untouched() && (assembly.complete() || !shared.over);
        if self.open.get(id).filter(can_be).is_none_or(|assembly| assembly.reset.is_some()) {
            return Gathered::Ready;
        }
        self.gathering = Some(self.gathering.unwrap_or(0).max(len_max));
        self.gather_on(shared);
        match self.ready.front() {
            _ if self.gathering.is_some() => Gathered::Coming,
            Some(Ready { body: ReadyBody::Stream { .. }, .. }) => Gathered::TooLong,
            _ => Gathered::Ready,
        }
    }

    /// More has come of what is being gathered, or nothing more will.
    fn gather_on(&mut self, shared: &mut Shared) {
        let (Some(len_max), Some(front)) = (self.gathering, self.ready.front_mut()) else { return };
        let id = front.id;
        let assembly = self.open.get_mut(&id).filter(|it| it.reset.is_none() && it.is_untouched());
        let Some(assembly) = assembly.filter(|assembly| assembly.len_min() <= len_max) else {
            self.gathering = None;
            return;
        };
        let cost = assembly.give_back();
        if assembly.complete() {
            self.gathering = None;
            front.cost = MESSAGE_COST;
            front.body = ReadyBody::Whole(Bytes::from(core::mem::take(assembly).into_content()));
            self.open.remove(&id);
            if id >= self.next {
                self.settle(id);
            }
        }
        self.release(shared, cost);
    }

    /// How many runs of messages stand apart, of those settled and of those taken that are to be told. Of values taken
    /// there are only so many.
    pub(super) fn runs_apart(&self) -> usize {
        let told = if self.delivery == Some(Delivery::Latest) { 0 } else { self.taken.range_count() };
        self.done.range_count() + told
    }

    pub(super) const fn superseded(&self) -> u64 {
        self.superseded
    }

    pub(super) const fn credit_due(&self) -> bool {
        self.credit.due()
    }

    pub(super) const fn advertise(&mut self) -> u64 {
        self.credit.advertise()
    }

    fn charge(&mut self, shared: &mut Shared, cost: u64) -> Result<(), Violation> {
        if self.credit.charge(cost) && shared.credit.charge(cost) { Ok(()) } else { Err(Violation::Credit) }
    }

    const fn release(&mut self, shared: &mut Shared, cost: u64) {
        self.credit.release(cost);
        shared.credit.release(cost);
    }

    /// Nothing more is wanted of this message.
    fn settled(&self, id: u64) -> bool {
        id < self.next || self.done.contains(id)
    }

    /// All of the message is here, or nothing more is wanted of it.
    pub(super) fn has_arrived(&self, id: u64) -> bool {
        // A stream that has its turn counts as settled while it is still coming.
        self.open.get(&id).map_or_else(|| self.settled(id), Assembly::complete)
    }

    fn settle(&mut self, id: u64) {
        if matches!(self.delivery, Some(Delivery::Latest | Delivery::Unreliable)) {
            self.next = self.next.max(id + 1);
            return;
        }
        self.done.insert_one(id);
        // Where nothing is missing below, one number stands for all; in order, that is `surface_in_order`'s work.
        let lowest = self.done.first().filter(|first| first.start <= self.next);
        if let (Some(lowest), true) = (lowest, self.delivery != Some(Delivery::Ordered)) {
            self.next = self.next.max(lowest.end);
            self.done.pop_first();
        }
    }

    /// Takes a chunk in. True when it ended a message.
    pub(super) fn handle_data(&mut self, data: &Data<'_>, shared: &mut Shared) -> Result<bool, Violation> {
        if let Some(start) = data.start {
            self.fix_mode(start.delivery)?;
            let one_datagram = data.fin && data.payload.len() <= UNRELIABLE_LEN_MAX;
            match start.delivery {
                Delivery::Unreliable if !one_datagram => return Err(Violation::Contradiction),
                Delivery::Unreliable => {
                    self.receive_unreliable(data, start, shared);
                    return Ok(true);
                }
                Delivery::Latest if one_datagram => {
                    if !self.settled(data.message) && !self.open.contains_key(&data.message) {
                        self.replace(shared, ready_whole(data, start, 0));
                    }
                    return Ok(true);
                }
                _ => {}
            }
        }
        let known = self.open.contains_key(&data.message);
        if !known && self.settled(data.message) {
            return Ok(false);
        }
        if !known && self.receive_at_once(data, shared)? {
            return Ok(true);
        }
        self.assemble(data, shared)
    }

    fn fix_mode(&mut self, delivery: Delivery) -> Result<(), Violation> {
        match self.delivery {
            Some(held) if held != delivery => Err(Violation::Mode),
            Some(_) => Ok(()),
            None if delivery == Delivery::Unreliable && !self.open.is_empty() => Err(Violation::Mode),
            None => {
                self.delivery = Some(delivery);
                Ok(())
            }
        }
    }

    /// Makes room by dropping the channel's oldest; where it has none, the message itself is dropped.
    fn receive_unreliable(&mut self, data: &Data<'_>, start: MessageStart, shared: &mut Shared) {
        let newer = ready_whole(data, start, 0);
        let len = newer.held();
        while self.ready.len() == UNRELIABLE_UNREAD_MAX || shared.unreliable + len > UNRELIABLE_UNREAD_LEN_MAX {
            self.superseded += 1;
            let Some(older) = self.ready.pop_front() else { return };
            shared.unreliable -= older.held();
        }
        shared.unreliable += len;
        self.ready.push_back(newer);
    }

    /// A message that was ready is gone from here.
    const fn release_ready(&mut self, shared: &mut Shared, ready: &Ready) {
        self.credit.release(ready.cost);
        if ready.shelved {
            shared.shelf.take(ready.cost);
        } else {
            shared.credit.release(ready.cost);
        }
    }

    /// A newer value takes the place of the one that nobody took.
    fn replace(&mut self, shared: &mut Shared, mut newer: Ready) {
        if let Some(older) = self.ready.pop_front() {
            self.release_ready(shared, &older);
            self.superseded += 1;
        }
        newer.shelved = shared.shelf.put(newer.cost);
        if newer.shelved {
            shared.credit.release(newer.cost);
        }
        self.settle(newer.id);
        self.ready.push_back(newer);
    }

    /// The short way for a message that comes in one chunk when its turn is now. False when it must go the long way.
    fn receive_at_once(&mut self, data: &Data<'_>, shared: &mut Shared) -> Result<bool, Violation> {
        let len = data.payload.len() as u64;
        let (Some(start), true) = (data.start, data.fin && len <= shared.message_len_max) else { return Ok(false) };
        if start.delivery == Delivery::Ordered && data.message != self.next {
            return Ok(false);
        }
        let cost = MESSAGE_COST + len;
        self.charge(shared, cost)?;
        let ready = ready_whole(data, start, cost);
        match start.delivery {
            Delivery::Latest => self.replace(shared, ready),
            Delivery::Ordered => {
                self.ready.push_back(ready);
                self.next += 1;
                self.surface_in_order(shared);
            }
            _ => {
                self.ready.push_back(ready);
                self.settle(data.message);
            }
        }
        Ok(true)
    }

    fn assemble(&mut self, data: &Data<'_>, shared: &mut Shared) -> Result<bool, Violation> {
        let id = data.message;
        // Of a message that goes whole the sender spends all when it begins: so does what is set apart for it.
        let announced = data.start.and_then(|start| start.len).filter(|len| *len <= shared.message_len_max);
        let reach = announced.unwrap_or(0).max(data.end());
        let (cost, gaps) = match self.open.get(&id) {
            Some(assembly) if assembly.reset.is_some() => return Ok(false),
            Some(assembly) => {
                assembly.check(data)?;
                (assembly.raises(reach), assembly.gaps())
            }
            None => {
                Assembly::default().check(data)?;
                (MESSAGE_COST + reach, 0)
            }
        };
        self.charge(shared, cost)?;
        let assembly = self.open.entry(id).or_default();
        if let Some(len) = announced {
            assembly.announce(len);
        }
        assembly.insert(data);
        shared.gaps = shared.gaps + assembly.gaps() - gaps;
        let complete = assembly.complete();
        if assembly.discarded() {
            self.release(shared, cost);
            if complete {
                self.forget(id, shared);
            }
            return Ok(complete);
        }
        match self.delivery {
            None => {}
            Some(Delivery::Ordered) => self.surface_in_order(shared),
            Some(_) => self.surface(id, shared),
        }
        self.gather_on(shared);
        Ok(complete)
    }

    /// Makes a message ready, if it is far enough.
    fn surface(&mut self, id: u64, shared: &mut Shared) {
        let Some(assembly) = self.open.get_mut(&id) else { return };
        let Some(start) = assembly.start() else { return };
        let whole = start.len.is_some_and(|len| len <= shared.message_len_max);
        if self.delivery == Some(Delivery::Latest) && assembly.complete() && id < self.next {
            let unread = assembly.discard();
            self.release(shared, unread);
            self.forget(id, shared);
        } else if whole && assembly.complete() {
            let assembly = self.open.remove(&id).expect("found above");
            let cost = MESSAGE_COST + assembly.highest();
            let body = ReadyBody::Whole(Bytes::from(assembly.into_content()));
            let ready = Ready { id, tag: start.tag, body, cost, shelved: false };
            if self.delivery == Some(Delivery::Latest) {
                self.replace(shared, ready);
            } else {
                self.ready.push_back(ready);
                self.settle(id);
            }
        } else if !whole && !assembly.surfaced && self.delivery != Some(Delivery::Latest) {
            assembly.surfaced = true;
            let body = ReadyBody::Stream { len: start.len };
            self.ready.push_back(Ready { id, tag: start.tag, body, cost: 0, shelved: false });
        }
    }

    /// Makes ready what has its turn.
    fn surface_in_order(&mut self, shared: &mut Shared) {
        if self.delivery != Some(Delivery::Ordered) {
            return;
        }
        loop {
            let id = self.next;
            let ready = self.ready.len();
            if self.open.contains_key(&id) {
                self.surface(id, shared);
                if self.ready.len() == ready {
                    return;
                }
            } else if !self.done.contains(id) {
                return;
            }
            self.next += 1;
            self.done.remove(id..id + 1);
        }
    }

    /// The sender gives a message up.
    pub(super) fn handle_reset(&mut self, id: u64, size: u64, code: u32, shared: &mut Shared) -> Result<(), Violation> {
        let known = self.open.get(&id);
        if known.is_none() && self.settled(id) {
            return Ok(());
        }
        let (highest, first) = known.map_or((0, MESSAGE_COST), |assembly| (assembly.highest(), 0));
        let more = size.checked_sub(highest).ok_or(Violation::Contradiction)?;
        if known.is_some_and(|assembly| assembly.reset.is_some() || (assembly.complete() && !assembly.discarded())) {
            return Ok(());
        }
        self.charge(shared, first + more)?;
        // What nobody will read comes back at once.
        let Some(assembly) = self.open.get_mut(&id) else {
            self.release(shared, first + more);
            self.settle(id);
            self.surface_in_order(shared);
            return Ok(());
        };
        // A reader that is still there is to learn of it; else the message is forgotten.
        let has_reader = assembly.surfaced && !assembly.discarded();
        let unread = assembly.discard();
        assembly.reset = Some(code);
        self.release(shared, unread + more);
        self.gather_on(shared);
        if !has_reader {
            self.forget(id, shared);
            self.surface_in_order(shared);
        }
        Ok(())
    }

    /// Drops a message that is settled, and gives back what it cost to keep.
    fn forget(&mut self, id: u64, shared: &mut Shared) {
        if let Some(assembly) = self.open.remove(&id) {
            shared.gaps -= assembly.gaps();
            self.release(shared, MESSAGE_COST);
            if id >= self.next {
                self.settle(id);
            }
        }
    }

    /// Hands the next one over.
    pub(super) fn take(&mut self, shared: &mut Shared) -> Option<Ready> {
        if !self.offers() {
            return None;
        }
        let ready = self.ready.pop_front()?;
        shrink_queue(&mut self.ready);
        self.release_ready(shared, &ready);
        if self.delivery == Some(Delivery::Unreliable) {
            shared.unreliable -= ready.held();
        } else if matches!(ready.body, ReadyBody::Whole(_)) {
            self.taken.insert_one(ready.id);
            // Values leave gaps between them and cost no credit: of those that could not be told, the newest are kept.
            while self.delivery == Some(Delivery::Latest) && self.taken.range_count() > VALUE_RANGES_MAX {
                self.taken.pop_first();
            }
        }
        Some(ready)
    }

    pub(super) fn read(&mut self, id: u64, buf: &mut [u8], shared: &mut Shared) -> Result<usize, ReadError> {
        let assembly = self.open.get_mut(&id).filter(|assembly| assembly.surfaced).ok_or(ReadError::Unknown)?;
        if let Some(code) = assembly.reset {
            self.forget(id, shared);
            return Err(ReadError::Reset { code });
        }
        let held = assembly.unread();
        let len = assembly.read(buf);
        let cost = held - assembly.unread();
        let at_end = assembly.at_end();
        if at_end && !core::mem::replace(&mut assembly.taken, true) {
            // The end itself is told by the next read, of 0 bytes: the message stays known until then.
            self.taken.insert_one(id);
        }
        self.release(shared, cost);
        if len == 0 && !buf.is_empty() {
            if !at_end {
                return Err(ReadError::WouldBlock);
            }
            self.forget(id, shared);
        }
        Ok(len)
    }

    pub(super) fn stream_readable(&self, id: u64) -> bool {
        self.open.get(&id).is_none_or(|assembly| assembly.readable() || assembly.reset.is_some())
    }

    /// The application does not want the rest. True when the sender must be told.
    pub(super) fn stop(&mut self, id: u64, shared: &mut Shared) -> bool {
        let Some(assembly) = self.open.get_mut(&id).filter(|assembly| assembly.surfaced && !assembly.discarded())
        else {
            self.forget_reset(id, shared);
            return false;
        };
        let (complete, taken) = (assembly.complete(), assembly.taken);
        let unread = assembly.discard();
        self.release(shared, unread);
        if complete {
            self.forget(id, shared);
        }
        // Where all has arrived nothing more will come, but the sender waits to hear that it was taken.
        !taken
    }

    fn forget_reset(&mut self, id: u64, shared: &mut Shared) {
        if self.open.get(&id).is_some_and(|assembly| assembly.reset.is_some()) {
            self.forget(id, shared);
        }
    }

    /// The connection is over: what is not ready will never be.
    pub(super) fn drop_unready(&mut self) {
        self.open.retain(|_, assembly| assembly.surfaced && !assembly.discarded());
        self.gathering = None;
    }
}

fn ready_whole(data: &Data<'_>, start: MessageStart, cost: u64) -> Ready {
    let body = ReadyBody::Whole(Bytes::copy_from_slice(data.payload));
    Ready { id: data.message, tag: start.tag, body, cost, shelved: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_set_apart_for_announced_messages_only_as_far_as_credit_covers_them() {
        let mut shared = Shared {
            credit: ReceiveCredit::new(6_000),
            shelf: Shelf::new(0),
            gaps: 0,
            unreliable: 0,
            message_len_max: 1 << 20,
            over: false,
        };
        let mut channel = ReceiveChannel::new(1 << 20, false);
        let start = |len| MessageStart { delivery: Delivery::Unordered, tag: 0, len: Some(len) };
        let chunk =
            |message, len| Data { channel: 0, message, offset: 0, start: Some(start(len)), fin: false, payload: &[1] };
        for (message, len, held) in [(0, 3_000, 3_256), (1, 2_000, 5_512), (1, 2_000, 5_512)] {
            assert_eq!(channel.handle_data(&chunk(message, len), &mut shared), Ok(false));
            assert_eq!(shared.credit.held(), held, "message {message}");
        }
        let rest = vec![1; 2_999];
        let end = Data { offset: 1, start: None, fin: true, payload: &rest, ..chunk(0, 0) };
        assert_eq!(channel.handle_data(&end, &mut shared), Ok(true));
        assert_eq!(shared.credit.held(), 5_512, "its content costs nothing more");
        assert_eq!(channel.handle_reset(1, 1_999, 9, &mut shared), Err(Violation::Contradiction));
        assert_eq!(channel.handle_reset(1, 2_000, 9, &mut shared), Ok(()));
        assert_eq!(shared.credit.held(), 3_256);
        assert!(channel.take(&mut shared).is_some());
        assert_eq!(shared.credit.held(), 0);
        assert_eq!(channel.handle_data(&chunk(2, 5_745), &mut shared), Err(Violation::Credit));
    }
}
