//! The receiver's directory: opens what lies below it without ever leaving it. `spec/files.md`, section "Paths".
//!
//! Every step goes from the descriptor of one directory to the next and follows no symbolic link, so that nobody who
//! changes the tree meanwhile can lead a step astray.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, RawMode, Timespec, Timestamps, UTIME_OMIT};
use rustix::fs::{accessat, fchmod, futimens, mkdirat, openat, statat};
use rustix::io::Errno;

use super::message::Meta;
use super::name::Name;

/// The directory that everything is put into.
pub(crate) struct Place {
    root: Rc<OwnedFd>,
    /// The directory used last: most items lie beside the one before.
    last: (Vec<u8>, Rc<OwnedFd>),
}

impl Place {
    /// Opens `path`, which is made where it does not exist. It is the user's: links in it are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let root = Rc::new(openat(CWD, path, DIRECTORY, Mode::empty())?);
        // Otherwise that would show with the first file, when the code has been used.
        accessat(&root, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?;
        Ok(Self { last: (Vec::new(), Rc::clone(&root)), root })
    }

    /// The directory that holds `name`.
    pub(crate) fn parent(&mut self, name: &Name) -> io::Result<Rc<OwnedFd>> {
        let (parent, _) = name.split();
        if parent != self.last.0 {
            let mut dir = Rc::clone(&self.root);
            for component in parent.split(|&byte| byte == b'/').filter(|component| !component.is_empty()) {
                dir = Rc::new(openat(&dir, component, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?);
            }
            self.last = (parent.to_vec(), dir);
        }
        Ok(Rc::clone(&self.last.1))
    }

    /// What stands under `name`, if anything.
    pub(crate) fn look(&mut self, name: &Name) -> io::Result<Option<FileType>> {
        match statat(self.parent(name)?, name.split().1, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the directory `name`, for its owner alone until [`Place::finish`]. False where it is there already.
    pub(crate) fn make(&mut self, name: &Name) -> io::Result<bool> {
        let parent = self.parent(name)?;
        match mkdirat(&parent, name.split().1, Mode::RWXU) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => self.open_directory(name).map(|_| false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the directory `name` its mode and time.
    pub(crate) fn finish(&mut self, name: &Name, meta: Meta) -> io::Result<()> {
        set_meta(&self.open_directory(name)?, meta)
    }

    fn open_directory(&mut self, name: &Name) -> io::Result<OwnedFd> {
        Ok(openat(self.parent(name)?, name.split().1, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?)
    }
}

/// Sets the mode whatever the umask, then the time of the last change.
pub(crate) fn set_meta(fd: impl AsFd, meta: Meta) -> io::Result<()> {
    fchmod(&fd, Mode::from_raw_mode(RawMode::from(meta.mode)))?;
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let last_modification = Timespec { tv_sec: meta.mtime_s, tv_nsec: meta.mtime_ns.into() };
    Ok(futimens(&fd, &Timestamps { last_access, last_modification })?)
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use crate::cli::files::message::Reason;

    fn name(path: &str) -> Name {
        Name::parse(path.as_bytes()).unwrap()
    }

    #[test]
    fn the_place_is_made_where_it_is_not_there() {
        let temp = tempfile::tempdir().unwrap();
        let mut place = Place::open(&temp.path().join("a/b")).unwrap();
        assert_eq!(place.look(&name("x")).unwrap(), None);
        assert!(place.make(&name("x")).unwrap());
        assert!(temp.path().join("a/b/x").is_dir());
        fs::write(temp.path().join("file"), "").unwrap();
        assert!(Place::open(&temp.path().join("file")).is_err());
    }

    #[test]
    fn directories_nest_and_get_their_mode_and_time_at_their_end() {
        let temp = tempfile::tempdir().unwrap();
        let mut place = Place::open(temp.path()).unwrap();
        assert!(place.make(&name("a")).unwrap());
        assert!(place.make(&name("a/b")).unwrap());
        assert!(!place.make(&name("a")).unwrap(), "it is there already");
        let meta = Meta { mode: 0o1, mtime_s: 1_000_000_000, mtime_ns: 7 };
        place.finish(&name("a/b"), meta).unwrap();
        let found = fs::metadata(temp.path().join("a/b")).unwrap();
        assert_eq!((found.mode() & 0o7777, found.mtime(), found.mtime_nsec()), (0o1, 1_000_000_000, 7));
        assert_eq!(place.look(&name("a/b")).unwrap(), Some(FileType::Directory));
    }

    #[test]
    fn no_link_leads_out() {
        let (temp, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), temp.path().join("link")).unwrap();
        fs::create_dir_all(temp.path().join("a")).unwrap();
        symlink(outside.path(), temp.path().join("a/link")).unwrap();
        let mut place = Place::open(temp.path()).unwrap();
        for path in ["link/x", "a/link/x", "link/x/y"] {
            let error = place.make(&name(path)).unwrap_err();
            assert_eq!(Reason::of(&error), Reason::NotDirectory, "{path}: {error}");
            assert!(place.look(&name(path)).is_err());
        }
        let error = place.make(&name("link")).unwrap_err();
        assert_eq!(Reason::of(&error), Reason::NotDirectory, "{error}");
        assert!(place.finish(&name("a/link"), Meta { mode: 0, mtime_s: 0, mtime_ns: 0 }).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert_ne!(fs::metadata(outside.path()).unwrap().mtime(), 0);
    }

    #[test]
    fn a_file_in_the_way_is_no_directory() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("file"), "").unwrap();
        let mut place = Place::open(temp.path()).unwrap();
        for path in ["file", "file/x"] {
            let error = place.make(&name(path)).unwrap_err();
            assert_eq!(Reason::of(&error), Reason::NotDirectory, "{path}: {error}");
        }
        assert_eq!(place.look(&name("file")).unwrap(), Some(FileType::RegularFile));
    }
}
