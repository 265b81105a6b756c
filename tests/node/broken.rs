//! What is left of a hub whose transport breaks.

use std::sync::Arc;

use udpair::Transport;
use udpair::message::End;
use udpair::node::{Event, Gone, Hub, JoinError, ReadError};

use crate::fragile::Fragile;
use crate::hubs::{hub, named};
use crate::pair::{Pair, STUCK};

const BROKEN: Gone = Gone::Ended(End::Broken);

pub(crate) fn a_transport_that_breaks_takes_its_peers_and_no_other(pair: Pair) {
    let fragile = Fragile::new(pair.another(|_| {}));
    let there: Arc<dyn Transport> = fragile.clone();
    let a = Hub::start("a", [pair.another(|_| {}), Arc::clone(&there)]).unwrap();
    let [b, c, d] = ["b", "c", "d"].map(|name| hub(&pair, name));
    b.connect("a", a.local_addr()).unwrap();
    assert!(matches!(a.next_event(STUCK), Some(Event::Joined { .. })));
    c.connect("a", there.local_addr()).unwrap();
    assert!(matches!(a.next_event(STUCK), Some(Event::Joined { .. })));
    c.write_all("pose", "last").unwrap();
    assert_eq!(a.changed_timeout("pose", STUCK).unwrap().1.content.body, "last");
    // Somebody is called there meanwhile who does not answer, and somebody waits for what will never come.
    let calling = pair.beside({
        let (a, there, nobody) = (a.clone(), Arc::clone(&there), pair.server.local_addr());
        move || a.connect_from(&there, "nobody", nobody).unwrap_err()
    });
    let reading = pair.beside({
        let c = a.peer("c").unwrap();
        move || c.recv("never").unwrap_err()
    });
    fragile.shatter();
    assert_eq!(a.next_event(STUCK), Some(Event::Left { name: named("c"), why: BROKEN, returns: false }));
    let error = calling.join().unwrap();
    assert!(matches!(error, JoinError::Gone(BROKEN)), "{error:?}");
    assert_eq!(reading.join().unwrap(), ReadError::Gone(BROKEN));
    assert_eq!(a.get_by_name("c", "pose").unwrap().unwrap().content.body, "last");
    let error = a.connect_from(&there, "d", d.local_addr()).unwrap_err();
    assert!(matches!(error, JoinError::Gone(BROKEN)), "{error:?}");
    // The other one goes on.
    b.write_all("pose", "still here").unwrap();
    assert_eq!(a.changed_timeout("pose", STUCK).unwrap().1.content.body, "still here");
    a.connect("d", d.local_addr()).unwrap();
    a.write_all("goal", "all").unwrap();
    for peer in [&b, &d] {
        assert_eq!(peer.changed_timeout("goal", STUCK).unwrap().1.content.body, "all");
    }
    [a, b, c, d].iter().for_each(Hub::close);
}

pub(crate) fn a_hub_whose_first_transport_breaks_ends_and_says_why(pair: Pair) {
    let fragile = Fragile::new(pair.another(|_| {}));
    let a = Hub::start("a", [fragile.clone() as Arc<dyn Transport>, pair.another(|_| {})]).unwrap();
    let b = hub(&pair, "b");
    b.connect("a", a.local_addr()).unwrap();
    let waiting = pair.beside({
        let a = a.clone();
        move || a.changed("pose").unwrap_err()
    });
    fragile.shatter();
    assert_eq!(waiting.join().unwrap(), ReadError::Gone(BROKEN));
    // Its peers are told, as far as that can be done without waiting.
    assert!(matches!(b.next_event(STUCK), Some(Event::Joined { .. })));
    assert!(matches!(b.next_event(STUCK), Some(Event::Left { .. })));
    let error = a.connect("b", b.local_addr()).unwrap_err();
    assert!(matches!(error, JoinError::Closed | JoinError::Gone(BROKEN)), "{error:?}");
    [a, b].iter().for_each(Hub::close);
}
