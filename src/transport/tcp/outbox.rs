//! What the core asks of the sockets, and what it is told of it: the way between the two goes through here.

use std::io::ErrorKind;
use std::sync::Arc;

use super::stream::Stream;
use crate::slots::ConnectionId;

/// Buffers that are kept to be used again.
const SPARE_MAX: usize = 8;
/// A buffer that has grown beyond this is not kept.
const SPARE_LEN_MAX: usize = 1024 * 1024;

/// Bytes on their way to a socket.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// So many of them are written.
    pub(super) written: usize,
}

impl Chunk {
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }
}

/// Something to be done with a socket. Jobs of a socket are done in order.
#[derive(Debug)]
pub(super) enum Job {
    /// Poll it: it is connecting.
    Watch { id: ConnectionId, stream: Arc<Stream> },
    /// Write to it. Answered by a [`Done`].
    Write { id: ConnectionId, stream: Arc<Stream>, chunk: Chunk },
    /// End the stream to the peer.
    Shut { stream: Arc<Stream> },
    /// Close it.
    Drop { stream: Arc<Stream> },
    /// Accept callers, or leave them to wait in the kernel's queue.
    Accept { on: bool },
}

/// What came of a job.
#[derive(Debug)]
pub(super) enum Done {
    /// All was written.
    Written { id: ConnectionId, chunk: Chunk },
    /// The kernel took no more; it will tell when it does.
    Stuck { id: ConnectionId, chunk: Chunk },
    /// The stream takes nothing any more.
    Failed { id: ConnectionId, kind: ErrorKind },
}

/// Something that a socket has brought.
#[derive(Debug)]
pub(super) enum Brought {
    /// These of the buffer's bytes.
    Bytes { key: u64, range: core::ops::Range<usize> },
    /// The end of the peer's stream.
    End { key: u64 },
    /// It is broken, or was never connected.
    Failed { key: u64, kind: ErrorKind },
    /// It has room again, or is connected.
    Room { key: u64 },
    /// A caller.
    Caller { stream: Arc<Stream>, remote: core::net::SocketAddr },
    /// No caller can be accepted for want of descriptors or memory.
    Short,
}

/// Buffers for [`Chunk`]s, to be used again.
#[derive(Debug, Default)]
pub(super) struct Spare {
    buffers: Vec<Vec<u8>>,
}

impl Spare {
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        if self.buffers.len() < SPARE_MAX && buffer.capacity() <= SPARE_LEN_MAX {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}
