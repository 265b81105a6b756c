//! Whole handshakes, and what must come of nothing else.

mod handshake;
mod traffic;

use super::{Confirmed, Inviter, Joiner, Offer, Prs, Session};
use crate::wire::{ConnectionCid, Mode, Params};

pub(super) const INVITER_CID: ConnectionCid = ConnectionCid(6);

pub(super) fn offer(mode: Mode, params: &Params) -> Offer<'_> {
    let client_cid = ConnectionCid(5);
    Offer { mode, client_random: [1; 16], invite: [2; 8], cookie: Some([3; 40]), client_cid, params }
}

pub(super) fn joiner(mode: Mode, words: &str) -> Joiner {
    Joiner::new(&offer(mode, &Params::default()), &Prs::words(words), &[4; 64])
}

pub(super) fn inviter(mode: Mode, words: &str, hello2: &[u8]) -> Result<Inviter, super::HandshakeError> {
    Inviter::new(mode, &Prs::words(words), hello2, INVITER_CID, &Params::default(), &[5; 64])
}

/// The two sides of an established connection: the joiner's, the inviter's.
pub(super) fn pair(mode: Mode, params: &Params) -> (Session, Session) {
    let prs = Prs::key(&[9; 32]);
    let mut joiner = Joiner::new(&offer(mode, params), &prs, &[4; 64]);
    let mut inviter = Inviter::new(mode, &prs, joiner.hello2(), INVITER_CID, &Params::default(), &[5; 64]).unwrap();
    joiner.on_share(inviter.share()).unwrap();
    let Confirmed::Established(theirs) = inviter.on_confirm(joiner.confirm().unwrap()).unwrap() else { panic!() };
    let ours = joiner.on_confirm(inviter.confirm().unwrap()).unwrap();
    (ours, *theirs)
}
