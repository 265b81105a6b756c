//! How a command comes by its peer: at an address, by a spoken code, or by a key that both sides have.

mod args;
mod device;
pub(crate) mod failure;
mod guard;
mod key;
mod seal;
mod spoken;

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use udpair::message::Limits;
use udpair::pairing::{Carrier, CodeAt, Host, HostNumber, Interface};
use udpair::transport::discovery::interfaces;
use udpair::transport::pairing::{DeviceInvite, InviteNotice};
use udpair::{Config, Connection, Invite, Psk, Transport};

pub(crate) use self::args::{LinkArgs, TransportKind, Way};
use self::device::DeviceName;
pub(crate) use self::key::{KeyArgs, make as make_key};
pub(crate) use self::seal::SealArgs;
pub(crate) use self::spoken::{Spoken, ask, can_ask, is_code, no_code};
use super::args::resolve;
use super::call::{any_for, call};
use super::code;
use super::exit::{Failure, say};

/// Addresses for which the code with the address is shown, at most.
const ADDRESSES_SHOWN_MAX: usize = 3;

/// Where a code is told to the user: on standard output, or, where that carries something else, on standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    /// The code is the result, so far.
    OnStdout,
    /// Standard output is the other side's.
    OnStderr,
}

/// Aborts with `code` and waits shortly until the peer knows: the process may be about to end.
pub(crate) fn give_up(connection: &Connection, code: u32) {
    connection.abort(code);
    connection.close_within(code, Duration::ZERO);
}

impl LinkArgs {
    /// Binds to `addr`, so sealed.
    pub(crate) fn bind(
        &self,
        addr: SocketAddr,
        sealed: Config,
        limits: Limits,
        backlog: usize,
    ) -> Result<Arc<dyn Transport>, Failure> {
        let config = self.config(sealed, limits, backlog);
        match self.transport.unwrap_or(TransportKind::Udp) {
            TransportKind::Udp => udpair::udp::bind(addr, config),
            TransportKind::Tcp => udpair::tcp::bind(addr, config),
        }
        .map_err(|error| failure::bind(&error))
    }

    /// Calls the first of `addrs` that answers. Blocks.
    pub(crate) fn call(&self, addrs: &[SocketAddr], sealed: Config, limits: Limits) -> Result<Connection, Failure> {
        let transport = self.bind(any_for(addrs), sealed, limits, 0)?;
        call(&transport, addrs, self.connect_timeout()).map_err(|unreached| {
            let Failure { exit, message } = unreached.into();
            // Who has another key is not answered, lest anybody learns which keys there are.
            let hint = if self.seal.insecure_plain { "" } else { " (the other side needs the same key)" };
            Failure::new(exit, format!("{message}{hint}"))
        })
    }

    /// Joins by a code. Blocks.
    pub(crate) fn join(&self, code: &Spoken, limits: Limits) -> Result<Connection, Failure> {
        // A name that stands for nothing is the user's mistake, and none of the pairing's.
        if let Ok(CodeAt { host: Host::Name(name, port), .. }) = code.as_str().parse() {
            resolve(&format!("{name}:{port}"))?;
        }
        self.note_looking();
        let joined = self.pairing(limits).join(code.as_str()).map_err(|error| failure::join(&error))?;
        self.remembered(joined)
    }

    /// Makes an invite, tells the user its code, once, and the `command` for the other side, in which CODE stands for
    /// it, and waits for whoever comes. Blocks.
    pub(crate) fn invite(&self, limits: Limits, told: Told, command: &str) -> Result<Connection, Failure> {
        let invite = self.pairing(limits).invite().map_err(|error| failure::invite(&error))?;
        let remember = if self.remember.is_some() { " --remember NAME" } else { "" };
        tell(told, &invite.code().to_string())?;
        note(&format!("on the other machine, within ten minutes: {command}{remember}"));
        let places = self.places(&invite);
        if !self.is_on_a_network() {
            note("this machine is on no network, so nobody finds it until it is: udpair doctor says more");
        } else if !places.is_empty() {
            note(&format!("if that finds nobody, with the address behind the code: {}", places.join(" or ")));
        }
        let joined = invite.accept_telling(note_heard);
        self.remembered(joined.map_err(|error| failure::invite(&error))?)
    }

    /// Joins on a port of a host, which is called by a number, by two words. Blocks.
    pub(crate) fn join_host(
        &self,
        HostNumber(number): HostNumber,
        port: u16,
        words: &str,
        limits: Limits,
    ) -> Result<Connection, Failure> {
        self.check_remember()?;
        let joined = self.pairing(limits).join_host(number, port, words).map_err(|error| failure::join(&error))?;
        self.remembered(joined)
    }

    /// Looks for the device that has the key, too, and waits for us. Blocks.
    pub(crate) fn join_known(&self, psk: &Psk, limits: Limits) -> Result<Connection, Failure> {
        self.note_looking();
        self.pairing(limits).join_device(psk).map_err(|error| failure::join(&error))
    }

    /// Waits for the device that has the key, too: the user is told what to type there. Does not block.
    pub(crate) fn invite_known(&self, psk: &Psk, limits: Limits, command: &str) -> Result<DeviceInvite, Failure> {
        let invite = self.pairing(limits).invite_device(psk).map_err(|error| failure::invite(&error))?;
        let key = if self.seal.is_by_name() { "--device NAME" } else { "--psk-file FILE" };
        note(&format!("on the other machine: {command} {key}"));
        Ok(invite)
    }

    /// The code, as CODE, with each address of this machine that others on its networks can reach, or that the
    /// interface has that was named.
    fn places(&self, invite: &Invite) -> Vec<String> {
        // Where the list cannot be had, there is nothing to show.
        let found = interfaces().unwrap_or_default();
        let wanted = |found: &&Interface| match &self.interface {
            Some(name) => found.name == *name,
            None => found.up && !found.loopback,
        };
        let addresses = found.iter().filter(wanted).flat_map(|it| &it.addresses).map(|it| it.ip);
        let carrier = match invite.carrier() {
            Carrier::Udp => "",
            Carrier::Tcp => "/tcp",
        };
        let place = |ip: IpAddr| format!("CODE@{}{carrier}", SocketAddr::from((ip, invite.local_addr().port())));
        addresses.filter(IpAddr::is_ipv4).take(ADDRESSES_SHOWN_MAX).map(place).collect()
    }

    /// Beacons have a way to others, now; where the interfaces cannot be listed, nobody knows.
    fn is_on_a_network(&self) -> bool {
        let is_way = |found: &Interface| match &self.interface {
            Some(name) => found.name == *name && !found.targets().is_empty(),
            None => !found.loopback && !found.targets().is_empty(),
        };
        interfaces().map_or(true, |found| found.iter().any(is_way))
    }

    /// Tells a user who sees it that this may take a while.
    fn note_looking(&self) {
        if io::stderr().is_terminal() {
            let seconds = self.patience().as_secs_f32();
            note(&format!("looking for the other side, for up to {seconds} seconds; Ctrl-C ends"));
        }
    }

    /// Complains where somebody of the name is remembered already.
    pub(crate) fn check_remember(&self) -> Result<(), Failure> {
        self.remember.as_ref().map_or(Ok(()), DeviceName::check_free)
    }

    /// Remembers whoever was met, where the user wants that.
    pub(crate) fn remembered(&self, connection: Connection) -> Result<Connection, Failure> {
        let Some(name) = &self.remember else { return Ok(connection) };
        name.remember(&connection).inspect_err(|_| give_up(&connection, code::FAILED))?;
        note(&format!("remembered: from now on --device {} stands for the code", name.as_str()));
        Ok(connection)
    }
}

/// A code, or what stands for one, on a line of its own, where a program can read it. Where nobody can, nobody comes.
pub(crate) fn tell(told: Told, code: &str) -> Result<(), Failure> {
    match told {
        Told::OnStdout => say(code),
        Told::OnStderr => {
            let told = writeln!(io::stderr(), "{code}");
            told.map_err(|error| Failure::of_io("cannot tell the code on standard error", &error))
        }
    }
}

/// Waits for the next device that has the key, and tells the user what was heard meanwhile. Blocks.
pub(crate) fn accept_known(invite: &mut DeviceInvite) -> Result<Connection, Failure> {
    invite.accept_telling(note_heard).map_err(|error| failure::invite(&error))
}

/// Why nobody may come.
fn note_heard(notice: InviteNotice) {
    note(&notice.to_string());
}

/// A line for the user on stderr that complains of nothing.
pub(crate) fn note(line: &str) {
    // Where nobody reads it nothing else goes wrong.
    let _ = writeln!(io::stderr(), "{line}");
}
