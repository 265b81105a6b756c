//! What `udpair invite` and `udpair join` may be told.

use std::net::Ipv4Addr;

use clap::Args;
use udpair::Config;
use udpair::pairing::{HostNumber, Words};

use crate::cli::exit::{Exit, Failure};
use crate::cli::peer::{LinkArgs, Spoken, ask, can_ask, why};

/// `udpair invite`.
#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// Listen on this port, and print the number of this host, the port and two words, for
    /// `udpair join E PORT WORD-WORD`: nothing is broadcast. 0 lets the system choose.
    #[arg(value_name = "PORT")]
    port: Option<Spoken>,
    /// How to be reached.
    #[command(flatten)]
    pub(crate) link: LinkArgs,
}

impl InviteArgs {
    /// The port, if one was named; whoever gives a code instead wants to join.
    pub(crate) fn port(&self) -> Result<Option<u16>, Failure> {
        let no_port = |_| Failure::new(Exit::Usage, "PORT is a number up to 65535; a code goes with udpair join");
        self.port.as_ref().map(|port| port.as_str().parse().map_err(no_port)).transpose()
    }
}

/// `udpair join`.
#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The code that `udpair invite` printed; or what `udpair invite PORT` printed: the number of its host (0 is this
    /// machine), the port, and two words. Without it, or where it is -, it is asked for on a terminal; from anything
    /// else - reads it as the first line of standard input, and what follows is sent. Then it stands neither in `ps`
    /// nor in a shell's history.
    #[arg(value_name = "CODE | E PORT WORD-WORD")]
    what: Vec<Spoken>,
    /// How to reach it.
    #[command(flatten)]
    pub(crate) link: LinkArgs,
}

impl JoinArgs {
    /// Whom to join, as the arguments or, where they leave it open, the user says; `None` where only the key tells.
    /// Blocks while the user types.
    pub(crate) fn target(&self) -> Result<Option<Target>, Failure> {
        match Spoken::of(&self.what) {
            None if self.link.seal.has_key() => Ok(None),
            Some(typed) if !typed.is_asked_for() => Target::of(&typed).map(Some),
            None if !can_ask() => Err(Failure::new(
                Exit::Usage,
                "the code that udpair invite printed is missing: give it, or - to read it from the first line of \
                 standard input",
            )),
            _ => ask(Target::of).map(Some),
        }
    }
}

/// Whom to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Whoever made this code.
    Code(Spoken),
    /// Whoever listens on this port of a host.
    Host {
        /// The number of the host.
        number: HostNumber,
        /// The port.
        port: u16,
        /// The words, if any were given.
        words: Option<Spoken>,
    },
}

impl Target {
    /// As it was typed: two numbers begin what a host is called, and no code.
    pub(crate) fn of(typed: &Spoken) -> Result<Self, Failure> {
        let usage = |message: String| Failure::new(Exit::Usage, message);
        let mut parts = typed.as_str().split_whitespace();
        let (number, port) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if let (Ok(address), true) = (number.parse::<Ipv4Addr>(), is_number(port)) {
            let [.., last] = address.octets();
            return Err(usage(format!("of the address only the last number is given here: {last} {port} WORD-WORD")));
        }
        if !is_number(number) || !is_number(port) {
            return typed.checked().map(Self::Code);
        }
        let host = number.parse().map_err(|_| {
            usage(format!(
                "there is no host {number}: E is the last number of its address, up to 255, or 0 for this one"
            ))
        })?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| usage("a port is a number from 1 to 65535".to_owned()))?;
        let words: Vec<&str> = parts.collect();
        let words: Option<Spoken> = (!words.is_empty()).then(|| Spoken::from(words.join("-")));
        if let Some(words) = &words {
            words.as_str().parse::<Words>().map_err(|error| usage(why(&error)))?;
        }
        Ok(Self::Host { number: HostNumber(host), port, words })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
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

    fn target(text: &[&str]) -> Result<Target, Failure> {
        let parts: Vec<Spoken> = text.iter().map(|&part| Spoken::from(part.to_owned())).collect();
        Target::of(&Spoken::of(&parts).unwrap())
    }

    #[test]
    fn two_numbers_are_a_host_and_a_port_and_the_rest_is_a_code() {
        for text in
            [&["42-maple-otter"][..], &["42", "maple", "otter"], &["42 maple otter"], &[" 42 ", "maple otter\n"]]
        {
            let Target::Code(code) = target(text).unwrap() else { panic!("{text:?}") };
            let parts: Vec<&str> = code.as_str().split([' ', '-']).filter(|part| !part.is_empty()).collect();
            assert_eq!(parts, ["42", "maple", "otter"]);
        }
        let host = |number, port, words: Option<&str>| Target::Host {
            number: HostNumber(number),
            port,
            words: words.map(|words| Spoken::from(words.to_owned())),
        };
        assert_eq!(target(&["7", "5000", "maple-otter"]), Ok(host(7, 5000, Some("maple-otter"))));
        assert_eq!(target(&["255", "65535", "Maple", "Otter"]), Ok(host(255, 65_535, Some("Maple-Otter"))));
        assert_eq!(target(&["0 1"]), Ok(host(0, 1, None)));
    }

    #[test]
    fn what_is_neither_is_said_to_be_that() {
        for (text, why) in [
            ("256 5000 maple-otter", "no host 256"),
            ("300 7000", "no host 300"),
            ("7 0 maple-otter", "1 to 65535"),
            ("7 65536 maple-otter", "1 to 65535"),
            ("192.168.1.7 7000 maple-otter", "7 7000 WORD-WORD"),
            ("7 7000 maple", "two words"),
            ("7 7000 mapel-otter", "the first word is none that a code can have; is it \"maple\"?"),
            ("7 maple", "two words"),
            ("100 maple otter", "00 to 99"),
            ("maple otter 7", "begins with a number"),
        ] {
            let failure = target(&[text]).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains(why), "{text}: {}", failure.message);
        }
    }

    #[test]
    fn no_word_of_what_was_typed_is_debugged() {
        for line in [
            "udpair join 42-maple-otter",
            "udpair join 7 5000 maple-otter",
            "udpair recv 42-maple-otter",
            "udpair send file --code 42-maple-otter",
            "udpair invite 42-maple-otter",
        ] {
            let parsed = <crate::cli::args::Cli as clap::Parser>::try_parse_from(line.split(' ')).unwrap();
            let shown = format!("{parsed:?}");
            assert!(!shown.contains("maple") && shown.contains("Spoken(..)"), "{shown}");
        }
        for text in ["42-maple-otter", "7 5000 maple-otter"] {
            assert!(!format!("{:?}", target(&[text])).contains("maple"));
        }
    }
}
