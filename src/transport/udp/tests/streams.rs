//! Messages and streams go through whole.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use super::{LONG, echo, pair, pattern};
use crate::message::{State, WriteError};
use crate::transport::Body;

#[test]
fn an_echo_of_every_size_comes_back_as_it_went() {
    let (near, far) = pair();
    let server = far.transport().clone().spawn("echo", move || echo(&far)).unwrap();
    for len in [0, 1, 64, 1_099, 1_172, 1_173, 1_452, 8_972, 65_507, 65_536, 1 << 20] {
        let body = pattern(len, 7);
        near.send(body.clone()).unwrap();
        let back = near.recv_timeout(LONG).unwrap().into_bytes(len).unwrap();
        assert!(back == body, "{len} bytes came back otherwise");
    }
    assert!(near.close(0).all_taken());
    server.join().unwrap();
}

#[test]
fn a_stream_of_100_mb_arrives_whole_while_another_goes_the_other_way() {
    const LEN: u64 = 100_000_000;
    const PIECE: usize = 100_000;
    let (near, far) = pair();
    let piece = Arc::new(pattern(PIECE, 3));
    let sends = |conn: crate::transport::Connection, piece: Arc<Vec<u8>>| {
        move || {
            let mut writer = conn.begin(0, 1, Some(LEN)).unwrap();
            for _ in 0..LEN / PIECE as u64 {
                writer.write_all(&piece).unwrap();
            }
            writer.finish().unwrap();
        }
    };
    let receives = |conn: crate::transport::Connection, piece: Arc<Vec<u8>>| {
        move || {
            let message = conn.recv_timeout(LONG).unwrap();
            let Body::Stream(mut reader) = message.body else { panic!("100 MB are no single buffer") };
            assert_eq!(reader.len(), Some(LEN));
            let mut got = vec![0; PIECE];
            for _ in 0..LEN / PIECE as u64 {
                reader.read_exact(&mut got).unwrap();
                assert!(got == *piece);
            }
            assert_eq!(reader.read(&mut got).unwrap(), 0);
        }
    };
    let transport = Arc::clone(near.transport());
    let threads = [
        transport.spawn("near sends", sends(near.clone(), Arc::clone(&piece))).unwrap(),
        transport.spawn("near receives", receives(near.clone(), Arc::clone(&piece))).unwrap(),
        transport.spawn("far sends", sends(far.clone(), Arc::clone(&piece))).unwrap(),
        transport.spawn("far receives", receives(far.clone(), piece)).unwrap(),
    ];
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(near.close(0).all_taken());
}

#[test]
fn one_thread_sends_while_another_receives() {
    const COUNT: u32 = 20_000;
    let (near, far) = pair();
    let server = far.transport().clone().spawn("echo", move || echo(&far)).unwrap();
    let sender = near.clone();
    let sending = near.transport().spawn("send", move || {
        for i in 0..COUNT {
            sender.send(i.to_be_bytes().to_vec()).unwrap();
        }
    });
    for i in 0..COUNT {
        let body = near.recv_timeout(LONG).unwrap().into_bytes(4).unwrap();
        assert_eq!(body, i.to_be_bytes().as_slice());
    }
    sending.unwrap().join().unwrap();
    assert!(near.close(0).all_taken());
    server.join().unwrap();
}

#[test]
fn a_dropped_writer_fails_its_reader_and_a_dropped_reader_its_writer() {
    let (near, far) = pair();
    let mut writer = near.begin(0, 0, None).unwrap();
    writer.write_all(&pattern(10, 0)).unwrap();
    let Body::Stream(mut reader) = far.recv_timeout(LONG).unwrap().body else { panic!("its length is unknown") };
    drop(writer);
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    let mut writer = near.begin(0, 0, None).unwrap();
    writer.write_all(&pattern(10, 0)).unwrap();
    let Body::Stream(reader) = far.recv_timeout(LONG).unwrap().body else { panic!("its length is unknown") };
    drop(reader);
    let piece = pattern(10_000, 0);
    let error = loop {
        if let Err(error) = writer.write_some(&piece) {
            break error;
        }
    };
    assert_eq!(error, WriteError::Stopped { code: 0 });
    assert_eq!(near.state(), State::Open, "only the message was refused");
}
