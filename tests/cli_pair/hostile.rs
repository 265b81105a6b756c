//! Somebody who answers, and does not know the words.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread::JoinHandle;

use udpair::pairing::{Beacon, Code, DISCOVERY_PORT, Say, SeekId};
use udpair::seal::{Inviter, Prs};
use udpair::wire::{COOKIE_LEN, ConnectionCid, Packet, Params, Retry, put_crc};

use super::tool::Tool;

/// Offers handshakes with other words until whoever came has to believe a proof, which never comes.
fn be(socket: UdpSocket) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 2_048];
        loop {
            let (len, from) = socket.recv_from(&mut buffer).unwrap();
            if len == 0 {
                return;
            }
            let packet = &buffer[..len];
            let (mode, parsed) = Packet::decode(packet).expect("the joiner's packets are sound");
            let mut answer = Vec::new();
            match parsed {
                Packet::Hello(hello) => {
                    let retry = Retry { client_random: hello.client_random, cookie: [5; COOKIE_LEN] };
                    Packet::Retry(retry).put_handshake(mode, &mut answer);
                }
                Packet::Hello2(hello) => {
                    let mut params = Vec::new();
                    Params::default().put(&mut params);
                    let ours = (ConnectionCid(7), params.as_slice());
                    let inviter = Inviter::answer(mode, &Prs::words("guess-guess"), (packet, &hello), ours, &[9; 64]);
                    answer.extend_from_slice(inviter.expect("the joiner's key share is sound").share());
                }
                _ => continue,
            }
            socket.send_to(&answer, from).unwrap();
        }
    })
}

#[test]
fn somebody_else_who_answers_is_told_from_the_other_side() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = socket.local_addr().unwrap();
    let hostile = be(socket);
    // Each lasts for as long as it may: three round trips have to fit in, on a machine that is busy with other things.
    let joiners = ["recv", "join", "send Cargo.toml --code"];
    let joiners = joiners.map(|args| Tool::start(&format!("{args} 42-maple-otter@{at} --timeout 2"), &[]));
    for joiner in joiners {
        let ended = joiner.end();
        ended.failed(11, "try the same code or key again");
        assert_eq!(ended.stdout, "");
    }
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().send_to(&[], at).unwrap();
    hostile.join().unwrap();
}

/// Where in a beacon the version stands, which stays the same in all versions.
const VERSION_AT: usize = 4;

#[test]
fn an_inviter_hears_of_somebody_with_another_version() {
    let mut inviter = Tool::start("send Cargo.toml --interface lo", &[]);
    let code: Code = inviter.code().parse().unwrap();
    let seek = Beacon { nameplate: code.nameplate, say: Say::Seek(SeekId([1; 8])) }.encode();
    let mut later = seek[..seek.len() - 4].to_vec();
    later[VERSION_AT] = 9;
    put_crc(&mut later, 0);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // Beacons come from no further than the link.
    socket.set_ttl(255).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.send_to(&later, (Ipv4Addr::new(127, 255, 255, 255), DISCOVERY_PORT)).unwrap();
    inviter.said("version");
    inviter.interrupt();
    inviter.end().failed(130, "version 9 of the protocol, which is another one");
}
