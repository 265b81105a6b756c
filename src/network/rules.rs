//! Rules: closures that see every datagram first and may decide its fate.

use core::fmt;
use core::time::Duration;
use std::net::SocketAddr;

use super::graph::{Ecn, HostId};
use crate::time::Timestamp;

/// What a rule sees of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct DatagramInfo<'a> {
    /// When it is sent.
    pub at: Timestamp,
    /// The host that sends it.
    pub from_host: HostId,
    /// The host that it goes to.
    pub to_host: HostId,
    /// Its source.
    pub from: SocketAddr,
    /// Its destination.
    pub to: SocketAddr,
    /// Its ECN codepoint.
    pub ecn: Option<Ecn>,
    /// Its payload.
    pub bytes: &'a [u8],
}

/// What a rule says about a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the next rule is asked, and after the last one the link decides.
    Pass,
    /// It arrives whole after this time, whatever the link, its queue or a partition would do.
    Deliver(Duration),
    /// It is dropped.
    Drop,
}

/// Names a rule, to remove it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

type Rule = Box<dyn FnMut(&DatagramInfo<'_>) -> Verdict + Send>;

/// Rules in the order in which they were added.
#[derive(Default)]
pub(super) struct Rules {
    rules: Vec<(RuleId, Rule)>,
    next: u64,
}

impl Rules {
    pub(super) fn add(&mut self, rule: impl FnMut(&DatagramInfo<'_>) -> Verdict + Send + 'static) -> RuleId {
        let id = RuleId(self.next);
        self.next += 1;
        self.rules.push((id, Box::new(rule)));
        id
    }

    /// True when there was such a rule.
    pub(super) fn remove(&mut self, id: RuleId) -> bool {
        let before = self.rules.len();
        self.rules.retain(|(held, _)| *held != id);
        self.rules.len() < before
    }

    /// The first verdict that is not [`Verdict::Pass`], if there is one.
    pub(super) fn judge(&mut self, info: &DatagramInfo<'_>) -> Verdict {
        self.rules.iter_mut().map(|(_, rule)| rule(info)).find(|said| *said != Verdict::Pass).unwrap_or(Verdict::Pass)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules.iter().map(|(id, _)| id)).finish()
    }
}
