//! Bells: counts that threads raise for each other. Whoever waits is on the list of those who wait, as for anything
//! else; here are the counts.

use std::collections::BTreeMap;

use crate::transport::BellId;

/// See the module.
#[derive(Debug)]
pub(in crate::transport) struct Bells {
    next: u64,
    rings: BTreeMap<BellId, u64>,
}

impl Bells {
    pub(super) const fn new() -> Self {
        Self { next: 0, rings: BTreeMap::new() }
    }

    pub(super) fn hang(&mut self) -> BellId {
        let bell = BellId::new(self.next);
        self.next += 1;
        self.rings.insert(bell, 0);
        bell
    }

    /// Nothing happens where it is gone.
    pub(super) fn ring(&mut self, bell: BellId) {
        if let Some(rings) = self.rings.get_mut(&bell) {
            *rings += 1;
        }
    }

    /// How often it was rung; `None` where it is gone.
    pub(super) fn rings(&self, bell: BellId) -> Option<u64> {
        self.rings.get(&bell).copied()
    }

    pub(super) fn take_down(&mut self, bell: BellId) {
        self.rings.remove(&bell);
    }
}
