//! The end of a TCP connection: the last record, `shutdown(Write)`, reading and discarding to the end of the stream,
//! the socket. `spec/tcp.md`, section "The end".

use core::time::Duration;

use crate::time::{Timer, Timestamp};

/// How long the end may take, from the decision to end until the socket is dropped.
pub(super) const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// What is to be done with the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    /// Keep it.
    Keep,
    /// Shut its writing side: nothing follows. Asked for once.
    Shut,
    /// Drop it.
    Drop,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// There may be more to write.
    #[default]
    Open,
    /// The last record was made.
    Last,
    /// The writing side is shut.
    Shut,
    /// The socket is not needed any more.
    Gone,
}

/// How far the end has come.
#[derive(Debug, Default)]
pub(super) struct Farewell {
    stage: Stage,
    /// Nothing more comes from the peer.
    peer_shut: bool,
    timer: Timer,
}

impl Farewell {
    /// The connection has ended; the peer is still to be told.
    pub(super) fn begin(&mut self, now: Timestamp) {
        if self.timer.deadline().is_none() && self.stage != Stage::Gone {
            self.timer.arm(now + FAREWELL_MAX);
        }
    }

    /// The last record was made.
    pub(super) fn on_last_record(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Last;
        }
    }

    /// Everything made so far was written.
    pub(super) fn on_written(&mut self) -> Socket {
        match self.stage {
            Stage::Open | Stage::Shut => Socket::Keep,
            Stage::Last if self.peer_shut => {
                self.give_up();
                Socket::Drop
            }
            Stage::Last => {
                self.stage = Stage::Shut;
                Socket::Shut
            }
            Stage::Gone => Socket::Drop,
        }
    }

    /// The peer's stream has ended.
    pub(super) const fn on_end_of_stream(&mut self) {
        self.peer_shut = true;
        if matches!(self.stage, Stage::Shut) {
            self.give_up();
        }
    }

    /// The socket is of no use any more.
    pub(super) const fn give_up(&mut self) {
        self.stage = Stage::Gone;
        self.timer.disarm();
    }

    /// Records may still be made.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// The peer's stream has ended.
    pub(super) const fn peer_has_shut(&self) -> bool {
        self.peer_shut
    }

    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone)
    }

    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        self.timer.deadline()
    }

    /// True when the end has taken too long.
    pub(super) fn handle_timeout(&mut self, now: Timestamp) -> bool {
        self.timer.fire(now)
    }
}
