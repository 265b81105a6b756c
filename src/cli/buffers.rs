//! Buffers that come back when the connection has done with them: for each piece of a large file the system would
//! otherwise clear fresh pages, which costs more than reading it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers kept for later, at most: a little more than a connection holds of ours at once.
const KEPT_MAX: usize = 40;

/// Buffers of one size.
pub(crate) struct Buffers {
    capacity: usize,
    free: Free,
}

type Free = Arc<Mutex<Vec<Vec<u8>>>>;

/// A buffer on loan to whoever holds the bytes.
struct Loan {
    buffer: Vec<u8>,
    free: Free,
}

impl Buffers {
    /// Buffers of `capacity` bytes; none yet.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, free: Free::default() }
    }

    /// An empty buffer.
    pub(crate) fn take(&self) -> Vec<u8> {
        let used = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        used.unwrap_or_else(|| Vec::with_capacity(self.capacity))
    }

    /// `buffer` as bytes; it comes back when the last of them is dropped.
    pub(crate) fn lend(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Loan { buffer, free: Arc::clone(&self.free) })
    }
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT_MAX {
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_of_its_bytes_is_dropped() {
        let buffers = Buffers::new(1_000);
        let mut buffer = buffers.take();
        buffer.extend_from_slice(b"content");
        let place = buffer.as_ptr();
        let bytes = buffers.lend(buffer);
        let part = bytes.slice(3..);
        drop(bytes);
        let other = buffers.take();
        assert_ne!(other.as_ptr(), place);
        assert_eq!(part, b"tent"[..]);
        drop(part);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
    }

    #[test]
    fn no_more_are_kept_than_the_limit() {
        let buffers = Buffers::new(10);
        let lent: Vec<Bytes> = (0..=KEPT_MAX).map(|_| buffers.lend(buffers.take())).collect();
        drop(lent);
        assert_eq!(buffers.free.lock().unwrap().len(), KEPT_MAX);
    }
}
