//! `udpair invite` and `udpair join`: a pipe between two machines, or a chat between two terminals, as `spec/pipe.md`
//! says.
//!
//! `control` and `ends` are the protocol, without a connection; `input` and `output` are this process's, and `exchange`
//! runs them over one.

mod args;
mod control;
mod ends;
mod exchange;
mod input;
mod output;
mod screen;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use udpair::message::Limits;
use udpair::pairing::HostNumber;
use udpair::transport::discovery::interfaces;
use udpair::{Config, Connection, Listener};

pub(crate) use self::args::{InviteArgs, JoinArgs};
use self::args::{Target, sealed_on_port};
use super::exit::{Exit, Failure};
use super::files::{Transfers, interrupt};
use super::peer::{LinkArgs, Spoken, Told, Way, accept_known, failure, note, tell};

/// What the other side can make us hold, and what we hold for it.
const LIMITS: Limits =
    Limits { message_len_max: 1 << 20, credit_connection: 8 << 20, credit_channel: 4 << 20, send_queue: 2 << 20 };

/// Makes an invite, waits for whoever comes, and is their pipe.
pub(crate) fn invite(args: &InviteArgs) -> Result<Exit, Failure> {
    let link = &args.link;
    run(link, || {
        let Some(port) = args.port()? else {
            return match Way::of("PORT", None, None, link)? {
                Way::Known(psk) => {
                    let mut invite = link.invite_known(&psk, LIMITS, "udpair join")?;
                    accept_known(&mut invite)
                }
                _ => link.invite(LIMITS, Told::OnStderr, "udpair join CODE"),
            };
        };
        match sealed_on_port(link, None)? {
            Some(sealed) => listen(link, port, sealed),
            None => invite_on(link, port),
        }
    })
}

/// Joins an invite, and is its pipe.
pub(crate) fn join(args: &JoinArgs) -> Result<Exit, Failure> {
    let link = &args.link;
    run(link, || {
        let code = match args.target()? {
            Some(Target::Host { number, port, words }) => return join_host(link, number, port, words.as_ref()),
            Some(Target::Code(code)) => Some(code),
            None => None,
        };
        match Way::of("E PORT", None, code.as_ref(), link)? {
            Way::Join(code) => link.join(&code, LIMITS),
            Way::Known(psk) => link.join_known(&psk, LIMITS),
            Way::At(..) | Way::Invite => Err(Failure::new(Exit::Usage, "neither a code nor a key")),
        }
    })
}

/// Joins on a port of a host.
fn join_host(link: &LinkArgs, number: HostNumber, port: u16, words: Option<&Spoken>) -> Result<Connection, Failure> {
    let words = words.map(Spoken::as_str);
    match (sealed_on_port(link, words)?, words) {
        (Some(sealed), _) => link.call(&addresses(number, port)?, sealed, LIMITS),
        (None, Some(words)) => {
            addresses(number, port)?;
            link.join_host(number, port, words, LIMITS)
        }
        (None, None) => Err(Failure::new(Exit::Usage, "the two words are missing, or --insecure-plain")),
    }
}

/// Meets somebody by `meet`, and is their pipe until both directions have ended.
fn run(link: &LinkArgs, meet: impl FnOnce() -> Result<Connection, Failure>) -> Result<Exit, Failure> {
    let transfers = Transfers::new(1, link.timeout());
    interrupt::install(&transfers)?;
    let transfer = transfers.begin(meet()?);
    let ended = exchange::run(transfer.connection());
    transfers.end(&transfer);
    ended
}

/// Waits for one who knows the words, or was told the code with the address, on a port.
fn invite_on(link: &LinkArgs, port: u16) -> Result<Connection, Failure> {
    link.check_remember()?;
    let invite = link.pairing(LIMITS).invite_on(port).map_err(|error| failure::invite(&error))?;
    say_place(link, invite.local_addr().port(), &invite.words().to_string(), "WORD-WORD")?;
    let joined = invite.accept().map_err(|error| failure::invite(&error))?;
    link.remembered(joined)
}

/// Waits for the first that comes to a port, so sealed.
fn listen(link: &LinkArgs, port: u16, sealed: Config) -> Result<Connection, Failure> {
    let bind = |all: SocketAddr| link.bind(all, sealed.clone(), LIMITS, 1);
    // Both families where there are both.
    let bound = bind((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|_| bind((Ipv4Addr::UNSPECIFIED, port).into()));
    let listener = Listener::new(bound?);
    let how = if link.seal.insecure_plain { "--insecure-plain" } else { "--psk-file FILE" };
    say_place(link, listener.local_addr().port(), how, how)?;
    listener.accept().map_err(|error| failure::accept(&error))
}

/// Tells what to type on the other side: the number of this host, the port and the rest, which is said once, and is
/// `called` so beside that.
fn say_place(link: &LinkArgs, port: u16, rest: &str, called: &str) -> Result<(), Failure> {
    // Where the list cannot be had, there is still this machine.
    let own = HostNumber::own(&interfaces().unwrap_or_default());
    let carrier = link.carrier_option();
    let mut numbers = own.into_iter().map(|HostNumber(number)| number).chain([0]);
    let first = numbers.next().unwrap_or_default();
    tell(Told::OnStderr, &format!("{first} {port} {rest}"))?;
    let which = if first == 0 { "on this machine" } else { "on the other machine" };
    note(&format!("{which}: udpair join {first} {port} {called}{carrier}"));
    for number in numbers {
        let which = if number == 0 { "on this machine" } else { "on another network" };
        note(&format!("{which}: udpair join {number} {port} {called}{carrier}"));
    }
    Ok(())
}

/// Where a host of this number may be.
fn addresses(number: HostNumber, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let found = interfaces().map_err(|error| Failure::new(Exit::Other, format!("cannot list interfaces: {error}")))?;
    let addresses = number.addresses(&found, port);
    if addresses.is_empty() {
        return Err(Failure::new(Exit::BadAddress, "this machine is on no network on which the host could be"));
    }
    Ok(addresses)
}
