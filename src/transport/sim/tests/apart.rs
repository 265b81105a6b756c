//! Pairing between simulated hosts: who should not find each other does not, and is told why.

use super::pairing::Mouth;
use super::*;
use crate::network::{DomainId, LinkConfig, MILLION, Verdict};
use crate::pairing::{Carrier, Code, InviteId, Nameplate, Offer, Words};
use crate::proto::Security;
use crate::seal::Prs;
use crate::transport::discovery::{Discovery, DiscoveryError, DiscoveryOptions, PollError};
use crate::transport::driven::Joining;
use crate::transport::pairing::{InviteError, JoinError};
use crate::wire::Packet;

/// The code with other words, from the list.
pub(super) fn mistyped(code: &str) -> String {
    let code: Code = code.parse().unwrap();
    let other = (0..=255_u8).map(|n| Words::from_entropy([n; 4])).find(|words| *words != code.words).unwrap();
    Code { words: other, ..code }.to_string()
}

/// An inviter that accepts once, and says whom it heard.
fn invite(sim: &Sim, host: &Host, code: &Mouth) {
    let code = code.clone();
    sim.spawn(host, move |host| {
        let invite = host.pairing().invite()?;
        code.say(invite.code().to_string());
        assert_eq!(invite.accept()?.recv()?.into_bytes(100)?, "it is me");
        Ok(())
    });
}

fn say_it_is_me(peer: crate::transport::Connection) -> Result<(), HostError> {
    peer.send("it is me")?;
    assert!(peer.close(0).all_taken());
    Ok(())
}

#[test]
fn hosts_of_different_domains_do_not_find_each_other_and_connect_where_the_address_is_told() {
    let (sim, code, address) = (Sim::new(1), Mouth::default(), Mouth::default());
    let second = sim.network(Network::add_domain);
    let (inviter, joiner) = (sim.host("inviter"), sim.host_in("joiner", &[second]));
    let told = (code.clone(), address.clone());
    sim.spawn(&inviter, move |host| {
        let invite = host.pairing().invite()?;
        told.1.say(host.addr(invite.local_addr().port()).to_string());
        told.0.say(invite.code().to_string());
        assert_eq!(invite.accept()?.recv()?.into_bytes(100)?, "it is me");
        Ok(())
    });
    sim.spawn(&joiner, move |host| {
        let (code, address) = (code.hear(&host), address.hear(&host));
        let before = host.now();
        let error = host.pairing().timeout(3 * SECOND).join(&code).unwrap_err();
        assert!(matches!(error, JoinError::NobodyAnswered(_)), "{error}");
        assert_eq!(error.to_string(), "nobody answered on eth0, lo");
        assert_eq!(host.now(), before + 3 * SECOND);
        say_it_is_me(host.pairing().join_at(address.parse()?, &code)?)
    });
    sim.run().unwrap();
}

#[test]
fn an_interface_that_is_asked_for_is_the_only_one_used() {
    let (sim, code) = (Sim::new(2), Mouth::default());
    let second = sim.network(Network::add_domain);
    let both = [DomainId::LAN, second];
    let (inviter, joiner) = (sim.host("inviter"), sim.host_in("joiner", &both));
    invite(&sim, &inviter, &code);
    sim.spawn(&joiner, move |host| {
        let code = code.hear(&host);
        let error = host.pairing().interface("eth1").timeout(SECOND).join(&code).unwrap_err();
        assert_eq!(error.to_string(), "nobody answered on eth1");
        let error = host.pairing().interface("eth2").join(&code).unwrap_err();
        assert!(matches!(error, JoinError::Discovery(DiscoveryError::NoSuchInterface { .. })), "{error}");
        say_it_is_me(host.pairing().interface("eth0").join(&code)?)
    });
    sim.run().unwrap();
}

#[test]
fn a_host_without_a_link_says_that_it_has_nothing_to_send_on() {
    let sim = Sim::new(3);
    let host = sim.host_in("alone", &[]);
    sim.spawn(&host, move |host| {
        let error = host.pairing().timeout(SECOND).join("42-maple-otter").unwrap_err().to_string();
        assert_eq!(error, "nobody answered on lo; no network interface is up and has an address");
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn wrong_words_are_told_to_both_and_a_second_invite_works_at_once() {
    for seed in 0..20 {
        let (sim, first, second) = (Sim::new(seed), Mouth::default(), Mouth::default());
        sim.network(|network| network.configure_default(LinkConfig { loss_ppm: 50_000, ..LinkConfig::default() }));
        let (inviter, joiner) = (sim.host("inviter"), sim.host("joiner"));
        let codes = (first.clone(), second.clone());
        sim.spawn(&inviter, move |host| {
            let mut invite = host.pairing().invite()?;
            codes.0.say(invite.code().to_string());
            let error = invite.accept_timeout(60 * SECOND).unwrap_err();
            assert!(matches!(error, InviteError::Burnt), "{error}");
            let again = host.pairing().invite()?;
            codes.1.say(again.code().to_string());
            assert_eq!(again.accept()?.recv()?.into_bytes(100)?, "it is me");
            assert!(matches!(invite.accept_timeout(SECOND), Err(InviteError::Burnt)), "it stays so");
            Ok(())
        });
        sim.spawn(&joiner, move |host| {
            let code = first.hear(&host);
            let error = host.pairing().join(&mistyped(&code)).unwrap_err();
            assert!(matches!(error, JoinError::WrongWords), "{error}");
            let began = host.now();
            let peer = host.pairing().join(&second.hear(&host))?;
            assert!(host.now() < began + 2 * SECOND, "{:?}", host.now().saturating_since(began));
            say_it_is_me(peer)
        });
        sim.run().unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_second_guest_is_told_that_the_invite_was_used() {
    let (sim, code) = (Sim::new(4), Mouth::default());
    let (inviter, joiner, late) = (sim.host("inviter"), sim.host("joiner"), sim.host("late"));
    let (told, used) = (code.clone(), Mouth::default());
    let told_used = used.clone();
    sim.spawn(&inviter, move |host| {
        let mut invite = host.pairing().invite()?;
        told.say(invite.code().to_string());
        let peer = invite.accept_timeout(SECOND)?;
        told_used.say(host.addr(invite.local_addr().port()).to_string());
        assert_eq!(peer.recv()?.into_bytes(100)?, "it is me");
        host.sleep(10 * SECOND);
        Ok(())
    });
    let first = code.clone();
    sim.spawn(&joiner, move |host| say_it_is_me(host.pairing().join(&first.hear(&host))?));
    sim.spawn(&late, move |host| {
        let address = used.hear(&host).parse()?;
        let error = host.pairing().join_at(address, &code.hear(&host)).unwrap_err();
        assert!(matches!(error, JoinError::Used), "{error}");
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn an_invite_that_nobody_came_by_expires_after_ten_minutes() {
    let sim = Sim::new(5);
    let host = sim.host("alone");
    sim.spawn(&host, move |host| {
        let invite = host.pairing().invite()?;
        let error = invite.accept().unwrap_err();
        assert!(matches!(error, InviteError::Expired), "{error}");
        let lived = host.now().saturating_since(Timestamp::ZERO);
        assert_eq!(lived, Duration::from_secs(600));
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn an_invite_that_is_not_waited_for_expires_too() {
    let (sim, code, address) = (Sim::new(7), Mouth::default(), Mouth::default());
    let (inviter, joiner) = (sim.host("inviter"), sim.host("joiner"));
    let told = (code.clone(), address.clone());
    sim.spawn(&inviter, move |host| {
        let mut invite = host.pairing().invite()?;
        told.1.say(host.addr(invite.local_addr().port()).to_string());
        told.0.say(invite.code().to_string());
        host.sleep(620 * SECOND);
        assert!(matches!(invite.accept_timeout(SECOND), Err(InviteError::Expired)));
        Ok(())
    });
    sim.spawn(&joiner, move |host| {
        let (code, address) = (code.hear(&host), address.hear(&host).parse()?);
        host.sleep(600 * SECOND);
        let error = host.pairing().join_at(address, &code).unwrap_err();
        assert!(matches!(error, JoinError::Used), "{error}");
        Ok(())
    });
    sim.run().unwrap();
}

/// What a host that does not know the words is like.
#[derive(Clone, Copy, PartialEq)]
enum Hostile {
    /// Shakes hands as far as it gets, and keeps silent where it would have to prove the words.
    Silent,
    /// Tells whoever gave it a proof that the words were wrong.
    Refusing,
    /// Answers beacons, and nothing else.
    Mute,
}

/// Offers the nameplate, from the first question on, with words of its own, until `until`.
fn offer_too(host: &Host, nameplate: Nameplate, until: Timestamp) {
    let id = InviteId([0xbb; 8]);
    let security = Security::code(id.0, Prs::words("guessed-words"));
    let config = Config { security, ..Config::insecure_plain() };
    let transport: Arc<dyn Joining> = host.open_udp("[::]:0".parse().unwrap(), &config).unwrap();
    let offer = Offer { invite: id, carrier: Carrier::Udp, port: transport.local_addr().port() };
    let site = Arc::new(host.clone());
    let mut discovery = Discovery::inviting_on(site, DiscoveryOptions::default(), nameplate, offer).unwrap();
    while !matches!(discovery.poll(until), Err(PollError::TimedOut)) {}
}

/// A hostile host nearer to the joiner than the honest one, which answers first. What the joiner is told when it types
/// the code, and types it again until it is connected.
fn between(seed: u64, hostile: Hostile) -> Vec<String> {
    let (sim, code, errors) = (Sim::new(seed), Mouth::default(), Notes::default());
    let (honest, joiner, enemy) = (sim.host("honest"), sim.host("joiner"), sim.host("enemy"));
    let far = LinkConfig { delay: Duration::from_millis(40), ..LinkConfig::default() };
    let enemy_id = enemy.id();
    let deaf = LinkConfig { loss_ppm: MILLION, ..LinkConfig::default() };
    sim.network(|network| {
        network.configure_both(honest.id(), joiner.id(), far);
        // The enemy has the same nameplate in spite of the honest one, who does not hear it.
        network.configure_both(enemy.id(), honest.id(), deaf);
        network.add_rule(move |datagram| {
            let packet = Packet::decode(datagram.bytes);
            let silenced = match hostile {
                Hostile::Silent => matches!(packet, Ok((_, Packet::Refuse(_)))),
                Hostile::Refusing => false,
                Hostile::Mute => packet.is_ok(),
            };
            if silenced && datagram.from_host == enemy_id { Verdict::Drop } else { Verdict::Pass }
        });
    });
    invite(&sim, &honest, &code);
    let overheard = code.clone();
    sim.serve(&enemy, move |host| {
        let code: Code = overheard.hear(&host).parse()?;
        offer_too(&host, code.nameplate, Timestamp::ZERO + 4 * SECOND);
        Ok(())
    });
    let told = errors.clone();
    sim.spawn(&joiner, move |host| {
        let code = code.hear(&host);
        host.sleep(SECOND); // the enemy is ready
        for _ in 0..3 {
            match host.pairing().join(&code) {
                Ok(peer) => return say_it_is_me(peer),
                Err(error) => told.add(error.to_string()),
            }
            host.sleep(5 * SECOND);
        }
        Err("not connected".into())
    });
    sim.run().unwrap_or_else(|error| panic!("{error}"));
    errors.all()
}

#[test]
fn somebody_who_answers_first_without_the_words_costs_an_attempt_and_the_same_code_works_again() {
    for seed in 0..20 {
        let errors = between(seed, Hostile::Silent);
        assert_eq!(errors, [JoinError::SomebodyElse.to_string()], "seed {seed}");
    }
}

#[test]
fn an_enemy_who_claims_that_the_words_are_wrong_is_not_believed_where_the_inviter_is_heard_too() {
    for seed in 0..20 {
        let errors = between(seed, Hostile::Refusing);
        assert_eq!(errors, [JoinError::Disputed.to_string()], "seed {seed}");
    }
}

#[test]
fn somebody_who_offers_and_is_mute_costs_nothing() {
    for seed in 0..20 {
        assert_eq!(between(seed, Hostile::Mute), Vec::<String>::new(), "seed {seed}");
    }
}

/// Whoever answers the question and then says nothing has the joiner wait; it then asks the others.
#[test]
fn somebody_who_answers_and_falls_silent_before_any_proof_costs_time_only() {
    let (sim, code) = (Sim::new(6), Mouth::default());
    let (honest, joiner, enemy) = (sim.host("honest"), sim.host("joiner"), sim.host("enemy"));
    let enemy_id = enemy.id();
    sim.network(|network| {
        let far = LinkConfig { delay: Duration::from_millis(40), ..LinkConfig::default() };
        network.configure_both(honest.id(), joiner.id(), far);
        network.configure_both(enemy.id(), honest.id(), LinkConfig { loss_ppm: MILLION, ..LinkConfig::default() });
        network.add_rule(move |datagram| {
            let share = matches!(Packet::decode(datagram.bytes), Ok((_, Packet::Share(_))));
            if share && datagram.from_host == enemy_id { Verdict::Drop } else { Verdict::Pass }
        });
    });
    invite(&sim, &honest, &code);
    let overheard = code.clone();
    sim.serve(&enemy, move |host| {
        let code: Code = overheard.hear(&host).parse()?;
        offer_too(&host, code.nameplate, Timestamp::ZERO + 100 * SECOND);
        Ok(())
    });
    sim.spawn(&joiner, move |host| {
        let code = code.hear(&host);
        host.sleep(SECOND);
        let peer = host.pairing().join(&code)?;
        let took = host.now().saturating_since(Timestamp::ZERO + SECOND);
        assert!(took > 5 * SECOND && took < 20 * SECOND, "{took:?}");
        say_it_is_me(peer)
    });
    sim.run().unwrap();
}
