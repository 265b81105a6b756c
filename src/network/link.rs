//! A one-way link: decides what becomes of each datagram that goes over it.

use core::time::Duration;

use super::config::{Burst, LinkConfig, Oversize};
use super::dice::{Dice, Luck, Purpose};
use super::fate::{Arrival, DropReason, Fate};
use super::queue::{Entered, Queue};
use crate::time::Timestamp;

/// The most bits flipped in one datagram.
/// A byte has as many, so that there is always another bit to flip.
const FLIPS_MAX: u8 = 8;
const UDP_HEADER: u64 = 8;
const IPV4_HEADER: u64 = 20;
const IPV6_HEADER: u64 = 40;
/// IPv6 marks a fragment with a header of its own (RFC 8200 section 4.5).
const IPV6_FRAGMENT_HEADER: u64 = 8;

/// A link's state; the [default](Default) is an idle one. Its faults come from a [`LinkConfig`] that is shown to it
/// with each datagram.
#[derive(Debug, Default)]
pub(super) struct Link {
    queue: Queue,
    /// The burst model is in its bad state.
    bad: bool,
    /// When the last datagram arrives that keeps its turn.
    last_arrival: Timestamp,
}

/// What the link needs to know of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passing {
    pub(super) luck: Luck,
    pub(super) now: Timestamp,
    pub(super) payload_len: usize,
    pub(super) ipv6: bool,
    /// It may be marked "congestion experienced".
    pub(super) ecn_capable: bool,
}

/// What each of the two copies draws its luck from.
#[derive(Clone, Copy)]
struct CopyPurposes {
    jitter: Purpose,
    reorder: Purpose,
    truncate: Purpose,
    flip: Purpose,
}

const FIRST: CopyPurposes = CopyPurposes {
    jitter: Purpose::Jitter,
    reorder: Purpose::Reorder,
    truncate: Purpose::Truncate,
    flip: Purpose::Flip,
};
const SECOND: CopyPurposes = CopyPurposes {
    jitter: Purpose::DuplicateJitter,
    reorder: Purpose::DuplicateReorder,
    truncate: Purpose::DuplicateTruncate,
    flip: Purpose::DuplicateFlip,
};

impl Link {
    /// A datagram goes over the link.
    pub(super) fn pass(&mut self, config: &LinkConfig, datagram: Passing) -> Fate {
        let (left_at, marked) = match self.leave(config, datagram) {
            Ok(left) => left,
            Err(reason) => return Fate::Dropped(reason),
        };
        let Passing { luck, payload_len, .. } = datagram;
        let first = self.arrive(config, luck, left_at, payload_len, marked, FIRST);
        // A copy that keeps its turn arrives after the original, whose arrival is now the last one.
        let second = luck.dice(Purpose::Duplicate).hits(config.duplicate_ppm);
        let second = second.then(|| self.arrive(config, luck, left_at, payload_len, marked, SECOND));
        Fate::Arrives(first, second)
    }

    /// When the datagram's last bit has left the queue, and whether it was marked there.
    fn leave(&mut self, config: &LinkConfig, datagram: Passing) -> Result<(Timestamp, bool), DropReason> {
        let packets = Packets::of(datagram.payload_len, datagram.ipv6, config.mtu);
        let Some(packets) = packets.filter(|packets| packets.count == 1 || config.oversize == Oversize::Fragment)
        else {
            return Err(DropReason::TooLong);
        };
        let mut loss = datagram.luck.dice(Purpose::Loss);
        let mut burst_state = datagram.luck.dice(Purpose::BurstState);
        let mut burst_loss = datagram.luck.dice(Purpose::BurstLoss);
        let mut result = Ok((datagram.now, false));
        // When one fragment is lost the others still take their places.
        for nth in 0..packets.count {
            let left = self.enter_queue(config, datagram.now, packets.len(nth));
            let lost_in_burst = self.lost_in_burst(config.burst, &mut burst_state, &mut burst_loss);
            let lost = loss.hits(config.loss_ppm);
            let left = match left {
                Ok(_) if lost => Err(DropReason::Lost),
                Ok(_) if lost_in_burst => Err(DropReason::LostInBurst),
                left => left,
            };
            result = match (result, left) {
                (Ok((_, before)), Ok((at, marked))) => Ok((at, before || (marked && datagram.ecn_capable))),
                (Err(reason), _) | (_, Err(reason)) => Err(reason),
            };
        }
        result.map_err(|reason| if packets.count > 1 { DropReason::FragmentLost } else { reason })
    }

    /// When a packet has left the queue, and whether there were more bytes in it than the threshold.
    fn enter_queue(&mut self, config: &LinkConfig, now: Timestamp, len: u64) -> Result<(Timestamp, bool), DropReason> {
        let Some(rate_bps) = config.rate_bps else { return Ok((now, false)) };
        match self.queue.enter(now, len, rate_bps, config.queue_bytes) {
            Entered::Leaves { leaves_at, found } => {
                Ok((leaves_at, config.ce_threshold_bytes.is_some_and(|threshold| found > threshold)))
            }
            Entered::Full => Err(DropReason::QueueFull),
        }
    }

    /// Moves the burst model on by one packet.
    fn lost_in_burst(&mut self, burst: Option<Burst>, state: &mut Dice, loss: &mut Dice) -> bool {
        let Some(burst) = burst else {
            self.bad = false;
            return false;
        };
        self.bad ^= state.hits(if self.bad { burst.leave_ppm } else { burst.enter_ppm });
        loss.hits(if self.bad { burst.loss_bad_ppm } else { burst.loss_good_ppm })
    }

    fn arrive(
        &mut self,
        config: &LinkConfig,
        luck: Luck,
        left_at: Timestamp,
        payload_len: usize,
        marked: bool,
        purposes: CopyPurposes,
    ) -> Arrival {
        let jitter_nanos = u64::try_from(config.jitter.as_nanos()).unwrap_or(u64::MAX);
        let jitter = luck.dice(purposes.jitter).below(jitter_nanos.saturating_add(1));
        let turn = left_at + config.delay + Duration::from_nanos(jitter);
        let late = luck.dice(purposes.reorder).hits(config.reorder_ppm);
        let at = if late {
            turn + config.reorder_delay
        } else {
            self.last_arrival = self.last_arrival.max(turn);
            self.last_arrival
        };
        let mut truncate = luck.dice(purposes.truncate);
        let cut = (payload_len > 0 && truncate.hits(config.truncate_ppm)).then(|| truncate.below_usize(payload_len));
        let mut flip = luck.dice(purposes.flip);
        let flips = cut.unwrap_or(payload_len) > 0 && flip.hits(config.flip_ppm);
        let flipped_bits = if flips { flip.below(FLIPS_MAX.into()) + 1 } else { 0 };
        let flipped_bits = u8::try_from(flipped_bits).expect("at most FLIPS_MAX");
        Arrival { at, ruled: false, late, marked, cut, flipped_bits }
    }
}

/// Does to `bytes` what was done on the way to the first or the second copy of the datagram with this luck.
pub(super) fn damage(luck: Luck, arrival: &Arrival, second: bool, bytes: &mut Vec<u8>) {
    bytes.truncate(arrival.cut.unwrap_or(bytes.len()));
    let mut flip = luck.dice(if second { SECOND.flip } else { FIRST.flip });
    flip.next(); // decided whether to flip
    flip.next(); // decided how many
    let bits = bytes.len() * 8;
    let mut flipped = Vec::new(); // no allocation unless there are some
    for _ in 0..arrival.flipped_bits {
        let mut bit = flip.below_usize(bits);
        while flipped.contains(&bit) {
            bit = (bit + 1) % bits; // flipped twice would be as it was
        }
        flipped.push(bit);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// The IP packets that carry a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packets {
    count: u64,
    /// Length of each but the last, headers included.
    full: u64,
    /// Length of the last.
    last: u64,
}

impl Packets {
    /// `None` where the MTU leaves no room for a fragment's payload.
    fn of(payload_len: usize, ipv6: bool, mtu: u32) -> Option<Self> {
        let (header, fragment_header) = if ipv6 { (IPV6_HEADER, IPV6_FRAGMENT_HEADER) } else { (IPV4_HEADER, 0) };
        let body = UDP_HEADER + payload_len as u64;
        let mtu = u64::from(mtu);
        if header + body <= mtu {
            return Some(Self { count: 1, full: header + body, last: header + body });
        }
        let header = header + fragment_header;
        // Offsets of fragments count in units of 8 bytes (RFC 791 section 2.3, RFC 8200 section 4.5).
        let share = mtu.checked_sub(header)? / 8 * 8;
        let count = body.checked_div(share)?;
        let rest = body % share;
        let last = if rest > 0 { rest } else { share };
        Some(Self { count: count + u64::from(rest > 0), full: header + share, last: header + last })
    }

    const fn len(&self, nth: u64) -> u64 {
        if nth + 1 == self.count { self.last } else { self.full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_that_just_fits_is_one_packet_and_one_byte_more_makes_two() {
        let check = |payload_len, ipv6, expected| assert_eq!(Packets::of(payload_len, ipv6, 1_500), expected);
        check(0, false, Some(Packets { count: 1, full: 28, last: 28 }));
        check(1_472, false, Some(Packets { count: 1, full: 1_500, last: 1_500 }));
        check(1_473, false, Some(Packets { count: 2, full: 1_500, last: 21 }));
        check(1_452, true, Some(Packets { count: 1, full: 1_500, last: 1_500 }));
        check(1_453, true, Some(Packets { count: 2, full: 1_496, last: 61 }));
        check(65_507, false, Some(Packets { count: 45, full: 1_500, last: 415 }));
    }

    #[test]
    fn a_full_last_fragment_is_not_followed_by_an_empty_one() {
        assert_eq!(Packets::of(2 * 1_480 - 8, false, 1_500), Some(Packets { count: 2, full: 1_500, last: 1_500 }));
    }

    #[test]
    fn an_mtu_without_room_for_eight_bytes_carries_no_fragments() {
        assert_eq!(Packets::of(100, false, 27), None);
        assert_eq!(Packets::of(100, false, 28).map(|packets| packets.count), Some(14));
        assert_eq!(Packets::of(0, false, 0), None);
    }
}
