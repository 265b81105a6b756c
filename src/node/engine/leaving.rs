//! The end of a node.

use core::time::Duration;
use std::sync::Arc;

use super::Peer;
use super::watch::{Vain, Watches};
use crate::time::Timestamp;
use crate::transport::{Bell, Connection, Interest};

/// What is waited for of a peer, by its place.
#[derive(Clone, Copy)]
enum Awaited {
    Room(usize),
    Arrived(usize),
}

/// Closes the connections of a node that leaves: what was written has until then to arrive, everywhere at once. `bell`
/// is the node's own.
pub(super) fn close(peers: &[Arc<Peer>], bell: &Bell, until: Timestamp) {
    let mut watches = Watches::new();
    let mut waiting: Vec<&Arc<Peer>> = peers.iter().collect();
    while !waiting.is_empty() {
        let seen = bell.rings();
        watches.clear();
        for (at, peer) in waiting.iter().enumerate() {
            peer.link.put_pending();
            let conn = peer.link.connection();
            let rooms = peer.link.wants_room();
            if rooms == [None; 2] {
                watches.add(conn.transport(), Interest::Flushed(conn.id()), Awaited::Arrived(at));
            }
            for room in rooms.into_iter().flatten() {
                watches.add(conn.transport(), room, Awaited::Room(at));
            }
        }
        match watches.wait(bell, seen, Some(until)) {
            Ok(Some(Awaited::Arrived(at))) => drop(waiting.remove(at)),
            Ok(Some(Awaited::Room(at))) if waiting[at].link.gone().is_some() => drop(waiting.remove(at)),
            Ok(_) => {}
            // Where it waits itself, it cannot wait any more.
            Err(Vain::Broken(broken)) if bell.hangs_at(&broken) => break,
            Err(Vain::Broken(broken)) => {
                waiting.retain(|peer| !Arc::ptr_eq(peer.link.connection().transport(), &broken));
            }
            // What has not arrived in time is lost.
            Err(Vain::TimedOut) => break,
        }
    }
    let conns = || peers.iter().map(|peer| peer.link.connection());
    conns().for_each(|conn| conn.transport().close(conn.id(), 0, Duration::ZERO));
    conns().for_each(|conn| drop(Connection::close_within(conn, 0, Duration::ZERO)));
}
