//! Standard output, as the place where what comes is written.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use super::screen::Screen;

/// See the module. Nothing is held back: what was written is with whoever reads it.
pub(crate) struct Output {
    file: File,
    /// Where somebody looks at it.
    screen: Option<Screen>,
}

impl Output {
    /// Standard output.
    pub(crate) fn open() -> io::Result<Self> {
        let stdout = io::stdout();
        let screen = stdout.is_terminal().then(Screen::default);
        Ok(Self { file: File::from(stdout.as_fd().try_clone_to_owned()?), screen })
    }

    /// True where somebody looks at it.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.screen.is_some()
    }

    /// Writes all of `bytes`. Blocks while nobody reads.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.screen {
            Some(screen) => self.file.write_all(screen.show(bytes).as_bytes()),
            None => self.file.write_all(bytes),
        }
    }

    /// Ends it, so that whoever reads knows. A terminal stays open: the user's next program has it.
    pub(crate) fn end(mut self) -> io::Result<()> {
        if let Some(screen) = &mut self.screen {
            return self.file.write_all(screen.finish().as_bytes());
        }
        drop(self.file);
        // The process's own descriptor is the last one; it goes on to lead nowhere.
        let nowhere = File::options().write(true).open("/dev/null")?;
        Ok(rustix::stdio::dup2_stdout(nowhere)?)
    }
}
