//! An endpoint whose peer says anything at all: plausible frames, nonsense, the right thing at the wrong time. The
//! harness makes the handshake and repairs checksums, so that the nonsense gets in.

use core::time::Duration;
use std::net::SocketAddr;

use bytes::Bytes;
use udpair::message::{ArrivalBody, Limits, MessageId, Messages, Select};
use udpair::proto::{Answer, Config, Drained, Ecn, Endpoint, Output, PathLimits};
use udpair::slots::ConnectionId;
use udpair::time::Timestamp;
use udpair::wire::{
    CloseKind, ConnectionCid, Cookie, Data, DataHeader, Delivery, Frame, Frames, Hello, Hello2, MessageStart, Mode,
    Packet, Params, RangeSet, Share, put_ack_blocks, put_crc, start_data,
};

use super::choices::Choices;
use super::datagram;

/// Outputs in a row after which the endpoint is taken to be spinning.
const OUTPUTS_MAX: usize = 20_000;
const RANDOM: [u8; 16] = [7; 16];
const OUR_CID: ConnectionCid = ConnectionCid(0x1122_3344_5566_7788);

struct Harness {
    endpoint: Endpoint,
    now: Timestamp,
    ids: Vec<ConnectionId>,
    streams: Vec<(ConnectionId, u16, MessageId)>,
    /// The id that packets to the endpoint bear, once it said so.
    peer_cid: Option<ConnectionCid>,
    cookie: Option<Cookie>,
    /// Of a HELLO2 that the endpoint sent.
    asked: Option<([u8; 16], ConnectionCid)>,
    next_number: u64,
    /// Packets of the endpoint's that were seen.
    seen: RangeSet,
    last: Vec<u8>,
    /// Bytes from and to an address that has proven nothing.
    stranger: (u64, u64),
    buf: Vec<u8>,
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 4_000))
}

fn limits() -> Limits {
    Limits { message_len_max: 10_000, credit_connection: 64_000, credit_channel: 32_000, send_queue: 32_000 }
}

/// A run.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let config = Config { limits: limits(), backlog: choices.below(4), ..Config::default() };
    let mut harness = Harness {
        endpoint: Endpoint::new(config, [3; 32]),
        now: Timestamp::from_nanos(1_000_000_000),
        ids: Vec::new(),
        streams: Vec::new(),
        peer_cid: None,
        cookie: None,
        asked: None,
        next_number: 0,
        seen: RangeSet::new(),
        last: Vec::new(),
        stranger: (0, 0),
        buf: Vec::new(),
    };
    harness.establish(choices.below(3));
    while !choices.is_empty() {
        harness.step(&mut choices);
        harness.pump();
    }
    // Whatever has happened, time ends it.
    for id in core::mem::take(&mut harness.ids) {
        harness.endpoint.release(harness.now, id);
    }
    for _ in 0..10_000 {
        harness.pump();
        match harness.endpoint.deadline() {
            Some(at) => harness.now = harness.now.max(at),
            None => break,
        }
    }
    assert!(harness.endpoint.is_empty() || harness.endpoint.incoming().is_some(), "a connection that never ends");
}

impl Harness {
    /// 0: no handshake; 1: the endpoint listens; 2: the endpoint connects.
    fn establish(&mut self, how: usize) {
        match how {
            1 => {
                self.hello(0);
                self.pump();
                self.hello2(0);
                self.pump();
            }
            2 => {
                self.connect();
                self.pump();
                if let Some((client_random, _)) = self.asked {
                    let retry = udpair::wire::Retry { client_random, cookie: [1; 40] };
                    self.handshake(&Packet::Retry(retry), 1);
                    self.pump();
                }
                self.share();
                self.pump();
            }
            _ => {}
        }
    }

    fn connect(&mut self) {
        let path = PathLimits::unlimited(address(1));
        if let Ok(id) = self.endpoint.connect(self.now, address(1), path) {
            self.ids.push(id);
        }
    }

    fn params() -> Vec<u8> {
        let mut encoded = Vec::new();
        let params =
            Params { credit_connection: 50_000, credit_channel: 20_000, message_len_max: 10_000, ..Params::default() };
        params.put(&mut encoded);
        encoded
    }

    fn handshake(&mut self, packet: &Packet<'_>, from: u8) {
        let mut out = Vec::new();
        packet.put_handshake(Mode::Plain, &mut out);
        self.datagram(from, None, out);
    }

    fn random(nth: usize) -> [u8; 16] {
        let mut random = RANDOM;
        random[0] ^= u8::try_from(nth % 256).unwrap_or(0);
        random
    }

    fn hello(&mut self, nth: usize) {
        let params_hash = udpair::proto::handshake::params_hash(&Self::params());
        let hello = Hello { client_random: Self::random(nth), invite: [0; 8], params_hash };
        self.handshake(&Packet::Hello(hello), 1);
    }

    fn hello2(&mut self, nth: usize) {
        let params = Self::params();
        let cookie = self.cookie;
        let client_random = Self::random(nth);
        let hello =
            Hello2 { client_random, invite: [0; 8], cookie, client_cid: OUR_CID, key_share: None, params: &params };
        self.handshake(&Packet::Hello2(hello), 1);
    }

    fn share(&mut self) {
        let Some((client_random, client_cid)) = self.asked else { return };
        let params = Self::params();
        let share = Share { client_random, client_cid, server_cid: OUR_CID, key_share: None, params: &params };
        self.handshake(&Packet::Share(share), 1);
        self.peer_cid = Some(client_cid);
    }

    fn datagram(&mut self, from: u8, ecn: Option<Ecn>, bytes: Vec<u8>) {
        if from == 2 {
            self.stranger.0 += bytes.len() as u64;
        }
        self.endpoint.handle_datagram(self.now, address(from), ecn, &mut bytes.clone());
        self.last = bytes;
    }

    /// A data packet with these frames, numbered `skip` beyond the last.
    fn packet(&mut self, skip: u64, ecn: Option<Ecn>, frames: &[u8]) {
        let cid = self.peer_cid.unwrap_or(ConnectionCid(0));
        self.next_number += skip;
        let number_low = u32::try_from(self.next_number & 0xffff_ffff).unwrap_or(0);
        self.next_number += 1;
        let mut out = Vec::new();
        start_data(&mut out, &DataHeader { mode: Mode::Plain, key_phase: false, cid, number_low });
        out.extend_from_slice(frames);
        put_crc(&mut out, 0);
        self.datagram(1, ecn, out);
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let op = choices.byte() % 24;
        match op {
            0 => {
                let from = 1 + u8::from(choices.flip());
                let len = choices.len();
                self.datagram(from, None, choices.bytes(len).to_vec());
            }
            1 => {
                let from = 1 + u8::from(choices.flip());
                let len = choices.len();
                self.datagram(from, None, datagram::repaired(choices.bytes(len)));
            }
            2 => {
                let len = choices.len();
                self.packet(0, None, choices.bytes(len));
            }
            3..=9 => {
                let mut frames = Vec::new();
                for _ in 0..=choices.below(4) {
                    self.frame(choices, &mut frames);
                }
                let skip = [0, 0, 0, 0, 1, 2, 300, 1 << 20][choices.below(8)];
                let ecn = [None, Some(Ecn::Ect0), Some(Ecn::Ect1), Some(Ecn::Ce)][choices.below(4)];
                self.packet(skip, ecn, &frames);
            }
            10 | 11 => {
                let mut frames = Vec::new();
                put_ack_blocks(&mut frames, 1_000, &self.seen, 64, 0, None);
                self.packet(0, None, &frames);
            }
            12 | 13 => {
                let exponent = u32::try_from(choices.below(8)).unwrap_or(0);
                self.now += Duration::from_micros(10u64.pow(exponent) * (1 + choices.below(9)) as u64);
            }
            14 => self.hello(choices.below(256)),
            15 => self.hello2(choices.below(256)),
            16 => {
                let last = self.last.clone();
                let from = 1 + u8::from(choices.below(4) == 0);
                self.datagram(from, None, last);
            }
            17 => self.endpoint.handle_wait(),
            18 => {
                self.endpoint.handle_batch_end(if choices.flip() { Drained::ByWaiter } else { Drained::ByKeeper });
            }
            19 => self.endpoint.handle_unreachable(self.now, address(1)),
            20 if self.ids.len() < 4 => self.connect(),
            21 => self.share(),
            _ => self.application(choices),
        }
    }

    /// A frame that could be one of a peer's.
    fn frame(&mut self, choices: &mut Choices<'_>, out: &mut Vec<u8>) {
        let channel = u16::try_from(choices.below(3)).unwrap_or(0);
        let message = choices.below(4) as u64;
        let code = 7;
        match choices.below(10) {
            0 => Frame::CreditConnection { limit: choices.len() as u64 * 10 }.put(out),
            1 => Frame::CreditChannel { channel, limit: choices.len() as u64 }.put(out),
            2 => Frame::Reset { channel, message, final_size: choices.len() as u64, code }.put(out),
            3 => Frame::Stop { channel, message, code }.put(out),
            4 => {
                let mut taken = RangeSet::new();
                taken.insert(message..message + 1 + choices.below(3) as u64);
                Frame::put_taken(out, 100, channel, &mut taken);
            }
            5 if choices.below(8) == 0 => Frame::Close { kind: CloseKind::Close, code }.put(out),
            5 => {
                let mut received = RangeSet::new();
                let from = choices.below(256) as u64;
                received.insert(from..from + 1 + choices.below(64) as u64);
                put_ack_blocks(out, 100, &received, 4, u64::from(choices.u16()), None);
            }
            6 => Frame::Ping.put(out),
            _ => {
                let delivery = match channel {
                    0 => Delivery::Ordered,
                    1 => Delivery::Unordered,
                    _ if choices.flip() => Delivery::Latest,
                    _ => Delivery::Unreliable,
                };
                let payload = vec![7; choices.len().min(1_150)];
                let offset = if choices.flip() { 0 } else { choices.len() as u64 };
                let fin = choices.flip();
                let len = if fin { Some(payload.len() as u64) } else { choices.flip().then_some(20_000) };
                let start = (offset == 0).then_some(MessageStart { delivery, tag: 1, len });
                Frame::Data(Data { channel, message, offset, start, fin, payload: &payload }).put(out);
            }
        }
    }

    /// The application on the endpoint does something.
    fn application(&mut self, choices: &mut Choices<'_>) {
        let Some(&id) = self.ids.get(choices.below(8) % self.ids.len().max(1)) else { return };
        let now = self.now;
        let Some(messages) = self.endpoint.messages_mut(id) else { return };
        let channel = u16::try_from(choices.below(3)).unwrap_or(0);
        match choices.below(9) {
            0 | 1 => drop(messages.send(channel, 0, Bytes::from(vec![1; choices.len()]))),
            2 => drop(messages.begin(channel, 0, None)),
            3 => drop(messages.write(channel, MessageId(choices.below(4) as u64), &[2; 2_000])),
            4 => drop(messages.finish_message(channel, MessageId(choices.below(4) as u64))),
            5 => messages.reset(channel, MessageId(choices.below(4) as u64), 1),
            6 => match messages.recv(Select::Any) {
                Ok(Some(arrival)) if matches!(arrival.body, ArrivalBody::Stream { .. }) => {
                    self.streams.push((id, arrival.channel, arrival.id));
                }
                _ => {}
            },
            7 => {
                let count = self.streams.len().max(1);
                if let Some(&(id, channel, message)) = self.streams.get(choices.below(8) % count)
                    && let Some(messages) = self.endpoint.messages_mut(id)
                {
                    if choices.below(4) == 0 {
                        messages.stop(channel, message, 2);
                    } else {
                        let _ = messages.read(channel, message, &mut [0; 700]);
                    }
                }
            }
            _ => match choices.below(8) {
                0 => messages.abort(3),
                1 => messages.close(now, 4, Duration::from_secs(1)),
                2 => {
                    self.ids.retain(|held| *held != id);
                    self.endpoint.release(now, id);
                }
                _ => {}
            },
        }
    }

    /// Takes everything out that the endpoint has to say.
    fn pump(&mut self) {
        let mut buf = core::mem::take(&mut self.buf);
        for count in 0.. {
            assert!(count < OUTPUTS_MAX, "the endpoint never comes to rest");
            match self.endpoint.poll_output(self.now, &mut buf) {
                Output::Transmit(transmit) => {
                    assert_eq!(transmit.len, buf.len());
                    if transmit.to == address(2) {
                        self.stranger.1 += transmit.len as u64;
                    }
                    let segment = transmit.segment.unwrap_or(transmit.len).max(1);
                    buf.chunks(segment).for_each(|datagram| self.on_transmit(transmit.to, datagram));
                }
                Output::Changed(_) => {}
                Output::Incoming => {
                    while let Some(id) = self.endpoint.incoming() {
                        self.endpoint.answer(self.now, id, Answer::Accept);
                        self.ids.push(id);
                    }
                }
                Output::Wait(Some(at)) if at <= self.now => self.endpoint.handle_timeout(self.now),
                Output::Wait(_) => break,
            }
        }
        self.buf = buf;
        assert!(self.stranger.1 <= self.stranger.0, "more bytes out than in: {:?}", self.stranger);
        for messages in self.ids.iter().filter_map(|id| self.endpoint.messages(*id)) {
            check(messages);
        }
    }

    fn on_transmit(&mut self, to: SocketAddr, datagram: &[u8]) {
        match Packet::decode(datagram).expect("own datagrams are sound") {
            (_, Packet::Data(header, payload)) => {
                assert!(Frames::new(payload).all(|frame| frame.is_ok()), "own frames are readable");
                let expected = self.seen.last().map_or(0, |last| last.end);
                self.seen.insert_one(header.number(expected));
            }
            // Nobody hears what is sent to an address that was forged.
            (_, Packet::Retry(retry)) if to == address(1) => self.cookie = Some(retry.cookie),
            (_, Packet::Retry(_)) => {}
            (_, Packet::Share(share)) => self.peer_cid = Some(share.server_cid),
            (_, Packet::Hello(hello)) => self.asked = Some((hello.client_random, ConnectionCid(0))),
            (_, Packet::Hello2(hello)) => self.asked = Some((hello.client_random, hello.client_cid)),
            (_, Packet::Refuse(_)) => {}
            (_, Packet::ConfirmJ(_) | Packet::ConfirmI(_) | Packet::Sealed(..)) => panic!("not of plain mode"),
        }
    }
}

fn check(messages: &Messages) {
    let (stats, limits) = (messages.stats(), messages.limits());
    assert!(stats.held <= 2 * limits.credit_connection, "{} credit bytes held", stats.held);
    // Messages and values have room for as much each, and two messages and a value may go over that.
    assert!(stats.queued <= 2 * limits.send_queue + 3 * 64_000, "{} bytes queued", stats.queued);
}
