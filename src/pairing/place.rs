//! Where an invite is, for those who are told: a code that carries the address, and the number of a host.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::str::FromStr;

use super::beacon::Carrier;
use super::code::{Code, CodeError};
use super::interface::Interface;

/// The longest name of a host, in bytes (RFC 1035, section 2.3.4).
const NAME_LEN_MAX: usize = 253;

/// Where to call: an address, or a name that somebody else resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address. An IPv6 one of a link's own has its scope in the code as a number, which means something on the
    /// machine alone that wrote it, so it is not made for others.
    Address(SocketAddr),
    /// A name and a port.
    Name(String, u16),
}

/// A code that carries the address: `42-maple-otter@192.168.1.20:7000`, over TCP with `/tcp` behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeAt {
    /// The code.
    pub code: Code,
    /// Where its invite is.
    pub host: Host,
    /// What it talks over.
    pub carrier: Carrier,
}

impl fmt::Display for CodeAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.code)?;
        match &self.host {
            Host::Address(address) => write!(f, "{address}")?,
            Host::Name(name, port) => write!(f, "{name}:{port}")?,
        }
        match self.carrier {
            Carrier::Udp => Ok(()),
            Carrier::Tcp => f.write_str("/tcp"),
        }
    }
}

impl FromStr for CodeAt {
    type Err = CodeError;

    /// The code is read as leniently as one without an address; `/udp` may stand behind it.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let (code, place) = text.split_once('@').ok_or(CodeError::Address)?;
        let place = place.trim();
        let (place, carrier) = match place.rsplit_once('/') {
            None => (place, Carrier::Udp),
            Some((place, name)) if name.eq_ignore_ascii_case("udp") => (place, Carrier::Udp),
            Some((place, name)) if name.eq_ignore_ascii_case("tcp") => (place, Carrier::Tcp),
            Some(_) => return Err(CodeError::Address),
        };
        let host = host(place).ok_or(CodeError::Address)?;
        Ok(Self { code: code.parse()?, host, carrier })
    }
}

fn host(place: &str) -> Option<Host> {
    if let Ok(address) = place.parse::<SocketAddr>() {
        return Some(Host::Address(address)).filter(|_| address.port() != 0 && !address.ip().is_unspecified());
    }
    let (name, port) = place.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let is_label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        inner && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    // What ends in a number is an address, if anything: one that was mistyped is not asked for as a name.
    let ends_in_letter = name.bytes().last().is_some_and(|byte| byte.is_ascii_alphabetic());
    let is_name = name.len() <= NAME_LEN_MAX && name.split('.').all(is_label) && ends_in_letter;
    is_name.then(|| Host::Name(name.to_ascii_lowercase(), port))
}

/// What a host is called in the old way: the last number of its IPv4 address, or 0 for this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostNumber(pub u8);

impl HostNumber {
    /// The numbers of this host, one for each IPv4 address that others on its networks can reach, in order.
    #[must_use]
    pub fn own(interfaces: &[Interface]) -> Vec<Self> {
        let mut numbers: Vec<Self> = networks(interfaces).map(|address| Self(address.octets()[3])).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Where a host of this number may be: at this number in the /24 of each of this machine's addresses; 0 is this
    /// machine. To be raced.
    #[must_use]
    pub fn addresses(self, interfaces: &[Interface], port: u16) -> Vec<SocketAddr> {
        if self.0 == 0 {
            return vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        }
        let mut found: Vec<SocketAddr> = Vec::new();
        for address in networks(interfaces) {
            let [a, b, c, _] = address.octets();
            let there = SocketAddr::from((Ipv4Addr::new(a, b, c, self.0), port));
            if !found.contains(&there) {
                found.push(there);
            }
        }
        found
    }
}

/// This machine's IPv4 addresses on networks with others.
fn networks(interfaces: &[Interface]) -> impl Iterator<Item = Ipv4Addr> + '_ {
    let others = interfaces.iter().filter(|interface| interface.up && !interface.loopback);
    others.flat_map(|interface| &interface.addresses).filter_map(|address| match address.ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairing::interface::tests::{eth, lo};

    fn round_trip(text: &str) {
        assert_eq!(text.parse::<CodeAt>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string(), text);
    }

    #[test]
    fn codes_with_an_address_are_read_as_they_are_written() {
        round_trip("42-maple-otter@192.168.1.20:7000");
        round_trip("42-maple-otter@192.168.1.20:7000/tcp");
        round_trip("07-maple-otter@[fd00::2]:7000");
        round_trip("07-maple-otter@[fe80::2%3]:7000/tcp");
        round_trip("42-maple-otter@build-server.local:65535");
        let code: CodeAt = " 42 Maple Otter @ Build-Server:7000/UDP ".parse().unwrap();
        assert_eq!(code.to_string(), "42-maple-otter@build-server:7000");
        assert_eq!(code.host, Host::Name("build-server".to_owned(), 7000));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for place in [
            "",
            "host",
            "host:0",
            "host:70000",
            ":7000",
            "1.2.3.4",
            "1.2.3.4:0",
            "0.0.0.0:7000",
            "1.2.3:7000",
            "256.1.1.1:7000",
            "a..b:7000",
            "-a:7000",
            "a b:7000",
            "fd00::2:7000",
            "host:7000/sctp",
            "host:7000/",
        ] {
            let text = format!("42-maple-otter@{place}");
            assert_eq!(text.parse::<CodeAt>(), Err(CodeError::Address), "{text}");
        }
        assert_eq!("42-maple-otter".parse::<CodeAt>(), Err(CodeError::Address));
        assert_eq!("42-maple@host:7000".parse::<CodeAt>(), Err(CodeError::Form));
    }

    #[test]
    fn a_host_number_is_looked_for_on_every_network_once() {
        let interfaces = [
            lo(),
            eth(2, "192.168.1.20", 24),
            eth(3, "192.168.1.21", 24),
            eth(4, "10.1.2.20", 8),
            eth(5, "fd00::2", 64),
        ];
        assert_eq!(HostNumber::own(&interfaces), [HostNumber(20), HostNumber(21)]);
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(HostNumber(7).addresses(&interfaces, 80), [at("192.168.1.7:80"), at("10.1.2.7:80")]);
        assert_eq!(HostNumber(0).addresses(&interfaces, 80), [at("127.0.0.1:80")]);
        assert_eq!(HostNumber(7).addresses(&[lo()], 80), []);
    }
}
