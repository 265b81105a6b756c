//! A peer that speaks the protocol by hand, over a socket of the standard library.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use udpair::wire::{
    CloseKind, ConnectionCid, Frame, Frames, Hello2, Mode, Packet, Params, RANDOM_LEN, Record, RecordKind, Share,
    finish_record, start_record,
};
use udpair::{Config, Connection, Listener, Transport};

/// Longer than anything takes: only a bug waits for it.
pub(crate) const STUCK: Duration = Duration::from_secs(30);
/// A timeout that is meant to come.
pub(crate) const SHORT: Duration = Duration::from_millis(150);
pub(crate) const RANDOM: [u8; RANDOM_LEN] = [9; RANDOM_LEN];

/// Raises the soft limit of descriptors to what the tests of this file need together. False, with the reason said,
/// where that is not allowed.
pub(crate) fn many_descriptors() -> bool {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const NEEDED: u64 = 4_000;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= NEEDED) {
        return true;
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(NEEDED), maximum: limit.maximum }).is_ok();
    if !raised {
        println!("skipped: {NEEDED} descriptors are needed, {:?} are allowed", limit.maximum);
    }
    raised
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub(crate) fn bind(change: impl FnOnce(&mut Config)) -> Arc<dyn Transport> {
    let mut config = Config::insecure_plain();
    change(&mut config);
    udpair::tcp::bind(loopback(), config).expect("a TCP socket on loopback")
}

pub(crate) fn accept(server: &Arc<dyn Transport>) -> Connection {
    Listener::new(Arc::clone(server)).accept_timeout(STUCK).expect("somebody calls")
}

/// One record of `kind`, written by `write`.
pub(crate) fn record(kind: RecordKind, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    start_record(&mut out, Mode::Plain, kind);
    write(&mut out);
    finish_record(&mut out, 0);
    out
}

pub(crate) fn frames(frames: &[Frame<'_>]) -> Vec<u8> {
    record(RecordKind::Frames, |out| frames.iter().for_each(|frame| frame.put(out)))
}

pub(crate) fn hello() -> Vec<u8> {
    let mut params = Vec::new();
    generous().put(&mut params);
    let client_cid = ConnectionCid(1);
    let hello =
        Hello2 { client_random: RANDOM, invite: [0; 8], cookie: None, client_cid, key_share: None, params: &params };
    record(RecordKind::Handshake, |out| Packet::Hello2(hello).put_handshake(Mode::Plain, out))
}

fn generous() -> Params {
    Params { credit_connection: 1 << 26, credit_channel: 1 << 25, message_len_max: 1 << 24, ..Params::default() }
}

/// A whole message of one chunk on channel 0.
pub(crate) fn message(id: u64, payload: &[u8]) -> Frame<'_> {
    use udpair::wire::{Data, Delivery, MessageStart};
    let start = MessageStart { delivery: Delivery::Ordered, tag: 0, len: Some(payload.len() as u64) };
    Frame::Data(Data { channel: 0, message: id, offset: 0, start: Some(start), fin: true, payload })
}

/// What a record of frames holds, in words.
pub(crate) fn words(body: &[u8]) -> Vec<String> {
    Frames::new(body)
        .map(|frame| match frame.expect("the library's frames can be read") {
            Frame::Received { count } => format!("RECEIVED {count}"),
            Frame::Data(data) => format!("DATA {} {}", data.message, data.payload.len()),
            Frame::Taken { .. } => "TAKEN".to_owned(),
            Frame::Ping => "PING".to_owned(),
            Frame::Close { kind, code } => format!("CLOSE {} {code}", kind_word(kind)),
            other => format!("{other:?}"),
        })
        .collect()
}

const fn kind_word(kind: CloseKind) -> &'static str {
    match kind {
        CloseKind::Close => "close",
        CloseKind::Abort => "abort",
        CloseKind::Refuse => "refuse",
        CloseKind::Violation => "violation",
    }
}

/// The hand-written side of a stream.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(STUCK)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// Connected, and nothing said.
    pub(crate) fn connect(server: &Arc<dyn Transport>) -> Self {
        Self::new(TcpStream::connect(server.local_addr()).expect("the server listens"))
    }

    /// With the handshake done, and the server's end.
    pub(crate) fn established(server: &Arc<dyn Transport>) -> (Self, Connection) {
        let mut raw = Self::connect(server);
        raw.write(&hello());
        let share = raw.record().expect("a SHARE");
        let (_, packet) = Packet::decode(&share.1).unwrap();
        assert!(matches!(packet, Packet::Share(share) if share.client_random == RANDOM));
        (raw, accept(server))
    }

    /// Takes a call of the library's and grants it.
    pub(crate) fn granting(listener: &TcpListener) -> Self {
        let mut raw = Self::new(listener.accept().unwrap().0);
        let hello = raw.record().expect("a HELLO2").1;
        let Ok((Mode::Plain, Packet::Hello2(hello))) = Packet::decode(&hello) else { panic!("no HELLO2") };
        assert_eq!(hello.cookie, None);
        let mut params = Vec::new();
        generous().put(&mut params);
        let share = Share {
            client_random: hello.client_random,
            client_cid: hello.client_cid,
            server_cid: ConnectionCid(2),
            key_share: None,
            params: &params,
        };
        raw.write(&record(RecordKind::Handshake, |out| Packet::Share(share).put_handshake(Mode::Plain, out)));
        raw
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next record; `None` at the end of the stream.
    pub(crate) fn record(&mut self) -> Option<(RecordKind, Vec<u8>)> {
        loop {
            if let Some(record) = Record::decode(Mode::Plain, &self.read).expect("a sound record") {
                let (kind, body, len) = (record.kind, record.body.to_vec(), record.len);
                self.read.drain(..len);
                return Some((kind, body));
            }
            let mut buffer = [0; 65_536];
            match self.read(&mut buffer).expect("the library answers in time") {
                0 => {
                    assert!(self.read.is_empty(), "the stream ends inside a record");
                    return None;
                }
                len => self.read.extend_from_slice(&buffer[..len]),
            }
        }
    }

    /// What comes next; that this process was stopped and continued meanwhile is no matter.
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// The frames of the next record, in words; none at the end of the stream.
    pub(crate) fn words(&mut self) -> Vec<String> {
        let Some((kind, body)) = self.record() else { return Vec::new() };
        assert_eq!(kind, RecordKind::Frames);
        words(&body)
    }

    /// The frames of all records to the end of the stream, in words.
    pub(crate) fn words_to_the_end(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.record()).flat_map(|(_, body)| words(&body)).collect()
    }

    /// Waits until the library has ended the stream, whichever way, and drops what it still says.
    pub(crate) fn until_ended(&mut self) {
        let mut buffer = [0; 65_536];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("the library does not end the stream: {error}"),
            }
        }
    }

    /// Drops the stream so that the other side hears of an error, not of an end.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
