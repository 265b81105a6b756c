//! Handshake cookies: proof, without any state, that whoever says HELLO receives at the address that it claims.
//!
//! ```text
//! cookie = ts[8] HMAC-SHA256(key of ts's minute, ip port client_random invite params_hash ts)[32]
//! ```
//!
//! The key of a minute is itself an HMAC of the minute's number under a secret that never leaves the process, so
//! that keys change each minute without anybody having to change them, and the last one is still known.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use ring::hmac;

use crate::time::Timestamp;
use crate::wire::{COOKIE_LEN, Cookie, Hello, RANDOM_LEN};

/// How long a cookie is good.
pub const COOKIE_TTL: Duration = Duration::from_secs(10);
const KEY_LIFETIME_NANOS: u64 = 60_000_000_000;
const TS_LEN: usize = 8;
const CONTENT_LEN: usize = 16 + 2 + RANDOM_LEN + 8 + 32 + TS_LEN;

/// Bakes cookies and knows its own.
#[derive(Clone)]
pub struct CookieJar {
    secret: hmac::Key,
}

impl core::fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("CookieJar(..)")
    }
}

impl CookieJar {
    /// `secret` is 32 bytes that nobody else knows.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { secret: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// A cookie for whoever says `hello` from the address `from`.
    #[must_use]
    pub fn bake(&self, now: Timestamp, from: SocketAddr, hello: &Hello) -> Cookie {
        let ts = now.as_nanos();
        let tag = hmac::sign(&self.key_at(ts), &content(from, hello, ts));
        let mut cookie = [0; COOKIE_LEN];
        cookie[..TS_LEN].copy_from_slice(&ts.to_be_bytes());
        cookie[TS_LEN..].copy_from_slice(tag.as_ref());
        cookie
    }

    /// True when `cookie` is ours, for that address and HELLO, and young enough.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp, from: SocketAddr, hello: &Hello, cookie: &Cookie) -> bool {
        let Some((ts, tag)) = cookie.split_first_chunk::<TS_LEN>() else { return false };
        let ts = u64::from_be_bytes(*ts);
        let baked_at = Timestamp::from_nanos(ts);
        if baked_at > now || now.saturating_since(baked_at) > COOKIE_TTL {
            return false;
        }
        hmac::verify(&self.key_at(ts), &content(from, hello, ts), tag).is_ok()
    }

    fn key_at(&self, ts: u64) -> hmac::Key {
        let minute = ts / KEY_LIFETIME_NANOS;
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&self.secret, &minute.to_be_bytes()).as_ref())
    }
}

/// What a cookie is made for, an IPv4 address as the IPv6 address that stands for it.
fn content(from: SocketAddr, hello: &Hello, ts: u64) -> [u8; CONTENT_LEN] {
    let ip = match from.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let parts: [&[u8]; 6] = [
        &ip.octets(),
        &from.port().to_be_bytes(),
        &hello.client_random,
        &hello.invite,
        &hello.params_hash,
        &ts.to_be_bytes(),
    ];
    let mut content = [0; CONTENT_LEN];
    content.iter_mut().zip(parts.into_iter().flatten()).for_each(|(byte, of)| *byte = *of);
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: Hello = Hello { client_random: [1; 16], invite: [0; 8], params_hash: [2; 32] };

    fn from(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], port))
    }

    const fn at(secs: u64) -> Timestamp {
        Timestamp::from_nanos(secs * 1_000_000_000)
    }

    #[test]
    fn a_cookie_is_good_for_ten_seconds_also_over_a_change_of_keys() {
        let jar = CookieJar::new(&[7; 32]);
        for baked in [0, 30, 55] {
            let cookie = jar.bake(at(baked), from(1, 80), &HELLO);
            assert!(jar.is_valid(at(baked), from(1, 80), &HELLO, &cookie));
            assert!(jar.is_valid(at(baked + 10), from(1, 80), &HELLO, &cookie));
            let late = at(baked + 10) + Duration::from_nanos(1);
            assert!(!jar.is_valid(late, from(1, 80), &HELLO, &cookie));
        }
    }

    #[test]
    fn keys_change_each_minute() {
        let jar = CookieJar::new(&[7; 32]);
        let content = content(from(1, 80), &HELLO, 0);
        let tag = hmac::sign(&jar.key_at(59_999_999_999), &content);
        assert!(hmac::verify(&jar.key_at(0), &content, tag.as_ref()).is_ok());
        assert!(hmac::verify(&jar.key_at(60_000_000_000), &content, tag.as_ref()).is_err());
    }

    #[test]
    fn it_is_good_for_nobody_else_and_nothing_else() {
        let jar = CookieJar::new(&[7; 32]);
        let cookie = jar.bake(at(5), from(1, 80), &HELLO);
        assert!(!jar.is_valid(at(5), from(2, 80), &HELLO, &cookie), "another address");
        assert!(!jar.is_valid(at(5), from(1, 81), &HELLO, &cookie), "another port");
        assert!(!jar.is_valid(at(4), from(1, 80), &HELLO, &cookie), "from the future");
        for other in [
            Hello { client_random: [9; 16], ..HELLO },
            Hello { invite: [9; 8], ..HELLO },
            Hello { params_hash: [9; 32], ..HELLO },
        ] {
            assert!(!jar.is_valid(at(5), from(1, 80), &other, &cookie));
        }
        assert!(!CookieJar::new(&[8; 32]).is_valid(at(5), from(1, 80), &HELLO, &cookie), "another listener");
        for bit in 0..COOKIE_LEN * 8 {
            let mut forged = cookie;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!jar.is_valid(at(5), from(1, 80), &HELLO, &forged), "bit {bit}");
        }
    }
}
