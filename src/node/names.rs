//! The names of a connection's channels: ours, and the peer's with what was read of them.

use std::collections::BTreeMap;

use super::control::{Control, Hello, NAMES_MAX};
use super::{Kind, Name, Reason, Role, Value};

/// A channel that we send on.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnChannel {
    pub(super) number: u16,
    pub(super) kind: Kind,
    /// The time of the newest value that was written, of [`Kind::Latest`].
    pub(super) newest: u64,
}

/// The names of the channels that we send on.
#[derive(Debug, Default)]
pub(super) struct OwnNames(BTreeMap<Name, OwnChannel>);

impl OwnNames {
    /// A channel that was used before.
    pub(super) fn get(&self, name: &str) -> Option<OwnChannel> {
        self.0.get(name).copied()
    }

    /// A value of this time was written.
    pub(super) fn on_written(&mut self, name: &str, time: u64) {
        if let Some(channel) = self.0.get_mut(name) {
            channel.newest = time;
        }
    }

    /// The number that the next name will have; `None` where there are as many as may be.
    pub(super) fn next(&self) -> Option<u16> {
        u16::try_from(self.0.len()).ok().filter(|number| usize::from(*number) < NAMES_MAX)
    }

    /// The [`next`](Self::next) number has a name.
    pub(super) fn add(&mut self, name: Name, number: u16, kind: Kind) {
        self.0.insert(name, OwnChannel { number, kind, newest: 0 });
    }
}

/// A channel that the peer sends on.
#[derive(Debug)]
pub(super) struct PeerChannel {
    pub(super) number: u16,
    pub(super) kind: Kind,
    /// The newest value that was read, of [`Kind::Latest`].
    pub(super) newest: Option<Value>,
    /// How many values were read: what tells the newest from one that somebody has seen.
    pub(super) version: u64,
}

/// What the peer said: who it is, and the names of its channels.
#[derive(Debug, Default)]
pub(super) struct PeerNames {
    hello: Option<Hello>,
    channels: BTreeMap<Name, PeerChannel>,
}

impl PeerNames {
    /// The peer's greeting, once it has come.
    pub(super) const fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut PeerChannel> {
        self.channels.get_mut(name)
    }

    /// All channels, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &PeerChannel)> {
        self.channels.iter()
    }

    /// The channels of which the newest value counts.
    pub(super) fn latest(&mut self) -> impl Iterator<Item = &mut PeerChannel> {
        self.channels.values_mut().filter(|channel| channel.kind == Kind::Latest)
    }

    /// All names so far, with the kinds of their channels.
    pub(super) fn list(&self) -> Vec<(Name, Kind)> {
        self.channels.iter().map(|(name, channel)| (name.clone(), channel.kind)).collect()
    }

    /// The peer has said something to us, who are `own`. `spec/node.md`, sections "Control" and "Names".
    pub(super) fn handle(&mut self, own: Role, control: Control) -> Result<(), Reason> {
        match control {
            Control::Hello(_) if self.hello.is_some() => Err(Reason::OutOfTurn),
            Control::Hello(hello) if !own.fits(hello.role) => Err(Reason::Role),
            Control::Hello(hello) => {
                self.hello = Some(hello);
                Ok(())
            }
            Control::Name { .. } if self.hello.is_none() => Err(Reason::OutOfTurn),
            Control::Name { number, kind, name } => {
                let next = self.channels.len();
                if next == NAMES_MAX || usize::from(number) != next || self.channels.contains_key(&name) {
                    return Err(Reason::Names);
                }
                self.channels.insert(name, PeerChannel { number, kind, newest: None, version: 0 });
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Control {
        Control::Hello(Hello { role: Role::Plain, instance: 0, name: None })
    }

    fn name(number: u16, name: &str) -> Control {
        Control::Name { number, kind: Kind::Latest, name: Name::new(name).unwrap() }
    }

    #[test]
    fn the_greeting_comes_first_and_once() {
        let mut names = PeerNames::default();
        assert_eq!(names.handle(Role::Plain, name(0, "a")), Err(Reason::OutOfTurn));
        assert_eq!(names.handle(Role::Plain, hello()), Ok(()));
        assert_eq!(names.handle(Role::Plain, hello()), Err(Reason::OutOfTurn));
    }

    #[test]
    fn who_does_not_fit_is_told() {
        assert_eq!(PeerNames::default().handle(Role::Hub, hello()), Err(Reason::Role));
    }

    #[test]
    fn names_are_numbered_without_gaps_and_stand_once() {
        let mut names = PeerNames::default();
        names.handle(Role::Plain, hello()).unwrap();
        assert_eq!(names.handle(Role::Plain, name(1, "a")), Err(Reason::Names));
        assert_eq!(names.handle(Role::Plain, name(0, "a")), Ok(()));
        assert_eq!(names.handle(Role::Plain, name(0, "b")), Err(Reason::Names));
        assert_eq!(names.handle(Role::Plain, name(1, "a")), Err(Reason::Names));
        assert_eq!(names.handle(Role::Plain, name(1, "b")), Ok(()));
    }

    #[test]
    fn as_many_names_as_may_be_and_not_one_more() {
        let (mut peers, mut own) = (PeerNames::default(), OwnNames::default());
        peers.handle(Role::Plain, hello()).unwrap();
        while let Some(number) = own.next() {
            let text = number.to_string();
            own.add(Name::new(&text).unwrap(), number, Kind::Latest);
            peers.handle(Role::Plain, name(number, &text)).unwrap();
        }
        assert_eq!(peers.list().len(), NAMES_MAX);
        assert_eq!(peers.handle(Role::Plain, name(4_096, "one more")), Err(Reason::Names));
    }
}
