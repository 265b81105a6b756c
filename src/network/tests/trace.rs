//! The trace, byte for byte.

use std::sync::{Arc, Mutex};

use super::*;
use crate::pairing::InterfaceId;

/// A trace that the network writes and the test reads.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl core::fmt::Write for Lines {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.lock().unwrap().push_str(text);
        Ok(())
    }
}

#[test]
fn the_trace_of_a_seed_is_the_same_for_ever() {
    let mut pair = Pair::seeded(42, rough());
    let lines = Lines::default();
    pair.network.trace_to(lines.clone());
    let nowhere = "[2001:db8::1]:5".parse().unwrap();
    pair.network.send(Timestamp::ZERO, pair.network.address_v6(pair.a, 1), nowhere, None, b"");
    pair.network.add_rule(|info| if info.bytes.is_empty() { Verdict::Deliver(us(9)) } else { Verdict::Pass });
    exercise(&mut pair);
    let (to, from) = (pair.network.address(pair.a, 1), pair.network.address(pair.b, 2));
    let (host, interface, kind) = (pair.b, InterfaceId(2), DeliveryKind::Datagram);
    let (to_everyone, bytes) = (false, vec![]);
    let refused = Delivery { host, interface, to: from, to_everyone, from: to, ecn: None, kind, bytes };
    pair.network.refuse(at_us(1_000_000), &refused);

    let trace = lines.0.lock().unwrap();
    let lines: Vec<_> = trace.lines().collect();
    assert_eq!(lines.len(), 2_002, "a line a datagram");
    assert_eq!(lines[..40].join("\n"), include_str!("golden.trace").trim_end());
    assert_eq!(lines[2_001], "1.000000000 10.0.0.2:2 10.0.0.1:1 unreachable +0.000050000");
    assert_eq!(crc32fast::hash(trace.as_bytes()), 3_038_140_204, "the rest of the trace");
}
