//! Ports: the one that discovery listens on, and fresh ones for conversations.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use udpair::pairing::{DISCOVERY_PORT, Interface, Nameplate};
use udpair::transport::BindError;
use udpair::transport::discovery::{Discovery, DiscoveryOptions, Failure, FailureReason};
use udpair::{Config, Transport, tcp, udp};

use super::finding::Finding;
use crate::cli::exit::in_full;

type Bind = fn(SocketAddr, Config) -> Result<Arc<dyn Transport>, BindError>;

/// Whether beacons can be listened for.
pub(super) fn discovery_port() -> Finding {
    let subject = format!("UDP port {DISCOVERY_PORT}");
    match Discovery::seeking(DiscoveryOptions::default(), Nameplate::from_entropy([0; 4])) {
        Ok(discovery) => judge(subject, &discovery.report().failures),
        Err(error) => Finding::bad(subject, in_full(&error)),
    }
}

fn judge(subject: String, failures: &[Failure]) -> Finding {
    let mut closed = failures.iter().filter(|failure| failure.address.is_some_and(is_shared));
    match (closed.next(), closed.next()) {
        (None, _) => Finding::good(subject, "can be listened on, and is shared"),
        (Some(one), None) if one.reason == FailureReason::Unsupported => {
            let family = if one.address.is_some_and(|address| address.is_ipv6()) { "IPv4" } else { "IPv6" };
            Finding::good(subject, format!("can be listened on, over {family} alone"))
        }
        // Who asks is answered on a port of its own: one of two sides that hears is enough.
        (Some(failure), _) => Finding::fair(subject, failure.to_string()).mend(format!(
            "see who has it: `sudo ss -ulpn sport = :{DISCOVERY_PORT}`; until then only the other side hears"
        )),
    }
}

fn is_shared(address: SocketAddr) -> bool {
    address.ip().is_unspecified() && address.port() == DISCOVERY_PORT
}

/// Whether there are ports for conversations, over UDP and over TCP.
pub(super) fn fresh() -> (Finding, Finding) {
    let look = |subject, bind: Bind, grade: fn(&'static str, String) -> Finding| match any(bind) {
        Ok(transport) => Finding::good(subject, format!("a fresh one can be had: {}", transport.local_addr())),
        Err(error) => grade(subject, in_full(&error)).mend("a sandbox or a limit: see `ulimit -n`"),
    };
    (look("UDP ports", udp::bind, Finding::bad), look("TCP ports", tcp::bind, Finding::fair))
}

/// Of both families where there are both.
fn any(bind: Bind) -> Result<Arc<dyn Transport>, BindError> {
    let config = Config::insecure_plain;
    bind((Ipv6Addr::UNSPECIFIED, 0).into(), config()).or_else(|_| bind((Ipv4Addr::UNSPECIFIED, 0).into(), config()))
}

/// Which families the machine speaks on its networks.
pub(super) fn families(interfaces: &[Interface]) -> Finding {
    let has = |is: fn(&udpair::pairing::InterfaceAddress) -> bool| {
        interfaces.iter().filter(|interface| interface.up).flat_map(|interface| &interface.addresses).any(is)
    };
    match (has(|address| address.ip.is_ipv4()), has(|address| address.ip.is_ipv6())) {
        (true, true) => Finding::good("address families", "IPv4 and IPv6"),
        (true, false) => Finding::good("address families", "IPv4 alone"),
        (false, true) => Finding::good("address families", "IPv6 alone"),
        (false, false) => Finding::fair("address families", "no address at all").mend("see to DHCP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(address: &str, reason: FailureReason) -> Failure {
        Failure { interface: None, address: Some(address.parse().unwrap()), reason }
    }

    fn judged(failures: &[Failure]) -> String {
        judge("UDP port 29517".to_owned(), failures).to_string()
    }

    #[test]
    fn the_discovery_port_is_judged_by_what_failed() {
        assert!(judged(&[]).starts_with("ok    UDP port 29517   can be"));
        let elsewhere = closed("10.0.0.255:29517", FailureReason::PermissionDenied);
        assert!(judged(&[elsewhere]).starts_with("ok "), "that concerns one interface");
        let no_v6 = closed("[::]:29517", FailureReason::Unsupported);
        assert!(judged(&[no_v6]).ends_with("over IPv4 alone"));
        let taken = closed("0.0.0.0:29517", FailureReason::AddressInUse);
        assert!(judged(&[taken]).starts_with("note  UDP port 29517   0.0.0.0:29517: the discovery port is in use"));
    }

    #[test]
    fn there_are_fresh_ports_here() {
        let (udp, tcp) = fresh();
        assert!(udp.to_string().starts_with("ok    UDP ports        a fresh one"), "{udp}");
        assert!(tcp.to_string().starts_with("ok    TCP ports        a fresh one"), "{tcp}");
    }
}
