//! `udpair doctor`: what this machine can do for a pairing, one line each, with the remedy where something is less than
//! good.
//!
//! On the machine's interfaces it sends nothing but beacons, as every pairing does; the rest is between sockets of its
//! own on loopback.

mod beacons;
mod finding;
mod firewall;
mod interfaces;
mod loopback;
mod ports;
mod system;

use clap::Args;
use udpair::transport::discovery;

use self::beacons::Heard;
use self::finding::Finding;
use super::exit::{Exit, Failure, in_full, say};

/// `udpair doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Look at this interface alone; `lo` for pairings on this machine. Otherwise at all of them.
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
}

/// Looks, and says line by line what there is. `Exit::Ok` where a pairing would work.
pub(crate) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let mut interfaces = discovery::interfaces()
        .map_err(|error| Failure::new(Exit::Other, format!("the interfaces cannot be listed: {error}")))?;
    if let Some(name) = &args.interface {
        interfaces.retain(|interface| interface.name == *name);
        if interfaces.is_empty() {
            return Err(Failure::new(Exit::Usage, format!("there is no interface {name}")));
        }
    }
    let mut works = ports::discovery_port().say()?;
    let mut by = Vec::new();
    for interface in &interfaces {
        interfaces::look_at(interface).say()?;
        if interface.targets().is_empty() {
            continue;
        }
        let heard = Heard::on(interface).map_err(|error| Failure::new(Exit::Other, in_full(&error)))?;
        heard.findings(interface).into_iter().try_for_each(|finding| finding.say().map(drop))?;
        // This machine alone is no network, unless that is what was asked for.
        if heard.is_heard() && (!interface.loopback || args.interface.is_some()) {
            by.push(interface.name.as_str());
        }
    }
    let (udp, tcp) = ports::fresh();
    works &= udp.say()?;
    tcp.say()?;
    ports::families(&interfaces).say()?;
    loopback::look().into_iter().try_for_each(|finding| finding.say().map(drop))?;
    system::look().into_iter().try_for_each(|finding| finding.say().map(drop))?;
    verdict(works, &by).say().map(|good| if good { Exit::Ok } else { Exit::Other })
}

fn verdict(works: bool, by: &[&str]) -> Finding {
    match (works, by) {
        (true, []) => Finding::bad("pairing", "would not work: no beacon comes back by any interface to a network")
            .mend("connect to a network, or see the lines above"),
        (true, by) => Finding::good("pairing", format!("would work, by {}", by.join(", "))),
        (false, _) => Finding::bad("pairing", "would not work: see the lines above"),
    }
}

impl Finding {
    /// A line on stdout; whether it is good enough to go on.
    fn say(&self) -> Result<bool, Failure> {
        say(self).map(|()| !self.is_bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pairing_needs_a_way_and_a_port() {
        assert!(!verdict(true, &["eth0"]).is_bad());
        assert!(verdict(true, &[]).is_bad());
        assert!(verdict(false, &["eth0"]).is_bad());
    }
}
