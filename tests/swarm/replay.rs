//! A recorded session, played again.

use udpair::message::{MessageStats, State};
use udpair::proto::Drained;
use udpair::sim::Delivery;
use udpair::slots::ConnectionId;
use udpair::time::Timestamp;
use udpair::wire::Packet;

use crate::sans_io::{Core, Output};

/// More outputs than this mean that a core never comes to rest.
const OUTPUTS_MAX: usize = 100_000;

/// Hands a core, which is at rest and has forgotten its handshakes, once more what it took before. Nothing comes of it
/// but drops that are counted, and a cookie or a refusal for each HELLO.
pub(crate) fn replay<C: Core>(core: &mut C, now: Timestamp, taken: &[&Delivery], connections: &[ConnectionId]) {
    let (before, dropped_before) = (states(core, connections), core.dropped());
    for datagram in taken {
        core.datagram(now, datagram.from, None, &datagram.bytes);
    }
    core.batch_end(Drained::ByKeeper);
    let is_hello = |datagram: &&&Delivery| matches!(Packet::decode(&datagram.bytes), Ok((_, Packet::Hello(_))));
    let (all, hellos) = (taken.len() as u64, taken.iter().filter(is_hello).count() as u64);
    let dropped = core.dropped() - dropped_before;
    assert!((all - hellos..=all).contains(&dropped), "{dropped} of {all} were dropped; {hellos} asked for a cookie");
    assert_eq!(states(core, connections), before, "connections have changed");
    let answers = answers(core, now);
    assert!(answers <= hellos, "{answers} answers to {hellos} questions");
}

fn states<C: Core>(core: &C, connections: &[ConnectionId]) -> Vec<(State, MessageStats)> {
    let known = connections.iter().filter_map(|id| core.peek(*id));
    known.map(|messages| (messages.state(), messages.stats())).collect()
}

/// How many datagrams a core sends, which must all be such as are sent to anybody.
fn answers<C: Core>(core: &mut C, now: Timestamp) -> u64 {
    let (mut answers, mut buf) = (0, Vec::new());
    for _ in 0..OUTPUTS_MAX {
        buf.clear();
        match core.output(now, &mut buf) {
            Output::Transmit { .. } => {
                let packet = Packet::decode(&buf);
                let harmless = matches!(packet, Ok((_, Packet::Retry(_) | Packet::Refuse(_))));
                assert!(harmless, "answered with {packet:?}");
                answers += 1;
            }
            Output::Changed(_) => {}
            Output::Incoming => panic!("a guest came in who was there before"),
            Output::Wait(_) => return answers,
        }
    }
    panic!("it does not come to rest");
}
