//! A peer that completes half of the handshake and stops.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;

use udpair::proto::handshake::params_hash;
use udpair::seal::{Ask, Joiner};
use udpair::sim::{Host, Verdict};
use udpair::wire::{ConnectionCid, Cookie, Hello, Hello2, Packet, Params, RecordKind, finish_record, start_record};
use udpair::{Connection, Transport};

use crate::pair::{Kind, Pair, STUCK};
use crate::security::Security;

const RANDOM: [u8; 16] = [7; 16];
const CID: ConnectionCid = ConnectionCid(7);

/// What it holds while it says nothing.
pub(crate) enum HalfOpen {
    /// SHARE has come, and no packet will ever bear its id, nor will anything be proven.
    Udp { _socket: UdpSocket },
    /// Half of the HELLO2 was written.
    Tcp(TcpStream),
    /// It believes itself connected; none of its packets gets through.
    Sim { _conn: Connection },
}

impl HalfOpen {
    pub(crate) fn new(pair: &Pair) -> Self {
        let (server, security) = (pair.server.local_addr(), pair.security);
        match &pair.kind {
            Kind::Udp => Self::over_udp(server, security),
            Kind::Tcp => Self::over_tcp(server, security),
            Kind::Sim(host) => Self::over_sim(server, host, &pair.another(|_| {})),
        }
    }

    fn over_udp(server: SocketAddr, security: Security) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(STUCK)).unwrap();
        let params_hash = params_hash(&params());
        let hello = Hello { client_random: RANDOM, invite: security.id(), params_hash };
        let (mut bytes, mut buf) = (Vec::new(), [0; 2_048]);
        Packet::Hello(hello).put_handshake(security.mode(), &mut bytes);
        socket.send(&bytes).unwrap();
        let len = uninterrupted(|| socket.recv(&mut buf)).unwrap();
        let Ok((_, Packet::Retry(retry))) = Packet::decode(&buf[..len]) else { panic!("no RETRY") };
        socket.send(&hello2(security, Some(retry.cookie))).unwrap();
        let len = uninterrupted(|| socket.recv(&mut buf)).unwrap();
        assert!(matches!(Packet::decode(&buf[..len]), Ok((_, Packet::Share(_)))), "no SHARE");
        Self::Udp { _socket: socket }
    }

    fn over_tcp(server: SocketAddr, security: Security) -> Self {
        let mut stream = TcpStream::connect(server).unwrap();
        let mut record = Vec::new();
        start_record(&mut record, security.mode(), RecordKind::Handshake);
        record.extend(hello2(security, None));
        finish_record(&mut record, 0);
        stream.write_all(&record[..record.len() / 2]).unwrap();
        Self::Tcp(stream)
    }

    fn over_sim(server: SocketAddr, host: &Host, transport: &Arc<dyn Transport>) -> Self {
        let own = transport.local_addr();
        let is_data = |bytes: &[u8]| matches!(Packet::decode(bytes), Ok((_, Packet::Data(..))));
        host.network(|network| {
            network.add_rule(
                move |info| {
                    if info.from == own && is_data(info.bytes) { Verdict::Drop } else { Verdict::Pass }
                },
            );
        });
        Self::Sim { _conn: Connection::connect(transport, server).unwrap() }
    }

    /// Waits until the server has dropped it, where one can see that.
    pub(crate) fn check_given_up(self) {
        if let Self::Tcp(mut stream) = self {
            stream.set_read_timeout(Some(STUCK)).unwrap();
            match uninterrupted(|| stream.read(&mut [0; 100])) {
                Ok(0) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What a call on a socket with a timeout comes to; that this process was stopped and continued meanwhile is no matter.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn params() -> Vec<u8> {
    let mut params = Vec::new();
    Params::default().put(&mut params);
    params
}

/// Sound in every byte, so that it is answered.
fn hello2(security: Security, cookie: Option<Cookie>) -> Vec<u8> {
    let (mode, invite, params) = (security.mode(), security.id(), params());
    if mode.is_sealed() {
        let ask = Ask { client_random: RANDOM, invite, cookie, client_cid: CID, params: &params };
        return Joiner::start(mode, &security.prs(), &ask, &[9; 64]).unwrap().hello().to_vec();
    }
    let (client_random, client_cid, key_share) = (RANDOM, CID, None);
    let hello = Hello2 { client_random, invite, cookie, client_cid, key_share, params: &params };
    let mut bytes = Vec::new();
    Packet::Hello2(hello).put_handshake(mode, &mut bytes);
    bytes
}
