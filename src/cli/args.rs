//! The command line, as clap reads it.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit::{EXIT_CODES, Exit, Failure};

/// Reliable, low-latency messages between machines on one network, over UDP or TCP.
#[derive(Debug, Parser)]
#[command(name = "udpair", version, about, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send files and whole trees to a machine where `udpair recv` listens.
    #[command(after_help = EXIT_CODES)]
    Send(SendArgs),
    /// Receive files and whole trees from `udpair send`.
    #[command(after_help = EXIT_CODES)]
    Recv(RecvArgs),
    /// Compare UDP with TCP between two processes on this machine, or between two machines.
    #[command(after_help = EXIT_CODES)]
    Bench(super::bench::BenchArgs),
    /// Say what this machine can do for a pairing, a line each, with the remedy where that is less than good. Ends with
    /// 0 where a pairing would work.
    Doctor(super::doctor::DoctorArgs),
}

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// `udpair send`.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Files and directories; each arrives under its last name. Symbolic links and special files inside a directory
    /// are skipped and counted.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Where the receiver listens: HOST:PORT. Of a name with several addresses each is tried.
    #[arg(long, value_name = "ADDR")]
    pub(crate) to: String,
    /// How to reach it.
    #[command(flatten)]
    pub(crate) link: LinkArgs,
}

/// `udpair recv`.
#[derive(Debug, Args)]
pub(crate) struct RecvArgs {
    /// The address to listen on: HOST:PORT; port 0 lets the system choose. Printed once it is bound.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: String,
    /// The directory that everything is put into; nothing is ever written outside it. Made where it does not exist.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: OsString,
    /// End after the first transfer: as soon as one is complete, or when one broke off and no other is under way. A
    /// caller that connects and says nothing does not count. Otherwise senders are served until interrupted, several
    /// at a time.
    #[arg(long)]
    pub(crate) once: bool,
    /// Replace files that are there already; otherwise they stay and the offered ones are refused.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// When a transfer breaks off, keep what has arrived of the file under way (as .udpair-*.part beside its place)
    /// and go on from there when the same file is offered again; otherwise it is removed.
    #[arg(long)]
    pub(crate) resume: bool,
    /// How to be reached.
    #[command(flatten)]
    pub(crate) link: LinkArgs,
}

/// What every subcommand that talks to a peer is told.
#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// What carries the messages; the same at both ends.
    #[arg(long, value_enum, default_value = "udp", value_name = "TRANSPORT")]
    pub(crate) transport: TransportKind,
    /// Give up when nothing was heard of the peer for so long. A sender that stops for so long without being gone
    /// gives its place up to another one that needs it.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// The plain-text switch.
    #[command(flatten)]
    pub(crate) plain: PlainArgs,
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportKind {
    /// udpair's own protocol over UDP.
    Udp,
    /// The same messages over TCP.
    Tcp,
}

/// The switch that says that nothing is sealed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PlainArgs {
    /// Accept that nothing is encrypted and nobody is authenticated. Needed for now.
    #[arg(long)]
    pub(crate) insecure_plain: bool,
}

impl PlainArgs {
    /// Explains and ends the run where the switch was not given.
    pub(crate) fn check(self) -> Result<(), Failure> {
        if self.insecure_plain {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Usage,
            "connections are not encrypted and peers are not authenticated yet: whoever is on the network can read \
             and change what is sent, and whoever reaches the port can take part. Where that is acceptable, say so \
             with --insecure-plain",
        ))
    }
}

/// The addresses that `text` (HOST:PORT) stands for: at least one, each once, the best first, as the system sorts them.
pub(crate) fn resolve(text: &str) -> Result<Vec<SocketAddr>, Failure> {
    let bad = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::BadAddress, format!("{text:?} is not an address that can be used (HOST:PORT): {why}"))
    };
    let mut addrs = Vec::new();
    for addr in text.to_socket_addrs().map_err(|error| bad(&error))? {
        if !addrs.contains(&addr) && addrs.len() < ADDRESSES_MAX {
            addrs.push(addr);
        }
    }
    if addrs.is_empty() { Err(bad(&"the name has no address")) } else { Ok(addrs) }
}

/// A positive number of seconds, fractions allowed, at most a day.
fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value > 0.0 && value <= 86_400.0 { Ok(Duration::from_secs_f64(value)) } else { Err("not in 0 to 86400".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_finds_no_fault_in_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn plain_text_must_be_asked_for() {
        assert_eq!(PlainArgs { insecure_plain: true }.check(), Ok(()));
        let failure = PlainArgs { insecure_plain: false }.check().unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("--insecure-plain"));
    }

    #[test]
    fn addresses() {
        assert_eq!(resolve("127.0.0.1:80").unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(resolve("[::1]:80").unwrap(), ["[::1]:80".parse().unwrap()]);
        for bad in ["", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:65536"] {
            assert_eq!(resolve(bad).unwrap_err().exit, Exit::BadAddress, "{bad}");
        }
    }

    #[test]
    fn seconds_at_the_borders() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(seconds("86400"), Ok(Duration::from_secs(86_400)));
        for bad in ["0", "-1", "86401", "NaN", "inf", "soon"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
