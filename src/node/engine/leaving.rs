//! The end of a node.

use core::time::Duration;
use std::sync::Arc;

use super::Peer;
use crate::time::Timestamp;

/// Closes the connections of a node that leaves: what was written has until then to arrive.
pub(super) fn close(peers: &[Arc<Peer>], until: Timestamp) {
    for peer in peers {
        let conn = peer.link.connection();
        peer.link.put_pending();
        while let Some(room) = peer.link.wants_room() {
            if peer.link.gone().is_some() || conn.transport().wait(&[room], Some(until)).is_err() {
                break;
            }
            peer.link.put_pending();
        }
        // What has not arrived in time is lost.
        let _ = conn.flush_timeout(until.saturating_since(conn.transport().now()));
    }
    for peer in peers {
        let conn = peer.link.connection();
        conn.transport().close(conn.id(), 0, Duration::ZERO);
    }
    for peer in peers {
        peer.link.connection().close_within(0, Duration::ZERO);
    }
}
