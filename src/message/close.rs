//! The end of a connection: waiting for what is under way, the CLOSE frame, and the report.

use core::time::Duration;

use super::{End, MessageId};
use crate::time::{Timer, Timestamp};
use crate::wire::CloseKind;

/// What became of the messages sent on one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelReport {
    /// The channel.
    pub channel: u16,
    /// How many were handed to the peer's application, as far as we heard.
    pub taken: u64,
    /// How many the peer's library has whole, and its application has not taken.
    pub arrived_unread: u64,
    /// How many are not known to have arrived.
    pub not_arrived: u64,
    /// The first of those that arrived and were not taken.
    pub first_unread: Option<MessageId>,
    /// The first of those that are not known to have arrived.
    pub first_missing: Option<MessageId>,
}

impl ChannelReport {
    /// True when nothing was left behind.
    #[must_use]
    pub const fn all_taken(&self) -> bool {
        self.arrived_unread == 0 && self.not_arrived == 0
    }
}

/// What became of the messages that a connection accepted for sending. Of `Latest` channels only the newest value
/// counts; `Unreliable` messages are never reported as left behind.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CloseReport {
    /// Every channel that sent something, lowest number first.
    pub channels: Vec<ChannelReport>,
    /// How the connection ended before our close was through, if it did.
    pub cut_short: Option<End>,
}

impl CloseReport {
    /// True when every message was handed to the peer's application.
    #[must_use]
    pub fn all_taken(&self) -> bool {
        self.channels.iter().all(ChannelReport::all_taken)
    }
}

/// The CLOSE frame's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    Owed,
    UnderWay,
    Acknowledged,
}

/// A close of ours.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) kind: CloseKind,
    pub(super) code: u32,
    linger: Timer,
    frame: Option<Frame>,
    report: Option<CloseReport>,
}

impl Closing {
    /// Waits at most `linger` for the peer to take what is under way.
    pub(super) fn waiting(now: Timestamp, code: u32, linger: Duration) -> Self {
        let mut timer = Timer::default();
        timer.arm(now + linger);
        Self { kind: CloseKind::Close, code, linger: timer, frame: None, report: None }
    }

    /// Waits for nothing.
    pub(super) const fn at_once(kind: CloseKind, code: u32, report: CloseReport) -> Self {
        Self { kind, code, linger: Timer::never(), frame: Some(Frame::Owed), report: Some(report) }
    }

    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        self.linger.deadline()
    }

    /// True when the linger is over.
    pub(super) fn handle_timeout(&mut self, now: Timestamp) -> bool {
        self.linger.fire(now)
    }

    /// True while what is under way is waited for.
    pub(super) const fn is_waiting(&self) -> bool {
        self.report.is_none()
    }

    /// The wait is over: the CLOSE frame may go.
    pub(super) fn announce(&mut self, report: CloseReport) {
        self.linger.disarm();
        self.report = Some(report);
        self.frame = Some(Frame::Owed);
    }

    /// The connection ended by itself: no CLOSE is needed.
    pub(super) fn cut_short(&mut self, report: CloseReport) {
        self.linger.disarm();
        self.report.get_or_insert(report);
        self.frame = Some(Frame::Acknowledged);
    }

    pub(super) const fn report(&self) -> Option<&CloseReport> {
        self.report.as_ref()
    }

    pub(super) const fn owes_frame(&self) -> bool {
        matches!(self.frame, Some(Frame::Owed))
    }

    pub(super) const fn on_sent(&mut self) {
        self.frame = Some(Frame::UnderWay);
    }

    pub(super) fn on_lost(&mut self) {
        if self.frame == Some(Frame::UnderWay) {
            self.frame = Some(Frame::Owed);
        }
    }

    pub(super) const fn on_acked(&mut self) {
        self.frame = Some(Frame::Acknowledged);
    }

    /// True when the peer knows.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.frame, Some(Frame::Acknowledged))
    }
}
