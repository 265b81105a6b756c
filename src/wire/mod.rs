//! Bytes to packets, records and frames, and back: `spec/wire.md`.
//!
//! Stateless. Any bytes decode to a value or to a [`DecodeError`]; nothing here panics on input or allocates for it
//! beyond what the input itself holds. It knows nothing of time, order, loss or keys.

mod codec;
mod frame;
mod packet;
mod params;
mod ranges;
mod record;

pub use codec::{DecodeError, Reader, VARINT_MAX, put_varint, varint_len};
pub use frame::{
    AckBlocks, CloseKind, Data, Delivery, EcnCounts, Frame, Frames, MessageStart, RangeList, put_ack_blocks,
};
pub use packet::{
    CONFIRM_LEN, COOKIE_LEN, Confirm, ConnectionCid, Cookie, DATA_HEADER_LEN, DATA_OVERHEAD, DataHeader, HELLO_LEN,
    Hello, Hello2, KEY_SHARE_LEN, KeyShare, Mode, Packet, RANDOM_LEN, RUN_ID_LEN, Refuse, RefuseCode, Retry, SEAL_LEN,
    Share, VERSION, check_crc, put_crc, start_data,
};
pub use params::Params;
pub use ranges::{RangeSet, shrink_queue};
pub use record::{
    RECORD_BODY_MAX, RECORD_HEADER_LEN, RECORD_OVERHEAD, Record, RecordKind, finish_record, put_record_len,
    start_record,
};

/// The most bytes that an [`Delivery::Unreliable`] message, or a [`Delivery::Latest`] value that counts as one
/// datagram, may have, on every back end and for ever: 1,200 less the largest headers and tag.
pub const UNRELIABLE_LEN_MAX: usize = 1_100;
