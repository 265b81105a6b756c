//! That a node's end is known to everybody, whatever brought it about.

use super::Inner;
use super::state::Life;
use crate::node::Gone;

/// Runs `main`, which is what the node does. How that ends, be it in a panic, the node ends: whoever waits is told.
pub(super) fn run(inner: &Inner, main: impl FnOnce() -> Gone) {
    let mut end = End { inner, why: Gone::Panicked };
    end.why = main();
}

/// Ends the node when it is dropped.
struct End<'a> {
    inner: &'a Inner,
    why: Gone,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let peers = {
            let mut state = self.inner.state();
            state.life = Life::Over(self.why);
            state.let_go()
        };
        self.inner.news.ring();
        // Those who are left after a panic close in the background.
        drop(peers);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use super::*;
    use crate::Config;
    use crate::node::engine::{Engine, NodeConfig};
    use crate::node::{JoinError, ReadError, Role, WriteError};
    use crate::transport::{Connection, Transport};

    #[test]
    fn a_panic_of_the_nodes_thread_ends_every_wait_and_says_so() {
        let bind = || crate::transport::udp::bind("127.0.0.1:0".parse().unwrap(), Config::insecure_plain()).unwrap();
        let (home, other): (Arc<dyn Transport>, _) = (bind(), bind());
        let (panic, panicking) = mpsc::channel::<()>();
        let engine = Engine::begin(Role::Hub, "a", vec![Arc::clone(&home)], NodeConfig::default(), |inner, _| {
            run(inner, move || {
                let _told = panicking.recv();
                let _locked = inner.state();
                panic!("the node's thread fails, as this test wants");
            });
        });
        let engine = engine.unwrap();
        type Wait = fn(&Engine, Connection) -> Option<Gone>;
        let waits: [Wait; 4] = [
            |engine, _| match engine.changed("pose", None) {
                Err(ReadError::Gone(gone)) => Some(gone),
                _ => None,
            },
            |engine, _| engine.next_event(None).map_or(Some(Gone::Panicked), |_| None),
            |engine, conn| match engine.connect_on("b", conn) {
                Err(JoinError::Gone(gone)) => Some(gone),
                _ => None,
            },
            |engine, conn| match engine.welcome(conn) {
                Err(JoinError::Gone(gone)) => Some(gone),
                _ => None,
            },
        ];
        let waiting = waits.map(|wait| {
            let engine = engine.clone();
            let conn = Connection::connect(&home, other.local_addr()).unwrap();
            home.spawn("waiting", move || wait(&engine, conn)).unwrap()
        });
        panic.send(()).unwrap();
        for waiter in waiting {
            assert_eq!(waiter.join().unwrap(), Some(Gone::Panicked));
        }
        let write = engine.write_all("pose", crate::content::IntoContent::into_content("x").unwrap());
        assert!(matches!(write, Err(WriteError::Gone(Gone::Panicked))), "{write:?}");
        engine.close();
    }
}
