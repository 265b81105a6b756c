//! A table whose keys are not reused: what connections live in.

/// Names a connection of one transport for as long as the transport lives: the name of one that is over never comes
/// to mean another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    index: u32,
    generation: u32,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Values under [`ConnectionId`]s. Every operation takes constant time.
#[derive(Clone, Debug)]
pub struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// How many values are in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// True when the table is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a value in and names it.
    ///
    /// # Panics
    /// Beyond 2^32 values at a time: the callers' limits are far below.
    pub fn insert(&mut self, value: T) -> ConnectionId {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.value = Some(value);
            return ConnectionId { index, generation: slot.generation };
        }
        let index = u32::try_from(self.slots.len()).expect("connections are limited far below 2^32");
        self.slots.push(Slot { generation: 0, value: Some(value) });
        ConnectionId { index, generation: 0 }
    }

    /// The value under `id`.
    #[must_use]
    pub fn get(&self, id: ConnectionId) -> Option<&T> {
        let slot = self.slots.get(id.index as usize)?;
        slot.value.as_ref().filter(|_| slot.generation == id.generation)
    }

    /// The value under `id`, to change.
    #[must_use]
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.index as usize)?;
        slot.value.as_mut().filter(|_| slot.generation == id.generation)
    }

    /// Takes the value under `id` out.
    pub fn remove(&mut self, id: ConnectionId) -> Option<T> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        let value = slot.value.take()?;
        // A slot whose generations are used up is left empty for good.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(id.index);
        }
        Some(value)
    }

    /// All values with their names, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &T)> {
        self.slots.iter().zip(0..).filter_map(|(slot, index)| {
            let id = ConnectionId { index, generation: slot.generation };
            slot.value.as_ref().map(|value| (id, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_name_never_means_a_new_value() {
        let mut slots = Slots::default();
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_ne!(first, second);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
        assert_eq!(slots.len(), 1);
        assert_eq!(slots.iter().map(|(id, _)| id).collect::<Vec<_>>(), [second]);
    }
}
