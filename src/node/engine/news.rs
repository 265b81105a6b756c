//! A bell at each transport of a node, rung together: whoever waits for something of the node does so at the transport
//! where it most likely comes.

use std::sync::{Arc, Mutex, PoisonError};

use crate::transport::{Bell, Transport};

/// See the module.
pub(crate) struct News {
    bells: Mutex<Vec<Bell>>,
}

impl News {
    pub(super) const fn new() -> Self {
        Self { bells: Mutex::new(Vec::new()) }
    }

    /// Something is new.
    pub(in crate::node) fn ring(&self) {
        // Rung without the lock: a bell wakes, and who is woken may come here.
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner).clone();
        bells.iter().for_each(Bell::ring);
    }

    /// The bell at a transport, which hangs there from now on.
    pub(super) fn at(&self, transport: &Arc<dyn Transport>) -> Bell {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.iter().find(|bell| bell.hangs_at(transport)) {
            return bell.clone();
        }
        let bell = Bell::hang(transport);
        bells.push(bell.clone());
        bell
    }

    /// The transports in use are these: at others no bell is needed any more.
    pub(super) fn keep(&self, transports: &[Arc<dyn Transport>]) {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, gone) = bells.drain(..).partition(|bell| transports.iter().any(|one| bell.hangs_at(one)));
        *bells = kept;
        drop(bells);
        // Whoever waits at one of these is to wait elsewhere.
        let gone: Vec<Bell> = gone;
        gone.iter().for_each(Bell::ring);
        // The last holder of a transport may be one of these.
        drop(gone);
    }
}
