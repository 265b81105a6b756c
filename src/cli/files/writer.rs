//! Writes a file under a temporary name and puts it under its final one only when it is whole and right.
//! `spec/files.md`, section "Paths".

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::fs::{flock, fstat, linkat, openat, renameat, renameat_with, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::message::{HASH_LEN, Meta};
use super::name::partial_name;
use super::place::set_meta;

/// What is done where something stands under the final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays; the new file fails.
    Keep,
    /// The new file takes its place, at once.
    Replace,
}

/// A file that is not whole yet. Dropped, it is gone, unless it can be resumed.
pub(crate) struct Partial {
    dir: Rc<OwnedFd>,
    /// Its temporary name, until it is placed.
    temporary: Option<Vec<u8>>,
    file: File,
    len: u64,
    hasher: Box<blake3::Hasher>,
    kept: bool,
}

impl Partial {
    /// Begins a file in `dir`, readable and writable by its owner alone.
    pub(crate) fn create(dir: Rc<OwnedFd>) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let temporary = temporary_name();
            match openat(&dir, &temporary, flags, Mode::RUSR | Mode::WUSR) {
                Ok(fd) => {
                    let (file, hasher) = (File::from(fd), Box::default());
                    return Ok(Self { dir, temporary: Some(temporary), file, len: 0, hasher, kept: false });
                }
                // Left behind by a killed process of the same number: the next name is another one.
                Err(Errno::EXIST) => (),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Goes on with the file that was kept under `key`, of which `from` bytes are to be used; begins it where that is
    /// none. Dropped, it is kept again.
    pub(crate) fn resume(dir: Rc<OwnedFd>, key: &Key, from: u64) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = openat(&dir, key.name(), flags, Mode::RUSR | Mode::WUSR)?;
        // Of another's file its owner could change the content when it is checked and in place.
        if !is_ours(&fstat(&fd)?) {
            return Err(io::Error::other("what was kept of it is not ours"));
        }
        flock(&fd, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            Errno::WOULDBLOCK => io::Error::other("is being received from another sender"),
            errno => errno.into(),
        })?;
        // Whoever had it until now may have put it under its final name, where it is nobody's to go on with.
        let (there, ours) = (statat(&dir, key.name(), AtFlags::SYMLINK_NOFOLLOW), fstat(&fd)?);
        if !there.is_ok_and(|there| (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)) {
            return Err(io::Error::other("was received from another sender meanwhile"));
        }
        let mut file = File::from(fd);
        let mut hasher: Box<blake3::Hasher> = Box::default();
        let len = io::copy(&mut (&mut file).take(from), &mut *hasher)?;
        if len < from {
            return Err(io::Error::other("what was kept of it is gone"));
        }
        file.set_len(from)?;
        Ok(Self { dir, temporary: Some(key.name()), file, len, hasher, kept: true })
    }

    /// Removes it, even if it could be resumed.
    pub(crate) fn discard(mut self) {
        self.kept = false;
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
        self.kept = false;
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
        if let (Some(temporary), false) = (&self.temporary, self.kept) {
            // Where even this fails, the name says what it is, and nobody is left to tell.
            let _ = unlinkat(&self.dir, temporary, AtFlags::empty());
        }
    }
}

/// Names what is kept of a file: path, size and time together, so that nothing else is ever taken for a part of it.
#[derive(Clone, Debug)]
pub(crate) struct Key(blake3::Hash);

impl Key {
    /// The key of the file at `path` of this size and time.
    pub(crate) fn new(path: &[u8], size: u64, meta: Meta) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&size.to_be_bytes());
        hasher.update(&meta.mtime_s.to_be_bytes());
        hasher.update(&meta.mtime_ns.to_be_bytes());
        hasher.update(path);
        Self(hasher.finalize())
    }

    /// How many bytes are kept in `dir` under this key, if that is not more than `size`.
    pub(crate) fn kept(&self, dir: &OwnedFd, size: u64) -> u64 {
        match statat(dir, self.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_ours(&stat) => u64::try_from(stat.st_size).ok().filter(|&kept| kept <= size).unwrap_or(0),
            _ => 0,
        }
    }

    fn name(&self) -> Vec<u8> {
        partial_name(&&self.0.to_hex()[..32])
    }
}

/// True for a regular file that belongs to whom we run as.
fn is_ours(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_uid == geteuid().as_raw()
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
    partial_name(&format_args!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
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
    fn what_was_kept_is_gone_on_with() {
        let temp = tempfile::tempdir().unwrap();
        let dir = || Rc::new(OwnedFd::from(File::open(temp.path()).unwrap()));
        let key = Key::new(b"a/file", 7, META);
        assert_eq!(key.kept(&dir(), 7), 0);
        let mut partial = Partial::resume(dir(), &key, 0).unwrap();
        partial.write(b"contxx").unwrap();
        assert!(Partial::resume(dir(), &key, 0).is_err(), "one at a time");
        drop(partial);
        assert_eq!((key.kept(&dir(), 7), key.kept(&dir(), 6), key.kept(&dir(), 5)), (6, 6, 0));
        for other in [Key::new(b"a/file", 8, META), Key::new(b"b/file", 7, META)] {
            assert_eq!(other.kept(&dir(), 8), 0);
        }
        assert!(Partial::resume(dir(), &key, 7).is_err(), "so much was never kept");
        let mut partial = Partial::resume(dir(), &key, 4).unwrap();
        partial.write(b"ent").unwrap();
        assert_eq!(partial.len(), 7);
        assert!(partial.matches(*blake3::hash(b"content").as_bytes()));
        partial.place(b"file", META, Existing::Keep).unwrap();
        assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"content");
        Partial::resume(dir(), &key, 0).unwrap().discard();
        assert_eq!(names(temp.path()), ["file"]);
    }

    #[test]
    fn a_link_is_not_taken_for_what_was_kept() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Rc::new(OwnedFd::from(File::open(temp.path()).unwrap()));
        let key = Key::new(b"file", 7, META);
        fs::write(temp.path().join("target"), "1234").unwrap();
        symlink("target", temp.path().join(std::str::from_utf8(&key.name()).unwrap())).unwrap();
        assert_eq!(key.kept(&dir, 7), 0);
        assert!(Partial::resume(dir, &key, 0).is_err());
        assert_eq!(fs::read(temp.path().join("target")).unwrap(), b"1234");
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
