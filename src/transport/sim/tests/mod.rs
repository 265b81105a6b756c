//! Programs in a simulated world.

mod apart;
mod over;
mod pairing;
mod sealed;
mod threads;
mod traffic;

use std::sync::Mutex;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What programs note, in the order in which they do.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
