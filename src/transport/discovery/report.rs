//! What a discovery can and cannot do on this machine, so that a pairing that fails can name its reason.

use core::fmt;
use core::net::SocketAddr;
use std::io::{Error, ErrorKind};

/// Interfaces and ways whose failure is remembered; the rest of a machine that has more goes unnamed.
const FAILURES_MAX: usize = 64;

/// Why a way is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FailureReason {
    /// The system does not let this process: a firewall, a sandbox, a missing permission for the local network.
    PermissionDenied,
    /// Nothing leads there: no route, a VPN that takes all of them, an interface that is down.
    NoRoute,
    /// A program that does not share it has the discovery port.
    AddressInUse,
    /// No interface is up and has an address, save perhaps the loopback one.
    NothingToSendOn,
    /// The machine has no IPv6, or no IPv4.
    Unsupported,
    /// Anything else that a system call answered.
    Other(ErrorKind),
}

impl FailureReason {
    /// What it may come of, where only the user can know: the systems answer the same to several causes. A guess, to
    /// follow "perhaps".
    pub(in crate::transport) const fn guess(self) -> Option<&'static str> {
        match self {
            Self::PermissionDenied => Some("a firewall, a sandbox, or no permission for the local network"),
            Self::NoRoute => Some("a VPN that takes everything, or no permission for the local network"),
            Self::AddressInUse | Self::NothingToSendOn | Self::Unsupported | Self::Other(_) => None,
        }
    }

    pub(in crate::transport) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::PermissionDenied => Self::PermissionDenied,
            ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable => Self::NoRoute,
            ErrorKind::AddrInUse => Self::AddressInUse,
            ErrorKind::Unsupported => Self::Unsupported,
            // EAFNOSUPPORT has no kind of its own.
            _ if error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT) => Self::Unsupported,
            kind => Self::Other(kind),
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PermissionDenied => f.write_str("permission denied"),
            Self::NoRoute => f.write_str("no route"),
            Self::AddressInUse => f.write_str("the discovery port is in use by a program that does not share it"),
            Self::NothingToSendOn => f.write_str("no network interface is up and has an address"),
            Self::Unsupported => f.write_str("not supported on this machine"),
            Self::Other(kind) => write!(f, "{kind}"),
        }
    }
}

/// One way that is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The interface, where it is one's.
    pub interface: Option<String>,
    /// Where to: the address that was sent to, that a socket was to be bound to, or with port 0 whose group was to be
    /// joined. `None`: answers to one host each, or no address in particular.
    pub address: Option<SocketAddr>,
    /// Why.
    pub reason: FailureReason,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(interface) = &self.interface {
            write!(f, "{interface}: ")?;
        }
        if let Some(address) = self.address {
            write!(f, "{address}: ")?;
        }
        self.reason.fmt(f)
    }
}

/// What works and what does not, as of the last attempt at each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscoveryReport {
    /// Interfaces by which a beacon left at least once, in order of name.
    pub interfaces: Vec<String>,
    /// What failed when it was tried last.
    pub failures: Vec<Failure>,
    /// Datagrams that came in by an interface that discovery is not to use.
    pub filtered: u64,
    /// Datagrams that a router passed on: beacons are of one link.
    pub off_link: u64,
}

impl DiscoveryReport {
    pub(super) fn on_sent(&mut self, interface: &str) {
        if let Err(at) = self.interfaces.binary_search_by(|known| known.as_str().cmp(interface)) {
            self.interfaces.insert(at, interface.to_owned());
        }
    }

    /// It worked, or it did not.
    pub(super) fn on_result(
        &mut self,
        interface: Option<&str>,
        address: Option<SocketAddr>,
        result: Result<(), FailureReason>,
    ) {
        let same = |failure: &Failure| failure.interface.as_deref() == interface && failure.address == address;
        self.failures.retain(|failure| !same(failure));
        if let Err(reason) = result
            && self.failures.len() < FAILURES_MAX
        {
            self.failures.push(Failure { interface: interface.map(str::to_owned), address, reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_until_it_works_again() {
        let mut report = DiscoveryReport::default();
        let to = "10.0.0.255:29517".parse().ok();
        let denied = FailureReason::of(&Error::from_raw_os_error(nix::libc::EPERM));
        assert_eq!(denied, FailureReason::PermissionDenied);
        for _ in 0..3 {
            report.on_result(Some("eth0"), to, Err(denied));
        }
        report.on_result(Some("eth1"), to, Err(FailureReason::NoRoute));
        let told: Vec<String> = report.failures.iter().map(Failure::to_string).collect();
        assert_eq!(told, ["eth0: 10.0.0.255:29517: permission denied", "eth1: 10.0.0.255:29517: no route"]);
        report.on_result(Some("eth0"), to, Ok(()));
        assert_eq!(report.failures.len(), 1);
    }

    #[test]
    fn system_errors_have_their_names() {
        for (errno, reason) in [
            (nix::libc::EACCES, FailureReason::PermissionDenied),
            (nix::libc::ENETUNREACH, FailureReason::NoRoute),
            (nix::libc::EHOSTUNREACH, FailureReason::NoRoute),
            (nix::libc::ENETDOWN, FailureReason::NoRoute),
            (nix::libc::EADDRINUSE, FailureReason::AddressInUse),
            (nix::libc::EAFNOSUPPORT, FailureReason::Unsupported),
        ] {
            assert_eq!(FailureReason::of(&Error::from_raw_os_error(errno)), reason, "errno {errno}");
        }
    }
}
