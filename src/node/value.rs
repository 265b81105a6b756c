//! Values: content with the time at which it was written.

use core::time::Duration;

use bytes::Bytes;

use super::offset::Estimate;
use crate::content::{Content, DecodeError, FromContent};
use crate::time::Timestamp;

/// The bytes of a value's time.
pub(super) const TIME_LEN: usize = 8;

/// Content with room for its time behind it.
pub(super) struct Draft {
    tag: u16,
    body: Vec<u8>,
}

/// A value with its time: the bytes of its message. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Stamped {
    pub(super) tag: u16,
    pub(super) body: Bytes,
    /// When it was written: of two values of a sender's, the later has the greater.
    pub(super) time: u64,
}

impl Draft {
    /// Makes room. Copies nothing where the content is nobody else's and can grow in its place, as what is long mostly
    /// can.
    pub(super) fn new(content: Content) -> Self {
        let mut body = match content.body.try_into_mut() {
            Ok(own) => Vec::from(own),
            Err(shared) => {
                let mut body = Vec::with_capacity(shared.len() + TIME_LEN);
                body.extend_from_slice(&shared);
                body
            }
        };
        body.reserve_exact(TIME_LEN);
        Self { tag: content.tag, body }
    }

    /// Puts the time behind the content. Copies nothing: it goes under a lock.
    pub(super) fn stamp(mut self, time: u64) -> Stamped {
        self.body.extend(time.to_be_bytes());
        Stamped { tag: self.tag, body: self.body.into(), time }
    }
}

/// A value that was read.
#[derive(Clone, Debug)]
pub struct Value {
    /// What it says. Cheap to clone, and of any kind: [`get`](Self::get) makes it what it is.
    pub content: Content,
    /// Its number on its channel, from 0, in the order of writing; numbers left out were superseded. It begins anew
    /// with each connection.
    pub number: u64,
    /// What the sender's clock showed when it was written, in µs.
    time: u64,
    /// The sender's clock against ours.
    clock: Option<Estimate>,
}

/// How old a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// Since its sender's application wrote it; never below zero.
    pub age: Duration,
    /// How far from the truth that may be, on either side. Resolution 1 µs.
    pub uncertainty: Duration,
}

impl Value {
    /// The value that came as `body`; `None` where its time is missing.
    pub(super) fn new(tag: u16, mut body: Bytes, number: u64) -> Option<Self> {
        let time = body.split_off(body.len().checked_sub(TIME_LEN)?);
        let time = u64::from_be_bytes(time.as_ref().try_into().ok()?);
        Some(Self { content: Content { tag, body }, number, time, clock: None })
    }

    /// How long what it says is, in bytes.
    pub(super) const fn len(&self) -> u64 {
        self.content.body.len() as u64
    }

    /// The same value, where the sender's clock is known by `clock`.
    pub(super) const fn with_clock(mut self, clock: Option<Estimate>) -> Self {
        self.clock = clock;
        self
    }

    /// What it says, if it is a `T`: text, bytes, an array, an image, a value. Can be asked again and again. Does not
    /// block.
    ///
    /// # Errors
    /// [`DecodeError::Tag`] where it is something else; else what is wrong with it.
    pub fn get<T: FromContent>(&self) -> Result<T, DecodeError> {
        self.content.get()
    }

    /// What the sender's clock showed when it was written, in µs: the same for the same value, however often it comes.
    pub(super) const fn written_at(&self) -> u64 {
        self.time
    }

    /// How old it is at `now` of the transport's clock. `None` where the sender's clock was not known yet when the
    /// value was handed over: that takes one round trip after the connection's begin. `spec/node.md`, section "Time".
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Age> {
        let clock = self.clock?;
        let age = i128::from(now.as_micros()) - (i128::from(self.time) - clock.offset);
        Some(Age { age: micros(age), uncertainty: micros(clock.uncertainty) })
    }
}

fn micros(micros: i128) -> Duration {
    Duration::from_micros(u64::try_from(micros.max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: u64) -> Timestamp {
        Timestamp::from_nanos(micros * 1_000)
    }

    #[test]
    fn a_value_comes_out_as_it_went_in() {
        for content in [Bytes::new(), Bytes::from_static(b"abc"), Bytes::from(vec![7; 3_000])] {
            let stamped = Draft::new(Content { tag: 9, body: content.clone() }).stamp(0x0102_0304);
            assert_eq!(stamped.body[content.len()..], [0, 0, 0, 0, 1, 2, 3, 4]);
            let value = Value::new(stamped.tag, stamped.body, 4).unwrap();
            assert_eq!((value.content.tag, value.content.body, value.number), (9, content, 4));
        }
    }

    #[test]
    fn a_value_has_its_time() {
        assert!(Value::new(0, Bytes::from_static(&[0; 7]), 0).is_none());
        assert!(Value::new(0, Bytes::from_static(&[0; 8]), 0).is_some());
    }

    #[test]
    fn content_that_is_nobody_elses_stays_where_it_is() {
        let mut content = Vec::with_capacity(1_000 + TIME_LEN);
        content.resize(1_000, 1);
        let place = content.as_ptr();
        assert_eq!(Draft::new(Content { tag: 0, body: content.into() }).stamp(0).body.as_ptr(), place);
    }

    #[test]
    fn the_age_is_on_our_clock_and_never_below_zero() {
        let mut value =
            Value::new(0, Draft::new(Content { tag: 0, body: Bytes::new() }).stamp(500_900).body, 0).unwrap();
        assert_eq!(value.age(at(1_000)), None);
        value = value.with_clock(Some(Estimate { offset: 500_000, uncertainty: 7 }));
        let micros = Duration::from_micros;
        assert_eq!(value.age(at(1_000)), Some(Age { age: micros(100), uncertainty: micros(7) }));
        assert_eq!(value.age(at(800)).unwrap().age, Duration::ZERO);
        value = value.with_clock(Some(Estimate { offset: i128::from(i64::MIN), uncertainty: 0 }));
        assert!(value.age(at(0)).is_some());
    }
}
