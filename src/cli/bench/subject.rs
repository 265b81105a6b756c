//! What is compared: a transport, and whether it is sealed.

use std::fmt;

use serde::Serialize;

use super::args::Transport;

/// How a connection of udpair's is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Security {
    /// It is not.
    Plain,
    /// By a key that both sides have.
    Sealed,
}

/// One of those that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) transport: Transport,
    /// `None` for a bare socket.
    pub(crate) security: Option<Security>,
}

impl Subject {
    /// In the order of the tables.
    pub(crate) const ALL: [Self; 6] = [
        Self { transport: Transport::Udp, security: Some(Security::Plain) },
        Self { transport: Transport::Udp, security: Some(Security::Sealed) },
        Self { transport: Transport::Tcp, security: Some(Security::Plain) },
        Self { transport: Transport::Tcp, security: Some(Security::Sealed) },
        Self { transport: Transport::RawTcp, security: None },
        Self { transport: Transport::RawUdp, security: None },
    ];

    /// A transport that seals nothing.
    pub(crate) fn plain(transport: Transport) -> Self {
        Self { transport, security: (!transport.is_raw()).then_some(Security::Plain) }
    }

    /// One of udpair's, sealed.
    pub(crate) const fn sealed(transport: Transport) -> Self {
        Self { transport, security: Some(Security::Sealed) }
    }

    pub(crate) fn is_sealed(self) -> bool {
        self.security == Some(Security::Sealed)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sealed = if self.is_sealed() { "-sealed" } else { "" };
        f.pad(&format!("{}{sealed}", self.transport))
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn each_is_there_once_and_called_by_its_transport() {
        let words: Vec<String> = Subject::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["udp", "udp-sealed", "tcp", "tcp-sealed", "raw-tcp", "raw-udp"]);
        for transport in Transport::value_variants().iter().copied() {
            assert!(Subject::ALL.contains(&Subject::plain(transport)));
            assert_eq!(Subject::ALL.contains(&Subject::sealed(transport)), !transport.is_raw());
        }
    }
}
