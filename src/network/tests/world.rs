//! Everything comes from the seed; hosts, partitions, rules and changes.

use super::*;
use crate::pairing::InterfaceId;

#[test]
fn a_faultless_link_delivers_what_was_sent_after_its_delay() {
    let mut pair = Pair::new(LinkConfig::default());
    let (from, to) = (pair.network.address(pair.a, 1), pair.network.address(pair.b, 2));
    pair.send_ecn(at_us(10), Some(Ecn::Ect1), b"datagram");
    assert_eq!(pair.network.next_at(), Some(at_us(60)));
    assert_eq!(pair.network.poll(at_us(59)), None);
    let bytes = b"datagram".to_vec();
    let (host, interface, ecn) = (pair.b, InterfaceId(2), Some(Ecn::Ect1));
    let (to_everyone, kind) = (false, DeliveryKind::Datagram);
    let delivery = Delivery { host, interface, to, to_everyone, from, ecn, kind, bytes };
    assert_eq!(pair.network.poll(at_us(60)), Some(delivery));
    assert_eq!(pair.network.poll(at_us(60)), None);
    assert_eq!(pair.network.next_at(), None);
}

#[test]
fn the_same_seed_gives_the_same_fate_to_all_and_another_seed_another() {
    let run = |seed| exercise(&mut Pair::seeded(seed, rough()));
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn another_host_changes_nobodys_fate() {
    let run = |crowded: bool| {
        let mut network = Network::new(5);
        let other = crowded.then(|| network.add_host("other"));
        let (b, a) = (network.add_host("b"), network.add_host("a"));
        network.configure_default(rough());
        let (from, to) = (network.address_v6(a, 1), network.address_v6(b, 2));
        let mut fates = Vec::new();
        for n in 0..1_000 {
            if let Some(other) = other {
                network.send(at_us(n), network.address_v6(other, 3), to, None, b"crowd");
                network.send(at_us(n), to, from, None, b"crowd");
            }
            fates.push(network.send(at_us(n), from, to, None, b"datagram"));
        }
        fates
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn switching_a_fault_on_changes_nothing_else() {
    let config = LinkConfig { loss_ppm: 100_000, jitter: us(0), ..LinkConfig::default() };
    let more = LinkConfig { duplicate_ppm: 500_000, flip_ppm: 500_000, truncate_ppm: 500_000, ..config.clone() };
    let lost = |config| {
        let fates = Pair::new(config).send_numbered(5_000);
        fates.iter().map(|fate| *fate == Fate::Dropped(DropReason::Lost)).collect::<Vec<_>>()
    };
    assert_eq!(lost(config), lost(more));
}

#[test]
fn a_rule_that_takes_a_datagram_away_changes_no_others_fate() {
    let config = LinkConfig { loss_ppm: 300_000, ..LinkConfig::default() };
    let fates = Pair::new(config.clone()).send_numbered(1_000);
    let mut ruled = Pair::new(config);
    ruled.network.add_rule(|info| if number(info.bytes) == 10 { Verdict::Drop } else { Verdict::Pass });
    let ruled_fates = ruled.send_numbered(1_000);
    assert_eq!(ruled_fates[10], Fate::Dropped(DropReason::Rule));
    assert_eq!((&fates[..10], &fates[11..]), (&ruled_fates[..10], &ruled_fates[11..]));
}

#[test]
fn what_was_sent_and_doubled_arrives_or_is_counted_as_dropped() {
    let mut pair = Pair::new(rough());
    let arrived = exercise(&mut pair).len() as u64;
    let counters = *pair.network.counters();
    assert_eq!(counters.sent, 2_000);
    assert_eq!(counters.arriving, arrived);
    assert_eq!(counters.sent + counters.duplicated, counters.arriving + counters.dropped());
    assert_eq!(counters, pair.network.link_counters(pair.a, pair.b));
    for (name, count) in counters.by_name() {
        let reached = !["no-route", "rule", "ruled", "partitioned", "too-long", "overflow"].contains(&name);
        assert_eq!(count > 0, reached, "{name}: {count}");
    }
}

#[test]
fn a_partition_stops_one_direction_until_it_heals() {
    let mut pair = Pair::new(LinkConfig::default());
    let (from, to) = (pair.network.address(pair.a, 1), pair.network.address(pair.b, 2));
    pair.send(Timestamp::ZERO, b"under way before");
    pair.network.partition(pair.a, pair.b);
    assert_eq!(pair.send(at_us(1), b""), Fate::Dropped(DropReason::Partitioned));
    assert_eq!(pair.network.send(at_us(1), to, from, None, b"back").arrivals().count(), 1);
    pair.network.heal(pair.a, pair.b);
    assert_eq!(pair.send(at_us(2), b"healed").arrivals().count(), 1);
    let arrived: Vec<_> = pair.drain().into_iter().map(|(_, delivery)| delivery.bytes).collect();
    assert_eq!(arrived, [&b"under way before"[..], b"back", b"healed"]);
}

#[test]
fn changes_come_at_their_time_before_anything_else() {
    let mut pair = Pair::new(LinkConfig::default());
    let (a, b) = (pair.a, pair.b);
    pair.network.at(at_us(10), move |network| {
        network.partition(a, b);
        network.at(at_us(20), move |network| network.heal(a, b));
    });
    let partitioned = Fate::Dropped(DropReason::Partitioned);
    assert_ne!(pair.send(Timestamp::from_nanos(9_999), b""), partitioned);
    assert_eq!(pair.network.next_at(), Some(at_us(10)), "a change is something that happens");
    assert_eq!(pair.send(at_us(10), b""), partitioned);
    assert_eq!(pair.send(Timestamp::from_nanos(19_999), b""), partitioned);
    assert_ne!(pair.send(at_us(20), b""), partitioned);
    assert_eq!(pair.drain().len(), 2);
}

#[test]
fn rules_are_asked_in_turn_before_the_link() {
    let mut pair = Pair::new(LinkConfig { loss_ppm: MILLION, ..LinkConfig::default() });
    pair.network.partition(pair.a, pair.b);
    let mut seen = 0;
    let first = pair.network.add_rule(move |info| {
        seen += 1;
        if info.bytes == b"drop" || seen > 3 { Verdict::Drop } else { Verdict::Pass }
    });
    pair.network.add_rule(|info| if info.bytes == b"pass" { Verdict::Pass } else { Verdict::Deliver(us(7)) });
    assert_eq!(pair.send(Timestamp::ZERO, b"drop"), Fate::Dropped(DropReason::Rule));
    assert_eq!(pair.send(Timestamp::ZERO, b"pass"), Fate::Dropped(DropReason::Partitioned));
    assert_eq!(pair.send(Timestamp::ZERO, b"other"), Fate::Arrives(Arrival::ruled(at_us(7)), None));
    assert_eq!(pair.send(Timestamp::ZERO, b"other"), Fate::Dropped(DropReason::Rule), "the rule keeps state");
    assert!(pair.network.remove_rule(first));
    assert!(!pair.network.remove_rule(first));
    assert_eq!(pair.send(Timestamp::ZERO, b"drop"), Fate::Arrives(Arrival::ruled(at_us(7)), None));
}

#[test]
fn an_address_without_a_host_has_no_route() {
    let mut pair = Pair::new(LinkConfig::default());
    let (from, to) = (pair.network.address(pair.a, 1), pair.network.address(pair.b, 2));
    let nowhere = "192.0.2.1:5".parse().unwrap();
    let no_route = Fate::Dropped(DropReason::NoRoute);
    assert_eq!(pair.network.send(Timestamp::ZERO, from, nowhere, None, b""), no_route);
    assert_eq!(pair.network.send(Timestamp::ZERO, nowhere, to, None, b""), no_route);
    pair.network.add_address(pair.b, nowhere.ip());
    assert_ne!(pair.network.send(Timestamp::ZERO, from, nowhere, None, b""), no_route);
    assert_eq!(pair.network.host_at(nowhere.ip()), Some(pair.b));
}

#[test]
fn a_refused_datagram_is_answered_over_the_way_back_and_the_answer_never() {
    let mut pair = Pair::new(LinkConfig::default());
    pair.send(Timestamp::ZERO, b"anyone?");
    let (at, datagram) = pair.drain().remove(0);
    pair.network.refuse(at, &datagram);
    let (at, answer) = pair.drain().remove(0);
    assert_eq!((at, answer.kind), (at_us(100), DeliveryKind::Unreachable));
    assert_eq!((answer.to, answer.from), (datagram.from, datagram.to));
    pair.network.refuse(at, &answer);
    assert_eq!(pair.network.next_at(), None);
}

#[test]
fn pairs_that_share_a_link_share_its_queue() {
    let mut network = Network::new(1);
    let (a, b, c) = (network.add_host("a"), network.add_host("b"), network.add_host("c"));
    let config = LinkConfig { rate_bps: Some(800_000_000), ..LinkConfig::default() };
    network.configure(a, c, config.clone());
    network.share_link((b, c), (a, c));
    assert_eq!(network.config(b, c), &config);
    let to = network.address(c, 1);
    network.send(Timestamp::ZERO, network.address(a, 1), to, None, &[0; 972]);
    network.send(Timestamp::ZERO, network.address(b, 1), to, None, &[0; 972]);
    let times: Vec<_> = drain(&mut network).iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [at_us(60), at_us(70)]);
    assert_eq!(network.link_counters(a, c).sent, 2);
}

#[test]
fn what_is_under_way_is_bounded() {
    let mut pair = Pair::new(LinkConfig { mtu: 70_000, ..LinkConfig::default() });
    let fits = IN_FLIGHT_BYTES_MAX / (65_472 + 64);
    for _ in 0..fits {
        pair.send(Timestamp::ZERO, &[0; 65_472]);
    }
    assert_eq!(pair.send(Timestamp::ZERO, &[0; 65_472]), Fate::Dropped(DropReason::Overflow));
    assert_eq!(pair.drain().len(), fits);
    assert_eq!(pair.send(at_us(50), &[0; 65_472]).arrivals().count(), 1, "what has arrived makes room");
}

#[test]
fn time_does_not_run_backwards() {
    let mut pair = Pair::new(LinkConfig::default());
    pair.send(at_us(10), b"");
    assert_eq!(pair.send(at_us(5), b""), pair.send(at_us(10), b""));
}
