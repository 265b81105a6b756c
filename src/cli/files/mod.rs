//! `udpair send` and `udpair recv`: files and whole trees, as `spec/files.md` says.
//!
//! `sender` and `receiver` are the protocol, without a connection; `drive` runs them over one; `tree` and `reader`
//! get files off the sender's disk, `place` and `writer` put them onto the receiver's.

mod buffers;
mod drive;
mod interrupt;
mod message;
mod name;
mod outcome;
mod place;
mod progress;
mod reader;
mod receiver;
mod sender;
mod step;
mod tree;
mod writer;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use udpair::message::{ChannelConfig, Limits};
use udpair::time::Timestamp;
use udpair::{Config, Connection, Listener, Transport};

use self::interrupt::Interrupt;
use self::message::{CONTROL, DATA, Reason, Totals};
use self::outcome::code;
use self::place::Place;
use self::progress::Progress;
use self::receiver::{Policy, Receiver, Unfinished};
use self::sender::Sender;
use self::writer::Existing;
use super::args::{LinkArgs, RecvArgs, SendArgs, TransportKind, resolve};
use super::exit::{Exit, Failure, complain};

/// What a transfer may hold in memory, so that each side stays under 64 MiB whatever it transfers.
const LIMITS: Limits =
    Limits { message_len_max: 2 << 20, credit_connection: 16 << 20, credit_channel: 8 << 20, send_queue: 8 << 20 };

/// Senders that may wait for their turn.
const BACKLOG: usize = 16;

/// How long a call may take, however patient the user is otherwise.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// Sends `args.paths` to a receiver and says what became of them.
pub(crate) fn send(args: &SendArgs) -> Result<Exit, Failure> {
    args.link.plain.check()?;
    let to = resolve(&args.to)?;
    let interrupt = Interrupt::install()?;
    let any = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let transport = bind(&args.link, any, 0)?;
    let expected = tree::measure(args.paths.clone());
    let begun = transport.now();
    let connection = Connection::connect(&transport, to).map_err(|error| drive::connect_failure(&error))?;
    interrupt.begin(&connection);
    configure(&connection)?;
    let mut sender = Sender::new(args.paths.clone(), expected);
    let progress = Progress::new(expected.1);
    let sent = drive::send(&connection, &mut sender, &progress);
    drop(progress);
    if let Err(stop) = sent {
        stop.tell(&connection);
        return Err(stop.into());
    }
    connection.close(code::DONE);
    Ok(report(sender.totals(), "sent", &to, &*transport, begun))
}

/// Receives from one sender or from one after another.
pub(crate) fn recv(args: &RecvArgs) -> Result<Exit, Failure> {
    args.link.plain.check()?;
    let listen = resolve(&args.listen)?;
    let interrupt = Interrupt::install()?;
    place(args)?;
    let listener = Listener::new(bind(&args.link, listen, BACKLOG)?);
    print(&format!("listening on {}", listener.local_addr()));
    loop {
        let connection = listener.accept().map_err(|error| drive::accept_failure(&error))?;
        interrupt.begin(&connection);
        let received = receive(args, &connection);
        let interrupted = interrupt.end();
        match received {
            ended if args.once => return ended,
            _ if interrupted => return Err(Failure::new(Exit::Interrupted, "interrupted")),
            Err(failure) => complain(&failure.message),
            Ok(_) => (),
        }
    }
}

/// One sender's transfer.
fn receive(args: &RecvArgs, connection: &Connection) -> Result<Exit, Failure> {
    let begun = connection.transport().now();
    configure(connection)?;
    let peer = connection.peer_addr().map_or_else(|| "a sender that has gone".to_owned(), |peer| peer.to_string());
    let policy = Policy {
        existing: if args.overwrite { Existing::Replace } else { Existing::Keep },
        unfinished: if args.resume { Unfinished::Keep } else { Unfinished::Remove },
    };
    let mut receiver = Receiver::new(place(args).inspect_err(|_| drive::give_up(connection, code::FAILED))?, policy);
    let progress = Progress::new(0);
    let received = drive::receive(connection, &mut receiver, &progress);
    drop(progress);
    if let Err(stop) = received {
        // What is partial goes first: the peer may take its time.
        drop(receiver);
        stop.tell(connection);
        let Failure { exit, message } = stop.into();
        return Err(Failure::new(exit, format!("{message} (from {peer})")));
    }
    connection.close(code::DONE);
    Ok(report(receiver.totals(), "received", &peer, &**connection.transport(), begun))
}

fn place(args: &RecvArgs) -> Result<Place, Failure> {
    Place::open(Path::new(&args.dir)).map_err(|error| {
        let exit = match Reason::of(&error).exit() {
            Exit::SomeFailed => Exit::Other,
            exit => exit,
        };
        Failure::new(exit, format!("cannot use {:?}: {error}", args.dir))
    })
}

fn bind(link: &LinkArgs, addr: SocketAddr, backlog: usize) -> Result<Arc<dyn Transport>, Failure> {
    let mut config = Config::insecure_plain();
    config.limits = LIMITS;
    config.idle_timeout = link.timeout;
    config.connect_timeout = link.timeout.min(CONNECT_TIMEOUT_MAX);
    config.backlog = backlog;
    match link.transport {
        TransportKind::Udp => udpair::udp::bind(addr, config),
        TransportKind::Tcp => udpair::tcp::bind(addr, config),
    }
    .map_err(|error| drive::bind_failure(&error))
}

/// Answers go before content.
fn configure(connection: &Connection) -> Result<(), Failure> {
    let channel = |priority| ChannelConfig { priority, ..ChannelConfig::default() };
    connection
        .configure(CONTROL, channel(0))
        .and_then(|()| connection.configure(DATA, channel(3)))
        .map_err(|error| drive::Stop::from(error).into())
}

/// Says on stdout what became of a transfer.
fn report(totals: &Totals, verb: &str, peer: &dyn std::fmt::Display, clock: &dyn Transport, begun: Timestamp) -> Exit {
    let preposition = if verb == "sent" { "to" } else { "from" };
    print(&format!("{} {preposition} {peer}", totals.report(verb, clock.now().saturating_since(begun))));
    totals.exit()
}

/// A line on stdout, at once. A transfer does not fail because nobody reads what is said of it.
fn print(line: &str) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
