//! What a workload needs of whatever carries its messages.

use std::time::Duration;

use bytes::Bytes;

use super::content::Content;
use super::control::Outcome;
use super::error::Error;
use super::sockets::Sockets;

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A message: [`Link::body`] holds it until the next call.
    Body,
    /// Nothing yet; the caller looks at its clock and may ask again.
    Nothing,
    /// The client says that it has sent everything. Messages may still be on their way.
    End {
        /// How many messages it sent.
        sent: u64,
    },
}

/// One side of a run.
pub(crate) trait Link {
    /// Waits for a message, at most for about `wait`, for ever where that is `None`.
    fn recv(&mut self, wait: Option<Duration>) -> Result<Heard, Error>;
    /// The message that was heard last.
    fn body(&self) -> &[u8];
}

/// The side that sends.
pub(crate) trait ClientLink: Link {
    /// Hands over a message; waits while there is no room.
    fn send(&mut self, body: &Bytes) -> Result<(), Error>;
    /// Hands over a message if there is room now; returns whether there was.
    fn try_send(&mut self, body: &Bytes) -> Result<bool, Error>;
    /// How many messages are best handed over in one go.
    fn burst(&self) -> u64 {
        1
    }
    /// Hands over messages `from..from + count` and waits while there is no room.
    fn send_burst(&mut self, content: &Content, from: u64, count: u64) -> Result<(), Error> {
        (from..from + count).try_for_each(|n| self.send(&content.body(n)))
    }
    /// An error if the other side is known to have gone.
    fn check_alive(&mut self) -> Result<(), Error> {
        Ok(())
    }
    /// Says that everything was sent, waits until the server has taken it all, and returns what the server saw.
    fn end(&mut self, sent: u64) -> Result<Outcome, Error>;
    /// What this side knows of the path, after the end.
    fn facts(&self) -> Facts;
    /// What the server gave as its reason, after an error.
    fn reason(&mut self) -> Option<String>;
}

/// The side that answers. Where it would wait for the client for ever, it gives the run up as [`Error::Stalled`] when
/// nothing at all happens for too long: a server has others to serve.
pub(crate) trait ServerLink: Link {
    /// Sends the message that was heard last back.
    fn reply(&mut self) -> Result<(), Error>;
    /// Takes and checks all messages of a `bulk` run until the client's end. Where `lossy`, gives up on what is
    /// missing after a while.
    fn sink(&mut self, content: &Content, lossy: bool) -> Result<Outcome, Error>;
    /// Tells the client.
    fn report(&mut self, outcome: Outcome) -> Result<(), Error>;
}

/// What the client's side knows of the path; `None` where it does not apply or cannot be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Which congestion controller.
    pub(crate) controller: Option<String>,
    /// Packets or segments that were sent again.
    pub(crate) retransmits: Option<u64>,
    /// Bytes of UDP payload of the longest datagram that the path is known to carry.
    pub(crate) path_mtu: Option<u64>,
    /// What its sockets are like.
    pub(crate) sockets: Sockets,
}
