//! Walks what the sender was asked to send, in a stable order and in memory that does not grow with the number of
//! files: a stack of open directories, each with its sorted entries.
//!
//! It knows nothing of messages. Below the paths that it was given it follows no symbolic link, not even where one
//! takes a file's place during the walk: everything is opened from its directory's descriptor.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::vec;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};

use super::message::{Meta, Reason};
use super::name::{Escaped, Name};
use super::outcome::{Notice, What};

/// What the walk comes by.
pub(crate) enum Entry {
    /// A regular file, not opened yet.
    File {
        /// Where it belongs.
        name: Name,
        /// How to open it.
        source: Source,
        /// What its directory says about its size.
        size: u64,
    },
    /// A directory, before what it holds.
    Begin {
        /// Where it belongs.
        name: Name,
        /// Its mode and time.
        meta: Meta,
    },
    /// The same directory, after what it holds.
    End {
        /// Where it belongs.
        name: Name,
        /// Its mode and time.
        meta: Meta,
    },
    /// Something that is not sent.
    Left(Notice),
}

/// A file that can be opened, however its path changes meanwhile.
pub(crate) struct Source {
    at: At,
}

enum At {
    /// As the user named it: links are followed.
    Path(PathBuf),
    /// An entry of a directory: no link is followed.
    Entry(Rc<OwnedFd>, CString),
}

/// An open file and what it said about itself then.
pub(crate) struct Opened {
    /// Ready to be read from its start.
    pub(crate) file: File,
    /// Its mode and time.
    pub(crate) meta: Meta,
    /// Its size.
    pub(crate) size: u64,
}

/// The walk.
pub(crate) struct Tree {
    paths: vec::IntoIter<PathBuf>,
    stack: Vec<Level>,
    /// A directory's entries could not all be read: said once the directory has begun.
    broken: Option<Notice>,
}

struct Level {
    name: Name,
    meta: Meta,
    dir: Rc<OwnedFd>,
    entries: vec::IntoIter<CString>,
}

impl Tree {
    /// Walks `paths` one after the other.
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths: paths.into_iter(), stack: Vec::new(), broken: None }
    }

    fn enter_path(&mut self, path: PathBuf) -> Entry {
        let shown = Escaped(path.as_os_str().as_bytes()).to_string();
        let found = base_name(&path).and_then(|name| {
            let file_type = file_type(&CWD, &path, AtFlags::empty())?.0;
            Ok((name, file_type))
        });
        match found {
            Err(error) => failed(shown, &error),
            Ok((name, FileType::Directory)) => {
                let opened = openat(CWD, &path, DIRECTORY | OFlags::CLOEXEC, Mode::empty());
                self.enter(name, opened.map_err(Into::into))
            }
            Ok((name, FileType::RegularFile)) => match std::fs::metadata(&path) {
                Ok(metadata) => Entry::File { name, source: Source { at: At::Path(path) }, size: metadata.len() },
                Err(error) => failed(shown, &error),
            },
            Ok(_) => failed(shown, &io::Error::other("neither a file nor a directory")),
        }
    }

    fn enter_entry(&mut self, dir: &Rc<OwnedFd>, parent: &Name, leaf: CString) -> Entry {
        let shown = format!("{parent}/{}", Escaped(leaf.as_bytes()));
        let name = match parent.join(leaf.as_bytes()) {
            Ok(name) => name,
            Err(error) => {
                return Entry::Left(Notice { name: shown, what: What::Failed(Reason::Name, error.to_string()) });
            }
        };
        match file_type(dir, &leaf, AtFlags::SYMLINK_NOFOLLOW) {
            Err(error) => failed(shown, &error),
            Ok((FileType::Directory, _)) => {
                let opened = openat(dir, &leaf, DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
                self.enter(name, opened.map_err(Into::into))
            }
            Ok((FileType::RegularFile, size)) => {
                Entry::File { name, source: Source { at: At::Entry(Rc::clone(dir), leaf) }, size }
            }
            Ok((special, _)) => Entry::Left(Notice { name: shown, what: What::Skipped(kind(special)) }),
        }
    }

    fn enter(&mut self, name: Name, opened: io::Result<OwnedFd>) -> Entry {
        let read = opened.and_then(|dir| {
            let meta = meta(&File::from(dir.try_clone()?).metadata()?);
            Ok((entries(&dir)?, meta, dir))
        });
        match read {
            Err(error) => failed(name.to_string(), &error),
            Ok(((entries, broken), meta, dir)) => {
                self.broken = broken.map(|error| Notice::of(name.to_string(), &error));
                let level = Level { name: name.clone(), meta, dir: Rc::new(dir), entries: entries.into_iter() };
                self.stack.push(level);
                Entry::Begin { name, meta }
            }
        }
    }
}

impl Iterator for Tree {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if let Some(notice) = self.broken.take() {
            return Some(Entry::Left(notice));
        }
        let Some(level) = self.stack.last_mut() else {
            let path = self.paths.next()?;
            return Some(self.enter_path(path));
        };
        if let Some(leaf) = level.entries.next() {
            let (dir, parent) = (Rc::clone(&level.dir), level.name.clone());
            return Some(self.enter_entry(&dir, &parent, leaf));
        }
        let level = self.stack.pop()?;
        Some(Entry::End { name: level.name, meta: level.meta })
    }
}

impl Source {
    /// Opens it for reading, where it still is a regular file.
    pub(crate) fn open(&self) -> io::Result<Opened> {
        // Without NONBLOCK a pipe that has taken the file's place would hold us up.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match &self.at {
            At::Path(path) => openat(CWD, path, flags, Mode::empty())?,
            At::Entry(dir, leaf) => openat(dir, leaf, flags | OFlags::NOFOLLOW, Mode::empty())?,
        };
        if FileType::from_raw_mode(fstat(&fd)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("is no longer a regular file"));
        }
        let file = File::from(fd);
        let metadata = file.metadata()?;
        Ok(Opened { file, meta: meta(&metadata), size: metadata.len() })
    }
}

/// Files and bytes that a walk of `paths` comes by now: what a progress bar shows as the whole.
pub(crate) fn measure(paths: Vec<PathBuf>) -> (u64, u64) {
    Tree::new(paths).fold((0, 0), |(files, bytes), entry| match entry {
        Entry::File { size, .. } => (files + 1, bytes.saturating_add(size)),
        Entry::Begin { .. } | Entry::End { .. } | Entry::Left(_) => (files, bytes),
    })
}

/// Mode and time out of what the system says.
pub(crate) fn meta(metadata: &std::fs::Metadata) -> Meta {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nine bits; below 10^9")]
    let (mode, mtime_ns) = ((metadata.mode() & 0o777) as u16, metadata.mtime_nsec() as u32);
    Meta { mode, mtime_s: metadata.mtime(), mtime_ns }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// The name under which `path` arrives: its last component, where it has one, else that of what it stands for.
fn base_name(path: &Path) -> io::Result<Name> {
    let canonical;
    let last = match path.file_name() {
        Some(last) => last,
        None => {
            canonical = path.canonicalize()?;
            canonical.file_name().ok_or_else(|| io::Error::other("has no name to arrive under"))?
        }
    };
    Name::parse(last.as_bytes()).map_err(|error| io::Error::new(io::ErrorKind::InvalidFilename, error))
}

/// What stands at `path`, and its size.
fn file_type(dir: &impl rustix::fd::AsFd, path: impl rustix::path::Arg, flags: AtFlags) -> io::Result<(FileType, u64)> {
    let stat = statat(dir, path, flags)?;
    Ok((FileType::from_raw_mode(stat.st_mode), u64::try_from(stat.st_size).unwrap_or(0)))
}

/// The sorted entries, and the error that kept us from reading them all.
fn entries(dir: &OwnedFd) -> io::Result<(Vec<CString>, Option<io::Error>)> {
    let mut entries = Vec::new();
    let mut broken = None;
    for entry in Dir::read_from(dir)? {
        match entry {
            Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => (),
            Ok(entry) => entries.push(entry.file_name().to_owned()),
            Err(error) => {
                broken = Some(error.into());
                break;
            }
        }
    }
    entries.sort_unstable();
    Ok((entries, broken))
}

const fn kind(special: FileType) -> &'static str {
    match special {
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        _ => "special file",
    }
}

fn failed(name: String, error: &io::Error) -> Entry {
    Entry::Left(Notice::of(name, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use tempfile::TempDir;

    /// The walk, one line an entry.
    fn walk(paths: &[&Path]) -> Vec<String> {
        Tree::new(paths.iter().map(|path| path.to_path_buf()).collect()).map(|entry| line(&entry)).collect()
    }

    fn line(entry: &Entry) -> String {
        match entry {
            Entry::File { name, size, .. } => format!("file {name} {size}"),
            Entry::Begin { name, meta } => format!("begin {name} {:o}", meta.mode),
            Entry::End { name, .. } => format!("end {name}"),
            Entry::Left(Notice { name, what: What::Skipped(kind) }) => format!("skip {name} {kind}"),
            Entry::Left(Notice { name, what: What::Failed(reason, _) }) => format!("fail {name} {reason:?}"),
        }
    }

    fn tree() -> TempDir {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("root");
        fs::create_dir_all(root.join("b/empty")).unwrap();
        fs::write(root.join("b/file"), b"1234").unwrap();
        fs::write(root.join("a"), b"").unwrap();
        fs::write(root.join("c"), b"12").unwrap();
        for (dir, mode) in [("b/empty", 0o700), ("b", 0o750), ("", 0o755)] {
            fs::set_permissions(root.join(dir), fs::Permissions::from_mode(mode)).unwrap();
        }
        temp
    }

    #[test]
    fn a_tree_comes_in_a_stable_order_with_its_directories_around_what_they_hold() {
        let temp = tree();
        assert_eq!(
            walk(&[&temp.path().join("root")]),
            [
                "begin root 755",
                "file root/a 0",
                "begin root/b 750",
                "begin root/b/empty 700",
                "end root/b/empty",
                "file root/b/file 4",
                "end root/b",
                "file root/c 2",
                "end root",
            ]
        );
    }

    #[test]
    fn each_path_arrives_under_its_last_name() {
        let temp = tree();
        let root = temp.path().join("root");
        assert_eq!(walk(&[&root.join("b/file"), &root.join("b/empty/"), &root.join("c/.")])[..1], ["file file 4"]);
        assert_eq!(walk(&[&root.join("b/empty/")]), ["begin empty 700", "end empty"]);
        assert_eq!(walk(&[&root.join("b/empty/..")])[0], "begin b 750");
        assert_eq!(walk(&[Path::new("/")]), ["fail / Other"]);
    }

    #[test]
    fn links_and_special_files_inside_are_skipped_and_named() {
        let temp = tree();
        let root = temp.path().join("root/b");
        symlink("/etc/passwd", root.join("link")).unwrap();
        symlink("/", root.join("outside")).unwrap();
        rustix::fs::mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!(
            walk(&[&root]),
            [
                "begin b 750",
                "begin b/empty 700",
                "end b/empty",
                "file b/file 4",
                "skip b/link symbolic link",
                "skip b/outside symbolic link",
                "skip b/pipe named pipe",
                "end b",
            ]
        );
    }

    #[test]
    fn a_link_that_the_user_names_is_followed_and_a_pipe_is_not_read() {
        let temp = tree();
        symlink(temp.path().join("root/b"), temp.path().join("dir")).unwrap();
        symlink(temp.path().join("root/c"), temp.path().join("file")).unwrap();
        assert_eq!(walk(&[&temp.path().join("dir")])[0], "begin dir 750");
        assert_eq!(walk(&[&temp.path().join("file")]), ["file file 2"]);
        let pipe = temp.path().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!(walk(&[&pipe]), [format!("fail {} Other", pipe.display())]);
    }

    #[test]
    fn what_cannot_be_sent_does_not_stop_the_rest() {
        let temp = tree();
        let (missing, root) = (temp.path().join("missing"), temp.path().join("root"));
        let mut tree = Tree::new(vec![missing.clone(), root.clone()]);
        assert_eq!(line(&tree.next().unwrap()), format!("fail {} Other", missing.display()));
        assert_eq!(line(&tree.next().unwrap()), "begin root 755");
        fs::remove_file(root.join("a")).unwrap();
        let rest: Vec<String> = tree.map(|entry| line(&entry)).collect();
        assert_eq!(rest[0], "fail root/a Other");
        assert_eq!(rest.last().unwrap(), "end root");
    }

    #[test]
    fn a_tree_deeper_than_a_name_may_be_fails_at_its_border() {
        let temp = tempfile::tempdir().unwrap();
        let mut path = temp.path().join("d");
        for _ in 0..super::super::name::DEPTH_MAX {
            path.push("d");
        }
        fs::create_dir_all(path).unwrap();
        let lines = walk(&[&temp.path().join("d")]);
        assert_eq!(lines.iter().filter(|line| line.starts_with("begin")).count(), 128);
        assert_eq!(lines.iter().filter(|line| line.starts_with("fail") && line.ends_with("Name")).count(), 1);
        assert_eq!(lines.iter().filter(|line| line.starts_with("end")).count(), 128);
    }

    #[test]
    fn a_link_that_takes_a_files_place_is_not_followed() {
        let temp = tree();
        let root = temp.path().join("root");
        let Some(Entry::File { source, .. }) =
            Tree::new(vec![root.clone()]).find(|entry| line(entry) == "file root/b/file 4")
        else {
            panic!("the file is in the tree")
        };
        let opened = source.open().unwrap();
        assert_eq!((opened.size, opened.meta), (4, meta(&fs::metadata(root.join("b/file")).unwrap())));
        fs::rename(root.join("b/file"), root.join("b/other")).unwrap();
        symlink(root.join("b/other"), root.join("b/file")).unwrap();
        assert!(source.open().is_err());
    }

    #[test]
    fn measuring_counts_files_and_bytes() {
        let temp = tree();
        let paths = vec![temp.path().join("root"), temp.path().join("root/c"), temp.path().join("missing")];
        assert_eq!(measure(paths), (4, 8));
    }
}
