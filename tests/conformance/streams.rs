//! Messages written and read piece by piece.

use std::io::{ErrorKind, Read, Write};

use udpair::message::{Limits, ReadError, WriteError};
use udpair::transport::{Body, MessageReader, MessageWriter};

use crate::pair::{Pair, SHORT, STUCK, content, receive};

fn reader(message: udpair::Message) -> MessageReader {
    match message.body {
        Body::Stream(reader) => reader,
        Body::Whole(bytes) => panic!("{} bytes as a whole", bytes.len()),
    }
}

pub(crate) fn a_hundred_megabytes_stream_through(pair: Pair) {
    const LEN: usize = 100_000_000;
    let (client, server) = pair.connect();
    let block = content(1, 1_000_000);
    let sent = block.clone();
    let sender = pair.beside(move || {
        let mut writer = client.begin(0, 7, Some(LEN as u64)).unwrap();
        for _ in 0..LEN / sent.len() {
            writer.write_all(&sent).unwrap();
        }
        writer.finish().unwrap();
        client.close(0)
    });
    let message = server.recv_timeout(STUCK).unwrap();
    assert_eq!(message.tag, 7);
    let mut reader = reader(message);
    assert_eq!(reader.len(), Some(LEN as u64));
    let mut got = vec![0; block.len()];
    for _ in 0..LEN / block.len() {
        reader.read_exact(&mut got).unwrap();
        assert!(got == block);
    }
    assert_eq!(reader.read(&mut got).unwrap(), 0);
    assert_eq!(reader.read(&mut got).unwrap(), 0, "the end stays the end");
    assert!(sender.join().unwrap().all_taken());
}

pub(crate) fn a_writer_dropped_half_way_resets_and_does_not_block_the_channel(pair: Pair) {
    let (client, server) = pair.connect();
    let ends: [(fn(MessageWriter), u32); 2] = [(drop, 0), (|writer| writer.reset(9), 9)];
    for (end, code) in ends {
        let mut writer = client.begin(0, 0, None).unwrap();
        writer.write_all(&content(0, 100_000)).unwrap();
        let mut reader = reader(server.recv_timeout(STUCK).unwrap());
        end(writer);
        client.send("next").unwrap();
        let mut buf = vec![0; 10_000];
        let error = loop {
            match reader.read_some(&mut buf) {
                Ok(len) => assert!(len > 0, "that is no end"),
                Err(error) => break error,
            }
        };
        assert_eq!(error, ReadError::Reset { code });
        assert_eq!(receive(&server), "next");
    }
    assert!(client.close(0).all_taken());
}

pub(crate) fn a_reader_that_stops_or_is_dropped_ends_the_writer_and_not_the_connection(pair: Pair) {
    let (client, server) = pair.connect();
    let ends: [(fn(MessageReader), u32); 2] = [(drop, 0), (|reader| reader.stop(5), 5)];
    for (end, code) in ends {
        let writing = client.clone();
        let sender = pair.beside(move || {
            let mut writer = writing.begin(0, 0, None).unwrap();
            let block = content(0, 100_000);
            // Far more than all limits: it ends because the reader says so.
            for _ in 0..100_000 {
                if let Err(error) = writer.write_some(&block) {
                    return (error, writer.finish());
                }
            }
            panic!("nobody stopped the writer");
        });
        end(reader(server.recv_timeout(STUCK).unwrap()));
        let stopped = WriteError::Stopped { code };
        assert_eq!(sender.join().unwrap(), (stopped, Err(stopped)));
        client.send("next").unwrap();
        assert_eq!(receive(&server), "next");
    }
}

pub(crate) fn a_stream_of_unknown_length_arrives_whole(pair: Pair) {
    let (client, server) = pair.connect();
    let mut writer = client.begin(4, 0, None).unwrap();
    let bytes = content(3, 300_000);
    let mut reader = None;
    let mut got = Vec::new();
    for part in bytes.chunks(70_000) {
        writer.write_all(part).unwrap();
        let reader = reader.get_or_insert_with(|| self::reader(server.recv_timeout(STUCK).unwrap()));
        let mut buf = vec![0; part.len()];
        reader.read_exact(&mut buf).unwrap();
        got.extend_from_slice(&buf);
    }
    writer.finish().unwrap();
    assert_eq!(reader.unwrap().read(&mut [0; 10]).unwrap(), 0);
    assert!(got == bytes);
    assert!(client.close(0).all_taken());
}

pub(crate) fn an_announced_length_is_kept(pair: Pair) {
    let (client, server) = pair.connect();
    let mut writer = client.begin(0, 0, Some(10)).unwrap();
    assert_eq!(writer.write_some(b"eleven bytes"), Err(WriteError::Length { len: 10 }));
    assert_eq!(writer.write_some(b"nine byte"), Ok(9));
    assert_eq!(writer.finish(), Err(WriteError::Length { len: 10 }));
    // The writer is gone, and its message with it.
    let mut writer = client.begin(0, 0, Some(10)).unwrap();
    writer.write_all(b"tenletters").unwrap();
    writer.finish().unwrap();
    assert_eq!(receive(&server), "tenletters");
}

pub(crate) fn a_writer_of_one_byte_at_a_time_is_served(pair: Pair) {
    let (client, server) = pair.connect();
    let bytes = content(8, 5_000);
    let mut writer = client.begin(0, 0, None).unwrap();
    for byte in bytes.chunks(1) {
        writer.write_all(byte).unwrap();
    }
    writer.finish().unwrap();
    assert!(receive(&server) == bytes);
}

pub(crate) fn a_reader_and_a_writer_that_time_out_lose_nothing(pair: Pair) {
    let pair = pair.with(|config| {
        let small = 64 << 10;
        let limits = Limits { send_queue: small, credit_connection: small, credit_channel: small, ..config.limits };
        config.limits = limits;
    });
    let (client, server) = pair.connect();
    let mut writer = client.begin(2, 0, None).unwrap();
    writer.write_all(b"begun").unwrap();
    let mut reader = reader(server.recv_timeout(STUCK).unwrap());
    reader.set_timeout(Some(STUCK));
    let mut got = [0; 5];
    reader.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"begun");
    // Nothing more comes for now.
    reader.set_timeout(Some(SHORT));
    assert_eq!(reader.read_some(&mut got), Err(ReadError::TimedOut));
    assert_eq!(reader.read(&mut got).unwrap_err().kind(), ErrorKind::TimedOut);

    // Nobody reads: what the peer grants, and then our own queue.
    writer.set_timeout(Some(SHORT));
    let block = content(5, 100_000);
    let mut written = 0;
    let late = loop {
        match writer.write_some(&block[written % block.len()..]) {
            Ok(len) => written += len,
            Err(error) => break error,
        }
    };
    assert_eq!(late, WriteError::TimedOut);
    assert_eq!(writer.write(&block).unwrap_err().kind(), ErrorKind::TimedOut);

    // Everything before it arrives, and after it the rest.
    let mut read = 0;
    let mut buf = vec![0; 10_000];
    reader.set_timeout(None);
    while read < written {
        let len = reader.read_some(&mut buf).unwrap();
        assert!(len > 0, "that is no end");
        for byte in &buf[..len] {
            assert_eq!(*byte, block[read % block.len()], "at {read}");
            read += 1;
        }
    }
    assert_eq!(read, written, "nothing that was not taken came");
    writer.set_timeout(Some(STUCK));
    writer.write_all(b"rest").unwrap();
    writer.finish().unwrap();
    reader.set_timeout(Some(STUCK));
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"rest");
}
