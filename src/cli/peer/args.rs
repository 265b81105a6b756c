//! What every command that talks to a peer is told about it, and which way to the peer that means.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use udpair::message::Limits;
use udpair::pairing::Carrier;
use udpair::transport::pairing::JOIN_TIMEOUT;
use udpair::{Config, Pairing, Psk};

use super::device::DeviceName;
use super::seal::SealArgs;
use super::spoken::{Spoken, ask, is_code};
use crate::cli::args::resolve;
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
    /// Give up when nothing was heard of the peer for so long, or when nobody was found by a code within it. At an
    /// address, also one behind a code, nobody is called for longer than 5 seconds, whatever stands here; how long the
    /// system takes to look up a name does not count. A sender that stops for so long without being gone gives its
    /// place up to another one that needs it. [default: 10; to look for whoever made a code: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// By a code: remember the other side under this name, so that `--device NAME` stands for the code from then on.
    /// The other side has to do the same. The key is kept below $XDG_DATA_HOME/udpair/devices, for its owner alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) remember: Option<DeviceName>,
    /// What seals the conversation, if not a code.
    #[command(flatten)]
    pub(crate) seal: SealArgs,
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
    /// At one of these addresses, or to listen there, and so sealed.
    At(Vec<SocketAddr>, Box<Config>),
    /// By this code, which the other side made.
    Join(Spoken),
    /// By a code that is made for the other side.
    Invite,
    /// By the key that both sides have.
    Known(Psk),
}

impl Way {
    /// What an address (the option `--to` or `--listen` that stands in `address_option`), a code, or neither means. A
    /// code that is - is asked for, which blocks; any code is one afterwards.
    pub(crate) fn of(
        address_option: &str,
        address: Option<&str>,
        code: Option<&Spoken>,
        link: &LinkArgs,
    ) -> Result<Self, Failure> {
        let usage = |message: String| Err(Failure::new(Exit::Usage, message));
        let key = link.seal.key()?;
        if link.remember.is_some() && (key.is_some() || address.is_some()) {
            return usage("--remember goes with a code: only who was met by one can be remembered".to_owned());
        }
        match (address, code) {
            (Some(_), Some(_)) => usage(format!("either a code or {address_option}, not both")),
            (Some(_), None) if link.interface.is_some() => {
                usage(format!("--interface says where to look for the other side: not with {address_option}"))
            }
            (Some(address), None) if is_code(address) => {
                usage(format!("{address_option} takes an address, HOST:PORT, and what stands there is a code"))
            }
            (Some(address), None) => Ok(Self::At(resolve(address)?, Box::new(link.seal.at_address()?))),
            (None, _) if link.seal.insecure_plain => {
                usage(format!("--insecure-plain goes with {address_option}: what a code pairs is always sealed"))
            }
            (None, Some(_)) if key.is_some() => usage("either a code or a key, not both".to_owned()),
            (None, Some(code)) => {
                link.check_remember()?;
                let join = |code: &Spoken| link.joining(code).map(Self::Join);
                if code.is_asked_for() { ask(join) } else { join(code) }
            }
            (None, None) => {
                link.check_remember()?;
                Ok(key.map_or(Self::Invite, Self::Known))
            }
        }
    }
}

impl LinkArgs {
    /// The code, found to be one that goes with the rest.
    fn joining(&self, code: &Spoken) -> Result<Spoken, Failure> {
        let code = code.checked()?;
        if code.has_address() && self.interface.is_some() {
            return Err(Failure::new(
                Exit::Usage,
                "--interface says where to look for the other side: not with a code that has its address behind the @",
            ));
        }
        Ok(code)
    }

    /// Silence after which a peer is given up.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// How long whoever made a code is looked for.
    pub(super) fn patience(&self) -> Duration {
        self.timeout.unwrap_or(JOIN_TIMEOUT)
    }

    /// How long a call may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.timeout().min(CONNECT_TIMEOUT_MAX)
    }

    /// What the other side has to be told of the transport where no beacon tells it.
    pub(crate) const fn carrier_option(&self) -> &'static str {
        match self.transport {
            Some(TransportKind::Tcp) => " --transport tcp",
            Some(TransportKind::Udp) | None => "",
        }
    }

    /// How to talk, so sealed.
    pub(crate) fn config(&self, sealed: Config, limits: Limits, backlog: usize) -> Config {
        let mut config = sealed;
        config.limits = limits;
        config.idle_timeout = self.timeout();
        config.connect_timeout = self.connect_timeout();
        config.backlog = backlog;
        config
    }

    /// How to pair by a code or a key.
    pub(crate) fn pairing(&self, limits: Limits) -> Pairing {
        // Its security is that of the code or the key.
        let config = self.config(Config::insecure_plain(), limits, 0);
        let mut pairing = Pairing::new().config(config).timeout(self.patience());
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
        LinkArgs { transport: None, interface: None, timeout: None, remember: None, seal: SealArgs::default() }
    }

    fn code(text: &str) -> Spoken {
        text.to_owned().into()
    }

    fn plain() -> LinkArgs {
        LinkArgs { seal: SealArgs { insecure_plain: true, ..SealArgs::default() }, ..link() }
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
        let code = code("42-maple-otter");
        let way = Way::of("--to", None, Some(&code), &link());
        assert!(matches!(&way, Ok(Way::Join(joined)) if *joined == code));
        assert!(!format!("{way:?}").contains("maple"), "{way:?}");
        assert!(matches!(Way::of("--to", Some("127.0.0.1:9"), None, &plain()), Ok(Way::At(..))));
        refused(Way::of("--to", Some("127.0.0.1:9"), Some(&code), &plain()), "not both");
        refused(Way::of("--to", None, Some(&self::code("42-maple")), &link()), "two words");
        refused(Way::of("--to", Some("42-maple-otter"), None, &plain()), "is a code");
    }

    #[test]
    fn an_interface_is_looked_at_where_the_code_does_not_say_the_address() {
        let on_lo = || LinkArgs { interface: Some("lo".to_owned()), ..link() };
        assert!(Way::of("--to", None, Some(&code("42-maple-otter")), &on_lo()).is_ok());
        let code = code("42-maple-otter@127.0.0.1:9");
        assert!(Way::of("--to", None, Some(&code), &link()).is_ok());
        refused(Way::of("--to", None, Some(&code), &on_lo()), "--interface");
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
    fn only_who_was_met_by_a_code_can_be_remembered() {
        let remember = "somebody".parse().ok();
        refused(Way::of("--to", Some("127.0.0.1:9"), None, &LinkArgs { remember, ..plain() }), "--remember");
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
