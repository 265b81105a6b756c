//! What was said once and is said again, or in another order: nothing comes of it.

use core::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::net::{Before, Datagram, Faults, Net, address};
use crate::message::{ArrivalBody, Select, State};
use crate::proto::{Config, Dropped, Endpoint, InviteState, PathLimits, Security};
use crate::seal::Prs;
use crate::slots::ConnectionId;
use crate::wire::{Mode, Packet};

fn config(mode: Mode) -> Config {
    let security = match mode {
        Mode::Psk => Security::psk([3; 8], &[4; 32]),
        _ => Security::code([7; 8], Prs::words("maple-otter")),
    };
    Config { security, ..Config::default() }
}

const MODES: [Mode; 2] = [Mode::Code, Mode::Psk];

/// Each HELLO has one of its own, so whoever answers them with HELLOs never comes to an end.
fn is_retry(datagram: &Datagram) -> bool {
    matches!(Packet::decode(&datagram.bytes), Ok((_, Packet::Retry(_))))
}

/// One message each way, each of which arrives once; and the close.
fn converse(net: &mut Net, ids: [ConnectionId; 2]) {
    net.run_for(Duration::from_millis(20));
    for (host, id) in ids.into_iter().enumerate() {
        net.messages(host, id).send(0, 0, vec![7; 3_000].into()).unwrap();
        net.run_for(Duration::from_millis(5));
        let peer = net.messages(1 - host, ids[1 - host]);
        let arrival = peer.recv(Select::Any).unwrap().expect("a message");
        assert!(matches!(arrival.body, ArrivalBody::Whole(body) if body == vec![7; 3_000]));
        assert!(peer.recv(Select::Any).unwrap().is_none(), "once");
    }
    let now = net.now;
    net.messages(0, ids[0]).close(now, 9, Duration::from_secs(5));
    net.run_for(Duration::from_millis(500));
    for (host, id) in ids.into_iter().enumerate() {
        assert!(net.messages(host, id).ended().is_some());
        net.hosts[host].release(net.now, id);
    }
    net.run_for(Duration::from_millis(500));
    assert_eq!([0, 1].map(|host| net.hosts[host].len()), [0, 0]);
}

/// Hands a host, as from its peer, all that the peer ever sent to it.
fn replay(net: &mut Net, host: usize, session: &[Datagram]) {
    for datagram in session.iter().filter(|datagram| datagram.from != host) {
        net.hosts[host].handle_datagram(net.now, address(datagram.from), None, &mut datagram.bytes.clone());
    }
}

#[test]
fn whatever_was_said_before_may_be_said_again_at_any_time() {
    for mode in MODES {
        let mut net = Net::new(1, [config(mode), config(mode)], Faults::default());
        let mut said: Vec<Datagram> = Vec::new();
        let again: Before = Box::new(move |hosts: &mut [Endpoint; 2], now, datagram| {
            // But for what only answers a replay: that would go on for ever.
            if said.iter().any(|old| old.bytes == datagram.bytes || is_retry(old) && is_retry(datagram)) {
                return;
            }
            for old in &said {
                hosts[1 - old.from].handle_datagram(now, address(old.from), None, &mut old.bytes.clone());
            }
            said.push(datagram.clone());
        });
        net.before = Some(again);
        let ids = net.connect();
        // From here on what the handshake said is answered no more but as before: with the same bytes.
        net.run_for(Duration::from_millis(1));
        let granted =
            |it: &&Datagram| matches!(Packet::decode(&it.bytes), Ok((_, Packet::Share(_) | Packet::ConfirmI(_))));
        let mut shares: Vec<_> = net.log.iter().filter(granted).map(|it| &it.bytes).collect();
        shares.sort();
        shares.dedup();
        assert_eq!(shares.len(), 2, "one SHARE and one CONFIRM_I, however often");
        net.before = None;
        assert_eq!([0, 1].map(|host| net.hosts[host].len()), [1, 1]);
        converse(&mut net, ids);
    }
}

#[test]
fn an_established_session_takes_no_harm_from_all_of_its_packets_again() {
    for mode in MODES {
        let mut net = Net::new(1, [config(mode), config(mode)], Faults::default());
        let ids = net.connect();
        net.run_for(Duration::from_millis(20));
        for (host, len) in [(0, 5_000), (1, 5_000), (0, 5_000)] {
            net.messages(host, ids[host]).send(0, 0, vec![1; len].into()).unwrap();
            net.run_for(Duration::from_millis(5));
            assert!(net.messages(1 - host, ids[1 - host]).recv(Select::Any).unwrap().is_some());
        }
        let session = core::mem::take(&mut net.log);
        let sealed = |of: &&Datagram| matches!(Packet::decode(&of.bytes), Ok((_, Packet::Sealed(..))));
        let received = |net: &Net| [0, 1].map(|host| net.hosts[host].stats(ids[host]).unwrap().link);
        let before = received(&net);
        for (host, id) in ids.into_iter().enumerate() {
            replay(&mut net, host, &session);
            let again = session.iter().filter(|datagram| datagram.from != host).filter(sealed).count();
            assert_eq!(net.hosts[host].counters().dropped(Dropped::Duplicate), again as u64);
            assert!(net.messages(host, id).recv(Select::Any).unwrap().is_none());
            net.pump(host);
        }
        assert_eq!(received(&net), before, "no number has changed");
        let answers = core::mem::take(&mut net.log);
        assert!(!answers.iter().any(|datagram| sealed(&datagram)), "what is sealed is not answered");
        assert_eq!([0, 1].map(|host| net.hosts[host].len()), [1, 1]);
        converse(&mut net, ids);
    }
}

#[test]
fn a_recorded_session_means_nothing_once_it_is_over() {
    for mode in MODES {
        // At once, while SHARE and cookies are good still, and when they are not.
        for wait in [Duration::ZERO, Duration::from_secs(11)] {
            let mut net = Net::new(1, [config(mode), config(mode)], Faults::default());
            let ids = net.connect();
            converse(&mut net, ids);
            let session = core::mem::take(&mut net.log);
            net.run_for(wait);
            for host in 0..2 {
                for _ in 0..3 {
                    replay(&mut net, host, &session);
                }
                assert!(net.hosts[host].incoming().is_none() && net.hosts[host].is_empty());
                assert_eq!(net.hosts[host].half_open(), 0);
                let sent: usize = session.iter().filter(|it| it.from != host).map(|it| 3 * it.bytes.len()).sum();
                net.pump(host);
                let answered: usize = core::mem::take(&mut net.log).iter().map(|it| it.bytes.len()).sum();
                assert!(answered <= sent);
                assert_eq!(net.hosts[host].deadline(), None, "nothing is kept");
            }
        }
    }
}

#[test]
fn a_recorded_session_means_nothing_to_another_listener_with_the_same_secret() {
    for mode in MODES {
        let (mut net, ids) = Net::connected(1, [config(mode), config(mode)], Faults::default());
        converse(&mut net, ids);
        let session = core::mem::take(&mut net.log);
        // Both begin anew, at the same time on their clocks: only what they draw at random is different.
        for seed in 8..12 {
            let mut anew = Net::new(1, [config(mode), config(mode)], Faults::default());
            anew.hosts = [Endpoint::new(config(mode), [seed; 32]), Endpoint::new(config(mode), [100 + seed; 32])];
            // Also while an honest handshake is under way, at every point of it.
            let recorded = session.clone();
            anew.before = Some(Box::new(move |hosts: &mut [Endpoint; 2], now, datagram: &Datagram| {
                for old in recorded.iter().filter(|_| !is_retry(datagram)) {
                    hosts[1 - old.from].handle_datagram(now, address(old.from), None, &mut old.bytes.clone());
                }
            }));
            for host in 0..2 {
                replay(&mut anew, host, &session);
                assert!(anew.hosts[host].incoming().is_none() && anew.hosts[host].is_empty());
                assert_eq!((anew.hosts[host].half_open(), anew.hosts[host].remembered()), (0, 0));
            }
            assert_eq!(anew.hosts[1].counters().dropped(Dropped::BadCookie), 1, "HELLO2");
            assert!(anew.hosts[1].invite().is_none_or(|state| state == InviteState::Open));
            let ids = anew.connect();
            assert_eq!([0, 1].map(|host| anew.hosts[host].len()), [1, 1]);
            converse(&mut anew, ids);
            assert_eq!([0, 1].map(|host| anew.hosts[host].counters().dropped(Dropped::Forged)), [0; 2]);
        }
    }
}

#[test]
fn sealed_packets_may_arrive_in_any_order_and_more_than_once() {
    for seed in 0..20 {
        let (mut net, ids) = Net::connected(seed, [config(Mode::Psk), config(Mode::Psk)], Faults::default());
        net.run_for(Duration::from_millis(20));
        // All of a burst is caught on its way, and let go again as somebody pleases.
        net.log.clear();
        net.rule = Some(Box::new(|datagram| datagram.from == 0));
        for at in 0..8 {
            net.messages(0, ids[0]).send(0, 0, vec![at; 1_000].into()).unwrap();
        }
        net.pump(0);
        net.rule = None;
        let mut burst: Vec<Vec<u8>> = core::mem::take(&mut net.log).into_iter().map(|it| it.bytes).collect();
        assert!(burst.len() >= 6, "{}", burst.len());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..burst.len() {
            burst.push(burst[rng.random_range(0..burst.len())].clone());
        }
        burst.shuffle(&mut rng);
        let distinct = burst.iter().collect::<std::collections::BTreeSet<_>>().len();
        for bytes in &mut burst {
            net.hosts[1].handle_datagram(net.now, address(0), None, bytes);
        }
        let counters = net.hosts[1].counters();
        assert_eq!(counters.dropped(Dropped::Duplicate), (burst.len() - distinct) as u64, "seed {seed}");
        assert_eq!(counters.dropped(Dropped::Forged), 0, "seed {seed}");
        for at in 0..8 {
            let arrival = net.messages(1, ids[1]).recv(Select::Any).unwrap().expect("a message");
            let ArrivalBody::Whole(body) = arrival.body else { panic!("a stream") };
            assert_eq!(body, vec![at; 1_000], "seed {seed}");
        }
        assert!(net.messages(1, ids[1]).recv(Select::Any).unwrap().is_none(), "seed {seed}: each once");
        assert_eq!(net.messages(0, ids[0]).state(), State::Open);
    }
}

#[test]
fn a_joiner_is_not_taken_in_by_what_an_inviter_said_to_another() {
    for mode in MODES {
        let mut first = Net::new(1, [config(mode), config(mode)], Faults::default());
        first.connect();
        let session = core::mem::take(&mut first.log);
        let mut net = Net::new(1, [config(mode), config(mode)], Faults::default());
        net.hosts[0] = Endpoint::new(config(mode), [77; 32]);
        net.rule = Some(Box::new(|_| true)); // the inviter is not there
        let id = net.hosts[0].connect(net.now, address(1), PathLimits::unlimited(address(1))).unwrap();
        for _ in 0..60 {
            replay(&mut net, 0, &session);
            net.run_for(Duration::from_millis(100));
        }
        assert_eq!(net.messages(0, id).ended(), Some(crate::message::End::ConnectTimedOut));
        assert!(net.hosts[0].counters().dropped(Dropped::StaleHandshake) > 0);
    }
}
