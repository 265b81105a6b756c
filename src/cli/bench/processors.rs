//! Which processors the two sides of a bench on one machine run on.
//!
//! Left alone, the scheduler now and then puts both sides of a ping-pong on one processor, where no processor has to
//! be woken: round trips of 20 µs, then of 65 µs, and which it is depends on chance more than on the transport. Two
//! machines never share a processor, so the bench gives each side half of them.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Two disjoint sets of processors, and all of them.
pub(crate) struct Halves {
    all: CpuSet,
    client: CpuSet,
    server: CpuSet,
}

impl Halves {
    /// Of the processors that this thread may use; `None` where there is only one, or where they cannot be chosen.
    pub(crate) fn of_this_machine() -> Option<Self> {
        let all = sched_getaffinity(None).ok()?;
        let usable: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| all.is_set(cpu)).collect();
        if usable.len() < 2 {
            return None;
        }
        let (client, server) = usable.split_at(usable.len() / 2);
        Some(Self { all, client: set(client), server: set(server) })
    }

    /// Lets this thread, and what it starts from now on, use the client's half.
    pub(crate) fn enter_client(&self) {
        enter(&self.client);
    }

    /// Lets this thread, and what it starts from now on, use the server's half.
    pub(crate) fn enter_server(&self) {
        enter(&self.server);
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        enter(&self.all);
    }
}

fn set(cpus: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|&cpu| set.set(cpu));
    set
}

/// Where it fails the figures are as unsteady as they would be without.
fn enter(cpus: &CpuSet) {
    let _best_effort = sched_setaffinity(None, cpus);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usable() -> Vec<usize> {
        let set = sched_getaffinity(None).unwrap();
        (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
    }

    #[test]
    fn the_halves_share_nothing_and_leave_nothing_behind() {
        let before = usable();
        let Some(halves) = Halves::of_this_machine() else {
            assert_eq!(before.len(), 1);
            return;
        };
        halves.enter_client();
        let client = usable();
        halves.enter_server();
        let server = usable();
        assert_eq!([client, server].concat(), before);
        drop(halves);
        assert_eq!(usable(), before);
    }
}
