//! HELLO2 and SHARE over a stream: no cookie, for TCP has proved the caller's address. `spec/tcp.md`, section
//! "Handshake"; security.md's steps for Plain.

use crate::message::End;
use crate::proto::version::UnknownVersion;
use crate::wire::{
    ConnectionCid, DecodeError, Hello2, Mode, Packet, Params, RANDOM_LEN, RECORD_HEADER_LEN, Record, RecordKind,
    Refuse, RefuseCode, Share, VERSION, check_crc, finish_record, start_record,
};

/// The longest record of a handshake, header and checksum included: what a stranger can make us hold.
pub(super) const RECORD_LEN_MAX: usize = 2 * 1024;

// What never changes between versions, beside what `proto::version` says: the form and the header of a record.
const FORM_MASK: u8 = 0x03;
const FORM_RECORD: u8 = 2;

/// What a caller draws at random for one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) random: [u8; RANDOM_LEN],
    pub(super) cid: ConnectionCid,
}

/// One side of a handshake.
#[derive(Debug)]
pub(super) enum Handshake {
    /// HELLO2 was written; SHARE or REFUSE is waited for.
    Calling(Identity),
    /// HELLO2 is waited for.
    Listening,
    /// HELLO2 is waited for, and what came so far is of a version that we do not speak.
    Strange(Vec<u8>),
    /// HELLO2 was read, and has yet to be granted or refused.
    Asked {
        /// Who calls.
        caller: Identity,
        /// What they grant.
        params: Params,
    },
    /// Done, one way or the other.
    Over,
}

/// What a record of the handshake brought.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// A caller waits for [`Handshake::grant`] or [`Handshake::refuse`].
    Asks,
    /// The connection is there.
    Established(Params),
    /// There will be none.
    Failed(End),
}

impl Handshake {
    /// Writes the HELLO2 of a call.
    pub(super) fn call(identity: Identity, ours: &Params, out: &mut Vec<u8>) -> Self {
        let mut params = Vec::new();
        ours.put(&mut params);
        let hello = Hello2 {
            client_random: identity.random,
            invite: [0; 8],
            cookie: None,
            client_cid: identity.cid,
            key_share: None,
            params: &params,
        };
        put(Packet::Hello2(hello), out);
        Self::Calling(identity)
    }

    /// Takes in a record that came before the handshake was over.
    pub(super) fn handle(&mut self, record: &Record<'_>) -> Outcome {
        self.take(record).unwrap_or(Outcome::Failed(End::Broken))
    }

    fn take(&mut self, record: &Record<'_>) -> Result<Outcome, DecodeError> {
        if record.kind != RecordKind::Handshake {
            return Err(DecodeError::Type(1));
        }
        let (mode, packet) = Packet::decode(record.body)?;
        if mode != Mode::Plain {
            return Err(DecodeError::Mode);
        }
        match (&*self, packet) {
            (Self::Listening, Packet::Hello2(hello)) if hello.cookie.is_none() => {
                let caller = Identity { random: hello.client_random, cid: hello.client_cid };
                *self = Self::Asked { caller, params: Params::decode(hello.params)? };
                Ok(Outcome::Asks)
            }
            (Self::Calling(us), Packet::Share(share))
                if share.client_random == us.random && share.client_cid == us.cid =>
            {
                let params = Params::decode(share.params)?;
                *self = Self::Over;
                Ok(Outcome::Established(params))
            }
            (Self::Calling(us), Packet::Refuse(refuse)) if refuse.client_random == us.random => {
                *self = Self::Over;
                Ok(Outcome::Failed(End::Refused(refuse.code)))
            }
            _ => Err(DecodeError::Value("handshake")),
        }
    }

    /// Writes the SHARE for a caller who asked, and returns what they grant.
    pub(super) fn grant(&mut self, server_cid: ConnectionCid, ours: &Params, out: &mut Vec<u8>) -> Option<Params> {
        let Self::Asked { caller, params: theirs } = core::mem::replace(self, Self::Over) else { return None };
        let mut params = Vec::new();
        ours.put(&mut params);
        let share = Share {
            client_random: caller.random,
            client_cid: caller.cid,
            server_cid,
            key_share: None,
            params: &params,
        };
        put(Packet::Share(share), out);
        Some(theirs)
    }

    /// Writes the REFUSE for a caller who asked. False where none did.
    pub(super) fn refuse(&mut self, code: RefuseCode, out: &mut Vec<u8>) -> bool {
        let Self::Asked { caller, .. } = core::mem::replace(self, Self::Over) else { return false };
        put(Packet::Refuse(Refuse { client_random: caller.random, code, version: VERSION }), out);
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

    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }
}

fn put(packet: Packet<'_>, out: &mut Vec<u8>) {
    let from = out.len();
    start_record(out, Mode::Plain, RecordKind::Handshake);
    packet.put_handshake(Mode::Plain, out);
    finish_record(out, from);
}
