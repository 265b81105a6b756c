//! Datagrams in: each to its connection, to a handshake, or to a counter.

use std::net::SocketAddr;

use crate::slots::ConnectionId;
use crate::time::Timestamp;
use crate::wire::{ConnectionCid, DataHeader, DecodeError, Hello2, Mode, Packet, RANDOM_LEN, RefuseCode, Share};

use crate::proto::config::Config;
use crate::proto::connection::Connection;
use crate::proto::counters::Dropped;
use crate::proto::ecn::Ecn;
use crate::proto::listener::Listener;
use crate::proto::mtu::PathLimits;
use crate::proto::version::UnknownVersion;

use super::{Endpoint, mark_changed, mark_ready};

/// Answers to handshake packets that wait to be sent.
const ANSWERS_MAX: usize = 256;

impl Endpoint {
    pub(super) fn route(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) -> Result<(), Dropped> {
        let (mode, packet) = match Packet::decode(datagram) {
            Ok(decoded) => decoded,
            Err(DecodeError::Checksum) => return Err(Dropped::Checksum),
            Err(DecodeError::Version(_)) => return self.handle_unknown_version(now, from, datagram),
            Err(DecodeError::Mode) => return Err(Dropped::Mode),
            Err(_) => return Err(Dropped::Malformed),
        };
        if mode != Mode::Plain {
            return Err(Dropped::Mode);
        }
        match packet {
            Packet::Data(header, _) => self.handle_data(now, from, ecn, &header, datagram),
            Packet::Hello(_) if self.config.backlog == 0 => Err(Dropped::NotListening),
            Packet::Hello(hello) => {
                let mut answer = Vec::new();
                self.listener.answer_hello(now, from, &hello, &mut answer);
                self.answer_with(from, answer, datagram.len())
            }
            Packet::Hello2(_) if self.config.backlog == 0 => Err(Dropped::NotListening),
            Packet::Hello2(hello) => self.handle_hello2(now, from, &hello, datagram.len()),
            Packet::Retry(retry) => {
                self.with_connecting(from, &retry.client_random, |connection, _| connection.handle_retry(now, &retry))
            }
            Packet::Refuse(refuse) => {
                self.with_connecting(from, &refuse.client_random, |it, _| it.handle_refuse(now, &refuse))
            }
            Packet::Share(share) => self.handle_share(now, from, &share),
            Packet::ConfirmJ(_) | Packet::ConfirmI(_) | Packet::Sealed(..) => Err(Dropped::Mode),
        }
    }

    fn handle_data(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        ecn: Option<Ecn>,
        header: &DataHeader,
        datagram: &mut [u8],
    ) -> Result<(), Dropped> {
        let id = match self.routes.of_cid(header.cid) {
            Some(id) => id,
            None => self.establish(now, from, header.cid)?,
        };
        let entry = self.entries.get_mut(id).ok_or(Dropped::UnknownCid)?;
        if entry.connection.remote() != from {
            return Err(Dropped::WrongSource);
        }
        let result = entry.connection.handle_packet(now, header, ecn, datagram, &mut self.scratch);
        mark_ready(&mut self.ready, id, entry);
        if !core::mem::replace(&mut entry.batch, true) {
            self.batch.push(id);
        }
        if result.is_ok() || result == Err(Dropped::BadFrame) {
            mark_changed(&mut self.changed, id, entry);
        }
        result
    }

    /// The first packet of a connection that was granted came in.
    fn establish(&mut self, now: Timestamp, from: SocketAddr, cid: ConnectionCid) -> Result<ConnectionId, Dropped> {
        let half_open = self.listener.confirm(now, cid, from)?;
        let most = PathLimits::unlimited(from).datagram_len_max.min(self.config.accept_path.datagram_len_max);
        let path = PathLimits { datagram_len_max: most };
        let connection = Connection::accepted(now, &self.config, path, cid, &half_open);
        let id = self.insert(connection, true);
        self.unanswered += 1;
        self.incoming.push_back(id);
        self.unannounced += 1;
        Ok(id)
    }

    fn handle_share(&mut self, now: Timestamp, from: SocketAddr, share: &Share<'_>) -> Result<(), Dropped> {
        self.with_connecting(from, &share.client_random, |connection, config| {
            connection.handle_share(now, config, share)
        })?;
        if let Some(id) = self.routes.of_random(&share.client_random) {
            self.routes.remove_connecting(id);
            if let Some(entry) = self.entries.get_mut(id) {
                mark_changed(&mut self.changed, id, entry);
            }
        }
        Ok(())
    }

    fn with_connecting(
        &mut self,
        from: SocketAddr,
        random: &[u8; RANDOM_LEN],
        handle: impl FnOnce(&mut Connection, &Config) -> Result<(), Dropped>,
    ) -> Result<(), Dropped> {
        let id = self.routes.of_random(random).ok_or(Dropped::StaleHandshake)?;
        let entry = self.entries.get_mut(id).ok_or(Dropped::StaleHandshake)?;
        if entry.connection.remote() != from {
            return Err(Dropped::WrongSource);
        }
        handle(&mut entry.connection, &self.config)?;
        mark_ready(&mut self.ready, id, entry);
        Ok(())
    }

    fn handle_hello2(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        hello: &Hello2<'_>,
        datagram_len: usize,
    ) -> Result<(), Dropped> {
        if !self.listener.is_proven(now, from, hello) {
            return Err(Dropped::BadCookie);
        }
        let cid = self.new_cid();
        let room = if self.is_full() { 0 } else { self.config.backlog.saturating_sub(self.unanswered) };
        let mut answer = Vec::new();
        let granted = self.listener.answer_hello2(now, from, hello, cid, &self.params_encoded, room, &mut answer);
        match granted {
            Ok(_) => self.answer_with(from, answer, datagram_len),
            Err(reason @ (Dropped::Busy | Dropped::HalfOpenFull)) => {
                self.may_refuse(now)?;
                Listener::refuse(hello.client_random, RefuseCode::Busy, &mut answer);
                self.answer_with(from, answer, datagram_len)?;
                Err(reason)
            }
            Err(reason) => Err(reason),
        }
    }

    fn handle_unknown_version(&mut self, now: Timestamp, from: SocketAddr, datagram: &[u8]) -> Result<(), Dropped> {
        let hello = UnknownVersion::decode(datagram).filter(|_| self.config.backlog > 0).ok_or(Dropped::Version)?;
        self.may_refuse(now)?;
        let mut answer = Vec::new();
        hello.put_refuse(&mut answer);
        self.answer_with(from, answer, datagram.len())?;
        Err(Dropped::Version)
    }

    fn may_refuse(&mut self, now: Timestamp) -> Result<(), Dropped> {
        if self.refusal_budget.take(now) { Ok(()) } else { Err(Dropped::RefusalsLimited) }
    }

    fn answer_with(&mut self, to: SocketAddr, answer: Vec<u8>, asked_len: usize) -> Result<(), Dropped> {
        assert!(answer.len() <= asked_len, "an address that has proven nothing gets no more than it sent");
        if self.answers.len() >= ANSWERS_MAX {
            return Err(Dropped::AnswersFull);
        }
        self.answers.push_back((to, answer));
        Ok(())
    }
}
