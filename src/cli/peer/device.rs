//! Devices that are remembered: each a key file under a name of the user's.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use udpair::{Connection, Psk};

use super::{guard, key};
use crate::cli::exit::{Exit, Failure};

/// The longest name, in bytes.
const NAME_LEN_MAX: usize = 64;

/// What the user calls another machine: also the name of the file with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceName(String);

impl FromStr for DeviceName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if inner && begins && text.len() <= NAME_LEN_MAX {
            return Ok(Self(text.to_owned()));
        }
        Err("a device's name is up to 64 letters, digits, points, dashes and underscores, and begins with one of the \
             first two")
    }
}

impl DeviceName {
    /// The key that was remembered under this name.
    pub(super) fn key(&self) -> Result<Psk, Failure> {
        let path = self.path()?;
        if !path.exists() {
            let message = format!(
                "no device {name} is remembered ({} is not there): pair once by a code, with --remember NAME on both \
                 sides",
                path.display(),
                name = self.0
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        key::read(&path)
    }

    /// Complains where the name is taken, or where no key can be kept: before a code is spent.
    pub(super) fn check_free(&self) -> Result<(), Failure> {
        let path = self.path()?;
        // A link that leads nowhere is there, too.
        if path.symlink_metadata().is_ok() {
            let message =
                format!("a device {} is remembered already: choose another name, or remove {}", self.0, path.display());
            return Err(Failure::new(Exit::Usage, message));
        }
        let dir = path.parent().unwrap_or(&path);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| key::failure(dir, "cannot make", &error))?;
        guard::directory(&path)
    }

    /// Remembers the other side of a sealed connection under this name, which [was free](Self::check_free).
    pub(super) fn remember(&self, connection: &Connection) -> Result<(), Failure> {
        let psk = connection.transport().device_key(connection.id());
        // The connection may have ended by now.
        let psk = psk.ok_or_else(|| Failure::new(Exit::Other, "there is nobody any more to be remembered"))?;
        key::create(&self.path()?, &psk)
    }

    /// The name as it was given.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn path(&self) -> Result<PathBuf, Failure> {
        let dir = devices(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME"));
        let none = || Failure::new(Exit::Usage, "neither XDG_DATA_HOME nor HOME says where devices are remembered");
        Ok(dir.ok_or_else(none)?.join(&self.0))
    }
}

/// Where they are, as the XDG base directory specification has it: what is no absolute path counts for nothing.
fn devices(data_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let local = |home: PathBuf| home.join(Path::new(".local/share"));
    let data = data_home.and_then(absolute).or_else(|| home.and_then(absolute).map(local))?;
    Some(data.join("udpair/devices"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_files_and_of_nothing_else() {
        for good in ["laptop", "a", "7th.floor_printer-2", &"x".repeat(NAME_LEN_MAX)] {
            assert_eq!(good.parse(), Ok(DeviceName(good.to_owned())));
        }
        for bad in ["", ".", "..", ".hidden", "-f", "a/b", "a b", "a\n", "\u{e9}", &"x".repeat(NAME_LEN_MAX + 1)] {
            assert!(bad.parse::<DeviceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn they_are_kept_where_a_users_data_is() {
        let at = |data: Option<&str>, home: Option<&str>| devices(data.map(Into::into), home.map(Into::into));
        assert_eq!(at(Some("/data"), Some("/me")), Some("/data/udpair/devices".into()));
        let in_home = Some("/me/.local/share/udpair/devices".into());
        assert_eq!(at(None, Some("/me")), in_home);
        assert_eq!(at(Some("data"), Some("/me")), in_home);
        assert_eq!(at(None, None), None);
    }
}
