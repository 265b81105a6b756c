//! What every command that talks to a peer is told about it, and which way to the peer that means.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use udpair::message::Limits;
use udpair::pairing::Carrier;
use udpair::transport::pairing::JOIN_TIMEOUT;
use udpair::{Config, Pairing};

use crate::cli::args::{PlainArgs, resolve};
use crate::cli::exit::{Exit, Failure};

/// Silence after which a peer is given up, where the user says nothing.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call may take, however patient the user is otherwise.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// What every command that talks to a peer is told.
#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// What carries the messages. With an address: the same at both ends, udp where nothing is said. By a code:
    /// whoever makes it chooses, and the other side follows, or insists on this one and fails.
    #[arg(long, value_enum, value_name = "TRANSPORT")]
    pub(crate) transport: Option<TransportKind>,
    /// Look for the other side by this network interface only; otherwise by all.
    #[arg(long, value_name = "NAME")]
    pub(crate) interface: Option<String>,
    /// Give up when nothing was heard of the peer for so long, or when nobody was found by a code within it. A sender
    /// that stops for so long without being gone gives its place up to another one that needs it. [default: 10; to
    /// look for whoever made a code: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// The plain-text switch.
    #[command(flatten)]
    pub(crate) plain: PlainArgs,
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportKind {
    /// udpair's own protocol over UDP.
    Udp,
    /// The same messages over TCP.
    Tcp,
}

/// How to come by the peer.
#[derive(Debug)]
pub(crate) enum Way {
    /// At one of these addresses, or to listen there.
    At(Vec<SocketAddr>),
    /// By this code, which the other side made.
    Join(String),
    /// By a code that is made for the other side.
    Invite,
}

impl Way {
    /// What an address (the option `--to` or `--listen` that stands in `address_option`), a code, or neither means.
    pub(crate) fn of(
        address_option: &str,
        address: Option<&str>,
        code: Option<String>,
        link: &LinkArgs,
    ) -> Result<Self, Failure> {
        let usage = |message: String| Err(Failure::new(Exit::Usage, message));
        let Some(address) = address else {
            if link.plain.insecure_plain {
                return usage(format!(
                    "--insecure-plain goes with {address_option}: what a code pairs is always sealed"
                ));
            }
            return Ok(code.map_or(Self::Invite, Self::Join));
        };
        if code.is_some() {
            return usage(format!("either a code or {address_option}, not both"));
        }
        if link.interface.is_some() {
            return usage(format!("--interface says where to look for the other side: not with {address_option}"));
        }
        link.plain.check()?;
        Ok(Self::At(resolve(address)?))
    }
}

impl LinkArgs {
    /// Silence after which a peer is given up.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// How long a call may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.timeout().min(CONNECT_TIMEOUT_MAX)
    }

    /// How to talk at an address.
    pub(crate) fn config(&self, limits: Limits, backlog: usize) -> Config {
        let mut config = Config::insecure_plain();
        config.limits = limits;
        config.idle_timeout = self.timeout();
        config.connect_timeout = self.connect_timeout();
        config.backlog = backlog;
        config
    }

    /// How to pair by a code.
    pub(crate) fn pairing(&self, limits: Limits) -> Pairing {
        // Its security is that of the code.
        let mut pairing = Pairing::new().config(self.config(limits, 0)).timeout(self.timeout.unwrap_or(JOIN_TIMEOUT));
        if let Some(transport) = self.transport {
            pairing = pairing.carrier(match transport {
                TransportKind::Udp => Carrier::Udp,
                TransportKind::Tcp => Carrier::Tcp,
            });
        }
        match &self.interface {
            Some(interface) => pairing.interface(interface.clone()),
            None => pairing,
        }
    }
}

/// A positive number of seconds, fractions allowed, at most a day.
fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value > 0.0 && value <= 86_400.0 { Ok(Duration::from_secs_f64(value)) } else { Err("not in 0 to 86400".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> LinkArgs {
        LinkArgs { transport: None, interface: None, timeout: None, plain: PlainArgs { insecure_plain: false } }
    }

    fn plain() -> LinkArgs {
        LinkArgs { plain: PlainArgs { insecure_plain: true }, ..link() }
    }

    #[track_caller]
    fn refused(way: Result<Way, Failure>, why: &str) {
        let failure = way.unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains(why), "{}", failure.message);
    }

    #[test]
    fn neither_an_address_nor_a_code_makes_an_invite() {
        assert!(matches!(Way::of("--to", None, None, &link()), Ok(Way::Invite)));
        let code = || Some("42-maple-otter".to_owned());
        assert!(matches!(Way::of("--to", None, code(), &link()), Ok(Way::Join(code)) if code == "42-maple-otter"));
        assert!(matches!(Way::of("--to", Some("127.0.0.1:9"), None, &plain()), Ok(Way::At(_))));
        refused(Way::of("--to", Some("127.0.0.1:9"), code(), &plain()), "not both");
    }

    #[test]
    fn plain_text_is_asked_for_with_an_address_and_cannot_be_had_by_a_code() {
        refused(Way::of("--to", Some("127.0.0.1:9"), None, &link()), "--insecure-plain");
        refused(Way::of("--to", None, None, &plain()), "goes with --to");
    }

    #[test]
    fn there_is_nothing_to_look_for_at_an_address() {
        let on = LinkArgs { interface: Some("lo".to_owned()), ..plain() };
        refused(Way::of("--listen", Some("127.0.0.1:9"), None, &on), "not with --listen");
    }

    #[test]
    fn seconds_at_the_borders() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(seconds("86400"), Ok(Duration::from_secs(86_400)));
        for bad in ["0", "-1", "86401", "NaN", "inf", "soon"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
