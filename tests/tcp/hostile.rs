//! Strangers at the port, and peers that mean no good.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use udpair::message::{End, SendError};
use udpair::transport::RecvError;
use udpair::wire::Frame;
use udpair::{Connection, Transport};

use crate::raw::{Raw, STUCK, accept, bind, frames, hello, many_descriptors, message};

/// Silence that is meant to be noticed. It is counted from the beginning: what the test does before must fit in, on a
/// machine that is busy with other things.
const SILENCE: Duration = Duration::from_secs(2);

/// An exchange that goes on until it is dropped, and fails where it cannot.
struct Exchange {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<u64>>,
}

impl Exchange {
    fn with(server: &Arc<dyn Transport>) -> Self {
        let client = bind(|_| {});
        let conn = Connection::connect(&client, server.local_addr()).unwrap();
        let served = accept(server);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let asking = std::thread::spawn(move || {
            let mut count = 0_u64;
            while !told.load(Ordering::Relaxed) || count == 0 {
                conn.send(count.to_be_bytes().to_vec()).unwrap();
                let answer = conn.recv_timeout(STUCK).unwrap().into_bytes(8).unwrap();
                assert_eq!(answer, count.to_be_bytes().to_vec());
                count += 1;
            }
            conn.close(0);
            count
        });
        let answering = std::thread::spawn(move || {
            while let Ok(message) = served.recv_timeout(STUCK) {
                served.send(message.into_bytes(8).unwrap()).unwrap();
            }
            0
        });
        Self { stop, threads: vec![asking, answering] }
    }

    /// Ends it and says that it had gone on.
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn whatever_strangers_send_they_are_sent_away_and_nobody_else_notices() {
    let server = bind(|config| config.connect_timeout = SILENCE);
    let exchange = Exchange::with(&server);
    let mut flipped = hello();
    flipped[40] ^= 1;
    let mut long = vec![0x12, 0, 0xff, 0xff];
    long.resize(70_000, 7);
    let twice = [hello(), hello()].concat();
    let talk: [&[u8]; 9] = [
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        &[0; 1_000],
        &[0xff; 100_000],
        &[0x12],
        &flipped,
        &long,
        &frames(&[Frame::Ping]),
        &twice,
    ];
    // One who never says anything, while others talk.
    let mut silent = Raw::connect(&server);
    for bytes in talk {
        let mut raw = Raw::connect(&server);
        // Where the library has heard enough the rest meets a closed door.
        let _ = raw.stream.write_all(bytes);
        raw.until_ended();
    }
    // One who hangs up in the middle.
    let mut raw = Raw::connect(&server);
    raw.write(&hello()[..100]);
    raw.stream.shutdown(Shutdown::Write).unwrap();
    raw.until_ended();
    silent.until_ended();
    let drops = server.transport_stats().drops;
    assert_eq!(drops, [("stranger", 11)]);
    exchange.end();
}

#[test]
fn silent_strangers_do_not_keep_others_out() {
    if !many_descriptors() {
        return;
    }
    let server = bind(|_| {});
    let strangers: Vec<_> = (0..400).map(|_| Raw::connect(&server)).collect();
    let client = bind(|_| {});
    let conn = Connection::connect(&client, server.local_addr()).unwrap();
    accept(&server).send("welcome").unwrap();
    assert_eq!(conn.recv_timeout(STUCK).unwrap().into_bytes(10).unwrap(), "welcome");
    // The first of them had to go.
    let evicted = server.transport_stats().drops;
    assert!(evicted.iter().any(|(name, count)| *name == "evicted" && *count > 0), "{evicted:?}");
    strangers.into_iter().next().unwrap().until_ended();
}

#[test]
fn a_peer_that_never_reads_is_given_up_and_its_connection_holds_little() {
    let server = bind(|config| {
        config.idle_timeout = SILENCE;
        config.limits.send_queue = 1_000_000;
    });
    let (mut raw, conn) = Raw::established(&server);
    let mut sent = 0;
    while conn.try_send_on(0, 0, vec![0; 100_000]).is_ok() {
        sent += 100_064;
    }
    // What one channel may have of the queue, one message beyond it, and not a byte more, whatever the kernel took.
    assert!((750_000..850_064).contains(&sent), "{sent}");
    assert!(matches!(conn.try_send_on(0, 0, "more"), Err(SendError::WouldBlock)));
    assert!(matches!(conn.recv_timeout(STUCK), Err(RecvError::Ended(End::TimedOut))));
    raw.until_ended();
}

#[test]
fn half_open_peers_are_noticed_by_their_silence() {
    // The peer's machine loses its power: nothing ends the stream, nothing answers.
    let server = bind(|config| config.idle_timeout = SILENCE);
    let (raw, conn) = Raw::established(&server);
    conn.send("is anybody there?").unwrap();
    assert!(matches!(conn.recv_timeout(STUCK), Err(RecvError::Ended(End::TimedOut))));
    drop(raw);
}

#[test]
fn a_flood_of_messages_stops_at_the_credit() {
    let server = bind(|config| config.limits.credit_connection = 100_000);
    let (mut raw, conn) = Raw::established(&server);
    let body = [3; 1_000];
    for id in 0.. {
        if raw.stream.write_all(&frames(&[message(id, &body)])).is_err() {
            break;
        }
        assert!(id < 1_000_000, "a gigabyte, and nobody minds");
    }
    let end = loop {
        match conn.recv_timeout(Duration::from_secs(1)) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(end, RecvError::Ended(End::Violation(udpair::message::Violation::Credit))), "{end:?}");
}
