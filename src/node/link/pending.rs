//! Values that wait for room.

use std::collections::BTreeMap;

use crate::node::Name;
use crate::node::value::Stamped;

/// The newest value of each channel that found no room. What waits longest goes first, however often it is superseded
/// meanwhile: else what is written most often would go again and again, and others never.
#[derive(Debug, Default)]
pub(super) struct Pending {
    values: BTreeMap<Name, Waiting>,
    /// Whose turn it is, by place.
    places: BTreeMap<u64, Name>,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    place: u64,
    value: Stamped,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Stamped> {
        self.values.get(name).map(|waiting| &waiting.value)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.values.keys()
    }

    /// Of this channel the newest is another one: it has the place of the one before.
    pub(super) fn put(&mut self, name: Name, value: Stamped) {
        if let Some(waiting) = self.values.get_mut(&name) {
            waiting.value = value;
            return;
        }
        let place = self.next;
        self.next += 1;
        self.places.insert(place, name.clone());
        self.values.insert(name, Waiting { place, value });
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(Waiting { place, .. }) = self.values.remove(name) {
            self.places.remove(&place);
        }
    }

    /// Those that wait, the longest first; `goes_on` says whether a value still does.
    pub(super) fn retain(&mut self, mut goes_on: impl FnMut(&Name, &Stamped) -> bool) {
        let values = &mut self.values;
        self.places.retain(|_, name| {
            let stays = values.get(name).is_some_and(|waiting| goes_on(name, &waiting.value));
            if !stays {
                values.remove(name);
            }
            stays
        });
    }

    /// Those that room is to be waited for: the one that waits longest, and the shortest, for which there may be room
    /// sooner. When either gets some the others are tried, too.
    pub(super) fn first(&self) -> [Option<&Name>; 2] {
        let longest_waiting = self.places.values().next();
        let shortest = self.values.iter().min_by_key(|(_, waiting)| waiting.value.body.len()).map(|(name, _)| name);
        [longest_waiting, shortest.filter(|_| shortest != longest_waiting)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::IntoContent as _;
    use crate::node::value::Draft;

    fn value(text: &str, time: u64) -> Stamped {
        Draft::new(text.into_content().unwrap()).stamp(time)
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn what_waits_longest_goes_first_though_it_is_superseded() {
        let mut pending = Pending::default();
        for (at, text) in ["b", "a", "c", "b"].into_iter().enumerate() {
            pending.put(name(text), value(text, at as u64));
        }
        let mut order = Vec::new();
        pending.retain(|name, value| {
            order.push((name.to_string(), value.time));
            order.len() > 1
        });
        assert_eq!(order, [("b".to_owned(), 3), ("a".to_owned(), 1), ("c".to_owned(), 2)]);
        // It went, and comes again: behind the others.
        pending.put(name("b"), value("b", 4));
        pending.remove("a");
        let left: Vec<&Name> = pending.places.values().collect();
        assert_eq!(left, [&name("c"), &name("b")]);
        assert!(pending.get("a").is_none() && pending.get("b").is_some());
    }

    #[test]
    fn room_is_waited_for_by_the_first_and_by_the_shortest() {
        let mut pending = Pending::default();
        assert_eq!(pending.first(), [None, None]);
        pending.put(name("long"), value("a long one", 0));
        assert_eq!(pending.first(), [Some(&name("long")), None]);
        pending.put(name("longer"), value("an even longer one", 1));
        pending.put(name("short"), value("a", 2));
        assert_eq!(pending.first(), [Some(&name("long")), Some(&name("short"))]);
    }
}
