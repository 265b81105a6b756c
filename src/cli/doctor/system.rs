//! What of the process and the clock matters.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use udpair::{Config, udp};

use super::finding::Finding;

/// A descriptor or two for each connection over TCP, and some more.
const DESCRIPTORS_FEW: u64 = 1_024;
/// Timers that are later than this hold acknowledgements and repairs up.
const LATE_MAX: Duration = Duration::from_millis(1);
/// What is asked of the timer, and how often.
const SLEEP: Duration = Duration::from_micros(500);
const SLEEPS: usize = 21;

pub(super) fn look() -> Vec<Finding> {
    let mut findings = vec![descriptors(getrlimit(Resource::Nofile).current)];
    findings.extend(lateness().map(|late| timers(late, &slack())));
    findings
}

fn descriptors(limit: Option<u64>) -> Finding {
    match limit {
        None => Finding::good("descriptors", "no limit"),
        Some(limit) if limit < DESCRIPTORS_FEW => Finding::fair("descriptors", format!("at most {limit}"))
            .mend(format!("`ulimit -n {DESCRIPTORS_FEW}`, for many connections over TCP")),
        Some(limit) => Finding::good("descriptors", format!("at most {limit}")),
    }
}

fn timers(late: Duration, slack: &str) -> Finding {
    let text = format!("{} µs late in the middle{slack}", late.as_micros());
    if late > LATE_MAX {
        Finding::fair("timers", text).mend("the machine is busy, or its host is: latencies will be worse")
    } else {
        Finding::good("timers", text)
    }
}

/// How late a short sleep is, in the middle of some. Blocks for about 15 ms.
fn lateness() -> Option<Duration> {
    let clock = udp::bind(([127, 0, 0, 1], 0).into(), Config::insecure_plain()).ok()?;
    let mut late: Vec<Duration> = (0..SLEEPS)
        .map(|_| {
            let until = clock.now() + SLEEP;
            clock.sleep_until(until);
            clock.now().saturating_since(until)
        })
        .collect();
    late.sort_unstable();
    late.get(SLEEPS / 2).copied()
}

fn slack() -> String {
    let text = fs::read_to_string("/proc/self/timerslack_ns").unwrap_or_default();
    text.trim().parse::<u64>().map_or_else(|_| String::new(), |nanos| format!(", slack {} µs", nanos / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_lateness_are_judged_at_their_borders() {
        assert!(descriptors(None).to_string().starts_with("ok "));
        assert!(descriptors(Some(1_024)).to_string().starts_with("ok "));
        assert!(descriptors(Some(1_023)).to_string().starts_with("note  descriptors      at most 1023 -> `ulimit"));
        let late = |micros| timers(Duration::from_micros(micros), ", slack 50 µs").to_string();
        assert_eq!(late(1_000), "ok    timers           1000 µs late in the middle, slack 50 µs");
        assert!(late(1_001).starts_with("note  timers"));
    }

    #[test]
    fn the_machine_is_looked_at() {
        assert_eq!(look().len(), 2);
    }
}
