//! What a connection tells those who wait, of what becomes of its output.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::Arc;

use super::pair::{LISTENER, Pair};
use crate::slots::Slots;
use crate::transport::buffers::Buffers;
use crate::transport::tcp::entry::Entry;
use crate::transport::tcp::outbox::{Job, Spare};
use crate::transport::tcp::stream::Stream;

/// The peer is gone, and that is found out when the close is being written: nobody else would wake the thread in close.
#[test]
fn an_end_that_a_write_brings_is_news_for_whoever_waits_in_close() {
    for written in [true, false] {
        let pair = Pair::established();
        let now = pair.now;
        let link = pair.sides.into_iter().nth(LISTENER).unwrap().link;
        let peer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let remote = peer.local_addr().unwrap();
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let stream = Arc::new(Stream::connect(local, remote, 1, Buffers::default()).unwrap());
        let mut entry = Entry::accepted(now, link, stream, remote);
        let id = Slots::default().insert(());
        let poll = |entry: &mut Entry| entry.poll(id, now, &mut Vec::new(), &mut Spare::default());

        entry.link.messages_mut().close(now, 0, Duration::ZERO);
        assert!(matches!(poll(&mut entry), Some(Job::Write { .. })));
        entry.news = false;
        entry.link.handle_end_of_stream();
        assert!(poll(&mut entry).is_none());
        assert!(!entry.news && !entry.link.messages().closed(), "the close is still being written");
        if written {
            assert!(entry.on_written().is_none());
        } else {
            entry.on_unwritable(ErrorKind::BrokenPipe);
        }
        assert!(poll(&mut entry).is_none());
        assert!(entry.link.messages().closed());
        assert!(entry.news, "written: {written}");
    }
}
