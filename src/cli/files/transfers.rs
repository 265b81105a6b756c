//! The transfers under way: how many there may be, which of them gives way to another, and how all of them end.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use udpair::Connection;

use super::course::{Course, Standing};
use crate::cli::code;

/// See the module.
pub(crate) struct Transfers {
    places: usize,
    /// One that has waited for its peer for so long, and got little for it, gives way where there is no place.
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

/// One transfer: its connection, and how the peer does.
pub(crate) struct Transfer {
    connection: Connection,
    course: Mutex<Course>,
}

impl Transfer {
    fn new(connection: Connection, patience: Duration) -> Self {
        let course = Mutex::new(Course::new(connection.transport().now(), patience));
        Self { connection, course }
    }

    /// The connection that carries it.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Does something that may wait for the peer; what is done between two of these is our own affair.
    pub(crate) fn wait<T>(&self, wait: impl FnOnce(&Connection) -> T) -> T {
        let now = || self.connection.transport().now();
        self.course().begin_wait(now());
        let result = wait(&self.connection);
        self.course().end_wait(now());
        result
    }

    /// The peer has sent so many bytes.
    pub(crate) fn moved(&self, bytes: usize) {
        self.course().add(bytes as u64);
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transfers {
    /// At most `places` at a time.
    pub(crate) fn new(places: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self { places, patience, table: Mutex::default(), changed: Condvar::new() })
    }

    /// Waits until there is a place for one more; where there is none, one whose peer has been silent or slow for too
    /// long makes it. False where nobody is taken in any more. Meant for one thread. Blocks.
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

    /// Ends the slowest transfer, if one is too slow; otherwise, when to look again.
    fn give_way(&self, table: &Table) -> Option<Duration> {
        let mut left = self.patience;
        let mut slowest: Option<(u64, &Arc<Transfer>)> = None;
        for transfer in &table.under_way {
            match transfer.course().standing(transfer.connection.transport().now()) {
                Standing::Slow { moved } if slowest.is_none_or(|(least, _)| moved < least) => {
                    slowest = Some((moved, transfer));
                }
                Standing::Slow { .. } => (),
                Standing::Good { left: its } => left = left.min(its),
            }
        }
        let Some((_, slowest)) = slowest else { return Some(left) };
        slowest.connection.abort(code::SILENT);
        None
    }

    /// A transfer begins on `connection`. Where nobody is taken in any more it ends at once.
    pub(crate) fn begin(&self, connection: Connection) -> Arc<Transfer> {
        let transfer = Arc::new(Transfer::new(connection, self.patience));
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
