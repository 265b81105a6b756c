//! What threads tell each other while they wait for the network.

use core::fmt;
use core::task::Waker;
use std::sync::{Arc, Weak};
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
    waker: Waker,
}

/// What a waker holds: not the bell itself, for wakers are dropped under locks, where nothing may be taken down.
struct Ringer(Weak<Hung>);

impl Drop for Hung {
    fn drop(&mut self) {
        self.transport.take_down(self.id);
    }
}

impl Bell {
    /// Hangs a bell at `transport`, whose waits it can end. Does not block.
    #[must_use]
    pub fn hang(transport: &Arc<dyn Transport>) -> Self {
        let (transport, id) = (Arc::clone(transport), transport.hang_bell());
        let ringer = |hung: &Weak<Hung>| Waker::from(Arc::new(Ringer(Weak::clone(hung))));
        Self { hung: Arc::new_cyclic(|hung| Hung { transport, id, waker: ringer(hung) }) }
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

    /// Where it hangs.
    #[must_use]
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.hung.transport
    }

    /// True when it hangs at this transport.
    #[must_use]
    pub fn hangs_at(&self, transport: &Arc<dyn Transport>) -> bool {
        Arc::ptr_eq(&self.hung.transport, transport)
    }

    /// A waker that rings it: for waiting at several transports, at one of them as a thread and at the others as a
    /// task. It does not keep the bell: where that is gone it wakes nobody.
    #[must_use]
    pub fn waker(&self) -> &Waker {
        &self.hung.waker
    }
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(hung) = self.0.upgrade() {
            hung.transport.ring(hung.id);
        }
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("id", &self.hung.id).finish_non_exhaustive()
    }
}
