//! A transport's machine in a simulated world: its socket there, and waiting in virtual time.

use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};
use std::io::ErrorKind;
use std::sync::Arc;

use super::baton::Baton;
use super::sockets::SocketId;
use super::world::Reason;
use crate::message::Limits;
use crate::network::HostId;
use crate::time::Timestamp;
use crate::transport::driven::{Core as _, Machine, State, WaiterKey};
use crate::transport::udp::{Call, UdpCore};
use crate::transport::{ConnectError, Interest, Joiner, Panicked, Ready, TransportStats, WaitError, WaitSlot};

/// See the module.
pub(super) struct SimTransport {
    baton: Arc<Baton>,
    host: HostId,
    socket: SocketId,
    local: SocketAddr,
    limits: Limits,
}

impl SimTransport {
    pub(super) fn new(baton: Arc<Baton>, host: HostId, socket: SocketId, limits: Limits) -> Self {
        let local = baton.world().sockets.get(socket).local;
        Self { baton, host, socket, local, limits }
    }

    /// Waits as the waiter `key`.
    fn wait_as(&self, key: WaiterKey, interests: &[Interest], until: Option<Timestamp>) -> Result<Ready, WaitError> {
        loop {
            if let Some(result) = self.act(|state, now, _| {
                state.look(key).or_else(|| {
                    state.core.handle_wait(now);
                    None
                })
            }) {
                return result;
            }
            if until.is_some_and(|until| until <= self.now()) {
                return Err(WaitError::TimedOut);
            }
            let reason = Reason::Socket(self.local, interests.to_vec());
            self.baton.wait(reason, until).map_err(|_| WaitError::Broken(ErrorKind::Unsupported))?;
        }
    }
}

impl Drop for SimTransport {
    /// No handle is left; what is being closed in the background goes on.
    fn drop(&mut self) {
        self.act(|state, now, _| state.orphan(now));
    }
}

impl Machine for SimTransport {
    type Core = UdpCore;
    const SIMULATED: bool = true;

    fn act<R>(&self, act: impl FnOnce(&mut State<UdpCore>, Timestamp, &mut Vec<Waker>) -> R) -> R {
        self.baton.with(|world| world.act(self.socket, |socket, now, wakers| act(&mut socket.state, now, wakers)))
    }

    fn look<R>(&self, look: impl FnOnce(&mut State<UdpCore>) -> R) -> R {
        look(&mut self.baton.world().sockets.get_mut(self.socket).state)
    }

    fn tell(&self, tell: impl FnOnce(&mut State<UdpCore>, &mut Vec<Waker>)) {
        self.act(|state, _, wakers| tell(state, wakers));
    }

    fn chance(&self) -> std::io::Result<[u8; 32]> {
        Ok(self.baton.world().seed_for(self.host))
    }

    fn call(&self, remote: SocketAddr) -> Result<Call, ConnectError> {
        let world = self.baton.world();
        Ok(world.sockets.get(self.socket).call(&world.network, remote))
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn stats(&self, _stats: &mut TransportStats) {}

    fn wait(&self, interests: &[Interest], until: Option<Timestamp>) -> Result<Ready, WaitError> {
        if let Some(result) = self.act(|state, _, _| state.check(interests)) {
            return result;
        }
        let task = self.baton.current().ok_or(WaitError::Broken(ErrorKind::Unsupported))?;
        let key = self.baton.world().sockets.get_mut(self.socket).add_waiting(task, interests);
        // Where this unwinds the world is over, and the place of nobody's concern.
        let result = self.wait_as(key, interests, until);
        self.baton.with(|world| world.act(self.socket, |socket, _, wakers| socket.remove_waiting(key, wakers)));
        result
    }

    fn poll_wait(
        &self,
        slot: &mut WaitSlot,
        interests: &[Interest],
        cx: &mut Context<'_>,
    ) -> Poll<Result<Ready, WaitError>> {
        if let Some(result) = self.act(|state, _, _| state.check(interests)) {
            slot.clear();
            return Poll::Ready(result);
        }
        let held = slot.held::<Place>().filter(|place| place.is_of(self)).map(|place| place.key);
        let (key, stays) = self.act(|state, now, _| {
            let same = |key: &WaiterKey| state.waiters.interests_mut(*key).is_some_and(|old| *old == interests);
            let (key, stays) = match held.filter(same) {
                Some(key) => {
                    state.waiters.set_waker(key, cx.waker());
                    state.waiters.on_looked(key);
                    (key, true)
                }
                None => (state.waiters.add(interests, cx.waker().clone()), false),
            };
            state.core.handle_wait(now);
            (key, stays)
        });
        if !stays {
            slot.hold(Place { baton: Arc::clone(&self.baton), socket: self.socket, key });
        }
        Poll::Pending
    }

    fn now(&self) -> Timestamp {
        self.baton.world().now
    }

    fn sleep_until(&self, until: Timestamp) {
        self.baton.sleep_until(until);
    }

    fn spawn_thread(&self, name: &str, main: Box<dyn FnOnce() + Send>) -> std::io::Result<Joiner> {
        let main = Box::new(move || {
            main();
            Ok(())
        });
        let task = self.baton.begin(self.host, name, false, main)?;
        let baton = Arc::clone(&self.baton);
        Ok(Joiner::new(move || {
            // A panic has ended the whole run.
            let over = |_| Panicked { message: "the simulated world is over".to_owned() };
            baton.join(task).map_err(over)
        }))
    }
}

/// A task's place on the list of those who wait; given up when it is dropped.
struct Place {
    baton: Arc<Baton>,
    socket: SocketId,
    key: WaiterKey,
}

impl Place {
    fn is_of(&self, transport: &SimTransport) -> bool {
        Arc::ptr_eq(&self.baton, &transport.baton) && self.socket == transport.socket
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.baton.with(|world| world.leave(self.socket, self.key));
    }
}
