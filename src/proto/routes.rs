//! Which connection a datagram belongs to.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::slots::ConnectionId;
use crate::wire::{ConnectionCid, RANDOM_LEN};

/// Ways to connections: by the id that their packets bear, and while they connect by what their handshake packets do.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    by_cid: BTreeMap<ConnectionCid, ConnectionId>,
    by_random: BTreeMap<[u8; RANDOM_LEN], ConnectionId>,
    connecting: BTreeMap<SocketAddr, Vec<ConnectionId>>,
    attempts: BTreeMap<ConnectionId, ([u8; RANDOM_LEN], Vec<SocketAddr>)>,
}

impl Routes {
    /// The connection whose packets bear `cid`.
    #[must_use]
    pub fn of_cid(&self, cid: ConnectionCid) -> Option<ConnectionId> {
        self.by_cid.get(&cid).copied()
    }

    /// The connection whose handshake packets bear `random`.
    #[must_use]
    pub fn of_random(&self, random: &[u8; RANDOM_LEN]) -> Option<ConnectionId> {
        self.by_random.get(random).copied()
    }

    /// The connections that are being made to `remote`.
    #[must_use]
    pub fn connecting_to(&self, remote: SocketAddr) -> Vec<ConnectionId> {
        self.connecting.get(&remote).cloned().unwrap_or_default()
    }

    /// A connection's packets will bear `cid`.
    pub fn add_cid(&mut self, cid: ConnectionCid, id: ConnectionId) {
        self.by_cid.insert(cid, id);
    }

    /// A connection to `remote` is being made by handshake packets that bear `random`.
    pub fn add_connecting(&mut self, random: [u8; RANDOM_LEN], remote: SocketAddr, id: ConnectionId) {
        self.by_random.insert(random, id);
        self.attempts.insert(id, (random, Vec::new()));
        self.add_remote(remote, id);
    }

    /// It may be made to `remote` just as well.
    pub fn add_remote(&mut self, remote: SocketAddr, id: ConnectionId) {
        let Some((_, remotes)) = self.attempts.get_mut(&id).filter(|(_, remotes)| !remotes.contains(&remote)) else {
            return;
        };
        remotes.push(remote);
        self.connecting.entry(remote).or_default().push(id);
    }

    /// The handshake is over, if one was under way.
    pub fn remove_connecting(&mut self, id: ConnectionId) {
        let Some((random, remotes)) = self.attempts.remove(&id) else { return };
        self.by_random.remove(&random);
        for remote in remotes {
            if let Some(ids) = self.connecting.get_mut(&remote) {
                ids.retain(|held| *held != id);
                if ids.is_empty() {
                    self.connecting.remove(&remote);
                }
            }
        }
    }

    /// No packets of the connection are expected any more.
    pub fn remove_cid(&mut self, cid: ConnectionCid) {
        self.by_cid.remove(&cid);
    }
}
