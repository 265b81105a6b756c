//! Somebody who answers, and does not know the words.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread::JoinHandle;

use udpair::seal::{Inviter, Prs};
use udpair::wire::{COOKIE_LEN, ConnectionCid, Packet, Params, Retry};

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
    for args in ["recv", "join", "send Cargo.toml --code"] {
        let ended = Tool::start(&format!("{args} 42-maple-otter@{at} --timeout 0.5"), &[]).end();
        ended.failed(11, "try the same code or key again");
        assert_eq!(ended.stdout, "");
    }
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().send_to(&[], at).unwrap();
    hostile.join().unwrap();
}
