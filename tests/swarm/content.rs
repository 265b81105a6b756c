//! What messages say: a function of who they are, so that every byte can be checked wherever it turns up.

use std::sync::LazyLock;

use bytes::Bytes;
use udpair::message::{Limits, MESSAGE_COST};

use crate::chance::Chance;

/// Where messages begin in the table.
const STARTS: u64 = 1 << 20;
/// The longest message.
pub(crate) const LEN_MAX: usize = 1 << 18;

/// What a side may hold for sending: it has room for messages, and as much for values; two of the former, and one of
/// the latter, may go over that.
pub(crate) fn queued_max(limits: &Limits) -> u64 {
    2 * limits.mended().send_queue + 3 * (LEN_MAX as u64 + MESSAGE_COST)
}

static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut chance = Chance::new(0x5ee_d0fc_0447_e475);
    (0..(STARTS + LEN_MAX as u64) / 8).flat_map(|_| chance.any().to_le_bytes()).collect()
});

/// A message's name in its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    /// The half connection that sends it.
    pub key: u16,
    pub channel: u16,
    pub id: u64,
}

/// Bytes `from..to` of a message.
pub(crate) fn bytes(name: Name, from: usize, to: usize) -> &'static [u8] {
    let start = Chance::new(u64::from(name.key) << 48 | u64::from(name.channel) << 32 | name.id).of(0..=STARTS - 1);
    let start = usize::try_from(start).unwrap();
    &TABLE[start + from..start + to]
}

/// A whole message.
pub(crate) fn whole(name: Name, len: usize) -> Bytes {
    Bytes::from_static(bytes(name, 0, len))
}
