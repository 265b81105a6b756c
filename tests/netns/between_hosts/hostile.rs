//! Somebody on the network who offers what others look for, without knowing the words; and what becomes of those whom
//! they deceive.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;

use socket2::{Domain, Socket, Type};
use udpair::pairing::{BEACON_LEN, Beacon, Carrier, DISCOVERY_PORT, InviteId, Nameplate, Offer, Say};
use udpair::seal::{Inviter, Prs};
use udpair::wire::{
    COOKIE_LEN, Confirm, ConnectionCid, Mode, Packet, Params, Record, RecordKind, Refuse, RefuseCode, Retry, VERSION,
    finish_record, start_record,
};

use super::CARRIERS;
use super::guest::{Guest, say};
use crate::net::Net;

const INVITE: InviteId = InviteId([0xee; 8]);

/// What they do when they have to prove that they know the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Nothing; over TCP they hang up.
    Silent,
    /// They prove something else.
    Bluff,
    /// They are silent before that already, and hang on.
    Mute,
    /// They end the stream before that; over UDP they are silent.
    HangUp,
    /// They refuse before that.
    Refuse(RefuseCode),
    /// They say that it is the other side that does not know them.
    Accuse,
}

#[test]
fn whoever_answers_first_without_the_words_costs_this_attempt_and_not_the_invite() {
    for manner in ["silent", "bluff", "accuse"] {
        let Some(net) = Net::bridge(3) else { return };
        for carrier in CARRIERS {
            let mut inviter = Guest::on(&net, 0, "inviter");
            let mut joiner = Guest::on(&net, 1, "joiner");
            let mut hostile = Guest::on(&net, 2, "hostile");
            let (code, _) = inviter.invite(carrier);
            hostile.tell(&["hostile", carrier, &code[..2], manner]);
            hostile.hear("answering");
            joiner.tell(&["connect-timeout", "1500"]);
            joiner.begin_join(&["join", &code]);
            // The inviter speaks up when the choice is made.
            hostile.hear("proven to");
            inviter.begin_accept();
            // Two offered the number, of whom one accused.
            if manner == "accuse" {
                let said = joiner.hear("failed Disputed: ");
                assert!(said.contains("else try the same again"), "{said}");
            } else {
                let said = joiner.hear("failed SomebodyElse: ");
                assert!(said.contains("did not prove to know the secret: try the same code or key again"), "{said}");
            }
            drop(hostile);
            joiner.begin_join(&["join", &code]);
            inviter.accepted();
            assert_eq!(joiner.joined(), "inviter", "{manner}, {carrier}");
        }
    }
}

/// Nothing is proven to them, so that they cannot end the search, nor keep it to the carrier that they offer.
#[test]
fn whoever_answers_first_and_then_falls_silent_or_refuses_costs_time_alone() {
    for manner in ["mute", "hang-up", "busy", "used", "wrong"] {
        let Some(net) = Net::bridge(3) else { return };
        for (carrier, theirs) in CARRIERS.iter().flat_map(|ours| CARRIERS.map(|theirs| (*ours, theirs))) {
            let mut inviter = Guest::on(&net, 0, "inviter");
            let mut joiner = Guest::on(&net, 1, "joiner");
            let mut hostile = Guest::on(&net, 2, "hostile");
            let (code, _) = inviter.invite(carrier);
            hostile.tell(&["hostile", theirs, &code[..2], manner]);
            hostile.hear("answering");
            joiner.tell(&["connect-timeout", "800"]);
            joiner.begin_join(&["join", &code]);
            hostile.hear("asked by");
            inviter.begin_accept();
            inviter.accepted();
            assert_eq!(joiner.joined(), "inviter", "{manner} over {theirs}, the invite over {carrier}");
        }
    }
}

/// Whoever can send from the inviter's address names its port under another invite, which the inviter does not know.
#[test]
fn another_invite_at_the_same_address_costs_time_alone() {
    let Some(net) = Net::bridge(2) else { return };
    for carrier in CARRIERS {
        let mut inviter = Guest::on(&net, 0, "inviter");
        let mut joiner = Guest::on(&net, 1, "joiner");
        let mut forger = Guest::on(&net, 0, "forger");
        let (code, port) = inviter.invite(carrier);
        forger.tell(&["forge", carrier, &code[..2], &port.to_string()]);
        forger.hear("answering");
        joiner.begin_join(&["join", &code]);
        forger.hear("offered");
        inviter.begin_accept();
        inviter.accepted();
        assert_eq!(joiner.joined(), "inviter", "{carrier}");
    }
}

/// Beacons can be copied, so that there is only one invite for all that the joiner can tell.
#[test]
fn whoever_passes_for_the_invite_and_accuses_the_joiner_is_not_believed_more_than_it_is_due() {
    let Some(net) = Net::bridge(3) else { return };
    for carrier in CARRIERS {
        let mut inviter = Guest::on(&net, 0, "inviter");
        let mut joiner = Guest::on(&net, 1, "joiner");
        let mut hostile = Guest::on(&net, 2, "hostile");
        let (code, _) = inviter.invite(carrier);
        hostile.tell(&["hostile", carrier, &code[..2], "accuse", "copy"]);
        hostile.hear("listening");
        inviter.tell(&["offer", "300"]);
        inviter.hear("offered");
        hostile.hear("answering");
        joiner.begin_join(&["join", &code]);
        hostile.hear("proven to");
        let said = joiner.hear("failed WrongWords: ");
        assert!(said.contains("if the other side says that its invite is burnt"), "{said}");
        drop(hostile);
        joiner.begin_join(&["join", &code]);
        inviter.begin_accept();
        inviter.accepted();
        assert_eq!(joiner.joined(), "inviter", "{carrier}");
    }
}

/// Offers `nameplate`, with the id of the invite that was heard to offer it if `copies`, and talks to whoever comes.
pub(super) fn be(carrier: Carrier, nameplate: &str, manner: &str, copies: bool) {
    let nameplate = nameplate.parse().ok().and_then(Nameplate::new).expect("two digits");
    let manner = match manner {
        "silent" => Manner::Silent,
        "bluff" => Manner::Bluff,
        "mute" => Manner::Mute,
        "hang-up" => Manner::HangUp,
        "busy" => Manner::Refuse(RefuseCode::Busy),
        "used" => Manner::Refuse(RefuseCode::InviteUsed),
        "wrong" => Manner::Refuse(RefuseCode::WrongTag),
        _ => Manner::Accuse,
    };
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    // That the one who is really meant was heard of by everybody, too.
    let (tell, honest) = mpsc::channel();
    let port = match carrier {
        Carrier::Udp => {
            let socket = UdpSocket::bind(any).expect("a socket");
            let port = socket.local_addr().expect("it is bound").port();
            std::thread::spawn(move || talk_udp(&socket, manner, &honest));
            port
        }
        Carrier::Tcp => {
            let listener = TcpListener::bind(any).expect("a socket");
            let port = listener.local_addr().expect("it is bound").port();
            std::thread::spawn(move || talk_tcp(&listener, manner, &honest));
            port
        }
    };
    let shared = shared();
    let invite = if copies {
        say("listening");
        overhear(&shared, nameplate)
    } else {
        INVITE
    };
    if copies {
        tell.send(()).expect("they are told later");
    }
    let offer = Offer { invite, carrier, port };
    std::thread::spawn(move || answer(&shared, nameplate, offer, &tell, || {}));
    say("answering");
}

/// Hears what all programs of this machine hear.
fn shared() -> UdpSocket {
    let shared = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    shared.set_reuse_address(true).expect("an option");
    shared.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, DISCOVERY_PORT)).into()).expect("it is shared");
    shared.into()
}

/// Offers `nameplate` at somebody else's port.
pub(super) fn forge(carrier: Carrier, nameplate: &str, port: &str) {
    let nameplate = nameplate.parse().ok().and_then(Nameplate::new).expect("two digits");
    let offer = Offer { invite: INVITE, carrier, port: port.parse().expect("a port") };
    let shared = shared();
    // Nobody waits for the honest one to be heard of.
    let (tell, _) = mpsc::channel();
    std::thread::spawn(move || answer(&shared, nameplate, offer, &tell, || say("offered")));
    say("answering");
}

/// The id of the invite that offers the nameplate.
fn overhear(shared: &UdpSocket, nameplate: Nameplate) -> InviteId {
    let mut buffer = [0; BEACON_LEN];
    loop {
        let (len, _) = shared.recv_from(&mut buffer).expect("a datagram");
        match Beacon::decode(&buffer[..len]) {
            Ok(Beacon { nameplate: theirs, say: Say::Offer(offer, _) }) if theirs == nameplate => return offer.invite,
            _ => {}
        }
    }
}

/// Answers every SEEK for the nameplate.
fn answer(shared: &UdpSocket, nameplate: Nameplate, offer: Offer, honest: &mpsc::Sender<()>, offered: fn()) {
    let own = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    own.set_ttl(255).expect("an option");
    let mut buffer = [0; BEACON_LEN];
    loop {
        let (len, from) = shared.recv_from(&mut buffer).expect("a datagram");
        match Beacon::decode(&buffer[..len]) {
            Ok(Beacon { nameplate: theirs, say: Say::Seek(seek) }) if theirs == nameplate => {
                let beacon = Beacon { nameplate, say: Say::Offer(offer, Some(seek)) };
                own.send_to(&beacon.encode(), from).expect("a way back");
                offered();
            }
            Ok(Beacon { nameplate: theirs, say: Say::Offer(..) }) if theirs == nameplate => {
                let _ = honest.send(());
            }
            _ => {}
        }
    }
}

fn talk_udp(socket: &UdpSocket, manner: Manner, honest: &mpsc::Receiver<()>) {
    let mut run = Talk { inviter: None, manner, held: false };
    let mut buffer = [0; 2_048];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).expect("a datagram");
        if let Some(answer) = run.answer(&buffer[..len], honest) {
            socket.send_to(&answer, from).expect("a way back");
        }
    }
}

fn talk_tcp(listener: &TcpListener, manner: Manner, honest: &mpsc::Receiver<()>) {
    let mut held = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().expect("somebody who comes");
        let mut run = Talk { inviter: None, manner, held: false };
        // It ends the stream where there is nothing to say; the first that comes only shows the way.
        while let Some(answer) = record(&mut stream).and_then(|packet| run.answer(&packet, honest)) {
            let mut out = Vec::new();
            start_record(&mut out, Mode::Code, RecordKind::Handshake);
            out.extend_from_slice(&answer);
            finish_record(&mut out, 0);
            stream.write_all(&out).expect("somebody who listens");
        }
        if run.held {
            held.push(stream);
        }
    }
}

/// The body of the next record; `None` at the end of the stream.
fn record(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    loop {
        if let Some(record) = Record::decode(Mode::Code, &read).expect("a sound record") {
            return Some(record.body.to_vec());
        }
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        read.extend_from_slice(&byte);
    }
}

/// One handshake.
struct Talk {
    inviter: Option<Inviter>,
    manner: Manner,
    /// Nothing is said any more, and nobody hangs up.
    held: bool,
}

impl Talk {
    fn answer(&mut self, packet: &[u8], honest: &mpsc::Receiver<()>) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let (mode, parsed) = Packet::decode(packet).expect("the joiner's packets are sound");
        match parsed {
            Packet::Hello(hello) => {
                let retry = Retry { client_random: hello.client_random, cookie: [5; COOKIE_LEN] };
                Packet::Retry(retry).put_handshake(mode, &mut out);
            }
            Packet::Hello2(_) if matches!(self.manner, Manner::Mute | Manner::HangUp) => {
                say("asked by");
                self.held = self.manner == Manner::Mute;
                return None;
            }
            Packet::Hello2(hello) => {
                if let Manner::Refuse(code) = self.manner {
                    say("asked by");
                    let client_random = hello.client_random;
                    Packet::Refuse(Refuse { client_random, code, version: VERSION }).put_handshake(mode, &mut out);
                    return Some(out);
                }
                let mut params = Vec::new();
                Params::default().put(&mut params);
                let ours = (ConnectionCid(7), params.as_slice());
                let inviter = Inviter::answer(mode, &Prs::words("guess-guess"), (packet, &hello), ours, &[9; 64]);
                let inviter = inviter.expect("the joiner's key share is sound");
                out.extend_from_slice(inviter.share());
                self.inviter = Some(inviter);
            }
            Packet::ConfirmJ(confirm) => {
                self.inviter.as_ref()?.on_confirm(&confirm).expect_err("they do not know the words");
                say("proven to");
                match self.manner {
                    Manner::Silent | Manner::Mute | Manner::HangUp | Manner::Refuse(_) => return None,
                    Manner::Bluff => {
                        Packet::ConfirmI(Confirm { tag: [3; 32], ..confirm }).put_handshake(mode, &mut out);
                    }
                    Manner::Accuse => {
                        honest.recv().expect("beacons are heard");
                        let (client_random, code) = (confirm.client_random, RefuseCode::WrongTag);
                        Packet::Refuse(Refuse { client_random, code, version: VERSION }).put_handshake(mode, &mut out);
                    }
                }
            }
            _ => return None,
        }
        Some(out)
    }
}
