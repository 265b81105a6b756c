//! Writes a file under a temporary name and puts it under its final one only when it is whole and right.
//! `spec/files.md`, section "Paths".

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, linkat, openat, renameat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::message::{HASH_LEN, Meta};
use super::place::set_meta;

/// What is done where something stands under the final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays; the new file fails.
    Keep,
    /// The new file takes its place, at once.
    Replace,
}

/// A file that is not whole yet. Dropped, it is gone.
pub(crate) struct Partial {
    dir: Rc<OwnedFd>,
    /// Its temporary name, until it is placed.
    temporary: Option<Vec<u8>>,
    file: File,
    len: u64,
    hasher: blake3::Hasher,
}

impl Partial {
    /// Begins a file in `dir`, readable and writable by its owner alone.
    pub(crate) fn create(dir: Rc<OwnedFd>) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let temporary = temporary_name();
            match openat(&dir, &temporary, flags, Mode::RUSR | Mode::WUSR) {
                Ok(fd) => {
                    let (file, hasher) = (File::from(fd), blake3::Hasher::new());
                    return Ok(Self { dir, temporary: Some(temporary), file, len: 0, hasher });
                }
                // Left behind by a killed process of the same number: the next name is another one.
                Err(Errno::EXIST) => (),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Adds `content` to what is there.
    pub(crate) fn write(&mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)?;
        self.hasher.update(content);
        self.len += content.len() as u64;
        Ok(())
    }

    /// Bytes that are there.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// True where `hash` is that of what is there.
    pub(crate) fn matches(&self, hash: [u8; HASH_LEN]) -> bool {
        self.hasher.finalize() == hash
    }

    /// Gives the file its mode and time, then its name `leaf`. Where that fails the file is gone.
    pub(crate) fn place(mut self, leaf: &[u8], meta: Meta, existing: Existing) -> io::Result<()> {
        set_meta(&self.file, meta)?;
        let Some(temporary) = self.temporary.as_deref() else { return Ok(()) };
        let moved = match existing {
            Existing::Replace => renameat(&self.dir, temporary, &self.dir, leaf),
            Existing::Keep => rename_new(&self.dir, temporary, leaf),
        };
        moved?;
        self.temporary = None;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Where even this fails, the name says what it is, and nobody is left to tell.
            let _ = unlinkat(&self.dir, temporary, AtFlags::empty());
        }
    }
}

/// Renames without ever replacing, in one step where the file system can.
fn rename_new(dir: &OwnedFd, from: &[u8], to: &[u8]) -> rustix::io::Result<()> {
    match renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_new(dir, from, to),
        done => done,
    }
}

/// The same in two steps: both names may be seen between them.
fn link_new(dir: &OwnedFd, from: &[u8], to: &[u8]) -> rustix::io::Result<()> {
    linkat(dir, from, dir, to, AtFlags::empty())?;
    unlinkat(dir, from, AtFlags::empty())
}

/// Another one each time, in this process; hidden, and telling what it is.
fn temporary_name() -> Vec<u8> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(".udpair-{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::Path;

    const META: Meta = Meta { mode: 0o640, mtime_s: -5, mtime_ns: 999_999_999 };

    fn partial(dir: &Path) -> Partial {
        let dir = Rc::new(OwnedFd::from(File::open(dir).unwrap()));
        let mut partial = Partial::create(dir).unwrap();
        partial.write(b"con").unwrap();
        partial.write(b"tent").unwrap();
        partial
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_final_name_appears_with_content_mode_and_time() {
        let temp = tempfile::tempdir().unwrap();
        let partial = partial(temp.path());
        assert_eq!(names(temp.path()).len(), 1);
        assert!(names(temp.path())[0].starts_with(".udpair-"));
        assert_eq!(partial.len(), 7);
        assert!(partial.matches(*blake3::hash(b"content").as_bytes()));
        assert!(!partial.matches([0; HASH_LEN]));
        partial.place(b"file", META, Existing::Keep).unwrap();
        assert_eq!(names(temp.path()), ["file"]);
        let metadata = fs::metadata(temp.path().join("file")).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.mtime(), metadata.mtime_nsec()), (0o640, -5, 999_999_999));
        assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"content");
    }

    #[test]
    fn dropped_it_is_gone() {
        let temp = tempfile::tempdir().unwrap();
        drop(partial(temp.path()));
        assert!(names(temp.path()).is_empty());
    }

    #[test]
    fn what_stands_there_stays() {
        let temp = tempfile::tempdir().unwrap();
        let (file, link) = (temp.path().join("file"), temp.path().join("link"));
        fs::write(&file, "old").unwrap();
        symlink("file", &link).unwrap();
        for leaf in [&b"file"[..], b"link"] {
            let error = partial(temp.path()).place(leaf, META, Existing::Keep).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(names(temp.path()), ["file", "link"]);
    }

    #[test]
    fn replacing_takes_the_name_and_not_what_a_link_points_to() {
        let temp = tempfile::tempdir().unwrap();
        let (file, link) = (temp.path().join("file"), temp.path().join("link"));
        fs::write(&file, "old").unwrap();
        symlink("file", &link).unwrap();
        partial(temp.path()).place(b"link", META, Existing::Replace).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
        partial(temp.path()).place(b"file", META, Existing::Replace).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"content");
        fs::create_dir(temp.path().join("dir")).unwrap();
        assert!(partial(temp.path()).place(b"dir", META, Existing::Replace).is_err());
        assert_eq!(names(temp.path()), ["dir", "file", "link"]);
    }

    #[test]
    fn a_file_system_without_the_rename_flag_links_instead() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("a"), "a").unwrap();
        fs::write(temp.path().join("b"), "b").unwrap();
        let dir = OwnedFd::from(File::open(temp.path()).unwrap());
        assert_eq!(link_new(&dir, b"a", b"b"), Err(Errno::EXIST));
        link_new(&dir, b"a", b"c").unwrap();
        assert_eq!(names(temp.path()), ["b", "c"]);
    }
}
