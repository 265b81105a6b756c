//! Handshakes: under loss, refused, forged, flooded.

use core::time::Duration;

use super::net::{Faults, Net, address};

use crate::message::{End, State};
use crate::proto::{Answer, Config, ConnectError, Dropped, PathLimits};
use crate::wire::{Mode, Packet, Refuse, RefuseCode, VERSION, put_crc};

fn default_pair(seed: u64, faults: Faults) -> Net {
    Net::new(seed, [Config::default(), Config::default()], faults)
}

#[test]
fn a_connection_is_established_after_two_round_trips() {
    let mut net = default_pair(1, Faults::default());
    let start = net.now;
    let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
    assert!(net.run(Duration::from_secs(1), |net| net.hosts[0].messages(id).unwrap().state() == State::Open));
    assert_eq!(net.now.saturating_since(start), Duration::from_micros(200));
    assert!(net.run(Duration::from_secs(1), |net| net.hosts[1].incoming().is_some()));
    assert_eq!(net.now.saturating_since(start), Duration::from_micros(250), "on the first packet");
}

#[test]
fn handshakes_succeed_under_any_loss_and_duplication() {
    for seed in 0..200 {
        let faults =
            Faults { loss_percent: 30, duplicate_percent: 30, jitter: Duration::from_millis(1), ..Faults::default() };
        let (mut net, ids) = Net::connected(seed, [Config::default(), Config::default()], faults);
        net.run_for(Duration::from_secs(2));
        for (host, id) in ids.into_iter().enumerate() {
            assert_eq!(net.messages(host, id).state(), State::Open, "seed {seed}");
            assert_eq!(net.hosts[host].len(), 1, "seed {seed}: one connection only");
        }
    }
}

#[test]
fn nobody_there_is_a_timeout() {
    let mut net = default_pair(1, Faults { dead: [true, true], ..Faults::default() });
    let start = net.now;
    let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
    net.run(Duration::from_secs(60), |net| net.hosts[0].messages(id).unwrap().ended().is_some());
    assert_eq!(net.hosts[0].messages(id).unwrap().ended(), Some(End::ConnectTimedOut));
    assert_eq!(net.now.saturating_since(start), Duration::from_secs(5));
    net.hosts[0].release(net.now, id);
    net.pump(0);
    assert_eq!(net.hosts[0].len(), 0);
    assert_eq!(net.hosts[0].deadline(), None);
}

#[test]
fn an_endpoint_that_does_not_listen_answers_nothing() {
    let config = Config { backlog: 0, ..Config::default() };
    let mut net = Net::new(1, [Config::default(), config], Faults::default());
    let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
    net.run_for(Duration::from_secs(6));
    assert_eq!(net.hosts[0].messages(id).unwrap().ended(), Some(End::ConnectTimedOut));
    assert!(net.log.iter().all(|datagram| datagram.from == 0));
    assert!(net.hosts[1].counters().dropped(Dropped::NotListening) > 0);
}

#[test]
fn beyond_the_backlog_a_joiner_hears_that_the_listener_is_busy_and_gets_in_when_it_is_not() {
    let config = Config { backlog: 2, ..Config::default() };
    let mut net = Net::new(1, [Config::default(), config], Faults::default());
    let connect = |net: &mut Net| net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
    let first = [(); 2].map(|()| connect(&mut net));
    net.run_for(Duration::from_millis(10));
    let [refused, patient] = [(); 2].map(|()| connect(&mut net));
    net.run_for(Duration::from_millis(490));
    assert_eq!(net.messages(0, refused).ended(), None, "a hint counts after half a second");
    for _ in 0..2 {
        let id = net.hosts[1].incoming().unwrap();
        net.hosts[1].answer(net.now, id, Answer::Accept);
    }
    // Whichever repeats its question first finds room; both do, for two were accepted.
    net.run_for(Duration::from_millis(1_000));
    for id in first {
        assert_eq!(net.messages(0, id).state(), State::Open);
    }
    let ends = [refused, patient].map(|id| net.messages(0, id).ended());
    assert_eq!(ends, [Some(End::Refused(RefuseCode::Busy)); 2], "both had asked before there was room");
    assert!(net.hosts[1].counters().dropped(Dropped::Busy) >= 2);
    let again = connect(&mut net);
    net.run_for(Duration::from_millis(10));
    assert_eq!(net.messages(0, again).state(), State::Open);
}

#[test]
fn an_unreachable_port_ends_the_attempt_after_half_a_second_unless_it_answers() {
    for (dead, end) in [([true; 2], Some(End::Unreachable)), ([false; 2], None)] {
        let mut net = default_pair(1, Faults { dead, ..Faults::default() });
        let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
        net.pump(0);
        net.hosts[0].handle_unreachable(net.now, address(1));
        net.run_for(Duration::from_micros(499_999));
        assert_eq!(net.messages(0, id).ended(), None);
        net.run_for(Duration::from_micros(1));
        assert_eq!(net.messages(0, id).ended(), end);
        // RFC 1122 section 4.2.3.9: nothing of the kind ends what is established.
        net.hosts[0].handle_unreachable(net.now, address(1));
        net.run_for(Duration::from_secs(2));
        assert_eq!(net.messages(0, id).ended(), end);
    }
}

#[test]
fn an_endpoint_has_so_many_connections_and_no_more() {
    let config = Config { connections_max: 2, ..Config::default() };
    let mut net = Net::new(1, [config, Config::default()], Faults::default());
    let path = PathLimits::unlimited(address(1));
    let ids = [(); 2].map(|()| net.hosts[0].connect(net.now, address(1), path).unwrap());
    let result = net.hosts[0].connect(net.now, address(1), path);
    assert_eq!(result, Err(ConnectError::TooMany { max: 2 }));
    net.hosts[0].release(net.now, ids[0]);
    net.run_for(Duration::from_millis(10));
    assert!(net.hosts[0].connect(net.now, address(1), path).is_ok(), "one is forgotten");
}

#[test]
fn connections_that_ended_before_they_were_accepted_leave_their_places_to_others() {
    // Their driver may have been told of them already, or not yet.
    for told in [false, true] {
        let config = Config { backlog: 3, ..Config::default() };
        let mut net = Net::new(1, [Config::default(), config], Faults::default());
        let connect = |net: &mut Net| {
            let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
            net.run_for(Duration::from_millis(10));
            assert_eq!(net.messages(0, id).state(), State::Open, "told: {told}");
            id
        };
        let mut given = Vec::new();
        let mut look = |net: &mut Net| {
            if told {
                given.extend(std::iter::from_fn(|| net.hosts[1].incoming()));
            }
        };
        for round in 0..9 {
            let ids = [(); 3].map(|()| connect(&mut net));
            look(&mut net);
            for id in ids {
                let now = net.now;
                match round % 3 {
                    0 => net.messages(0, id).close(now, 0, Duration::ZERO),
                    1 => net.messages(0, id).abort(7),
                    _ => {}
                }
            }
            net.faults.dead = [round % 3 == 2; 2];
            net.run_for(if round % 3 == 2 { Duration::from_secs(30) } else { Duration::from_millis(10) });
            net.faults.dead = [false; 2];
        }
        // Whoever said something before it closed properly is still to be heard, and keeps its place.
        let id = connect(&mut net);
        net.messages(0, id).send(0, 0, bytes::Bytes::from_static(b"hello")).unwrap();
        net.run_for(Duration::from_millis(1));
        let now = net.now;
        net.messages(0, id).close(now, 3, Duration::from_millis(1));
        net.run_for(Duration::from_secs(30));
        look(&mut net);
        given.extend(std::iter::from_fn(|| net.hosts[1].incoming()));
        given.retain(|id| net.hosts[1].messages(*id).is_some());
        let [server] = given[..] else { panic!("{given:?}") };
        net.hosts[1].answer(net.now, server, Answer::Accept);
        assert!(net.messages(1, server).recv(crate::message::Select::Any).unwrap().is_some());
        assert_eq!(net.messages(1, server).ended(), Some(End::ClosedByPeer { code: 3 }));
        net.hosts[1].release(net.now, server);
        net.run_for(Duration::from_secs(1));
        assert_eq!(net.hosts[1].len(), 0, "told: {told}");
    }
}

/// The same packet as it would be in another version, its checksum right.
fn in_version(packet: &[u8], version: u8) -> Vec<u8> {
    let mut bytes = packet[..packet.len() - 4].to_vec();
    bytes[0] = version << 4 | bytes[0] & 0x0f;
    put_crc(&mut bytes, 0);
    bytes
}

#[test]
fn a_caller_of_another_version_is_refused_in_its_own_and_ends_for_that_reason() {
    // Datagrams are carried by hand: host 0 stands for one that speaks version 9.
    let mut net = default_pair(1, Faults { dead: [true, true], ..Faults::default() });
    let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
    net.pump(0);
    let hello = net.log.pop().unwrap().bytes;
    let Ok((_, Packet::Hello(asked))) = Packet::decode(&hello) else { panic!("{hello:?}") };
    net.hosts[1].handle_datagram(net.now, address(0), None, &mut in_version(&hello, 9));
    net.pump(1);
    let answer = net.log.pop().unwrap();
    assert_eq!((answer.from, answer.bytes[0]), (1, 9 << 4));
    let refusal = in_version(&answer.bytes, VERSION);
    let refuse = Refuse { client_random: asked.client_random, code: RefuseCode::Version, version: VERSION };
    assert_eq!(Packet::decode(&refusal), Ok((Mode::Plain, Packet::Refuse(refuse))));
    assert_eq!((net.hosts[1].len(), net.hosts[1].counters().dropped(Dropped::Version)), (0, 1));

    net.hosts[0].handle_datagram(net.now, address(1), None, &mut refusal.clone());
    net.run_for(Duration::from_millis(499));
    assert_eq!(net.messages(0, id).ended(), None, "anybody can forge it, so it is only a hint");
    net.run_for(Duration::from_millis(1));
    assert_eq!(net.messages(0, id).ended(), Some(End::Refused(RefuseCode::Version)));
}

#[test]
fn nothing_else_of_another_version_is_answered() {
    let (mut net, ids) =
        Net::connected(1, [Config::default(), Config { backlog: 1, ..Config::default() }], Faults::default());
    let log = core::mem::take(&mut net.log);
    net.settle();
    let mut strange = 0;
    for datagram in log {
        let (to, from) = (1 - datagram.from, address(datagram.from));
        if matches!(Packet::decode(&datagram.bytes), Ok((_, Packet::Hello(_) | Packet::Hello2(_)))) {
            continue;
        }
        net.hosts[to].handle_datagram(net.now, from, None, &mut in_version(&datagram.bytes, 9));
        strange += 1;
    }
    assert!(strange >= 3, "RETRY, SHARE and data");
    let counted: u64 = net.hosts.iter().map(|host| host.counters().dropped(Dropped::Version)).sum();
    assert_eq!(counted, strange);
    for (host, id) in ids.into_iter().enumerate() {
        net.pump(host);
        assert_eq!(net.messages(host, id).state(), State::Open);
    }
    assert!(net.log.is_empty(), "{:?}", net.log);

    // Nor is a HELLO where nobody listens.
    let mut hello = Vec::new();
    let asks = crate::wire::Hello { client_random: [7; 16], invite: [0; 8], params_hash: [0; 32] };
    Packet::Hello(asks).put_handshake(Mode::Plain, &mut hello);
    let mut deaf = Net::new(1, [Config { backlog: 0, ..Config::default() }, Config::default()], Faults::default());
    deaf.hosts[0].handle_datagram(deaf.now, address(1), None, &mut in_version(&hello, 9));
    deaf.pump(0);
    assert!(deaf.log.is_empty());
    assert_eq!(deaf.hosts[0].counters().dropped(Dropped::Version), 1);
}
