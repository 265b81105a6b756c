//! The transfers under way: how many there may be, which of them gives way to another, and how all of them end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use udpair::Connection;
use udpair::time::Timestamp;

use super::outcome::code;

/// What stands in [`Transfer::waits_since`] of one that does not wait for its peer.
const WORKS: u64 = u64::MAX;

/// See the module.
pub(crate) struct Transfers {
    places: usize,
    /// One that has waited for its peer for so long gives way where there is no place.
    patience: Duration,
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Default)]
struct Table {
    under_way: Vec<Arc<Transfer>>,
    /// Nobody is taken in any more.
    closed: bool,
    interrupted: bool,
}

/// One transfer: its connection, and whether it is the peer's turn.
pub(crate) struct Transfer {
    connection: Connection,
    /// Since when it waits for the peer, nanoseconds of the transport's clock.
    waits_since: AtomicU64,
}

impl Transfer {
    fn new(connection: Connection) -> Self {
        let now = connection.transport().now();
        Self { connection, waits_since: AtomicU64::new(now.as_nanos()) }
    }

    /// The connection that carries it.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Does something that may wait for the peer; what is done between two of these is our own affair.
    pub(crate) fn wait<T>(&self, wait: impl FnOnce(&Connection) -> T) -> T {
        self.waits_since.store(self.connection.transport().now().as_nanos(), Ordering::Relaxed);
        let result = wait(&self.connection);
        self.waits_since.store(WORKS, Ordering::Relaxed);
        result
    }

    fn waits_since(&self) -> Option<Timestamp> {
        let since = self.waits_since.load(Ordering::Relaxed);
        (since != WORKS).then(|| Timestamp::from_nanos(since))
    }
}

impl Transfers {
    /// At most `places` at a time.
    pub(crate) fn new(places: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self { places, patience, table: Mutex::default(), changed: Condvar::new() })
    }

    /// Waits until there is a place for one more; where there is none, one whose peer has been silent for too long
    /// makes it. False where nobody is taken in any more. Meant for one thread. Blocks.
    pub(crate) fn await_place(&self) -> bool {
        let mut table = self.table();
        while !table.closed && table.under_way.len() >= self.places {
            table = match self.give_way(&table) {
                // The thread that has it cleans up, and then there is a place.
                None => self.changed.wait(table).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.changed.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        !table.closed
    }

    /// Ends the transfer that has been silent longest, if that is too long; otherwise, when to look again.
    fn give_way(&self, table: &Table) -> Option<Duration> {
        let waiting = table.under_way.iter().filter_map(|transfer| Some((transfer.waits_since()?, transfer)));
        // Where all are at work, none of them can have been silent for too long before this.
        let Some((since, silent)) = waiting.min_by_key(|(since, _)| *since) else { return Some(self.patience) };
        let left = (since + self.patience).saturating_since(silent.connection.transport().now());
        if !left.is_zero() {
            return Some(left);
        }
        silent.connection.abort(code::SILENT);
        None
    }

    /// A transfer begins on `connection`. Where nobody is taken in any more it ends at once.
    pub(crate) fn begin(&self, connection: Connection) -> Arc<Transfer> {
        let transfer = Arc::new(Transfer::new(connection));
        let mut table = self.table();
        if table.closed {
            transfer.connection.abort(if table.interrupted { code::INTERRUPTED } else { code::FAILED });
        }
        table.under_way.push(Arc::clone(&transfer));
        transfer
    }

    /// A transfer is over, and what was partial is gone.
    pub(crate) fn end(&self, transfer: &Arc<Transfer>) {
        self.table().under_way.retain(|other| !Arc::ptr_eq(other, transfer));
        self.changed.notify_all();
    }

    /// Ends all that are under way with `code`, and takes nobody in any more.
    pub(crate) fn end_all(&self, code: u32) {
        let mut table = self.table();
        self.close(&mut table, code);
    }

    /// Ends all that are under way because the user wants to stop. Calls `nothing_to_do` where there is none, or where
    /// they were told already: while that runs, none begins.
    pub(crate) fn interrupt(&self, nothing_to_do: impl FnOnce()) {
        let mut table = self.table();
        if table.under_way.is_empty() || table.interrupted {
            return nothing_to_do();
        }
        table.interrupted = true;
        self.close(&mut table, code::INTERRUPTED);
    }

    fn close(&self, table: &mut Table, code: u32) {
        table.closed = true;
        table.under_way.iter().for_each(|transfer| transfer.connection.abort(code));
        self.changed.notify_all();
    }

    /// True where none is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.table().under_way.is_empty()
    }

    /// True once the user wanted to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.table().interrupted
    }

    /// Waits until none is under way. Blocks.
    pub(crate) fn await_none(&self) {
        let mut table = self.table();
        while !table.under_way.is_empty() {
            table = self.changed.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
