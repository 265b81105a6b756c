//! `udpair send` and `udpair recv`: files and whole trees, as `spec/files.md` says.
//!
//! `sender` and `receiver` are the protocol, without a connection; `drive` runs them over one, `serve` for every sender
//! that calls; `transfers` knows which are under way, `course` how each peer does. `given`, `tree` and `reader` get
//! files off the sender's disk, `place` and `writer` put them onto the receiver's.

mod course;
mod drive;
mod given;
pub(crate) mod interrupt;
mod message;
mod name;
mod outcome;
mod place;
mod progress;
mod reader;
mod receiver;
mod sender;
mod serve;
mod step;
mod transfers;
mod tree;
mod writer;

#[cfg(test)]
mod tests;

use udpair::message::{ChannelConfig, Limits};
use udpair::time::Timestamp;
use udpair::{Connection, Transport};

use self::message::{CONTROL, DATA, Totals};
use self::progress::Bars;
use self::sender::Sender;
pub(crate) use self::serve::recv;
pub(crate) use self::transfers::Transfers;
use super::args::SendArgs;
use super::code;
use super::exit::{Exit, Failure, complain, say};
use super::peer::{Told, Way};

/// What a sender may hold in memory.
const SENDER_LIMITS: Limits =
    Limits { message_len_max: 2 << 20, credit_connection: 16 << 20, credit_channel: 8 << 20, send_queue: 8 << 20 };

/// Sends `args.paths` to a receiver and says what became of them.
pub(crate) fn send(args: &SendArgs) -> Result<Exit, Failure> {
    let transfers = Transfers::new(1, args.link.timeout());
    interrupt::install(&transfers)?;
    let way = Way::of("--to", args.to.as_deref(), args.code.as_ref(), &args.link)?;
    given::look_at(&args.paths)?;
    let expected = tree::measure(args.paths.clone());
    let connection = match way {
        Way::At(addrs, sealed) => args.link.call(&addrs, *sealed, SENDER_LIMITS)?,
        Way::Join(code) => args.link.join(&code, SENDER_LIMITS)?,
        Way::Invite => args.link.invite(SENDER_LIMITS, Told::OnStdout, "udpair recv CODE")?,
        Way::Known(psk) => args.link.join_known(&psk, SENDER_LIMITS)?,
    };
    let begun = connection.transport().now();
    let to = connection.peer_addr().map_or_else(|| "a receiver that has gone".to_owned(), |addr| addr.to_string());
    let transfer = transfers.begin(connection);
    let connection = transfer.connection();
    configure(connection)?;
    let mut sender = Sender::new(args.paths.clone(), expected);
    let progress = Bars::default().add(expected.1);
    let sent = drive::send(&transfer, &mut sender, &progress);
    drop(progress);
    if let Err(stop) = sent {
        stop.tell(connection);
        return Err(stop.into());
    }
    connection.close(code::DONE);
    print(&report(sender.totals(), "sent", &to, &**connection.transport(), begun));
    Ok(sender.totals().exit())
}

/// Answers go before content.
fn configure(connection: &Connection) -> Result<(), Failure> {
    let channel = |priority| ChannelConfig { priority, ..ChannelConfig::default() };
    connection
        .configure(CONTROL, channel(0))
        .and_then(|()| connection.configure(DATA, channel(3)))
        .map_err(|error| drive::Stop::from(error).into())
}

/// What became of a transfer, in a line for people.
fn report(
    totals: &Totals,
    verb: &str,
    peer: &dyn std::fmt::Display,
    clock: &dyn Transport,
    begun: Timestamp,
) -> String {
    let preposition = if verb == "sent" { "to" } else { "from" };
    format!("{} {preposition} {peer}", totals.report(verb, clock.now().saturating_since(begun)))
}

/// What became of a transfer, on stdout. It does not fail because nobody reads what is said of it.
fn print(line: &str) {
    if let Err(unread) = say(line) {
        complain(&unread.message);
    }
}
