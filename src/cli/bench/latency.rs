//! Round-trip times of one run and their percentiles.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer times than this are counted as this.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Significant decimal digits that every time keeps.
const DIGITS: u8 = 3;

/// Times of one run, in constant memory.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
    longest_ns: u64,
}

impl Latencies {
    /// None yet.
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, nanos(LONGEST), DIGITS)
            .expect("1 ns to an hour at 3 digits is a valid range");
        Self { histogram, longest_ns: 0 }
    }

    /// Counts one time.
    pub(crate) fn record(&mut self, time: Duration) {
        let ns = nanos(time.min(LONGEST));
        self.histogram.saturating_record(ns.max(1));
        self.longest_ns = self.longest_ns.max(ns);
    }

    /// How many were counted.
    pub(crate) fn len(&self) -> u64 {
        self.histogram.len()
    }

    /// The least time that at least the share `q` of all times does not exceed, in µs; `None` where there is none.
    pub(crate) fn quantile_us(&self, q: f64) -> Option<f64> {
        (self.len() > 0).then(|| micros(self.histogram.value_at_quantile(q).min(self.longest_ns)))
    }

    /// The longest time, in µs; `None` where there is none.
    pub(crate) fn max_us(&self) -> Option<f64> {
        (self.len() > 0).then(|| micros(self.longest_ns))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "an hour of nanoseconds is far below 2^53")]
fn micros(ns: u64) -> f64 {
    ns as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times_us: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        for us in times_us {
            latencies.record(Duration::from_micros(us));
        }
        latencies
    }

    /// Equal to the histogram's three digits.
    fn check(got: Option<f64>, expected: f64) {
        let got = got.expect("there is a time");
        assert!((got - expected).abs() <= expected / 1_000.0, "{got} is not {expected}");
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let latencies = of(1..=100);
        check(latencies.quantile_us(0.5), 50.0);
        check(latencies.quantile_us(0.99), 99.0);
        check(latencies.quantile_us(0.999), 100.0);
        assert_eq!(latencies.max_us(), Some(100.0));
    }

    #[test]
    fn one_slow_in_a_hundred_shows_in_p99_only_when_there_are_two() {
        check(of((0..99).map(|_| 10).chain([5_000])).quantile_us(0.99), 10.0);
        check(of((0..98).map(|_| 10).chain([5_000, 5_000])).quantile_us(0.99), 5_000.0);
    }

    #[test]
    fn no_percentile_exceeds_the_longest() {
        let latencies = of([123_457]);
        assert_eq!(latencies.quantile_us(0.999), Some(123_457.0));
        assert_eq!(latencies.quantile_us(0.5), latencies.max_us());
    }

    #[test]
    fn nothing_counted_has_no_percentile() {
        assert_eq!(of([]).quantile_us(0.5), None);
        assert_eq!(of([]).max_us(), None);
    }

    #[test]
    fn beyond_an_hour_counts_as_an_hour() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_secs(7_200));
        check(latencies.max_us(), 3.6e9);
    }
}
