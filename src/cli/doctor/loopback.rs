//! What a sealed conversation over UDP is like here: with ourselves, on loopback.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use udpair::transport::{Stats, has_aes};
use udpair::{Config, Connection, Listener, Psk, udp};

use super::finding::Finding;
use crate::cli::exit::in_full;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Enough to be sent in rows of datagrams.
const LEN: usize = 1 << 20;

/// What there is to be said of it.
pub(super) fn look() -> Vec<Finding> {
    match converse() {
        Ok(stats) => judge(&stats),
        Err(error) => {
            let text = format!("nobody can be reached, not even oneself: {}", in_full(&*error));
            vec![Finding::bad("loopback", text).mend("`sudo ip link set lo up`, or see to the firewall")]
        }
    }
}

/// Sends a message to ourselves; what the sender's connection was like.
fn converse() -> Result<Stats, Box<dyn std::error::Error>> {
    let psk = Psk::generate()?;
    let [v4, v6] = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), (Ipv6Addr::LOCALHOST, 0).into()];
    let (at, listener) = match udp::bind(v4, Config::psk(&psk)) {
        Ok(transport) => (v4, Listener::new(transport)),
        Err(_) => (v6, Listener::new(udp::bind(v6, Config::psk(&psk))?)),
    };
    let caller = udp::bind(at, Config::psk(&psk))?;
    let near = Connection::connect(&caller, listener.local_addr())?;
    near.send(vec![0; LEN])?;
    let far = listener.accept_timeout(PATIENCE)?;
    far.recv_timeout(PATIENCE)?.into_bytes(LEN)?;
    near.flush_timeout(PATIENCE)?;
    Ok(near.stats())
}

fn judge(stats: &Stats) -> Vec<Finding> {
    let transport = &stats.transport;
    let yes_or_no = |subject, is: Option<bool>, yes: &str, no: &str| match is {
        Some(true) => Finding::good(subject, yes),
        _ => Finding::fair(subject, no),
    };
    let (send, receive) = (transport.send_buffer, transport.receive_buffer);
    vec![
        buffer("send buffer", transport.send_buffer_asked, send, "net.core.wmem_max"),
        buffer("receive buffer", transport.receive_buffer_asked, receive, "net.core.rmem_max"),
        yes_or_no(
            "GSO",
            transport.segmentation,
            "the kernel cuts long buffers into datagrams",
            "none: each datagram costs a system call (Linux 4.18 has it)",
        ),
        yes_or_no(
            "GRO",
            transport.coalescing,
            "the kernel joins datagrams that come in",
            "none: each datagram is received by itself (Linux 5.0 has it)",
        ),
        yes_or_no(
            "ECN",
            stats.ecn,
            "marks of congestion arrive as they left",
            "marks of congestion do not arrive: a lost packet is all that tells of it",
        ),
        cipher(stats.cipher.unwrap_or("nothing"), has_aes()),
    ]
}

/// The kernel counts twice what was asked for, for its own needs; so much was really granted.
fn buffer(subject: &str, asked: Option<usize>, given: Option<usize>, sysctl: &str) -> Finding {
    let (Some(asked), Some(given)) = (asked, given) else { return Finding::fair(subject, "unknown") };
    let granted = (given / 2).min(asked);
    let text = format!("{} KiB asked for, {} given", asked >> 10, granted >> 10);
    if granted < asked {
        Finding::fair(subject, text).mend(format!("`sudo sysctl -w {sysctl}={asked}`"))
    } else {
        Finding::good(subject, text)
    }
}

fn cipher(name: &str, has_aes: bool) -> Finding {
    if has_aes {
        Finding::good("seal", format!("{name}: the processor has AES"))
    } else {
        Finding::good("seal", format!("{name}: the processor has no AES"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_is_less_than_asked_for_is_mended_by_a_sysctl() {
        let line = |given| buffer("send buffer", Some(4 << 20), Some(given), "net.core.wmem_max").to_string();
        assert_eq!(line(8 << 20), "ok    send buffer      4096 KiB asked for, 4096 given");
        assert_eq!(
            line(416 << 10),
            "note  send buffer      4096 KiB asked for, 208 given -> `sudo sysctl -w net.core.wmem_max=4194304`"
        );
    }

    #[test]
    fn one_can_converse_with_oneself() {
        let lines: Vec<String> = look().iter().map(Finding::to_string).collect();
        assert_eq!(lines.len(), 6, "{lines:?}");
        let expected =
            if has_aes() { "AES-256-GCM: the processor has AES" } else { "ChaCha20-Poly1305: the processor" };
        assert!(lines[5].contains(expected), "{lines:?}");
    }
}
