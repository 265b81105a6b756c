//! Reads a file once: its content for the connection and its hash in the same pass.

use std::fs::File;
use std::io;

use bytes::Bytes;
use rustix::buffer::spare_capacity;

use super::message::{CONTENT_LEN, DATA_HEADER_LEN_MAX, HASH_LEN, Meta, Reason, start_data};
use super::tree::{Opened, meta};
use crate::cli::buffers::Buffers;

/// A file on its way to the receiver.
pub(crate) struct Reader {
    file: File,
    meta: Meta,
    size: u64,
    /// What the receiver has already: hashed, not sent.
    skip: u64,
    position: u64,
    /// Two kilobytes: beside the rest, so that a file on offer stays small.
    hasher: Box<blake3::Hasher>,
}

/// What comes next.
pub(crate) enum Chunk {
    /// A DATA.
    Content {
        /// Its content tag.
        tag: u16,
        /// Its body.
        body: Bytes,
        /// Bytes of the file in it.
        len: u64,
    },
    /// Something that the receiver has already.
    Skipped {
        /// Bytes of the file.
        len: u64,
    },
    /// All is read: the hash.
    End([u8; HASH_LEN]),
}

/// Why the rest of a file cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFailure {
    /// It is not what was offered any more.
    #[error("changed while it was sent")]
    Changed,
    /// The system says a size that is not its: so are the files of `/proc`, which have none.
    #[error("holds more than its size says")]
    Longer,
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ReadFailure {
    /// What a program needs to know.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Changed | Self::Longer => Reason::Changed,
            Self::Io(error) => Reason::of(error),
        }
    }
}

impl Reader {
    /// Reads `opened` from its start.
    pub(crate) fn new(opened: Opened) -> Self {
        let Opened { file, meta, size } = opened;
        Self { file, meta, size, skip: 0, position: 0, hasher: Box::default() }
    }

    /// Size, as offered.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Sends only what follows the first `from` bytes. False where the file is not that long.
    pub(crate) const fn skip_to(&mut self, from: u64) -> bool {
        self.skip = from;
        from <= self.size
    }

    /// The next piece, as item `number`, in one of `buffers` where it fills one.
    pub(crate) fn next(&mut self, number: u64, buffers: &Buffers) -> Result<Chunk, ReadFailure> {
        if self.position == self.size {
            // One look more: a copy of a file that is being written to is a copy of nothing that ever was.
            let now = self.file.metadata()?;
            if now.len() != self.size || meta(&now) != self.meta {
                return Err(ReadFailure::Changed);
            }
            if rustix::io::pread(&self.file, &mut [0; 1], self.size).map_err(io::Error::from)? > 0 {
                return Err(ReadFailure::Longer);
            }
            return Ok(Chunk::End(*self.hasher.finalize().as_bytes()));
        }
        let end = if self.position < self.skip { self.skip } else { self.size };
        let len = usize::try_from(end - self.position).map_or(CONTENT_LEN, |left| left.min(CONTENT_LEN));
        let full = len == CONTENT_LEN;
        let mut body = if full { buffers.take() } else { Vec::with_capacity(DATA_HEADER_LEN_MAX + len) };
        let tag = start_data(number, &mut body);
        let header_len = body.len();
        while body.len() < header_len + len {
            let at = self.position + (body.len() - header_len) as u64;
            let read = rustix::io::pread(&self.file, spare_capacity(&mut body), at).map_err(io::Error::from)?;
            if read == 0 {
                return Err(ReadFailure::Changed);
            }
        }
        // The buffer has a little more room than was asked for: what went into it comes again.
        body.truncate(header_len + len);
        self.hasher.update(&body[header_len..]);
        let skipped = self.position < self.skip;
        let len = len as u64;
        self.position += len;
        let body = if full { buffers.lend(body) } else { body.into() };
        Ok(if skipped { Chunk::Skipped { len } } else { Chunk::Content { tag, body, len } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use std::time::UNIX_EPOCH;

    use crate::cli::files::message::Message;
    use crate::cli::files::tree::{Entry, Tree};

    fn reader(path: &Path) -> Reader {
        let Some(Entry::File { source, .. }) = Tree::new(vec![path.to_path_buf()]).next() else {
            panic!("{} is a file", path.display())
        };
        Reader::new(source.open().unwrap())
    }

    /// The content that is sent, and the hash.
    fn read(reader: &mut Reader) -> Result<(Vec<u8>, [u8; HASH_LEN]), ReadFailure> {
        let (mut all, buffers) = (Vec::new(), Buffers::new(CONTENT_LEN + DATA_HEADER_LEN_MAX));
        loop {
            match reader.next(70, &buffers)? {
                Chunk::Skipped { .. } => (),
                Chunk::End(hash) => return Ok((all, hash)),
                Chunk::Content { tag, body, .. } => match Message::decode(tag, &body) {
                    Ok(Message::Data { number: 70, content }) => {
                        assert!(content.len() <= CONTENT_LEN);
                        all.extend_from_slice(content);
                    }
                    other => panic!("{other:?}"),
                },
            }
        }
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..=250).cycle().take(len).collect()
    }

    #[test]
    fn content_and_hash_at_the_borders_of_a_chunk() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        for len in [0, 1, CONTENT_LEN - 1, CONTENT_LEN, CONTENT_LEN + 1, 3 * CONTENT_LEN] {
            fs::write(&path, bytes(len)).unwrap();
            let (content, hash) = read(&mut reader(&path)).unwrap();
            assert!(content == bytes(len), "{len}");
            assert_eq!(hash, *blake3::hash(&content).as_bytes(), "{len}");
        }
    }

    #[test]
    fn what_the_receiver_has_is_hashed_and_not_sent() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        let all = bytes(2 * CONTENT_LEN + 5);
        fs::write(&path, &all).unwrap();
        for from in [0, 1, CONTENT_LEN, CONTENT_LEN + 7, all.len() - 1, all.len()] {
            let mut reader = reader(&path);
            assert!(reader.skip_to(from as u64));
            let (content, hash) = read(&mut reader).unwrap();
            assert!(content == all[from..], "{from}");
            assert_eq!(hash, *blake3::hash(&all).as_bytes(), "{from}");
        }
        assert!(!reader(&path).skip_to(all.len() as u64 + 1));
    }

    #[test]
    fn a_file_that_changes_is_not_sent_as_if_it_had_not() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        let changes: [fn(&Path); 3] = [
            |path| fs::write(path, bytes(9)).unwrap(),
            |path| fs::write(path, bytes(11)).unwrap(),
            |path| File::options().append(true).open(path).unwrap().set_modified(UNIX_EPOCH).unwrap(),
        ];
        for change in changes {
            fs::write(&path, bytes(10)).unwrap();
            let mut reader = reader(&path);
            change(&path);
            assert!(matches!(read(&mut reader), Err(ReadFailure::Changed)));
        }
    }

    #[test]
    fn a_file_of_the_kernels_that_says_to_be_empty_is_not_sent_as_an_empty_one() {
        let path = Path::new("/proc/self/status");
        assert_eq!(fs::metadata(path).unwrap().len(), 0);
        assert!(matches!(read(&mut reader(path)), Err(ReadFailure::Longer)));
    }
}
