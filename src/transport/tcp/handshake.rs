//! The handshake over a stream: no cookie, for TCP has proved the caller's address. `spec/tcp.md`, section
//! "Handshake", and `spec/security.md`, section "Handshake".
//!
//! ```text
//! Calling   -- HELLO2 ----->  Listening -> Asked
//!           <----- SHARE --   (plain: Over) Challenged
//! Proving   -- CONFIRM_J -->  Proven, Disproven
//!           <- CONFIRM_I --   Over
//! ```
//!
//! Where the core has to say whether a caller may go on, the handshake waits for it with a [`Question`].

use zeroize::Zeroizing;

use crate::message::End;
use crate::proto::version::UnknownVersion;
use crate::proto::{InviteId, Security};
use crate::seal::{Agreed, Ask, HandshakeError, Inviter, Joiner, Prs, Session};
use crate::wire::{
    Confirm, ConnectionCid, DecodeError, Hello2, Mode, Packet, Params, RANDOM_LEN, RECORD_HEADER_LEN, Record,
    RecordKind, Refuse, RefuseCode, Share, VERSION, check_crc, finish_record, start_record,
};

/// The longest record of a handshake, header and checksum included: what a stranger can make us hold.
pub(super) const RECORD_LEN_MAX: usize = 2 * 1024;

// What never changes between versions, beside what `proto::version` says: the form and the header of a record.
const FORM_MASK: u8 = 0x03;
const FORM_RECORD: u8 = 2;

/// Random bytes of one key agreement, used for nothing else.
pub(super) type ScalarBytes = Zeroizing<[u8; 64]>;

/// What a caller draws at random for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) random: [u8; RANDOM_LEN],
    pub(super) cid: ConnectionCid,
}

/// One side of a handshake.
#[derive(Debug)]
pub(super) enum Handshake {
    /// HELLO2 was written; SHARE or REFUSE is waited for. With a `joiner` in sealed modes.
    Calling { us: Identity, joiner: Option<Box<Joiner>> },
    /// CONFIRM_J was written; CONFIRM_I or REFUSE is waited for.
    Proving { us: Identity, agreed: Box<Agreed>, theirs: Params },
    /// HELLO2 is waited for.
    Listening,
    /// HELLO2 is waited for, and what came so far is of a version that we do not speak.
    Strange(Vec<u8>),
    /// HELLO2 was read, and has yet to be granted or refused. In sealed modes all of it is here.
    Asked { caller: Identity, invite: InviteId, theirs: Params, hello: Vec<u8> },
    /// SHARE was written; CONFIRM_J is waited for.
    Challenged { caller: Identity, theirs: Params, inviter: Box<Inviter> },
    /// A right CONFIRM_J was read: the caller has yet to be let in or refused.
    Proven { caller: Identity, theirs: Params, session: Box<Session>, answer: Confirm },
    /// A wrong CONFIRM_J was read: the caller has yet to be refused.
    Disproven { caller: Identity },
    /// Done, one way or the other.
    Over,
}

/// What the handshake waits to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// A caller, who calls itself so, asks for this invite: [`Handshake::grant`] or [`Handshake::refuse`]?
    Asks(InviteId, [u8; RANDOM_LEN]),
    /// A caller has the secret: [`Handshake::admit`] or [`Handshake::refuse`]?
    Proven,
    /// A caller has it not: [`Handshake::refuse`].
    Disproven,
}

/// What a record of the handshake brought.
#[derive(Debug)]
pub(super) enum Outcome {
    /// There is a [`Question`], or something was written, and more has to come.
    Goes,
    /// The connection is there.
    Established(Established),
    /// There will be none.
    Failed(End),
}

/// What a handshake ends with where it ends well.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) theirs: Params,
    /// In sealed modes.
    pub(super) session: Option<Box<Session>>,
}

impl Handshake {
    /// Writes the HELLO2 of a call that asks for `invite`. `entropy` is for sealed modes.
    pub(super) fn call(
        security: &Security,
        invite: InviteId,
        us: Identity,
        ours: &Params,
        entropy: &ScalarBytes,
        out: &mut Vec<u8>,
    ) -> Self {
        let mode = security.mode();
        let mut params = Vec::new();
        ours.put(&mut params);
        let (client_random, client_cid, params) = (us.random, us.cid, params.as_slice());
        if !mode.is_sealed() {
            let hello = Hello2 { client_random, invite, cookie: None, client_cid, key_share: None, params };
            put(mode, Packet::Hello2(hello), out);
            return Self::Calling { us, joiner: None };
        }
        let ask = Ask { client_random, invite, cookie: None, client_cid, params };
        let joiner = Joiner::start(mode, security.prs(), &ask, entropy).expect("our own parameters can be decoded");
        put_packet(mode, joiner.hello(), out);
        Self::Calling { us, joiner: Some(Box::new(joiner)) }
    }

    /// Takes in a record that came before the handshake was over; `packet` is its body. Appends the answer, if it is
    /// for us to give one.
    pub(super) fn handle(&mut self, mode: Mode, kind: RecordKind, packet: &[u8], out: &mut Vec<u8>) -> Outcome {
        self.take(mode, kind, packet, out).unwrap_or(Outcome::Failed(End::Broken))
    }

    fn take(&mut self, mode: Mode, kind: RecordKind, bytes: &[u8], out: &mut Vec<u8>) -> Result<Outcome, DecodeError> {
        if kind != RecordKind::Handshake {
            return Err(DecodeError::Type(1));
        }
        let (packet_mode, packet) = Packet::decode(bytes)?;
        if packet_mode != mode {
            return Err(DecodeError::Mode);
        }
        // What is not for this run, or not sound, is as good as no handshake at all.
        let none = |_| DecodeError::Value("handshake");
        match (&*self, packet) {
            (Self::Listening, Packet::Hello2(hello)) if hello.cookie.is_none() => {
                let caller = Identity { random: hello.client_random, cid: hello.client_cid };
                let theirs = Params::decode(hello.params)?;
                if mode.is_sealed() && !Inviter::can_answer(&hello) {
                    return Err(DecodeError::Value("key share")); // before anybody gives way to it
                }
                let kept = if mode.is_sealed() { bytes.to_vec() } else { Vec::new() };
                *self = Self::Asked { caller, invite: hello.invite, theirs, hello: kept };
                Ok(Outcome::Goes)
            }
            (Self::Calling { us, joiner }, Packet::Share(share))
                if share.client_random == us.random && share.client_cid == us.cid =>
            {
                let theirs = Params::decode(share.params)?;
                let Some(joiner) = joiner else {
                    *self = Self::Over;
                    return Ok(Outcome::Established(Established { theirs, session: None }));
                };
                let agreed = Box::new(joiner.on_share(bytes, &share).map_err(none)?);
                put(mode, Packet::ConfirmJ(agreed.confirm()), out);
                *self = Self::Proving { us: *us, agreed, theirs };
                Ok(Outcome::Goes)
            }
            (Self::Challenged { caller, theirs, inviter }, Packet::ConfirmJ(confirm)) => {
                *self = match inviter.on_confirm(&confirm) {
                    Ok((session, answer)) => {
                        Self::Proven { caller: *caller, theirs: *theirs, session: Box::new(session), answer }
                    }
                    Err(HandshakeError::WrongTag) => Self::Disproven { caller: *caller },
                    // Of another run: of somebody's who passed our packets on and changed them. No guess was made.
                    Err(other) => return Err(none(other)),
                };
                Ok(Outcome::Goes)
            }
            (Self::Proving { agreed, theirs, .. }, Packet::ConfirmI(confirm)) => {
                let session = Some(Box::new(agreed.on_confirm(&confirm).map_err(none)?));
                let theirs = *theirs;
                *self = Self::Over;
                Ok(Outcome::Established(Established { theirs, session }))
            }
            // Who has no proof yet cannot know that it is wrong.
            (Self::Calling { us, .. }, Packet::Refuse(refuse))
                if refuse.client_random == us.random && refuse.code != RefuseCode::WrongTag =>
            {
                *self = Self::Over;
                Ok(Outcome::Failed(End::Refused(refuse.code)))
            }
            (Self::Proving { us, .. }, Packet::Refuse(refuse)) if refuse.client_random == us.random => {
                *self = Self::Over;
                // Whoever has it has had a guess at the words: no other reason of theirs may lead to another attempt.
                let guessed = mode == Mode::Code && refuse.code != RefuseCode::WrongTag;
                Ok(Outcome::Failed(if guessed { End::Unconfirmed } else { End::Refused(refuse.code) }))
            }
            _ => Err(DecodeError::Value("handshake")),
        }
    }

    /// What has to be decided before anything goes on.
    pub(super) const fn question(&self) -> Option<Question> {
        match self {
            Self::Asked { invite, caller, .. } => Some(Question::Asks(*invite, caller.random)),
            Self::Proven { .. } => Some(Question::Proven),
            Self::Disproven { .. } => Some(Question::Disproven),
            _ => None,
        }
    }

    /// Writes the SHARE for a caller who asked. `prs` and `entropy` are for sealed modes.
    pub(super) fn grant(
        &mut self,
        (mode, prs): (Mode, &Prs),
        server_cid: ConnectionCid,
        ours: &Params,
        entropy: &ScalarBytes,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let Self::Asked { caller, theirs, hello, .. } = core::mem::replace(self, Self::Over) else {
            return Outcome::Goes;
        };
        let mut params = Vec::new();
        ours.put(&mut params);
        if !mode.is_sealed() {
            let (client_random, client_cid, params) = (caller.random, caller.cid, params.as_slice());
            let share = Share { client_random, client_cid, server_cid, key_share: None, params };
            put(mode, Packet::Share(share), out);
            return Outcome::Established(Established { theirs, session: None });
        }
        let Ok((_, Packet::Hello2(parsed))) = Packet::decode(&hello) else { return Outcome::Failed(End::Broken) };
        let ours = (server_cid, params.as_slice());
        let Ok(inviter) = Inviter::answer(mode, prs, (&hello, &parsed), ours, entropy) else {
            return Outcome::Failed(End::Broken);
        };
        put_packet(mode, inviter.share(), out);
        *self = Self::Challenged { caller, theirs, inviter: Box::new(inviter) };
        Outcome::Goes
    }

    /// Writes the CONFIRM_I for a caller who has the secret. `None` where there is none.
    pub(super) fn admit(&mut self, mode: Mode, out: &mut Vec<u8>) -> Option<Established> {
        if !matches!(self, Self::Proven { .. }) {
            return None;
        }
        let Self::Proven { theirs, session, answer, .. } = core::mem::replace(self, Self::Over) else { return None };
        put(mode, Packet::ConfirmI(answer), out);
        Some(Established { theirs, session: Some(session) })
    }

    /// Writes the REFUSE for a caller who asked. False where none did, or all is over.
    pub(super) fn refuse(&mut self, mode: Mode, code: RefuseCode, out: &mut Vec<u8>) -> bool {
        let caller = match self {
            Self::Asked { caller, .. }
            | Self::Challenged { caller, .. }
            | Self::Proven { caller, .. }
            | Self::Disproven { caller } => *caller,
            _ => return false,
        };
        *self = Self::Over;
        put(mode, Packet::Refuse(Refuse { client_random: caller.random, code, version: VERSION }), out);
        true
    }

    /// Takes in what a caller sends whose first record is of a version that we do not speak, and writes the REFUSE, in
    /// that version, when the record is whole. True when it was written. Fails where it is no record of a caller's, or
    /// no caller is awaited.
    pub(super) fn handle_strange(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, End> {
        if matches!(self, Self::Listening) {
            *self = Self::Strange(Vec::new());
        }
        let Self::Strange(held) = self else { return Err(End::Broken) };
        let lacks = RECORD_LEN_MAX - held.len();
        held.extend_from_slice(&bytes[..bytes.len().min(lacks)]);
        if held[0] & FORM_MASK != FORM_RECORD {
            return Err(End::Broken);
        }
        let Some(len) = Record::len_at(held) else { return Ok(false) };
        if len > RECORD_LEN_MAX {
            return Err(End::Broken);
        }
        let Some(record) = held.get(..len) else { return Ok(false) };
        let body = check_crc(record).ok().and_then(|body| body.get(RECORD_HEADER_LEN..));
        let caller = body.and_then(UnknownVersion::decode).ok_or(End::Broken)?;
        let first = record[0];
        let from = out.len();
        start_record(out, Mode::Plain, RecordKind::Handshake);
        out[from] = first;
        caller.put_refuse(out);
        finish_record(out, from);
        *self = Self::Over;
        Ok(true)
    }

    pub(super) const fn is_strange(&self) -> bool {
        matches!(self, Self::Strange(_))
    }

    /// True for a call of ours that is not over yet, and calls itself so.
    pub(super) fn calls_as(&self, random: &[u8; RANDOM_LEN]) -> bool {
        matches!(self, Self::Calling { us, .. } | Self::Proving { us, .. } if us.random == *random)
    }

    /// A call of ours that is not answered yet.
    pub(super) const fn is_calling(&self) -> bool {
        matches!(self, Self::Calling { .. })
    }

    /// Our proof is out, and none has come back.
    pub(super) const fn is_proving(&self) -> bool {
        matches!(self, Self::Proving { .. })
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }
}

fn put(mode: Mode, packet: Packet<'_>, out: &mut Vec<u8>) {
    let from = out.len();
    start_record(out, mode, RecordKind::Handshake);
    packet.put_handshake(mode, out);
    finish_record(out, from);
}

fn put_packet(mode: Mode, packet: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    start_record(out, mode, RecordKind::Handshake);
    out.extend_from_slice(packet);
    finish_record(out, from);
}
