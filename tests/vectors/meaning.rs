//! What was decoded, in the words of `spec/vectors/README.md`.

use core::ops::Range;

use udpair::wire::{CloseKind, Confirm, DecodeError, Delivery, Frame, KeyShare, Mode, Packet, Params, RefuseCode};

use super::format::hex;

/// Names of [`Delivery`], [`CloseKind`] and [`RefuseCode`] values.
pub(crate) const DELIVERIES: [(&str, Delivery); 4] = [
    ("ordered", Delivery::Ordered),
    ("unordered", Delivery::Unordered),
    ("latest", Delivery::Latest),
    ("unreliable", Delivery::Unreliable),
];
pub(crate) const CLOSE_KINDS: [(&str, CloseKind); 4] = [
    ("close", CloseKind::Close),
    ("abort", CloseKind::Abort),
    ("refuse", CloseKind::Refuse),
    ("violation", CloseKind::Violation),
];
pub(crate) const REFUSE_CODES: [(&str, RefuseCode); 5] = [
    ("version", RefuseCode::Version),
    ("invite_used", RefuseCode::InviteUsed),
    ("invite_burnt", RefuseCode::InviteBurnt),
    ("wrong_tag", RefuseCode::WrongTag),
    ("busy", RefuseCode::Busy),
];
pub(crate) const MODES: [(&str, Mode); 3] = [("plain", Mode::Plain), ("code", Mode::Code), ("psk", Mode::Psk)];

fn name<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> &'static str {
    names.iter().find(|(_, named)| named == value).expect("every value has a name").0
}

/// An error.
pub(crate) fn error(error: DecodeError) -> String {
    match error {
        DecodeError::Truncated => "truncated".to_owned(),
        DecodeError::Checksum => "checksum".to_owned(),
        DecodeError::Version(version) => format!("version {version}"),
        DecodeError::Mode => "mode".to_owned(),
        DecodeError::Type(kind) => format!("type {kind:02x}"),
        DecodeError::Value(field) => format!("value {field}"),
        other => panic!("an error without a name: {other:?}"),
    }
}

/// A packet, without what a data packet holds.
pub(crate) fn packet(mode: Mode, packet: &Packet<'_>) -> String {
    let mode = name(&MODES, &mode);
    match packet {
        Packet::Hello(hello) => format!(
            "HELLO mode={mode} client_random={} invite={} params_hash={}",
            hex(&hello.client_random),
            hex(&hello.invite),
            hex(&hello.params_hash)
        ),
        Packet::Retry(retry) => {
            format!("RETRY mode={mode} client_random={} cookie={}", hex(&retry.client_random), hex(&retry.cookie))
        }
        Packet::Hello2(hello) => format!(
            "HELLO2 mode={mode} client_random={} invite={} cookie={} client_id={:016x}{} params={}",
            hex(&hello.client_random),
            hex(&hello.invite),
            hello.cookie.map_or_else(|| "none".to_owned(), |cookie| hex(&cookie)),
            hello.client_cid.0,
            key_share(hello.key_share),
            hex(hello.params)
        ),
        Packet::Share(share) => format!(
            "SHARE mode={mode} client_random={} client_id={:016x} server_id={:016x}{} params={}",
            hex(&share.client_random),
            share.client_cid.0,
            share.server_cid.0,
            key_share(share.key_share),
            hex(share.params)
        ),
        Packet::ConfirmJ(confirm) => confirmation("CONFIRM_J", mode, confirm),
        Packet::ConfirmI(confirm) => confirmation("CONFIRM_I", mode, confirm),
        Packet::Refuse(refuse) => format!(
            "REFUSE mode={mode} client_random={} code={} version={}",
            hex(&refuse.client_random),
            name(&REFUSE_CODES, &refuse.code),
            refuse.version
        ),
        Packet::Data(header, _) => {
            assert!(!header.key_phase, "only what is sealed has one");
            format!("PACKET mode={mode} connection_id={:016x} number_low={}", header.cid.0, header.number_low)
        }
        Packet::Sealed(header, sealed) => format!(
            "SEALED mode={mode} key_phase={} connection_id={:016x} number_low={} sealed={}",
            u8::from(header.key_phase),
            header.cid.0,
            header.number_low,
            hex(sealed)
        ),
    }
}

fn key_share(share: Option<KeyShare>) -> String {
    share.map_or_else(String::new, |share| format!(" key_share={}", hex(&share)))
}

fn confirmation(word: &str, mode: &str, confirm: &Confirm) -> String {
    let Confirm { client_random, run, tag } = confirm;
    format!("{word} mode={mode} client_random={} run={} tag={}", hex(client_random), hex(run), hex(tag))
}

/// Parameters.
pub(crate) fn params(params: &Params) -> String {
    format!(
        "PARAMS credit_connection={} credit_channel={} message_len_max={} ack_delay_max={} idle_timeout={} \
         receive_buffer={} datagram_len_max={}{}",
        params.credit_connection,
        params.credit_channel,
        params.message_len_max,
        params.ack_delay_max_us,
        params.idle_timeout_ms,
        params.receive_buffer,
        params.datagram_len_max,
        if params.prefers_chacha { " prefers_chacha=1" } else { "" }
    )
}

/// Appends a frame that has `len` bytes; PADDING in a row is one line, however it was decoded.
pub(crate) fn push_frame(lines: &mut Vec<String>, frame: &Frame<'_>, len: usize) {
    if *frame != Frame::Padding {
        lines.push(self::frame(frame));
        return;
    }
    let count =
        |line: &str| line.strip_prefix("PADDING").map(|count| count.trim_start_matches('*').parse().unwrap_or(1));
    let before: Option<usize> = lines.last().and_then(|last| count(last));
    if before.is_some() {
        lines.pop();
    }
    let count = before.unwrap_or(0) + len;
    lines.push(if count == 1 { "PADDING".to_owned() } else { format!("PADDING*{count}") });
}

fn frame(frame: &Frame<'_>) -> String {
    match *frame {
        Frame::Padding => unreachable!("written by its caller"),
        Frame::Ping => "PING".to_owned(),
        Frame::Ack { blocks, largest, delay_us, ecn } => {
            let ranges = ranges(blocks.iter());
            let ecn = ecn.map(|ecn| format!(" ect0={} ect1={} ce={}", ecn.ect0, ecn.ect1, ecn.ce));
            format!("ACK largest={largest} delay_us={delay_us} ranges={ranges}{}", ecn.unwrap_or_default())
        }
        Frame::Received { count } => format!("RECEIVED count={count}"),
        Frame::CreditConnection { limit } => format!("CREDIT_CONNECTION limit={limit}"),
        Frame::CreditChannel { channel, limit } => format!("CREDIT_CHANNEL channel={channel} limit={limit}"),
        Frame::Reset { channel, message, final_size, code } => {
            format!("RESET channel={channel} message={message} final_size={final_size} code={code}")
        }
        Frame::Stop { channel, message, code } => format!("STOP channel={channel} message={message} code={code}"),
        Frame::Taken { channel, messages } => format!("TAKEN channel={channel} messages={}", ranges(messages.iter())),
        Frame::Close { kind, code } => format!("CLOSE kind={} code={code}", name(&CLOSE_KINDS, &kind)),
        Frame::Data(data) => {
            let start = data.start.map(|start| {
                let total = start.len.map_or_else(|| "unknown".to_owned(), |len| len.to_string());
                format!(" delivery={} tag={} total={total}", name(&DELIVERIES, &start.delivery), start.tag)
            });
            format!(
                "DATA channel={} message={} offset={}{} fin={} payload={}",
                data.channel,
                data.message,
                data.offset,
                start.unwrap_or_default(),
                if data.fin { "yes" } else { "no" },
                hex(data.payload)
            )
        }
    }
}

fn ranges(ranges: impl Iterator<Item = Range<u64>>) -> String {
    let range = |range: Range<u64>| match range.end - range.start {
        1 => range.start.to_string(),
        _ => format!("{}-{}", range.start, range.end - 1),
    };
    ranges.map(range).collect::<Vec<_>>().join(",")
}
