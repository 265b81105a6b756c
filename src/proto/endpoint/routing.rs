//! Datagrams in: each to its connection, to a handshake, or to a counter.

use std::net::SocketAddr;

use crate::slots::ConnectionId;
use crate::time::Timestamp;

use crate::seal::Session;
use crate::wire::{
    COOKIE_LEN, Confirm, ConnectionCid, DataHeader, DecodeError, Hello, Hello2, Packet, RANDOM_LEN, Share,
};

use crate::proto::config::Config;
use crate::proto::connection::Connection;
use crate::proto::counters::Dropped;
use crate::proto::ecn::Ecn;
use crate::proto::listener::{Asked, Confirmed, HalfOpen};
use crate::proto::mtu::PathLimits;
use crate::proto::path::Path;
use crate::proto::security::Refusal;
use crate::proto::version::UnknownVersion;

use super::{Endpoint, mark_changed, mark_ready};

/// Answers to handshake packets that wait to be sent.
const ANSWERS_MAX: usize = 256;
/// The answer that a flood of HELLOs gets.
const RETRY_LEN: usize = 2 + RANDOM_LEN + COOKIE_LEN + 4;

impl Endpoint {
    pub(super) fn route(
        &mut self,
        now: Timestamp,
        path: Path,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) -> Result<(), Dropped> {
        let from = path.remote;
        let (mode, packet) = match Packet::decode(datagram) {
            Ok(decoded) => decoded,
            Err(DecodeError::Checksum) => return Err(Dropped::Checksum),
            Err(DecodeError::Version(_)) => return self.handle_unknown_version(now, path, datagram),
            Err(DecodeError::Mode) => return Err(Dropped::Mode),
            Err(_) => return Err(Dropped::Malformed),
        };
        if mode != self.config.security.mode() {
            return Err(Dropped::Mode);
        }
        match packet {
            Packet::Data(header, _) | Packet::Sealed(header, _) => self.handle_data(now, path, ecn, &header, datagram),
            Packet::Hello(_) | Packet::Hello2(_) if self.config.backlog == 0 => Err(Dropped::NotListening),
            Packet::Hello(Hello { client_random, .. }) | Packet::Hello2(Hello2 { client_random, .. })
                if mode.is_sealed() && self.routes.of_random(&client_random).is_some() =>
            {
                Err(Dropped::Reflected)
            }
            Packet::Hello(hello) => {
                let mut answer = Vec::with_capacity(RETRY_LEN);
                match self.listener.answer_hello(now, from, &hello, &mut answer) {
                    Ok(()) => self.answer_with(path, answer, datagram.len()),
                    Err(refusal) => self.refuse(now, path, hello.client_random, refusal, datagram.len()),
                }
            }
            Packet::Hello2(hello) => self.handle_hello2(now, path, datagram, &hello),
            Packet::Retry(retry) => self.with_connecting(from, &retry.client_random, |connection, _| {
                connection.handle_retry(now, from, &retry)
            }),
            Packet::Refuse(refuse) => {
                self.with_connecting(from, &refuse.client_random, |it, _| it.handle_refuse(now, from, &refuse))
            }
            Packet::Share(share) => self.handle_share(now, from, datagram, &share),
            Packet::ConfirmJ(confirm) => self.handle_confirm_j(now, path, &confirm, datagram.len()),
            Packet::ConfirmI(confirm) => self.handle_confirm_i(now, from, &confirm),
        }
    }

    fn handle_data(
        &mut self,
        now: Timestamp,
        path: Path,
        ecn: Option<Ecn>,
        header: &DataHeader,
        datagram: &mut [u8],
    ) -> Result<(), Dropped> {
        let id = match self.routes.of_cid(header.cid) {
            Some(id) => id,
            None => self.establish(now, path, header.cid)?,
        };
        let entry = self.entries.get_mut(id).ok_or(Dropped::UnknownCid)?;
        if entry.connection.remote() != path.remote {
            return Err(Dropped::WrongSource);
        }
        let result = entry.connection.handle_packet(now, header, ecn, datagram, &mut self.scratch);
        mark_ready(&mut self.ready, id, entry);
        if !core::mem::replace(&mut entry.batch, true) {
            self.batch.push(id);
        }
        if result.is_ok() || result == Err(Dropped::BadFrame) {
            entry.connection.set_local(path.local);
            mark_changed(&mut self.changed, id, entry);
        }
        result
    }

    /// The first packet of a connection that was granted came in.
    fn establish(&mut self, now: Timestamp, path: Path, cid: ConnectionCid) -> Result<ConnectionId, Dropped> {
        let half_open = self.listener.confirm(now, cid, path.remote)?;
        Ok(self.accept(now, path, cid, &half_open, None))
    }

    /// A connection came in.
    fn accept(
        &mut self,
        now: Timestamp,
        path: Path,
        cid: ConnectionCid,
        half_open: &HalfOpen,
        session: Option<Session>,
    ) -> ConnectionId {
        let from = half_open.from;
        let most = PathLimits::unlimited(from).datagram_len_max.min(self.config.accept_path.datagram_len_max);
        let limits = PathLimits { datagram_len_max: most };
        let mut connection = Connection::accepted(now, &self.config, limits, cid, half_open, session);
        connection.set_local(path.local);
        if self.listener.invite().is_some() {
            connection.messages_mut().set_only_guest();
        }
        let id = self.insert(connection, true);
        self.unanswered += 1;
        self.incoming.push_back(id);
        self.unannounced += 1;
        id
    }

    fn handle_share(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        packet: &[u8],
        share: &Share<'_>,
    ) -> Result<(), Dropped> {
        let mut established = false;
        self.with_connecting(from, &share.client_random, |connection, config| {
            established = connection.handle_share(now, config, packet, share)?;
            Ok(())
        })?;
        if established {
            self.on_connected(&share.client_random);
        }
        Ok(())
    }

    fn handle_confirm_i(&mut self, now: Timestamp, from: SocketAddr, confirm: &Confirm) -> Result<(), Dropped> {
        self.with_connecting(from, &confirm.client_random, |connection, config| {
            connection.handle_confirm(now, config, confirm)
        })?;
        self.on_connected(&confirm.client_random);
        Ok(())
    }

    fn on_connected(&mut self, random: &[u8; RANDOM_LEN]) {
        let Some(id) = self.routes.of_random(random) else { return };
        self.routes.remove_connecting(id);
        if let Some(entry) = self.entries.get_mut(id) {
            mark_changed(&mut self.changed, id, entry);
        }
    }

    fn handle_confirm_j(
        &mut self,
        now: Timestamp,
        path: Path,
        confirm: &Confirm,
        datagram_len: usize,
    ) -> Result<(), Dropped> {
        let before = self.listener.invite();
        let mut answer = Vec::new();
        let confirmed = self.listener.confirm_sealed(now, path.remote, confirm, &mut answer);
        if self.listener.invite() != before {
            // Whoever waits for a guest is to look, whatever came.
            self.unannounced += 1;
        }
        match confirmed {
            Ok(Confirmed::Again) => self.answer_with(path, answer, datagram_len),
            Ok(Confirmed::New(cid, half_open, session)) => {
                self.accept(now, path, cid, &half_open, Some(*session));
                self.answer_with(path, answer, datagram_len)
            }
            Err(refusal) => self.refuse(now, path, confirm.client_random, refusal, datagram_len),
        }
    }

    fn with_connecting(
        &mut self,
        from: SocketAddr,
        random: &[u8; RANDOM_LEN],
        handle: impl FnOnce(&mut Connection, &Config) -> Result<(), Dropped>,
    ) -> Result<(), Dropped> {
        let id = self.routes.of_random(random).ok_or(Dropped::StaleHandshake)?;
        let entry = self.entries.get_mut(id).ok_or(Dropped::StaleHandshake)?;
        if !entry.connection.expects(from) {
            return Err(Dropped::WrongSource);
        }
        handle(&mut entry.connection, &self.config)?;
        mark_ready(&mut self.ready, id, entry);
        Ok(())
    }

    fn handle_hello2(&mut self, now: Timestamp, path: Path, packet: &[u8], hello: &Hello2<'_>) -> Result<(), Dropped> {
        let from = path.remote;
        if !self.listener.is_proven(now, from, hello) {
            return Err(Dropped::BadCookie);
        }
        let cid = self.new_cid();
        let room = if self.is_full() { 0 } else { self.config.backlog.saturating_sub(self.unanswered) };
        let entropy = self.entropy.draw();
        let asked = Asked { from, packet, hello, cid, ours: &self.params_encoded, room, entropy: &entropy };
        let mut answer = Vec::new();
        match self.listener.answer_hello2(now, &asked, &mut answer) {
            Ok(_) => self.answer_with(path, answer, packet.len()),
            Err(refusal) => self.refuse(now, path, hello.client_random, refusal, packet.len()),
        }
    }

    /// Tells the reason, where there is one to tell.
    fn refuse(
        &mut self,
        now: Timestamp,
        to: Path,
        client_random: [u8; RANDOM_LEN],
        refusal: Refusal,
        asked_len: usize,
    ) -> Result<(), Dropped> {
        if let Some(code) = refusal.code {
            self.may_refuse(now)?;
            let mut answer = Vec::new();
            self.listener.refuse(client_random, code, &mut answer);
            self.answer_with(to, answer, asked_len)?;
        }
        Err(refusal.dropped)
    }

    fn handle_unknown_version(&mut self, now: Timestamp, path: Path, datagram: &[u8]) -> Result<(), Dropped> {
        let hello = UnknownVersion::decode(datagram).filter(|_| self.config.backlog > 0).ok_or(Dropped::Version)?;
        self.may_refuse(now)?;
        let mut answer = Vec::new();
        hello.put_refuse(&mut answer);
        self.answer_with(path, answer, datagram.len())?;
        Err(Dropped::Version)
    }

    fn may_refuse(&mut self, now: Timestamp) -> Result<(), Dropped> {
        if self.refusal_budget.take(now) { Ok(()) } else { Err(Dropped::RefusalsLimited) }
    }

    fn answer_with(&mut self, to: Path, answer: Vec<u8>, asked_len: usize) -> Result<(), Dropped> {
        // An address that has proven nothing gets no more than it sent.
        if answer.len() > asked_len {
            return Err(Dropped::TooShort);
        }
        if self.answers.len() >= ANSWERS_MAX {
            return Err(Dropped::AnswersFull);
        }
        self.answers.push_back((to, answer));
        Ok(())
    }
}
