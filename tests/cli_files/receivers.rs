//! Senders, against receivers that this file plays itself.

use udpair::Listener;

use super::{END, ERROR, HELLO, OFFER, Peer, TRANSPORTS, sender, text};

#[test]
fn the_receivers_reasons_become_exit_codes() {
    for transport in TRANSPORTS {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (reason, code) in [(1, 8), (2, 8), (4, 6), (5, 5), (6, 9)] {
            let listener = Listener::new(Peer::bind(transport));
            let child = sender(transport, &listener.local_addr().to_string(), &[file.path()], &[]).spawn().unwrap();
            let peer = Peer { connection: listener.accept().unwrap() };
            peer.control(HELLO, b"udpf\0\x01\0\0");
            peer.expect(OFFER);
            peer.control(ERROR, &[&[0, reason], b"no \x1b[2Jway".as_slice()].concat());
            let end = peer.expect(END);
            assert_eq!(end, [0, 0, 0, 0, 1, reason]);
            peer.control(END, &end);
            let sent = child.wait_with_output().unwrap();
            assert_eq!(sent.status.code(), Some(code), "{}", text(&sent.stderr));
            assert!(text(&sent.stderr).contains("the peer says: no \\u{1b}[2Jway"), "{}", text(&sent.stderr));
        }
    }
}

/// It has heard everything then: that the connection is gone before it has looked again is no failure.
#[test]
fn a_receiver_may_close_as_soon_as_it_has_answered_the_end() {
    for transport in TRANSPORTS {
        let file = tempfile::NamedTempFile::new().unwrap();
        for _ in 0..20 {
            let listener = Listener::new(Peer::bind(transport));
            let child = sender(transport, &listener.local_addr().to_string(), &[file.path()], &[]).spawn().unwrap();
            let peer = Peer { connection: listener.accept().unwrap() };
            peer.control(HELLO, b"udpf\0\x01\0\0");
            peer.expect(OFFER);
            peer.control(ERROR, &[0, 2]);
            let end = peer.expect(END);
            peer.control(END, &end);
            peer.connection.close_within(0, std::time::Duration::ZERO);
            let sent = child.wait_with_output().unwrap();
            assert_eq!(sent.status.code(), Some(8), "{}", text(&sent.stderr));
        }
    }
}

#[test]
fn a_receiver_of_another_version_or_of_another_mind() {
    for transport in TRANSPORTS {
        let file = tempfile::NamedTempFile::new().unwrap();
        let listener = Listener::new(Peer::bind(transport));
        let to = listener.local_addr().to_string();
        let child = sender(transport, &to, &[file.path()], &[]).spawn().unwrap();
        let peer = Peer { connection: listener.accept().unwrap() };
        peer.control(HELLO, b"udpf\0\x02");
        let sent = child.wait_with_output().unwrap();
        assert_eq!(sent.status.code(), Some(12));
        assert!(text(&sent.stderr).contains("speaks version 2"), "{}", text(&sent.stderr));

        let child = sender(transport, &to, &[file.path()], &[]).spawn().unwrap();
        listener.incoming().unwrap().refuse(7);
        let sent = child.wait_with_output().unwrap();
        assert_eq!(sent.status.code(), Some(3), "{}", text(&sent.stderr));
    }
}
