//! The client's workloads: what is sent when, and what is counted. `spec/bench.md`, section "Workloads".

use std::time::{Duration, Instant};

use super::args::Workload;
use super::clock;
use super::content::Content;
use super::control::Outcome;
use super::cpu::CpuTimer;
use super::error::Error;
use super::json::Record;
use super::latency::Latencies;
use super::link::{ClientLink, Heard};
use super::plan::{Amount, Plan};
use super::seen::place;

/// How long `rate` waits for answers after the last message fell due.
pub(crate) const DRAIN: Duration = Duration::from_secs(2);

/// How long `echo` waits for an answer that may never come.
pub(crate) const ECHO_WAIT: Duration = Duration::from_secs(1);

/// `echo` begins with round trips that are not counted: a tenth of what is asked for, but no more than these.
const WARM_UP_MESSAGES_MAX: u64 = 100;
const WARM_UP_MAX: Duration = Duration::from_millis(20);

/// How long `rate` waits for room before it tries again.
const RETRY: Duration = Duration::from_micros(500);

/// Does what `plan` says over `link`.
pub(crate) fn run(plan: &Plan, link: &mut impl ClientLink) -> Result<Record, Error> {
    let done = match plan.workload {
        Workload::Echo => echo(plan, link),
        Workload::Rate => rate(plan, link),
        Workload::Bulk => bulk(plan, link),
    };
    // The server's own words say more than "connection reset".
    done.map_err(|error| link.reason().map_or(error, Error::Remote))
}

/// What a workload counted.
struct Done {
    sent: u64,
    received: u64,
    latencies: Option<Latencies>,
    seconds: f64,
    cpu: CpuTimer,
    outcome: Outcome,
}

fn echo(plan: &Plan, link: &mut impl ClientLink) -> Result<Record, Error> {
    let mut pings = Pings { content: plan.content(), wait: plan.lossy().then_some(ECHO_WAIT), next: 0, link };
    let cpu = CpuTimer::start();
    pings.run(warm_up(plan.amount), &mut Latencies::new())?;
    let mut latencies = Latencies::new();
    let start = clock::now();
    let (sent, received) = pings.run(Until::from(plan.amount), &mut latencies)?;
    let seconds = start.elapsed().as_secs_f64();
    let all = pings.next;
    let outcome = link.end(all)?.checked(all)?;
    Ok(record(plan, link, Done { sent, received, latencies: Some(latencies), seconds, cpu, outcome }))
}

/// Both a number of messages and a time, whichever is first.
#[derive(Clone, Copy)]
struct Until {
    messages: u64,
    time: Duration,
}

impl From<Amount> for Until {
    fn from(amount: Amount) -> Self {
        match amount {
            Amount::Count(messages) => Self { messages, time: Duration::MAX },
            Amount::For(time) => Self { messages: u64::MAX, time },
        }
    }
}

fn warm_up(amount: Amount) -> Until {
    let Until { messages, time } = Until::from(amount);
    Until { messages: (messages / 10).min(WARM_UP_MESSAGES_MAX), time: (time / 10).min(WARM_UP_MAX) }
}

/// One message after the other.
struct Pings<'a, L> {
    link: &'a mut L,
    content: Content,
    /// How long an answer is waited for; `None` where it always comes.
    wait: Option<Duration>,
    next: u64,
}

impl<L: ClientLink> Pings<'_, L> {
    /// How many were sent and how many answered.
    fn run(&mut self, until: Until, latencies: &mut Latencies) -> Result<(u64, u64), Error> {
        let start = clock::now();
        let (mut sent, mut answered) = (0, 0);
        let mut began = start;
        while sent < until.messages && began - start < until.time {
            self.link.send(&self.content.body(self.next))?;
            sent += 1;
            answered += u64::from(self.answered(began)?);
            self.next += 1;
            let now = clock::now();
            latencies.record(now - began);
            began = now;
        }
        Ok((sent, answered))
    }

    /// Whether the answer to the current message came in time.
    fn answered(&mut self, began: Instant) -> Result<bool, Error> {
        loop {
            let wait = self.wait.map(|wait| (began + wait).saturating_duration_since(clock::now()));
            match self.link.recv(wait)? {
                Heard::Body if self.is_current()? => return Ok(true),
                Heard::End { .. } => return Err(Error::Ended),
                Heard::Body | Heard::Nothing => {}
            }
            if wait == Some(Duration::ZERO) {
                self.link.check_alive()?;
                return Ok(false);
            }
        }
    }

    /// Whether the message that was heard is the answer to the current one, and not a late one to an earlier.
    fn is_current(&self) -> Result<bool, Error> {
        let body = self.link.body();
        let n = if self.content.numbered() { self.content.number(body)? } else { self.next };
        if n > self.next {
            return Err(Error::Corrupt { message: n, at: 0 });
        }
        self.content.check(n, body)?;
        Ok(n == self.next)
    }
}

fn rate(plan: &Plan, link: &mut impl ClientLink) -> Result<Record, Error> {
    super::wait::be_punctual();
    let cpu = CpuTimer::start();
    let schedule = Schedule { start: clock::now(), rate_hz: plan.rate_hz, messages: plan.rate_messages() };
    let mut answers = Answers::new(plan.content(), schedule);
    let mut handed = 0;
    loop {
        let mut now = clock::now();
        let mut full = false;
        while handed < schedule.messages && schedule.due(handed) <= now && !full {
            full = !link.try_send(&answers.content.body(handed))?;
            handed += u64::from(!full);
            now = clock::now();
        }
        if answers.received == schedule.messages || now >= schedule.over() {
            break;
        }
        let next = if full {
            now + RETRY
        } else if handed < schedule.messages {
            schedule.due(handed)
        } else {
            schedule.over()
        };
        match link.recv(Some(next.min(schedule.over()).saturating_duration_since(now)))? {
            Heard::Body => answers.take(link.body(), handed, clock::now())?,
            Heard::Nothing => {}
            Heard::End { .. } => return Err(Error::Ended),
        }
    }
    let seconds = schedule.start.elapsed().as_secs_f64();
    let (received, latencies) = answers.finish();
    let outcome = link.end(handed)?.checked(handed)?;
    let sent = schedule.messages;
    Ok(record(plan, link, Done { sent, received, latencies: Some(latencies), seconds, cpu, outcome }))
}

/// When each message of a `rate` run is due.
#[derive(Clone, Copy)]
struct Schedule {
    start: Instant,
    rate_hz: f64,
    messages: u64,
}

impl Schedule {
    /// When message `n` is due, from the start, so that no rounding adds up.
    #[expect(clippy::cast_precision_loss, reason = "at most 10^8 messages")]
    fn due(&self, n: u64) -> Instant {
        self.start + Duration::from_secs_f64(n as f64 / self.rate_hz)
    }

    /// When nobody waits for an answer any more.
    fn over(&self) -> Instant {
        self.due(self.messages - 1) + DRAIN
    }
}

/// Who was answered, and how late.
struct Answers {
    content: Content,
    schedule: Schedule,
    answered: Vec<u64>,
    received: u64,
    latencies: Latencies,
}

impl Answers {
    fn new(content: Content, schedule: Schedule) -> Self {
        let answered = vec![0; place(schedule.messages).0 + 1];
        Self { content, schedule, answered, received: 0, latencies: Latencies::new() }
    }

    /// An answer that came `now`, when `handed` messages were on their way; a second one to the same is not counted.
    fn take(&mut self, body: &[u8], handed: u64, now: Instant) -> Result<(), Error> {
        let n = if self.content.numbered() { self.content.number(body)? } else { self.received };
        if n >= handed {
            return Err(Error::Corrupt { message: n, at: 0 });
        }
        self.content.check(n, body)?;
        let (word, bit) = place(n);
        if self.answered[word] & bit == 0 {
            self.answered[word] |= bit;
            self.received += 1;
            self.latencies.record(now.saturating_duration_since(self.schedule.due(n)));
        }
        Ok(())
    }

    /// How many were answered, and all times: what was not answered counts with the time from when it was due to the
    /// end of the drain.
    fn finish(mut self) -> (u64, Latencies) {
        for n in 0..self.schedule.messages {
            let (word, bit) = place(n);
            if self.answered[word] & bit == 0 {
                self.latencies.record(self.schedule.over() - self.schedule.due(n));
            }
        }
        (self.received, self.latencies)
    }
}

fn bulk(plan: &Plan, link: &mut impl ClientLink) -> Result<Record, Error> {
    let content = plan.content();
    let until = Until::from(plan.amount);
    let cpu = CpuTimer::start();
    let start = clock::now();
    let mut sent = 0;
    while sent < until.messages && (sent == 0 || start.elapsed() < until.time) {
        let count = link.burst().min(until.messages - sent);
        link.send_burst(&content, sent, count)?;
        sent += count;
    }
    let outcome = link.end(sent)?.checked(sent)?;
    let quiet = Duration::from_micros(outcome.quiet_us);
    let lasted = start.elapsed().checked_sub(quiet).filter(|lasted| !lasted.is_zero());
    let seconds = lasted.ok_or_else(|| Error::Protocol("silent for longer than the run".to_owned()))?.as_secs_f64();
    Ok(record(plan, link, Done { sent, received: outcome.received, latencies: None, seconds, cpu, outcome }))
}

fn record(plan: &Plan, link: &impl ClientLink, done: Done) -> Record {
    let facts = link.facts();
    let size = u64::try_from(plan.size).expect("at most 16 MiB");
    let bytes = done.received * size;
    let quantile = |q| done.latencies.as_ref().and_then(|latencies| latencies.quantile_us(q));
    Record {
        transport: plan.transport,
        security: plan.security,
        workload: plan.workload,
        delivery: plan.delivery,
        size,
        sent: done.sent,
        received: done.received,
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        p999_us: quantile(0.999),
        max_us: done.latencies.as_ref().and_then(Latencies::max_us),
        bytes,
        seconds: done.seconds,
        goodput_bps: (plan.workload == Workload::Bulk).then(|| bits(bytes) / done.seconds),
        cpu_s_client: done.cpu.seconds(),
        cpu_s_server: done.outcome.cpu_s,
        controller: facts.controller,
        retransmits: facts.retransmits,
        path_mtu: facts.path_mtu,
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53 bytes, which is 8 PB")]
fn bits(bytes: u64) -> f64 {
    bytes as f64 * 8.0
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;

    use super::super::link::{Facts, Link};
    use super::*;

    const HZ: f64 = 1_000.0;

    fn answers(numbered: bool, messages: u64) -> Answers {
        let schedule = Schedule { start: clock::now(), rate_hz: HZ, messages };
        Answers::new(Content::new(16, numbered), schedule)
    }

    /// Takes the answer to message `n`, `us` after it was due.
    fn take(answers: &mut Answers, n: u64, us: u64) {
        let now = answers.schedule.due(n) + Duration::from_micros(us);
        answers.take(&answers.content.body(n), n + 1, now).unwrap();
    }

    #[track_caller]
    fn check(got: Option<f64>, expected: f64) {
        let got = got.expect("something was counted");
        assert!((got - expected).abs() <= expected / 1_000.0, "{got} is not {expected}");
    }

    #[test]
    fn latency_counts_from_when_the_message_was_due() {
        let mut answers = answers(false, 2);
        take(&mut answers, 0, 100);
        take(&mut answers, 1, 300);
        let (received, latencies) = answers.finish();
        assert_eq!(received, 2);
        check(latencies.quantile_us(0.5), 100.0);
        check(latencies.max_us(), 300.0);
    }

    #[test]
    fn the_unanswered_count_in_every_percentile_until_the_end_of_the_drain() {
        let mut answers = answers(true, 100);
        (0..100).filter(|n| ![10, 99].contains(n)).for_each(|n| take(&mut answers, n, 50));
        let (received, latencies) = answers.finish();
        assert_eq!((received, latencies.len()), (98, 100));
        check(latencies.quantile_us(0.5), 50.0);
        // Message 99 was due at the last moment, message 10 a further 89 ms earlier.
        check(latencies.quantile_us(0.99), 2_000_000.0);
        check(latencies.max_us(), 2_089_000.0);
    }

    #[test]
    fn nothing_answered_is_all_drain() {
        let (received, latencies) = answers(true, 10).finish();
        assert_eq!((received, latencies.len()), (0, 10));
        check(latencies.quantile_us(0.5), 2_005_000.0);
    }

    #[test]
    fn an_answer_that_comes_twice_counts_once() {
        let mut answers = answers(true, 3);
        take(&mut answers, 1, 50);
        take(&mut answers, 1, 70);
        take(&mut answers, 0, 90);
        let (received, latencies) = answers.finish();
        assert_eq!((received, latencies.len()), (2, 3));
    }

    #[test]
    fn an_answer_to_what_was_not_sent_is_an_error() {
        let mut answers = answers(true, 3);
        let now = clock::now();
        answers.take(&answers.content.body(2), 2, now).unwrap_err();
        answers.take(&answers.content.body(1), 2, now).unwrap();
    }

    #[test]
    fn no_rounding_adds_up_over_a_long_schedule() {
        let schedule = Schedule { start: clock::now(), rate_hz: 3.0, messages: 3_000_001 };
        assert_eq!(schedule.due(3_000_000) - schedule.start, Duration::from_secs(1_000_000));
        assert_eq!(schedule.over() - schedule.start, Duration::from_secs(1_000_002));
    }

    /// Answers as it is told to.
    struct Script {
        hears: VecDeque<Option<u64>>,
        content: Content,
        body: Bytes,
    }

    impl Link for Script {
        fn recv(&mut self, _wait: Option<Duration>) -> Result<Heard, Error> {
            let Some(n) = self.hears.pop_front().expect("asked for more than there is") else {
                return Ok(Heard::Nothing);
            };
            self.body = self.content.body(n);
            Ok(Heard::Body)
        }

        fn body(&self) -> &[u8] {
            &self.body
        }
    }

    impl ClientLink for Script {
        fn send(&mut self, _body: &Bytes) -> Result<(), Error> {
            Ok(())
        }

        fn try_send(&mut self, _body: &Bytes) -> Result<bool, Error> {
            Ok(true)
        }

        fn end(&mut self, _sent: u64) -> Result<Outcome, Error> {
            Ok(Outcome::default())
        }

        fn facts(&self) -> Facts {
            Facts::default()
        }

        fn reason(&mut self) -> Option<String> {
            None
        }
    }

    /// Pings three times; an answer is given up at the first silence.
    fn ping_thrice(hears: &[Option<u64>]) -> Result<(u64, u64), Error> {
        let content = Content::new(16, true);
        let mut link = Script { hears: hears.iter().copied().collect(), content: content.clone(), body: Bytes::new() };
        let mut pings = Pings { link: &mut link, content, wait: Some(Duration::ZERO), next: 0 };
        let done = pings.run(Until::from(Amount::Count(3)), &mut Latencies::new());
        assert!(done.is_err() || link.hears.is_empty());
        done
    }

    #[test]
    fn a_late_answer_is_not_taken_for_the_next_one() {
        assert_eq!(ping_thrice(&[Some(0), Some(1), Some(2)]).unwrap(), (3, 3));
        assert_eq!(ping_thrice(&[Some(0), None, Some(2)]).unwrap(), (3, 2));
        assert_eq!(ping_thrice(&[Some(0), None, Some(1)]).unwrap(), (3, 1));
    }

    #[test]
    fn an_answer_from_the_future_is_an_error() {
        ping_thrice(&[Some(1)]).unwrap_err();
    }

    #[test]
    fn the_warm_up_is_a_tenth_within_limits() {
        let of_count = |count| warm_up(Amount::Count(count)).messages;
        assert_eq!([of_count(9), of_count(10), of_count(1_000), of_count(1_000_000)], [0, 1, 100, 100]);
        assert_eq!(warm_up(Amount::For(Duration::from_millis(50))).time, Duration::from_millis(5));
        assert_eq!(warm_up(Amount::For(Duration::from_secs(50))).time, WARM_UP_MAX);
    }
}
