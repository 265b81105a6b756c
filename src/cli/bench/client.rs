//! `udpair bench run`: one run against a server.

use std::io;
use std::net::SocketAddr;

use super::args::{RunArgs, Transport};
use super::control::{Order, Ready, VERSION};
use super::error::Error;
use super::json::{self, Record};
use super::plan::Plan;
use super::{library, raw_tcp, raw_udp, report, workload};
use crate::cli::args::resolve;
use crate::cli::exit::{Exit, Failure};

/// Runs what the arguments ask for, and shows the result.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    args.plain.check()?;
    let plan = Plan::from_args(args)?;
    let ran = measure(&plan, resolve(&args.to)?)?;
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
}

/// Does what `plan` says against the server at `to`.
pub(crate) fn measure(plan: &Plan, to: SocketAddr) -> Result<Ran, Error> {
    let order = Order {
        version: VERSION,
        transport: plan.transport,
        workload: plan.workload,
        delivery: plan.delivery,
        size: plan.size,
        udp_port: None,
    };
    let (record, server) = match plan.transport {
        Transport::RawTcp => {
            let (mut link, server) = raw_tcp::Client::connect(to, order)?;
            (workload::run(plan, &mut link)?, server)
        }
        Transport::RawUdp => {
            let (mut link, server) = raw_udp::Client::connect(to, order)?;
            (workload::run(plan, &mut link)?, server)
        }
        Transport::Udp | Transport::Tcp => {
            let (mut link, server) = library::Client::connect(to, order)?;
            (workload::run(plan, &mut link)?, server)
        }
    };
    Ok(Ran { record, server })
}
