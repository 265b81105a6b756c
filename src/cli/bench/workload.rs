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
    let outcome = link.end(all)?;
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
    let outcome = link.end(handed)?;
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
    let outcome = link.end(sent)?;
    let seconds = start.elapsed().saturating_sub(Duration::from_micros(outcome.quiet_us)).as_secs_f64();
    Ok(record(plan, link, Done { sent, received: outcome.received, latencies: None, seconds, cpu, outcome }))
}

fn record(plan: &Plan, link: &impl ClientLink, done: Done) -> Record {
    let facts = link.facts();
    let size = u64::try_from(plan.size).expect("at most 16 MiB");
    let bytes = done.received * size;
    let quantile = |q| done.latencies.as_ref().and_then(|latencies| latencies.quantile_us(q));
    Record {
        transport: plan.transport,
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
