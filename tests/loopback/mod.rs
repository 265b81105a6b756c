//! Addresses of this machine for tests that need one to stay free when its socket is gone.

use std::net::{Ipv4Addr, SocketAddr};
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicU32, Ordering};

/// An address, with port 0, that is no other socket's, in this process or another: whoever lets the system choose a
/// port does so at 127.0.0.1, and may be given one there that was somebody's a moment ago.
///
/// A socket at all addresses, with a port that the system chose, could still meet it. Few tests have one, and its port
/// is one of thousands.
#[cfg(target_os = "linux")]
pub(crate) fn apart() -> SocketAddr {
    static GIVEN: AtomicU32 = AtomicU32::new(1);
    let count = u8::try_from(GIVEN.fetch_add(1, Ordering::Relaxed)).expect("each process has 255 of them");
    // All of 127.0.0.0/8 is this machine's; what people give names there is in the lower half.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, 128 | high, low, count), 0))
}

/// As on Linux, as far as that goes: other systems have one loopback address.
#[cfg(not(target_os = "linux"))]
pub(crate) fn apart() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}
