//! Ladders: time in the left column, a LAN with a round trip of 1 ms.

use super::*;

struct Ladder {
    recovery: Recovery<u64>,
    out: Outcome<u64>,
}

const fn at(us: u64) -> Timestamp {
    Timestamp::from_nanos(us * 1_000)
}

const fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

impl Ladder {
    fn new() -> Self {
        let mut rtt = Rtt::new(us(100));
        rtt.set_peer_ack_delay_max(us(500));
        Self { recovery: Recovery::new(rtt), out: Outcome::default() }
    }

    /// As new, with a settled round-trip time of 1 ms and number 0 sent at 0 and acknowledged at 1,000 us.
    fn settled() -> Self {
        let mut ladder = Self::new();
        for _ in 0..50 {
            ladder.recovery.rtt_mut().on_sample(us(1_000), us(0));
        }
        ladder.send(0, 1);
        ladder.ack(1_000, &[[0, 1]]);
        ladder
    }

    fn send(&mut self, now: u64, count: u64) {
        self.send_kind(now, count, Kind::Data, 1_000);
    }

    fn send_kind(&mut self, now: u64, count: u64, kind: Kind, len: u32) {
        for _ in 0..count {
            let frames = self.recovery.next_number();
            let packet = Packet {
                sent_at: at(now),
                len,
                kind,
                marked: false,
                repeated: false,
                ack_largest: None,
                frame_count: 1,
                frames,
            };
            self.recovery.on_sent(packet);
        }
    }

    /// Acknowledges `ranges` (first, one after the last); says which numbers that newly covered and which are lost.
    fn ack(&mut self, now: u64, ranges: &[[u64; 2]]) -> (Vec<u64>, Vec<u64>) {
        self.recovery.on_ack(at(now), ranges.iter().map(|[from, to]| *from..*to), us(0), &mut self.out).unwrap();
        let mut acked = self.out.acked.clone();
        acked.sort_unstable();
        (acked, self.lost())
    }

    fn lost(&mut self) -> Vec<u64> {
        let mut lost = Vec::new();
        self.recovery.take_lost(|number| lost.push(*number));
        lost
    }

    fn expire(&mut self, now: u64) -> Expired {
        self.recovery.handle_timeout(at(now), &mut self.out)
    }

    fn deadline_us(&self) -> Option<u64> {
        self.recovery.deadline().map(Timestamp::as_micros)
    }
}

#[test]
fn a_packet_three_below_the_largest_acknowledged_is_lost_at_once_and_two_below_after_nine_eighths() {
    let mut ladder = Ladder::settled();
    /*  2,000 */
    ladder.send(2_000, 4); // 1 2 3 4

    /*  3,000 */
    assert_eq!(ladder.ack(3_000, &[[4, 5]]), (vec![4], vec![1]));
    assert!(ladder.out.congestion);
    assert_eq!(ladder.deadline_us(), Some(3_125));
    /*  3,124 */
    assert_eq!(ladder.expire(3_124), Expired::Nothing);
    /*  3,125 */
    assert_eq!(ladder.expire(3_125), Expired::Loss);
    assert_eq!(ladder.lost(), [2, 3]);
    assert!(!ladder.out.congestion, "the same congestion event");
    assert_eq!(ladder.recovery.in_flight(), InFlight::default());
    assert_eq!(ladder.deadline_us(), None);
}

#[test]
fn losses_of_packets_sent_before_the_event_belong_to_it_later_ones_begin_another() {
    let mut ladder = Ladder::settled();
    /*  2,000 */
    ladder.send(2_000, 8); // 1..=8

    /*  3,000 */
    ladder.ack(3_000, &[[4, 5]]);
    assert!(ladder.out.congestion);
    /*  3,010 */
    ladder.send(3_010, 4); // 9..=12

    /*  3,020 */
    assert_eq!(ladder.ack(3_020, &[[8, 9]]).1, [2, 3, 5]);
    assert!(!ladder.out.congestion);
    /*  4,010 */
    assert_eq!(ladder.ack(4_010, &[[12, 13]]).1, [6, 7, 9]);
    assert!(ladder.out.congestion);
    assert_eq!(ladder.out.growth_bytes, 1_000, "12 was sent after the event");
}

#[test]
fn a_lost_tail_is_probed_for_after_the_timeout_which_doubles() {
    let mut ladder = Ladder::settled();
    let pto = u64::try_from(ladder.recovery.rtt().probe_timeout().as_micros()).unwrap();
    assert!((1_500..1_700).contains(&pto), "{pto}");
    /*  2,000 */
    ladder.send(2_000, 2); // 1 2
    assert_eq!(ladder.deadline_us(), Some(2_000 + pto));
    assert_eq!(ladder.expire(2_000 + pto), Expired::Probe(1));
    assert_eq!(ladder.recovery.repeat_oldest(), Some(&1));
    ladder.send(2_000 + pto, 1); // 3, the probe
    assert_eq!(ladder.deadline_us(), Some(2_000 + 3 * pto));
    assert_eq!(ladder.expire(2_000 + 3 * pto), Expired::Probe(2));
    assert_eq!(ladder.recovery.repeat_oldest(), Some(&2), "1 was repeated already");
    assert_eq!(ladder.recovery.repeat_oldest(), Some(&3));
    assert_eq!(ladder.recovery.repeat_oldest(), None);
    ladder.send(2_000 + 3 * pto, 1); // 4
    // 4 arrives: 1 is lost by count, 2 and 3 by time; all were repeated already.
    let now = 3_000 + 3 * pto;
    assert_eq!(ladder.ack(now, &[[4, 5]]), (vec![4], vec![]));
    assert_eq!(ladder.out.lost.len(), 3);
    assert!(ladder.out.congestion);
    assert_eq!(ladder.deadline_us(), None);
}

#[test]
fn backing_off_ends_at_a_second() {
    let mut ladder = Ladder::settled();
    ladder.send(2_000, 1);
    for _ in 0..40 {
        let now = ladder.deadline_us().unwrap() + 1;
        assert!(matches!(ladder.expire(now), Expired::Probe(_)));
        assert!(ladder.deadline_us().unwrap() <= now + 1_000_000);
    }
    assert_eq!(ladder.recovery.probe_count(), 40);
}

#[test]
fn after_a_spurious_probe_the_timeout_is_doubled_until_the_next_clean_sample() {
    let mut ladder = Ladder::settled();
    /*  2,000 */
    ladder.send(2_000, 1); // 1
    let pto = u64::try_from(ladder.recovery.rtt().probe_timeout().as_micros()).unwrap();
    assert_eq!(ladder.expire(2_000 + pto), Expired::Probe(1));
    ladder.send(2_000 + pto, 1); // 2, the probe
    ladder.ack(2_010 + pto, &[[1, 2]]); // the original arrived after all
    assert!(!ladder.out.congestion);
    let timeout = u64::try_from(ladder.recovery.rtt().probe_timeout().as_micros()).unwrap();
    assert_eq!(ladder.deadline_us(), Some(2_000 + pto + 2 * timeout));
    ladder.ack(3_000 + pto, &[[1, 3]]); // the probe's own sample is not clean yet
    ladder.send(10_000, 1); // 3
    let timeout = u64::try_from(ladder.recovery.rtt().probe_timeout().as_micros()).unwrap();
    assert_eq!(ladder.deadline_us(), Some(10_000 + 2 * timeout));
    ladder.ack(11_000, &[[1, 4]]);
    ladder.send(20_000, 1);
    let timeout = u64::try_from(ladder.recovery.rtt().probe_timeout().as_micros()).unwrap();
    assert_eq!(ladder.deadline_us(), Some(20_000 + timeout));
}

#[test]
fn when_every_lost_packet_of_an_event_arrives_after_all_it_is_undone() {
    let mut ladder = Ladder::settled();
    /*  2,000 */
    ladder.send(2_000, 5); // 1..=5

    /*  2,080 */
    ladder.send(2_080, 10); // 6..=15

    /*  3,000 */
    assert_eq!(ladder.ack(3_000, &[[5, 6]]).1, [1, 2]);
    assert!(ladder.out.congestion);
    /*  3,050 */
    assert_eq!(ladder.ack(3_050, &[[5, 6], [2, 3]]), (vec![2], vec![]));
    assert!(!ladder.out.undo, "1 is still lost");
    /*  3,060 */
    assert_eq!(ladder.ack(3_060, &[[5, 6], [1, 3]]), (vec![1], vec![]));
    assert!(ladder.out.undo);
    // And from now on order is not expected: 3 and 4 wait for their time, however many come later.
    /*  3,080 */
    assert_eq!(ladder.ack(3_080, &[[5, 16], [1, 3]]).1, Vec::<u64>::new());
}

#[test]
fn an_event_with_one_real_loss_stands() {
    let mut ladder = Ladder::settled();
    ladder.send(2_000, 5); // 1..=5
    assert_eq!(ladder.ack(3_000, &[[5, 6]]).1, [1, 2]);
    ladder.ack(3_050, &[[5, 6], [2, 3]]);
    assert_eq!(ladder.ack(3_060, &[[2, 6]]).0, [3, 4]);
    assert!(!ladder.out.undo);
}

#[test]
fn an_mtu_probes_loss_is_no_congestion() {
    let mut ladder = Ladder::settled();
    ladder.send_kind(2_000, 1, Kind::MtuProbe, 9_000); // 1
    ladder.send(2_000, 3); // 2 3 4
    assert_eq!(ladder.ack(3_000, &[[2, 5]]), (vec![2, 3, 4], vec![]));
    assert!(!ladder.out.congestion);
    assert_eq!(ladder.out.mtu_probe, Some((9_000, false)));
    ladder.send_kind(4_000, 1, Kind::MtuProbe, 1_400); // 5
    ladder.ack(5_000, &[[5, 6]]);
    assert_eq!(ladder.out.mtu_probe, Some((1_400, true)));
    assert_eq!(ladder.out.acked_bytes, 0, "the window does not grow by it either");
}

#[test]
fn persistent_congestion_needs_200_ms_of_nothing_but_losses() {
    for (last, persistent) in [(201_999, false), (202_000, true)] {
        let mut ladder = Ladder::settled();
        ladder.send(2_000, 1); // 1
        ladder.send(last, 1); // 2
        ladder.send(300_000, 1); // 3
        assert_eq!(ladder.ack(301_000, &[[3, 4]]).1, [1, 2]);
        assert_eq!(ladder.out.persistent, persistent, "{last}");
    }
}

#[test]
fn a_packet_that_arrived_in_between_breaks_persistent_congestion() {
    let mut ladder = Ladder::settled();
    ladder.send(2_000, 1); // 1
    ladder.send(100_000, 1); // 2
    ladder.send(290_000, 1); // 3
    ladder.send(300_000, 1); // 4
    assert_eq!(ladder.ack(301_000, &[[4, 5], [2, 3]]).1, [1, 3]);
    assert!(!ladder.out.persistent);
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_refused() {
    let mut ladder = Ladder::settled();
    ladder.send(2_000, 1); // 1
    assert_eq!(ladder.recovery.on_ack(at(3_000), core::iter::once(0..3), us(0), &mut ladder.out), Err(NeverSent));
    assert_eq!(ladder.recovery.on_ack(at(3_000), core::iter::once(0..2), us(0), &mut ladder.out), Ok(()));
}

#[test]
fn only_the_largest_gives_a_sample_and_only_once() {
    let mut ladder = Ladder::settled();
    ladder.send(2_000, 2); // 1 2
    ladder.ack(3_000, &[[0, 2]]);
    assert_eq!(ladder.recovery.rtt().latest(), us(1_000));
    ladder.ack(9_000, &[[0, 2]]);
    assert_eq!(ladder.recovery.rtt().latest(), us(1_000), "nothing new");
    ladder.ack(9_000, &[[0, 3]]);
    assert_eq!(ladder.recovery.rtt().latest(), us(7_000));
}

#[test]
fn a_long_run_of_losses_is_remembered_only_so_far() {
    let mut ladder = Ladder::settled();
    ladder.send(2_000, 3_000);
    let lost = ladder.ack(3_000, &[[3_000, 3_001]]).1;
    assert_eq!(lost.len(), 2_997, "all are given back");
    assert_eq!(ladder.recovery.lost.len(), LOST_KEPT_MAX);
    assert_eq!(ladder.ack(3_001, &[[1, 2]]).0, Vec::<u64>::new(), "1 is forgotten");
    assert_eq!(ladder.ack(3_001, &[[2_997, 2_998]]).0, [2_997], "the last is not");
}

#[test]
fn a_peer_that_talked_on_and_acknowledged_nothing_is_served_again_when_it_does() {
    let mut ladder = Ladder::settled();
    /*     2 ms */
    ladder.send(2_000, 2);
    // It sends on and on, and every packet of it is acknowledged: there is no room for more data, and at last not even
    // for the memory of a probe.
    ladder.send_kind(3_000, 200_000, Kind::AckOnly, 40);
    assert!(!ladder.recovery.has_room());
    assert_eq!(ladder.recovery.handle_timeout(at(9_000), &mut ladder.out), Expired::Probe(1));
    let probe = ladder.recovery.next_number();
    ladder.send(9_000, 1);
    /*    10 ms */
    assert_eq!(ladder.ack(10_000, &[[probe, probe + 1]]), (vec![], vec![1, 2]), "what was sent before it is lost");
    assert!(ladder.recovery.has_room());
    assert_eq!(ladder.recovery.in_flight().packets, 0);
    ladder.send(10_000, 1);
    assert_eq!(ladder.ack(11_000, &[[probe + 1, probe + 2]]), (vec![probe + 1], vec![]));
}

#[test]
fn a_probe_repeats_what_none_has_repeated_however_many_went_before() {
    let mut ladder = Ladder::settled();
    ladder.send(2_000, 3);
    let repeated = |ladder: &mut Ladder| ladder.recovery.repeat_oldest().copied();
    assert_eq!([(); 4].map(|()| repeated(&mut ladder)), [Some(1), Some(2), Some(3), None]);
    ladder.send(3_000, 1);
    assert_eq!([(); 2].map(|()| repeated(&mut ladder)), [Some(4), None]);
}

#[test]
fn lost_packets_full_of_frames_are_not_remembered_beyond_their_limit() {
    let mut ladder = Ladder::settled();
    for frames in 1..=40 {
        let (kind, sent_at) = (Kind::Data, at(2_000));
        let packet = Packet {
            sent_at,
            len: 60_000,
            kind,
            marked: false,
            repeated: false,
            ack_largest: None,
            frame_count: 1_000,
            frames,
        };
        ladder.recovery.on_sent(packet);
    }
    ladder.send(3_000, 3);
    let (_, lost) = ladder.ack(4_000, &[[43, 44]]);
    assert_eq!(lost.len(), 40, "all are sent again");
    let (late, _) = ladder.ack(4_100, &[[1, 41]]);
    assert_eq!(late, (25..=40).collect::<Vec<_>>(), "of the 16 newest it is seen that they were not lost");
}
