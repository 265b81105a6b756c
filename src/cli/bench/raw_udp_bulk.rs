//! Batches of datagrams for raw UDP's `bulk`: many in one system call, cut and joined by the kernel (GSO, GRO).

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};

use super::content::{Content, NUMBER_LEN, PERIOD};
use super::error::Error;
use super::raw_udp::DATAGRAM_MAX;
use super::wait;

/// Sends bursts of equal datagrams.
pub(crate) struct Sender {
    state: UdpSocketState,
    to: SocketAddr,
    /// Datagrams in one call.
    burst: usize,
    /// Messages `0..PERIOD + burst`, one behind the other: from any message on, a whole burst stands here, and only its
    /// numbers have to be written.
    ring: Vec<u8>,
}

impl Sender {
    /// For `udp`, connected to `to`, and datagrams of `size` bytes.
    pub(crate) fn new(udp: &UdpSocket, to: SocketAddr, size: usize) -> io::Result<Self> {
        let state = UdpSocketState::new(udp.into())?;
        let burst = state.max_gso_segments().min(DATAGRAM_MAX / size).max(1);
        Ok(Self { state, to, burst, ring: Vec::new() })
    }

    /// Datagrams in one call.
    pub(crate) fn burst(&self) -> u64 {
        u64::try_from(self.burst).expect("a small number")
    }

    /// Sends messages `from..from + count`, at most a burst; waits while there is no room.
    pub(crate) fn send(&mut self, udp: &UdpSocket, content: &Content, from: u64, count: u64) -> Result<(), Error> {
        if self.ring.is_empty() {
            (0..PERIOD + self.burst()).for_each(|n| content.append(n, &mut self.ring));
        }
        let size = content.size();
        let index = |n: u64| usize::try_from(n).expect("less than two periods");
        let start = index(from % PERIOD) * size;
        let contents = &mut self.ring[start..start + index(count) * size];
        for (n, datagram) in (from..).zip(contents.chunks_exact_mut(size)) {
            datagram[..NUMBER_LEN].copy_from_slice(&n.to_be_bytes());
        }
        let segment_size = (count > 1).then_some(size);
        let transmit = Transmit { destination: self.to, ecn: None, contents, segment_size, src_ip: None };
        while let Err(error) = self.state.try_send(udp.into(), &transmit) {
            match error.kind() {
                io::ErrorKind::WouldBlock => wait::writable(udp).map_err(|error| Error::io("send")(error.into()))?,
                io::ErrorKind::Interrupted => {}
                // A local packet filter drops with an error: lost like any other.
                io::ErrorKind::PermissionDenied => return Ok(()),
                _ => return Err(Error::io("send")(error)),
            }
        }
        Ok(())
    }
}

/// Buffers in one call. Each may hold many datagrams joined; more buffers than this leave the cache before they are
/// read.
const BUFFERS: usize = 8;

/// No datagram, joined or not, is longer.
const BUFFER_LEN: usize = 1 << 16;

/// Takes datagrams in batches and gives them one by one.
pub(crate) struct Receiver {
    state: UdpSocketState,
    buffers: Vec<u8>,
    metas: [RecvMeta; BUFFERS],
    /// How many of `metas` hold something.
    filled: usize,
    /// Which of them is being given, and from which byte on.
    index: usize,
    next: usize,
    /// Where in `buffers` the datagram given last stands.
    body: (usize, usize),
}

impl Receiver {
    /// For `udp`.
    pub(crate) fn new(udp: &UdpSocket) -> io::Result<Self> {
        Ok(Self {
            state: UdpSocketState::new(udp.into())?,
            buffers: vec![0; BUFFERS * BUFFER_LEN],
            metas: [RecvMeta::default(); BUFFERS],
            filled: 0,
            index: 0,
            next: 0,
            body: (0, 0),
        })
    }

    /// The datagram that was taken last.
    pub(crate) fn body(&self) -> &[u8] {
        &self.buffers[self.body.0..self.body.1]
    }

    /// Takes a datagram, from the last batch or from the socket, if there is one.
    pub(crate) fn take(&mut self, udp: &UdpSocket) -> Result<bool, Error> {
        loop {
            if self.take_from_batch() {
                return Ok(true);
            }
            if !self.fill(udp.into())? {
                return Ok(false);
            }
        }
    }

    fn take_from_batch(&mut self) -> bool {
        while self.index < self.filled {
            let meta = self.metas[self.index];
            if self.next < meta.len {
                let start = self.index * BUFFER_LEN + self.next;
                self.next = meta.len.min(self.next + meta.stride);
                self.body = (start, self.index * BUFFER_LEN + self.next);
                return true;
            }
            self.index += 1;
            self.next = 0;
        }
        false
    }

    fn fill(&mut self, udp: UdpSockRef<'_>) -> Result<bool, Error> {
        let mut chunks = self.buffers.chunks_exact_mut(BUFFER_LEN);
        let mut slices: [IoSliceMut<'_>; BUFFERS] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().expect("there are as many chunks as buffers")));
        (self.filled, self.index, self.next) = (0, 0, 0);
        match self.state.recv(udp, &mut slices, &mut self.metas) {
            Ok(filled) => self.filled = filled,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(Error::io("receive")(error)),
        }
        Ok(self.filled > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        a.connect(b.local_addr().unwrap()).unwrap();
        b.connect(a.local_addr().unwrap()).unwrap();
        (a, b)
    }

    #[test]
    fn bursts_from_any_message_on_arrive_as_the_messages_that_they_are() {
        let (a, b) = pair();
        let content = Content::new(700, true);
        let mut sender = Sender::new(&a, b.local_addr().unwrap(), 700).unwrap();
        let mut receiver = Receiver::new(&b).unwrap();
        let mut expected = 0;
        while expected < 3 * PERIOD {
            let count = sender.burst().min(7);
            sender.send(&a, &content, expected, count).unwrap();
            for n in expected..expected + count {
                while !receiver.take(&b).unwrap() {
                    wait::readable(&b, None).unwrap();
                }
                content.check(n, receiver.body()).unwrap();
            }
            expected += count;
        }
        assert!(!receiver.take(&b).unwrap(), "nothing is given twice");
    }

    #[test]
    fn the_largest_datagram_goes_alone() {
        let (a, b) = pair();
        let content = Content::new(DATAGRAM_MAX, true);
        let mut sender = Sender::new(&a, b.local_addr().unwrap(), DATAGRAM_MAX).unwrap();
        let mut receiver = Receiver::new(&b).unwrap();
        assert_eq!(sender.burst(), 1);
        sender.send(&a, &content, 5, 1).unwrap();
        wait::readable(&b, None).unwrap();
        assert!(receiver.take(&b).unwrap());
        content.check(5, receiver.body()).unwrap();
    }
}
