//! `udpair bench`: all transports between two processes on this machine, in interleaved rounds.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use udpair::{Config, Psk};

use super::args::{BenchArgs, Workload};
use super::client::{Ran, measure};
use super::comparison;
use super::environment::Environment;
use super::error::Error;
use super::plan::{Plan, size_default};
use super::processors::Halves;
use super::subject::Subject;
use super::{json, report};
use crate::cli::exit::{Exit, Failure};

/// Sizes of the messages that are echoed.
pub(crate) const ECHO_SIZES: [usize; 3] = [64, 1 << 10, 16 << 10];

/// How much is measured.
struct Schedule {
    rounds: usize,
    echo: Duration,
    bulk: Duration,
}

impl Schedule {
    /// 5 x (18 x 0.22 s + 6 x 0.45 s) = 33 s, and what begins and ends the runs.
    const FULL: Self = Self { rounds: 5, echo: Duration::from_millis(220), bulk: Duration::from_millis(450) };

    /// 3 x (18 x 0.08 s + 6 x 0.2 s) = 8 s, likewise.
    const QUICK: Self = Self { rounds: 3, echo: Duration::from_millis(80), bulk: Duration::from_millis(200) };

    /// Every run, in order. Each round begins with another subject, so that none always follows the same.
    fn plans(&self) -> Vec<Plan> {
        let mut plans = Vec::new();
        for round in 0..self.rounds {
            let mut order = Subject::ALL;
            order.rotate_left(round % Subject::ALL.len());
            for size in ECHO_SIZES {
                plans.extend(order.map(|subject| Plan::lasting(subject, Workload::Echo, size, self.echo)));
            }
            plans.extend(order.map(|subject| {
                Plan::lasting(subject, Workload::Bulk, size_default(subject.transport, Workload::Bulk), self.bulk)
            }));
        }
        plans
    }
}

/// Measures everything and shows the tables.
pub(crate) fn bench(args: &BenchArgs) -> Result<Exit, Failure> {
    let schedule = if args.quick { Schedule::QUICK } else { Schedule::FULL };
    let halves = Halves::of_this_machine();
    halves.iter().for_each(Halves::enter_server);
    let psk = Psk::generate().map_err(Error::io("get random bytes"))?;
    let servers = Subject::ALL.into_iter().map(|of| Server::start(of, &psk)).collect::<Result<Vec<_>, _>>()?;
    halves.iter().for_each(Halves::enter_client);
    let runs = run_all(&schedule, &servers, &psk)?;
    drop(servers);

    let apart = halves.is_some();
    drop(halves);
    let text = comparison::tables(&Environment::of_this_machine(), apart, schedule.rounds, &runs);
    if json::takes_stdout(args.json.as_deref()) {
        report::print(&text, &mut io::stderr())?;
    } else {
        report::print(&text, &mut io::stdout())?;
    }
    if let Some(to) = &args.json {
        let records: Vec<_> = runs.iter().map(|ran| &ran.record).collect();
        json::write(to, &records)?;
    }
    Ok(Exit::Ok)
}

fn run_all(schedule: &Schedule, servers: &[Server], psk: &Psk) -> Result<Vec<Ran>, Failure> {
    let plans = schedule.plans();
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::new(u64::try_from(plans.len()).expect("some hundred"));
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").expect("a valid template"));
    let mut runs = Vec::with_capacity(plans.len());
    for plan in &plans {
        let (Plan { workload, size, .. }, subject) = (plan, plan.subject());
        bar.set_message(format!("{workload} of {size} bytes over {subject}"));
        let server = servers.iter().find(|server| server.subject == subject).expect("one was started for each");
        let config = if subject.is_sealed() { Config::psk(psk) } else { Config::insecure_plain() };
        let ran = measure(plan, &[server.at], config).map_err(|error| {
            let Failure { exit, message } = error.into();
            Failure::new(exit, format!("{workload} of {size} bytes over {subject}: {message}"))
        })?;
        runs.push(ran);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(runs)
}

/// A `bench serve` of our own, which ends with us.
struct Server {
    subject: Subject,
    at: SocketAddr,
    child: Child,
    /// The server ends when this is closed, however we end.
    _stdin: Option<ChildStdin>,
}

impl Server {
    /// A sealed one is told the key over its standard input.
    fn start(subject: Subject, psk: &Psk) -> Result<Self, Error> {
        let mut child = std::env::current_exe()
            .and_then(|tool| {
                Command::new(tool)
                    .args(["bench", "serve", "--listen", "127.0.0.1:0", "--child"])
                    .args(["--transport", &subject.transport.to_string()])
                    .arg(if subject.is_sealed() { "--sealed" } else { "--insecure-plain" })
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
            })
            .map_err(Error::io("start the server's process"))?;
        let mut stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("it is piped");
        // Made first, so that the process ends on every way out.
        let told = match &mut stdin {
            Some(stdin) if subject.is_sealed() => {
                stdin.write_all(psk.to_text().as_bytes()).and_then(|()| stdin.write_all(b"\n"))
            }
            _ => Ok(()),
        };
        let mut server = Self { subject, at: SocketAddr::from(([0; 4], 0)), child, _stdin: stdin };
        told.map_err(Error::io("write to the server's process"))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).map_err(Error::io("read from the server's process"))?;
        let at = line.trim_end().strip_prefix("listening on ").and_then(|at| at.parse().ok());
        server.at = at.ok_or_else(|| Error::Protocol(format!("the {subject} server did not start")))?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(schedule: &Schedule) -> f64 {
        let time = |plan: &Plan| match plan.amount {
            super::super::plan::Amount::For(time) => time.as_secs_f64(),
            super::super::plan::Amount::Count(_) => panic!("a run of unknown length"),
        };
        schedule.plans().iter().map(time).sum()
    }

    #[test]
    fn the_runs_leave_room_for_what_surrounds_them() {
        // 40 s and 12 s are promised; each raw-udp bulk run ends with up to 0.2 s of silence.
        assert!(seconds(&Schedule::FULL) <= 34.0);
        assert!(seconds(&Schedule::QUICK) <= 9.0);
    }

    #[test]
    fn every_round_has_every_run_once_and_begins_with_another_subject() {
        let plans = Schedule::FULL.plans();
        let per_round = Subject::ALL.len() * (ECHO_SIZES.len() + 1);
        assert_eq!(plans.len(), Schedule::FULL.rounds * per_round);
        let mut firsts = Vec::new();
        for round in plans.chunks(per_round) {
            firsts.push(round[0].subject());
            for plan in round {
                assert_eq!(round.iter().filter(|other| *other == plan).count(), 1, "{plan:?}");
            }
        }
        assert_eq!(firsts, Subject::ALL[..firsts.len()]);
    }
}
