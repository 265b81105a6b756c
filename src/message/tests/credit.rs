//! What credit must never do: drift apart, run dry for good, or fail to bound what a peer makes us hold.

use super::*;

#[test]
fn a_reset_of_a_message_never_begun_costs_the_same_when_it_is_repeated() {
    let mut pair = Pair::new(limits());
    let id = pair.sides[0].begin(0, 0, Some(30_000)).unwrap();
    pair.sides[0].reset(0, id, 7);
    let lost = pair.packet(0).unwrap();
    lost.sent.iter().for_each(|sent| pair.sides[0].on_lost(sent));
    pair.run();
    // Were the two sides of different minds about the credit, one of them would find it exceeded.
    for at in 0..3 {
        pair.sides[0].send(0, 0, content(at, 30_000)).unwrap();
    }
    pair.run();
    assert!(pair.recv(1).is_some());
}
