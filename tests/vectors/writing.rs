//! Writes what the lines of a vector mean, with the library's own encoders.

use core::ops::Range;
use std::collections::BTreeMap;

use udpair::wire::{
    CloseKind, Confirm, ConnectionCid, Data, DataHeader, Delivery, EcnCounts, Frame, Hello, Hello2, MessageStart, Mode,
    Packet, Params, RangeSet, RecordKind, Refuse, RefuseCode, Retry, SEAL_LEN, Share, finish_record, put_ack_blocks,
    put_crc, put_record_len, put_varint, start_data, start_record,
};

use super::format::bytes;
use super::meaning::{CLOSE_KINDS, DELIVERIES, MODES, REFUSE_CODES};

/// The bytes of what `lines` say.
pub(crate) fn write(lines: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    let Some((first, rest)) = lines.split_first() else { return out };
    match Meaning::parse(first) {
        Meaning { word: "INTEGER", value, .. } => put_varint(&mut out, value.parse().expect("a number")),
        meaning @ Meaning { word: "PARAMS", .. } => params(&meaning).put(&mut out),
        meaning @ Meaning { word: "PACKET", .. } => {
            start_packet(&meaning, false, &mut out);
            frames(rest, &mut out);
            put_crc(&mut out, 0);
        }
        meaning @ Meaning { word: "SEALED", .. } => {
            start_packet(&meaning, meaning.number("key_phase") == 1, &mut out);
            out.extend(meaning.bytes("sealed"));
        }
        meaning @ Meaning { word: "RECORD", .. } => {
            let mode = meaning.named("mode", &MODES);
            if meaning.text("kind") == "handshake" {
                start_record(&mut out, mode, RecordKind::Handshake);
                out.extend(write(rest));
            } else if mode.is_sealed() {
                let sealed = meaning.bytes("sealed");
                let (content, tag) = sealed.split_at(sealed.len() - SEAL_LEN);
                start_record(&mut out, mode, RecordKind::Frames);
                out.extend_from_slice(content);
                put_record_len(&mut out, 0);
                out.extend_from_slice(tag);
                return out;
            } else {
                start_record(&mut out, mode, RecordKind::Frames);
                frames(rest, &mut out);
            }
            finish_record(&mut out, 0);
        }
        Meaning { word: "INCOMPLETE", .. } => panic!("an incomplete record cannot be written"),
        meaning @ Meaning {
            word: "HELLO" | "RETRY" | "HELLO2" | "SHARE" | "CONFIRM_J" | "CONFIRM_I" | "REFUSE",
            ..
        } => {
            handshake(&meaning, &mut out);
        }
        _ => frames(lines, &mut out),
    }
    out
}

/// `WORD value` or `WORD field=value field=value`.
struct Meaning<'a> {
    word: &'a str,
    value: &'a str,
    fields: BTreeMap<&'a str, &'a str>,
}

impl<'a> Meaning<'a> {
    fn parse(line: &'a str) -> Self {
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        let fields = value.split(' ').filter_map(|field| field.split_once('=')).collect();
        Self { word, value, fields }
    }

    fn text(&self, field: &str) -> &'a str {
        self.fields.get(field).unwrap_or_else(|| panic!("{} without {field}", self.word))
    }

    fn number(&self, field: &str) -> u64 {
        self.text(field).parse().expect("a number")
    }

    fn channel(&self) -> u16 {
        self.text("channel").parse().expect("a channel")
    }

    fn code(&self) -> u32 {
        self.text("code").parse().expect("a code")
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        bytes(self.text(field))
    }

    fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().expect("as many bytes as the field has")
    }

    fn cid(&self, field: &str) -> ConnectionCid {
        ConnectionCid(u64::from_be_bytes(self.array(field)))
    }

    fn named<T: Copy>(&self, field: &str, names: &[(&str, T)]) -> T {
        let text = self.text(field);
        names.iter().find(|(name, _)| *name == text).unwrap_or_else(|| panic!("no {field} is called {text}")).1
    }

    fn ranges(&self, field: &str) -> RangeSet {
        let mut set = RangeSet::new();
        for range in self.text(field).split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let range: Range<u64> = first.parse().expect("a number")..last.parse::<u64>().expect("a number") + 1;
            set.insert(range);
        }
        set
    }
}

fn params(meaning: &Meaning<'_>) -> Params {
    Params {
        credit_connection: meaning.number("credit_connection"),
        credit_channel: meaning.number("credit_channel"),
        message_len_max: meaning.number("message_len_max"),
        ack_delay_max_us: meaning.number("ack_delay_max"),
        idle_timeout_ms: meaning.number("idle_timeout"),
        receive_buffer: meaning.number("receive_buffer"),
        datagram_len_max: meaning.number("datagram_len_max"),
        prefers_chacha: meaning.fields.contains_key("prefers_chacha"),
    }
}

fn start_packet(meaning: &Meaning<'_>, key_phase: bool, out: &mut Vec<u8>) {
    let cid = ConnectionCid(u64::from_str_radix(meaning.text("connection_id"), 16).expect("an id"));
    let number_low = meaning.number("number_low").try_into().expect("32 bits");
    start_data(out, &DataHeader { mode: meaning.named("mode", &MODES), key_phase, cid, number_low });
}

fn handshake(meaning: &Meaning<'_>, out: &mut Vec<u8>) {
    let mode: Mode = meaning.named("mode", &MODES);
    let client_random = meaning.array("client_random");
    let params = meaning.fields.get("params").map(|params| bytes(params)).unwrap_or_default();
    let key_share = meaning.fields.contains_key("key_share").then(|| meaning.array("key_share"));
    let packet = match meaning.word {
        "HELLO" => Packet::Hello(Hello {
            client_random,
            invite: meaning.array("invite"),
            params_hash: meaning.array("params_hash"),
        }),
        "RETRY" => Packet::Retry(Retry { client_random, cookie: meaning.array("cookie") }),
        "HELLO2" => Packet::Hello2(Hello2 {
            client_random,
            invite: meaning.array("invite"),
            cookie: (meaning.text("cookie") != "none").then(|| meaning.array("cookie")),
            client_cid: meaning.cid("client_id"),
            key_share,
            params: &params,
        }),
        "SHARE" => Packet::Share(Share {
            client_random,
            client_cid: meaning.cid("client_id"),
            server_cid: meaning.cid("server_id"),
            key_share,
            params: &params,
        }),
        "CONFIRM_J" => Packet::ConfirmJ(confirm(meaning, client_random)),
        "CONFIRM_I" => Packet::ConfirmI(confirm(meaning, client_random)),
        _ => {
            let code: RefuseCode = meaning.named("code", &REFUSE_CODES);
            let version = meaning.text("version").parse().expect("a version");
            Packet::Refuse(Refuse { client_random, code, version })
        }
    };
    packet.put_handshake(mode, out);
}

fn frames(lines: &[String], out: &mut Vec<u8>) {
    for line in lines {
        frame(&Meaning::parse(line), out);
    }
}

fn frame(meaning: &Meaning<'_>, out: &mut Vec<u8>) {
    let frame = match meaning.word {
        "PING" => Frame::Ping,
        "ACK" => return ack(meaning, out),
        "RECEIVED" => Frame::Received { count: meaning.number("count") },
        "CREDIT_CONNECTION" => Frame::CreditConnection { limit: meaning.number("limit") },
        "CREDIT_CHANNEL" => Frame::CreditChannel { channel: meaning.channel(), limit: meaning.number("limit") },
        "RESET" => Frame::Reset {
            channel: meaning.channel(),
            message: meaning.number("message"),
            final_size: meaning.number("final_size"),
            code: meaning.code(),
        },
        "STOP" => Frame::Stop { channel: meaning.channel(), message: meaning.number("message"), code: meaning.code() },
        "TAKEN" => {
            let mut taken = meaning.ranges("messages");
            Frame::put_taken(out, 1_000, meaning.channel(), &mut taken);
            assert!(taken.is_empty(), "more ranges than one frame takes");
            return;
        }
        "CLOSE" => {
            let kind: CloseKind = meaning.named("kind", &CLOSE_KINDS);
            Frame::Close { kind, code: meaning.code() }
        }
        "DATA" => return data(meaning, out),
        padding => {
            let count = padding.strip_prefix("PADDING").unwrap_or_else(|| panic!("no frame is called {padding}"));
            let count: usize = count.strip_prefix('*').map_or(1, |count| count.parse().expect("a count"));
            (0..count).for_each(|_| Frame::Padding.put(out));
            return;
        }
    };
    frame.put(out);
}

fn ack(meaning: &Meaning<'_>, out: &mut Vec<u8>) {
    let received = meaning.ranges("ranges");
    assert_eq!(received.last().map(|last| last.end - 1), Some(meaning.number("largest")));
    let ecn = meaning.fields.contains_key("ect0").then(|| EcnCounts {
        ect0: meaning.number("ect0"),
        ect1: meaning.number("ect1"),
        ce: meaning.number("ce"),
    });
    assert!(put_ack_blocks(out, 60_000, &received, received.range_count(), meaning.number("delay_us"), ecn));
}

fn data(meaning: &Meaning<'_>, out: &mut Vec<u8>) {
    let payload = meaning.bytes("payload");
    let start = meaning.fields.contains_key("delivery").then(|| {
        let delivery: Delivery = meaning.named("delivery", &DELIVERIES);
        let tag = meaning.text("tag").parse().expect("a tag");
        let len = (meaning.text("total") != "unknown").then(|| meaning.number("total"));
        MessageStart { delivery, tag, len }
    });
    let data = Data {
        channel: meaning.channel(),
        message: meaning.number("message"),
        offset: meaning.number("offset"),
        start,
        fin: meaning.text("fin") == "yes",
        payload: &payload,
    };
    let from = out.len();
    Frame::Data(data).put(out);
    assert_eq!(out.len() - from, data.header_len(payload.len()) + payload.len());
}

fn confirm(meaning: &Meaning<'_>, client_random: [u8; 16]) -> Confirm {
    Confirm { client_random, run: meaning.array("run"), tag: meaning.array("tag") }
}
