//! `udpair doctor` on hosts on which something stands in the way.

use super::guest::Guest;
use crate::job::TOOL;
use crate::net::Net;

/// What it says on host 0 of all interfaces, and its exit code.
fn doctor(net: &Net) -> (String, Option<i32>) {
    let ended = net.command(0, TOOL).arg("doctor").output().expect("the tool starts");
    assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
    (String::from_utf8(ended.stdout).expect("text"), ended.status.code())
}

fn check(net: &Net, code: i32, expected: &[&str]) {
    let (text, ended) = doctor(net);
    for part in expected {
        assert!(text.contains(part), "\"{part}\" is not in\n{text}");
    }
    assert_eq!(ended, Some(code), "{text}");
}

#[test]
fn on_a_host_with_a_link_all_is_well() {
    let Some(net) = Net::two_hosts(1) else { return };
    let line = "up, 198.18.7.1 (broadcast 198.18.7.255), fe80::";
    let firewall = "ok      a firewall     shows nowhere";
    let remedy = "`sudo ufw allow from 198.18.7.0/24`";
    check(
        &net,
        0,
        &["ok    eth0             ", line, "multicast, MTU 1500", firewall, remedy, "would work, by eth0\n"],
    );
}

#[test]
fn a_host_without_a_network_is_told_so() {
    let Some(net) = Net::two_hosts(1) else { return };
    net.run(0, "ip link set eth0 down");
    check(&net, 1, &["note  eth0             down -> plug it in", "FAIL  pairing          would not work"]);
}

#[test]
fn a_firewall_that_drops_beacons_is_told_with_its_remedy() {
    let Some(net) = Net::two_hosts(1) else { return };
    net.run(0, "ip6tables -A INPUT -p udp --dport 29517 -j DROP");
    check(&net, 0, &["come back: a firewall drops some ways -> let UDP to port 29517 in", "would work, by eth0"]);
    net.run(0, "iptables -A INPUT -p udp --dport 29517 -j DROP");
    check(&net, 1, &["none comes back: a firewall", "would not work"]);
    net.run(0, "iptables -F INPUT");
    net.run(0, "iptables -A OUTPUT -p udp --dport 29517 -j DROP");
    check(&net, 1, &["note    198.18.7.255   permission denied -> a firewall of this machine", "would not work"]);
}

#[test]
fn a_discovery_port_that_is_not_shared_is_told_with_its_remedy() {
    let Some(net) = Net::two_hosts(1) else { return };
    let mut rude = Guest::on(&net, 0, "rude");
    rude.tell(&["take-discovery-port"]);
    rude.hear("taken");
    check(&net, 1, &["29517: the discovery port is in use by a program", "-> see who has it: `sudo ss -ulpn"]);
}
