//! `udpair bench`: how fast udpair's UDP and TCP are, beside bare sockets that cannot be beaten by much.
//! `spec/bench.md` has its protocol and says what each figure means.
//!
//! A run is a *workload* (`workload` at the client, `answer` at the server) over a *link* (`link`, and one module for
//! each transport). It knows the library through its public face only.

mod answer;
mod args;
mod client;
mod clock;
mod content;
mod control;
mod cpu;
mod error;
mod json;
mod latency;
mod link;
mod plan;
mod raw_serve;
mod raw_tcp;
mod raw_udp;
mod raw_udp_bulk;
mod report;
mod seen;
mod serve;
mod stats;
mod tcp_info;
mod wait;
mod workload;

pub(crate) use args::BenchArgs;
use args::Part;

use super::exit::{Exit, Failure};

/// Runs the part that the arguments ask for.
pub(crate) fn run(args: &BenchArgs) -> Result<Exit, Failure> {
    match &args.part {
        Some(Part::Serve(args)) => serve::serve(args),
        Some(Part::Run(args)) => client::run(args),
        None => Err(Failure::new(Exit::Other, "not there yet")),
    }
}
