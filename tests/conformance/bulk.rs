//! Much at once, into the receive buffer that most machines have.

use std::io::{Read as _, Write as _};

use udpair::Connection;
use udpair::transport::Body;

use crate::pair::{Pair, STUCK, content};

/// What the kernel then says that it holds: most machines' limit (`net.core.rmem_default`), 208 KiB. Linux doubles
/// what it is asked for.
const SMALL_BUFFER: usize = 212_992;

/// Small messages, and bytes of bulk beside them. The claim's own size takes an optimised build.
const SIZE: (u64, u64) = if cfg!(debug_assertions) { (50_000, 32 << 20) } else { (1_000_000, 1 << 30) };

/// Of the datagrams that came, one in so many may be dropped by the kernel.
const DROPS_ONE_IN: u64 = 1_000;

const BULK: u16 = 1;
const SMALL: u16 = 2;
const BLOCK_LEN: usize = 1 << 20;

pub(crate) fn a_small_receive_buffer_holds_bulk_and_a_million_small_messages(pair: Pair) {
    let (count, bulk_len) = SIZE;
    let pair = pair.with(|config| config.receive_buffer = Some(SMALL_BUFFER / 2));
    let (client, server) = pair.connect();
    let (bulk_client, bulk_server) = (client.clone(), server.clone());
    let bulk_sender = pair.beside(move || send_bulk(&bulk_client, bulk_len));
    let bulk_receiver = pair.beside(move || receive_bulk(&bulk_server, bulk_len));
    let small_client = client.clone();
    let small_sender = pair.beside(move || {
        for at in 0..count {
            small_client.send_on(SMALL, 0, at.to_be_bytes().to_vec()).unwrap();
        }
    });
    for at in 0..count {
        let message = server.recv_on_timeout(SMALL, STUCK).unwrap();
        assert_eq!(message.into_bytes(8).unwrap(), at.to_be_bytes().as_slice());
    }
    for thread in [bulk_sender, bulk_receiver, small_sender] {
        thread.join().unwrap();
    }
    assert!(client.close(0).all_taken());
    check_drops(&pair, bulk_len);
}

fn send_bulk(conn: &Connection, len: u64) {
    let block = content(1, BLOCK_LEN);
    let mut writer = conn.begin(BULK, 0, Some(len)).unwrap();
    for _ in 0..len / BLOCK_LEN as u64 {
        writer.write_all(&block).unwrap();
    }
    writer.finish().unwrap();
}

fn receive_bulk(conn: &Connection, len: u64) {
    let block = content(1, BLOCK_LEN);
    let Body::Stream(mut reader) = conn.recv_on_timeout(BULK, STUCK).unwrap().body else { panic!("too long for that") };
    let mut got = vec![0; BLOCK_LEN];
    for _ in 0..len / BLOCK_LEN as u64 {
        reader.read_exact(&mut got).unwrap();
        assert!(got == block);
    }
    assert_eq!(reader.read(&mut got).unwrap(), 0);
}

/// Where the transport is a datagram socket: what the kernel dropped.
fn check_drops(pair: &Pair, bulk_len: u64) {
    let stats = pair.server.transport_stats();
    let (Some(drops), Some(received)) = (stats.kernel_drops, stats.datagrams_received) else { return };
    assert_eq!(stats.receive_buffer, Some(SMALL_BUFFER));
    println!("{received} datagrams received, {drops} dropped by the kernel, buffer {SMALL_BUFFER} bytes");
    assert!(received > bulk_len / 65_536, "{received} datagrams cannot have held it all");
    assert!(drops * DROPS_ONE_IN < received, "the kernel dropped {drops} datagrams and gave us {received}");
}
