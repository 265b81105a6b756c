//! Frames: what packets (UDP) and records (TCP) are filled with. `spec/wire.md`, section "Frames".
//!
//! ```text
//! PADDING            00
//! PING               01
//! ACK                02 largest delay_us blocks first_len { gap len }*       UDP only
//! ACK_ECN            03 as ACK, then ect0 ect1 ce                            UDP only
//! CREDIT_CONNECTION  04 limit
//! CREDIT_CHANNEL     05 channel limit
//! RESET              06 channel message final_size code
//! STOP               07 channel message code
//! TAKEN              08 channel count { gap len }+
//! CLOSE              09 kind code
//! PATH_CHALLENGE     0a data[8]     reserved
//! PATH_RESPONSE      0b data[8]     reserved
//! RECEIVED           0c count                                                TCP only
//! DATA               10 | FIN 01 | START 02
//!                    channel message
//!                    START: delivery[1] tag[2], without FIN also total + 1 or 0 = unknown
//!                    else:  offset
//!                    len payload[len]
//! ```
//!
//! All numbers without a size in brackets are variable-length integers.

use super::codec::{DecodeError, Reader, put_varint, varint_len};
use super::ranges::RangeSet;

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const ACK: u8 = 0x02;
const ACK_ECN: u8 = 0x03;
const CREDIT_CONNECTION: u8 = 0x04;
const CREDIT_CHANNEL: u8 = 0x05;
const RESET: u8 = 0x06;
const STOP: u8 = 0x07;
const TAKEN: u8 = 0x08;
const CLOSE: u8 = 0x09;
const PATH_CHALLENGE: u8 = 0x0a;
const PATH_RESPONSE: u8 = 0x0b;
const RECEIVED: u8 = 0x0c;
const DATA: u8 = 0x10;
const DATA_FIN: u8 = 0x01;
const DATA_START: u8 = 0x02;

/// How the messages of a channel travel. The sender chooses it once for its direction of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Delivery {
    /// Every message arrives, in the order of sending. The default.
    #[default]
    Ordered,
    /// Every message arrives, each as soon as it is whole.
    Unordered,
    /// Only the newest value matters: one that is superseded need not arrive.
    Latest,
    /// At most one datagram long, sent once, never repaired.
    Unreliable,
}

impl Delivery {
    const fn code(self) -> u8 {
        match self {
            Self::Ordered => 0,
            Self::Unordered => 1,
            Self::Latest => 2,
            Self::Unreliable => 3,
        }
    }

    fn from_code(code: u8) -> Result<Self, DecodeError> {
        Ok(match code {
            0 => Self::Ordered,
            1 => Self::Unordered,
            2 => Self::Latest,
            3 => Self::Unreliable,
            _ => return Err(DecodeError::Value("delivery")),
        })
    }
}

/// Why a connection ends, beside the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseKind {
    /// The application closed it, after waiting for what was under way.
    Close,
    /// The application gave it up at once.
    Abort,
    /// The application refused it.
    Refuse,
    /// The peer broke the protocol; the code says how.
    Violation,
}

impl CloseKind {
    const fn code(self) -> u8 {
        match self {
            Self::Close => 0,
            Self::Abort => 1,
            Self::Refuse => 2,
            Self::Violation => 3,
        }
    }

    fn from_code(code: u8) -> Result<Self, DecodeError> {
        Ok(match code {
            0 => Self::Close,
            1 => Self::Abort,
            2 => Self::Refuse,
            3 => Self::Violation,
            _ => return Err(DecodeError::Value("close kind")),
        })
    }
}

/// What the first chunk of a message says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageStart {
    /// The mode of the channel, the same in every message of it.
    pub delivery: Delivery,
    /// The content tag: opaque here, for the floors above.
    pub tag: u16,
    /// How long the whole message is, where the sender knows it.
    pub len: Option<u64>,
}

/// A chunk of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// The channel, in the sender's direction.
    pub channel: u16,
    /// The message's number on that channel, from 0, without gaps.
    pub message: u64,
    /// Where in the message the payload stands. 0 where `start` is given.
    pub offset: u64,
    /// Given in the first chunk and only there.
    pub start: Option<MessageStart>,
    /// True when the payload ends the message.
    pub fin: bool,
    /// The bytes.
    pub payload: &'a [u8],
}

impl<'a> Data<'a> {
    /// Where the payload ends in the message.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset + self.payload.len() as u64
    }

    /// Bytes before the payload's, if the payload has `payload_len` bytes.
    #[must_use]
    pub fn header_len(&self, payload_len: usize) -> usize {
        let place = match self.start {
            Some(start) if !self.fin => 3 + varint_len(start.len.map_or(0, |len| len + 1)),
            Some(_) => 3,
            None => varint_len(self.offset),
        };
        1 + varint_len(u64::from(self.channel)) + varint_len(self.message) + place + varint_len(payload_len as u64)
    }

    /// Appends the frame's header; the caller appends `payload_len` bytes of payload.
    pub fn put_header(&self, out: &mut Vec<u8>, payload_len: usize) {
        let fin = if self.fin { DATA_FIN } else { 0 };
        let start = if self.start.is_some() { DATA_START } else { 0 };
        out.push(DATA | fin | start);
        put_varint(out, u64::from(self.channel));
        put_varint(out, self.message);
        match self.start {
            Some(start) => {
                out.push(start.delivery.code());
                out.extend_from_slice(&start.tag.to_be_bytes());
                if !self.fin {
                    put_varint(out, start.len.map_or(0, |len| len + 1));
                }
            }
            None => put_varint(out, self.offset),
        }
        put_varint(out, payload_len as u64);
    }

    fn decode(kind: u8, input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let fin = kind & DATA_FIN != 0;
        let channel = input.channel()?;
        let message = input.varint()?;
        let (start, offset) = if kind & DATA_START != 0 {
            let delivery = Delivery::from_code(input.u8()?)?;
            let tag = input.u16()?;
            let len = if fin { None } else { input.varint()?.checked_sub(1) };
            (Some(MessageStart { delivery, tag, len }), 0)
        } else {
            (None, input.varint()?)
        };
        let payload = input.varint_bytes()?;
        let end = offset + payload.len() as u64; // below 2^62 + 2^62
        if end > super::VARINT_MAX {
            return Err(DecodeError::Value("offset"));
        }
        let start = start.map(|start| MessageStart { len: if fin { Some(end) } else { start.len }, ..start });
        if start.is_some_and(|start| start.len.is_some_and(|len| len < end)) {
            return Err(DecodeError::Value("message length"));
        }
        Ok(Self { channel, message, offset, start, fin, payload })
    }
}

/// Encoded ranges, checked when they were decoded: iterating cannot fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeList<'a> {
    count: u64,
    bytes: &'a [u8],
}

impl<'a> RangeList<'a> {
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = input.varint()?;
        if count == 0 {
            return Err(DecodeError::Value("range count"));
        }
        let bytes = input.rest();
        let mut end = 0u64;
        for _ in 0..count {
            let gap = input.varint()?;
            let len = input.varint()?;
            end = end.checked_add(gap).and_then(|start| start.checked_add(len)).ok_or(DecodeError::Value("range"))?;
            if len == 0 || end > super::VARINT_MAX {
                return Err(DecodeError::Value("range"));
            }
        }
        Ok(Self { count, bytes: &bytes[..bytes.len() - input.rest().len()] })
    }

    /// The ranges, lowest first.
    pub fn iter(self) -> impl Iterator<Item = core::ops::Range<u64>> + 'a {
        let mut input = Reader::new(self.bytes);
        let mut end = 0;
        (0..self.count).map_while(move |_| {
            let start = end + input.varint().ok()?;
            end = start + input.varint().ok()?;
            Some(start..end)
        })
    }
}

/// Acknowledged packet numbers, highest first, checked when they were decoded.
///
/// ```text
/// largest ........... 100   acknowledged 100..=98 (first_len 3), then a gap of 2 numbers
/// first_len 3                (97, 96), then 95..=92 (len 4)
/// { gap 2, len 4 }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckBlocks<'a> {
    largest: u64,
    count: u64,
    bytes: &'a [u8],
}

impl<'a> AckBlocks<'a> {
    fn decode(largest: u64, input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = input.varint()?;
        if count == 0 {
            return Err(DecodeError::Value("ack blocks"));
        }
        let bytes = input.rest();
        let mut start = largest + 1;
        for block in 0..count {
            let gap = if block == 0 { 0 } else { input.varint()? };
            let len = input.varint()?;
            let forbidden = len == 0 || (block > 0 && gap == 0);
            start =
                start.checked_sub(gap).and_then(|end| end.checked_sub(len)).ok_or(DecodeError::Value("ack block"))?;
            if forbidden {
                return Err(DecodeError::Value("ack block"));
            }
        }
        Ok(Self { largest, count, bytes: &bytes[..bytes.len() - input.rest().len()] })
    }

    /// The ranges, highest first.
    pub fn iter(self) -> impl Iterator<Item = core::ops::Range<u64>> + 'a {
        let mut input = Reader::new(self.bytes);
        let mut start = self.largest + 1;
        (0..self.count).map_while(move |block| {
            let gap = if block == 0 { 0 } else { input.varint().ok()? };
            let end = start - gap;
            start = end - input.varint().ok()?;
            Some(start..end)
        })
    }
}

/// Appends an ACK frame for the highest ranges of `received` that fit into `room` bytes, at most `blocks_max`.
/// Appends nothing and returns false where `received` is empty or not even one range fits.
pub fn put_ack_blocks(
    out: &mut Vec<u8>,
    room: usize,
    received: &RangeSet,
    blocks_max: usize,
    delay_us: u64,
    ecn: Option<EcnCounts>,
) -> bool {
    let Some(last) = received.last() else { return false };
    let largest = last.end - 1;
    let ecn_len = ecn.map_or(0, |ecn| varint_len(ecn.ect0) + varint_len(ecn.ect1) + varint_len(ecn.ce));
    let first_len = last.end - last.start;
    // The count is written for up to 2 bytes: blocks_max stays below 16,384.
    let fixed = 1 + varint_len(largest) + varint_len(delay_us) + 2 + varint_len(first_len) + ecn_len;
    if fixed > room {
        return false;
    }
    let mut used = fixed;
    let mut count = 1u64;
    let mut low = last.start;
    for range in received.iter().rev().skip(1).take(blocks_max.clamp(1, 16_383) - 1) {
        let more = varint_len(low - range.end) + varint_len(range.end - range.start);
        if used + more > room {
            break;
        }
        used += more;
        count += 1;
        low = range.start;
    }
    out.push(if ecn.is_some() { ACK_ECN } else { ACK });
    put_varint(out, largest);
    put_varint(out, delay_us);
    put_varint(out, count);
    put_varint(out, first_len);
    let mut low = last.start;
    for range in received.iter().rev().skip(1).take(usize::try_from(count - 1).unwrap_or(usize::MAX)) {
        put_varint(out, low - range.end);
        put_varint(out, range.end - range.start);
        low = range.start;
    }
    if let Some(ecn) = ecn {
        put_varint(out, ecn.ect0);
        put_varint(out, ecn.ect1);
        put_varint(out, ecn.ce);
    }
    true
}

/// How many packets arrived with each ECN codepoint (RFC 3168).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct EcnCounts {
    /// Packets marked ECT(0).
    pub ect0: u64,
    /// Packets marked ECT(1).
    pub ect1: u64,
    /// Packets marked "congestion experienced".
    pub ce: u64,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Nothing; fills a packet up to a size. Decoded, all that stand together are one.
    Padding,
    /// Nothing; asks for an acknowledgement.
    Ping,
    /// Which packets arrived.
    Ack {
        /// The acknowledged packet numbers.
        blocks: AckBlocks<'a>,
        /// The highest of them.
        largest: u64,
        /// How long ago the highest arrived, in microseconds.
        delay_us: u64,
        /// How many packets came with each ECN codepoint, where the receiver sees them.
        ecn: Option<EcnCounts>,
    },
    /// How much the receiver has handled: TCP's acknowledgement.
    Received {
        /// Records handled since the beginning.
        count: u64,
    },
    /// How many bytes the peer may have sent on all channels together.
    CreditConnection {
        /// The cumulative limit, in credit bytes.
        limit: u64,
    },
    /// How many bytes the peer may have sent on one channel.
    CreditChannel {
        /// The channel, in the direction of the frame's receiver.
        channel: u16,
        /// The cumulative limit, in credit bytes.
        limit: u64,
    },
    /// The sender gives up a message.
    Reset {
        /// The channel, in the direction of the frame's sender.
        channel: u16,
        /// The message.
        message: u64,
        /// How many of its bytes count against the credit.
        final_size: u64,
        /// The application's reason.
        code: u32,
    },
    /// The receiver refuses a message.
    Stop {
        /// The channel, in the direction of the frame's receiver.
        channel: u16,
        /// The message.
        message: u64,
        /// The application's reason.
        code: u32,
    },
    /// Messages handed to the receiving application.
    Taken {
        /// The channel, in the direction of the frame's receiver.
        channel: u16,
        /// Their numbers.
        messages: RangeList<'a>,
    },
    /// The connection ends.
    Close {
        /// How it came to this.
        kind: CloseKind,
        /// The application's or the protocol's reason.
        code: u32,
    },
    /// A chunk of a message.
    Data(Data<'a>),
}

impl<'a> Frame<'a> {
    /// The frame at the front of `input`.
    pub fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let kind = input.u8()?;
        Ok(match kind {
            PADDING => {
                // A run of it is one frame: a probe for the path MTU holds 64 KB of nothing else.
                input.skip_zeros();
                Self::Padding
            }
            PING => Self::Ping,
            ACK | ACK_ECN => {
                let largest = input.varint()?;
                let delay_us = input.varint()?;
                let blocks = AckBlocks::decode(largest, input)?;
                let ecn = if kind == ACK_ECN {
                    Some(EcnCounts { ect0: input.varint()?, ect1: input.varint()?, ce: input.varint()? })
                } else {
                    None
                };
                Self::Ack { blocks, largest, delay_us, ecn }
            }
            CREDIT_CONNECTION => Self::CreditConnection { limit: input.varint()? },
            CREDIT_CHANNEL => Self::CreditChannel { channel: input.channel()?, limit: input.varint()? },
            RESET => Self::Reset {
                channel: input.channel()?,
                message: input.varint()?,
                final_size: input.varint()?,
                code: input.varint_u32("reset code")?,
            },
            STOP => {
                Self::Stop { channel: input.channel()?, message: input.varint()?, code: input.varint_u32("stop code")? }
            }
            TAKEN => Self::Taken { channel: input.channel()?, messages: RangeList::decode(input)? },
            CLOSE => Self::Close { kind: CloseKind::from_code(input.u8()?)?, code: input.varint_u32("close code")? },
            // Reserved: a version 1 endpoint sends none and has no use for one that it gets.
            PATH_CHALLENGE | PATH_RESPONSE => return Err(DecodeError::Type(kind)),
            RECEIVED => Self::Received { count: input.varint()? },
            _ if kind & !(DATA_FIN | DATA_START) == DATA => Self::Data(Data::decode(kind, input)?),
            _ => return Err(DecodeError::Type(kind)),
        })
    }

    /// Appends the frame. ACK and TAKEN are written from the sets they stand for: [`put_ack_blocks`],
    /// [`Frame::put_taken`].
    ///
    /// # Panics
    /// On `Ack` and `Taken`, which have no owned form.
    pub fn put(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Padding => out.push(PADDING),
            Self::Ping => out.push(PING),
            Self::Received { count } => {
                out.push(RECEIVED);
                put_varint(out, count);
            }
            Self::CreditConnection { limit } => {
                out.push(CREDIT_CONNECTION);
                put_varint(out, limit);
            }
            Self::CreditChannel { channel, limit } => {
                out.push(CREDIT_CHANNEL);
                put_varint(out, u64::from(channel));
                put_varint(out, limit);
            }
            Self::Reset { channel, message, final_size, code } => {
                out.push(RESET);
                put_varint(out, u64::from(channel));
                put_varint(out, message);
                put_varint(out, final_size);
                put_varint(out, u64::from(code));
            }
            Self::Stop { channel, message, code } => {
                out.push(STOP);
                put_varint(out, u64::from(channel));
                put_varint(out, message);
                put_varint(out, u64::from(code));
            }
            Self::Close { kind, code } => {
                out.push(CLOSE);
                out.push(kind.code());
                put_varint(out, u64::from(code));
            }
            Self::Data(data) => {
                data.put_header(out, data.payload.len());
                out.extend_from_slice(data.payload);
            }
            Self::Ack { .. } | Self::Taken { .. } => unreachable!("written from their sets"),
        }
    }

    /// Appends a TAKEN frame of as many of the lowest ranges of `taken` as fit into `room` bytes, takes those out of
    /// the set and returns them. Appends nothing where none fits.
    pub fn put_taken(out: &mut Vec<u8>, room: usize, channel: u16, taken: &mut RangeSet) -> RangeSet {
        let mut used = 1 + varint_len(u64::from(channel)) + 2;
        let mut end = 0;
        let mut chosen = RangeSet::new();
        for range in taken.iter().take(TAKEN_RANGES_MAX) {
            used += varint_len(range.start - end) + varint_len(range.end - range.start);
            if used > room {
                break;
            }
            end = range.end;
            chosen.insert(range);
        }
        if chosen.is_empty() {
            return chosen;
        }
        out.push(TAKEN);
        put_varint(out, u64::from(channel));
        put_varint(out, chosen.range_count() as u64);
        let mut end = 0;
        for range in chosen.iter() {
            put_varint(out, range.start - end);
            put_varint(out, range.end - range.start);
            end = range.end;
            taken.pop_first();
        }
        chosen
    }
}

/// Ranges in one TAKEN frame that we send.
const TAKEN_RANGES_MAX: usize = 64;

/// The frames of a packet's or record's payload, one after the other; ends after the first error.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    input: Reader<'a>,
}

impl<'a> Frames<'a> {
    /// The frames in `payload`.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { input: Reader::new(payload) }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.input.is_empty() {
            return None;
        }
        let frame = Frame::decode(&mut self.input);
        if frame.is_err() {
            self.input = Reader::new(&[]);
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests;
