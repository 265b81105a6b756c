//! How many bytes of one peer's newest values are held to be read again, all channels together, and how many may be.

use super::{ReadError, Value};

/// See the module. It counts content: names and what else a channel costs are bounded by their number.
#[derive(Debug)]
pub(super) struct HeldLen {
    len: u64,
    max: u64,
}

impl HeldLen {
    /// Nothing is held, and `max` bytes may be.
    pub(super) const fn new(max: u64) -> Self {
        Self { len: 0, max }
    }

    /// Puts `value` in the place of the channel's newest, which does not count against it. Where it does not fit beside
    /// those of the other channels the channel keeps what it has.
    pub(super) fn put(&mut self, newest: &mut Option<Value>, value: Value) -> Result<(), ReadError> {
        let others = self.len - newest.as_ref().map_or(0, Value::len);
        let len = value.len();
        if len > self.max.saturating_sub(others) {
            return Err(ReadError::TooMuchHeld { len, held: others, max: self.max });
        }
        self.len = others + len;
        *newest = Some(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::node::value::TIME_LEN;

    fn value(len: usize) -> Value {
        Value::new(0, Bytes::from(vec![0; len + TIME_LEN]), 0).unwrap()
    }

    /// Writes to one of the channels, and counts anew what they hold.
    fn put(held: &mut HeldLen, channels: &mut [Option<Value>], at: usize, len: usize) -> Result<(), ReadError> {
        let result = held.put(&mut channels[at], value(len));
        assert_eq!(held.len, channels.iter().flatten().map(Value::len).sum::<u64>());
        result
    }

    #[test]
    fn as_much_as_may_be_and_not_one_byte_more() {
        let (mut held, mut channels) = (HeldLen::new(100), [const { None }; 3]);
        assert_eq!(put(&mut held, &mut channels, 0, 60), Ok(()));
        assert_eq!(put(&mut held, &mut channels, 1, 40), Ok(()));
        let refused = Err(ReadError::TooMuchHeld { len: 1, held: 100, max: 100 });
        assert_eq!(put(&mut held, &mut channels, 2, 1), refused);
        assert_eq!(put(&mut held, &mut channels, 2, 0), Ok(()), "it takes nothing");
    }

    #[test]
    fn a_value_does_not_count_against_the_one_that_replaces_it() {
        let (mut held, mut channels) = (HeldLen::new(100), [const { None }; 2]);
        for (at, len) in [(0, 60), (1, 40), (0, 60), (0, 10), (1, 90), (1, 0), (0, 100), (0, 99), (1, 1)] {
            assert_eq!(put(&mut held, &mut channels, at, len), Ok(()), "{len} bytes on {at}");
        }
        // What is refused leaves what was there.
        for (at, len, others) in [(1, 2, 99), (0, 100, 1), (0, 1_000, 1)] {
            let refused = Err(ReadError::TooMuchHeld { len: len as u64, held: others, max: 100 });
            assert_eq!(put(&mut held, &mut channels, at, len), refused);
        }
        assert_eq!(channels.map(|newest| newest.unwrap().len()), [99, 1]);
    }

    #[test]
    fn where_nothing_may_be_held_only_nothing_is() {
        let (mut held, mut channels) = (HeldLen::new(0), [const { None }; 1]);
        assert!(put(&mut held, &mut channels, 0, 1).is_err());
        assert_eq!(put(&mut held, &mut channels, 0, 0), Ok(()));
        let (mut held, mut channels) = (HeldLen::new(u64::MAX), [const { None }; 1]);
        assert_eq!(put(&mut held, &mut channels, 0, 1), Ok(()));
    }
}
