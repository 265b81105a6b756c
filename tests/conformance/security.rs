//! The modes in which the suite runs: everybody who takes part has the same key, or nobody has one.

use udpair::Config;
use udpair::seal::Prs;
use udpair::wire::Mode;

const ID: [u8; 8] = [0xa5; 8];
const KEY: [u8; 32] = [0x5a; 32];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    Plain,
    Psk,
}

impl Security {
    pub(crate) fn config(self) -> Config {
        match self {
            Self::Plain => Config::insecure_plain(),
            Self::Psk => {
                let text: String = ID.iter().chain(&KEY).map(|byte| format!("{byte:02x}")).collect();
                Config::psk(&text.parse().expect("a key's text"))
            }
        }
    }

    pub(crate) const fn mode(self) -> Mode {
        match self {
            Self::Plain => Mode::Plain,
            Self::Psk => Mode::Psk,
        }
    }

    /// What a caller asks for.
    pub(crate) const fn id(self) -> [u8; 8] {
        match self {
            Self::Plain => [0; 8],
            Self::Psk => ID,
        }
    }

    /// What a caller has to prove.
    pub(crate) fn prs(self) -> Prs {
        Prs::key(&KEY)
    }
}
