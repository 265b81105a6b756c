//! What is said where something keeps two hosts apart, and what works all the same.

use super::SHORT;
use super::guest::Guest;
use crate::net::Net;

/// An inviter on host 0 and a joiner on host 1 that soon gives up.
fn two_guests(net: &Net) -> [Guest; 2] {
    let [inviter, mut joiner] = [Guest::on(net, 0, "inviter"), Guest::on(net, 1, "joiner")];
    joiner.tell(&["timeout", SHORT]);
    [inviter, joiner]
}

fn check(said: &str, expected: &[&str]) {
    for part in expected {
        assert!(said.contains(part), "\"{part}\" is not in \"{said}\"");
    }
}

#[test]
fn a_discovery_port_that_is_not_shared_is_named_and_stops_nobody_who_can_be_answered() {
    let Some(net) = Net::two_hosts(1) else { return };
    for taken_on in [0, 1] {
        let mut rude = Guest::on(&net, taken_on, "rude");
        rude.tell(&["take-discovery-port"]);
        rude.hear("taken");
        let [mut inviter, mut joiner] = two_guests(&net);
        let (code, _) = inviter.invite("udp");
        if taken_on == 1 {
            let said = joiner.join_fails(&["join", &code], "NobodyAnswered");
            check(&said, &["nobody answered on eth0, lo", "0.0.0.0:29517: the discovery port is in use by a program"]);
        }
        inviter.begin_accept();
        joiner.begin_join(&["join", &code]);
        inviter.accepted();
        assert_eq!(joiner.joined(), "inviter");
    }
}

#[test]
fn a_firewall_that_lets_no_beacon_out_is_named() {
    let Some(net) = Net::two_hosts(1) else { return };
    let [mut inviter, mut joiner] = two_guests(&net);
    net.run(1, "iptables -A OUTPUT -o eth0 -p udp --dport 29517 -j DROP");
    net.run(1, "ip6tables -A OUTPUT -o eth0 -p udp --dport 29517 -j DROP");
    let (code, port) = inviter.invite("udp");
    let said = joiner.join_fails(&["join", &code], "NobodyAnswered");
    check(&said, &["nobody answered on lo", "eth0: 198.18.7.255:29517: permission denied (perhaps a firewall"]);
    inviter.begin_accept();
    joiner.begin_join(&["join-at", &format!("{}:{port}", Net::ADDRESSES[0]), &code]);
    inviter.accepted();
    assert_eq!(joiner.joined(), "inviter");
}

#[test]
fn an_address_that_no_route_leads_to_is_named() {
    let Some(net) = Net::two_hosts(1) else { return };
    let mut joiner = Guest::on(&net, 1, "joiner");
    for carrier in super::CARRIERS {
        joiner.tell(&["carrier", carrier]);
        let said = joiner.join_fails(&["join-at", "203.0.113.1:7000", "42-maple-otter"], "Connect");
        check(&said, &["203.0.113.1:7000", "unreachable", "perhaps a VPN"]);
    }
}

#[test]
fn without_any_interface_that_is_said() {
    let Some(net) = Net::two_hosts(1) else { return };
    net.run(1, "ip link set eth0 down");
    let [_, mut joiner] = two_guests(&net);
    let said = joiner.join_fails(&["join", "42-maple-otter"], "NobodyAnswered");
    check(&said, &["nobody answered on lo; no network interface is up and has an address"]);
}

#[test]
fn who_comes_by_a_burnt_code_is_told_so_after_its_inviter_went_on() {
    let Some(net) = Net::two_hosts(1) else { return };
    let [mut inviter, mut joiner] = two_guests(&net);
    for carrier in super::CARRIERS {
        let (code, _) = inviter.invite(carrier);
        let guess = if code.ends_with("maple-otter") { "otter-maple" } else { "maple-otter" };
        inviter.begin_accept();
        joiner.join_fails(&["join", &format!("{}-{guess}", &code[..2])], "WrongWords");
        inviter.hear("failed Burnt: ");
        joiner.join_fails(&["join", &code], "Burnt");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let Some(net) = Net::two_hosts(1) else { return };
    let [mut inviter, mut second] = [Guest::on(&net, 0, "inviter"), Guest::on(&net, 0, "second")];
    for carrier in super::CARRIERS {
        let (_, port) = inviter.invite_on(carrier);
        second.tell(&["carrier", carrier]);
        second.tell(&["invite-on", &port.to_string()]);
        let said = second.hear("failed Bind: ");
        check(&said, &[&format!("[::]:{port} is in use")]);
    }
}
