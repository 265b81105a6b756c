//! Real threads that take turns: whoever has the turn holds the baton, all others sleep.

use core::cell::RefCell;
use core::task::Waker;
use core::time::Duration;
use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::error::{HostError, SimError};
use super::turns::{TaskId, Woken};
use super::world::{Phase, Reason, World};
use crate::network::HostId;
use crate::time::Timestamp;

/// How often within the limit of a turn it is looked whether the turn goes on.
const LOOKS: u32 = 10;

/// A world and its threads.
pub(super) struct Baton {
    world: Mutex<World>,
    /// Told when the world is over and when a thread ends.
    over: Condvar,
}

/// What a simulated thread runs.
pub(super) type Main = Box<dyn FnOnce() -> Result<(), HostError> + Send>;

/// Thrown to send a thread home when its world is over. Not a panic: nothing is printed.
struct WorldOver;

thread_local! {
    /// The world of the running thread and its place there.
    static CURRENT: RefCell<Option<(Arc<Baton>, TaskId)>> = const { RefCell::new(None) };
}

/// The calling thread is not one of the world's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotOfThisWorld;

impl Baton {
    pub(super) fn new(world: World) -> Arc<Self> {
        Arc::new(Self { world: Mutex::new(world), over: Condvar::new() })
    }

    /// The world. A panic of a rule or of a trace's reader leaves it locked but whole: the run fails anyway.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a thread, which waits for its first turn.
    pub(super) fn begin(self: &Arc<Self>, host: HostId, name: &str, awaited: bool, main: Main) -> io::Result<TaskId> {
        let mut world = self.world();
        let task = world.next_task();
        let thread_name = format!("{}/{name}", world.network.name(host));
        let baton = Arc::clone(self);
        std::thread::Builder::new().name(thread_name).spawn(move || baton.live(task, main))?;
        let begun = world.begin(host, name, awaited);
        debug_assert_eq!(begun, task);
        Ok(task)
    }

    /// A thread's life.
    fn live(self: Arc<Self>, task: TaskId, main: Main) {
        CURRENT.set(Some((Arc::clone(&self), task)));
        let ended = catch_unwind(AssertUnwindSafe(|| {
            drop(self.sleep(self.world(), task));
            main()
        }));
        CURRENT.set(None);
        let mut world = self.world();
        let (host, seed) = (world.network.name(world.task(task).host).to_owned(), world.network.seed());
        match ended {
            // What goes wrong in a thread that was sent home is no news.
            _ if world.phase == Phase::Over => {}
            Ok(Ok(())) => {}
            Ok(Err(error)) => world.fail(SimError::Failed { host, error, seed }),
            Err(thrown) => {
                let (thread, message) = (world.task(task).name.clone(), text_of(&*thrown));
                world.fail(SimError::Panicked { host, thread, message, seed });
            }
        }
        world.end(task);
        drop(self.pass_turn(world));
        self.over.notify_all();
    }

    /// Gives the turn, if nobody has it, to whoever comes next.
    fn pass_turn<'a>(&'a self, mut world: MutexGuard<'a, World>) -> MutexGuard<'a, World> {
        while !world.pass_turn() {
            // Nobody has the turn: nothing can happen meanwhile that would depend on the order of threads.
            let wakers = world.take_wakers();
            drop(world);
            wakers.into_iter().for_each(Waker::wake);
            world = self.world();
        }
        world
    }

    /// Does something to the world, then calls the wakers that this leaves.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.world();
        let result = act(&mut world);
        let wakers = world.take_wakers();
        drop(world);
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// The calling thread waits for `reason`, at most until `until`. Does not return where the world is over: the
    /// thread unwinds.
    ///
    /// # Errors
    /// Where the thread is not one of the world's, or unwinds already: the destructor that waits must not.
    pub(super) fn wait(self: &Arc<Self>, reason: Reason, until: Option<Timestamp>) -> Result<Woken, NotOfThisWorld> {
        let task = self.current().ok_or(NotOfThisWorld)?;
        let mut world = self.world();
        if world.phase == Phase::Running {
            world.wait(task, reason, until);
            world = self.pass_turn(world);
        }
        Ok(self.sleep(world, task)?.woken(task))
    }

    /// The calling thread waits until `until`. Nothing where it is not of this world.
    pub(super) fn sleep_until(self: &Arc<Self>, until: Timestamp) {
        while self.world().now < until && self.wait(Reason::Sleep, Some(until)).is_ok() {}
    }

    /// Waits for another thread's end.
    pub(super) fn join(self: &Arc<Self>, task: TaskId) -> Result<(), NotOfThisWorld> {
        while !self.world().has_ended(task) {
            self.wait(Reason::End(task), None)?;
        }
        Ok(())
    }

    /// Runs the world until it is over.
    pub(super) fn run(&self, turn_limit: Duration) -> Result<(), SimError> {
        let mut world = self.world();
        world.start();
        world = self.pass_turn(world);
        let (mut seen, mut looks) = (world.progress, 0);
        while world.phase == Phase::Running {
            world = self.look(world, turn_limit, |world| world.phase == Phase::Running);
            looks = if world.progress == seen { looks + 1 } else { 0 };
            seen = world.progress;
            if world.phase == Phase::Running && looks == LOOKS {
                world.fail_held(turn_limit);
            }
        }
        if !matches!(world.failure, Some(SimError::HeldTurn { .. })) {
            for _ in 0..LOOKS {
                world = self.look(world, turn_limit, |world| world.alive > 0);
            }
        }
        world.failure.take().map_or(Ok(()), Err)
    }

    /// Waits while `still`, but not long.
    fn look<'a>(
        &self,
        world: MutexGuard<'a, World>,
        turn_limit: Duration,
        still: impl Fn(&World) -> bool,
    ) -> MutexGuard<'a, World> {
        let looked = self.over.wait_timeout_while(world, turn_limit / LOOKS, |world| still(world));
        looked.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Sleeps until `task`, the calling thread, has the turn; when the world is over, unwinds unless it does already.
    fn sleep<'a>(
        &self,
        mut world: MutexGuard<'a, World>,
        task: TaskId,
    ) -> Result<MutexGuard<'a, World>, NotOfThisWorld> {
        let turn = Arc::clone(&world.task(task).turn);
        while !world.has_turn(task) {
            if world.phase == Phase::Over {
                drop(world);
                if std::thread::panicking() {
                    return Err(NotOfThisWorld);
                }
                resume_unwind(Box::new(WorldOver));
            }
            world = turn.wait(world).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(world)
    }

    /// The calling thread's place in this world.
    pub(super) fn current(self: &Arc<Self>) -> Option<TaskId> {
        CURRENT.with_borrow(|current| {
            current.as_ref().filter(|(baton, _)| Arc::ptr_eq(baton, self)).map(|(_, task)| *task)
        })
    }
}

/// What was panicked with.
fn text_of(thrown: &(dyn Any + Send)) -> String {
    let text = thrown.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| thrown.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned())
}
