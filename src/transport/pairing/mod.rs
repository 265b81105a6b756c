//! Pairing: two machines on one network find each other by a spoken code and are connected, encrypted and
//! authenticated. `spec/pairing.md`, `spec/security.md`.
//!
//! ```no_run
//! // On one machine:
//! let invite = udpair::invite()?;
//! println!("{}", invite.code()); // 42-maple-otter
//! let peer = invite.accept()?;
//! peer.send("hello")?;
//! peer.close(0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```no_run
//! // On the other, by whoever was told the code:
//! let peer = udpair::join("42-maple-otter")?;
//! let hello = peer.recv()?;
//! peer.close(0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A code is good for one connection, for ten minutes, and for one wrong guess: whoever tries wrong words burns it, and
//! is told so, and so is the inviter. A joiner who was answered by somebody without the words is told too; typed again,
//! the code may then meet its invite. Each time that a code is typed, whoever is on the network has one guess at its
//! words, of which there are a million pairs.

mod attempt;
mod device;
mod error;
mod invite;
mod join;
mod notice;
mod race;
mod search;
#[cfg(test)]
mod tests;
mod tomb;
mod ways;

use core::time::Duration;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

pub use self::device::DeviceInvite;
pub use self::error::{InviteError, JoinError, NobodyAnswered};
pub use self::invite::Invite;
pub use self::notice::InviteNotice;
use super::discovery::DiscoveryOptions;
use super::driven::Joining;
use super::site::{Site, System};
use super::{BindError, Config, Connection, Psk};
use crate::pairing::{Carrier, InviteId, Words};
use crate::proto::Security;
use crate::seal::Prs;

/// How long a code is good for.
pub const INVITE_LIFETIME: Duration = Duration::from_secs(600);
/// How long a joiner looks for its invite, by default.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(30);

// All that was found can be called at once.
const _: () = assert!(crate::pairing::CANDIDATES_MAX <= crate::proto::handshake::CANDIDATES_MAX);

/// What both sides know.
#[derive(Clone, Copy)]
enum Secret<'a> {
    /// The words of a code.
    Words(&'a Words),
    /// A key.
    Key(&'a Psk),
}

impl Secret<'_> {
    /// How `invite` is secured by it.
    fn security(self, invite: InviteId) -> Security {
        match self {
            Self::Words(words) => Security::code(invite.0, Prs::bytes(&words.secret())),
            Self::Key(psk) => psk.security(),
        }
    }
}

/// How to pair, where the defaults of [`invite`] and [`join`] do not fit.
#[derive(Clone, Debug)]
pub struct Pairing {
    site: Arc<dyn Site>,
    carrier: Option<Carrier>,
    interface: Option<String>,
    timeout: Duration,
    /// [`INVITE_LIFETIME`] but in tests.
    lifetime: Duration,
    config: Config,
}

impl Default for Pairing {
    fn default() -> Self {
        Self::on(Arc::new(System))
    }
}

impl Pairing {
    /// The defaults: an inviter talks over UDP, a joiner over whatever the inviter does; discovery on all interfaces.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn on(site: Arc<dyn Site>) -> Self {
        let config = Config::insecure_plain(); // its security is set for each pairing
        Self { site, carrier: None, interface: None, timeout: JOIN_TIMEOUT, lifetime: INVITE_LIFETIME, config }
    }

    /// Over UDP or TCP. As a joiner: only if the inviter does so, too.
    #[must_use]
    pub const fn carrier(mut self, carrier: Carrier) -> Self {
        self.carrier = Some(carrier);
        self
    }

    /// Looks for the other side only on the interface of this name.
    #[must_use]
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.interface = Some(name.into());
        self
    }

    /// How long a joiner looks for its invite. Default [`JOIN_TIMEOUT`]. At an address that was told nobody has to be
    /// looked for, and the connect timeout of the [config](Self::config) counts.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Limits and timeouts of the connection. Its security is that of the code, whatever stands here.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    fn options(&self) -> DiscoveryOptions {
        DiscoveryOptions { interface: self.interface.clone() }
    }

    /// A transport of its own for one pairing, on a fresh port of all addresses.
    fn bind(
        &self,
        carrier: Carrier,
        port: u16,
        security: Security,
        backlog: usize,
    ) -> Result<Arc<dyn Joining>, BindError> {
        let config = Config { security, simulated: false, backlog, ..self.config.clone() };
        let bind = |addr: SocketAddr| self.site.open(carrier, addr, &config);
        // Both families where there are both.
        bind((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|error| match error {
            BindError::AddressInUse { .. } | BindError::PermissionDenied { .. } => Err(error),
            _ => bind((Ipv4Addr::UNSPECIFIED, port).into()),
        })
    }
}

/// Makes an invite: its code is to be told to the other side, which [`join`]s. Over UDP, on all interfaces; else see
/// [`Pairing`]. Blocks for about a tenth of a second, while it finds a number that no other invite has. It answers for
/// the number only while somebody waits in [`accept`](Invite::accept): call that at once.
///
/// # Errors
/// See [`InviteError`].
pub fn invite() -> Result<Invite, InviteError> {
    Pairing::new().invite()
}

/// Connects to whoever made the invite of this code, wherever on the network that is. Blocks for at most
/// [`JOIN_TIMEOUT`] and a connect timeout (5 s); by a code with an address behind it for at most a connect timeout.
/// Where that is a name, as in `42-maple-otter@HOST:PORT`, the system is asked for its addresses before, which takes as
/// long as the system likes.
///
/// # Errors
/// See [`JoinError`].
pub fn join(code: &str) -> Result<Connection, JoinError> {
    Pairing::new().join(code)
}
