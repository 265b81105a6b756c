//! What `udpair invite` and `udpair join` may be told.

use clap::Args;
use udpair::Config;
use udpair::pairing::HostNumber;

use crate::cli::exit::{Exit, Failure};
use crate::cli::peer::LinkArgs;

/// `udpair invite`.
#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// Listen on this port, and print the number of this host, the port and two words, for
    /// `udpair join E PORT WORD-WORD`: nothing is broadcast. 0 lets the system choose.
    #[arg(value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// How to be reached.
    #[command(flatten)]
    pub(crate) link: LinkArgs,
}

/// `udpair join`.
#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The code that `udpair invite` printed; or what `udpair invite PORT` printed: the number of its host (0 is this
    /// machine), the port, and two words.
    #[arg(value_name = "CODE | E PORT WORD-WORD")]
    pub(crate) what: Vec<String>,
    /// How to reach it.
    #[command(flatten)]
    pub(crate) link: LinkArgs,
}

/// Whom to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Whoever made this code, if one was given.
    Code(Option<String>),
    /// Whoever listens on this port of a host.
    Host {
        /// The number of the host.
        number: HostNumber,
        /// The port.
        port: u16,
        /// The words, if any were given.
        words: Option<String>,
    },
}

impl Target {
    /// As it was typed: two numbers begin what a host is called, and no code.
    pub(crate) fn of(what: &[String]) -> Self {
        let text = what.join(" ");
        let mut parts = text.split_whitespace();
        let number = parts.next().and_then(|number| number.parse().ok());
        let port = parts.next().and_then(|port| port.parse().ok());
        match (number, port) {
            (Some(number), Some(port)) => {
                let words = parts.collect::<Vec<_>>().join("-");
                Self::Host { number: HostNumber(number), port, words: Some(words).filter(|words| !words.is_empty()) }
            }
            _ => Self::Code(Some(text).filter(|text| !text.trim().is_empty())),
        }
    }
}

/// How a conversation on a port is sealed where no words do that; `None` where they do.
pub(crate) fn sealed_on_port(link: &LinkArgs, words: Option<&str>) -> Result<Option<Config>, Failure> {
    let usage = |message: &str| Err(Failure::new(Exit::Usage, message));
    if link.interface.is_some() {
        return usage("--interface says where to look for the other side: not with a port");
    }
    let without_words = link.seal.insecure_plain || link.seal.key()?.is_some();
    match (without_words, words) {
        (false, _) => Ok(None),
        (true, Some(_)) => usage("either words, or --insecure-plain or a key"),
        (true, None) if link.remember.is_some() => usage("--remember goes with a code or words"),
        (true, None) => link.seal.at_address().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &[&str]) -> Target {
        Target::of(&text.iter().map(|&part| part.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn two_numbers_are_a_host_and_a_port_and_the_rest_is_a_code() {
        let code = |code: &str| Target::Code(Some(code.to_owned()));
        let host = |number, port, words: Option<&str>| Target::Host {
            number: HostNumber(number),
            port,
            words: words.map(str::to_owned),
        };
        assert_eq!(target(&["42-maple-otter"]), code("42-maple-otter"));
        assert_eq!(target(&["42", "maple", "otter"]), code("42 maple otter"));
        assert_eq!(target(&["42 maple otter"]), code("42 maple otter"));
        assert_eq!(target(&["7", "5000", "maple-otter"]), host(7, 5000, Some("maple-otter")));
        assert_eq!(target(&["7", "5000", "maple", "otter"]), host(7, 5000, Some("maple-otter")));
        assert_eq!(target(&["0 5000"]), host(0, 5000, None));
        assert_eq!(target(&["256", "5000"]), code("256 5000"), "which is none, and said to be");
        assert_eq!([target(&[]), target(&[" "])], [Target::Code(None), Target::Code(None)]);
    }
}
