//! What the user sees while transfers run: a bar with rate and time left for each, and a line for each item that is
//! left out.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::outcome::Notice;
use crate::cli::exit::complain;

const TEMPLATE: &str = "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec}, {eta} left";

/// The bars of this process on stderr, where that is a terminal.
#[derive(Clone, Default)]
pub(crate) struct Bars {
    all: MultiProgress,
}

impl Bars {
    /// One more, towards `bytes`.
    pub(crate) fn add(&self, bytes: u64) -> Progress {
        // indicatif itself draws nothing where stderr is not a terminal.
        let bar = self.all.add(ProgressBar::new(bytes));
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        Progress { bar, bars: self.clone() }
    }

    /// Runs `write`, which writes lines, above the bars.
    pub(crate) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        self.all.suspend(write)
    }
}

/// The bar of one transfer.
pub(crate) struct Progress {
    bar: ProgressBar,
    bars: Bars,
}

impl Progress {
    /// The whole is `bytes`.
    pub(crate) fn of(&self, bytes: u64) {
        if self.bar.length() != Some(bytes) {
            self.bar.set_length(bytes);
        }
    }

    /// `bytes` are there.
    pub(crate) fn at(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Tells the user, above the bars.
    pub(crate) fn say(&self, notice: &Notice) {
        self.bars.above(|| complain(notice));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
