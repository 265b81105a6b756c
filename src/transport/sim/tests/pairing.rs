//! Pairing between simulated hosts: who should find each other does, whatever the links lose.

use super::*;
use crate::network::{DomainId, LinkConfig};
use crate::pairing::{BEACON_LEN, Beacon, Carrier, HostNumber, Say};
use crate::transport::pairing::{InviteError, JoinError, Pairing};
use crate::transport::{BindError, Connection};

/// What a host tells another by mouth, at no cost of time.
#[derive(Clone, Default)]
pub(super) struct Mouth(Arc<Mutex<Option<String>>>);

impl Mouth {
    pub(super) fn say(&self, text: impl Into<String>) {
        *self.0.lock().unwrap() = Some(text.into());
    }

    /// What was said, once it was.
    pub(super) fn hear(&self, host: &Host) -> String {
        loop {
            if let Some(text) = &*self.0.lock().unwrap() {
                return text.clone();
            }
            host.sleep(Duration::from_millis(1));
        }
    }
}

/// Both say what they are called, over a connection that must be theirs.
fn greet(peer: &Connection, own: &str, other: &str) -> Result<(), HostError> {
    peer.send(own.to_owned())?;
    assert_eq!(peer.recv()?.into_bytes(100)?, other);
    assert!(peer.transport().device_key(peer.id()).is_some(), "sealed");
    peer.close(0);
    Ok(())
}

/// Who starts to look for the other first, and how much later the other does.
#[derive(Clone, Copy)]
enum First {
    Inviter(Duration),
    Joiner(Duration),
}

/// How long two hosts need until both are connected, from when both look for each other.
fn pair(seed: u64, link: LinkConfig, first: First) -> Duration {
    let (sim, code) = (Sim::new(seed), Mouth::default());
    sim.network(|network| network.configure_default(link));
    let (inviter, joiner) = (sim.host("inviter"), sim.host("joiner"));
    let times = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let (told, noted) = (code.clone(), Arc::clone(&times));
    sim.spawn(&inviter, move |host| {
        let invite = host.pairing().invite()?;
        told.say(invite.code().to_string());
        if let First::Joiner(later) = first {
            host.sleep(later);
        }
        noted.lock().unwrap().0.push(host.now());
        let peer = invite.accept()?;
        noted.lock().unwrap().1.push(host.now());
        greet(&peer, "inviter", "joiner")
    });
    let noted = Arc::clone(&times);
    sim.spawn(&joiner, move |host| {
        let code = code.hear(&host);
        if let First::Inviter(later) = first {
            host.sleep(later);
        }
        noted.lock().unwrap().0.push(host.now());
        // Where 30 % are lost, one in a thousand proves itself for 5 s without hearing of it.
        let config = Config { connect_timeout: 10 * SECOND, ..Config::insecure_plain() };
        let peer = host.pairing().config(config).join(&code)?;
        noted.lock().unwrap().1.push(host.now());
        greet(&peer, "joiner", "inviter")
    });
    sim.run().unwrap_or_else(|error| panic!("{error}"));
    let (began, connected) = times.lock().unwrap().clone();
    assert_eq!(connected.len(), 2);
    connected.iter().max().unwrap().saturating_since(*began.iter().max().unwrap())
}

fn lossy(loss_ppm: u32) -> LinkConfig {
    LinkConfig { delay: Duration::from_micros(200), loss_ppm, ..LinkConfig::default() }
}

/// The median and the 99th percentile of the time to pair, over 200 seeds.
fn percentiles(link: &LinkConfig, first: impl Fn(u64) -> First) -> [Duration; 2] {
    let mut times: Vec<_> = (0..200).map(|seed| pair(seed, link.clone(), first(seed))).collect();
    times.sort_unstable();
    [times[99], times[197]]
}

#[test]
fn two_hosts_pair_whoever_starts_first_and_at_30_percent_loss_too() {
    for (percent, p99_max_ms) in [(0, 250), (10, 1_500), (30, 6_000)] {
        let link = lossy(percent * 10_000);
        let later = |seed: u64| Duration::from_millis(seed * 17 % 3_000);
        for (who, [median, p99]) in [
            ("inviter", percentiles(&link, |seed| First::Inviter(later(seed)))),
            ("joiner", percentiles(&link, |seed| First::Joiner(later(seed)))),
        ] {
            println!("{percent} % lost, the {who} first: median {median:?}, p99 {p99:?} of 200");
            assert!(p99 < Duration::from_millis(p99_max_ms), "{percent} % lost, the {who} first: {p99:?}");
        }
    }
}

#[test]
fn duplicates_reordering_jitter_and_flipped_bits_keep_nobody_apart() {
    for seed in 0..50 {
        let link = LinkConfig {
            jitter: Duration::from_millis(3),
            duplicate_ppm: 300_000,
            reorder_ppm: 300_000,
            flip_ppm: 50_000,
            truncate_ppm: 50_000,
            ..lossy(50_000)
        };
        pair(seed, link, First::Inviter(Duration::ZERO));
    }
}

#[test]
fn every_packet_of_a_pairing_is_the_same_for_a_seed() {
    let trace = |seed| {
        let (sim, lines, code) = (Sim::new(seed), Notes::default(), Mouth::default());
        let own = lines.clone();
        sim.network(|network| {
            network.configure_default(lossy(100_000));
            network.trace(move |packet| own.add(packet.to_string()));
        });
        let (inviter, joiner) = (sim.host("inviter"), sim.host("joiner"));
        let (told, noted) = (code.clone(), lines.clone());
        sim.spawn(&inviter, move |host| {
            let invite = host.pairing().invite()?;
            noted.add(format!("{} at {}", invite.code(), invite.local_addr()));
            told.say(invite.code().to_string());
            greet(&invite.accept()?, "inviter", "joiner")
        });
        sim.spawn(&joiner, move |host| greet(&host.pairing().join(&code.hear(&host))?, "joiner", "inviter"));
        sim.run().unwrap();
        lines.all()
    };
    let once = trace(1);
    assert!(once.len() > 30, "{once:#?}");
    assert_eq!(trace(1), once);
    assert_ne!(trace(2), once);
}

/// Many invites and their joiners in one domain; returns how often a nameplate was found to be taken.
fn crowd(seed: u64, count: usize, link: LinkConfig) -> u32 {
    let (sim, taken) = (Sim::new(seed), Arc::new(Mutex::new(0)));
    let seen = Arc::clone(&taken);
    sim.network(|network| {
        network.configure_default(link);
        network.add_rule(move |datagram| {
            let beacon = (datagram.bytes.len() == BEACON_LEN).then(|| Beacon::decode(datagram.bytes));
            let is_taken = matches!(beacon, Some(Ok(Beacon { say: Say::Taken { .. }, .. })));
            *seen.lock().unwrap() += u32::from(is_taken);
            crate::network::Verdict::Pass
        });
    });
    let (codes, one_joiner) = (Notes::default(), sim.host("the joiner of all"));
    let mut mouths = Vec::new();
    for number in 0..count {
        let (inviter, code, codes) = (sim.host(&format!("inviter {number}")), Mouth::default(), codes.clone());
        mouths.push(code.clone());
        sim.spawn(&inviter, move |host| {
            let invite = host.pairing().invite()?;
            codes.add(invite.code().nameplate.to_string());
            code.say(invite.code().to_string());
            greet(&invite.accept()?, &format!("inviter {number}"), "joiner")
        });
    }
    sim.spawn(&one_joiner, move |host| {
        for (number, code) in mouths.into_iter().enumerate().rev() {
            let peer = host.pairing().join(&code.hear(&host))?;
            greet(&peer, "joiner", &format!("inviter {number}"))?;
        }
        Ok(())
    });
    sim.run().unwrap_or_else(|error| panic!("{error}"));
    let mut nameplates = codes.all();
    nameplates.sort_unstable();
    nameplates.dedup();
    assert_eq!(nameplates.len(), count, "seed {seed}: two have the same nameplate");
    *taken.lock().unwrap()
}

#[test]
fn two_invites_at_once_in_one_domain_never_cross() {
    for seed in 0..100 {
        crowd(seed, 2, lossy(0));
    }
}

#[test]
fn of_invites_that_choose_the_same_nameplate_one_takes_another() {
    let taken: u32 = (0..5).map(|seed| crowd(seed, 20, lossy(20_000))).sum();
    assert!(taken > 0, "20 invites of 100 nameplates collide");
}

#[test]
fn a_host_of_two_domains_is_found_in_both() {
    for side in [0, 1] {
        let (sim, code) = (Sim::new(7), Mouth::default());
        let second = sim.network(Network::add_domain);
        let domains = [DomainId::LAN, second];
        let (inviter, joiner) = (sim.host_in("inviter", &domains), sim.host_in("joiner", &[domains[side]]));
        let told = code.clone();
        sim.spawn(&inviter, move |host| {
            let invite = host.pairing().invite()?;
            told.say(invite.code().to_string());
            greet(&invite.accept()?, "inviter", "joiner")
        });
        sim.spawn(&joiner, move |host| {
            let peer = host.pairing().join(&code.hear(&host))?;
            let ip = peer.peer_addr().unwrap().ip().to_string();
            assert!(ip == format!("10.{side}.0.1") || ip == ["fd00::1", "fd00:0:0:1::1"][side], "{ip}");
            greet(&peer, "joiner", "inviter")
        });
        sim.run().unwrap();
    }
}

#[test]
fn an_interface_that_appears_later_is_used_at_once() {
    let (sim, code) = (Sim::new(8), Mouth::default());
    let second = sim.network(Network::add_domain);
    let (inviter, joiner) = (sim.host("inviter"), sim.host_in("joiner", &[second]));
    let id = inviter.id();
    let appears = Timestamp::ZERO + 5 * SECOND;
    sim.network(|network| network.at(appears, move |network| _ = network.attach(id, second)));
    let told = code.clone();
    sim.spawn(&inviter, move |host| {
        let invite = host.pairing().invite()?;
        told.say(invite.code().to_string());
        greet(&invite.accept()?, "inviter", "joiner")
    });
    sim.spawn(&joiner, move |host| {
        let peer = host.pairing().join(&code.hear(&host))?;
        assert!(host.now() > appears && host.now() < appears + 2 * SECOND, "{:?}", host.now());
        greet(&peer, "joiner", "inviter")
    });
    sim.run().unwrap();
}

/// An invite and its joiner, which has `join` do the joining: told the pairing, and the invite's code, host and port.
fn told(seed: u64, join: impl Fn(&Pairing, &str, SocketAddr) -> Connection + Send + 'static) {
    let (sim, code) = (Sim::new(seed), Mouth::default());
    let (inviter, joiner) = (sim.host("inviter"), sim.host("joiner"));
    let (addr, told) = (inviter.addr(7_777), code.clone());
    sim.spawn(&inviter, move |host| {
        let invite = host.pairing().invite_on(7_777)?;
        assert_eq!(invite.host_numbers()?, [HostNumber(1)]);
        told.say(invite.code().to_string());
        greet(&invite.accept()?, "inviter", "joiner")
    });
    sim.spawn(&joiner, move |host| {
        let code = code.hear(&host);
        greet(&join(&host.pairing(), &code, addr), "joiner", "inviter")
    });
    sim.network(|network| {
        network.add_rule(|datagram| {
            assert!(datagram.bytes.len() != BEACON_LEN, "nothing is broadcast");
            crate::network::Verdict::Pass
        })
    });
    sim.run().unwrap();
}

#[test]
fn who_was_told_the_address_needs_no_beacons() {
    told(1, |pairing, code, addr| pairing.join_at(addr, code).unwrap());
    told(2, |pairing, code, addr| pairing.join(&format!("{code}@{addr}")).unwrap());
    told(3, |pairing, code, _| pairing.join(&format!("{code}@inviter:7777")).unwrap());
}

#[test]
fn the_old_way_host_number_port_and_words() {
    told(4, |pairing, code, _| {
        let words = code.split_once('-').unwrap().1;
        pairing.join_host(1, 7_777, words).unwrap()
    });
}

#[test]
fn two_programs_of_one_host_pair_over_its_loopback_interface() {
    let (sim, code) = (Sim::new(5), Mouth::default());
    let host = sim.host_in("alone", &[]);
    let told = code.clone();
    sim.spawn(&host, move |host| {
        let invite = host.pairing().invite()?;
        told.say(invite.code().to_string());
        greet(&invite.accept()?, "inviter", "joiner")
    });
    sim.spawn(&host, move |host| greet(&host.pairing().join(&code.hear(&host))?, "joiner", "inviter"));
    sim.run().unwrap();
}

#[test]
fn there_is_no_tcp_and_that_is_said() {
    let sim = Sim::new(6);
    let host = sim.host("alone");
    let error = host.pairing().carrier(Carrier::Tcp).invite().unwrap_err();
    assert!(matches!(error, InviteError::Bind(BindError::Io { .. })), "{error}");
}

#[test]
fn devices_that_know_each_other_meet_again_without_a_code_and_in_their_world_only() {
    for seed in 0..20 {
        let (sim, code) = (Sim::new(seed), Mouth::default());
        sim.network(|network| network.configure_default(lossy(100_000)));
        let key = Arc::new(Mutex::new(None));
        let (inviter, joiner) = (sim.host("inviter"), sim.host("joiner"));
        let (told, kept) = (code.clone(), Arc::clone(&key));
        sim.spawn(&inviter, move |host| {
            let invite = host.pairing().invite()?;
            told.say(invite.code().to_string());
            let peer = invite.accept()?;
            let key = peer.transport().device_key(peer.id()).unwrap();
            *kept.lock().unwrap() = Some(key.clone());
            greet(&peer, "inviter", "joiner")?;
            let mut again = host.pairing().invite_device(&key)?;
            for _ in 0..2 {
                greet(&again.accept()?, "inviter again", "joiner again")?;
            }
            Ok(())
        });
        sim.spawn(&joiner, move |host| {
            let peer = host.pairing().join(&code.hear(&host))?;
            let key = peer.transport().device_key(peer.id()).unwrap();
            greet(&peer, "joiner", "inviter")?;
            for _ in 0..2 {
                greet(&host.pairing().join_device(&key)?, "joiner again", "inviter again")?;
            }
            Ok(())
        });
        sim.run().unwrap_or_else(|error| panic!("{error}"));
        let key = key.lock().unwrap().take().unwrap();
        let error = Pairing::new().invite_device(&key).unwrap_err();
        assert!(matches!(error, InviteError::Bind(BindError::SimulatedKey { .. })), "{error}");
        let error = Pairing::new().join_device(&key).map(drop).unwrap_err();
        assert!(matches!(error, JoinError::Bind(BindError::SimulatedKey { .. })), "{error}");
    }
}
