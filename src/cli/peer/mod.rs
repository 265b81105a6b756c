//! How a command comes by its peer: at an address, or by a spoken code.

mod args;
pub(crate) mod failure;

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use udpair::message::Limits;
use udpair::pairing::{CodeAt, Host, Interface};
use udpair::transport::discovery::interfaces;
use udpair::{Connection, Invite, Transport};

pub(crate) use self::args::{LinkArgs, TransportKind, Way};
use super::call::{any_for, call};
use super::exit::Failure;

impl LinkArgs {
    /// Binds to `addr`.
    pub(crate) fn bind(&self, addr: SocketAddr, limits: Limits, backlog: usize) -> Result<Arc<dyn Transport>, Failure> {
        let config = self.config(limits, backlog);
        match self.transport.unwrap_or(TransportKind::Udp) {
            TransportKind::Udp => udpair::udp::bind(addr, config),
            TransportKind::Tcp => udpair::tcp::bind(addr, config),
        }
        .map_err(|error| failure::bind(&error))
    }

    /// Calls the first of `addrs` that answers. Blocks.
    pub(crate) fn call(&self, addrs: &[SocketAddr], limits: Limits) -> Result<Connection, Failure> {
        let transport = self.bind(any_for(addrs), limits, 0)?;
        Ok(call(&transport, addrs, self.connect_timeout())?)
    }

    /// Joins by a code. Blocks.
    pub(crate) fn join(&self, code: &str, limits: Limits) -> Result<Connection, Failure> {
        self.pairing(limits).join(code).map_err(|error| failure::join(&error))
    }

    /// Makes an invite, tells the user its code and what to type on the other side (`command` says it of the code),
    /// and waits for whoever comes. Blocks.
    pub(crate) fn invite(
        &self,
        limits: Limits,
        command: impl Fn(&dyn fmt::Display) -> String,
    ) -> Result<Connection, Failure> {
        let invite = self.pairing(limits).invite().map_err(|error| failure::invite(&error))?;
        tell(&invite, self.interface.as_deref(), command);
        invite.accept().map_err(|error| failure::invite(&error))
    }
}

/// Addresses for which the code with the address is shown, at most.
const ADDRESSES_SHOWN_MAX: usize = 3;

/// The code on a line of its own on stdout, where a program can read it; and how it is used, on stderr.
fn tell(invite: &Invite, interface: Option<&str>, command: impl Fn(&dyn fmt::Display) -> String) {
    let code = invite.code();
    // Where nobody reads the code nobody comes: no more can be done about it here.
    let _ = writeln!(io::stdout(), "{code}").and_then(|()| io::stdout().flush());
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "on the other machine, within ten minutes: {}", command(code));
    let with_address = |ip| {
        let host = Host::Address((ip, invite.local_addr().port()).into());
        CodeAt { code: code.clone(), host, carrier: invite.carrier() }
    };
    for ip in addresses(interface).into_iter().take(ADDRESSES_SHOWN_MAX) {
        let _ = writeln!(stderr, "if that finds nobody: {}", command(&with_address(ip)));
    }
}

/// The IPv4 addresses of this machine that others on its networks can reach, or all of one interface.
fn addresses(interface: Option<&str>) -> Vec<IpAddr> {
    // Where the list cannot be had, there is nothing to show.
    let found = interfaces().unwrap_or_default();
    let wanted = |found: &&Interface| interface.map_or(found.up && !found.loopback, |name| found.name == name);
    found.iter().filter(wanted).flat_map(|it| &it.addresses).map(|it| it.ip).filter(IpAddr::is_ipv4).collect()
}
