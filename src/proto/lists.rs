//! Lists of sent frames that are used again, so that nothing is allocated for a packet.

use crate::message::Sent;

/// Places in the shortest lists.
const SHORTEST: usize = 4;
/// Sizes of lists that are kept, each twice as long as the one before: up to 128 places.
const SIZES: usize = 6;
/// Places in all lists of one size that are kept.
const PLACES_MAX: usize = 16_384;

/// Emptied lists, by size. What is in flight is kept in lists that fit, or a peer could make long lists wait for the
/// acknowledgement of packets with hardly a frame in them.
#[derive(Debug, Default)]
pub struct Lists {
    spare: [Vec<Vec<Sent>>; SIZES],
}

impl Lists {
    /// Moves what is in `frames` to a list with no more than twice the places that it needs, or `SHORTEST`.
    pub fn keep(&mut self, frames: &mut Vec<Sent>) -> Vec<Sent> {
        if frames.is_empty() {
            return Vec::new();
        }
        let places = frames.len().next_power_of_two().max(SHORTEST);
        let spare = self.spare.get_mut(size(places)).and_then(Vec::pop);
        let mut kept = spare.unwrap_or_else(|| Vec::with_capacity(places));
        kept.append(frames);
        kept
    }

    /// Takes a list back.
    pub fn recycle(&mut self, mut frames: Vec<Sent>) {
        let places = frames.capacity();
        if places < SHORTEST || !places.is_power_of_two() {
            return;
        }
        if let Some(spare) = self.spare.get_mut(size(places)).filter(|spare| spare.len() < PLACES_MAX / places) {
            frames.clear();
            spare.push(frames);
        }
    }
}

const fn size(places: usize) -> usize {
    (places / SHORTEST).ilog2() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_flight_is_kept_in_lists_that_fit_and_what_is_spare_is_limited() {
        let mut lists = Lists::default();
        let mut filled = Vec::new();
        let mut kept = Vec::new();
        for len in [0, 1, 4, 5, 128, 129, 8_000] {
            filled.resize(len, Sent::Close);
            let list = lists.keep(&mut filled);
            assert_eq!(list.len(), len);
            assert!(list.capacity() <= SHORTEST.max(2 * len), "{len}: {}", list.capacity());
            kept.push(list);
        }
        kept.extend((0..10_000).map(|_| Vec::with_capacity(128)));
        kept.into_iter().for_each(|list| lists.recycle(list));
        assert_eq!(lists.spare.each_ref().map(Vec::len), [2, 1, 0, 0, 0, PLACES_MAX / 128]);
        // A list that is there is used, and comes empty.
        filled.push(Sent::Close);
        assert_eq!(lists.keep(&mut filled), [Sent::Close]);
        assert_eq!(lists.spare[0].len(), 1);
    }
}
