//! Which ways lead from a code to its inviter.

use super::guest::Guest;
use super::{CARRIERS, SHORT, STUCK};
use crate::net::Net;

/// A guest on host 0 that invites, and one on host 1 that joins.
fn two_guests(net: &Net) -> [Guest; 2] {
    [Guest::on(net, 0, "inviter"), Guest::on(net, 1, "joiner")]
}

/// That they pair by a code alone, over either carrier.
fn pair_by_code(net: &Net) {
    let [mut inviter, mut joiner] = two_guests(net);
    for carrier in CARRIERS {
        let (code, _) = inviter.invite(carrier);
        inviter.begin_accept();
        joiner.begin_join(&["join", &code]);
        inviter.accepted();
        assert_eq!(joiner.joined(), "inviter", "{carrier}");
    }
}

#[test]
fn two_hosts_pair_over_one_link() {
    let Some(net) = Net::two_hosts(1) else { return };
    pair_by_code(&net);
}

#[test]
fn two_hosts_with_two_links_pair_whatever_becomes_of_one_of_them() {
    let Some(net) = Net::two_hosts(2) else { return };
    pair_by_code(&net);
    // Nothing arrives by it, and nobody is told.
    for host in [0, 1] {
        for tables in ["iptables", "ip6tables"] {
            net.run(host, &format!("{tables} -A INPUT -i eth0 -j DROP"));
        }
    }
    pair_by_code(&net);
    // It is down on one side.
    net.run(0, "ip link set eth0 down");
    pair_by_code(&net);
}

/// Lets beacons arrive by eth0, and nothing that is sent to one host.
fn pass_only_beacons(net: &Net, instead: &str) {
    for host in [0, 1] {
        net.run(host, &format!("iptables -A INPUT -i eth0 -d 198.18.7.1 -j {instead}"));
        net.run(host, &format!("iptables -A INPUT -i eth0 -d 198.18.7.2 -j {instead}"));
        net.run(host, "ip6tables -A INPUT -i eth0 -d fe80::/10 -j DROP");
    }
}

#[test]
fn a_link_that_beacons_pass_and_nothing_else_is_no_way() {
    for instead in ["DROP", "REJECT"] {
        let Some(net) = Net::two_hosts(2) else { return };
        pass_only_beacons(&net, instead);
        pair_by_code(&net);
    }
}

#[test]
fn a_way_that_is_found_while_a_dead_one_is_tried_is_tried_too() {
    for carrier in CARRIERS {
        let Some(net) = Net::two_hosts(2) else { return };
        pass_only_beacons(&net, "DROP");
        net.run(0, "ip link set eth1 down");
        let [mut inviter, mut joiner] = two_guests(&net);
        let (code, _) = inviter.invite(carrier);
        inviter.begin_accept();
        joiner.begin_join(&["join", &code]);
        net.wait_until("a try at the way that is dead", || net.packets(0, "198.18.7.1") > 0);
        net.run(0, "ip link set eth1 up");
        inviter.accepted();
        assert_eq!(joiner.joined(), "inviter", "{carrier}");
    }
}

/// Nameplates are drawn, so that two invites seldom want the same one here. To force that would make the test depend on
/// the machine: the holder has 80 ms to answer. What becomes of it is tested in virtual time, in
/// `src/pairing/tests/nameplates.rs` and `src/transport/sim/tests/pairing.rs`, and, where both sides are driven by
/// turns, over sockets, in `src/transport/discovery/tests.rs`.
#[test]
fn two_invites_at_once_on_a_bridge_never_cross() {
    let Some(net) = Net::bridge(3) else { return };
    let mut inviters = [Guest::on(&net, 0, "first"), Guest::on(&net, 1, "second")];
    let mut joiners = [Guest::on(&net, 2, "one"), Guest::on(&net, 2, "another")];
    for round in 0..6 {
        let carriers = [CARRIERS[round % 2], CARRIERS[round / 2 % 2]];
        for (inviter, carrier) in inviters.iter_mut().zip(carriers) {
            inviter.begin_invite(carrier);
        }
        let codes = inviters.each_mut().map(|inviter| inviter.invited().0);
        assert_ne!(codes[0][..2], codes[1][..2], "one nameplate for two invites");
        inviters.iter_mut().for_each(Guest::begin_accept);
        for (joiner, code) in joiners.iter_mut().zip(&codes) {
            joiner.begin_join(&["join", code]);
        }
        assert_eq!(joiners.each_mut().map(Guest::joined), ["first", "second"], "{codes:?} over {carriers:?}");
        inviters.iter_mut().for_each(Guest::accepted);
    }
}

#[test]
fn where_broadcasts_are_blocked_an_address_leads_there() {
    let Some(net) = Net::two_hosts(1) else { return };
    for host in [0, 1] {
        for to in ["255.255.255.255", "198.18.7.255", "224.0.0.0/4"] {
            net.run(host, &format!("iptables -A INPUT -i eth0 -p udp -d {to} -j DROP"));
        }
        net.run(host, "ip6tables -A INPUT -i eth0 -p udp -d ff00::/8 -j DROP");
    }
    let [mut inviter, mut joiner] = two_guests(&net);
    for carrier in CARRIERS {
        let (code, port) = inviter.invite(carrier);
        inviter.begin_accept();
        joiner.tell(&["timeout", SHORT]);
        let said = joiner.join_fails(&["join", &code], "NobodyAnswered");
        assert!(said.starts_with("nobody answered on eth0"), "{said}");
        // The invite that nobody found lives on.
        let at = format!("{}:{port}", Net::ADDRESSES[0]);
        joiner.tell(&["carrier", carrier]);
        joiner.begin_join(&["join-at", &at, &code]);
        inviter.accepted();
        assert_eq!(joiner.joined(), "inviter", "{carrier}");

        let (code, port) = inviter.invite(carrier);
        inviter.begin_accept();
        let with_address = format!("{code}@{}:{port}/{carrier}", Net::ADDRESSES[0]);
        joiner.begin_join(&["join", &with_address]);
        inviter.accepted();
        assert_eq!(joiner.joined(), "inviter", "{carrier}");

        let (code, port) = inviter.invite_on(carrier);
        inviter.begin_accept();
        let (_, words) = code.split_once('-').expect("a number and words");
        joiner.begin_join(&["join-host", "1", &port.to_string(), words]);
        inviter.accepted();
        assert_eq!(joiner.joined(), "inviter", "{carrier}");
    }
}

/// TCP itself repeats after a second and later, so four are over only after 3 s, and another one comes.
const CALLS_LOST: u64 = 4;

#[test]
fn a_joiner_who_was_told_the_address_calls_as_long_as_it_may_over_either_carrier() {
    let Some(net) = Net::two_hosts(1) else { return };
    for carrier in CARRIERS {
        let [mut inviter, mut joiner] = two_guests(&net);
        let (code, port) = inviter.invite_on(carrier);
        inviter.begin_accept();
        net.run(0, &format!("iptables -A INPUT -i eth0 -d 198.18.7.1 -p {carrier} --dport {port} -j DROP"));
        joiner.tell(&["connect-timeout", &STUCK.as_millis().to_string()]);
        joiner.begin_join(&["join", &format!("{code}@198.18.7.1:{port}/{carrier}")]);
        net.wait_until("so many calls", || {
            assert!(joiner.is_silent(), "over {carrier} it has given up");
            net.packets(0, "198.18.7.1") >= CALLS_LOST
        });
        net.run(0, "iptables -F INPUT");
        inviter.accepted();
        assert_eq!(joiner.joined(), "inviter", "{carrier}");
    }
}

#[test]
fn each_way_to_everyone_is_enough_by_itself() {
    let ways = ["198.18.7.255", "255.255.255.255", "224.0.0.229", "ff02::7564:7061"];
    for open in ways {
        let Some(net) = Net::two_hosts(1) else { return };
        for (host, way) in [0, 1].into_iter().flat_map(|host| ways.map(|way| (host, way))) {
            let tables = if way.contains(':') { "ip6tables" } else { "iptables" };
            if way != open {
                net.run(host, &format!("{tables} -A INPUT -i eth0 -d {way} -j DROP"));
            }
        }
        pair_by_code(&net);
    }
}

#[test]
fn without_any_ipv4_address_hosts_pair_over_ipv6() {
    let Some(net) = Net::two_hosts(1) else { return };
    if net.output(0, "ip -6 addr show dev eth0").is_empty() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    for host in [0, 1] {
        net.run(host, "ip -4 addr flush dev eth0");
        net.run(host, "ip -4 addr flush dev lo");
        assert_eq!(net.output(host, "ip -4 addr"), "");
    }
    pair_by_code(&net);
}

#[test]
fn an_interface_that_appears_later_is_used() {
    let Some(net) = Net::two_hosts(1) else { return };
    for host in [0, 1] {
        net.run(host, "ip link set eth0 down");
    }
    let [mut inviter, mut joiner] = two_guests(&net);
    for carrier in CARRIERS {
        let (code, _) = inviter.invite(carrier);
        inviter.begin_accept();
        joiner.begin_join(&["join", &code]);
        for host in [0, 1] {
            net.run(host, "ip link set eth0 up");
        }
        inviter.accepted();
        assert_eq!(joiner.joined(), "inviter", "{carrier}");
    }
}
