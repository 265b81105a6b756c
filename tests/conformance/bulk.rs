//! Much at once, into the receive buffer that most machines have.

use crate::pair::{Pair, STUCK};

/// Most users' limit of a socket's receive buffer, in bytes.
const SMALL_BUFFER: usize = 208 << 10;

fn kernel_drops(pair: &Pair) -> Option<(u64, u64)> {
    let stats = pair.server.transport_stats();
    Some((stats.kernel_drops?, stats.datagrams_received?))
}

pub(crate) fn a_million_small_messages(pair: Pair) {
    let count: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let pair = pair.with(|config| config.receive_buffer = Some(SMALL_BUFFER));
    let (client, server) = pair.connect();
    let sender = pair.beside(move || {
        for at in 0..count {
            client.send(at.to_be_bytes().to_vec()).unwrap();
        }
        client.close(0)
    });
    for at in 0..count {
        let message = server.recv_timeout(STUCK).unwrap();
        assert_eq!(message.into_bytes(8).unwrap(), at.to_be_bytes().as_slice());
    }
    assert!(sender.join().unwrap().all_taken());
    if let Some((drops, received)) = kernel_drops(&pair) {
        println!("{drops} datagrams dropped by the kernel, {received} received");
        assert!(drops * 1_000 <= received + drops, "{drops} of {received} dropped by the kernel");
    }
}
