//! `udpair bench`: how fast udpair's UDP and TCP are, beside bare sockets that cannot be beaten by much.
//! `spec/bench.md` has its protocol and says what each figure means.
//!
//! A run is a *workload* (`workload` at the client, `answer` at the server) over a *link* (`link`, and one module for
//! each transport). It knows the library through its public face only.

mod answer;
mod args;
mod client;
mod clock;
mod comparison;
mod content;
mod control;
mod cpu;
mod environment;
mod error;
mod json;
mod latency;
mod library;
mod link;
mod local;
mod plan;
mod processors;
mod raw_serve;
mod raw_tcp;
mod raw_udp;
mod raw_udp_bulk;
mod report;
mod seen;
mod serve;
mod sockets;
mod stats;
mod subject;
mod wait;
mod workload;

pub(crate) use args::BenchArgs;
use args::{Part, ServeArgs};

use super::exit::{Exit, Failure, complain};

/// Runs the part that the arguments ask for.
pub(crate) fn run(args: &BenchArgs) -> Result<Exit, Failure> {
    if !matches!(&args.part, Some(Part::Serve(ServeArgs { child: true, .. }))) {
        end_when_interrupted()?;
    }
    match &args.part {
        Some(Part::Serve(args)) => serve::serve(args),
        Some(Part::Run(args)) => client::run(args),
        None => local::bench(args),
    }
}

/// Nothing is left behind: servers of our own end with us, and the other side of a run sees its connection end.
fn end_when_interrupted() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        complain("interrupted");
        std::process::exit(Exit::Interrupted as i32);
    })
    .map_err(|error| Failure::new(Exit::Other, format!("cannot listen for interruptions: {error}")))
}
