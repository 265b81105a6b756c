//! A hub with many peers of which one is stopped: what the others notice.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use udpair::node::{Event, Hub, Name};

use crate::FULL;
use crate::child::{Child, bind, say, wait_for_the_end};
use crate::heap::alone;
use crate::numbers::Durations;

/// Peers beside the one that is stopped.
const OTHERS: usize = if FULL { 49 } else { 9 };
/// A value of this length goes to everybody so often.
const PERIOD: Duration = Duration::from_millis(50);
const LEN: usize = 10_000;
/// Ticks of one round.
const TICKS: u64 = if FULL { 40 } else { 10 };
/// Rounds of each kind.
const ROUNDS: usize = if FULL { 5 } else { 3 };
const STUCK: Duration = Duration::from_secs(60);

/// Peers that write back what they get, each with a thread and a transport of its own.
pub(crate) fn echoes(transport: &str, host: SocketAddr, count: usize) {
    let peers: Vec<_> = (0..count)
        .map(|at| {
            let own = bind(transport);
            let hub = Hub::start(&format!("peer {at}"), [own.clone()]).unwrap();
            hub.connect("hub", host).unwrap();
            let echo = hub.clone();
            own.spawn("echo", move || {
                while let Ok((_, value)) = echo.changed("tick") {
                    // The hub may be on its way out.
                    let _ = echo.write_all("tock", value.content.body.slice(..8));
                }
            })
            .unwrap();
            hub
        })
        .collect();
    say("all there");
    wait_for_the_end();
    peers.iter().for_each(Hub::close);
}

/// The one that is stopped.
pub(crate) fn stalls(transport: &str, host: SocketAddr) {
    let hub = Hub::start("stalled", [bind(transport)]).unwrap();
    hub.connect("hub", host).unwrap();
    say("there");
    wait_for_the_end();
    hub.close();
}

/// Writes ticks to everybody and waits for what the others answer: the times of their round trips.
fn round(hub: &Hub, first: u64) -> Durations {
    let mut times = Durations::default();
    for tick in first..first + TICKS {
        let written_at = hub.now();
        let content = [&tick.to_be_bytes()[..], &[0; LEN]].concat();
        assert_eq!(hub.write_all("tick", content).unwrap(), OTHERS + 1, "everybody is there");
        let mut heard: BTreeSet<Name> = BTreeSet::new();
        while heard.len() < OTHERS {
            let (name, value) = hub.changed_timeout("tock", STUCK).unwrap();
            if value.content.body[..] == tick.to_be_bytes() && name != "stalled" {
                times.push(hub.now().saturating_since(written_at));
                heard.insert(name);
            }
        }
        let next = written_at + PERIOD;
        while hub.now() < next {
            // Nothing more is to come: this is how one waits above a transport.
            let _ = hub.changed_timeout("nothing", next.saturating_since(hub.now()));
        }
    }
    times
}

/// The times of all rounds.
fn all(rounds: &[Durations]) -> Durations {
    let mut all = Durations::default();
    rounds.iter().for_each(|round| all.append(round.clone()));
    all
}

/// By how much a round with one stopped exceeds twice the one beside it, at so many parts of a thousand of their times:
/// the median of all pairs, so that it is not decided by what happens now and then.
fn beyond_twice(running: &[Durations], stopped: &[Durations], permille: usize) -> Duration {
    let mut beyond = Durations::default();
    for (running, stopped) in running.iter().zip(stopped) {
        beyond.push(stopped.permille(permille).saturating_sub(2 * running.permille(permille)));
    }
    beyond.permille(500)
}

fn one_of_many_is_stopped(transport: &str) {
    let _alone = alone();
    let hub = Hub::start("hub", [bind(transport)]).unwrap();
    let mut others = Child::start("echoes", transport, hub.local_addr(), OTHERS);
    assert_eq!(others.says(), "all there");
    let mut stalled = Child::start("stalled", transport, hub.local_addr(), 0);
    assert_eq!(stalled.says(), "there");
    while hub.connections().len() < OTHERS + 1 {
        assert!(hub.next_event(STUCK).is_some());
    }
    while hub.try_event().is_some() {}
    // Rounds by turns, so that what else goes on here falls on both.
    let (mut running, mut stopped) = (Vec::new(), Vec::new());
    round(&hub, 0);
    for at in 1..=ROUNDS {
        let mut first = 2 * at as u64 * TICKS;
        for stops in [at % 2 == 0, at % 2 == 1] {
            stalled.stop(stops);
            if stops { &mut stopped } else { &mut running }.push(round(&hub, first));
            first += TICKS;
        }
        stalled.stop(false);
    }
    println!("{} peers over {transport}, {LEN} bytes to each every {PERIOD:?}; round trips of the others", OTHERS + 1);
    println!("{:>10} {:>9} {:>9} {:>9}", "", "p50", "p99", "max");
    println!("{:>10} {}", "all run", all(&running).row());
    println!("{:>10} {}", "one stops", all(&stopped).row());
    let ratio = all(&stopped).permille(990).as_secs_f64() / all(&running).permille(990).as_secs_f64();
    println!("p99 with one stopped / without: {ratio:.2}");
    // Whatever else this machine does: whoever is held up by one that is stopped waits for seconds.
    for (permille, beyond_max) in [(500, PERIOD), (990, 10 * PERIOD)] {
        let beyond = beyond_twice(&running, &stopped, permille);
        println!("beyond twice the time without, at {permille} of 1,000: {beyond:?}");
        assert!(beyond <= beyond_max, "{beyond:?} beyond twice the time without, at {permille} of 1,000");
    }
    // On a quiet machine the times themselves mean something.
    if std::env::var_os("UDPAIR_FULL").is_some() {
        assert!(ratio <= 2.0, "{ratio:.2}");
    }
    assert!(!std::iter::from_fn(|| hub.try_event()).any(|event| matches!(event, Event::Left { .. })), "nobody left");
    stalled.end();
    others.end();
    hub.close();
}

#[test]
fn one_of_many_over_udp_is_stopped_and_the_others_do_not_notice() {
    one_of_many_is_stopped("udp");
}

#[test]
fn one_of_many_over_tcp_is_stopped_and_the_others_do_not_notice() {
    one_of_many_is_stopped("tcp");
}
