//! What the user sees while a transfer runs: a bar with rate and time left, and a line for each item that is left out.

use indicatif::{ProgressBar, ProgressStyle};

use super::outcome::Notice;
use crate::cli::exit::complain;

const TEMPLATE: &str = "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec}, {eta} left";

/// A bar on stderr, where that is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar towards `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        // indicatif itself draws nothing where stderr is not a terminal.
        let bar = ProgressBar::new(bytes);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        Self { bar }
    }

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

    /// Tells the user, above the bar.
    pub(crate) fn say(&self, notice: &Notice) {
        self.bar.suspend(|| complain(notice));
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
