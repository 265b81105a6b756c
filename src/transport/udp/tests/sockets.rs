//! The socket's traps, on real sockets and without a protocol above them.

use std::net::{SocketAddr, UdpSocket};

use super::{config, loopback, pattern};
use crate::proto::{self, Ecn, Transmit};
use crate::time::Timestamp;
use crate::transport::TransportStats;
use crate::transport::driven::{Core as _, Drainer, Io as _, Received, Transmitted};
use crate::transport::udp::core::UdpCore;
use crate::transport::udp::io::{UdpIo, UdpRx, UdpTx, mark};

/// A socket, and what a core would have put into its outbox.
fn sender(batches: &[(SocketAddr, usize, Option<usize>)]) -> (UdpIo, UdpTx) {
    let io = UdpIo::bind(loopback(), &config()).unwrap();
    let mut tx = UdpTx::default();
    for &(to, len, segment) in batches {
        let outbox = &mut tx.outbox;
        outbox.buffer().extend(pattern(len, 1));
        outbox.commit(&Transmit { to, from: None, len, segment, ecn: Some(Ecn::Ect0) });
        outbox.buffer().clear();
    }
    (io, tx)
}

fn refused(io: &UdpIo) -> Option<u64> {
    let mut stats = TransportStats::default();
    io.stats(&mut stats);
    stats.refused_by_system
}

#[test]
fn datagrams_that_the_kernel_joined_come_apart_again_and_keep_their_mark() {
    let receiver = UdpIo::bind(loopback(), &config()).unwrap();
    let (sender, mut tx) = sender(&[(receiver.local_addr(), 20_500, Some(1_000))]);
    assert_eq!(sender.transmit(&mut tx), Transmitted::Done);
    let mut rx = UdpRx::new();
    let mut seen = Vec::new();
    while receiver.receive(&mut rx) != Received::Nothing {
        seen.extend(rx.datagrams().map(|(meta, datagram)| (meta.ecn.map(mark), datagram.to_vec())));
    }
    assert_eq!(seen.len(), 21);
    assert!(seen.iter().all(|(ecn, _)| *ecn == Some(Ecn::Ect0)), "a mark was lost");
    assert_eq!(seen.into_iter().flat_map(|(_, datagram)| datagram).collect::<Vec<_>>(), pattern(20_500, 1));
}

#[test]
fn an_empty_datagram_is_one_that_is_dropped_by_name() {
    let receiver = UdpIo::bind(loopback(), &config()).unwrap();
    UdpSocket::bind(loopback()).unwrap().send_to(&[], receiver.local_addr()).unwrap();
    let mut core = UdpCore::new(proto::Config::default(), &[0; 32], false, true);
    let mut rx = UdpRx::new();
    assert_eq!(receiver.receive(&mut rx), Received::Last);
    receiver.handle(&mut rx, &mut core, Timestamp::ZERO, Drainer::Caller);
    let mut stats = TransportStats::default();
    core.transport_stats(&mut stats);
    assert_eq!((stats.datagrams_received, stats.drops), (Some(1), vec![("malformed", 1)]));
}

#[test]
fn a_datagram_that_the_system_refuses_is_lost_and_those_behind_it_go() {
    let receiver = UdpSocket::bind(loopback()).unwrap();
    let to = receiver.local_addr().unwrap();
    // Longer than an IP packet can be.
    let (sender, mut tx) = sender(&[(to, 65_508, None), (to, 10, None)]);
    assert_eq!(sender.transmit(&mut tx), Transmitted::Done);
    assert_eq!(refused(&sender), Some(1));
    assert_eq!(receiver.recv(&mut [0; 100]).unwrap(), 10);
}

#[test]
fn what_icmp_says_about_one_peer_costs_another_no_datagram() {
    let gone = UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
    let receiver = UdpSocket::bind(loopback()).unwrap();
    let to = receiver.local_addr().unwrap();
    let (sender, mut tx) = sender(&[(gone, 10, None), (to, 20, None), (gone, 10, None), (to, 30, None)]);
    assert_eq!(sender.transmit(&mut tx), Transmitted::Done);
    assert_eq!(refused(&sender), Some(0));
    let mut buffer = [0; 100];
    assert_eq!((receiver.recv(&mut buffer).unwrap(), receiver.recv(&mut buffer).unwrap()), (20, 30));
    // And it is known who is gone, once for each datagram.
    let mut rx = UdpRx::new();
    let mut told = 0;
    while sender.receive(&mut rx) != Received::Nothing {
        told += rx.unreachable().iter().filter(|addr| **addr == gone).count();
    }
    assert_eq!(told, 2);
}
