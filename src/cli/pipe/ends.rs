//! How far the two directions of a pipe have come: `spec/pipe.md`, section "The two directions". Without a connection.

use udpair::wire::DecodeError;

use super::control::{Control, VERSION};
use crate::cli::code;
use crate::cli::exit::Exit;

/// What the other side must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// It did what the protocol forbids.
    #[error("the other side broke the pipe's protocol: {0}")]
    Violation(&'static str),
    /// Its bytes are no message.
    #[error("the other side sent what is no message of the pipe's protocol: {0}")]
    Garbled(#[from] DecodeError),
    /// It speaks another version.
    #[error("the other side speaks version {0} of the pipe's protocol, this is version 1")]
    Version(u16),
    /// It is `udpair send`.
    #[error("the other side sends files: receive them with udpair recv")]
    Files,
}

impl Broken {
    /// The code to abort the connection with.
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Violation(_) | Self::Garbled(_) | Self::Files => code::VIOLATION,
            Self::Version(_) => code::VERSION,
        }
    }

    /// The tool's exit code.
    pub(crate) const fn exit(self) -> Exit {
        match self {
            Self::Violation(_) | Self::Garbled(_) | Self::Files => Exit::Other,
            Self::Version(_) => Exit::Differs,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    greeted: bool,
    /// Bytes of content that came.
    came: u64,
    /// How many there are in all, once the other side has said so.
    in_all: Option<u64>,
    /// The end of what comes is in the output, and was said to be.
    written: bool,
    /// All of ours is in the other side's output.
    delivered: bool,
}

impl Ends {
    /// So many bytes of content came.
    pub(crate) fn on_content(&mut self, len: u64) -> Result<(), Broken> {
        self.came += len;
        if self.in_all.is_some_and(|in_all| self.came > in_all) {
            return Err(Broken::Violation("more content than it said"));
        }
        Ok(())
    }

    /// Takes a control message; `sent` is how many bytes our END said, once it was sent.
    pub(crate) fn on_control(&mut self, control: Control, sent: Option<u64>) -> Result<(), Broken> {
        match control {
            Control::Hello { version } if version != VERSION => Err(Broken::Version(version)),
            Control::Hello { .. } if !self.greeted => {
                self.greeted = true;
                Ok(())
            }
            _ if !self.greeted => Err(Broken::Violation("no greeting")),
            Control::Hello { .. } => Err(Broken::Violation("a second greeting")),
            Control::End { bytes } if self.in_all.is_none() && bytes >= self.came => {
                self.in_all = Some(bytes);
                Ok(())
            }
            Control::End { .. } => Err(Broken::Violation("a second end, or one in the middle of the content")),
            Control::Written { bytes } if sent == Some(bytes) && !self.delivered => {
                self.delivered = true;
                Ok(())
            }
            Control::Written { .. } => Err(Broken::Violation("it has written what was not sent")),
        }
    }

    /// True once, when everything that comes has come: the output is to be ended, and WRITTEN to be sent.
    pub(crate) fn ends_output(&mut self) -> Option<Control> {
        if self.written || self.in_all != Some(self.came) {
            return None;
        }
        self.written = true;
        Some(Control::Written { bytes: self.came })
    }

    /// Both directions have ended and were delivered.
    pub(crate) const fn are_done(&self) -> bool {
        self.written && self.delivered
    }

    /// The other side is a pipe, and not another program.
    pub(crate) const fn is_greeted(&self) -> bool {
        self.greeted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: Control = Control::Hello { version: VERSION };

    fn greeted() -> Ends {
        let mut ends = Ends::default();
        ends.on_control(HELLO, None).unwrap();
        ends
    }

    #[test]
    fn each_direction_ends_by_itself_and_the_pipe_with_the_last() {
        let mut ends = greeted();
        ends.on_content(10).unwrap();
        // The end may overtake content.
        ends.on_control(Control::End { bytes: 15 }, None).unwrap();
        assert_eq!(ends.ends_output(), None);
        ends.on_content(5).unwrap();
        assert_eq!(ends.ends_output(), Some(Control::Written { bytes: 15 }));
        assert_eq!(ends.ends_output(), None, "once");
        assert!(!ends.are_done());
        ends.on_control(Control::Written { bytes: 7 }, Some(7)).unwrap();
        assert!(ends.are_done());

        let mut ends = greeted();
        ends.on_control(Control::Written { bytes: 0 }, Some(0)).unwrap();
        assert!(!ends.are_done());
        ends.on_control(Control::End { bytes: 0 }, Some(0)).unwrap();
        assert_eq!(ends.ends_output(), Some(Control::Written { bytes: 0 }), "nothing has an end, too");
        assert!(ends.are_done());
    }

    #[test]
    fn what_is_not_due_is_a_violation() {
        let refused = |mut ends: Ends, control, sent| match ends.on_control(control, sent) {
            Err(Broken::Violation(_)) => {}
            other => panic!("{control:?}: {other:?}"),
        };
        refused(Ends::default(), Control::End { bytes: 0 }, None);
        refused(greeted(), HELLO, None);
        refused(greeted(), Control::Written { bytes: 0 }, None);
        refused(greeted(), Control::Written { bytes: 1 }, Some(2));
        let mut ends = greeted();
        ends.on_content(3).unwrap();
        refused(ends, Control::End { bytes: 2 }, None);
        let mut ends = greeted();
        ends.on_control(Control::End { bytes: 2 }, None).unwrap();
        assert!(ends.on_content(3).is_err());
        refused(ends, Control::End { bytes: 2 }, None);
        let other = Ends::default().on_control(Control::Hello { version: 2 }, None);
        assert_eq!(other, Err(Broken::Version(2)));
    }
}
