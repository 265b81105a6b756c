//! Who can get at a key file: nobody but its owner may read it, change it, or put another one in its place.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

use super::key::failure;
use crate::cli::exit::{Exit, Failure};

/// Permission bits that let others than the owner at a file.
const OTHERS: u32 = 0o077;
/// Those that let them put files into a directory, and take them out.
const OTHERS_WRITE: u32 = 0o022;
/// The bit of a directory in which each takes out only what is theirs.
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// Complains where others than us and root can get at the file `path`, of which `metadata` tells.
pub(super) fn file(path: &Path, metadata: &Metadata) -> Result<(), Failure> {
    judge_file(path, metadata.uid(), metadata.mode(), geteuid().as_raw())
}

fn judge_file(path: &Path, owner: u32, mode: u32, us: u32) -> Result<(), Failure> {
    let shown = path.display();
    if ![us, ROOT].contains(&owner) {
        return refused(format!(
            "the key in {shown} is another user's ({owner}), and whoever has it can be either side; where they are \
             trusted, this mends it: sudo chown {us} {}",
            Quoted(path)
        ));
    }
    let mode = mode & 0o7777;
    if mode & OTHERS != 0 {
        return refused(format!(
            "others can get at the key in {shown} (its mode is {mode:03o}), and whoever has it can be either side; \
             where nobody has looked yet, this mends it: chmod 600 {}",
            Quoted(path)
        ));
    }
    Ok(())
}

/// Complains where others than us and root can put another file in the place of `path`.
pub(super) fn directory(path: &Path) -> Result<(), Failure> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let metadata = dir.metadata().map_err(|error| failure(path, "cannot look at the directory of", &error))?;
    judge_directory(dir, metadata.uid(), metadata.mode(), geteuid().as_raw())
}

fn judge_directory(dir: &Path, owner: u32, mode: u32, us: u32) -> Result<(), Failure> {
    let shown = dir.display();
    if ![us, ROOT].contains(&owner) {
        return refused(format!(
            "{shown} is another user's ({owner}), who can put another key in the place of yours: keep it in a \
             directory of your own"
        ));
    }
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        return refused(format!(
            "others can put another key in the place of yours in {shown} (its mode is {:03o}); where nobody has done \
             it yet, this mends it: chmod go-w {}",
            mode & 0o7777,
            Quoted(dir)
        ));
    }
    Ok(())
}

fn refused(message: String) -> Result<(), Failure> {
    Err(Failure::new(Exit::Permission, message))
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

    #[test]
    fn a_key_file_is_ours_or_roots_alone() {
        let judge = |owner, mode| judge_file(Path::new("key"), owner, mode, 1_000);
        for (owner, mode) in [(1_000, 0o100_600), (ROOT, 0o600), (1_000, 0o700), (1_000, 0o400)] {
            assert_eq!(judge(owner, mode), Ok(()), "{owner} {mode:o}");
        }
        for (owner, mode, mends) in
            [(1_001, 0o600, "chown 1000 key"), (1_000, 0o640, "chmod 600 key"), (ROOT, 0o601, "chmod 600 key")]
        {
            let failure = judge(owner, mode).unwrap_err();
            assert_eq!(failure.exit, Exit::Permission);
            assert!(failure.message.ends_with(mends), "{failure:?}");
        }
    }

    #[test]
    fn nobody_else_can_replace_it() {
        let judge = |owner, mode| judge_directory(Path::new("my keys"), owner, mode, 1_000);
        for (owner, mode) in [(1_000, 0o040_755), (ROOT, 0o755), (ROOT, 0o1777), (1_000, 0o1770)] {
            assert_eq!(judge(owner, mode), Ok(()), "{owner} {mode:o}");
        }
        for (owner, mode, mends) in [
            (1_001, 0o700, "a directory of your own"),
            (1_001, 0o1777, "a directory of your own"),
            (1_000, 0o775, "chmod go-w 'my keys'"),
            (ROOT, 0o757, "chmod go-w 'my keys'"),
        ] {
            let failure = judge(owner, mode).unwrap_err();
            assert_eq!(failure.exit, Exit::Permission);
            assert!(failure.message.ends_with(mends), "{failure:?}");
        }
    }

    #[test]
    fn a_path_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(Quoted(Path::new("keys/a.key")).to_string(), "keys/a.key");
        assert_eq!(Quoted(Path::new("it's; rm")).to_string(), r"'it'\''s; rm'");
    }
}
