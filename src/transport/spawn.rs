//! Threads that a transport gives: the operating system's, or a simulated host's.

use core::fmt;
use std::sync::{Arc, Mutex};

use thiserror::Error;

use super::Transport;

/// A thread ended by a panic; its message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a thread panicked: {message}")]
pub struct Panicked {
    /// What was panicked with, where it was text.
    pub message: String,
}

/// Waits for a thread to end. For implementors of [`Transport`].
pub struct Joiner(Box<dyn FnOnce() -> Result<(), Panicked> + Send>);

impl Joiner {
    /// `wait` blocks until the thread has ended and says how.
    #[must_use]
    pub fn new(wait: impl FnOnce() -> Result<(), Panicked> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// Waits. Blocks.
    ///
    /// # Errors
    /// [`Panicked`] where the thread panicked.
    pub fn join(self) -> Result<(), Panicked> {
        (self.0)()
    }
}

impl fmt::Debug for Joiner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joiner").finish_non_exhaustive()
    }
}

/// A thread that [`spawn`](#method.spawn) began. Dropping it lets the thread run on.
#[derive(Debug)]
pub struct JoinHandle<T> {
    joiner: Joiner,
    result: Arc<Mutex<Option<T>>>,
}

impl<T> JoinHandle<T> {
    /// Waits until the thread has ended, and gives what it returned. Blocks.
    ///
    /// # Errors
    /// [`Panicked`] where it panicked.
    pub fn join(self) -> Result<T, Panicked> {
        self.joiner.join()?;
        let mut result = self.result.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(result.take().expect("a thread that did not panic has stored its result"))
    }
}

impl dyn Transport {
    /// Runs `main` on a thread of its own, named `name`. Above the transport nobody calls `std::thread`, so that the
    /// same program runs in the simulator. Never blocks.
    ///
    /// # Errors
    /// What the operating system says where it gives no more threads.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        main: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<JoinHandle<T>> {
        let result = Arc::new(Mutex::new(None));
        let place = Arc::clone(&result);
        let joiner = self.spawn_thread(
            name,
            Box::new(move || {
                let value = main();
                *place.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(value);
            }),
        )?;
        Ok(JoinHandle { joiner, result })
    }
}
