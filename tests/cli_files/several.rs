//! Several senders at once, and peers that only pretend to be.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use udpair::message::{End, State};
use udpair::transport::RecvError;

use super::{
    DATA, DONE, ERROR, HASH, HELLO, OFFER, PATIENCE, Peer, Receiver, TRANSPORTS, WANT, listing, offer, places, send,
    text,
};

#[test]
fn senders_get_through_beside_peers_that_say_nothing_or_stop_half_way() {
    for transport in TRANSPORTS {
        let (from, to) = places();
        // The timeout would be the test's end: a place each for the silent is left, and one for the sender.
        let receiver = Receiver::start(transport, to.path(), &["--once", "--timeout", "600"]);
        let mute: Vec<Peer> = (0..4).map(|_| Peer::connect(transport, &receiver.addr)).collect();
        let stopped: Vec<Peer> = (0..3).map(|at| stopped_half_way(transport, &receiver.addr, at)).collect();
        let sent = send(transport, &receiver.addr, &[&from.path().join("root")]);
        assert_eq!(sent.status.code(), Some(0), "{transport}: {}", text(&sent.stderr));
        let (code, report, stderr) = receiver.end();
        assert_eq!((code, report.lines().count()), (Some(0), 1), "{transport}: {stderr}");
        assert_eq!(listing(to.path()), listing(from.path()), "{transport}: what was partial is gone");
        // Those under way were told, those who had said nothing too.
        for peer in mute.iter().chain(&stopped) {
            assert!(matches!(peer.end(), RecvError::Ended(End::AbortedByPeer { .. })), "{transport}");
        }
    }
}

/// A sender that has sent a part of a file, and goes on living.
fn stopped_half_way(transport: &str, to: &str, at: usize) -> Peer {
    let peer = Peer::connect(transport, to);
    peer.control(HELLO, b"udpf\0\x01\0\0");
    peer.control(OFFER, &offer(0, 0, 4, format!("half-{at}").as_bytes()));
    assert_eq!(peer.expect(WANT), [0, 0]);
    peer.data(DATA, b"\0ab");
    peer
}

#[test]
fn peers_that_are_silent_for_the_timeout_give_way_where_every_place_is_taken() {
    for transport in TRANSPORTS {
        let (from, to) = places();
        let receiver = Receiver::start(transport, to.path(), &PATIENCE);
        // The libraries at both ends keep these connections alive; there are eight places.
        let stopped: Vec<Peer> = (0..8).map(|at| stopped_half_way(transport, &receiver.addr, at)).collect();
        let sent = send(transport, &receiver.addr, &[&from.path().join("root/sub")]);
        assert_eq!(sent.status.code(), Some(0), "{transport}: {}", text(&sent.stderr));
        receiver.signal(Signal::INT);
        let (code, _, stderr) = receiver.end();
        assert_eq!(code, Some(130), "{transport}: {stderr}");
        assert!(stderr.contains("another one needed its place"), "{transport}: {stderr}");
        // Only now, for the sender may be through before a peer has read that it was sent away.
        let ends: Vec<_> = stopped.iter().map(Peer::end).collect();
        assert!(ends.contains(&RecvError::Ended(End::AbortedByPeer { code: 5 })), "{transport}: {ends:?}");
        let names: Vec<PathBuf> = listing(to.path()).into_iter().map(|found| found.0).collect();
        assert!(names.iter().all(|name| name.starts_with("sub")), "{transport}: {names:?}");
    }
}

#[test]
fn a_byte_now_and_then_does_not_hold_a_place_that_others_wait_for() {
    for transport in TRANSPORTS {
        let (from, to) = places();
        let receiver = Receiver::start(transport, to.path(), &PATIENCE);
        // Each of them sends so often that it is never silent for the timeout.
        let drips: Vec<_> = (0..8)
            .map(|at| {
                let peer = Peer::connect(transport, &receiver.addr);
                peer.control(HELLO, b"udpf\0\x01\0\0");
                // A size of four bytes: 240 MiB.
                peer.control(OFFER, &offer(0, 0, 0x8f, format!("\0\0\0drip-{at}").as_bytes()));
                assert_eq!(peer.expect(WANT), [0, 0]);
                std::thread::spawn(move || {
                    while peer.connection.send_on(1, DATA, b"\0x".as_slice()).is_ok() {
                        let _nothing = peer.connection.recv_timeout(Duration::from_millis(50));
                    }
                    peer.connection.state()
                })
            })
            .collect();
        let sent = send(transport, &receiver.addr, &[&from.path().join("root/sub")]);
        assert_eq!(sent.status.code(), Some(0), "{transport}: {}", text(&sent.stderr));
        receiver.signal(Signal::INT);
        let (code, _, stderr) = receiver.end();
        assert_eq!(code, Some(130), "{transport}: {stderr}");
        assert!(stderr.contains("another one needed its place"), "{transport}: {stderr}");
        let ends: Vec<State> = drips.into_iter().map(|drip| drip.join().unwrap()).collect();
        assert!(ends.contains(&State::Ended(End::AbortedByPeer { code: 5 })), "{transport}: {ends:?}");
    }
}

#[test]
fn a_peer_that_never_says_anything_is_sent_away() {
    for transport in TRANSPORTS {
        let to = tempfile::tempdir().unwrap();
        let receiver = Receiver::start(transport, to.path(), &PATIENCE);
        let mute = Peer::connect(transport, &receiver.addr);
        assert_eq!(mute.connection.recv().unwrap_err(), RecvError::Ended(End::AbortedByPeer { code: 5 }));
    }
}

#[test]
fn a_file_that_two_senders_have_is_the_first_ones() {
    for transport in TRANSPORTS {
        for args in [&[][..], &["--resume"]] {
            let to = tempfile::tempdir().unwrap();
            let receiver = Receiver::start(transport, to.path(), args);
            let peers = [(); 2].map(|()| Peer::connect(transport, &receiver.addr));
            // Both are asked for it before either has sent anything.
            for peer in &peers {
                peer.control(HELLO, b"udpf\0\x01\0\0");
                peer.control(OFFER, &offer(0, 0, 4, b"file"));
                assert_eq!(peer.expect(WANT), [0, 0]);
            }
            peers[0].data(DATA, b"\0fi");
            // With its first bytes it has the partial file for its own; with the name alone it has not yet.
            while fs::read_dir(to.path()).unwrap().all(|entry| entry.unwrap().metadata().map_or(0, |of| of.len()) == 0)
            {
                std::thread::yield_now();
            }
            peers[1].data(DATA, b"\0seco");
            peers[1].data(HASH, &[&[0], blake3::hash(b"seco").as_bytes().as_slice()].concat());
            if args.is_empty() {
                // Each has a partial file of its own, and whoever is through first has the name.
                assert_eq!(peers[1].expect(DONE), [0]);
            } else {
                assert_eq!(peers[1].expect(ERROR)[..2], [0, 1]);
            }
            peers[0].data(DATA, b"\0rs");
            peers[0].data(HASH, &[&[0], blake3::hash(b"firs").as_bytes().as_slice()].concat());
            if args.is_empty() {
                assert_eq!(peers[0].expect(ERROR)[..2], [0, 2]);
            } else {
                assert_eq!(peers[0].expect(DONE), [0]);
            }
            let content = if args.is_empty() { "seco" } else { "firs" };
            assert_eq!(fs::read(to.path().join("file")).unwrap(), content.as_bytes());
            assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
        }
    }
}
