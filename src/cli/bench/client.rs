//! `udpair bench run`: one run against a server.

use std::io;
use std::net::SocketAddr;

use udpair::Config;

use super::args::{RunArgs, Transport};
use super::control::{Order, Ready, VERSION};
use super::error::Error;
use super::json::{self, Record};
use super::link::ClientLink;
use super::plan::Plan;
use super::sockets::Sockets;
use super::{library, raw_tcp, raw_udp, report, workload};
use crate::cli::args::resolve;
use crate::cli::exit::{Exit, Failure};

/// Runs what the arguments ask for, and shows the result.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let sealed = args.transport.sealed(&args.seal)?;
    let plan = Plan::from_args(args)?;
    let ran = measure(&plan, &resolve(&args.to)?, sealed)?;
    let table = report::one_run(&ran);
    if json::takes_stdout(args.json.as_deref()) {
        report::print(&table, &mut io::stderr())?;
    } else {
        report::print(&table, &mut io::stdout())?;
    }
    if let Some(to) = &args.json {
        json::write(to, &ran.record)?;
    }
    Ok(Exit::Ok)
}

/// A run that was made.
pub(crate) struct Ran {
    /// Its result.
    pub(crate) record: Record,
    /// What the server said of itself.
    pub(crate) server: Ready,
    /// What this side's sockets were like.
    pub(crate) sockets: Sockets,
}

/// Does what `plan` says against the server at the first of `to` that answers. `config` is for udpair's own transports,
/// and secured as the plan says.
pub(crate) fn measure(plan: &Plan, to: &[SocketAddr], config: Config) -> Result<Ran, Error> {
    let order = Order {
        version: VERSION,
        transport: plan.transport,
        workload: plan.workload,
        delivery: plan.delivery,
        size: plan.size,
        udp_port: None,
    };
    match plan.transport {
        Transport::RawTcp => raw_tcp::Client::connect(to, order).and_then(|connected| run_over(plan, connected)),
        Transport::RawUdp => raw_udp::Client::connect(to, order).and_then(|connected| run_over(plan, connected)),
        Transport::Udp | Transport::Tcp => {
            library::Client::connect(to, order, config).and_then(|connected| run_over(plan, connected))
        }
    }
}

fn run_over(plan: &Plan, (mut link, server): (impl ClientLink, Ready)) -> Result<Ran, Error> {
    let record = workload::run(plan, &mut link)?;
    Ok(Ran { record, server, sockets: link.facts().sockets })
}
