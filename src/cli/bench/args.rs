//! What `udpair bench` may be told.

use std::fmt;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use udpair::Config;

use crate::cli::exit::{Exit, Failure};
use crate::cli::peer::SealArgs;

/// Compare UDP with TCP between two processes on this machine, or between two machines
///
/// Without a subcommand: round trips and bulk over udpair's UDP and udpair's TCP, plain and sealed, raw TCP and raw
/// UDP, in turn, between this process and others that it starts on the loopback interface.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    /// One of the two halves.
    #[command(subcommand)]
    pub(crate) part: Option<Part>,

    /// Fewer and shorter rounds: under 12 s instead of 40
    #[arg(long)]
    pub(crate) quick: bool,

    /// Write every run's result as a JSON array to FILE; `-` is standard output, and the tables go to standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// The two halves of a bench between two machines.
#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    /// Answer run after run until interrupted
    Serve(ServeArgs),
    /// Run one workload against a `bench serve`
    Run(RunArgs),
}

/// `udpair bench serve`
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Address and port to listen at; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: String,

    /// What carries the messages
    #[arg(long, value_name = "T", default_value = "udp")]
    pub(crate) transport: Transport,

    /// How udp and tcp are sealed; bare sockets cannot be.
    #[command(flatten)]
    pub(crate) seal: SealArgs,

    /// Started by another bench: say nothing of runs, and end when standard input does, so as not to be left behind
    #[arg(long, hide = true)]
    pub(crate) child: bool,

    /// Started by another bench: seal with the key that is the first line of standard input
    #[arg(long, hide = true, requires = "child")]
    pub(crate) sealed: bool,
}

/// `udpair bench run`
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Address and port of a `bench serve` with the same transport
    #[arg(long, value_name = "ADDR")]
    pub(crate) to: String,

    /// What carries the messages
    #[arg(long, value_name = "T", default_value = "udp")]
    pub(crate) transport: Transport,

    /// What is sent when
    #[arg(long)]
    pub(crate) workload: Workload,

    /// Bytes of a message [default: echo 64, rate 1024, bulk 65536, bulk over raw-udp 1472]
    #[arg(long, value_name = "BYTES")]
    pub(crate) size: Option<usize>,

    /// How many messages
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    pub(crate) count: Option<u64>,

    /// For how long messages are sent [default: 5]
    #[arg(long, value_name = "S")]
    pub(crate) seconds: Option<f64>,

    /// Messages a second, for rate [default: 1000]
    #[arg(long, value_name = "HZ")]
    pub(crate) rate: Option<f64>,

    /// What the transport promises for each message, for udp and tcp [default: ordered]
    #[arg(long, value_name = "MODE")]
    pub(crate) delivery: Option<Delivery>,

    /// Write the result as JSON to FILE; `-` is standard output, and the table goes to standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// How udp and tcp are sealed; bare sockets cannot be.
    #[command(flatten)]
    pub(crate) seal: SealArgs,
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// udpair's protocol on UDP
    Udp,
    /// udpair's protocol on TCP
    Tcp,
    /// Bare TCP sockets: a baseline
    RawTcp,
    /// Bare UDP sockets, where what is lost stays lost: a baseline
    RawUdp,
}

impl Transport {
    /// How it is sealed, as `seal` says. Bare sockets are plain or refused.
    pub(crate) fn sealed(self, seal: &SealArgs) -> Result<Config, Failure> {
        if self.is_raw() && seal.key()?.is_some() {
            return Err(Failure::new(Exit::Usage, format!("{self} cannot be sealed: keys go with udp and tcp")));
        }
        seal.at_address()
    }

    /// A bare socket, without udpair's protocol.
    pub(crate) fn is_raw(self) -> bool {
        matches!(self, Self::RawTcp | Self::RawUdp)
    }
}

/// What is sent when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// One message at a time, each after the answer to the one before
    Echo,
    /// A message whenever one is due, answered or not; each is echoed
    Rate,
    /// As many as go, one way
    Bulk,
}

/// What the transport promises for each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Delivery {
    /// All arrive, in order
    Ordered,
    /// All arrive
    Unordered,
    /// The newest arrives
    Latest,
    /// Each arrives or not
    Unreliable,
}

/// Displays as the word of the command line.
macro_rules! display_as_value {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let value = self.to_possible_value().expect("no value is skipped");
                f.pad(value.get_name())
            }
        }
    )*};
}

display_as_value!(Transport, Workload, Delivery);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Tool {
        #[command(flatten)]
        args: BenchArgs,
    }

    fn parse(line: &str) -> Result<BenchArgs, clap::Error> {
        Tool::try_parse_from(["bench"].into_iter().chain(line.split_whitespace())).map(|tool| tool.args)
    }

    #[test]
    fn the_whole_bench_takes_quick_and_json() {
        let args = parse("--quick --json out.json").unwrap();
        assert!(args.quick && args.part.is_none());
        assert_eq!(args.json, Some(PathBuf::from("out.json")));
        parse("--quick run --to a:1 --workload echo").unwrap_err();
    }

    #[test]
    fn serve_defaults_to_udp() {
        let Some(Part::Serve(serve)) = parse("serve --listen 127.0.0.1:0").unwrap().part else { panic!("not serve") };
        assert_eq!(serve.transport, Transport::Udp);
        assert!(!serve.seal.insecure_plain && !serve.child);
        parse("serve").unwrap_err();
    }

    #[test]
    fn run_takes_every_word_of_the_contract() {
        for transport in ["udp", "tcp", "raw-udp", "raw-tcp"] {
            for workload in ["echo", "rate", "bulk"] {
                for delivery in ["ordered", "unordered", "latest", "unreliable"] {
                    let line = format!(
                        "run --to [::1]:9 --transport {transport} --workload {workload} --delivery {delivery} \
                         --size 10 --seconds 0.5 --rate 100 --json - --insecure-plain"
                    );
                    let Some(Part::Run(run)) = parse(&line).unwrap().part else { panic!("not run") };
                    assert_eq!(run.transport.to_string(), transport);
                    assert_eq!(run.workload.to_string(), workload);
                    assert_eq!(run.delivery.unwrap().to_string(), delivery);
                    assert_eq!(serde_json::to_value(run.transport).unwrap(), transport);
                }
            }
        }
    }

    #[test]
    fn count_and_seconds_exclude_each_other() {
        parse("run --to a:1 --workload echo --count 5").unwrap();
        parse("run --to a:1 --workload echo --count 5 --seconds 1").unwrap_err();
    }
}
