//! Another version of the protocol, spoken by a raw socket: what it is told, and what we are told by it. The mode does
//! not matter for it: it stands beside the version, and what another version means by it nobody knows.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;

use udpair::transport::ConnectError;
use udpair::wire::{
    ConnectionCid, Hello, Hello2, KEY_SHARE_LEN, Mode, Packet, Params, RECORD_OVERHEAD, Record, RecordKind, Refuse,
    RefuseCode, VERSION, finish_record, put_crc, start_record,
};
use udpair::{Config, Connection, Listener, Transport, tcp, udp};

use crate::half_open::uninterrupted;
use crate::pair::STUCK;
use crate::security::Security;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const MODES: [Security; 2] = [Security::Plain, Security::Psk];
const OTHER: u8 = 9;
const RANDOM: [u8; 16] = [7; 16];
/// What a record has before its body.
const HEADER_LEN: usize = RECORD_OVERHEAD - 4;

/// A packet or record as it is in another version, its checksum right.
fn in_version(bytes: &[u8], version: u8) -> Vec<u8> {
    let mut bytes = bytes[..bytes.len() - 4].to_vec();
    bytes[0] = version << 4 | bytes[0] & 0x0f;
    put_crc(&mut bytes, 0);
    bytes
}

fn packet(mode: Mode, packet: Packet<'_>, version: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.put_handshake(mode, &mut bytes);
    in_version(&bytes, version)
}

fn record(mode: Mode, held: Packet<'_>, version: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    start_record(&mut bytes, mode, RecordKind::Handshake);
    bytes.extend(packet(mode, held, version));
    finish_record(&mut bytes, 0);
    in_version(&bytes, version)
}

fn refuse(client_random: [u8; 16]) -> Packet<'static> {
    Packet::Refuse(Refuse { client_random, code: RefuseCode::Version, version: VERSION })
}

fn check_still_serves(server: &Arc<dyn Transport>, bind: fn(SocketAddr, Config) -> Bound, security: Security) {
    let client = bind(LOOPBACK, security.config()).unwrap();
    let client = Connection::connect(&client, server.local_addr()).unwrap();
    client.send("hello").unwrap();
    let listener = Listener::new(Arc::clone(server));
    let accepted = listener.accept_timeout(STUCK).unwrap();
    assert_eq!(accepted.recv_timeout(STUCK).unwrap().into_bytes(10).unwrap(), "hello");
    assert!(listener.try_accept().unwrap().is_none(), "who was refused is no connection");
}

type Bound = Result<Arc<dyn Transport>, udpair::transport::BindError>;

fn check_refused(called: Result<Connection, ConnectError>, peer: SocketAddr) {
    match called {
        Err(ConnectError::RefusedByLibrary { remote, reason: RefuseCode::Version }) if remote == peer => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn udp_tells_a_caller_of_another_version_in_that_version() {
    MODES.into_iter().for_each(udp_tells);
}

fn udp_tells(security: Security) {
    let mode = security.mode();
    let server = udp::bind(LOOPBACK, security.config()).unwrap();
    let caller = UdpSocket::bind(LOOPBACK).unwrap();
    caller.connect(server.local_addr()).unwrap();
    caller.set_read_timeout(Some(STUCK)).unwrap();
    let hello = Hello { client_random: RANDOM, invite: [0; 8], params_hash: [0; 32] };
    caller.send(&packet(mode, Packet::Hello(hello), OTHER)).unwrap();
    let mut answer = [0; 300];
    let len = uninterrupted(|| caller.recv(&mut answer)).unwrap();
    assert_eq!(&answer[..len], packet(mode, refuse(RANDOM), OTHER));
    check_still_serves(&server, udp::bind, security);
}

#[test]
fn udp_ends_a_call_to_a_peer_of_another_version_for_that_reason() {
    MODES.into_iter().for_each(udp_ends);
}

fn udp_ends(security: Security) {
    let mode = security.mode();
    let peer = UdpSocket::bind(LOOPBACK).unwrap();
    let addr = peer.local_addr().unwrap();
    let client = udp::bind(LOOPBACK, security.config()).unwrap();
    let calling = Arc::clone(&client);
    let call = client.spawn("call", move || Connection::connect(&calling, addr)).unwrap();
    let mut buf = [0; 2_048];
    let (len, from) = peer.recv_from(&mut buf).unwrap();
    let Ok((_, Packet::Hello(hello))) = Packet::decode(&buf[..len]) else { panic!("no HELLO") };
    peer.send_to(&packet(mode, refuse(hello.client_random), VERSION), from).unwrap();
    check_refused(call.join().unwrap(), addr);
}

#[test]
fn tcp_tells_a_caller_of_another_version_in_that_version_and_ends_the_stream() {
    MODES.into_iter().for_each(tcp_tells);
}

fn tcp_tells(security: Security) {
    let mode = security.mode();
    let server = tcp::bind(LOOPBACK, security.config()).unwrap();
    let mut caller = TcpStream::connect(server.local_addr()).unwrap();
    caller.set_read_timeout(Some(STUCK)).unwrap();
    let mut params = Vec::new();
    Params::default().put(&mut params);
    let hello = Hello2 {
        client_random: RANDOM,
        invite: [0; 8],
        cookie: None,
        client_cid: ConnectionCid(7),
        key_share: mode.is_sealed().then_some([7; KEY_SHARE_LEN]),
        params: &params,
    };
    caller.write_all(&record(mode, Packet::Hello2(hello), OTHER)).unwrap();
    let mut answer = Vec::new();
    caller.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, record(mode, refuse(RANDOM), OTHER));
    check_still_serves(&server, tcp::bind, security);
}

#[test]
fn tcp_ends_a_call_to_a_peer_of_another_version_for_that_reason() {
    MODES.into_iter().for_each(tcp_ends);
}

fn tcp_ends(security: Security) {
    let mode = security.mode();
    let listener = TcpListener::bind(LOOPBACK).unwrap();
    let addr = listener.local_addr().unwrap();
    let client = tcp::bind(LOOPBACK, security.config()).unwrap();
    let calling = Arc::clone(&client);
    let call = client.spawn("call", move || Connection::connect(&calling, addr)).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let mut asked = vec![0; HEADER_LEN];
    peer.read_exact(&mut asked).unwrap();
    asked.resize(Record::len_at(&asked).unwrap(), 0);
    peer.read_exact(&mut asked[HEADER_LEN..]).unwrap();
    let body = Record::decode(mode, &asked).unwrap().unwrap().body;
    let Ok((_, Packet::Hello2(hello))) = Packet::decode(body) else { panic!("no HELLO2") };
    peer.write_all(&record(mode, refuse(hello.client_random), VERSION)).unwrap();
    check_refused(call.join().unwrap(), addr);
    // The caller drops the stream, whatever the peer does.
    match peer.read(&mut [0; 10]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}
