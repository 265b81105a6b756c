//! The server's part of each workload: echo what comes, or take it. Every byte is checked.

use std::time::Duration;

use super::args::Workload;
use super::content::Content;
use super::control::{Order, Outcome};
use super::cpu::CpuTimer;
use super::error::Error;
use super::link::{Heard, Link, ServerLink};
use super::plan::{is_lossy, is_numbered};
use super::seen::Seen;

/// How long nothing may come after the client's end before what is missing is taken for lost.
pub(crate) const QUIET: Duration = Duration::from_millis(200);

/// Answers one run and tells the client what came.
pub(crate) fn answer(order: &Order, link: &mut impl ServerLink) -> Result<Outcome, Error> {
    let content = Content::new(order.size, is_numbered(order.transport, order.delivery));
    let cpu = CpuTimer::start();
    let outcome = match order.workload {
        Workload::Echo | Workload::Rate => echo(link, &content)?,
        Workload::Bulk => link.sink(&content, is_lossy(order.transport, order.delivery))?,
    };
    let outcome = Outcome { cpu_s: cpu.seconds(), ..outcome };
    link.report(outcome)?;
    Ok(outcome)
}

fn echo(link: &mut impl ServerLink, content: &Content) -> Result<Outcome, Error> {
    let mut taken = Taken::new(content);
    loop {
        match link.recv(None)? {
            Heard::Body => {
                taken.take(link.body())?;
                link.reply()?;
            }
            Heard::Nothing => {}
            Heard::End { .. } => return Ok(taken.outcome()),
        }
    }
}

/// [`ServerLink::sink`] for a link that gives messages one by one.
pub(crate) fn sink(link: &mut impl Link, content: &Content, lossy: bool) -> Result<Outcome, Error> {
    let mut taken = Taken::new(content);
    let mut expected = None;
    while expected.is_none_or(|expected| taken.messages < expected) {
        let wait = (lossy && expected.is_some()).then_some(QUIET);
        match link.recv(wait)? {
            Heard::Body => taken.take(link.body())?,
            Heard::End { .. } if expected.is_some() => return Err(Error::Protocol("a second end".to_owned())),
            Heard::End { sent } => expected = Some(sent),
            Heard::Nothing if wait.is_some() => {
                let quiet_us = u64::try_from(QUIET.as_micros()).expect("less than a second");
                return Ok(Outcome { quiet_us, ..taken.outcome() });
            }
            Heard::Nothing => {}
        }
    }
    Ok(taken.outcome())
}

/// What came, each message once.
struct Taken<'a> {
    content: &'a Content,
    seen: Seen,
    messages: u64,
}

impl<'a> Taken<'a> {
    fn new(content: &'a Content) -> Self {
        Self { content, seen: Seen::new(), messages: 0 }
    }

    fn take(&mut self, body: &[u8]) -> Result<(), Error> {
        if !self.content.numbered() {
            self.content.check(self.messages, body)?;
            self.messages += 1;
            return Ok(());
        }
        let n = self.content.number(body)?;
        self.content.check(n, body)?;
        self.messages += u64::from(self.seen.insert(n));
        Ok(())
    }

    fn outcome(&self) -> Outcome {
        let size = u64::try_from(self.content.size()).expect("at most 16 MiB");
        Outcome { received: self.messages, bytes: self.messages * size, ..Outcome::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Says what it is told to, and remembers for how long it was asked to wait.
    struct Script {
        content: Content,
        says: VecDeque<Say>,
        body: Vec<u8>,
        waits: Vec<Option<Duration>>,
        replies: Vec<Vec<u8>>,
        reported: Option<Outcome>,
    }

    enum Say {
        Message(u64),
        Bytes(Vec<u8>),
        Nothing,
        End(u64),
    }

    impl Script {
        fn new(numbered: bool, says: Vec<Say>) -> Self {
            let content = Content::new(16, numbered);
            Self { content, says: says.into(), body: vec![], waits: vec![], replies: vec![], reported: None }
        }
    }

    impl Link for Script {
        fn recv(&mut self, wait: Option<Duration>) -> Result<Heard, Error> {
            self.waits.push(wait);
            Ok(match self.says.pop_front().expect("asked for more than there is") {
                Message(n) => {
                    self.body = self.content.body(n).to_vec();
                    Heard::Body
                }
                Bytes(bytes) => {
                    self.body = bytes;
                    Heard::Body
                }
                Nothing => Heard::Nothing,
                End(sent) => Heard::End { sent },
            })
        }

        fn body(&self) -> &[u8] {
            &self.body
        }
    }

    impl ServerLink for Script {
        fn reply(&mut self) -> Result<(), Error> {
            self.replies.push(self.body.clone());
            Ok(())
        }

        fn sink(&mut self, content: &Content, lossy: bool) -> Result<Outcome, Error> {
            sink(self, content, lossy)
        }

        fn report(&mut self, outcome: Outcome) -> Result<(), Error> {
            self.reported = Some(outcome);
            Ok(())
        }
    }

    fn outcome(received: u64, quiet_us: u64) -> Outcome {
        Outcome { received, bytes: received * 16, cpu_s: 0.0, quiet_us }
    }

    use Say::{Bytes, End, Message, Nothing};

    #[test]
    fn the_end_may_overtake_what_is_still_on_its_way() {
        let mut link = Script::new(false, vec![Message(0), End(3), Message(1), Nothing, Message(2)]);
        let content = link.content.clone();
        assert_eq!(sink(&mut link, &content, false).unwrap(), outcome(3, 0));
        assert_eq!(link.waits, [None; 5], "what is promised is waited for");
    }

    #[test]
    fn what_may_be_lost_is_given_up_after_a_quiet_while() {
        let mut link = Script::new(true, vec![Message(0), Message(2), End(4), Message(3), Nothing]);
        let content = link.content.clone();
        assert_eq!(sink(&mut link, &content, true).unwrap(), outcome(3, 200_000));
        assert_eq!(link.waits, [None, None, None, Some(QUIET), Some(QUIET)]);
    }

    #[test]
    fn a_message_that_comes_twice_counts_once() {
        let mut link = Script::new(true, vec![Message(1), Message(1), Message(0), End(2)]);
        let content = link.content.clone();
        assert_eq!(sink(&mut link, &content, true).unwrap(), outcome(2, 0));
    }

    #[test]
    fn one_changed_byte_ends_the_run() {
        let mut changed = Content::new(16, false).body(1).to_vec();
        changed[15] ^= 0x80;
        let mut link = Script::new(false, vec![Message(0), Bytes(changed)]);
        let content = link.content.clone();
        assert!(matches!(sink(&mut link, &content, false), Err(Error::Corrupt { message: 1, at: 15 })));
    }

    #[test]
    fn ordered_messages_out_of_order_end_the_run() {
        let mut link = Script::new(false, vec![Message(1)]);
        let content = link.content.clone();
        sink(&mut link, &content, false).unwrap_err();
    }

    #[test]
    fn echo_answers_everything_and_reports() {
        use super::super::args::{Delivery, Transport};
        let mut link = Script::new(false, vec![Message(0), Nothing, Message(1), End(2)]);
        let order = Order {
            version: 1,
            transport: Transport::Udp,
            workload: Workload::Echo,
            delivery: Some(Delivery::Ordered),
            size: 16,
            udp_port: None,
        };
        answer(&order, &mut link).unwrap();
        assert_eq!(link.replies, [link.content.body(0), link.content.body(1)]);
        let reported = link.reported.unwrap();
        assert_eq!((reported.received, reported.bytes), (2, 32));
    }
}
