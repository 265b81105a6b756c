//! The messages of the file protocol: `spec/files.md`, section "Messages".
//!
//! Stateless. Any tag and bytes decode to a message or to a [`DecodeError`].

use super::name::NAME_LEN_MAX;
use udpair::wire::{DecodeError, Reader, put_varint};

/// The version that this tool speaks.
pub(crate) const VERSION: u16 = 1;
/// The channel for everything but content.
pub(crate) const CONTROL: u16 = 0;
/// The channel for content.
pub(crate) const DATA: u16 = 1;
/// Numbers that may be offered and not settled.
pub(crate) const UNSETTLED_MAX: usize = 1_024;
/// Content that we put into one DATA.
pub(crate) const CONTENT_LEN: usize = 256 * 1_024;
/// Content that one DATA may have.
pub(crate) const CONTENT_LEN_MAX: usize = 1_024 * 1_024;
/// Bytes of a BLAKE3 hash.
pub(crate) const HASH_LEN: usize = 32;

const MAGIC: [u8; 4] = *b"udpf";
const TEXT_LEN_MAX: usize = 512;
/// Bytes that a DATA has before its content, at most.
pub(crate) const DATA_HEADER_LEN_MAX: usize = 8;
const MODE_MASK: u16 = 0o777;

const HELLO: u16 = 1;
const OFFER: u16 = 2;
const WANT: u16 = 3;
const DATA_TAG: u16 = 4;
const HASH: u16 = 5;
const DONE: u16 = 6;
const ERROR: u16 = 7;
const END: u16 = 8;

/// What one side says to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// The first message of each side.
    Hello {
        /// The version that it speaks.
        version: u16,
        /// Files that the sender expects to offer.
        files: u64,
        /// Bytes in them.
        bytes: u64,
    },
    /// The sender has an item.
    Offer(Offer<'a>),
    /// The receiver wants a file.
    Want {
        /// The item.
        number: u64,
        /// The bytes that the receiver already has.
        from: u64,
    },
    /// The next bytes of a file.
    Data {
        /// The item.
        number: u64,
        /// 1 to [`CONTENT_LEN_MAX`] bytes.
        content: &'a [u8],
    },
    /// The end of a file.
    Hash {
        /// The item.
        number: u64,
        /// BLAKE3 of all of it.
        hash: [u8; HASH_LEN],
    },
    /// The item stands where it belongs.
    Done {
        /// The item.
        number: u64,
    },
    /// The item will not arrive.
    Error {
        /// The item.
        number: u64,
        /// What a program needs to know.
        reason: Reason,
        /// What a person needs to know.
        text: &'a str,
    },
    /// Everything is settled.
    End(Totals),
}

/// A file, or a directory's begin or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer<'a> {
    /// The item's number, one more than the last.
    pub(crate) number: u64,
    /// What it is.
    pub(crate) kind: Kind,
    /// Permission bits and time.
    pub(crate) meta: Meta,
    /// Bytes in the file.
    pub(crate) size: u64,
    /// Where it belongs, not checked yet.
    pub(crate) path: &'a [u8],
}

/// What an offer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file.
    File,
    /// A directory begins.
    Begin,
    /// A directory ends.
    End,
}

/// What is kept of a file or directory beside name and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The nine permission bits.
    pub(crate) mode: u16,
    /// Seconds since 1970 of the last change of the content.
    pub(crate) mtime_s: i64,
    /// Nanoseconds above them, below 10^9.
    pub(crate) mtime_ns: u32,
}

/// Why an item does not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// See the text.
    Other = 1,
    /// Something stands under that name.
    Exists = 2,
    /// The path is not allowed.
    Name = 3,
    /// No permission to read, or to write.
    Permission = 4,
    /// No room.
    DiskFull = 5,
    /// The hashes differ.
    Integrity = 6,
    /// The file changed while it was sent.
    Changed = 7,
    /// A part of the path is no directory, or is a symbolic link.
    NotDirectory = 8,
    /// Of a directory's end: its begin was refused.
    Directory = 9,
    /// From the sender: the receiver's ERROR was heard.
    Stopped = 10,
    /// In END only: failures of more than one reason.
    Several = 11,
}

/// What became of a transfer. Both sides report the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Files that arrived.
    pub(crate) files: u64,
    /// Directories that arrived.
    pub(crate) directories: u64,
    /// Bytes in the files that arrived.
    pub(crate) bytes: u64,
    /// What the sender left out: symbolic links, special files.
    pub(crate) skipped: u64,
    /// Files and directories that did not arrive.
    pub(crate) failed: u64,
    /// The reason that all failures share.
    pub(crate) reason: Option<Reason>,
}

impl<'a> Message<'a> {
    /// Reads the message with this content tag and body.
    pub(crate) fn decode(tag: u16, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(body);
        let message = match tag {
            HELLO => return Self::decode_hello(input),
            OFFER => Self::Offer(Offer::decode(&mut input)?),
            WANT => Self::Want { number: input.varint()?, from: input.varint()? },
            DATA_TAG => {
                let number = input.varint()?;
                let content = input.rest();
                if content.is_empty() || content.len() > CONTENT_LEN_MAX {
                    return Err(DecodeError::Value("length of content"));
                }
                return Ok(Self::Data { number, content });
            }
            HASH => Self::Hash { number: input.varint()?, hash: input.array()? },
            DONE => Self::Done { number: input.varint()? },
            ERROR => {
                let (number, reason) = (input.varint()?, Reason::decode(input.u8()?)?);
                let text = input.bytes(input.rest().len())?;
                if text.len() > TEXT_LEN_MAX {
                    return Err(DecodeError::Value("length of text"));
                }
                let text = std::str::from_utf8(text).map_err(|_| DecodeError::Value("text"))?;
                Self::Error { number, reason, text }
            }
            END => Self::End(Totals::decode(&mut input)?),
            _ => return Err(DecodeError::Value("tag")),
        };
        if input.is_empty() { Ok(message) } else { Err(DecodeError::Value("length of message")) }
    }

    /// Of another version only the number is read: the rest is that version's.
    fn decode_hello(mut input: Reader<'a>) -> Result<Self, DecodeError> {
        if input.array()? != MAGIC {
            return Err(DecodeError::Value("magic"));
        }
        let version = input.u16()?;
        if version != VERSION {
            return Ok(Self::Hello { version, files: 0, bytes: 0 });
        }
        let (files, bytes) = (input.varint()?, input.varint()?);
        if !input.is_empty() {
            return Err(DecodeError::Value("length of message"));
        }
        Ok(Self::Hello { version, files, bytes })
    }

    /// The content tag and the body.
    pub(crate) fn encode(&self) -> (u16, Vec<u8>) {
        let mut out = Vec::new();
        let tag = match *self {
            Self::Hello { version, files, bytes } => {
                out.extend_from_slice(&MAGIC);
                out.extend_from_slice(&version.to_be_bytes());
                put_varint(&mut out, files);
                put_varint(&mut out, bytes);
                HELLO
            }
            Self::Offer(ref offer) => {
                offer.put(&mut out);
                OFFER
            }
            Self::Want { number, from } => {
                put_varint(&mut out, number);
                put_varint(&mut out, from);
                WANT
            }
            Self::Data { number, content } => {
                put_varint(&mut out, number);
                out.extend_from_slice(content);
                DATA_TAG
            }
            Self::Hash { number, ref hash } => {
                put_varint(&mut out, number);
                out.extend_from_slice(hash);
                HASH
            }
            Self::Done { number } => {
                put_varint(&mut out, number);
                DONE
            }
            Self::Error { number, reason, text } => {
                put_varint(&mut out, number);
                out.push(reason as u8);
                out.extend_from_slice(shortened(text).as_bytes());
                ERROR
            }
            Self::End(ref totals) => {
                totals.put(&mut out);
                END
            }
        };
        (tag, out)
    }
}

/// `text` as far as an ERROR can hold it.
fn shortened(text: &str) -> &str {
    let end = (0..=text.len().min(TEXT_LEN_MAX)).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

/// Writes the front of a DATA into an empty buffer, for the content to be read into behind it: so content is not copied
/// on its way from the file to the connection. Gives the content tag.
pub(crate) fn start_data(number: u64, body: &mut Vec<u8>) -> u16 {
    put_varint(body, number);
    DATA_TAG
}

impl<'a> Offer<'a> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let number = input.varint()?;
        let kind = match input.u8()? {
            0 => Kind::File,
            1 => Kind::Begin,
            2 => Kind::End,
            _ => return Err(DecodeError::Value("kind")),
        };
        let meta = Meta { mode: input.u16()?, mtime_s: input.u64()?.cast_signed(), mtime_ns: input.u32()? };
        if meta.mode & !MODE_MASK != 0 {
            return Err(DecodeError::Value("mode"));
        }
        if meta.mtime_ns >= 1_000_000_000 {
            return Err(DecodeError::Value("mtime"));
        }
        let size = input.varint()?;
        if kind != Kind::File && size != 0 {
            return Err(DecodeError::Value("size"));
        }
        let path = input.bytes(input.rest().len())?;
        if path.len() > NAME_LEN_MAX {
            return Err(DecodeError::Value("length of path"));
        }
        Ok(Self { number, kind, meta, size, path })
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.number);
        out.push(match self.kind {
            Kind::File => 0,
            Kind::Begin => 1,
            Kind::End => 2,
        });
        out.extend_from_slice(&(self.meta.mode & MODE_MASK).to_be_bytes());
        out.extend_from_slice(&self.meta.mtime_s.to_be_bytes());
        out.extend_from_slice(&self.meta.mtime_ns.to_be_bytes());
        put_varint(out, self.size);
        out.extend_from_slice(self.path);
    }
}

impl Reason {
    /// 0 and [`Reason::Several`] stand in END alone; what we do not know is [`Reason::Other`].
    fn decode(code: u8) -> Result<Self, DecodeError> {
        match code {
            0 => Err(DecodeError::Value("reason")),
            2 => Ok(Self::Exists),
            3 => Ok(Self::Name),
            4 => Ok(Self::Permission),
            5 => Ok(Self::DiskFull),
            6 => Ok(Self::Integrity),
            7 => Ok(Self::Changed),
            8 => Ok(Self::NotDirectory),
            9 => Ok(Self::Directory),
            10 => Ok(Self::Stopped),
            11 => Err(DecodeError::Value("reason")),
            _ => Ok(Self::Other),
        }
    }
}

impl Totals {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            files: input.varint()?,
            directories: input.varint()?,
            bytes: input.varint()?,
            skipped: input.varint()?,
            failed: input.varint()?,
            reason: match input.u8()? {
                0 => None,
                code if code == Reason::Several as u8 => Some(Reason::Several),
                code => Some(Reason::decode(code)?),
            },
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        for number in [self.files, self.directories, self.bytes, self.skipped, self.failed] {
            put_varint(out, number);
        }
        out.push(self.reason.map_or(0, |reason| reason as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use udpair::wire::VARINT_MAX;

    fn round_trip(message: Message<'_>) {
        let (tag, body) = message.encode();
        assert_eq!(Message::decode(tag, &body), Ok(message));
        // Behind the fields of a fixed length nothing may follow, and none of them may be missing.
        let open_ended = matches!(message, Message::Offer(_) | Message::Data { .. } | Message::Error { .. });
        let longer = [body.as_slice(), b"x"].concat();
        assert_eq!(Message::decode(tag, &longer).is_ok(), open_ended, "{message:?}");
        if !open_ended {
            assert!(Message::decode(tag, &body[..body.len() - 1]).is_err(), "{message:?}");
        }
    }

    #[test]
    fn every_message_comes_back() {
        let meta = Meta { mode: 0o777, mtime_s: -1, mtime_ns: 999_999_999 };
        for kind in [Kind::File, Kind::Begin, Kind::End] {
            let size = if kind == Kind::File { VARINT_MAX } else { 0 };
            round_trip(Message::Offer(Offer { number: 3, kind, meta, size, path: b"a/\xff" }));
        }
        round_trip(Message::Hello { version: VERSION, files: 1, bytes: VARINT_MAX });
        round_trip(Message::Want { number: 0, from: 100 });
        round_trip(Message::Data { number: 7, content: b"content" });
        round_trip(Message::Hash { number: 7, hash: [9; HASH_LEN] });
        round_trip(Message::Done { number: 70_000 });
        round_trip(Message::Error { number: 1, reason: Reason::Changed, text: "ä" });
        round_trip(Message::End(Totals { files: 1, failed: 2, reason: Some(Reason::Several), ..Totals::default() }));
        round_trip(Message::End(Totals::default()));
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        assert_eq!(
            Message::Hello { version: 1, files: 2, bytes: 64 }.encode(),
            (1, b"udpf\0\x01\x02\x40\x40".to_vec())
        );
        let meta = Meta { mode: 0o644, mtime_s: 1, mtime_ns: 2 };
        let offer = Offer { number: 5, kind: Kind::File, meta, size: 6, path: b"p" };
        let bytes = [5, 0, 0x01, 0xa4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 6, b'p'];
        assert_eq!(Message::Offer(offer).encode(), (2, bytes.to_vec()));
        assert_eq!(Message::Want { number: 1, from: 2 }.encode(), (3, vec![1, 2]));
        assert_eq!(Message::Data { number: 1, content: b"c" }.encode(), (4, vec![1, b'c']));
        let mut body = Vec::new();
        assert_eq!((start_data(1, &mut body), body), (4, vec![1]));
        assert_eq!(Message::Done { number: 1 }.encode(), (6, vec![1]));
        let error = Message::Error { number: 1, reason: Reason::DiskFull, text: "t" };
        assert_eq!(error.encode(), (7, vec![1, 5, b't']));
    }

    #[test]
    fn fields_out_of_their_range_are_errors() {
        let offer = |change: fn(&mut Vec<u8>)| {
            let meta = Meta { mode: 0, mtime_s: 0, mtime_ns: 0 };
            let (tag, mut body) =
                Message::Offer(Offer { number: 0, kind: Kind::File, meta, size: 0, path: b"p" }).encode();
            change(&mut body);
            Message::decode(tag, &body).map(|_| ())
        };
        assert_eq!(offer(|_| ()), Ok(()));
        assert_eq!(offer(|body| body[1] = 3), Err(DecodeError::Value("kind")));
        assert_eq!(offer(|body| body[2] = 0x02), Err(DecodeError::Value("mode")));
        assert_eq!(offer(|body| body[12..16].fill(0xff)), Err(DecodeError::Value("mtime")));
        assert_eq!(offer(|body| (body[1], body[16]) = (1, 1)), Err(DecodeError::Value("size")));
        assert_eq!(Message::decode(0, b""), Err(DecodeError::Value("tag")));
        assert_eq!(Message::decode(9, b""), Err(DecodeError::Value("tag")));
        assert_eq!(Message::decode(HELLO, b"http\0\x01\0\0"), Err(DecodeError::Value("magic")));
        assert_eq!(Message::decode(ERROR, b"\0\0text"), Err(DecodeError::Value("reason")));
        assert_eq!(Message::decode(ERROR, b"\0\x0btext"), Err(DecodeError::Value("reason")));
        assert_eq!(Message::decode(ERROR, b"\0\x01\xff"), Err(DecodeError::Value("text")));
    }

    #[test]
    fn content_and_text_at_their_limits() {
        let data = |len| Message::decode(DATA_TAG, &vec![0; 1 + len]).is_ok();
        assert!(!data(0) && data(1) && data(CONTENT_LEN_MAX) && !data(CONTENT_LEN_MAX + 1));
        let error = |len| Message::decode(ERROR, &[&[0, 1], vec![b'x'; len].as_slice()].concat()).is_ok();
        assert!(error(TEXT_LEN_MAX) && !error(TEXT_LEN_MAX + 1));
        let offer = |len| {
            let (meta, path) = (Meta { mode: 0, mtime_s: 0, mtime_ns: 0 }, vec![b'p'; len]);
            let offer = Offer { number: 0, kind: Kind::File, meta, size: 0, path: &path };
            let (tag, body) = Message::Offer(offer).encode();
            Message::decode(tag, &body).is_ok()
        };
        assert!(offer(NAME_LEN_MAX) && !offer(NAME_LEN_MAX + 1));
        let text = "ä".repeat(TEXT_LEN_MAX);
        let (tag, body) = Message::Error { number: 0, reason: Reason::Other, text: &text }.encode();
        assert!(Message::decode(tag, &body).is_ok(), "a text that is too long is cut between characters");
    }

    #[test]
    fn a_later_version_is_recognised_whatever_follows_its_number() {
        let hello = Message::decode(HELLO, b"udpf\0\x02something else");
        assert_eq!(hello, Ok(Message::Hello { version: 2, files: 0, bytes: 0 }));
    }

    #[test]
    fn an_unknown_reason_is_other() {
        let error = Message::decode(ERROR, b"\0\x63text");
        assert_eq!(error, Ok(Message::Error { number: 0, reason: Reason::Other, text: "text" }));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_err(tag in 0u16..10, body in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(message) = Message::decode(tag, &body) {
                let (again, body) = message.encode();
                prop_assert_eq!(again, tag);
                prop_assert_eq!(Message::decode(tag, &body), Ok(message));
            }
        }
    }
}
