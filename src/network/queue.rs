//! A link's rate: packets leave one after the other, the others wait, and what finds no room is dropped.

use core::time::Duration;
use std::collections::VecDeque;

use crate::time::Timestamp;

/// What waits before a link of limited rate. It never holds more bytes than the limit that each call names.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Packets whose turn had not come when last looked at: when it comes, and their length.
    waiting: VecDeque<(Timestamp, u64)>,
    waiting_bytes: u64,
    /// When the last bit of the last packet leaves.
    free_at: Timestamp,
}

/// What became of a packet at the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// Its last bit leaves at `leaves_at`. It found `found` bytes waiting, itself included; 0 where it did not wait.
    Leaves { leaves_at: Timestamp, found: u64 },
    /// There was no room, or the link moves nothing.
    Full,
}

impl Queue {
    /// A packet of `len` bytes arrives at a link of `rate_bps` that lets `limit` bytes wait.
    pub(super) fn enter(&mut self, now: Timestamp, len: u64, rate_bps: u64, limit: u64) -> Entered {
        while let Some(&(_, front)) = self.waiting.front().filter(|(turn, _)| *turn <= now) {
            self.waiting_bytes -= front;
            self.waiting.pop_front();
        }
        if rate_bps == 0 {
            return Entered::Full;
        }
        let turn = self.free_at.max(now);
        let found = if turn > now { self.waiting_bytes + len } else { 0 };
        if found > limit {
            return Entered::Full;
        }
        if found > 0 {
            self.waiting.push_back((turn, len));
            self.waiting_bytes = found;
        }
        self.free_at = turn + transmission_time(len, rate_bps);
        Entered::Leaves { leaves_at: self.free_at, found }
    }
}

/// How long `len` bytes take at `rate_bps`, rounded up to whole nanoseconds.
fn transmission_time(len: u64, rate_bps: u64) -> Duration {
    let nanos = (u128::from(len) * 8 * 1_000_000_000).div_ceil(u128::from(rate_bps));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    const fn leaves(nanos: u64, found: u64) -> Entered {
        Entered::Leaves { leaves_at: at(nanos), found }
    }

    #[test]
    fn bytes_take_their_time_rounded_up() {
        let check = |len, rate, nanos| assert_eq!(transmission_time(len, rate), Duration::from_nanos(nanos));
        check(125, 1_000_000_000, 1_000);
        check(1, 1_000_000_000, 8);
        check(1, 3_000_000_000, 3); // 2.67
        check(0, 1, 0);
        check(1, 8, 1_000_000_000);
        check(u64::MAX, 1, u64::MAX);
    }

    /// 8 Gbit/s: a byte a nanosecond.
    const BYTE_A_NANOSECOND: u64 = 8_000_000_000;

    #[test]
    fn packets_leave_one_after_the_other() {
        let mut queue = Queue::default();
        assert_eq!(queue.enter(at(0), 100, BYTE_A_NANOSECOND, 1_000), leaves(100, 0));
        assert_eq!(queue.enter(at(0), 100, BYTE_A_NANOSECOND, 1_000), leaves(200, 100));
        assert_eq!(queue.enter(at(50), 100, BYTE_A_NANOSECOND, 1_000), leaves(300, 200));
        // At 100 the second packet's turn has come: only the third waits.
        assert_eq!(queue.enter(at(100), 100, BYTE_A_NANOSECOND, 1_000), leaves(400, 200));
        // Exactly when the last bit has left, nobody waits any more.
        assert_eq!(queue.enter(at(400), 100, BYTE_A_NANOSECOND, 1_000), leaves(500, 0));
        assert_eq!(queue.enter(at(9_000), 7, BYTE_A_NANOSECOND, 1_000), leaves(9_007, 0));
    }

    #[test]
    fn a_packet_that_just_fits_waits_and_one_byte_more_is_dropped() {
        for (len, expected) in [(200, leaves(400, 300)), (201, Entered::Full)] {
            let mut queue = Queue::default();
            queue.enter(at(0), 100, BYTE_A_NANOSECOND, 300);
            queue.enter(at(0), 100, BYTE_A_NANOSECOND, 300);
            assert_eq!(queue.enter(at(0), len, BYTE_A_NANOSECOND, 300), expected);
        }
    }

    #[test]
    fn without_a_queue_only_one_packet_at_a_time_passes() {
        let mut queue = Queue::default();
        assert_eq!(queue.enter(at(0), 100, BYTE_A_NANOSECOND, 0), leaves(100, 0));
        assert_eq!(queue.enter(at(99), 100, BYTE_A_NANOSECOND, 0), Entered::Full);
        assert_eq!(queue.enter(at(100), 100, BYTE_A_NANOSECOND, 0), leaves(200, 0));
    }

    #[test]
    fn a_dropped_packet_takes_no_time_and_no_room() {
        let mut queue = Queue::default();
        queue.enter(at(0), 100, BYTE_A_NANOSECOND, 100);
        assert_eq!(queue.enter(at(0), 101, BYTE_A_NANOSECOND, 100), Entered::Full);
        assert_eq!(queue.enter(at(0), 100, BYTE_A_NANOSECOND, 100), leaves(200, 100));
    }

    #[test]
    fn a_rate_of_zero_moves_nothing() {
        assert_eq!(Queue::default().enter(at(0), 0, 0, 1_000), Entered::Full);
    }
}
