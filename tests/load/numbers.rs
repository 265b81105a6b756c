//! Many durations, and what is told of them.

use std::time::Duration;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durations(Vec<Duration>);

impl Durations {
    pub(crate) fn push(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    pub(crate) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The least that so many parts of a thousand do not exceed; zero where there is none.
    pub(crate) fn permille(&self, permille: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted.get(last * permille / 1_000).copied().unwrap_or_default()
    }

    /// The median, the 99th percentile and the greatest, in a row of a table.
    pub(crate) fn row(&self) -> String {
        let [p50, p99, max] = [500, 990, 1_000].map(|permille| {
            let micros = self.permille(permille).as_micros();
            if micros < 10_000 { format!("{micros} us") } else { format!("{} ms", micros / 1_000) }
        });
        format!("{p50:>9} {p99:>9} {max:>9}")
    }
}
