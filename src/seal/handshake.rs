//! The cryptographic part of a handshake: HELLO2, SHARE, CONFIRM_J, CONFIRM_I. `spec/security.md`, sections "Handshake"
//! and "Key agreement".
//!
//! Both sides take whole packets in and give whole packets out, for what they prove to each other is that they have
//! seen the same bytes. When a packet goes, and again, and what a failure costs an invite, is for others.

use super::cpace::{Bound, Role, Run, lv_cat};
use super::keys::{Confirmation, SessionKeys, Transcript, sha256};
use super::packet::Cipher;
use super::protection::{Protection, Secrets};
use super::secret::{Prs, Secret};
use crate::wire::{
    Confirm, ConnectionCid, Cookie, DecodeError, Hello2, Mode, Packet, Params, RANDOM_LEN, Share, VERSION, check_crc,
};

/// What a packet of a handshake came to, where it came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It is no packet, or one with parameters that are none. To be dropped.
    #[error("no sound packet: {0}")]
    Unsound(#[from] DecodeError),
    /// It belongs to another attempt or mode, or comes when nothing like it is waited for. To be dropped.
    #[error("not for this handshake")]
    Stale,
    /// Its key share is none, or our own. To be dropped: it binds nobody.
    #[error("no key share")]
    KeyShare,
    /// Its tag is wrong: the peer does not know the secret, or somebody changed a packet on the way. An inviter's run
    /// is over; a joiner's goes on, for anybody can send such a packet.
    #[error("wrong tag")]
    WrongTag,
}

/// What a joiner asks with.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// A sealed one.
    pub mode: Mode,
    /// Random, for each attempt anew.
    pub client_random: [u8; RANDOM_LEN],
    /// Which invite or key.
    pub invite: [u8; 8],
    /// From RETRY. Another cookie takes another [`Joiner`], with entropy of its own.
    pub cookie: Option<Cookie>,
    /// The id that packets to the joiner must bear.
    pub client_cid: ConnectionCid,
    /// What the joiner says about itself.
    pub params: &'a Params,
}

/// What the other side has said about itself. It is proven only when a [`Session`] comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The id that packets to the other side must bear.
    pub peer_cid: ConnectionCid,
    /// Its parameters.
    pub params: Params,
}

/// What two sides have when both have proven that they know the secret.
#[derive(Debug)]
pub struct Session {
    /// For packets or records.
    pub protection: Protection,
    /// For the application.
    pub exporter: Secret<32>,
    /// The key by which the two may meet again.
    pub device: Secret<32>,
}

impl Session {
    fn new(mode: Mode, cipher: Cipher, keys: &SessionKeys, role: Role) -> Self {
        let secrets = match role {
            Role::Initiator => Secrets { ours: &keys.j2i, theirs: &keys.i2j },
            Role::Responder => Secrets { ours: &keys.i2j, theirs: &keys.j2i },
        };
        let protection = Protection::sealed(mode, cipher, secrets);
        Self { protection, exporter: keys.exporter.clone(), device: keys.device.clone() }
    }
}

/// Everything that both sides know before their shares.
fn start(mode: Mode, prs: &Prs, hello: &Hello2<'_>, entropy: &[u8; 64]) -> Run {
    let ci = lv_cat(&[b"udpair", &[VERSION, mode.code()], b"joiner", b"inviter", &hello.invite]);
    let cookie: &[u8] = hello.cookie.as_ref().map_or(&[], Cookie::as_slice);
    let sid = sha256(&[&hello.client_random, cookie]);
    Run::start(prs, &ci, &sid[..16], entropy)
}

fn data_of_joiner(client_cid: ConnectionCid, params: &[u8]) -> Vec<u8> {
    lv_cat(&[b"joiner", &client_cid.0.to_be_bytes(), params])
}

fn data_of_inviter(client_cid: ConnectionCid, server_cid: ConnectionCid, params: &[u8]) -> Vec<u8> {
    lv_cat(&[b"inviter", &client_cid.0.to_be_bytes(), &server_cid.0.to_be_bytes(), params])
}

fn transcript(hello2: &[u8], share: &[u8]) -> Result<Transcript, DecodeError> {
    Ok(Transcript::new(check_crc(hello2)?, check_crc(share)?))
}

fn encoded(params: &Params) -> Vec<u8> {
    let mut out = Vec::new();
    params.put(&mut out);
    out
}

fn written(mode: Mode, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    packet.put_handshake(mode, &mut out);
    out
}

/// Whoever knows the secret and asks.
#[derive(Debug)]
pub struct Joiner {
    mode: Mode,
    random: [u8; RANDOM_LEN],
    cid: ConnectionCid,
    params: Params,
    run: Run,
    hello2: Vec<u8>,
    /// Since a sound SHARE has come.
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    keys: SessionKeys,
    cipher: Cipher,
    confirm: Vec<u8>,
    established: bool,
}

impl Joiner {
    /// Begins. `entropy` is 64 random bytes that are used for nothing else.
    ///
    /// # Panics
    /// In [`Mode::Plain`].
    #[must_use]
    pub fn new(offer: &Offer<'_>, prs: &Prs, entropy: &[u8; 64]) -> Self {
        assert!(offer.mode.is_sealed(), "there is nothing to agree on");
        let Offer { mode, client_random, invite, cookie, client_cid, params } = *offer;
        let params_encoded = encoded(params);
        let mut hello = Hello2 { client_random, invite, cookie, client_cid, key_share: None, params: &params_encoded };
        let run = start(mode, prs, &hello, entropy);
        hello.key_share = Some(*run.share());
        let hello2 = written(mode, &Packet::Hello2(hello));
        Self { mode, random: client_random, cid: client_cid, params: *params, run, hello2, answer: None }
    }

    /// The HELLO2 to be sent, and again as long as no SHARE comes.
    #[must_use]
    pub fn hello2(&self) -> &[u8] {
        &self.hello2
    }

    /// A SHARE, whole and with its checksum. The first sound one binds this joiner to whoever sent it.
    pub fn on_share(&mut self, packet: &[u8]) -> Result<Agreed, HandshakeError> {
        let (mode, decoded) = Packet::decode(packet)?;
        let Packet::Share(Share { client_random, client_cid, server_cid, key_share: Some(key_share), params }) =
            decoded
        else {
            return Err(HandshakeError::Stale);
        };
        if mode != self.mode || client_random != self.random || client_cid != self.cid || self.answer.is_some() {
            return Err(HandshakeError::Stale);
        }
        let theirs = Params::decode(params)?;
        if key_share == *self.run.share() {
            return Err(HandshakeError::KeyShare);
        }
        let data = data_of_inviter(client_cid, server_cid, params);
        let ours = data_of_joiner(self.cid, &encoded(&self.params));
        let isk = self.run.finish(Role::Initiator, &ours, Bound { share: &key_share, data: &data });
        let isk = isk.ok_or(HandshakeError::KeyShare)?;
        let keys = SessionKeys::new(transcript(&self.hello2, packet)?, &isk);
        let confirm = Confirm { client_random, tag: keys.tag(Confirmation::J) };
        let confirm = written(mode, &Packet::ConfirmJ(confirm));
        let cipher = Cipher::agreed(&self.params, &theirs);
        self.answer = Some(Answer { keys, cipher, confirm, established: false });
        Ok(Agreed { peer_cid: server_cid, params: theirs })
    }

    /// The CONFIRM_J to be sent once a SHARE has come, and again as long as no CONFIRM_I does.
    #[must_use]
    pub fn confirm(&self) -> Option<&[u8]> {
        self.answer.as_ref().map(|answer| answer.confirm.as_slice())
    }

    /// A CONFIRM_I, whole and with its checksum. The connection is there, once.
    pub fn on_confirm(&mut self, packet: &[u8]) -> Result<Session, HandshakeError> {
        let (mode, decoded) = Packet::decode(packet)?;
        let (Packet::ConfirmI(confirm), Some(answer)) = (decoded, &mut self.answer) else {
            return Err(HandshakeError::Stale);
        };
        if mode != self.mode || confirm.client_random != self.random || answer.established {
            return Err(HandshakeError::Stale);
        }
        if !answer.keys.is_right(Confirmation::I, &confirm.tag) {
            return Err(HandshakeError::WrongTag);
        }
        answer.established = true;
        Ok(Session::new(self.mode, answer.cipher, &answer.keys, Role::Initiator))
    }
}

/// Whoever is asked.
#[derive(Debug)]
pub struct Inviter {
    mode: Mode,
    random: [u8; RANDOM_LEN],
    joiner: Agreed,
    cipher: Cipher,
    share: Vec<u8>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The joiner has yet to prove that it knows the secret.
    Asked(Box<SessionKeys>),
    /// It has: the CONFIRM_I.
    Confirmed([u8; 32], Vec<u8>),
    /// It has proven the opposite.
    Over,
}

/// What a CONFIRM_J came to.
#[derive(Debug)]
pub enum Confirmed {
    /// The connection is there. CONFIRM_I is to be sent.
    Established(Box<Session>),
    /// It has been there: CONFIRM_I was lost and is to be sent again.
    Again,
}

impl Inviter {
    /// Answers a HELLO2, whole and with its checksum, that may be answered: its cookie and the limits are for the
    /// caller, and so is to find the secret of its invite. `entropy` is 64 random bytes that are used for nothing else.
    pub fn new(
        mode: Mode,
        prs: &Prs,
        hello2: &[u8],
        server_cid: ConnectionCid,
        params: &Params,
        entropy: &[u8; 64],
    ) -> Result<Self, HandshakeError> {
        let (its_mode, decoded) = Packet::decode(hello2)?;
        let Packet::Hello2(hello) = decoded else { return Err(HandshakeError::Stale) };
        let Some(key_share) = hello.key_share.filter(|_| its_mode == mode) else { return Err(HandshakeError::Stale) };
        let theirs = Params::decode(hello.params)?;
        let run = start(mode, prs, &hello, entropy);
        let params_encoded = encoded(params);
        let (client_random, client_cid) = (hello.client_random, hello.client_cid);
        let data = data_of_joiner(client_cid, hello.params);
        let ours = data_of_inviter(client_cid, server_cid, &params_encoded);
        let isk = run.finish(Role::Responder, &ours, Bound { share: &key_share, data: &data });
        let isk = isk.ok_or(HandshakeError::KeyShare)?;
        let share =
            Share { client_random, client_cid, server_cid, key_share: Some(*run.share()), params: &params_encoded };
        let share = written(mode, &Packet::Share(share));
        let keys = SessionKeys::new(transcript(hello2, &share)?, &isk);
        Ok(Self {
            mode,
            random: client_random,
            joiner: Agreed { peer_cid: client_cid, params: theirs },
            cipher: Cipher::agreed(params, &theirs),
            share,
            stage: Stage::Asked(Box::new(keys)),
        })
    }

    /// The SHARE to be sent, and again whenever the same HELLO2 comes again.
    #[must_use]
    pub fn share(&self) -> &[u8] {
        &self.share
    }

    /// What the joiner has said about itself.
    #[must_use]
    pub const fn joiner(&self) -> &Agreed {
        &self.joiner
    }

    /// A CONFIRM_J, whole and with its checksum. After a wrong tag there is no second attempt.
    pub fn on_confirm(&mut self, packet: &[u8]) -> Result<Confirmed, HandshakeError> {
        let (mode, decoded) = Packet::decode(packet)?;
        let Packet::ConfirmJ(confirm) = decoded else { return Err(HandshakeError::Stale) };
        if mode != self.mode || confirm.client_random != self.random {
            return Err(HandshakeError::Stale);
        }
        match &self.stage {
            Stage::Asked(keys) if keys.is_right(Confirmation::J, &confirm.tag) => {
                let session = Session::new(mode, self.cipher, keys, Role::Responder);
                let answer = Confirm { client_random: self.random, tag: keys.tag(Confirmation::I) };
                self.stage = Stage::Confirmed(confirm.tag, written(mode, &Packet::ConfirmI(answer)));
                Ok(Confirmed::Established(Box::new(session)))
            }
            Stage::Asked(_) => {
                self.stage = Stage::Over;
                Err(HandshakeError::WrongTag)
            }
            // The tag has been seen by everybody on the way: there is nothing to be learnt from how long this takes.
            Stage::Confirmed(tag, _) if *tag == confirm.tag => Ok(Confirmed::Again),
            Stage::Confirmed(..) | Stage::Over => Err(HandshakeError::Stale),
        }
    }

    /// The CONFIRM_I to be sent once the joiner has confirmed, and again whenever it does again.
    #[must_use]
    pub fn confirm(&self) -> Option<&[u8]> {
        match &self.stage {
            Stage::Confirmed(_, packet) => Some(packet),
            Stage::Asked(_) | Stage::Over => None,
        }
    }
}
