//! The primitives: big-endian integers and the variable-length integer of RFC 9000 section 16.

/// The largest value that a variable-length integer carries: 2^62 - 1.
pub const VARINT_MAX: u64 = (1 << 62) - 1;

/// Why bytes are not what they should be. The peer's nonsense is counted and dropped, so this says only what kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ended inside a field.
    #[error("ends inside a field")]
    Truncated,
    /// The checksum over header and payload does not match.
    #[error("wrong checksum")]
    Checksum,
    /// A version that this library does not speak.
    #[error("unknown version {0}")]
    Version(u8),
    /// A mode that does not exist.
    #[error("unknown mode")]
    Mode,
    /// A packet, record or frame type that does not exist.
    #[error("unknown type {0:#04x}")]
    Type(u8),
    /// A field has a value that the specification forbids.
    #[error("forbidden value in {0}")]
    Value(&'static str),
}

/// Reads fields from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// True when all is read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Passes over bytes of zero.
    pub fn skip_zeros(&mut self) {
        // Sixteen at a time, as far as that goes.
        while let Some((head, tail)) = self.rest.split_first_chunk::<16>()
            && u128::from_ne_bytes(*head) == 0
        {
            self.rest = tail;
        }
        let zeros = self.rest.iter().take_while(|byte| **byte == 0).count();
        self.rest = &self.rest[zeros..];
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// A big-endian 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// A big-endian 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A big-endian 64-bit integer.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A variable-length integer. A longer form than needed is accepted, as in RFC 9000.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let first = *self.rest.first().ok_or(DecodeError::Truncated)?;
        let len = 1usize << (first >> 6);
        let bytes = self.bytes(len)?;
        let head = u64::from(first & 0x3f);
        Ok(bytes[1..].iter().fold(head, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// A variable-length integer that must fit the range of a channel number.
    pub fn channel(&mut self) -> Result<u16, DecodeError> {
        u16::try_from(self.varint()?).map_err(|_| DecodeError::Value("channel"))
    }

    /// A variable-length integer that must fit 32 bits.
    pub fn varint_u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        u32::try_from(self.varint()?).map_err(|_| DecodeError::Value(field))
    }

    /// A variable-length integer followed by as many bytes.
    pub fn varint_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(self.varint()?).map_err(|_| DecodeError::Truncated)?;
        self.bytes(len)
    }
}

/// How many bytes `value` takes as a variable-length integer.
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Appends `value` in its shortest form.
///
/// # Panics
/// When `value` exceeds [`VARINT_MAX`]: our own numbers never do.
#[expect(clippy::cast_possible_truncation, reason = "each arm has checked the range")]
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    assert!(value <= VARINT_MAX, "a number of ours left the range of a varint");
    match varint_len(value) {
        1 => out.push(value as u8),
        2 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        4 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(value: u64, len: usize) {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, value);
        assert_eq!(bytes.len(), len, "{value}");
        assert_eq!(varint_len(value), len, "{value}");
        assert_eq!(Reader::new(&bytes).varint(), Ok(value));
        assert_eq!(Reader::new(&bytes[..len - 1]).varint(), Err(DecodeError::Truncated));
    }

    #[test]
    fn zeros_are_passed_over_up_to_the_first_other_byte() {
        for zeros in [0, 1, 15, 16, 17, 100] {
            let mut bytes = vec![0; zeros];
            assert!({
                let mut input = Reader::new(&bytes);
                input.skip_zeros();
                input.is_empty()
            });
            bytes.extend_from_slice(&[7, 0]);
            let mut input = Reader::new(&bytes);
            input.skip_zeros();
            assert_eq!(input.rest(), [7, 0], "{zeros}");
        }
    }

    #[test]
    fn varints_at_every_border() {
        for (value, len) in
            [(0, 1), (63, 1), (64, 2), (16_383, 2), (16_384, 4), ((1 << 30) - 1, 4), (1 << 30, 8), (VARINT_MAX, 8)]
        {
            round_trip(value, len);
        }
    }

    #[test]
    fn varints_of_rfc_9000_appendix_a_1() {
        let bytes = [0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c];
        assert_eq!(Reader::new(&bytes).varint(), Ok(151_288_809_941_952_652));
        assert_eq!(Reader::new(&[0x9d, 0x7f, 0x3e, 0x7d]).varint(), Ok(494_878_333));
        assert_eq!(Reader::new(&[0x40, 0x25]).varint(), Ok(37));
    }
}
