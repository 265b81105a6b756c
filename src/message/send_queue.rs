//! How much a connection holds for sending, and how its channels share the room for it. `spec/message.md`, section
//! "Channels".
//!
//! What nobody takes stays here, and must not keep other channels from sending. So a channel may hold three times what
//! it leaves over: one alone three quarters of the room, the next one three quarters of the rest, and so on: far more
//! of them than exhaust a connection's credit. Values of `Latest` channels take the place of one another, and no room
//! from others; where they have none left, a channel that holds little still gets some, so that what is short does not
//! wait behind what is long.

use super::{MESSAGE_COST, UNRELIABLE_LEN_MAX};

/// How many times what is left over a channel may hold.
const SHARE: u64 = 3;
/// A channel of values that holds at most this part of the room holds little: 64 KiB of the default 16 MiB;
const LITTLE_PART: u64 = 256;
/// and one that holds no more than a value of one datagram, however small the room is.
const LITTLE_MIN: u64 = MESSAGE_COST + UNRELIABLE_LEN_MAX as u64;
/// Those that hold little have this part of the room beside it, for all of them together.
const BESIDE_PART: u64 = 16;

/// See the module. All in bytes, [`MESSAGE_COST`] for each message among them.
#[derive(Debug)]
pub(super) struct SendQueue {
    max: u64,
    held: u64,
    /// What is held of values.
    values: u64,
    /// What of that is held by channels that hold little.
    little: u64,
    /// What is held of others: of each channel no more than it may hold alone, so that the message which went over
    /// that, however long, is at nobody else's expense.
    taken: u64,
}

/// What one channel holds.
#[derive(Debug, Default)]
pub(super) struct Held(u64);

/// Whose room it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    /// That of messages which wait behind one another.
    Messages,
    /// That of values which take the place of one another.
    Values,
}

impl SendQueue {
    /// Nothing is held. There is room for `max` bytes of messages, and for as many and a sixteenth of values.
    pub(super) const fn new(max: u64) -> Self {
        Self { max, held: 0, values: 0, little: 0, taken: 0 }
    }

    /// What is held.
    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    /// How many more bytes of messages a channel may hold, of which a send needs one: it may go over that.
    pub(super) fn room(&self, of: &Held) -> u64 {
        let left = self.max.saturating_sub(self.taken);
        // Each byte more is also one less that is left.
        (left * SHARE).saturating_sub(of.0) / (SHARE + 1)
    }

    /// True where a channel may begin a message that is written piece by piece. It never takes the last room itself, so
    /// that not all streams wait for each other.
    pub(super) fn may_begin(&self, of: &Held) -> bool {
        self.room(of) > MESSAGE_COST
    }

    /// True where a channel holds at most half of what it may: a blocked sender is not woken for each message that
    /// leaves the queue.
    pub(super) fn has_ample_room(&self, of: &Held) -> bool {
        self.may_begin(of) && of.0 <= self.room(of)
    }

    /// True where a channel may send a value of `cost` bytes that takes the place of `replaced` of those it holds: it
    /// may go over the room; or with it the channel holds little, and there is room for that.
    pub(super) fn has_room_for_value(&self, of: &Held, replaced: u64, cost: u64) -> bool {
        let beside = self.max / BESIDE_PART;
        let keeps = of.0.saturating_sub(replaced);
        let holds = keeps.saturating_add(cost);
        let little = self.little.saturating_sub(self.little_of(of.0));
        // What others hold, but for what has its room beside.
        let others = self.values.saturating_sub(of.0).saturating_sub(little.min(beside));
        others + keeps < self.max || self.is_little(holds) && little + holds <= beside
    }

    const fn is_little(&self, held: u64) -> bool {
        held <= LITTLE_MIN || held <= self.max / LITTLE_PART
    }

    const fn little_of(&self, held: u64) -> u64 {
        if self.is_little(held) { held } else { 0 }
    }

    /// A channel holds `more` bytes, and no longer `freed`.
    pub(super) fn change(&mut self, pool: Pool, of: &mut Held, more: u64, freed: u64) {
        let (before, now) = (of.0, (of.0 + more).saturating_sub(freed));
        of.0 = now;
        let moved = |sum: u64, before: u64, now: u64| (sum + now).saturating_sub(before);
        self.held = moved(self.held, before, now);
        match pool {
            Pool::Values => {
                self.values = moved(self.values, before, now);
                self.little = moved(self.little, self.little_of(before), self.little_of(now));
            }
            Pool::Messages => {
                let alone = self.max / (SHARE + 1) * SHARE;
                self.taken = moved(self.taken, before.min(alone), now.min(alone));
            }
        }
    }

    /// Nothing is held any more.
    pub(super) const fn clear(&mut self) {
        *self = Self::new(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_may_hold_three_quarters_and_is_called_back_at_half_of_that() {
        let (mut queue, mut only) = (SendQueue::new(8_000), Held::default());
        assert_eq!(queue.room(&only), 6_000);
        queue.change(Pool::Messages, &mut only, 5_999, 0);
        assert_eq!(queue.room(&only), 1);
        queue.change(Pool::Messages, &mut only, 1, 0);
        assert_eq!(queue.room(&only), 0);
        queue.change(Pool::Messages, &mut only, 0, 2_999);
        assert!(!queue.has_ample_room(&only));
        queue.change(Pool::Messages, &mut only, 0, 1);
        assert!(queue.has_ample_room(&only));
    }

    #[test]
    fn of_what_one_leaves_over_the_next_may_hold_as_large_a_part() {
        let (mut queue, mut rooms) = (SendQueue::new(1 << 20), Vec::new());
        for _ in 0..4 {
            let mut next = Held::default();
            let room = queue.room(&next);
            rooms.push(room);
            queue.change(Pool::Messages, &mut next, room, 0);
            assert_eq!(queue.room(&next), 0);
        }
        assert_eq!(rooms, [3 << 18, 3 << 16, 3 << 14, 3 << 12]);
    }

    #[test]
    fn a_message_that_goes_over_a_channels_part_does_so_at_nobody_elses_expense() {
        let (mut queue, mut huge) = (SendQueue::new(8_000), Held::default());
        queue.change(Pool::Messages, &mut huge, 1_000_000, 0);
        assert_eq!((queue.held(), queue.room(&huge), queue.room(&Held::default())), (1_000_000, 0, 1_500));
        queue.change(Pool::Messages, &mut huge, 0, 1_000_000);
        assert_eq!((queue.held(), queue.room(&huge)), (0, 6_000));
    }

    #[test]
    fn where_values_have_no_room_left_a_channel_that_holds_little_gets_some() {
        let (mut queue, mut large) = (SendQueue::new(1 << 20), Held::default());
        let little = (1 << 20) / LITTLE_PART;
        assert!(queue.has_room_for_value(&large, 0, u64::MAX));
        queue.change(Pool::Values, &mut large, 1 << 20, 0);
        // Room for others beside the large one, and for as much as may be held of little ones.
        let mut rooms: Vec<Held> = Vec::new();
        loop {
            let mut small = Held::default();
            assert!(!queue.has_room_for_value(&small, 0, little + 1));
            if !queue.has_room_for_value(&small, 0, little) {
                break;
            }
            queue.change(Pool::Values, &mut small, little, 0);
            rooms.push(small);
        }
        assert_eq!(rooms.len() as u64, LITTLE_PART / BESIDE_PART);
        assert_eq!(queue.held(), (1 << 20) + (1 << 20) / BESIDE_PART);
        // What takes the place of its own takes none from others; what is held besides counts.
        assert!(queue.has_room_for_value(&rooms[0], little, little));
        assert!(!queue.has_room_for_value(&rooms[0], 0, 1));
        assert!(!queue.has_room_for_value(&large, 0, 1));
        assert!(queue.has_room_for_value(&large, 1, 1 << 20));
        queue.change(Pool::Values, &mut rooms[0], 0, 1);
        assert!(queue.has_room_for_value(&Held::default(), 0, 1));
        assert!(!queue.has_room_for_value(&Held::default(), 0, 2));
        // However small the room, a value of one datagram is little.
        let mut narrow = SendQueue::new(64 << 10);
        narrow.change(Pool::Values, &mut Held::default(), 64 << 10, 0);
        assert!(narrow.has_room_for_value(&Held::default(), 0, LITTLE_MIN));
        assert!(!narrow.has_room_for_value(&Held::default(), 0, LITTLE_MIN + 1));
        // One that holds much is none of those.
        queue.change(Pool::Values, &mut rooms[0], little, 0);
        assert!(queue.has_room_for_value(&Held::default(), 0, little));
    }
}
