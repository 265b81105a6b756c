//! What two established sides have from each other.

mod traffic;

use super::{Ask, Inviter, Joiner, Protection, Prs};
use crate::wire::{ConnectionCid, Mode, Packet, Params};

/// The two sides of an established connection: the joiner's, the inviter's.
pub(super) fn pair(mode: Mode, params: &Params) -> (Protection, Protection) {
    let prs = Prs::key(&[9; 32]);
    let mut encoded = Vec::new();
    params.put(&mut encoded);
    let (client_cid, server_cid) = (ConnectionCid(5), ConnectionCid(6));
    let ask = Ask { client_random: [1; 16], invite: [2; 8], cookie: Some([3; 40]), client_cid, params: &encoded };
    let joiner = Joiner::start(mode, &prs, &ask, &[4; 64]).unwrap();
    let Ok((_, Packet::Hello2(hello))) = Packet::decode(joiner.hello()) else { panic!("no HELLO2") };
    let inviter = Inviter::answer(mode, &prs, (joiner.hello(), &hello), (server_cid, &[]), &[5; 64]).unwrap();
    let Ok((_, Packet::Share(share))) = Packet::decode(inviter.share()) else { panic!("no SHARE") };
    let agreed = joiner.on_share(inviter.share(), &share).unwrap();
    let (theirs, confirm) = inviter.on_confirm(&agreed.confirm()).unwrap();
    let ours = agreed.on_confirm(&confirm).unwrap();
    (ours.into_parts().0, theirs.into_parts().0)
}
