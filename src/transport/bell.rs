//! What threads tell each other while they wait for the network.

use core::fmt;
use core::task::Waker;
use std::sync::Arc;
use std::task::Wake;

use super::{Interest, Transport};

/// Names a bell within its transport; that of one that is gone never comes to mean another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BellId(u64);

impl BellId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// A count that any thread raises and others wait for, together with what they wait for of the network. What is built
/// on a transport and shared by threads tells with it that something has changed: whoever waits looks again, with no
/// thread between, in the simulator too.
///
/// ```
/// use udpair::transport::Bell;
/// use udpair::{Config, udp};
///
/// let transport = udp::bind("127.0.0.1:0".parse()?, Config::insecure_plain())?;
/// let bell = Bell::hang(&transport);
/// let seen = bell.rings();
/// // Behind a lock, look whether there is something to do; if not, wait until somebody rings:
/// transport.spawn("other", { let bell = bell.clone(); move || bell.ring() })?;
/// transport.wait(&[bell.interest(seen)], None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Clones are the same bell. It is gone with the last of them, which wakes whoever waits for it.
#[derive(Clone)]
pub struct Bell {
    hung: Arc<Hung>,
}

struct Hung {
    transport: Arc<dyn Transport>,
    id: BellId,
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.transport.take_down(self.id);
    }
}

impl Bell {
    /// Hangs a bell at `transport`, whose waits it can end. Does not block.
    #[must_use]
    pub fn hang(transport: &Arc<dyn Transport>) -> Self {
        Self { hung: Arc::new(Hung { transport: Arc::clone(transport), id: transport.hang_bell() }) }
    }

    /// Wakes whoever waits for it. What they are to find must be done before. Does not block.
    pub fn ring(&self) {
        self.hung.transport.ring(self.hung.id);
    }

    /// How often it was rung. To be read before looking for what is rung for, so that no ring is missed between that
    /// and the wait. Does not block.
    #[must_use]
    pub fn rings(&self) -> u64 {
        self.hung.transport.rings(self.hung.id).unwrap_or_default()
    }

    /// To wait until it was rung another time than `seen`.
    #[must_use]
    pub fn interest(&self, seen: u64) -> Interest {
        Interest::Rung(self.hung.id, seen)
    }

    /// A waker that rings it: for waiting at several transports, at one of them as a thread and at the others as a
    /// task.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.hung))
    }
}

impl Wake for Hung {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.transport.ring(self.id);
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("id", &self.hung.id).finish_non_exhaustive()
    }
}
