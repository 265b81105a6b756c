//! Whole values that nobody has read yet, and that cost their connection no credit. `spec/message.md`, "Credit".

/// See the module. At most one of each `Latest` channel; in credit bytes.
#[derive(Debug)]
pub(super) struct Shelf {
    max: u64,
    held: u64,
}

impl Shelf {
    /// An empty one, with room for `max`.
    pub(super) const fn new(max: u64) -> Self {
        Self { max, held: 0 }
    }

    /// What stands there.
    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    /// Puts a value there. True where there was room.
    pub(super) const fn put(&mut self, cost: u64) -> bool {
        let fits = cost <= self.max.saturating_sub(self.held);
        if fits {
            self.held += cost;
        }
        fits
    }

    /// One is gone from there.
    pub(super) const fn take(&mut self, cost: u64) {
        self.held -= cost;
    }
}
