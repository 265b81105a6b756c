//! A peer that completes half of the handshake and stops.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;

use udpair::proto::handshake::params_hash;
use udpair::sim::{Host, Verdict};
use udpair::wire::{ConnectionCid, Hello, Hello2, Mode, Packet, Params, RecordKind, finish_record, start_record};
use udpair::{Connection, Transport};

use crate::pair::{Kind, Pair, STUCK};

const RANDOM: [u8; 16] = [7; 16];
const CID: ConnectionCid = ConnectionCid(7);

/// What it holds while it says nothing.
pub(crate) enum HalfOpen {
    /// SHARE has come, and no packet will ever bear its id.
    Udp { _socket: UdpSocket },
    /// Half of the HELLO2 was written.
    Tcp(TcpStream),
    /// It believes itself connected; none of its packets gets through.
    Sim { _conn: Connection },
}

impl HalfOpen {
    pub(crate) fn new(pair: &Pair) -> Self {
        let server = pair.server.local_addr();
        match &pair.kind {
            Kind::Udp => Self::over_udp(server),
            Kind::Tcp => Self::over_tcp(server),
            Kind::Sim(host) => Self::over_sim(server, host, &pair.another(|_| {})),
        }
    }

    fn over_udp(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(STUCK)).unwrap();
        let params = params();
        let mut buf = [0; 2_048];
        let hello = Hello { client_random: RANDOM, invite: [0; 8], params_hash: params_hash(&params) };
        socket.send(&packet(&Packet::Hello(hello))).unwrap();
        let len = socket.recv(&mut buf).unwrap();
        let Ok((_, Packet::Retry(retry))) = Packet::decode(&buf[..len]) else { panic!("no RETRY") };
        socket.send(&packet(&Packet::Hello2(hello2(&params, Some(retry.cookie))))).unwrap();
        let len = socket.recv(&mut buf).unwrap();
        assert!(matches!(Packet::decode(&buf[..len]), Ok((_, Packet::Share(_)))), "no SHARE");
        Self::Udp { _socket: socket }
    }

    fn over_tcp(server: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(server).unwrap();
        let mut record = Vec::new();
        start_record(&mut record, Mode::Plain, RecordKind::Handshake);
        record.extend(packet(&Packet::Hello2(hello2(&params(), None))));
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
            match stream.read(&mut [0; 100]) {
                Ok(0) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn params() -> Vec<u8> {
    let mut params = Vec::new();
    Params::default().put(&mut params);
    params
}

fn hello2(params: &[u8], cookie: Option<udpair::wire::Cookie>) -> Hello2<'_> {
    Hello2 { client_random: RANDOM, invite: [0; 8], cookie, client_cid: CID, key_share: None, params }
}

fn packet(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.put_handshake(Mode::Plain, &mut bytes);
    bytes
}
