//! Invites that are over: who comes later by the code is told why, and what their inviter may have heard.

use super::apart::mistyped;
use super::pairing::Mouth;
use super::*;
use crate::pairing::{Beacon, Carrier, Code, InviteId, Offer, Say, SeekId};
use crate::transport::pairing::{InviteError, InviteNotice, JoinError};
use crate::transport::site::Site as _;

/// One joins by a code, then two more hosts do so, one at a time: what these are told, and after how long.
struct Later {
    sim: Sim,
    code: Mouth,
}

impl Later {
    fn new(seed: u64) -> Self {
        Self { sim: Sim::new(seed), code: Mouth::default() }
    }

    fn inviter(&self, main: impl FnOnce(Host, Mouth) -> Result<(), HostError> + Send + 'static) {
        let code = self.code.clone();
        self.sim.spawn(&self.sim.host("inviter"), move |host| main(host, code));
    }

    /// Somebody who joins after `when`, and is told `expected` within a second, or hears nothing.
    fn joiner(&self, name: &str, when: Duration, expected: fn(&JoinError) -> bool) {
        let code = self.code.clone();
        self.sim.spawn(&self.sim.host(name), move |host| {
            let code = code.hear(&host);
            host.sleep(when);
            let began = host.now();
            let error = host.pairing().timeout(SECOND).join(&code).unwrap_err();
            assert!(expected(&error), "{error}");
            assert!(host.now() <= began + SECOND);
            Ok(())
        });
    }

    fn run(&self) {
        self.sim.run().unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn who_comes_by_a_used_code_is_told_so_while_the_connection_lasts_and_for_a_minute() {
    for hold in [30 * SECOND, 100 * SECOND] {
        let later = Later::new(1);
        later.inviter(move |host, code| {
            let invite = host.pairing().invite()?;
            code.say(invite.code().to_string());
            let peer = invite.accept()?;
            host.sleep(hold);
            peer.close(0);
            drop(peer);
            host.sleep(SECOND);
            Ok(())
        });
        let code = later.code.clone();
        later.sim.spawn(&later.sim.host("first"), move |host| {
            assert!(host.pairing().join(&code.hear(&host))?.recv().is_err());
            Ok(())
        });
        later.joiner("second", SECOND, |error| matches!(error, JoinError::Used));
        later.joiner("third", 29 * SECOND, |error| matches!(error, JoinError::Used));
        let tombless = hold.min(60 * SECOND) + SECOND;
        later.joiner("too late", tombless, |error| matches!(error, JoinError::NobodyAnswered(_)));
        later.run();
    }
}

#[test]
fn who_comes_by_a_burnt_code_is_told_so_though_the_invite_was_dropped() {
    let later = Later::new(2);
    later.inviter(|host, code| {
        let invite = host.pairing().invite()?;
        code.say(invite.code().to_string());
        assert!(matches!(invite.accept(), Err(InviteError::Burnt)));
        // It goes on with other things.
        host.sleep(100 * SECOND);
        Ok(())
    });
    let code = later.code.clone();
    later.sim.spawn(&later.sim.host("guesser"), move |host| {
        let error = host.pairing().join(&mistyped(&code.hear(&host))).unwrap_err();
        assert!(matches!(error, JoinError::WrongWords), "{error}");
        Ok(())
    });
    later.joiner("second", SECOND, |error| matches!(error, JoinError::Burnt));
    later.joiner("third", 50 * SECOND, |error| matches!(error, JoinError::Burnt));
    later.joiner("too late", 70 * SECOND, |error| matches!(error, JoinError::NobodyAnswered(_)));
    later.run();
}

#[test]
fn who_comes_by_a_code_that_is_too_old_is_told_so() {
    let later = Later::new(3);
    later.inviter(|host, code| {
        let mut invite = host.pairing().invite()?;
        code.say(invite.code().to_string());
        assert!(matches!(invite.accept_timeout(599 * SECOND), Err(InviteError::Expired)));
        assert!(matches!(invite.accept(), Err(InviteError::Expired)));
        host.sleep(100 * SECOND);
        Ok(())
    });
    later.joiner("late", 610 * SECOND, |error| matches!(error, JoinError::Used));
    later.joiner("too late", 690 * SECOND, |error| matches!(error, JoinError::NobodyAnswered(_)));
    later.run();
}

/// Says something to everyone.
fn broadcast(host: &Host, bytes: &[u8]) -> Result<(), HostError> {
    let mut medium = host.medium()?;
    for target in host.interfaces()?.iter().flat_map(|interface| interface.targets()) {
        medium.send(&target, bytes)?;
    }
    Ok(())
}

#[test]
fn an_inviter_is_told_what_it_hears_that_may_keep_others_away() {
    let (sim, code) = (Sim::new(4), Mouth::default());
    let (inviter, other) = (sim.host("inviter"), sim.host("other"));
    let told = code.clone();
    sim.spawn(&inviter, move |host| {
        let mut invite = host.pairing().invite()?;
        assert_eq!(invite.notices(), []);
        told.say(invite.code().to_string());
        assert!(matches!(invite.accept_timeout(3 * SECOND), Err(InviteError::Expired)));
        let expected = [InviteNotice::OtherVersion { version: 3 }, InviteNotice::Crossed];
        assert_eq!(invite.notices(), expected);
        let mut heard = Vec::new();
        assert!(matches!(invite.accept_telling(|notice| heard.push(notice)), Err(InviteError::Expired)));
        assert_eq!(heard, expected, "those of before, too");
        Ok(())
    });
    sim.spawn(&other, move |host| {
        let nameplate = code.hear(&host).parse::<Code>()?.nameplate;
        let seek = Beacon { nameplate, say: Say::Seek(SeekId([1; 8])) }.encode();
        let mut of_other_version = seek[..seek.len() - 4].to_vec();
        of_other_version[4] = 3;
        crate::wire::put_crc(&mut of_other_version, 0);
        let offer = Offer { invite: InviteId([9; 8]), carrier: Carrier::Udp, port: 9 };
        let crossed = Beacon { nameplate, say: Say::Offer(offer, None) }.encode();
        for _ in 0..3 {
            host.sleep(SECOND / 2);
            broadcast(&host, &of_other_version)?;
            broadcast(&host, &crossed)?;
        }
        Ok(())
    });
    sim.run().unwrap_or_else(|error| panic!("{error}"));
}
