//! Who is taken. `spec/node.md`, sections "Names of nodes" and "Coming again".

use super::Side;
use crate::node::control::Hello;
use crate::node::{Name, Reason};

/// What is known of the one that has the caller's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) side: Side,
    pub(super) instance: u64,
    /// Its connection has ended.
    pub(super) is_gone: bool,
}

/// What becomes of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is taken, under this name; whoever has the name has ended, or is this very node and is to be ended.
    Take(Name),
    /// It is not taken.
    Refuse(Reason),
}

/// Judges a caller. `own`: this node's name; `known`: who has the caller's name; `calls_it`: this node is calling one
/// by that name; `full`: there is no place for another peer.
pub(super) fn judge(own: &Name, hello: Hello, known: Option<Known>, calls_it: bool, full: bool) -> Verdict {
    let Some(name) = hello.name else { return Verdict::Refuse(Reason::Role) };
    if name == *own {
        return Verdict::Refuse(Reason::NameTaken);
    }
    match known {
        Some(known) if known.is_gone => Verdict::Take(name),
        Some(Known { side: Side::Local, instance, .. }) if instance == hello.instance && instance != 0 => {
            Verdict::Take(name)
        }
        Some(_) => Verdict::Refuse(Reason::NameTaken),
        None if calls_it && *own < name => Verdict::Refuse(Reason::Crossed),
        None if full => Verdict::Refuse(Reason::Full),
        None => Verdict::Take(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Role;

    const NOBODY: Option<Known> = None;

    fn known(side: Side, instance: u64, is_gone: bool) -> Option<Known> {
        Some(Known { side, instance, is_gone })
    }

    /// What becomes of a caller of this name, with instance 7, at the hub `hub`.
    fn verdict(name: &str, known: Option<Known>, calls_it: bool, full: bool) -> Result<(), Reason> {
        let named = |text: &str| Name::new(text).unwrap();
        let hello = Hello { role: Role::Hub, instance: 7, name: Some(named(name)) };
        match judge(&named("hub"), hello, known, calls_it, full) {
            Verdict::Take(taken) => {
                assert_eq!(taken, name);
                Ok(())
            }
            Verdict::Refuse(reason) => Err(reason),
        }
    }

    #[test]
    fn names_are_unique_this_nodes_own_included() {
        assert_eq!(verdict("a", NOBODY, false, false), Ok(()));
        assert_eq!(verdict("hub", NOBODY, false, false), Err(Reason::NameTaken));
        assert_eq!(verdict("a", known(Side::Local, 8, false), false, false), Err(Reason::NameTaken));
        assert_eq!(verdict("a", known(Side::Remote, 7, false), false, false), Err(Reason::NameTaken));
        assert_eq!(verdict("a", known(Side::Remote, 0, true), false, false), Ok(()));
    }

    #[test]
    fn the_same_node_that_comes_again_takes_its_own_place_even_where_there_is_no_other() {
        assert_eq!(verdict("a", known(Side::Local, 7, false), false, true), Ok(()));
        assert_eq!(verdict("b", NOBODY, false, true), Err(Reason::Full));
    }

    #[test]
    fn of_two_calls_that_cross_that_of_the_lesser_name_stands() {
        assert_eq!(verdict("a", NOBODY, true, false), Ok(()));
        assert_eq!(verdict("x", NOBODY, true, false), Err(Reason::Crossed));
    }
}
