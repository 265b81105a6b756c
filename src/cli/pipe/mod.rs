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
use super::peer::{LinkArgs, Told, Way, failure, note, tell};

/// What the other side can make us hold, and what we hold for it.
const LIMITS: Limits =
    Limits { message_len_max: 1 << 20, credit_connection: 8 << 20, credit_channel: 4 << 20, send_queue: 2 << 20 };

/// Makes an invite, waits for whoever comes, and is their pipe.
pub(crate) fn invite(args: &InviteArgs) -> Result<Exit, Failure> {
    let link = &args.link;
    run(link, || {
        let Some(port) = args.port else {
            return match Way::of("PORT", None, None, link)? {
                Way::Known(psk) => {
                    let mut invite = link.invite_known(&psk, LIMITS, "udpair join")?;
                    invite.accept().map_err(|error| failure::invite(&error))
                }
                _ => link.invite(LIMITS, Told::OnStderr, |code| format!("udpair join {code}")),
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
    run(link, || match Target::of(&args.what) {
        Target::Code(code) => match Way::of("E PORT", None, code, link)? {
            Way::Join(code) => link.join(&code, LIMITS),
            Way::Known(psk) => link.join_known(&psk, LIMITS),
            _ => Err(Failure::new(Exit::Usage, "the code that `udpair invite` printed, or E PORT WORD-WORD")),
        },
        Target::Host { number, port, words } => match (sealed_on_port(link, words.as_deref())?, words) {
            (Some(sealed), _) => link.call(&addresses(number, port)?, sealed, LIMITS),
            (None, Some(words)) => {
                addresses(number, port)?;
                link.join_host(number, port, &words, LIMITS)
            }
            (None, None) => Err(Failure::new(Exit::Usage, "the two words are missing, or --insecure-plain")),
        },
    })
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
    say_place(link, invite.local_addr().port(), &invite.code().words.to_string());
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
    say_place(link, listener.local_addr().port(), how);
    listener.accept().map_err(|error| failure::accept(&error))
}

/// Tells what to type on the other side: the number of this host, the port and the rest.
fn say_place(link: &LinkArgs, port: u16, rest: &str) {
    // Where the list cannot be had, there is still this machine.
    let own = HostNumber::own(&interfaces().unwrap_or_default());
    let carrier = link.carrier_option();
    let mut numbers = own.into_iter().map(|HostNumber(number)| number).chain([0]);
    let first = numbers.next().unwrap_or_default();
    tell(Told::OnStderr, &format!("{first} {port} {rest}"));
    note(&format!("on the other machine: udpair join {first} {port} {rest}{carrier}"));
    for number in numbers {
        let which = if number == 0 { "on this machine" } else { "on another network" };
        note(&format!("{which}: udpair join {number} {port} {rest}{carrier}"));
    }
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
