//! `udpair bench serve`: run after run, one at a time.

use std::io::{self, BufRead, Read, Write};
use std::net::SocketAddr;
use std::thread;

use udpair::transport::ParsePskError;
use udpair::{Config, Psk};
use zeroize::Zeroizing;

use super::args::{ServeArgs, Transport};
use super::control::{Order, Outcome, PATIENCE};
use super::error::Error;
use super::library::LibraryServer;
use super::raw_serve::RawServer;
use crate::cli::args::resolve;
use crate::cli::exit::{Exit, Failure, tell};

/// Serves until interrupted.
pub(crate) fn serve(args: &ServeArgs) -> Result<Exit, Failure> {
    let config = if args.sealed { Config::psk(&key_of_stdin()?) } else { args.transport.sealed(&args.seal)? };
    let listen = resolve(&args.listen)?[0];
    if args.child {
        end_with_stdin().map_err(Error::io("start a thread"))?;
    }
    let log = Log { quiet: args.child };
    match args.transport {
        Transport::RawTcp | Transport::RawUdp => {
            let server = RawServer::bind(listen, args.transport, PATIENCE)?;
            announce(server.local_addr())?;
            loop {
                server.serve_one(&log)?;
            }
        }
        Transport::Udp | Transport::Tcp => {
            let server = LibraryServer::bind(listen, args.transport, config, PATIENCE)?;
            announce(server.local_addr())?;
            loop {
                server.serve_one(&log)?;
            }
        }
    }
}

/// The one line on standard output: scripts wait for it, and learn the port.
fn announce(at: SocketAddr) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on {at}").and_then(|()| stdout.flush()).map_err(Error::io("write to standard output"))
}

/// The key that whoever started us seals with: no argument, for those can be seen by others.
fn key_of_stdin() -> Result<Psk, Error> {
    let mut line = Zeroizing::new(String::new());
    io::stdin().lock().read_line(&mut line).map_err(Error::io("read from standard input"))?;
    line.parse().map_err(|error: ParsePskError| Error::Usage(error.to_string()))
}

/// Whoever holds the other end of our standard input has gone when it ends.
fn end_with_stdin() -> io::Result<()> {
    thread::Builder::new().name("stdin".to_owned()).spawn(|| {
        let mut byte = [0];
        // An error is an end too.
        while matches!(io::stdin().read(&mut byte), Ok(1)) {}
        std::process::exit(Exit::Ok as i32);
    })?;
    Ok(())
}

/// Says on standard error what happens.
pub(crate) struct Log {
    quiet: bool,
}

impl Log {
    /// A run from `peer` is over.
    pub(crate) fn run(&self, peer: Option<SocketAddr>, done: &Result<(Order, Outcome), Error>) {
        if self.quiet {
            return;
        }
        let peer = peer.map_or_else(|| "somebody".to_owned(), |peer| peer.to_string());
        match done {
            Ok((order, outcome)) => tell(&format_args!(
                "{peer}: {} of {} bytes over {}: {} messages taken",
                order.workload, order.size, order.transport, outcome.received
            )),
            Err(error) => tell(&format_args!("{peer}: {}", error.in_full())),
        }
    }
}
