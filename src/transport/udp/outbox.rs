//! Datagrams on their way from the core to the kernel. Its buffers are used again and again.

use core::net::{IpAddr, SocketAddr};

use crate::proto::{Ecn, Transmit};

/// How many batches, each at most 65,507 bytes long, are filled in one go.
const BATCHES_MAX: usize = 4;

/// Datagrams of one length (the last may be shorter) to one address.
#[derive(Debug)]
pub(in crate::transport) struct Batch {
    pub(in crate::transport) to: SocketAddr,
    /// Where they are to come from, where the socket has several addresses.
    pub(in crate::transport) from: Option<IpAddr>,
    /// The length of each but the last, where there are several.
    pub(in crate::transport) segment: Option<usize>,
    pub(in crate::transport) ecn: Option<Ecn>,
    bytes: Vec<u8>,
    /// How many bytes have gone.
    gone: usize,
}

impl Batch {
    /// What has not gone yet.
    pub(in crate::transport) fn rest(&self) -> &[u8] {
        &self.bytes[self.gone..]
    }

    /// The next `len` bytes have gone.
    pub(in crate::transport) fn on_gone(&mut self, len: usize) {
        self.gone += len;
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::transport) struct Outbox {
    /// Those from `first` to `end` are to be sent; the others are spare.
    batches: Vec<Batch>,
    first: usize,
    end: usize,
    /// What the core fills next.
    spare: Vec<u8>,
}

impl Outbox {
    pub(in crate::transport) const fn is_empty(&self) -> bool {
        self.first == self.end
    }

    pub(in crate::transport) const fn is_full(&self) -> bool {
        self.end >= BATCHES_MAX
    }

    /// The buffer that the core fills, for [`commit`](Self::commit) to take.
    pub(in crate::transport) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.spare
    }

    /// What the core has put into the buffer is to be sent.
    pub(in crate::transport) fn commit(&mut self, transmit: &Transmit) {
        debug_assert_eq!(transmit.len, self.spare.len(), "the whole buffer is to be sent");
        let Transmit { to, from, segment, ecn, .. } = *transmit;
        if self.end == self.batches.len() {
            self.batches.push(Batch { to, from, segment, ecn, bytes: Vec::new(), gone: 0 });
        }
        let batch = &mut self.batches[self.end];
        std::mem::swap(&mut batch.bytes, &mut self.spare);
        (batch.to, batch.from, batch.segment, batch.ecn, batch.gone) = (to, from, segment, ecn, 0);
        self.end += 1;
    }

    /// The next batch that has not gone.
    pub(in crate::transport) fn front(&mut self) -> Option<&mut Batch> {
        if self.is_empty() { None } else { self.batches.get_mut(self.first) }
    }

    /// The front batch has gone, or counts as lost.
    pub(in crate::transport) fn pop(&mut self) {
        debug_assert!(!self.is_empty());
        self.first += 1;
        if self.is_empty() {
            (self.first, self.end) = (0, 0);
        }
    }
}
