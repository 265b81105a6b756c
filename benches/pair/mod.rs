//! Two endpoints in one thread, joined by nothing but function calls: what the protocol itself costs.

use core::time::Duration;
use std::net::SocketAddr;

use bytes::Bytes;
use udpair::message::{Arrival, ArrivalBody, Messages, Select};
use udpair::proto::{Answer, Config, Drained, Endpoint, Output, PathLimits, Security, Transmit};
use udpair::slots::ConnectionId;
use udpair::time::Timestamp;

/// A way through the kernel and back takes some such time; it moves in step with what is sent, not with the clock.
const HOP: Duration = Duration::from_micros(10);

/// Two endpoints with one connection from the first to the second.
pub(crate) struct Pair {
    hosts: [Endpoint; 2],
    ids: [ConnectionId; 2],
    now: Timestamp,
    buf: Vec<u8>,
    /// Datagrams delivered so far.
    pub(crate) datagrams: u64,
}

fn address(host: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], if host == 0 { 1_000 } else { 2_000 }))
}

impl Pair {
    /// Connected, with the search for the path's MTU done: datagrams are `datagram_len` bytes at most, and each side's
    /// socket holds 4 MiB.
    pub(crate) fn new(datagram_len: u32, security: Security) -> Self {
        let path = PathLimits { datagram_len_max: datagram_len };
        let config = Config { security, receive_buffer: 4 << 20, accept_path: path, ..Config::default() };
        let mut hosts = [1, 2].map(|seed| Endpoint::new(config.clone(), [seed; 32]));
        let now = Timestamp::from_nanos(1_000_000_000);
        let client = hosts[0].connect(now, address(1), path).expect("a fine address");
        let mut pair = Self { hosts, ids: [client; 2], now, buf: Vec::new(), datagrams: 0 };
        while pair.exchange() {}
        pair.ids[1] = pair.hosts[1].incoming().expect("nothing is lost");
        pair.hosts[1].answer(pair.now, pair.ids[1], Answer::Accept);
        while pair.exchange() {}
        for host in 0..2 {
            let link = pair.hosts[host].stats(pair.ids[host]).and_then(|stats| stats.link).expect("it is connected");
            assert_eq!(link.mtu, datagram_len, "the search is over");
        }
        pair
    }

    /// A host's messages.
    pub(crate) fn messages(&mut self, host: usize) -> &mut Messages {
        self.hosts[host].messages_mut(self.ids[host]).expect("it is connected")
    }

    /// The next message that arrived at a host.
    pub(crate) fn recv(&mut self, host: usize) -> Option<Arrival> {
        self.messages(host).recv(Select::Any).expect("it is connected")
    }

    /// The next message that arrived at a host, all of it.
    pub(crate) fn recv_whole(&mut self, host: usize) -> Option<Bytes> {
        match self.recv(host)?.body {
            ArrivalBody::Whole(body) => Some(body),
            ArrivalBody::Stream { .. } => panic!("too long to come whole"),
        }
    }

    /// Both hosts wait; what each has to send is delivered, batch by batch. True when there was anything.
    pub(crate) fn exchange(&mut self) -> bool {
        let sent = self.deliver(0);
        self.deliver(1) || sent
    }

    /// A host waits, and its next batch, if it has one, is delivered as one.
    pub(crate) fn deliver(&mut self, from: usize) -> bool {
        self.hosts[from].handle_wait();
        let Some(transmit) = self.poll(from) else { return false };
        self.now += HOP;
        let to = 1 - from;
        for datagram in self.buf.chunks_mut(transmit.segment.unwrap_or(transmit.len)) {
            self.hosts[to].handle_datagram(self.now, address(from), transmit.ecn, datagram);
            self.datagrams += 1;
        }
        self.hosts[to].handle_batch_end(Drained::ByWaiter);
        true
    }

    fn poll(&mut self, host: usize) -> Option<Transmit> {
        loop {
            match self.hosts[host].poll_output(self.now, &mut self.buf) {
                Output::Transmit(transmit) => return Some(transmit),
                Output::Changed(_) | Output::Incoming => {}
                Output::Wait(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now), "it would spin");
                    return None;
                }
            }
        }
    }
}
