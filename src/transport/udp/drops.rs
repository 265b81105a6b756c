//! How many datagrams the kernel dropped because the socket's receive buffer was full.
//!
//! From `/proc/net/udp`, whose lines are found by the socket's inode: the socket option for it (`SO_MEMINFO`) cannot be
//! had without unsafe code, and asking for the count with every datagram (`SO_RXQ_OVFL`) would push the ECN mark out of
//! quinn-udp's control buffer.

use std::fs;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::MetadataExt as _;

/// The count of the kernel's drops at `socket`, where the system tells.
pub(super) fn count(socket: &impl AsFd, v6: bool) -> Option<u64> {
    let fd = socket.as_fd().as_raw_fd();
    let inode = fs::metadata(format!("/proc/self/fd/{fd}")).ok()?.ino();
    let table = fs::read_to_string(if v6 { "/proc/self/net/udp6" } else { "/proc/self/net/udp" }).ok()?;
    of_inode(&table, inode)
}

/// The last column of the line whose tenth is `inode`.
fn of_inode(table: &str, inode: u64) -> Option<u64> {
    let inode = inode.to_string();
    let line = table.lines().skip(1).find(|line| line.split_ascii_whitespace().nth(9) == Some(&inode))?;
    line.split_ascii_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  \
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1033: 0100007F:9C40 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 71293 2 0000000000000000 0
 2055: 00000000:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 71294 2 0000000000000000 417
";

    #[test]
    fn the_drops_are_those_of_the_sockets_own_line() {
        assert_eq!(of_inode(TABLE, 71_294), Some(417));
        assert_eq!(of_inode(TABLE, 71_293), Some(0));
        assert_eq!(of_inode(TABLE, 7), None);
    }

    #[test]
    fn a_socket_of_ours_is_found_and_has_dropped_nothing() {
        for (addr, v6) in [("127.0.0.1:0", false), ("[::1]:0", true)] {
            let socket = std::net::UdpSocket::bind(addr).unwrap();
            assert_eq!(count(&socket, v6), Some(0), "{addr}");
        }
    }
}
