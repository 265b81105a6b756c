//! The command line, as clap reads it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use udpair::transport::discovery::interfaces;

use super::exit::{EXIT_CODES, Exit, Failure};
use super::peer::{KeyArgs, LinkArgs, Spoken};
use super::pipe::{InviteArgs, JoinArgs};

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
    /// Send files and whole trees to `udpair recv`: prints a code for the other side, or takes one.
    #[command(after_help = EXIT_CODES)]
    Send(SendArgs),
    /// Receive files and whole trees from `udpair send`: by its code, or prints one for it.
    #[command(after_help = EXIT_CODES)]
    Recv(RecvArgs),
    /// Be one end of a two-way pipe, or chat on a terminal: prints a code for `udpair join` on the other machine.
    #[command(after_help = EXIT_CODES)]
    Invite(InviteArgs),
    /// Be the other end: by the code that `udpair invite` printed.
    #[command(after_help = EXIT_CODES)]
    Join(JoinArgs),
    /// Make a key file, for both sides: with it no code is needed.
    #[command(after_help = EXIT_CODES)]
    Key(KeyArgs),
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
    /// The code that `udpair recv` printed; - asks for it on a terminal, or reads it from the first line of standard
    /// input: so it stands neither in `ps`, which every user of the machine sees, nor in a shell's history. Without a
    /// code, and without an address, one is made and printed, for `udpair recv CODE` on the other machine.
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<Spoken>,
    /// Where the receiver listens: HOST:PORT. Of a name with several addresses each is tried.
    #[arg(long, value_name = "ADDR")]
    pub(crate) to: Option<String>,
    /// How to reach it.
    #[command(flatten)]
    pub(crate) link: LinkArgs,
}

/// `udpair recv`.
#[derive(Debug, Args)]
pub(crate) struct RecvArgs {
    /// The code that `udpair send` printed; - asks for it on a terminal, or reads it from the first line of standard
    /// input: so it stands neither in `ps`, which every user of the machine sees, nor in a shell's history. Without
    /// a code, and without an address, one is made and printed, for `udpair send PATH... --code CODE` on the other
    /// machine. By a code there is one transfer.
    #[arg(value_name = "CODE")]
    pub(crate) code: Vec<Spoken>,
    /// The address to listen on: HOST:PORT; port 0 lets the system choose. Printed once it is bound.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
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

/// The addresses that `text` (HOST:PORT) stands for: at least one, each once, the best first, as the system sorts them.
pub(crate) fn resolve(text: &str) -> Result<Vec<SocketAddr>, Failure> {
    let bad = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::BadAddress, format!("{text:?} is not an address that can be used (HOST:PORT): {why}"))
    };
    let mut addrs = Vec::new();
    let numbered = scope_as_number(text).map_err(|error| bad(&error))?;
    for addr in numbered.to_socket_addrs().map_err(|error| bad(&error))?.map(scoped_where_it_counts) {
        if !addrs.contains(&addr) && addrs.len() < ADDRESSES_MAX {
            addrs.push(addr);
        }
    }
    if addrs.is_empty() { Err(bad(&"the name has no address")) } else { Ok(addrs) }
}

/// Of other addresses than a link's own the system takes a scope and forgets it: its answers have none.
fn scoped_where_it_counts(mut addr: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut addr
        && !v6.ip().is_unicast_link_local()
    {
        v6.set_scope_id(0);
    }
    addr
}

/// `text`, which may hold an IPv6 address of a link's own, with the interface's number where its name stands:
/// `[fe80::1%eth0]:7000` is `[fe80::1%2]:7000` then.
pub(crate) fn scope_as_number(text: &str) -> Result<Cow<'_, str>, NoInterface> {
    let scoped = text.split_once('%').and_then(|(before, rest)| {
        let (name, after) = rest.split_once(']')?;
        let is_name = name.bytes().any(|byte| !byte.is_ascii_digit());
        (before.contains('[') && is_name).then_some((before, name, after))
    });
    let Some((before, name, after)) = scoped else { return Ok(text.into()) };
    // Where the list cannot be had, no name is known.
    let found = interfaces().unwrap_or_default().into_iter().find(|interface| interface.name == name);
    let number = found.ok_or_else(|| NoInterface(name.to_owned()))?.id.0;
    Ok(format!("{before}%{number}]{after}").into())
}

/// An address names an interface that is none of this machine's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no interface is called {0:?}")]
pub(crate) struct NoInterface(String);

impl From<NoInterface> for Failure {
    fn from(error: NoInterface) -> Self {
        Self::new(Exit::BadAddress, error.to_string())
    }
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
    fn addresses() {
        assert_eq!(resolve("127.0.0.1:80").unwrap(), ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(resolve("[::1]:80").unwrap(), ["[::1]:80".parse().unwrap()]);
        for bad in ["", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:65536", "[fe80::1%]:80", "[fe80::1%lo:80"] {
            assert_eq!(resolve(bad).unwrap_err().exit, Exit::BadAddress, "{bad}");
        }
    }
    #[test]
    fn an_interface_may_be_named_in_an_address_of_a_link() {
        let scope = |text: &str| match resolve(text).unwrap()[..] {
            [SocketAddr::V6(addr)] => (*addr.ip(), addr.scope_id(), addr.port()),
            ref other => panic!("{other:?}"),
        };
        let lo = interfaces().unwrap().into_iter().find(|interface| interface.name == "lo").unwrap().id.0;
        let ip = "fe80::1".parse().unwrap();
        assert_eq!(scope("[fe80::1%lo]:80"), (ip, lo, 80));
        assert_eq!(scope(&format!("[fe80::1%{lo}]:80")), (ip, lo, 80));
        assert_eq!(scope("[::1%lo]:80"), ("::1".parse().unwrap(), 0, 80), "it would not be known again");
        let failure = resolve("[fe80::1%none-such]:80").unwrap_err();
        assert_eq!(failure.exit, Exit::BadAddress);
        assert!(failure.message.contains("no interface is called \"none-such\""), "{}", failure.message);
        // In a code, too; what has no such address stays as it is.
        let code = scope_as_number("42-maple-otter@[fe80::1%lo]:7000/tcp").unwrap();
        assert_eq!(code, format!("42-maple-otter@[fe80::1%{lo}]:7000/tcp"));
        for text in ["42-maple-otter", "100% [odd]", "host:80", "[::1]:80"] {
            assert_eq!(scope_as_number(text).unwrap(), text);
        }
    }
}
