//! CPU time of this process: what a run costs beside the time that it takes.

use rustix::time::{ClockId, clock_gettime};

/// Measures the CPU time, user and system, of every thread of this process from its start on.
///
/// The work that the kernel does for us outside our own calls (a network card's interrupts) is not in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuTimer {
    from_s: f64,
}

impl CpuTimer {
    /// Starts to measure.
    pub(crate) fn start() -> Self {
        Self { from_s: process_cpu_s() }
    }

    /// CPU seconds since the start.
    pub(crate) fn seconds(self) -> f64 {
        process_cpu_s() - self.from_s
    }
}

#[expect(clippy::cast_precision_loss, reason = "a process's seconds and nanoseconds are far below 2^53")]
fn process_cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted() {
        let timer = CpuTimer::start();
        // Until it shows: a timer that stands still would hang here.
        let mut work = 1_u64;
        while timer.seconds() <= 0.001 {
            work = work.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        }
        assert_ne!(work, 1);
    }
}
