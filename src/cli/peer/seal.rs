//! What seals a conversation that no code seals: a key that both sides have, or, where the user says so, nothing.

use std::path::PathBuf;

use clap::Args;
use udpair::{Config, Psk};

use super::device::DeviceName;
use super::key;
use crate::cli::exit::{Exit, Failure};

/// How a conversation is sealed.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SealArgs {
    /// Accept that nothing is encrypted and nobody is authenticated: only with an address.
    #[arg(long)]
    pub(crate) insecure_plain: bool,
    /// Seal by the key in FILE, which both sides have and only its owner may be able to read; `udpair key FILE` makes
    /// one. Without an address the other side is found by it on the network.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure_plain")]
    pub(crate) psk_file: Option<PathBuf>,
    /// Seal by the key of the other machine that was remembered under this name (--remember). Without an address it is
    /// found by it on the network.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["insecure_plain", "psk_file"])]
    pub(crate) device: Option<DeviceName>,
}

impl SealArgs {
    /// The key, where one was named.
    pub(crate) fn key(&self) -> Result<Option<Psk>, Failure> {
        match (&self.psk_file, &self.device) {
            (Some(file), _) => key::read(file).map(Some),
            (None, Some(device)) => device.key().map(Some),
            (None, None) => Ok(None),
        }
    }

    /// How connections at an address are sealed. Explains and ends the run where nothing was said.
    pub(crate) fn at_address(&self) -> Result<Config, Failure> {
        if let Some(key) = self.key()? {
            return Ok(Config::psk(&key));
        }
        if self.insecure_plain {
            return Ok(Config::insecure_plain());
        }
        Err(Failure::new(
            Exit::Usage,
            "with an address alone nothing is encrypted and nobody is authenticated: whoever is on the network can \
             read and change what is sent, and whoever reaches the port can take part. Seal it by a key that both \
             sides have (--psk-file), or say that this is acceptable (--insecure-plain)",
        ))
    }

    /// A key was named.
    pub(crate) const fn has_key(&self) -> bool {
        self.psk_file.is_some() || self.device.is_some()
    }

    /// The key is one that was remembered, and has a name on the other side, too.
    pub(super) const fn is_by_name(&self) -> bool {
        self.device.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_must_be_asked_for() {
        assert!(SealArgs { insecure_plain: true, ..SealArgs::default() }.at_address().is_ok());
        let failure = SealArgs::default().at_address().unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("--insecure-plain"));
        assert!(SealArgs::default().key().unwrap().is_none());
    }

    #[test]
    fn a_key_that_cannot_be_read_is_not_passed_over() {
        let psk_file = Some(PathBuf::from("/nonexistent/key"));
        let args = SealArgs { insecure_plain: true, psk_file, device: None };
        assert_eq!(args.at_address().unwrap_err().exit, Exit::Usage);
    }
}
