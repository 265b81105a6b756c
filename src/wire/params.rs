//! What each side tells the other about itself in the handshake. `spec/wire.md`, section "Parameters".

use super::codec::{DecodeError, Reader, put_varint};

/// A side's limits and habits, sent as ascending `(id, value)` pairs of variable-length integers. An unknown id is
/// passed over, so that later versions may add some; one left out has its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// 1: credit for all channels together at the start, in credit bytes. Default 0.
    pub credit_connection: u64,
    /// 2: credit for each channel at the start, in credit bytes. Default 0.
    pub credit_channel: u64,
    /// 3: up to this length a message is handed over as one buffer, in bytes. Default 0.
    pub message_len_max: u64,
    /// 4: how long an acknowledgement may be held back, in microseconds. Default 0.
    pub ack_delay_max_us: u64,
    /// 5: silence after which the side gives the connection up, in milliseconds. Default 0 = never.
    pub idle_timeout_ms: u64,
    /// 6: what the socket's receive buffer really holds, in bytes; UDP only. Default 0 = unknown.
    pub receive_buffer: u64,
    /// 7: the longest datagram that the side accepts, in bytes of UDP payload; UDP only. Default 65,507.
    pub datagram_len_max: u64,
    /// 8: the side has no AES in hardware, so ChaCha20-Poly1305 seals in both directions; nothing in
    /// [`super::Mode::Plain`]. Default false, and then not written.
    pub prefers_chacha: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            credit_connection: 0,
            credit_channel: 0,
            message_len_max: 0,
            ack_delay_max_us: 0,
            idle_timeout_ms: 0,
            receive_buffer: 0,
            datagram_len_max: 65_507,
            prefers_chacha: false,
        }
    }
}

impl Params {
    /// Appends all pairs; the last one only where it says something.
    pub fn put(&self, out: &mut Vec<u8>) {
        let pairs = [
            self.credit_connection,
            self.credit_channel,
            self.message_len_max,
            self.ack_delay_max_us,
            self.idle_timeout_ms,
            self.receive_buffer,
            self.datagram_len_max,
        ];
        for (id, value) in (1..).zip(pairs) {
            put_varint(out, id);
            put_varint(out, value);
        }
        if self.prefers_chacha {
            put_varint(out, 8);
            put_varint(out, 1);
        }
    }

    /// Reads pairs to the end of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let mut params = Self::default();
        let mut last = 0;
        while !input.is_empty() {
            let id = input.varint()?;
            if id <= last {
                return Err(DecodeError::Value("parameter order"));
            }
            last = id;
            let value = input.varint()?;
            match id {
                1 => params.credit_connection = value,
                2 => params.credit_channel = value,
                3 => params.message_len_max = value,
                4 => params.ack_delay_max_us = value,
                5 => params.idle_timeout_ms = value,
                6 => params.receive_buffer = value,
                7 if value < 1_200 => return Err(DecodeError::Value("datagram length")),
                7 => params.datagram_len_max = value,
                8 if value > 1 => return Err(DecodeError::Value("cipher")),
                8 => params.prefers_chacha = value == 1,
                _ => {}
            }
        }
        Ok(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_return_as_they_went_and_unknown_ones_are_passed_over() {
        for prefers_chacha in [false, true] {
            let params =
                Params { credit_connection: 1 << 26, idle_timeout_ms: 10_000, prefers_chacha, ..Params::default() };
            let mut bytes = Vec::new();
            params.put(&mut bytes);
            bytes.extend_from_slice(&[40, 9]);
            assert_eq!(Params::decode(&bytes), Ok(params));
        }
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        assert_eq!(Params::decode(&[1, 5, 1, 5]), Err(DecodeError::Value("parameter order")));
    }
}
