//! One run, checked: which messages, when, over what.

use std::time::Duration;

use super::args::{Delivery, RunArgs, Transport, Workload};
use super::content::{Content, NUMBER_LEN, SIZE_MAX};
use super::error::Error;
use super::raw_udp;
use super::subject::{Security, Subject};

/// The most messages of a `rate` run: one bit is kept for each.
pub(crate) const RATE_MESSAGES_MAX: u64 = 100_000_000;

/// The most messages a second of a `rate` run.
const RATE_HZ_MAX: f64 = 1e6;

/// The longest run.
const SECONDS_MAX: f64 = 86_400.0;

/// The longest value of a `Latest` channel where the limits are the library's own: 7/16 of a channel's credit less 256.
const LATEST_SIZE_MAX: usize = (20 << 20) / 16 * 7 - 256;

const SECONDS_DEFAULT: f64 = 5.0;
const RATE_HZ_DEFAULT: f64 = 1_000.0;

/// What one run does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    /// What carries the messages.
    pub(crate) transport: Transport,
    /// What secures it; `None` for a bare socket.
    pub(crate) security: Option<Security>,
    /// What is sent when.
    pub(crate) workload: Workload,
    /// What is promised; `None` for a bare socket.
    pub(crate) delivery: Option<Delivery>,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// How many messages, or for how long.
    pub(crate) amount: Amount,
    /// Messages a second, for [`Workload::Rate`].
    pub(crate) rate_hz: f64,
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Amount {
    /// After so many messages.
    Count(u64),
    /// When the next message would begin later than this.
    For(Duration),
}

impl Plan {
    /// A run of messages of `size` bytes on an ordered channel, for `time`.
    pub(crate) fn lasting(subject: Subject, workload: Workload, size: usize, time: Duration) -> Self {
        let Subject { transport, security } = subject;
        let delivery = (!transport.is_raw()).then_some(Delivery::Ordered);
        Self { transport, security, workload, delivery, size, amount: Amount::For(time), rate_hz: RATE_HZ_DEFAULT }
    }

    /// What the command line asks for, if it can be done.
    pub(crate) fn from_args(args: &RunArgs) -> Result<Self, Error> {
        let (transport, workload) = (args.transport, args.workload);
        if transport.is_raw() && args.delivery.is_some() {
            return usage(format!("{transport} is a bare socket: it has no --delivery"));
        }
        if workload != Workload::Rate && args.rate.is_some() {
            return usage(format!("--rate is for --workload rate; {workload} goes as fast as it can"));
        }
        let subject = if args.seal.has_key() { Subject::sealed(transport) } else { Subject::plain(transport) };
        let plan = Self {
            transport,
            security: subject.security,
            workload,
            delivery: (!transport.is_raw()).then(|| args.delivery.unwrap_or(Delivery::Ordered)),
            size: args.size.unwrap_or_else(|| size_default(transport, workload)),
            amount: amount(args)?,
            rate_hz: args.rate.unwrap_or(RATE_HZ_DEFAULT),
        };
        plan.check_size()?;
        plan.check_rate()?;
        Ok(plan)
    }

    /// What is measured.
    pub(crate) const fn subject(&self) -> Subject {
        Subject { transport: self.transport, security: self.security }
    }

    /// Whether messages carry their number: they may be lost or overtake each other.
    pub(crate) fn numbered(&self) -> bool {
        is_numbered(self.transport, self.delivery)
    }

    /// Whether a message may never arrive.
    pub(crate) fn lossy(&self) -> bool {
        is_lossy(self.transport, self.delivery)
    }

    /// What the messages hold.
    pub(crate) fn content(&self) -> Content {
        Content::new(self.size, self.numbered())
    }

    /// How many messages a `rate` run has.
    pub(crate) fn rate_messages(&self) -> u64 {
        match self.amount {
            Amount::Count(count) => count,
            Amount::For(time) => whole(time.as_secs_f64() * self.rate_hz).max(1),
        }
    }

    fn check_size(&self) -> Result<(), Error> {
        let Self { transport, size, .. } = *self;
        let least = size_min(transport, self.delivery);
        let most = size_max(transport, self.delivery);
        if (least..=most).contains(&size) {
            return Ok(());
        }
        let delivery = self.delivery.map_or(String::new(), |delivery| format!(" {delivery}"));
        usage(format!("each{delivery} message over {transport} has {least} to {most} bytes here, not {size}"))
    }

    fn check_rate(&self) -> Result<(), Error> {
        if self.workload != Workload::Rate {
            return Ok(());
        }
        if !(self.rate_hz > 0.0 && self.rate_hz <= RATE_HZ_MAX) {
            return usage(format!("--rate is more than 0 and at most {RATE_HZ_MAX}"));
        }
        let messages = self.rate_messages();
        if messages > RATE_MESSAGES_MAX {
            return usage(format!("{messages} messages are too many for one run: at most {RATE_MESSAGES_MAX}"));
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 10^8 messages")]
        let seconds = (messages - 1) as f64 / self.rate_hz;
        if seconds > SECONDS_MAX {
            let hz = self.rate_hz;
            return usage(format!("{messages} messages at {hz} a second take longer than {SECONDS_MAX} s"));
        }
        Ok(())
    }
}

/// Whether messages carry their number.
pub(crate) fn is_numbered(transport: Transport, delivery: Option<Delivery>) -> bool {
    transport == Transport::RawUdp || !matches!(delivery, None | Some(Delivery::Ordered))
}

/// Whether a message may never arrive.
pub(crate) fn is_lossy(transport: Transport, delivery: Option<Delivery>) -> bool {
    transport == Transport::RawUdp || matches!(delivery, Some(Delivery::Latest | Delivery::Unreliable))
}

/// The fewest bytes of a message.
pub(crate) fn size_min(transport: Transport, delivery: Option<Delivery>) -> usize {
    match transport {
        _ if is_numbered(transport, delivery) => NUMBER_LEN,
        // A stream has no empty message.
        Transport::RawTcp => 1,
        _ => 0,
    }
}

/// The most bytes of a message.
pub(crate) fn size_max(transport: Transport, delivery: Option<Delivery>) -> usize {
    match transport {
        Transport::RawUdp => raw_udp::DATAGRAM_MAX,
        _ if delivery == Some(Delivery::Unreliable) => udpair::wire::UNRELIABLE_LEN_MAX,
        _ if delivery == Some(Delivery::Latest) => LATEST_SIZE_MAX,
        _ => SIZE_MAX,
    }
}

/// Bytes of a message where nothing else is asked for.
pub(crate) fn size_default(transport: Transport, workload: Workload) -> usize {
    match workload {
        Workload::Echo => 64,
        Workload::Rate => 1_024,
        // What a frame of 1,500 bytes carries, sent many at a time: how fast UDP is used.
        Workload::Bulk if transport == Transport::RawUdp => raw_udp::BULK_SIZE,
        Workload::Bulk => 64 << 10,
    }
}

fn amount(args: &RunArgs) -> Result<Amount, Error> {
    if let Some(count) = args.count {
        return if count > 0 { Ok(Amount::Count(count)) } else { usage("--count is at least 1".to_owned()) };
    }
    let seconds = args.seconds.unwrap_or(SECONDS_DEFAULT);
    if seconds > 0.0 && seconds <= SECONDS_MAX {
        Ok(Amount::For(Duration::from_secs_f64(seconds)))
    } else {
        usage(format!("--seconds is more than 0 and at most {SECONDS_MAX}"))
    }
}

fn usage<T>(why: String) -> Result<T, Error> {
    Err(Error::Usage(why))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates, and is not negative")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::peer::SealArgs;

    fn args(transport: Transport, workload: Workload) -> RunArgs {
        RunArgs {
            to: "127.0.0.1:1".to_owned(),
            transport,
            workload,
            size: None,
            count: None,
            seconds: None,
            rate: None,
            delivery: None,
            json: None,
            seal: SealArgs { insecure_plain: true, ..SealArgs::default() },
        }
    }

    #[track_caller]
    fn refused(args: &RunArgs) -> String {
        match Plan::from_args(args) {
            Err(Error::Usage(why)) => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn udpair_is_ordered_unless_told_and_bare_sockets_promise_nothing() {
        let plan = Plan::from_args(&args(Transport::Udp, Workload::Echo)).unwrap();
        assert_eq!(plan.delivery, Some(Delivery::Ordered));
        assert!(!plan.numbered() && !plan.lossy());
        let plan = Plan::from_args(&args(Transport::RawUdp, Workload::Echo)).unwrap();
        assert_eq!(plan.delivery, None);
        assert!(plan.numbered() && plan.lossy());
        let delivery = Some(Delivery::Unordered);
        let plan = Plan::from_args(&RunArgs { delivery, ..args(Transport::Tcp, Workload::Rate) }).unwrap();
        assert!(plan.numbered() && !plan.lossy());
        refused(&RunArgs { delivery, ..args(Transport::RawTcp, Workload::Rate) });
    }

    #[test]
    fn sizes_at_their_borders() {
        let sized =
            |transport, size, delivery| RunArgs { size: Some(size), delivery, ..args(transport, Workload::Echo) };
        for (transport, delivery, least, most) in [
            (Transport::RawUdp, None, 8, 65_507),
            (Transport::RawTcp, None, 1, 16 << 20),
            (Transport::Udp, None, 0, 16 << 20),
            (Transport::Tcp, Some(Delivery::Unordered), 8, 16 << 20),
            (Transport::Udp, Some(Delivery::Unreliable), 8, 1_100),
            (Transport::Tcp, Some(Delivery::Latest), 8, 9_174_784),
        ] {
            Plan::from_args(&sized(transport, least, delivery)).unwrap();
            Plan::from_args(&sized(transport, most, delivery)).unwrap();
            refused(&sized(transport, most + 1, delivery));
            if least > 0 {
                refused(&sized(transport, least - 1, delivery));
            }
        }
    }

    #[test]
    fn a_rate_needs_its_workload_and_a_sane_number() {
        refused(&RunArgs { rate: Some(5.0), ..args(Transport::Udp, Workload::Echo) });
        let rate = |hz| RunArgs { rate: Some(hz), seconds: Some(0.25), ..args(Transport::Udp, Workload::Rate) };
        assert_eq!(Plan::from_args(&rate(1_000.0)).unwrap().rate_messages(), 250);
        assert_eq!(Plan::from_args(&rate(1.0)).unwrap().rate_messages(), 1, "at least one");
        for hz in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            refused(&rate(hz));
        }
    }

    #[test]
    fn a_rate_so_low_that_the_last_message_is_never_due_is_refused() {
        let slow = |hz, count| RunArgs { rate: Some(hz), count: Some(count), ..args(Transport::Udp, Workload::Rate) };
        Plan::from_args(&slow(1.0, 86_401)).unwrap();
        Plan::from_args(&slow(1e-300, 1)).unwrap();
        for (hz, count) in [(1.0, 86_402), (1e-19, 5), (1e-300, 2)] {
            refused(&slow(hz, count));
        }
    }

    #[test]
    fn no_run_is_empty_or_endless() {
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            refused(&RunArgs { seconds: Some(seconds), ..args(Transport::Udp, Workload::Bulk) });
        }
        refused(&RunArgs { count: Some(0), ..args(Transport::Udp, Workload::Bulk) });
        refused(&RunArgs { count: Some(RATE_MESSAGES_MAX + 1), ..args(Transport::Udp, Workload::Rate) });
    }
}
