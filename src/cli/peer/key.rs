//! Key files: read where only their owner can read them, made so that nobody else ever could.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::fs::OFlags;
use udpair::Psk;
use zeroize::Zeroizing;

use super::guard;
use crate::cli::exit::{Exit, Failure};

/// The most that is read of a key file, bytes: a key and blanks around it.
const FILE_LEN_MAX: usize = 4_096;
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

/// The key in `path`, which nobody but its owner may be able to read, change or replace.
pub(super) fn read(path: &Path) -> Result<Psk, Failure> {
    let failed = |error| failure(path, "cannot read", &error);
    // Without NONBLOCK a pipe would hold us up until somebody writes.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(failed)?;
    // Of what was opened, not of what stands there by now.
    let metadata = file.metadata().map_err(failed)?;
    let shown = path.display();
    if !metadata.is_file() {
        return Err(Failure::new(Exit::Usage, format!("{shown} is no key file, which is a regular one")));
    }
    let mut bytes = Zeroizing::new(vec![0; FILE_LEN_MAX]);
    let mut len = 0;
    let mut file = file.take(FILE_LEN_MAX as u64);
    while let more @ 1.. = file.read(&mut bytes[len..]).map_err(failed)? {
        len += more;
    }
    let text = std::str::from_utf8(&bytes[..len]).unwrap_or_default();
    let key = text.parse().map_err(|error| Failure::new(Exit::Usage, format!("{shown} holds no key: {error}")))?;
    // Only now: of a file that is none of ours nobody is to be told how to change it.
    guard::file(path, &metadata)?;
    guard::directory(&path.canonicalize().map_err(failed)?)?;
    Ok(key)
}

/// Puts `psk` into the new file `path`, for its owner alone from the start. What is there already stays.
pub(super) fn create(path: &Path, psk: &Psk) -> Result<(), Failure> {
    guard::directory(path)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

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
        let of_all = "others can read it, and nobody is told to change that";
        assert!(read(Path::new("/etc/passwd")).unwrap_err().message.contains("holds no key"), "{of_all}");
        assert!(read(Path::new("/dev/null")).unwrap_err().message.contains("is no key file"));
        for content in ["", "12345", &"0".repeat(80), &"f".repeat(FILE_LEN_MAX + 1)] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let failure = read(&path).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains("holds no key"), "{failure:?}");
        }
    }

    #[test]
    fn a_pipe_does_not_hold_up_who_takes_it_for_a_key_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(read(&path).unwrap_err().message.contains("is no key file"));
    }

    #[test]
    fn a_directory_in_which_others_can_replace_the_key_is_refused_when_it_is_made_and_when_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let mode = |mode| fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        mode(0o777);
        assert_eq!(create(&path, &Psk::generate().unwrap()).unwrap_err().exit, Exit::Permission);
        assert!(!path.exists());
        mode(0o1777);
        create(&path, &Psk::generate().unwrap()).unwrap();
        read(&path).unwrap();
        mode(0o775);
        let failure = read(&path).unwrap_err();
        assert!(failure.message.ends_with(&format!("chmod go-w {}", dir.path().display())), "{failure:?}");
        // Whatever leads there.
        let link = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(&path, link.path().join("key")).unwrap();
        assert_eq!(read(&link.path().join("key")).unwrap_err(), failure);
        mode(0o755);
        read(&link.path().join("key")).unwrap();
    }
}
