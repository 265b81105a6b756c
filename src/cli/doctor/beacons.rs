//! Whether beacons leave by an interface, and come in.

use std::time::Duration;

use udpair::pairing::{Dropped, Interface, Machine as _, Nameplate, Seeking};
use udpair::transport::discovery::{Discovery, DiscoveryError, DiscoveryOptions, Failure, FailureReason, PollError};

use super::finding::Finding;
use super::firewall;

/// How long the first beacon may take to come back. The kernel hands it over while it sends.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often it is looked whether it has come.
const LOOK_EACH: Duration = Duration::from_millis(2);

/// What was heard of a search on one interface: its own beacons, which a machine hears like everybody else.
#[derive(Debug)]
pub(super) struct Heard {
    sent: u64,
    back: u64,
    failures: Vec<Failure>,
}

impl Heard {
    /// Sends a beacon and listens. Blocks for a moment.
    pub(super) fn on(interface: &Interface) -> Result<Self, DiscoveryError> {
        let options = DiscoveryOptions { interface: Some(interface.name.clone()) };
        let nameplate = Nameplate::from_entropy(std::process::id().to_be_bytes());
        let mut discovery: Discovery<Seeking> = Discovery::seeking(options, nameplate)?;
        let ways = interface.targets().len() as u64;
        let until = discovery.now() + PATIENCE;
        loop {
            let look_at = (discovery.now() + LOOK_EACH).min(until);
            let ended = match discovery.poll(look_at) {
                // Somebody may offer the nameplate.
                Ok(_) | Err(PollError::TimedOut | PollError::Woken) => discovery.now() >= until,
                Err(_) => true,
            };
            let counters = discovery.machine().counters();
            let heard = Self {
                sent: counters.sent_to_everyone * ways,
                back: counters.dropped(Dropped::Own),
                failures: discovery.report().failures.clone(),
            };
            if ended || (heard.sent > 0 && heard.back >= heard.sent) {
                return Ok(heard);
            }
        }
    }

    /// True where a pairing by this interface can begin.
    pub(super) const fn is_heard(&self) -> bool {
        self.back > 0
    }

    pub(super) fn findings(&self, interface: &Interface) -> Vec<Finding> {
        let name = &interface.name;
        // What concerns all interfaces is said elsewhere.
        let own = self.failures.iter().filter(|failure| failure.interface.as_ref() == Some(name));
        let mut findings: Vec<Finding> = own.map(|failure| closed(interface, failure)).collect();
        let subject = "  its beacons";
        let allow = || firewall::let_in(interface);
        findings.push(match (self.back, self.sent) {
            (0, _) => {
                Finding::fair(subject, "none comes back: a firewall, or an interface without broadcasts").mend(allow())
            }
            // On loopback the one to ::1 reaches one of the programs that share the port.
            (back, sent) if back < sent && !interface.loopback => {
                Finding::fair(subject, format!("{back} of {sent} come back: a firewall drops some ways")).mend(allow())
            }
            _ => Finding::good(subject, "come back"),
        });
        if self.back > 0 && self.back >= self.sent && !interface.loopback {
            findings.push(firewall::look_at(interface));
        }
        findings
    }
}

/// A way that is closed, and what may open it.
fn closed(interface: &Interface, failure: &Failure) -> Finding {
    let subject = failure.address.map_or_else(|| interface.name.clone(), |address| format!("  {}", address.ip()));
    let text = failure.reason.to_string();
    match failure.reason {
        FailureReason::PermissionDenied => Finding::fair(subject, text)
            .mend(format!("a firewall of this machine, or a sandbox: {}", firewall::let_out(interface))),
        FailureReason::NoRoute if failure.address.is_some_and(|address| address.is_ipv6()) => {
            Finding::fair(subject, text)
                .mend("an IPv6 address takes some seconds after its interface came up: try again")
        }
        FailureReason::NoRoute => {
            Finding::fair(subject, text).mend("see `ip route` and `ip rule`; does a VPN take all?")
        }
        _ => Finding::fair(subject, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use udpair::pairing::{DISCOVERY_PORT, InterfaceId};

    fn eth0(loopback: bool) -> Interface {
        Interface {
            id: InterfaceId(2),
            name: "eth0".to_owned(),
            up: true,
            loopback,
            multicast: true,
            addresses: Vec::new(),
        }
    }

    fn check(back: u64, loopback: bool, begin: &str) {
        let interface = eth0(loopback);
        let heard = Heard { sent: 3, back, failures: Vec::new() };
        let findings = heard.findings(&interface);
        assert!(findings[0].to_string().starts_with(begin), "{findings:?}");
        assert_eq!(heard.is_heard(), back > 0);
    }

    #[test]
    fn what_comes_back_is_told() {
        check(3, false, "ok      its beacons    come back");
        check(2, false, "note    its beacons    2 of 3 come back");
        check(2, true, "ok      its beacons    come back");
        check(0, true, "note    its beacons    none comes back");
    }

    #[test]
    fn a_closed_way_is_told_with_what_may_open_it() {
        let failure = |reason| Failure {
            interface: Some("eth0".to_owned()),
            address: Some(([10, 0, 0, 255], DISCOVERY_PORT).into()),
            reason,
        };
        let denied = closed(&eth0(false), &failure(FailureReason::PermissionDenied)).to_string();
        assert!(denied.starts_with("note    10.0.0.255     permission denied -> a firewall"), "{denied}");
        let no_route = closed(&eth0(false), &failure(FailureReason::NoRoute)).to_string();
        assert!(no_route.contains("no route -> see `ip route`"), "{no_route}");
        let group = Some((udpair::pairing::DISCOVERY_GROUP, DISCOVERY_PORT).into());
        let not_yet = closed(&eth0(false), &Failure { address: group, ..failure(FailureReason::NoRoute) }).to_string();
        assert!(not_yet.contains("no route -> an IPv6 address takes some seconds"), "{not_yet}");
    }
}
