//! How long datagrams may be: DPLPMTUD (RFC 8899), with padded probe packets that carry no data.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use crate::time::Timestamp;

use super::sent::buffer_cost;

/// Every path carries datagrams of this length, in bytes of UDP payload; a path that does not is none.
pub const MTU_BASE: u32 = 1_200;

/// Steps of the search, above the base and below the top: tunnels over Ethernet, IPv6 and IPv4 on Ethernet, jumbo
/// frames, and what loopback and virtual links carry.
const LADDER: [u32; 6] = [1_372, 1_452, 1_472, 8_972, 16_000, 32_000];
/// What plain Ethernet carries: longer datagrams only where the peer has room for them.
const ETHERNET: u32 = 1_472;
/// As many longer datagrams the peer's receive buffer must hold, or losing one would cost too much of it.
const LONG_DATAGRAMS_HELD: u64 = 16;
/// Lost probes after which a length counts as too long (RFC 8899 section 5.1.2, MAX_PROBES).
const PROBES_MAX: u8 = 3;
/// Losses of datagrams longer than the base, none of which was followed by one that arrived, that mean that the path
/// has come to swallow them.
const BLACK_HOLE_LOSSES: u32 = 6;
/// After as long the search is tried again (RFC 8899 section 5.1.1, PMTU_RAISE_TIMER).
const RAISE_AFTER: Duration = Duration::from_secs(600);
/// A receive buffer of unknown size is taken for that of an untuned Linux.
const RECEIVE_BUFFER_UNKNOWN: u64 = 212_992;

/// The longest datagrams that the way to a peer may carry, as this side knows it, in bytes of UDP payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathLimits {
    /// What the interface allows: its MTU less IP and UDP headers.
    pub datagram_len_max: u32,
}

impl PathLimits {
    /// What UDP itself allows toward `remote`: for loopback, and where the interface's MTU is unknown.
    #[must_use]
    pub fn unlimited(remote: SocketAddr) -> Self {
        let datagram_len_max = match remote.ip() {
            IpAddr::V4(_) => 65_507,
            IpAddr::V6(_) => 65_487,
        };
        Self { datagram_len_max }
    }

    /// What an interface with this MTU allows toward `remote`.
    #[must_use]
    pub fn of_interface(mtu: u32, remote: SocketAddr) -> Self {
        let headers = if remote.is_ipv4() { 28 } else { 48 };
        let most = Self::unlimited(remote).datagram_len_max;
        Self { datagram_len_max: mtu.saturating_sub(headers).clamp(MTU_BASE, most) }
    }
}

/// The size of a receive buffer that is said to be `said` bytes, where 0 means unknown.
#[must_use]
pub const fn receive_buffer(said: u64) -> u64 {
    if said == 0 { RECEIVE_BUFFER_UNKNOWN } else { said }
}

/// The search for the longest datagram that the path carries.
#[derive(Clone, Debug)]
pub struct MtuSearch {
    top: u32,
    current: u32,
    /// The length being tried, while there is one left to try.
    trying: Option<u32>,
    outstanding: bool,
    lost: u8,
    raise_at: Timestamp,
    suspicious: u32,
    /// The newest packet longer than the base that arrived.
    arrived: Option<u64>,
}

impl MtuSearch {
    /// Begins at the base. The top is the least of what the path, the peer and its receive buffer allow.
    #[must_use]
    pub fn new(path: PathLimits, peer_datagram_len_max: u64, peer_receive_buffer: u64) -> Self {
        let peer = u32::try_from(peer_datagram_len_max).unwrap_or(u32::MAX);
        let mut top = path.datagram_len_max.min(peer).max(MTU_BASE);
        let room = receive_buffer(peer_receive_buffer);
        if top > ETHERNET && buffer_cost(u64::from(top)) * LONG_DATAGRAMS_HELD > room {
            let fits = |len: &u32| buffer_cost(u64::from(*len)) * LONG_DATAGRAMS_HELD <= room;
            top = LADDER.into_iter().filter(|len| *len < top).rev().find(fits).unwrap_or(ETHERNET).max(ETHERNET);
        }
        let mut search = Self {
            top,
            current: MTU_BASE,
            trying: None,
            outstanding: false,
            lost: 0,
            raise_at: Timestamp::FAR_FUTURE,
            suspicious: 0,
            arrived: None,
        };
        search.trying = search.above(MTU_BASE);
        search
    }

    /// How long a datagram may be now.
    #[must_use]
    pub const fn current(&self) -> u32 {
        self.current
    }

    /// The length of a probe to be sent now.
    #[must_use]
    pub fn wants_probe(&self) -> Option<u32> {
        self.trying.filter(|_| !self.outstanding)
    }

    /// The probe was sent.
    pub const fn on_probe_sent(&mut self) {
        self.outstanding = true;
    }

    /// The probe of `len` bytes arrived. True when datagrams may be longer from now on.
    pub fn on_probe_acked(&mut self, now: Timestamp, len: u32) -> bool {
        if self.trying != Some(len) {
            return false;
        }
        self.outstanding = false;
        self.lost = 0;
        self.current = len;
        self.suspicious = 0;
        self.trying = self.above(len);
        if self.trying.is_none() {
            self.raise_at = if len < self.top { now + RAISE_AFTER } else { Timestamp::FAR_FUTURE };
        }
        true
    }

    /// The probe of `len` bytes was lost.
    pub fn on_probe_lost(&mut self, now: Timestamp, len: u32) {
        if self.trying != Some(len) {
            return;
        }
        self.outstanding = false;
        self.lost += 1;
        if self.lost >= PROBES_MAX {
            self.trying = None;
            self.lost = 0;
            self.raise_at = now + RAISE_AFTER;
        }
    }

    /// Data packets arrived, the longest of them under `number` with `len` bytes.
    pub fn on_acked(&mut self, number: u64, len: u32) {
        if len > MTU_BASE {
            self.suspicious = 0;
            self.arrived = self.arrived.max(Some(number));
        }
    }

    /// The data packet under `number` with `len` bytes was lost. True when the path has come to swallow long datagrams:
    /// back to the base.
    pub fn on_lost(&mut self, number: u64, len: u32) -> bool {
        // What a long one has followed was dropped for want of room, were it ever so many.
        let followed = self.arrived.is_some_and(|arrived| number < arrived);
        if len <= MTU_BASE || self.current == MTU_BASE || followed {
            return false;
        }
        self.suspicious += 1;
        if self.suspicious < BLACK_HOLE_LOSSES {
            return false;
        }
        self.suspicious = 0;
        self.current = MTU_BASE;
        self.trying = self.above(MTU_BASE);
        self.outstanding = false;
        self.lost = 0;
        self.raise_at = Timestamp::FAR_FUTURE;
        true
    }

    /// When the search is tried again.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        (self.raise_at < Timestamp::FAR_FUTURE).then_some(self.raise_at)
    }

    /// The time of a deadline may have come.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.raise_at <= now {
            self.raise_at = Timestamp::FAR_FUTURE;
            self.trying = self.above(self.current);
        }
    }

    /// The next length to try above `len`.
    fn above(&self, len: u32) -> Option<u32> {
        if len >= self.top {
            return None;
        }
        Some(LADDER.into_iter().find(|step| *step > len && *step < self.top).unwrap_or(self.top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::ZERO;
    const BIG: u64 = 4 << 20;

    fn search(top: u32, buffer: u64) -> MtuSearch {
        MtuSearch::new(PathLimits { datagram_len_max: top }, 65_507, buffer)
    }

    /// Sends probes over a path that carries `path_mtu`, until none is wanted; what was tried.
    fn run(search: &mut MtuSearch, path_mtu: u32) -> Vec<u32> {
        let mut tried = Vec::new();
        while let Some(len) = search.wants_probe() {
            tried.push(len);
            search.on_probe_sent();
            assert_eq!(search.wants_probe(), None, "one at a time");
            if len <= path_mtu {
                assert!(search.on_probe_acked(NOW, len));
            } else {
                search.on_probe_lost(NOW, len);
            }
        }
        tried
    }

    #[test]
    fn the_ladder_is_climbed_to_the_top() {
        let mut all = search(65_507, BIG);
        assert_eq!(run(&mut all, 65_507), [1_372, 1_452, 1_472, 8_972, 16_000, 32_000, 65_507]);
        assert_eq!(all.current(), 65_507);
        assert_eq!(all.deadline(), None, "there is nothing above");
    }

    #[test]
    fn a_length_that_fails_three_times_is_too_long_for_ten_minutes() {
        let mut tunnel = search(1_472, BIG);
        assert_eq!(run(&mut tunnel, 1_400), [1_372, 1_452, 1_452, 1_452]);
        assert_eq!(tunnel.current(), 1_372);
        assert_eq!(tunnel.deadline(), Some(NOW + RAISE_AFTER));
        tunnel.handle_timeout((NOW + RAISE_AFTER).saturating_sub(Duration::from_nanos(1)));
        assert_eq!(tunnel.wants_probe(), None);
        tunnel.handle_timeout(NOW + RAISE_AFTER);
        assert_eq!(run(&mut tunnel, 1_472), [1_452, 1_472]);
    }

    #[test]
    fn long_datagrams_need_a_receive_buffer_that_holds_16_of_them() {
        for (buffer, top) in [
            (65_507 * 2 * 16, 65_507),
            (65_507 * 2 * 16 - 1, 32_000),
            (8_972 * 2 * 16, 8_972),
            (8_972 * 2 * 16 - 1, 1_472),
            (212_992, 1_472),
            (0, 1_472),
            (4_096, 1_472),
        ] {
            assert_eq!(search(65_507, buffer).top, top, "{buffer}");
        }
    }

    #[test]
    fn the_peer_and_the_interface_set_the_top() {
        let peer = MtuSearch::new(PathLimits { datagram_len_max: 65_507 }, 9_000, BIG);
        assert_eq!(peer.top, 9_000);
        let v4 = SocketAddr::from(([10, 0, 0, 1], 1));
        let v6 = SocketAddr::from(([0u16; 8], 1));
        assert_eq!(PathLimits::of_interface(1_500, v4).datagram_len_max, 1_472);
        assert_eq!(PathLimits::of_interface(1_500, v6).datagram_len_max, 1_452);
        assert_eq!(PathLimits::of_interface(65_536, v4).datagram_len_max, 65_507);
        assert_eq!(PathLimits::of_interface(65_536, v6).datagram_len_max, 65_487);
        assert_eq!(PathLimits::of_interface(100, v4).datagram_len_max, MTU_BASE);
    }

    #[test]
    fn six_long_datagrams_lost_and_none_arrived_since_are_a_black_hole() {
        let mut search = search(1_472, BIG);
        run(&mut search, 1_472);
        for number in 0..5 {
            assert!(!search.on_lost(number, 1_472));
        }
        search.on_acked(5, 1_472);
        for number in 6..11 {
            assert!(!search.on_lost(number, 1_472));
            assert!(!search.on_lost(number, 1_200), "a short one says nothing");
            search.on_acked(12, 1_200);
        }
        assert!(search.on_lost(11, 1_472));
        assert_eq!(search.current(), MTU_BASE);
        assert_eq!(run(&mut search, 1_300), [1_372, 1_372, 1_372], "and the search begins anew");
    }

    #[test]
    fn an_overflow_is_no_black_hole_however_much_it_swallows() {
        let mut search = search(65_507, BIG);
        run(&mut search, 65_507);
        search.on_acked(1_000, 65_507);
        for number in 0..1_000 {
            assert!(!search.on_lost(number, 65_507));
        }
        assert_eq!(search.current(), 65_507);
    }
}
