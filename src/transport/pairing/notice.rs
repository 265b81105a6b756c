//! What an inviter hears while nobody comes, and its user may want to know.

use core::fmt;

use crate::pairing::InvitingEvent;

/// Something that an inviter heard and that may be why nobody comes. Anybody on the network can make it hear any of
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InviteNotice {
    /// Somebody looks for this number in another version of the protocol.
    OtherVersion {
        /// That one.
        version: u8,
    },
    /// Somebody else on the network offers the same number, or says so. Joiners tell the two apart, and may have to be
    /// told the code again.
    Crossed,
    /// Every number that was asked for is said to be taken, so that this one was not asked for: there are very many
    /// invites on the network, or somebody who claims all numbers.
    Unasked,
}

impl InviteNotice {
    /// What there is to be noted in an event.
    pub(super) const fn of(event: InvitingEvent) -> Option<Self> {
        match event {
            InvitingEvent::OtherVersion { version } => Some(Self::OtherVersion { version }),
            InvitingEvent::Crossed => Some(Self::Crossed),
            InvitingEvent::Held { asked: false, .. } => Some(Self::Unasked),
            InvitingEvent::Held { .. } | InvitingEvent::Taken { .. } => None,
        }
    }
}

impl fmt::Display for InviteNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherVersion { version } => {
                write!(f, "somebody looks for this code with version {version} of the protocol, which is another one")
            }
            Self::Crossed => f.write_str("somebody else on this network offers the same number"),
            Self::Unasked => f.write_str("every number on this network seems to be taken, so this one may be, too"),
        }
    }
}
