//! Key files: read where only their owner can read them, made so that nobody else ever could.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use udpair::Psk;
use zeroize::Zeroizing;

use crate::cli::exit::{Exit, Failure};

/// The most that is read of a key file, bytes: a key and blanks around it.
const FILE_LEN_MAX: usize = 4_096;
/// Permission bits that let others than the owner at a file.
const OTHERS: u32 = 0o077;
/// The permission bits of a key file.
const MODE: u32 = 0o600;

/// `udpair key`.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// The file to make, for its owner alone; one that is there already stays. Copy it to the other machine by a way
    /// that nobody else reads (scp): whoever has it can be either side.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Makes a key file.
pub(crate) fn make(args: &KeyArgs) -> Result<Exit, Failure> {
    let psk = Psk::generate().map_err(|error| failure(&args.file, "cannot make a key for", &error))?;
    create(&args.file, &psk)?;
    Ok(Exit::Ok)
}

/// The key in `path`, which nobody but its owner may be able to read or change.
pub(super) fn read(path: &Path) -> Result<Psk, Failure> {
    let failed = |error| failure(path, "cannot read", &error);
    let file = File::open(path).map_err(failed)?;
    // Of what was opened, not of what stands there by now.
    let metadata = file.metadata().map_err(failed)?;
    let shown = path.display();
    if !metadata.is_file() {
        return Err(Failure::new(Exit::Usage, format!("{shown} is no key file")));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS != 0 {
        let message = format!(
            "others can get at the key in {shown} (its mode is {mode:03o}), and whoever has it can be either side; \
             where nobody has looked yet, this mends it: chmod 600 {}",
            Quoted(path)
        );
        return Err(Failure::new(Exit::Permission, message));
    }
    let mut bytes = Zeroizing::new(vec![0; FILE_LEN_MAX]);
    let mut len = 0;
    let mut file = file.take(FILE_LEN_MAX as u64);
    while let more @ 1.. = file.read(&mut bytes[len..]).map_err(failed)? {
        len += more;
    }
    let text = std::str::from_utf8(&bytes[..len]).unwrap_or_default();
    text.parse().map_err(|error| Failure::new(Exit::Usage, format!("{shown} holds no key: {error}")))
}

/// Puts `psk` into the new file `path`, for its owner alone from the start. What is there already stays.
pub(super) fn create(path: &Path, psk: &Psk) -> Result<(), Failure> {
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Failure::new(Exit::Usage, format!("{} is there already, and stays as it is", path.display())));
        }
        Err(error) => return Err(failure(path, "cannot make", &error)),
    };
    let text = psk.to_text();
    let written = file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half a key is none. Where it cannot even be removed, the next one who reads it is told so.
        let _left = std::fs::remove_file(path);
        failure(path, "cannot write", &error)
    })
}

/// What a system call said about `path`.
pub(super) fn failure(path: &Path, what: &str, error: &io::Error) -> Failure {
    let failure = Failure::of_io(&format!("{what} {}", path.display()), error);
    // A name that was mistyped.
    if error.kind() == io::ErrorKind::NotFound { Failure { exit: Exit::Usage, ..failure } } else { failure }
}

/// A path as it is typed in a shell.
struct Quoted<'a>(&'a Path);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte)) {
            return f.write_str(&text);
        }
        write!(f, "'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_its_owners_alone_and_is_read_as_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        make(&KeyArgs { file: path.clone() }).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let psk = read(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), psk.to_text().as_str());
        let failure = create(&path, &Psk::generate().unwrap()).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(read(&path).unwrap().to_text(), psk.to_text(), "nothing is overwritten");
    }

    #[test]
    fn a_file_that_others_can_get_at_is_refused_with_what_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a key");
        create(&path, &Psk::generate().unwrap()).unwrap();
        for (mode, good) in
            [(0o600, true), (0o400, true), (0o700, true), (0o640, false), (0o604, false), (0o601, false)]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            match read(&path) {
                Ok(_) => assert!(good, "{mode:o}"),
                Err(failure) => {
                    assert!(!good, "{mode:o}: {failure:?}");
                    assert_eq!(failure.exit, Exit::Permission);
                    assert!(failure.message.ends_with(&format!("chmod 600 '{}'", path.display())), "{failure:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_key_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert_eq!(read(&path).unwrap_err().exit, Exit::Usage);
        assert!(read(dir.path()).unwrap_err().message.contains("is no key file"));
        for content in ["", "12345", &"0".repeat(80), &"f".repeat(FILE_LEN_MAX + 1)] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let failure = read(&path).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains("holds no key"), "{failure:?}");
        }
    }

    #[test]
    fn a_path_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(Quoted(Path::new("keys/a.key")).to_string(), "keys/a.key");
        assert_eq!(Quoted(Path::new("it's; rm")).to_string(), r"'it'\''s; rm'");
    }
}
