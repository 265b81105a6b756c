//! What this machine's processor can do.

/// True where the processor has AES, and the multiplication that GCM is made of, as instructions. Where it has not,
/// ChaCha20-Poly1305 is several times as fast and does not depend on tables, so sealed connections of this machine use
/// that; of two machines one that lacks them is enough. `spec/security.md`, section "Cipher".
#[must_use]
pub fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use super::*;
    use crate::transport::{Config, Connection, Listener, Psk, tcp, udp};

    const STUCK: Duration = Duration::from_secs(60);

    fn config(psk: &Psk, prefers_chacha: bool) -> Config {
        Config { prefers_chacha, ..Config::psk(psk) }
    }

    #[test]
    fn what_the_processor_has_decides_what_is_preferred() {
        let psk = Psk::generate().unwrap();
        assert_eq!(Config::psk(&psk).prefers_chacha, !has_aes());
        #[cfg(target_os = "linux")]
        if let Ok(info) = std::fs::read_to_string("/proc/cpuinfo") {
            let says = info.lines().any(|line| {
                (line.starts_with("flags") || line.starts_with("Features"))
                    && line.split_whitespace().any(|flag| flag == "aes")
            });
            assert!(says || !has_aes(), "the system does not know of it");
        }
    }

    #[test]
    fn one_side_without_aes_is_enough_for_chacha_and_both_ways() {
        let psk = Psk::generate().unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for bind in [udp::bind, tcp::bind] {
            for (ours, theirs) in [(false, false), (false, true), (true, false), (true, true)] {
                let listener = Listener::new(bind(any, config(&psk, theirs)).unwrap());
                let caller = bind(any, config(&psk, ours)).unwrap();
                let near = Connection::connect(&caller, listener.local_addr()).unwrap();
                near.send("hello").unwrap();
                let far = listener.accept_timeout(STUCK).unwrap();
                assert_eq!(far.recv_timeout(STUCK).unwrap().into_bytes(9).unwrap(), "hello");
                far.send("and back").unwrap();
                assert_eq!(near.recv_timeout(STUCK).unwrap().into_bytes(9).unwrap(), "and back");
                let cipher = Some(if ours || theirs { "ChaCha20-Poly1305" } else { "AES-256-GCM" });
                assert_eq!([near.stats().cipher, far.stats().cipher], [cipher; 2], "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn in_plain_mode_nothing_seals() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for bind in [udp::bind, tcp::bind] {
            let listener = Listener::new(bind(any, Config::insecure_plain()).unwrap());
            let caller = bind(any, Config::insecure_plain()).unwrap();
            let near = Connection::connect(&caller, listener.local_addr()).unwrap();
            assert_eq!(near.stats().cipher, None);
        }
    }
}
