//! A peer that has been greeted.

use std::sync::Arc;

use super::Side;
use crate::node::Name;
use crate::node::link::Link;

/// See the module.
pub(in crate::node) struct Peer {
    pub(super) name: Name,
    pub(super) side: Side,
    /// What it said of itself when it came: section "Coming again".
    pub(super) instance: u64,
    /// Tells it from another of the same name.
    pub(super) serial: u64,
    pub(super) link: Arc<Link>,
}
