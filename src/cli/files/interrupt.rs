//! Ctrl-C and its like: the transfers under way end, what is partial goes, the peers are told.

use std::sync::Arc;

use super::transfers::Transfers;
use crate::cli::exit::{Exit, Failure};

/// From now on SIGINT, SIGTERM and SIGHUP end the transfers that are under way, or, where none is, the process. The
/// threads that transfer hear of it from their next call, and clean up.
pub(crate) fn install(transfers: &Arc<Transfers>) -> Result<(), Failure> {
    let transfers = Arc::clone(transfers);
    // Nothing to clean up, or asked twice.
    let leave = || std::process::exit(i32::from(Exit::Interrupted as u8));
    ctrlc::set_handler(move || transfers.interrupt(leave))
        .map_err(|error| Failure::new(Exit::Other, format!("cannot watch for interrupts: {error}")))
}
