//! The real thing: `proto`'s endpoint.

use core::net::SocketAddr;

use udpair::message::{GAPS_MAX, Limits, Messages, UNRELIABLE_UNREAD_LEN_MAX};
use udpair::proto::listener::{HALF_OPEN_MAX, REMEMBERED_MAX};
use udpair::proto::{self, Answer, Config, Drained, Endpoint, PathLimits, Security};
use udpair::seal::{Generations, Prs};
use udpair::sim::Ecn;
use udpair::slots::ConnectionId;
use udpair::time::Timestamp;
use udpair::wire::{Data, Frame, Frames, Packet};

use crate::chance::Chance;
use crate::content::queued_max;
use crate::plan::{HostPlan, Sealing};
use crate::sans_io::{Core, Output};

/// An endpoint, and which connections to look at for their bounds.
pub(crate) struct Udp {
    endpoint: Endpoint,
    limits: Limits,
    connections_max: usize,
    held: Vec<ConnectionId>,
}

impl Core for Udp {
    fn new(plan: &HostPlan, sealing: Sealing, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let HostPlan { limits, backlog, inbox_bytes, .. } = *plan;
        let (security, generations) = match sealing {
            Sealing::Plain => (Security::plain(), Generations::STANDARD),
            Sealing::Psk(generations) => (Security::psk(*b"the key.", &[7; 32]), generations),
            // Whoever calls has the words of whom it calls, and everybody can be called once.
            Sealing::Code(generations) => (Security::code(*b"invite 1", Prs::words("maple-otter")), generations),
        };
        let bytes: Vec<u8> = (0..4).flat_map(|_| chance.any().to_le_bytes()).collect();
        let receive_buffer = inbox_bytes as u64;
        let config = Config { security, generations, limits, backlog, receive_buffer, ..Config::default() };
        let connections_max = config.connections_max;
        let endpoint = Endpoint::new(config, bytes.try_into().unwrap());
        Self { endpoint, limits: limits.mended(), connections_max, held: Vec::new() }
    }

    fn connect(&mut self, now: Timestamp, remote: SocketAddr) -> ConnectionId {
        let id = self.endpoint.connect(now, remote, PathLimits::unlimited(remote)).unwrap();
        self.held.push(id);
        id
    }

    fn incoming(&mut self) -> Option<ConnectionId> {
        let id = self.endpoint.incoming()?;
        self.held.push(id);
        Some(id)
    }

    fn remote(&self, id: ConnectionId) -> Option<SocketAddr> {
        self.endpoint.remote(id)
    }

    fn accept(&mut self, now: Timestamp, id: ConnectionId) {
        self.endpoint.answer(now, id, Answer::Accept);
    }

    fn refuse(&mut self, now: Timestamp, id: ConnectionId, code: u32) {
        self.endpoint.answer(now, id, Answer::Refuse(code));
    }

    fn messages(&mut self, id: ConnectionId) -> Option<&mut Messages> {
        self.endpoint.messages_mut(id)
    }

    fn peek(&self, id: ConnectionId) -> Option<&Messages> {
        self.endpoint.messages(id)
    }

    fn datagram(&mut self, now: Timestamp, from: SocketAddr, ecn: Option<Ecn>, datagram: &[u8]) {
        let ecn = ecn.map(|ecn| match ecn {
            Ecn::Ect0 => proto::Ecn::Ect0,
            Ecn::Ect1 => proto::Ecn::Ect1,
            Ecn::Ce => proto::Ecn::Ce,
        });
        self.endpoint.handle_datagram(now, from, ecn, &mut datagram.to_vec());
    }

    fn batch_end(&mut self, drained: Drained) {
        self.endpoint.handle_batch_end(drained);
    }

    fn wait(&mut self) {
        self.endpoint.handle_wait();
    }

    fn timeout(&mut self, now: Timestamp) {
        self.endpoint.handle_timeout(now);
    }

    fn output(&mut self, now: Timestamp, buf: &mut Vec<u8>) -> Output {
        match self.endpoint.poll_output(now, buf) {
            proto::Output::Transmit(transmit) => {
                assert_eq!(transmit.len, buf.len());
                Output::Transmit {
                    to: transmit.to,
                    segment: transmit.segment.unwrap_or(transmit.len),
                    ecn: transmit.ecn.map(|ecn| match ecn {
                        proto::Ecn::Ect0 => Ecn::Ect0,
                        proto::Ecn::Ect1 => Ecn::Ect1,
                        proto::Ecn::Ce => Ecn::Ce,
                    }),
                }
            }
            proto::Output::Changed(id) => Output::Changed(id),
            proto::Output::Incoming => Output::Incoming,
            proto::Output::Wait(until) => Output::Wait(until),
        }
    }

    fn release(&mut self, now: Timestamp, id: ConnectionId) {
        self.held.retain(|held| *held != id);
        self.endpoint.release(now, id);
    }

    fn explain(datagram: &[u8]) -> String {
        match Packet::decode(datagram) {
            Ok((_, Packet::Data(header, payload))) => {
                let frames = Frames::new(payload).map(|frame| match frame {
                    Ok(Frame::Data(Data { channel, message, offset, start, fin, payload })) => {
                        let (start, fin) = (start.map(|start| start.len), if fin { " fin" } else { "" });
                        format!("DATA {channel}/{message} {offset}+{} {start:?}{fin}", payload.len())
                    }
                    Ok(Frame::Ack { blocks, .. }) => format!("ACK {:?}", blocks.iter().collect::<Vec<_>>()),
                    frame => format!("{frame:?}"),
                });
                format!("{:016x} #{} {}", header.cid.0, header.number_low, frames.collect::<Vec<_>>().join(", "))
            }
            Ok((_, Packet::Sealed(header, sealed))) => {
                format!("{:016x} #{} sealed, {} bytes", header.cid.0, header.number_low, sealed.len())
            }
            other => format!("{other:?}").chars().take(200).collect(),
        }
    }

    fn exporter(&self, id: ConnectionId) -> Option<[u8; 32]> {
        self.endpoint.exports(id).map(|exports| *exports.exporter.expose())
    }

    fn dropped(&self) -> u64 {
        self.endpoint.counters().iter_dropped().map(|(_, count)| count).sum()
    }

    fn is_replay_proof() -> bool {
        true
    }

    fn drops(&self) -> Vec<(&'static str, u64)> {
        self.endpoint.counters().iter_dropped().filter(|(_, count)| *count > 0).collect()
    }

    fn check_bounds(&self) {
        assert!(self.endpoint.len() <= self.connections_max, "{} connections", self.endpoint.len());
        assert!(self.endpoint.half_open() <= HALF_OPEN_MAX, "{} half open", self.endpoint.half_open());
        assert!(self.endpoint.remembered() <= REMEMBERED_MAX, "{} remembered", self.endpoint.remembered());
        for stats in self.held.iter().filter_map(|id| self.endpoint.stats(*id)) {
            let (messages, limits) = (stats.messages, &self.limits);
            assert!(messages.held <= 2 * limits.credit_connection, "{messages:?} {limits:?}");
            assert!(messages.gaps <= GAPS_MAX, "{messages:?}");
            assert!(messages.unreliable_unread <= UNRELIABLE_UNREAD_LEN_MAX, "{messages:?}");
            assert!(messages.queued <= queued_max(limits), "{messages:?} {limits:?}");
        }
    }
}
