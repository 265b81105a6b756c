//! The cryptographic part of a handshake: packets in, packets out, and a [`Session`] at the end. `spec/security.md`.
//!
//! ```text
//! Joiner::start -> HELLO2 ---------->  Inviter::answer
//!       on_share  <---------- SHARE
//!       -> Agreed: CONFIRM_J -------->  on_confirm -> Session
//!       on_confirm <------- CONFIRM_I
//!       -> Session
//! ```
//!
//! When a packet goes, and whether it goes again, is for others.

use super::cpace::{Bound, Role, Run, is_share, lv_cat};
use super::keys::{Confirmation, SessionKeys, Transcript, sha256};
use super::packet::Cipher;
use super::protection::{Protection, Secrets};
use super::secret::{Prs, Secret};
use crate::wire::{
    Confirm, ConnectionCid, Cookie, Hello2, Mode, Packet, Params, RANDOM_LEN, RUN_ID_LEN, Share, VERSION,
};

const CRC_LEN: usize = 4;

/// Why a handshake packet leads nowhere. It is to be dropped; what follows beyond that is for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It belongs to another run.
    #[error("no packet of this run")]
    Stranger,
    /// Its key share is none, or our own.
    #[error("no key share")]
    Share,
    /// Its parameters cannot be decoded.
    #[error("parameters that cannot be decoded")]
    Params,
    /// The peer has not the same secret, or has seen other packets.
    #[error("a wrong confirmation")]
    WrongTag,
}

/// What names a run: both sides know it before there is a key.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Of the HELLO2.
    pub client_random: [u8; RANDOM_LEN],
    /// Of the HELLO2.
    pub invite: [u8; 8],
    /// Of the HELLO2; none over a stream.
    pub cookie: Option<Cookie>,
    /// Of the HELLO2.
    pub client_cid: ConnectionCid,
    /// Encoded.
    pub params: &'a [u8],
}

impl Ask<'_> {
    fn of<'a>(hello: &Hello2<'a>) -> Ask<'a> {
        let Hello2 { client_random, invite, cookie, client_cid, params, .. } = *hello;
        Ask { client_random, invite, cookie, client_cid, params }
    }

    fn run(&self, mode: Mode, prs: &Prs, entropy: &[u8; 64]) -> Run {
        let channel = lv_cat(&[b"udpair", &[VERSION, mode.code()], b"joiner", b"inviter", &self.invite]);
        let sid = sha256(&[&self.client_random, self.cookie.as_ref().map_or(&[], Cookie::as_slice)]);
        Run::start(prs, &channel, &sid[..16], entropy)
    }

    fn data(&self) -> Vec<u8> {
        lv_cat(&[b"joiner", &self.client_cid.0.to_be_bytes(), self.params])
    }
}

/// What a SHARE binds beside its key share.
fn answer_data(client: ConnectionCid, server: ConnectionCid, params: &[u8]) -> Vec<u8> {
    lv_cat(&[b"inviter", &client.0.to_be_bytes(), &server.0.to_be_bytes(), params])
}

/// A packet as it is hashed: all of it but the checksum, which was right.
fn hashed(packet: &[u8]) -> &[u8] {
    &packet[..packet.len().saturating_sub(CRC_LEN)]
}

/// The joining side, from HELLO2 to SHARE.
#[derive(Debug)]
pub struct Joiner {
    mode: Mode,
    client_random: [u8; RANDOM_LEN],
    client_cid: ConnectionCid,
    params: Params,
    run: Run,
    data: Vec<u8>,
    hello: Vec<u8>,
}

impl Joiner {
    /// Begins a run. `entropy` is 64 random bytes that are used for nothing else.
    ///
    /// # Errors
    /// [`HandshakeError::Params`] where `ask` has none that can be decoded.
    pub fn start(mode: Mode, prs: &Prs, ask: &Ask<'_>, entropy: &[u8; 64]) -> Result<Self, HandshakeError> {
        let params = Params::decode(ask.params).map_err(|_| HandshakeError::Params)?;
        let run = ask.run(mode, prs, entropy);
        let Ask { client_random, invite, cookie, client_cid, params: encoded } = *ask;
        let key_share = Some(*run.share());
        let mut hello = Vec::new();
        let packet = Hello2 { client_random, invite, cookie, client_cid, key_share, params: encoded };
        Packet::Hello2(packet).put_handshake(mode, &mut hello);
        Ok(Self { mode, client_random, client_cid, params, run, data: ask.data(), hello })
    }

    /// HELLO2 as it goes, each time.
    #[must_use]
    pub fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// SHARE came; `packet` is all of it. An error binds nothing: another SHARE may come.
    ///
    /// # Errors
    /// `Stranger`, `Share`, `Params`.
    pub fn on_share(&self, packet: &[u8], share: &Share<'_>) -> Result<Agreed, HandshakeError> {
        if share.client_random != self.client_random || share.client_cid != self.client_cid {
            return Err(HandshakeError::Stranger);
        }
        let theirs = share.key_share.filter(|theirs| theirs != self.run.share()).ok_or(HandshakeError::Share)?;
        let params = Params::decode(share.params).map_err(|_| HandshakeError::Params)?;
        let data = answer_data(share.client_cid, share.server_cid, share.params);
        let peer = Bound { share: &theirs, data: &data };
        let isk = self.run.finish(Role::Initiator, &self.data, peer).ok_or(HandshakeError::Share)?;
        let keys = SessionKeys::new(Transcript::new(hashed(&self.hello), hashed(packet)), &isk);
        let cipher = Cipher::agreed(&self.params, &params);
        Ok(Agreed { mode: self.mode, cipher, client_random: self.client_random, keys })
    }
}

/// The joining side, from SHARE to CONFIRM_I.
#[derive(Debug)]
pub struct Agreed {
    mode: Mode,
    cipher: Cipher,
    client_random: [u8; RANDOM_LEN],
    keys: SessionKeys,
}

impl Agreed {
    /// CONFIRM_J, the same each time.
    #[must_use]
    pub fn confirm(&self) -> Confirm {
        self.tagged(Confirmation::J)
    }

    fn tagged(&self, which: Confirmation) -> Confirm {
        let run = self.keys.transcript().run_id();
        Confirm { client_random: self.client_random, run, tag: self.keys.tag(which) }
    }

    fn check(&self, which: Confirmation, confirm: &Confirm) -> Result<(), HandshakeError> {
        if confirm.client_random != self.client_random || confirm.run != self.keys.transcript().run_id() {
            return Err(HandshakeError::Stranger);
        }
        if self.keys.is_right(which, &confirm.tag) { Ok(()) } else { Err(HandshakeError::WrongTag) }
    }

    /// CONFIRM_I came.
    ///
    /// # Errors
    /// `Stranger`, `WrongTag`.
    pub fn on_confirm(&self, confirm: &Confirm) -> Result<Session, HandshakeError> {
        self.check(Confirmation::I, confirm)?;
        Ok(Session::new(self.mode, self.cipher, Role::Initiator, &self.keys))
    }
}

/// The inviting side, from HELLO2 to CONFIRM_J.
#[derive(Debug)]
pub struct Inviter {
    agreed: Agreed,
    share: Vec<u8>,
}

impl Inviter {
    /// True where HELLO2 has a key share that is one; found out at a fraction of what an answer costs.
    #[must_use]
    pub fn can_answer(hello: &Hello2<'_>) -> bool {
        hello.key_share.as_ref().is_some_and(is_share)
    }

    /// Answers HELLO2; `packet` is all of it. `entropy` is 64 random bytes that are used for nothing else; `params` are
    /// our own, encoded.
    ///
    /// # Errors
    /// `Share`, `Params`.
    pub fn answer(
        mode: Mode,
        prs: &Prs,
        (packet, hello): (&[u8], &Hello2<'_>),
        (server_cid, params): (ConnectionCid, &[u8]),
        entropy: &[u8; 64],
    ) -> Result<Self, HandshakeError> {
        let theirs = hello.key_share.ok_or(HandshakeError::Share)?;
        let peer_params = Params::decode(hello.params).map_err(|_| HandshakeError::Params)?;
        let our_params = Params::decode(params).map_err(|_| HandshakeError::Params)?;
        let ask = Ask::of(hello);
        let run = ask.run(mode, prs, entropy);
        let data = answer_data(hello.client_cid, server_cid, params);
        let (client_random, client_cid) = (hello.client_random, hello.client_cid);
        let mut share = Vec::new();
        let answer = Share { client_random, client_cid, server_cid, key_share: Some(*run.share()), params };
        Packet::Share(answer).put_handshake(mode, &mut share);
        let peer = Bound { share: &theirs, data: &ask.data() };
        let isk = run.finish(Role::Responder, &data, peer).ok_or(HandshakeError::Share)?;
        let keys = SessionKeys::new(Transcript::new(hashed(packet), hashed(&share)), &isk);
        let cipher = Cipher::agreed(&peer_params, &our_params);
        Ok(Self { agreed: Agreed { mode, cipher, client_random, keys }, share })
    }

    /// What CONFIRM_J will name the run by.
    #[must_use]
    pub fn run_id(&self) -> [u8; RUN_ID_LEN] {
        self.agreed.keys.transcript().run_id()
    }

    /// SHARE as it goes, each time.
    #[must_use]
    pub fn share(&self) -> &[u8] {
        &self.share
    }

    /// CONFIRM_J came. Right: the session, and CONFIRM_I.
    ///
    /// # Errors
    /// `Stranger`; `WrongTag`, after which the run must not be used again.
    pub fn on_confirm(&self, confirm: &Confirm) -> Result<(Session, Confirm), HandshakeError> {
        self.agreed.check(Confirmation::J, confirm)?;
        let Agreed { mode, cipher, keys, .. } = &self.agreed;
        Ok((Session::new(*mode, *cipher, Role::Responder, keys), self.agreed.tagged(Confirmation::I)))
    }
}

/// Both sides have proven that they have the key.
#[derive(Debug)]
pub struct Session {
    mode: Mode,
    cipher: Cipher,
    ours: Secret<32>,
    theirs: Secret<32>,
    exports: Exports,
}

/// What both sides have from a session, and nobody else.
#[derive(Clone, Debug)]
pub struct Exports {
    /// For the application.
    pub exporter: Secret<32>,
    /// The key by which the two may meet again, in [`Mode::Psk`].
    pub device: Secret<32>,
}

impl Session {
    fn new(mode: Mode, cipher: Cipher, role: Role, keys: &SessionKeys) -> Self {
        let (ours, theirs) = match role {
            Role::Initiator => (&keys.j2i, &keys.i2j),
            Role::Responder => (&keys.i2j, &keys.j2i),
        };
        let exports = Exports { exporter: keys.exporter.clone(), device: keys.device.clone() };
        Self { mode, cipher, ours: ours.clone(), theirs: theirs.clone(), exports }
    }

    /// What seals and opens from now on, and what else the session is good for. Once: two protections would use the
    /// same numbers with the same keys.
    #[must_use]
    pub fn into_parts(self) -> (Protection, Exports) {
        let secrets = Secrets { ours: &self.ours, theirs: &self.theirs };
        (Protection::sealed(self.mode, self.cipher, secrets), self.exports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Ask<'static> = Ask {
        client_random: [1; RANDOM_LEN],
        invite: [2; 8],
        cookie: Some([3; 40]),
        client_cid: ConnectionCid(4),
        params: &[1, 5],
    };

    fn hello2(bytes: &[u8]) -> Option<(Mode, Hello2<'_>)> {
        match Packet::decode(bytes) {
            Ok((mode, Packet::Hello2(hello))) => Some((mode, hello)),
            _ => None,
        }
    }

    fn answer(prs: &str, hello: &[u8]) -> Option<Inviter> {
        let (mode, parsed) = hello2(hello).filter(|(mode, _)| *mode == Mode::Code)?;
        let ours = (ConnectionCid(5), [1, 7].as_slice());
        Inviter::answer(mode, &Prs::words(prs), (hello, &parsed), ours, &[8; 64]).ok()
    }

    fn agree(joiner: &Joiner, share: &[u8]) -> Option<Agreed> {
        match Packet::decode(share) {
            Ok((Mode::Code, Packet::Share(parsed))) => joiner.on_share(share, &parsed).ok(),
            _ => None,
        }
    }

    fn joiner(prs: &str) -> Joiner {
        Joiner::start(Mode::Code, &Prs::words(prs), &ASK, &[7; 64]).unwrap()
    }

    /// A whole handshake whose packets pass through `meddle`; both sessions, as far as each side came.
    fn handshake(words: [&str; 2], mut meddle: impl FnMut(usize, &mut Vec<u8>)) -> [Option<Session>; 2] {
        let joiner = joiner(words[0]);
        let mut bytes = joiner.hello().to_vec();
        meddle(0, &mut bytes);
        let Some(inviter) = answer(words[1], &bytes) else { return [None, None] };
        let mut bytes = inviter.share().to_vec();
        meddle(1, &mut bytes);
        let Some(agreed) = agree(&joiner, &bytes) else { return [None, None] };
        let mut bytes = Vec::new();
        Packet::ConfirmJ(agreed.confirm()).put_handshake(Mode::Code, &mut bytes);
        meddle(2, &mut bytes);
        let Ok((Mode::Code, Packet::ConfirmJ(confirm))) = Packet::decode(&bytes) else { return [None, None] };
        let Ok((session, confirm)) = inviter.on_confirm(&confirm) else { return [None, None] };
        let mut bytes = Vec::new();
        Packet::ConfirmI(confirm).put_handshake(Mode::Code, &mut bytes);
        meddle(3, &mut bytes);
        let Ok((Mode::Code, Packet::ConfirmI(confirm))) = Packet::decode(&bytes) else { return [None, Some(session)] };
        [agreed.on_confirm(&confirm).ok(), Some(session)]
    }

    #[test]
    fn the_same_words_lead_to_the_same_keys() {
        let [Some(joiner), Some(inviter)] = handshake(["maple-otter"; 2], |_, _| {}) else { panic!("not established") };
        assert_eq!(joiner.ours.expose(), inviter.theirs.expose());
        assert_eq!(joiner.theirs.expose(), inviter.ours.expose());
        assert_ne!(joiner.ours.expose(), joiner.theirs.expose());
        assert_eq!(joiner.exports.exporter.expose(), inviter.exports.exporter.expose());
        assert_eq!(joiner.exports.device.expose(), inviter.exports.device.expose());
        assert_ne!(joiner.exports.device.expose(), joiner.exports.exporter.expose());
    }

    #[test]
    fn other_words_establish_nothing_on_either_side() {
        assert!(handshake(["maple-otter", "maple-tiger"], |_, _| {}).iter().all(Option::is_none));
    }

    #[test]
    fn no_bit_of_a_handshake_may_flip_even_where_its_checksum_is_repaired() {
        for which in 0..4 {
            let mut len = 1;
            let mut bit = 0;
            while bit < len * 8 {
                let sessions = handshake(["maple-otter"; 2], |nth, bytes| {
                    if nth == which {
                        len = bytes.len() - CRC_LEN;
                        bytes.truncate(len);
                        bytes[bit / 8] ^= 1 << (bit % 8);
                        crate::wire::put_crc(bytes, 0);
                    }
                });
                assert!(sessions[0].is_none(), "packet {which}, bit {bit}: the joiner");
                // The last packet comes when the inviter has its proof.
                assert_eq!(sessions[1].is_some(), which == 3, "packet {which}, bit {bit}: the inviter");
                bit += if which == 0 { 3 } else { 1 };
            }
            assert!(len > 40);
        }
    }

    #[test]
    fn a_reflected_share_and_a_reflected_confirmation_are_refused() {
        let joiner = joiner("maple-otter");
        let share = Share {
            client_random: ASK.client_random,
            client_cid: ASK.client_cid,
            server_cid: ConnectionCid(5),
            key_share: Some(*joiner.run.share()),
            params: &[],
        };
        assert_eq!(joiner.on_share(&[0; 90], &share).err(), Some(HandshakeError::Share));
        let inviter = answer("maple-otter", joiner.hello()).unwrap();
        let agreed = agree(&joiner, inviter.share()).unwrap();
        assert_eq!(agreed.on_confirm(&agreed.confirm()).err(), Some(HandshakeError::WrongTag));
        let (_, confirm) = inviter.on_confirm(&agreed.confirm()).unwrap();
        assert_eq!(inviter.on_confirm(&confirm).err(), Some(HandshakeError::WrongTag));
    }

    #[test]
    fn what_is_no_point_and_the_identity_are_refused() {
        let joiner = joiner("maple-otter");
        let (_, hello) = hello2(joiner.hello()).unwrap();
        for bad in [[0; 32], [0xff; 32], [1; 32]] {
            let hello = Hello2 { key_share: Some(bad), ..hello };
            let ours = (ConnectionCid(5), [].as_slice());
            let result = Inviter::answer(Mode::Code, &Prs::words("a-b"), (joiner.hello(), &hello), ours, &[8; 64]);
            assert_eq!(result.err(), Some(HandshakeError::Share));
        }
    }

    #[test]
    fn a_wish_for_chacha_on_either_side_is_honoured_by_both() {
        let mut chacha = Vec::new();
        Params { prefers_chacha: true, ..Params::default() }.put(&mut chacha);
        let ask = Ask { params: &chacha, ..ASK };
        let joiner = Joiner::start(Mode::Code, &Prs::words("a-b"), &ask, &[7; 64]).unwrap();
        let inviter = answer("a-b", joiner.hello()).unwrap();
        let agreed = agree(&joiner, inviter.share()).unwrap();
        assert_eq!([agreed.cipher, inviter.agreed.cipher], [Cipher::ChaCha20Poly1305; 2]);
    }
}
