//! In which order channels have something for whoever asks for a message of any channel.

use std::collections::{BTreeMap, VecDeque};

use crate::wire::shrink_queue;

/// Places of what is there no more that are left in the queue, if they are fewer than the others.
const STALE_MAX: usize = 64;

/// The channels of messages, oldest first. A message that leaves it from the middle leaves a place behind that is taken
/// away later: none of this takes longer the more messages there are.
#[derive(Debug, Default)]
pub(super) struct Order {
    queue: VecDeque<u16>,
    /// For each channel, how many of its places, the oldest, are of messages that are there no more.
    stale: BTreeMap<u16, usize>,
    stale_count: usize,
}

impl Order {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.len() == self.stale_count
    }

    /// The channel whose turn it is. What is stale never stands in front.
    pub(super) fn first(&self) -> Option<u16> {
        self.queue.front().copied()
    }

    /// `count` more messages of a channel are ready.
    pub(super) fn add(&mut self, channel: u16, count: usize) {
        self.queue.extend(core::iter::repeat_n(channel, count));
    }

    /// The oldest `count` messages of a channel are there no more.
    pub(super) fn remove_oldest(&mut self, channel: u16, count: usize) {
        if count == 0 {
            return;
        }
        *self.stale.entry(channel).or_default() += count;
        self.stale_count += count;
        self.trim();
        self.compact();
    }

    /// No message of a channel counts any more.
    pub(super) fn remove_all(&mut self, channel: u16) {
        self.queue.retain(|held| *held != channel);
        self.stale_count -= self.stale.remove(&channel).unwrap_or(0);
        self.trim();
        self.compact();
    }

    /// Takes away what is stale in front.
    fn trim(&mut self) {
        while let Some(channel) = self.queue.front().filter(|channel| self.stale.contains_key(channel)) {
            Self::count_off(&mut self.stale, *channel);
            self.stale_count -= 1;
            self.queue.pop_front();
        }
        shrink_queue(&mut self.queue);
    }

    /// Takes away all that is stale, where it is most of the queue.
    fn compact(&mut self) {
        if self.stale_count <= STALE_MAX || self.stale_count <= self.queue.len() / 2 {
            return;
        }
        let stale = &mut self.stale;
        self.queue.retain(|channel| !Self::count_off(stale, *channel));
        self.stale_count = 0;
        shrink_queue(&mut self.queue);
    }

    /// True when the channel had a stale place, which it has no more.
    fn count_off(stale: &mut BTreeMap<u16, usize>, channel: u16) -> bool {
        let Some(count) = stale.get_mut(&channel) else { return false };
        *count -= 1;
        if *count == 0 {
            stale.remove(&channel);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_leave_from_the_middle_leave_the_order_as_it_was() {
        let mut order = Order::default();
        // The plain way, beside it.
        let mut model: Vec<u16> = Vec::new();
        let mut dice = 7_u32; // a fixed sequence
        for step in 0..20_000 {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (what, channel) = (dice >> 28, u16::try_from(dice >> 20 & 7).unwrap());
            let held = model.iter().filter(|held| **held == channel).count();
            match what {
                0..=8 => {
                    let count = what as usize % 4;
                    order.add(channel, count);
                    model.extend(core::iter::repeat_n(channel, count));
                }
                9..=14 => {
                    let count = held.min(what as usize % 4);
                    order.remove_oldest(channel, count);
                    for _ in 0..count {
                        let at = model.iter().position(|held| *held == channel).unwrap();
                        model.remove(at);
                    }
                }
                _ if step % 50 == 0 => {
                    order.remove_all(channel);
                    model.retain(|held| *held != channel);
                }
                _ => {}
            }
            assert_eq!(order.is_empty(), model.is_empty());
            assert_eq!(order.first(), model.first().copied());
            assert!(order.queue.len() <= (2 * model.len()).max(model.len() + STALE_MAX) + 4);
        }
    }

    #[test]
    fn values_given_up_behind_many_other_messages_take_no_time_each() {
        let mut order = Order::default();
        order.add(1, 300_000);
        for _ in 0..300_000 {
            order.add(2, 1);
            order.remove_oldest(2, 1);
        }
        assert_eq!(order.first(), Some(1));
        assert!(order.queue.len() <= 600_000);
    }
}
